//! `_jnumpy/bundle.json`: what the runtime must know to start the bundle, and to say what is wrong with a damaged one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::packages::BundledPackage;

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
    /// The script that loads the package images, when there are such.
    pub(super) packages: Option<&'static str>,
    pub(super) relocation: Option<RelocationPart>,
}

/// Where an image names the directory that its sources were in. The runtime writes the directory of the installed
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
                bindir: text(),
                libjulia: text(),
                private_libdir: text(),
                stdlib: text(),
            },
            image: ImagePart {
                path: text(),
                cpu_target: None,
                holds_project: true,
                packages: Some("packages.jl"),
                relocation: Some(RelocationPart { length: 1, writable: Vec::new(), read_only: Vec::new() }),
            },
            depot: "depot",
            typython: None,
            project: ProjectPart { name: text(), uuid: text() },
            packages: BTreeMap::from([(text(), BundledPackage::default())]),
            platform: PlatformPart { machine: text(), glibc: (2, 17) },
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
