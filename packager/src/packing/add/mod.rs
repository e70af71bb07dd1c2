//! Adds Julia dependencies to a project: lines in its `Project.toml`, whose other text does not change, and, except for
//! standard libraries, the manifest that Pkg makes.
//!
//! Pkg works in a separate environment without TyPython, which comes with the runtime. In the project itself, Pkg would get an
//! older TyPython from a registry, and compile the project with it.

mod error;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use error::AddError;

use crate::formats::Uuid;
use crate::packing::Error;
use crate::stages::depot;
use crate::stages::julia::{Julia, JuliaError};
use crate::stages::project::{Manifest, Project, ProjectToml};
use jnumpy_base::process::ChildError;
use jnumpy_base::text::{is_identifier, nearest};
use jnumpy_base::{Report, write_files};

/// Version of the JSON form.
const FORMAT: u32 = 1;
const SCRIPT: &str = include_str!("add.jl");
/// The text that the script prints before a name of the registry.
const REGISTERED: &str = "registered ";
/// The last line that the script prints.
const ADDED: &str = "added";

/// What was added, as JSON; keys in alphabetical order.
#[derive(Debug, Serialize)]
pub struct Added {
    /// The dependencies that are new.
    pub added: Vec<Dependency>,
    /// Whether the files were not changed.
    pub dry_run: bool,
    /// The files that were changed, or would be.
    pub files: Vec<PathBuf>,
    version: u32,
}

/// A dependency that was added; keys in alphabetical order.
#[derive(Debug, Serialize)]
pub struct Dependency {
    /// Where it comes from.
    pub kind: Kind,
    pub name: String,
    /// Its directory, relative to that of `Project.toml`.
    pub path: Option<PathBuf>,
    /// Its UUID.
    pub uuid: String,
    /// Its version, if it has one.
    pub version: Option<String>,
}

/// Where a dependency comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// From a directory.
    Path,
    /// From a registry.
    Registered,
    /// From Julia.
    StandardLibrary,
}

/// Adds packages to a project: names, and directories (with a `/`). After an error, and with `dry_run`, nothing is changed.
///
/// Without any, Pkg only downloads what the manifest lists. It does so without TyPython, which the manifest does not list.
pub fn add(
    project: &Project,
    julia: &Julia,
    wanted: &[String],
    dry_run: bool,
    report: &Report,
) -> Result<Added, Error> {
    let mut dependencies = Vec::new();
    for text in wanted {
        if let Some(dependency) = classify(project, julia, text, report)? {
            dependencies.push(dependency);
        }
    }
    let mut files = Vec::new();
    // A manifest has to list all dependencies. Without a manifest, Julia finds its own libraries.
    let old = project.manifest(&julia.version)?;
    let needs_pkg = |one: &Dependency| old.is_some() || one.kind != Kind::StandardLibrary;
    let manifest = if dependencies.iter().any(needs_pkg) || wanted.is_empty() {
        Some(run_pkg(project, old, julia, &mut dependencies, report)?)
    } else {
        None
    };
    if !dependencies.is_empty() {
        let text = fs_err::read_to_string(&project.project_toml)?;
        let edited = edit(&text, &dependencies)
            .map_err(|source| AddError::Edit { path: project.project_toml.clone(), source })?;
        files.push((project.project_toml.clone(), edited));
        files.extend(manifest);
    }
    if !dry_run {
        write_files(files.iter().map(|(path, text)| (path, text)))?;
    }
    let files = files.into_iter().map(|(path, _)| path).collect();
    Ok(Added { added: dependencies, dry_run, files, version: FORMAT })
}

/// The package that an argument of the command line names; `None` if it is already a dependency.
fn classify(
    project: &Project,
    julia: &Julia,
    text: &str,
    report: &Report,
) -> Result<Option<Dependency>, Error> {
    let dependency = if text.contains('/') || text == "." || text == ".." {
        directory(project, Path::new(text))?
    } else if !is_identifier(text) {
        return Err(AddError::Name { name: text.to_owned() }.into());
    } else if let Some(library) = depot::standard_library(julia, text)? {
        Dependency {
            kind: Kind::StandardLibrary,
            name: text.to_owned(),
            path: None,
            uuid: library.uuid.as_ref().map(ToString::to_string).unwrap_or_default(),
            version: library.version,
        }
    } else {
        let name = text.to_owned();
        Dependency { kind: Kind::Registered, name, path: None, uuid: String::new(), version: None }
    };
    let own = &project.julia;
    if dependency.name == own.name {
        return Err(AddError::Itself { name: dependency.name }.into());
    }
    let known = own.deps.get(&dependency.name).map(ToString::to_string);
    match known {
        None => Ok(Some(dependency)),
        Some(uuid) if dependency.kind != Kind::Registered && uuid != dependency.uuid => {
            Err(AddError::OtherUuid { name: dependency.name, uuid }.into())
        }
        // A directory replaces a registered version or another directory.
        Some(_) if dependency.kind == Kind::Path => Ok(Some(dependency)),
        Some(_) => {
            report.say(format_args!("`{}` is already a dependency", dependency.name));
            Ok(None)
        }
    }
}

