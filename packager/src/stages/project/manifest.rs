//! `Manifest.toml`: the exact version of every package the project was resolved to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::project_toml;
use super::{ProjectError, read_toml, string};
use crate::formats::Uuid;
use crate::formats::Version;
use jnumpy_base::text::{is_identifier, printable};

/// A resolved environment, whatever the format it was written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The file it was read from; relative `path` entries start at its directory.
    pub path: PathBuf,
    /// The Julia that resolved it. Format 1 does not say.
    pub julia: Option<Version>,
    /// Every package, by UUID.
    pub packages: BTreeMap<Uuid, Pinned>,
}

/// One package of a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The package's name.
    pub name: String,
    /// Its version, as written; packages of the standard library have none before Julia 1.9.
    pub version: Option<String>,
    /// The git tree hash of its sources: 20 bytes. Only packages of a registry or repository have one.
    pub tree_hash: Option<TreeHash>,
    /// Where its sources are, when the project develops it from a directory. Absolute.
    pub directory: Option<PathBuf>,
    /// What it depends on: name and UUID.
    pub deps: BTreeMap<String, Uuid>,
}

/// A git tree hash: the SHA-1 that names a package's source tree. Parses and prints 40 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeHash(pub [u8; 20]);

impl std::str::FromStr for TreeHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| format!("not a git tree hash: `{}`", printable(text)))?;
        Ok(Self(bytes))
    }
}

impl std::fmt::Display for TreeHash {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl Manifest {
    /// The manifest beside the project file of `directory`, by the names that Julia knows, the best first.
    #[must_use]
    pub fn find(directory: &Path, julia: &Version) -> Option<PathBuf> {
        let version = format!("-v{}.{}", julia.major, julia.minor);
        [version.as_str(), ""]
            .into_iter()
            .flat_map(|version| ["JuliaManifest", "Manifest"].map(|name| format!("{name}{version}.toml")))
            .map(|name| directory.join(name))
            .find(|path| path.is_file())
    }

    /// Whether Julia takes a file of this name for a manifest.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let stem = name
            .strip_suffix(".toml")
            .and_then(|stem| stem.strip_prefix("Julia").unwrap_or(stem).strip_prefix("Manifest"));
        stem.is_some_and(|version| version.is_empty() || version.starts_with("-v"))
    }

