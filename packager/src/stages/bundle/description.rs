//! `_jnumpy/bundle.json`: the information with which the runtime starts a bundle, or says what is wrong with a damaged one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::packages::BundledPackage;
use crate::formats::contract::BUNDLE_FORMAT;

/// The file's contents. Paths are relative to `_jnumpy`, with `/` between the parts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) format: u32,
    /// The runtime's protocol number.
    pub(crate) protocol: u32,
    /// The runtime's version.
    pub(crate) runtime: String,
    pub(crate) julia: JuliaPart,
    pub(crate) image: ImagePart,
    pub(crate) depot: String,
    /// Where the sources of TyPython are; none when the image holds it.
    pub(crate) typython: Option<String>,
    pub(crate) project: ProjectPart,
    /// By UUID.
    pub(crate) packages: BTreeMap<String, BundledPackage>,
    pub(crate) platform: PlatformPart,
    /// The wheel with the Julia, where that is another one: the paths of `julia`, `image.path` and `typython` are in its
    /// `_jnumpy`.
    pub(crate) shared: Option<SharedPart>,
    /// Size of every file that is opened before Python can report an error.
    pub(crate) files: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JuliaPart {
    pub(crate) version: String,
    /// A digest of all its files, where it is for others: what they hold compiled is bound to it.
    pub(crate) build: Option<String>,
    pub(crate) bindir: String,
    pub(crate) libjulia: String,
    pub(crate) private_libdir: String,
    pub(crate) stdlib: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImagePart {
    pub(crate) path: String,
    pub(crate) cpu_target: Option<String>,
    pub(crate) holds_project: bool,
    /// The script that loads the package images, when there are such.
    pub(crate) packages: Option<String>,
    pub(crate) relocation: Option<RelocationPart>,
}

/// Where an image names the directory that its sources were in. The runtime writes the directory of the installed
/// package over it, in memory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RelocationPart {
    /// The length of its path. The path itself is left out, because it reveals details of the build machine.
    pub(crate) length: usize,
    /// Distances from the start of the loaded image.
    pub(crate) writable: Vec<u64>,
    /// The same, where memory must be made writable first.
    pub(crate) read_only: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProjectPart {
    pub(crate) name: String,
    pub(crate) uuid: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SharedPart {
    /// The import package.
    pub(crate) package: String,
    /// What this wheel requires.
    pub(crate) requirement: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlatformPart {
    pub(crate) machine: String,
    pub(crate) glibc: (u32, u32),
}

impl Description {
    /// Reads the file, or says why it cannot be read.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if format != BUNDLE_FORMAT {
            return Err(format!(
                "it has the format {format}, but this version of jnumpy-pack reads {BUNDLE_FORMAT}"
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// The file's text: keys sorted, whatever the order of the fields.
    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        // The map of a `Value` is sorted.
        let value = serde_json::to_value(self)?;
        Ok(serde_json::to_string_pretty(&value)? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::formats::contract::tests::contract;

    /// The keys of all values, with `*` for the names in maps.
    fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        let Value::Object(object) = value else {
            found.insert(path.to_owned());
            return;
        };
        for (key, value) in object {
            let key = if ["packages", "files"].contains(&path) { "*" } else { key };
            keys(value, &if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }, found);
        }
    }

    #[test]
    fn ok_the_keys_are_those_of_the_contract() {
        let text = || String::from("x");
        let description = Description {
            format: 0,
            protocol: 0,
            runtime: text(),
            julia: JuliaPart {
                version: text(),
                build: None,
                bindir: text(),
                libjulia: text(),
                private_libdir: text(),
                stdlib: text(),
            },
            image: ImagePart {
                path: text(),
                cpu_target: None,
                holds_project: true,
                packages: Some(text()),
                relocation: Some(RelocationPart { length: 1, writable: Vec::new(), read_only: Vec::new() }),
            },
            depot: text(),
            typython: None,
            project: ProjectPart { name: text(), uuid: text() },
            packages: BTreeMap::from([(text(), BundledPackage::default())]),
            platform: PlatformPart { machine: text(), glibc: (2, 17) },
            shared: Some(SharedPart { package: text(), requirement: text() }),
            files: BTreeMap::from([(text(), 1)]),
        };
        let mut found = BTreeSet::new();
        keys(&serde_json::to_value(&description).unwrap(), "", &mut found);
        let expected = contract()["bundle"]["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(found, expected);
    }
}
