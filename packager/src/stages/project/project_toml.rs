//! `Project.toml`: the name and the dependencies of the Julia package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ProjectError, read_toml, string};
use crate::formats::{Uuid, Version};
use jnumpy_base::text::{is_identifier, printable};

/// Since this minor version of Julia 1 there are weak dependencies and extensions.
pub const EXTENSIONS_SINCE: u64 = 9;

/// The names a project file can have; Julia takes the first one that is there.
const NAMES: [&str; 2] = ["JuliaProject.toml", "Project.toml"];

/// The parts of a `Project.toml` that packing needs. Other keys are ignored.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectToml {
    /// The package's name: the module in `src/<name>.jl`.
    pub name: String,
    /// The package's UUID, when it has one.
    pub uuid: Option<Uuid>,
    /// The package's version, as written.
    pub version: Option<String>,
    /// Direct dependencies: name and UUID.
    pub deps: BTreeMap<String, Uuid>,
    /// Dependencies that the package does without: name and UUID.
    pub weak_deps: BTreeMap<String, Uuid>,
    /// Modules that Julia ≥ 1.9 loads once all the weak dependencies named are loaded.
    pub extensions: BTreeMap<String, Vec<String>>,
    /// Where dependencies are developed, when the project says so: absolute directories.
    pub sources: BTreeMap<String, PathBuf>,
    /// The manifest, when the project names another than the one beside it.
    pub manifest: Option<PathBuf>,
    /// Its tables `extras`, `compat` and `preferences`, as written.
    pub rest: toml::Table,
}

impl ProjectToml {
    /// The project file of a directory.
    #[must_use]
    pub fn find(directory: &Path) -> Option<PathBuf> {
        NAMES.iter().map(|name| directory.join(name)).find(|path| path.is_file())
    }

    /// Reads the project file of a package: one with a `name`.
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let mut table = read_toml(path)?;
        let invalid = |message: String| ProjectError::Invalid { path: path.to_owned(), message };
        let name = string(&table, "name")
            .map_err(invalid)?
            .ok_or_else(|| ProjectError::NoName { path: path.to_owned() })?;
        if !is_identifier(&name) {
            return Err(invalid(format!(
                "`name` must be the name of a Julia module: `{}`",
                printable(&name)
            )));
        }
        let uuid = string(&table, "uuid").map_err(invalid)?;
        let uuid = uuid.map(|text| text.parse()).transpose().map_err(|error| invalid(format!("{error}")))?;
        let version = version(&table).map_err(invalid)?;
        let deps = uuids(&table, "deps").map_err(invalid)?;
        let weak_deps = uuids(&table, "weakdeps").map_err(invalid)?;
        let extensions = extensions(&table).map_err(invalid)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let sources = sources(&table, directory).map_err(invalid)?;
        let manifest = string(&table, "manifest").map_err(invalid)?.map(|path| directory.join(path));
        table.retain(|key, _| ["extras", "compat", "preferences"].contains(&key));
        Ok(Self { name, uuid, version, deps, weak_deps, extensions, sources, manifest, rest: table })
    }

    /// Forgets the dependencies that are weak ones for this Julia. A project can list a package in both tables, so that
    /// Julia before 1.9 has it; Pkg then leaves it out of newer manifests.
    pub fn drop_weak_deps(&mut self, julia: &Version) {
        if julia.minor >= EXTENSIONS_SINCE {
            self.deps.retain(|name, _| !self.weak_deps.contains_key(name));
        }
    }
}

/// The root of the workspace that the project in `directory` is a member of, since Julia 1.12: the manifest of all members
/// lies there.
pub(super) fn workspace(directory: &Path) -> Option<PathBuf> {
    let lists = |root: &Path| {
        let table = read_toml(&ProjectToml::find(root)?).ok()?;
        let members = table.get("workspace")?.get("projects")?.as_array()?.clone();
        let is_member = |member: &toml::Value| {
            member.as_str().and_then(|member| fs_err::canonicalize(root.join(member)).ok())
                == fs_err::canonicalize(directory).ok()
        };
        members.iter().any(is_member).then(|| root.to_owned())
    };
    let root = directory.ancestors().skip(1).find_map(lists)?;
    // A member can be a workspace itself.
    workspace(&root).or(Some(root))
}