    /// Reads a manifest of format 1 (tables at the top level) or 2.x (tables under `deps`).
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let table = read_toml(path)?;
        Self::from_table(path, &table)
            .map_err(|message| ProjectError::Invalid { path: path.to_owned(), message })
    }

    /// Refuses a manifest that another minor version of Julia resolved: its versions may not work, and packages of the standard
    /// library differ.
    pub fn check(&self, julia: &Version) -> Result<(), ProjectError> {
        match &self.julia {
            Some(made) if (made.major, made.minor) != (julia.major, julia.minor) => {
                Err(ProjectError::OtherJulia {
                    path: self.path.clone(),
                    manifest: made.clone(),
                    julia: julia.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    fn from_table(path: &Path, table: &toml::Table) -> Result<Self, String> {
        let format = string(table, "manifest_format")?.unwrap_or_else(|| "1.0".into());
        let (julia, entries) = match format.split('.').next() {
            Some("1") => (None, table.clone()),
            Some("2") => {
                let julia = string(table, "julia_version")?;
                let julia = julia.map(|text| text.parse::<Version>()).transpose();
                let entries = match table.get("deps") {
                    None => toml::Table::new(),
                    Some(toml::Value::Table(entries)) => entries.clone(),
                    Some(_) => return Err("`deps` must be a table of packages".into()),
                };
                (julia.map_err(|error| error.to_string())?, entries)
            }
            _ => {
                let format = printable(&format);
                return Err(format!("its `manifest_format` is not one of 1 and 2: `{format}`"));
            }
        };
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut read = Vec::new();
        for (name, value) in &entries {
            // Format 1 keeps a few settings beside the packages; a package is always an array of tables.
            let Some(stanzas) = value.as_array() else { continue };
            // The name becomes part of paths.
            if !is_identifier(name) {
                return Err(format!("it lists a package with an invalid name: `{}`", printable(name)));
            }
            for stanza in stanzas {
                let stanza =
                    stanza.as_table().ok_or_else(|| format!("`{name}` must be an array of tables"))?;
                read.push(Stanza::from_table(name, stanza, directory)?);
            }
        }
        let mut uuids: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        for stanza in &read {
            uuids.entry(stanza.pinned.name.clone()).or_default().push(stanza.uuid);
        }
        let mut packages = BTreeMap::new();
        for Stanza { uuid, mut pinned, named } in read {
            for name in named {
                match uuids.get(&name).map(Vec::as_slice) {
                    Some([uuid]) => {
                        pinned.deps.insert(name, *uuid);
                    }
                    None => {
                        return Err(format!(
                            "`{}` depends on `{}`, which it does not list",
                            pinned.name,
                            printable(&name)
                        ));
                    }
                    Some(_) => {
                        return Err(format!(
                            "`{}` depends on `{name}`, which is the name of several packages",
                            pinned.name
                        ));
                    }
                }
            }
            if packages.insert(uuid, pinned).is_some() {
                return Err(format!("it lists two packages with the same UUID: `{uuid}`"));
            }
        }
        Ok(Self { path: path.to_owned(), julia, packages })
    }
}

/// One table of the file. Dependencies that are only named wait in `named` until every UUID is known.
struct Stanza {
    uuid: Uuid,
    pinned: Pinned,
    named: Vec<String>,
}

impl Stanza {
    fn from_table(name: &str, table: &toml::Table, directory: &Path) -> Result<Self, String> {
        let uuid = string(table, "uuid")?.ok_or_else(|| format!("`{name}` has no `uuid`"))?;
        let uuid = uuid.parse::<Uuid>().map_err(|error| error.to_string())?;
        let tree_hash = string(table, "git-tree-sha1")?.map(|text| text.parse()).transpose()?;
        let (mut deps, mut named) = (BTreeMap::new(), Vec::new());
        let wrong = || format!("the `deps` of `{name}` must be names, or names and UUIDs");
        match table.get("deps") {
            None => {}
            Some(toml::Value::Array(listed)) => {
                for dep in listed {
                    named.push(dep.as_str().ok_or_else(wrong)?.to_owned());
                }
            }
            Some(toml::Value::Table(pairs)) => {
                for (name, uuid) in pairs {
                    let uuid = uuid.as_str().and_then(|text| text.parse().ok());
                    let uuid = uuid.filter(|_| is_identifier(name)).ok_or_else(wrong)?;
                    deps.insert(name.clone(), uuid);
                }
            }
            Some(_) => return Err(wrong()),
        }
        let pinned = Pinned {
            name: name.to_owned(),
            version: project_toml::version(table)?,
            tree_hash,
            directory: string(table, "path")?.map(|path| directory.join(path)),
            deps,
        };
        Ok(Self { uuid, pinned, named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINEAR: &str = "37e2e46d-f89d-539d-b4ee-838fcccc9c8e";
    const LIBDL: &str = "8f399da3-3557-5675-b5ff-fb832c97cbdb";

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::from_table(Path::new("/p/Manifest.toml"), &text.parse().unwrap())
    }

    fn body(prefix: &str) -> String {
        format!(
            "[[{prefix}LinearAlgebra]]\ndeps = [\"Libdl\"]\nuuid = \"{LINEAR}\"\n\
             [[{prefix}Libdl]]\nuuid = \"{LIBDL}\"\n\
             [[{prefix}Example]]\ndeps = {{Libdl = \"{LIBDL}\"}}\npath = \"../Example\"\n\
             git-tree-sha1 = \"46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc\"\nversion = \"0.5.3\"\n\
             uuid = \"7876af07-990d-54b4-ab0e-23690620f79a\"\n"
        )
    }

    #[test]
    fn ok_formats_1_and_2_say_the_same() {
        let first = parse(&body("")).unwrap();
        for format in ["2.0", "2.1"] {
            let text = format!(
                "julia_version = \"1.10.4\"\nmanifest_format = \"{format}\"\nproject_hash = \"x\"\n\n{}",
                body("deps.")
            );
            let second = parse(&text).unwrap();
            assert_eq!(second.packages, first.packages);
            assert_eq!(second.julia.unwrap().to_string(), "1.10.4");
        }
        let example = &first.packages[&"7876af07-990d-54b4-ab0e-23690620f79a".parse().unwrap()];
        assert_eq!(example.directory.as_deref(), Some(Path::new("/p/../Example")));
        assert_eq!(example.tree_hash.unwrap().to_string(), "46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc");
        assert_eq!(example.deps, BTreeMap::from([("Libdl".into(), LIBDL.parse().unwrap())]));
        assert_eq!(first.packages[&LINEAR.parse().unwrap()].deps, example.deps);
    }

    #[test]
    fn ok_check_compares_major_and_minor() {
        let made = |julia: &str| {
            parse(&format!("manifest_format = \"2.0\"\njulia_version = \"{julia}\"\n")).unwrap()
        };
        let check = |made: Manifest, julia: &str| made.check(&julia.parse().unwrap());
        assert!(check(made("1.10.4"), "1.10.11").is_ok());
        assert!(check(parse("").unwrap(), "1.5.3").is_ok());
        assert_eq!(
            check(made("1.10.4"), "1.5.3").unwrap_err().to_string(),
            "`/p/Manifest.toml` was resolved by Julia 1.10.4, but the Julia in use is 1.5.3"
        );
    }

    #[test]
    fn err_wording() {
        let uuid = LIBDL;
        for (text, expected) in [
            ("manifest_format = \"3.0\"\n".to_owned(), "its `manifest_format` is not one of 1 and 2: `3.0`"),
            ("[[A]]\n".to_owned(), "`A` has no `uuid`"),
            ("[[\"../A\"]]\n".to_owned(), "it lists a package with an invalid name: `../A`"),
            (
                format!("[[A]]\nuuid = \"{uuid}\"\ndeps = [\"B\"]\n"),
                "`A` depends on `B`, which it does not list",
            ),
            (
                format!("[[A]]\nuuid = \"{uuid}\"\n[[B]]\nuuid = \"{uuid}\"\n"),
                "it lists two packages with the same UUID: `8f399da3-3557-5675-b5ff-fb832c97cbdb`",
            ),
            (format!("[[A]]\nuuid = \"{uuid}\"\ngit-tree-sha1 = \"12\"\n"), "not a git tree hash: `12`"),
            (
                format!("[[A]]\nuuid = \"{uuid}\"\ndeps = 1\n"),
                "the `deps` of `A` must be names, or names and UUIDs",
            ),
        ] {
            assert_eq!(parse(&text), Err(expected.to_owned()), "{text}");
        }
    }
}