/// The package in a directory.
fn directory(project: &Project, path: &Path) -> Result<Dependency, Error> {
    let broken = |missing: String| AddError::NotAPackage { path: path.to_owned(), missing };
    if !path.is_dir() {
        return Err(broken("there is no such directory".into()).into());
    }
    let file = ProjectToml::find(path).ok_or_else(|| broken("it has no `Project.toml`".into()))?;
    let package = ProjectToml::read(&file)?;
    let uuid = package.uuid.ok_or_else(|| broken("its `Project.toml` has no `uuid`".into()))?;
    let entry = Path::new("src").join(&package.name).with_extension("jl");
    if !path.join(&entry).is_file() {
        return Err(broken(format!("it has no `{}`", entry.display())).into());
    }
    Ok(Dependency {
        kind: Kind::Path,
        name: package.name,
        path: Some(relative(&fs_err::canonicalize(path)?, &project.package_dir)),
        uuid: uuid.to_string(),
        version: package.version,
    })
}

/// A path from a directory on; both are absolute, without `..` and links.
fn relative(path: &Path, from: &Path) -> PathBuf {
    let common = path.components().zip(from.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(common).map(|_| "..".as_ref());
    let down = path.components().skip(common).map(std::path::Component::as_os_str);
    up.chain(down).collect()
}

/// Lets Pkg make the new manifest, from the old one if it exists. Returns its path and text, and completes the descriptions
/// of the dependencies.
fn run_pkg(
    project: &Project,
    old: Option<Manifest>,
    julia: &Julia,
    dependencies: &mut [Dependency],
    report: &Report,
) -> Result<(PathBuf, String), Error> {
    let own = &project.julia;
    if project.has_foreign_manifest() {
        return Err(AddError::ForeignManifest { project_toml: project.project_toml.clone() }.into());
    }
    // The directory is as deep as the package, so that relative paths lead to the same directories.
    let parent = project.package_dir.parent().unwrap_or(&project.package_dir);
    let scratch = tempfile::Builder::new().prefix(".jnumpy-add-").tempdir_in(parent)?;
    // Directories that the old manifest does not contain are developed.
    let located = |uuid: Uuid| old.as_ref().is_some_and(|manifest| manifest.packages.contains_key(&uuid));
    let lost = |name: &str, uuid: Uuid| own.sources.contains_key(name) && !located(uuid);
    let mut table = depot::environment_of(own, |name, uuid| uuid == Uuid::TYPYTHON || lost(name, uuid));
    if let Some(toml::Value::Table(deps)) = table.get_mut("deps") {
        let libraries = dependencies.iter().filter(|one| one.kind == Kind::StandardLibrary);
        deps.extend(libraries.map(|one| (one.name.clone(), one.uuid.clone().into())));
    }
    fs_err::write(scratch.path().join("Project.toml"), table.to_string())?;
    let result = scratch.path().join("Manifest.toml");
    if let Some(manifest) = &old {
        fs_err::copy(&manifest.path, &result)?;
    }
    let mut developed: BTreeMap<&str, PathBuf> = BTreeMap::new();
    for (name, _) in own.deps.iter().filter(|(name, uuid)| lost(name, **uuid)) {
        developed.insert(name, relative(&fs_err::canonicalize(&own.sources[name])?, &project.package_dir));
    }
    developed.extend(dependencies.iter().filter_map(|one| Some((one.name.as_str(), one.path.clone()?))));
    let registered = || dependencies.iter().filter(|one| one.kind == Kind::Registered).map(|one| &one.name);
    let libraries = standard_libraries(julia)?;
    let stage = report.stage("Pkg");
    let run = depot::pkg(&own.name, julia, &depot::user_depots(julia), SCRIPT)?
        .arg(scratch.path())
        .arg(registered().count().to_string())
        .args(registered())
        .args(developed.values())
        .directory(scratch.path());
    let said = run.run(|_| stage.progress("resolving")).map_err(|error| match error {
        JuliaError::Child(source @ ChildError::Failed { .. }) => Error::from(AddError::Pkg {
            nearest: registered().find_map(|name| nearest(name, &libraries).map(str::to_owned)),
            names: dependencies.iter().map(|one| one.name.clone()).collect(),
            source: source.into(),
        }),
        error => error.into(),
    })?;
    if said.stdout.lines().next_back() != Some(ADDED) {
        let known: Vec<&str> = said.stdout.lines().filter_map(|line| line.strip_prefix(REGISTERED)).collect();
        let name = registered().find(|name| !known.contains(&name.as_str()));
        return Err(unknown(name.cloned().unwrap_or_default(), &known, libraries, julia).into());
    }
    let manifest = Manifest::read(&result)?;
    let environment: toml::Table = fs_err::read_to_string(scratch.path().join("Project.toml"))?
        .parse()
        .map_err(std::io::Error::other)?;
    for one in dependencies.iter_mut().filter(|one| one.kind == Kind::Registered) {
        let uuid = environment.get("deps").and_then(|deps| deps.get(&one.name)?.as_str()?.parse().ok());
        if let Some((uuid, pinned)) = uuid.and_then(|uuid| manifest.packages.get_key_value(&uuid)) {
            (one.uuid, one.version) = (uuid.to_string(), pinned.version.clone());
        }
    }
    stage.done("resolved");
    let text = fs_err::read_to_string(&result)?;
    // This is the hash of a project file without TyPython, so Julia would regard the manifest as out of date.
    let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("project_hash ="));
    let path = old.map_or_else(|| project.package_dir.join("Manifest.toml"), |manifest| manifest.path);
    Ok((path, lines.collect()))
}

