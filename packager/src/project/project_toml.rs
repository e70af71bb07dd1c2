//! `Project.toml`: what the Julia side of the project is called and needs.

use std::collections::BTreeMap;
use std::path::Path;

use super::uuid::Uuid;
use super::{ProjectError, read_toml, string};
use crate::report::printable;

/// The parts of a `Project.toml` that packing needs. Other keys are Julia's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectToml {
    /// The package's name: the module in `src/<name>.jl`.
    pub name: String,
    /// The package's UUID, when it has one.
    pub uuid: Option<Uuid>,
    /// The package's version, as written.
    pub version: Option<String>,
    /// Direct dependencies: name and UUID.
    pub deps: BTreeMap<String, Uuid>,
}

impl ProjectToml {
    /// Reads the `Project.toml` of a package: one with a `name`.
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let table = read_toml(path)?;
        let invalid = |message: String| ProjectError::Invalid { path: path.to_owned(), message };
        let name = string(&table, "name")
            .map_err(invalid)?
            .ok_or_else(|| ProjectError::NoName { path: path.to_owned() })?;
        if !is_identifier(&name) {
            return Err(invalid(format!("`name` must be the name of a Julia module: `{name}`")));
        }
        let uuid = string(&table, "uuid").map_err(invalid)?;
        let uuid = uuid.map(|text| text.parse()).transpose().map_err(|error| invalid(format!("{error}")))?;
        let version = string(&table, "version").map_err(invalid)?;
        let mut deps = BTreeMap::new();
        match table.get("deps") {
            None => {}
            Some(toml::Value::Table(table)) => {
                for (name, value) in table {
                    let uuid = value.as_str().and_then(|text| text.parse().ok());
                    let uuid =
                        uuid.ok_or_else(|| invalid(format!("`deps.{name}` must be a UUID: `{value}`")))?;
                    if !is_identifier(name) {
                        return Err(invalid(format!(
                            "`deps` must name Julia packages: `{}`",
                            printable(name)
                        )));
                    }
                    deps.insert(name.clone(), uuid);
                }
            }
            Some(_) => return Err(invalid("`deps` must be a table of names and UUIDs".into())),
        }
        Ok(Self { name, uuid, version, deps })
    }
}

/// Whether `name` can name a module, and so be a file name and a part of a script.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ProjectToml, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Project.toml");
        fs_err::write(&path, text).unwrap();
        ProjectToml::read(&path)
            .map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
    }

    #[test]
    fn ok_all_fields() {
        let project = read(
            "name = \"Kmeans1d\"\nuuid = \"9c4566a2-237d-4c69-9a5e-9d27b7d0881b\"\nversion = \"0.1.0\"\n\
             authors = [\"someone\"]\n[deps]\nTyPython = \"9c4566a2-237d-4c69-9a5e-9d27b7d0881b\"\n[compat]\njulia = \"1\"\n",
        )
        .unwrap();
        assert_eq!(project.name, "Kmeans1d");
        assert_eq!(project.uuid, Some(Uuid::TYPYTHON));
        assert_eq!(project.version.as_deref(), Some("0.1.0"));
        assert_eq!(project.deps, BTreeMap::from([("TyPython".into(), Uuid::TYPYTHON)]));
    }

    #[test]
    fn ok_name_alone() {
        let project = read("name = \"A\"").unwrap();
        assert_eq!((project.uuid, project.version, project.deps.len()), (None, None, 0));
    }

    #[test]
    fn err_wording() {
        for (text, expected) in [
            ("[deps]\n", "`Project.toml` has no `name`"),
            ("name = 1\n", "`Project.toml` is invalid: `name` must be a string: `1`"),
            (
                "name = \"a b\"\n",
                "`Project.toml` is invalid: `name` must be the name of a Julia module: `a b`",
            ),
            (
                "name = \"../A\"\n",
                "`Project.toml` is invalid: `name` must be the name of a Julia module: `../A`",
            ),
            ("name = \"A\"\nuuid = \"x\"\n", "`Project.toml` is invalid: not a UUID: `x`"),
            (
                "name = \"A\"\ndeps = 1\n",
                "`Project.toml` is invalid: `deps` must be a table of names and UUIDs",
            ),
            ("name = \"A\"\n[deps]\nB = 3\n", "`Project.toml` is invalid: `deps.B` must be a UUID: `3`"),
            (
                "name = \"A\"\n[deps]\n\"../B\" = \"9c4566a2-237d-4c69-9a5e-9d27b7d0881b\"\n",
                "`Project.toml` is invalid: `deps` must name Julia packages: `../B`",
            ),
            ("name = \n", "`Project.toml` is not valid TOML"),
        ] {
            assert_eq!(read(text), Err(expected.into()), "{text}");
        }
    }
}
