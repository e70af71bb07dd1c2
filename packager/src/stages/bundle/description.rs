//! `_jnumpy/bundle.json`: what the runtime must know to start the bundle, and to say what is wrong with a damaged one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::packages::BundledPackage;

/// Number of this layout; the runtime refuses another one.
pub(super) const FORMAT: u32 = 2;

/// The file's contents. Paths are relative to `_jnumpy`, with `/` between the parts.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    pub(super) format: u32,
    /// The runtime's protocol number.
    pub(super) protocol: u32,
    /// The runtime's version.
    pub(super) runtime: String,
    pub(super) julia: JuliaPart,
    pub(super) image: ImagePart,
    pub(super) depot: &'static str,
    /// Where the sources of TyPython are; none when the image holds it.
    pub(super) typython: Option<&'static str>,
    pub(super) project: ProjectPart,
    /// By UUID.
    pub(super) packages: BTreeMap<String, BundledPackage>,
    pub(super) platform: PlatformPart,
    /// Size of every file that is opened before Python can report an error.
    pub(super) files: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct JuliaPart {
    pub(super) version: String,
    pub(super) bindir: String,
    pub(super) libjulia: String,
    pub(super) private_libdir: String,
    pub(super) stdlib: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ImagePart {
    pub(super) path: String,
    pub(super) cpu_target: Option<String>,
    pub(super) holds_project: bool,
    pub(super) relocation: Option<RelocationPart>,
}

/// Where the image names the directory that its sources were in. The runtime writes the directory of the installed
/// package over it, in memory.
#[derive(Debug, Serialize)]
pub(super) struct RelocationPart {
    /// The length of its path. The path itself stays out: it tells of the machine that packed.
    pub(super) length: usize,
    /// Distances from the start of the loaded image.
    pub(super) writable: Vec<u64>,
    /// The same, where memory must be made writable first.
    pub(super) read_only: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct ProjectPart {
    pub(super) name: String,
    pub(super) uuid: String,
}

#[derive(Debug, Serialize)]
pub(super) struct PlatformPart {
    pub(super) machine: String,
    pub(super) glibc: (u32, u32),
}

impl Description {
    /// The file's text: keys sorted, whatever the order of the fields.
    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        // The map of a `Value` is sorted.
        let value = serde_json::to_value(self)?;
        Ok(serde_json::to_string_pretty(&value)? + "\n")
    }
}