/// The names of Julia's standard libraries.
fn standard_libraries(julia: &Julia) -> Result<Vec<String>, Error> {
    let entries = fs_err::read_dir(julia.prefix.join(&julia.layout.stdlib))?;
    let names: Result<Vec<_>, std::io::Error> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    Ok(names?)
}

/// The error about a name that no registry has.
fn unknown(name: String, registered: &[&str], libraries: Vec<String>, julia: &Julia) -> AddError {
    let mut known = libraries;
    known.extend(registered.iter().map(|&name| name.to_owned()));
    // A fixed order, so that of equally similar names, the same is always chosen.
    known.sort();
    AddError::Unknown {
        nearest: nearest(&name, &known).map(str::to_owned),
        is_directory: Path::new(&name).is_dir(),
        julia: julia.version.to_string(),
        name,
    }
}

/// The text of a project file with these dependencies; the rest of it stays as it is.
fn edit(text: &str, dependencies: &[Dependency]) -> Result<String, toml_edit::TomlError> {
    let mut document: toml_edit::DocumentMut = text.parse()?;
    for one in dependencies {
        set(&mut document, "deps", &one.name, one.uuid.clone().into());
        if let Some(path) = &one.path {
            let path = path.to_string_lossy().into_owned();
            let source = toml_edit::InlineTable::from_iter([("path", path)]);
            set(&mut document, "sources", &one.name, source.into());
        }
    }
    let edited = document.to_string();
    // The library ends its own lines as on Unix.
    Ok(if text.contains("\r\n") { edited.replace("\r\n", "\n").replace('\n', "\r\n") } else { edited })
}

/// Sets a key of a table, which is created if it is missing. A sorted table stays sorted.
fn set(document: &mut toml_edit::DocumentMut, table: &str, key: &str, value: toml_edit::Value) {
    let table = document.entry(table).or_insert_with(toml_edit::table);
    if let Some(table) = table.as_table_like_mut() {
        let sorted = table.iter().map(|(key, _)| key).is_sorted();
        table.insert(key, value.into());
        if sorted {
            table.sort_values();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str, path: Option<&str>) -> Dependency {
        let (kind, path) = (Kind::Path, path.map(PathBuf::from));
        Dependency { kind, name: name.into(), path, uuid: format!("uuid-of-{name}"), version: None }
    }

    #[test]
    fn ok_the_rest_of_a_project_file_stays() {
        let add = |text: &str, name: &str| edit(text, &[dependency(name, None)]).unwrap();
        let head = "# What it is.\nname   =  'A' # so\n\n[deps] # here\n";
        let tail = "\n# bounds\n[compat]\njulia = \"1\" # any";
        assert_eq!(
            add(&format!("{head}# first\nB = \"b\"\nD = \"d\" # last\n{tail}"), "C"),
            format!("{head}# first\nB = \"b\"\nC = \"uuid-of-C\"\nD = \"d\" # last\n{tail}\n")
        );
        // The user's own order is kept.
        assert_eq!(
            add(&format!("{head}D = \"d\"\nB = \"b\"\n"), "C"),
            format!("{head}D = \"d\"\nB = \"b\"\nC = \"uuid-of-C\"\n")
        );
        assert_eq!(add("name = \"A\"\n", "C"), "name = \"A\"\n\n[deps]\nC = \"uuid-of-C\"\n");
        assert_eq!(add("[deps]\r\nB = \"b\"\r\n", "C"), "[deps]\r\nB = \"b\"\r\nC = \"uuid-of-C\"\r\n");
        assert_eq!(
            edit("name = \"A\"\n", &[dependency("C", Some("../C"))]).unwrap(),
            "name = \"A\"\n\n[deps]\nC = \"uuid-of-C\"\n\n[sources]\nC = { path = \"../C\" }\n"
        );
    }

    #[test]
    fn ok_relative_paths() {
        let from = Path::new("/home/me/project/package");
        for (path, expected) in [
            ("/home/me/project/Helper", "../Helper"),
            ("/home/me/project/package/lib/Helper", "lib/Helper"),
            ("/srv/Helper", "../../../../srv/Helper"),
        ] {
            assert_eq!(relative(Path::new(path), from), Path::new(expected));
        }
    }
}