/// A table of packages' names and UUIDs.
fn uuids(table: &toml::Table, key: &str) -> Result<BTreeMap<String, Uuid>, String> {
    let table = match table.get(key) {
        None => return Ok(BTreeMap::new()),
        Some(toml::Value::Table(table)) => table,
        Some(_) => return Err(format!("`{key}` must be a table of names and UUIDs")),
    };
    let pair = |(name, value): (&String, &toml::Value)| {
        if !is_identifier(name) {
            return Err(format!("`{key}` must name Julia packages: `{}`", printable(name)));
        }
        let uuid = value.as_str().and_then(|text| text.parse().ok());
        let uuid = uuid
            .ok_or_else(|| format!("`{key}.{name}` must be a UUID: `{}`", printable(&value.to_string())))?;
        Ok((name.clone(), uuid))
    };
    table.iter().map(pair).collect()
}

/// The version of a package, as it stands in a project file or a manifest.
pub(super) fn version(table: &toml::Table) -> Result<Option<String>, String> {
    let version = string(table, "version")?;
    match &version {
        Some(text)
            if text.len() > 100 || !text.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c)) =>
        {
            Err(format!("not a version: `{}`", printable(text)))
        }
        _ => Ok(version),
    }
}

/// The table `extensions`: the module's name and one trigger or several.
fn extensions(table: &toml::Table) -> Result<BTreeMap<String, Vec<String>>, String> {
    let table = match table.get("extensions") {
        None => return Ok(BTreeMap::new()),
        Some(toml::Value::Table(table)) => table,
        Some(_) => {
            return Err("`extensions` must be a table of modules and the packages that load them".into());
        }
    };
    let pair = |(name, value): (&String, &toml::Value)| {
        let triggers: Option<Vec<String>> = match value {
            toml::Value::String(one) => Some(vec![one.clone()]),
            toml::Value::Array(several) => {
                several.iter().map(|one| one.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        match triggers {
            Some(triggers) if is_identifier(name) && triggers.iter().all(|name| is_identifier(name)) => {
                Ok((name.clone(), triggers))
            }
            _ => Err(format!(
                "`extensions` must name modules and the packages that load them: `{}`",
                printable(name)
            )),
        }
    };
    table.iter().map(pair).collect()
}

/// The directories of the table `sources`; what it takes from elsewhere, only the manifest pins.
fn sources(table: &toml::Table, directory: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let table = match table.get("sources") {
        None => return Ok(BTreeMap::new()),
        Some(toml::Value::Table(table)) => table,
        Some(_) => return Err("`sources` must be a table".into()),
    };
    let mut sources = BTreeMap::new();
    for (name, value) in table {
        let value =
            value.as_table().ok_or_else(|| format!("`sources.{}` must be a table", printable(name)))?;
        if let Some(path) = string(value, "path")? {
            sources.insert(name.clone(), directory.join(path));
        }
    }
    Ok(sources)
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
    fn ok_the_root_of_a_workspace() {
        let directory = tempfile::tempdir().unwrap();
        let write = |location: &str, text: &str| {
            let path = directory.path().join(location);
            fs_err::create_dir_all(&path).unwrap();
            fs_err::write(path.join("Project.toml"), text).unwrap();
            path
        };
        let root = write(".", "[workspace]\nprojects = [\"lib/inner\"]\n");
        let inner = write("lib/inner", "name = \"Inner\"\n[workspace]\nprojects = [\"test\"]\n");
        let test = write("lib/inner/test", "name = \"Test\"\n");
        let other = write("lib/other", "name = \"Other\"\n");
        let shown = |path: PathBuf| fs_err::canonicalize(path).unwrap();
        assert_eq!(workspace(&test).map(shown), Some(shown(root.clone())));
        assert_eq!(workspace(&inner).map(shown), Some(shown(root)));
        assert_eq!(workspace(&other), None);
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
