//! The inputs of an image: the sources of the project and of its dependencies, and an environment that lists them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::ImageError;
use super::build_tree::TreeFile;
use super::packages::{CALLS, CALLS_LOCATION, CALLS_NAME, calls_entry, named};
use crate::formats::Uuid;
use crate::formats::contract::{ARTIFACTS, JULIA, SOURCES, below, below_bundle, in_bundle};
use crate::stages::depot::{Package, Resolution, Source, files as files_of, manifest_entry};
use crate::stages::julia::Julia;
use crate::stages::project::{Project, list_files};

/// Files with the preferences of packages, beside the project file.
const PREFERENCES: [&str; 2] = ["JuliaLocalPreferences.toml", "LocalPreferences.toml"];

/// The build tree, before it is written: an environment in `environment`, and in [`SOURCES`] what will lie in the
/// wheel's Python package, at the same paths.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) files: BTreeMap<String, TreeFile>,
    /// The packages to load into the image, in this order: UUID and name.
    pub(super) load: Vec<(Uuid, String)>,
    /// What has to be loaded before the project's own code can be compiled.
    pub(super) dependencies: Vec<(Uuid, String)>,
}

impl Environment {
    /// Takes the sources of `project`, of its dependencies, and of TyPython, which are at `typython`.
    pub(super) fn new(
        project: &Project,
        resolution: &Resolution,
        typython: &Path,
    ) -> Result<Self, ImageError> {
        let mut files = BTreeMap::new();
        let mut manifest = String::new();
        let mut add = |location: &str, name: &str, file: TreeFile| {
            files.insert(format!("{SOURCES}/{location}{name}"), file);
        };
        for located in resolution.located(&project.package_dir) {
            if let Some((location, directory)) = located.copied() {
                for file in files_of(directory, located.package.tree_hash.is_none())? {
                    match located.package.relocated.get(&file.name) {
                        Some(text) => add(&format!("{location}/"), &file.name, TreeFile::Text(text.clone())),
                        None => add(&format!("{location}/"), &file.name, TreeFile::Copy(file.real)),
                    }
                }
            } else if let (Source::RuntimeWheel, Some(location)) =
                (&located.package.source, &located.location)
            {
                for file in list_files(typython)? {
                    add(&format!("{location}/"), &file.name, TreeFile::Copy(file.path));
                }
            }
            let path = located.location.as_ref().map(|location| format!("../{SOURCES}/{location}"));
            manifest.push_str(&manifest_entry(located.uuid, located.package, path.as_deref()));
        }
        // An edit of a Python file changes no image.
        let is_python = |name: &str| {
            Path::new(name).extension().is_some_and(|extension| extension == "py" || extension == "pyi")
        };
        for file in project.files.iter().filter(|file| !is_python(&file.name)) {
            add("", &file.name, TreeFile::Copy(file.path.clone()));
        }
        let own = Package {
            deps: project.julia.deps.clone(),
            weak_deps: project.julia.weak_deps.clone(),
            extensions: project.julia.extensions.clone(),
            ..Package::new(&project.julia.name, Source::Directory(project.package_dir.clone()))
        };
        manifest.push_str(&manifest_entry(project.uuid(), &own, Some(&format!("../{SOURCES}"))));

        for (hash, artifact) in &resolution.artifacts {
            let link =
                TreeFile::Link { target: artifact.directory.clone(), content: artifact.found.to_string() };
            files.insert(format!("{SOURCES}/{}", in_bundle(&format!("{ARTIFACTS}/{hash}"))), link);
        }
        for name in PREFERENCES {
            let path = project.package_dir.join(name);
            if path.is_file() {
                files.insert(format!("environment/{name}"), TreeFile::Copy(path));
            }
        }
        let load = vec![(Uuid::TYPYTHON, "TyPython".to_owned()), (project.uuid(), own.name)];
        files.insert("environment/Project.toml".into(), TreeFile::Text(project_file(project, &load)));
        files.insert("environment/Manifest.toml".into(), TreeFile::Text(manifest));
        let own = project.julia.deps.iter().map(|(name, uuid)| (*uuid, name.clone()));
        let dependencies = load.iter().take(1).cloned().chain(own).collect();
        Ok(Self { files, load, dependencies })
    }
}

impl Environment {
    /// Whether a file is a source of the project itself.
    pub(super) fn is_own(name: &str) -> bool {
        below(name, SOURCES).is_some_and(|name| below_bundle(name).is_none())
    }

    /// Adds a link to the standard library, at its place in the bundle. Since Julia 1.11 most of it is not in Julia's own image,
    /// so its source paths are written into the image, too.
    pub(super) fn link_standard_library(&mut self, julia: &Julia) {
        let place = in_bundle(&format!("{JULIA}/{}", julia.layout.stdlib.display()));
        let target = julia.prefix.join(&julia.layout.stdlib);
        // The key has Julia's version and its own image already.
        let link = TreeFile::Link { target, content: String::new() };
        self.files.insert(format!("{SOURCES}/{place}"), link);
    }

    /// Adds the package that compiles the calls of a recorded run, and those that the runtime makes of any project unless
    /// these are `given` by another wheel.
    pub(super) fn add_calls(&mut self, uuid: Uuid, given: bool) {
        let of_the_runtime = if given { "()" } else { "TyPython.CPython.compiled_calls()" };
        let load: String = self.load.iter().map(|package| named(package) + "\n").collect();
        let project = format!("name = \"{CALLS_NAME}\"\nuuid = \"{uuid}\"\n");
        let texts = [
            ("Project.toml".to_owned(), project),
            (format!("src/{CALLS_NAME}.jl"), CALLS.replace("{calls of the runtime}", of_the_runtime)),
            ("src/packages".to_owned(), load),
        ];
        for (name, text) in texts {
            self.files.insert(format!("{CALLS_LOCATION}/{name}"), TreeFile::Text(text));
        }
        if let Some(TreeFile::Text(manifest)) = self.files.get_mut("environment/Manifest.toml") {
            manifest.push_str(&calls_entry(uuid));
        }
    }
}

/// The environment's project file: Julia reads preferences only for packages that it names.
fn project_file(project: &Project, load: &[(Uuid, String)]) -> String {
    let mut text = String::from("[deps]\n");
    for (uuid, name) in load {
        let _ = writeln!(text, "{name} = \"{uuid}\"");
    }
    let mut rest = project.julia.rest.clone();
    rest.retain(|key, _| key == "extras" || key == "preferences");
    let extras = rest.entry("extras").or_insert_with(|| toml::Table::new().into());
    if let Some(extras) = extras.as_table_mut() {
        for (name, uuid) in &project.julia.deps {
            extras.insert(name.clone(), uuid.to_string().into());
        }
        extras.retain(|name, _| load.iter().all(|(_, loaded)| loaded != name));
    }
    text + &rest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::depot::Package;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn package(name: &str, source: Source, deps: &[(&str, Uuid)]) -> Package {
        let deps = deps.iter().map(|(name, uuid)| ((*name).to_owned(), *uuid)).collect();
        Package { deps, ..Package::new(name, source) }
    }

    #[test]
    fn ok_sources_and_an_environment_that_names_them() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let dates: Uuid = "ade2ca70-3891-5945-98fb-dc099432e06a".parse().unwrap();
        let own: Uuid = "00000000-0000-0000-0000-000000000001".parse().unwrap();
        write(root, "p/pyproject.toml", "[project]\nname = \"p\"\nversion = \"1\"\n");
        write(
            root,
            "p/a/Project.toml",
            &format!("name = \"A\"\nuuid = \"{own}\"\n[deps]\nDates = \"{dates}\"\n"),
        );
        write(root, "p/a/src/A.jl", "");
        write(root, "p/a/__init__.py", "");
        write(root, "p/a/sub/more.py", "");
        write(root, "p/a/data/table.csv", "");
        write(root, "typython/Project.toml", "");
        write(root, "typython/src/TyPython.jl", "");
        let project = Project::load(&root.join("p")).unwrap();
        let packages = BTreeMap::from([
            (dates, package("Dates", Source::StandardLibrary, &[])),
            (Uuid::TYPYTHON, package("TyPython", Source::RuntimeWheel, &[("Dates", dates)])),
        ]);
        let environment = Environment::new(
            &project,
            &Resolution { packages, ..Resolution::default() },
            &root.join("typython"),
        )
        .unwrap();

        let names: Vec<String> =
            environment.files.keys().map(|name| name.replace(SOURCES, "<sources>")).collect();
        assert_eq!(
            names,
            [
                "<sources>/Project.toml",
                "<sources>/_jnumpy/jnumpy/julia/TyPython/Project.toml",
                "<sources>/_jnumpy/jnumpy/julia/TyPython/src/TyPython.jl",
                "<sources>/data/table.csv",
                "<sources>/src/A.jl",
                "environment/Manifest.toml",
                "environment/Project.toml",
            ]
        );
        assert_eq!(environment.load, [(Uuid::TYPYTHON, "TyPython".into()), (own, "A".into())]);
        let TreeFile::Text(manifest) = &environment.files["environment/Manifest.toml"] else { panic!() };
        write(root, "environment/Manifest.toml", manifest);
        let manifest =
            crate::stages::project::Manifest::read(&root.join("environment/Manifest.toml")).unwrap();
        assert_eq!(manifest.packages[&dates].directory, None);
        for (uuid, location) in [(own, ""), (Uuid::TYPYTHON, "/_jnumpy/jnumpy/julia/TyPython")] {
            assert_eq!(manifest.packages[&uuid].deps, BTreeMap::from([("Dates".to_owned(), dates)]));
            let location = format!("{}/environment/../{SOURCES}{location}", root.display());
            assert_eq!(manifest.packages[&uuid].directory.as_deref(), Some(Path::new(&location)));
        }
    }

    #[test]
    fn ok_preferences_go_with_the_packages_that_they_are_for() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let dates = "ade2ca70-3891-5945-98fb-dc099432e06a";
        write(root, "p/pyproject.toml", "[project]\nname = \"p\"\nversion = \"1\"\n");
        write(
            root,
            "p/a/Project.toml",
            &format!("name = \"A\"\n[deps]\nDates = \"{dates}\"\n[preferences.Dates]\nstyle = \"long\"\n"),
        );
        write(root, "p/a/LocalPreferences.toml", "[Dates]\nstyle = \"short\"\n");
        write(root, "p/a/src/A.jl", "");
        write(root, "p/a/__init__.py", "");
        let project = Project::load(&root.join("p")).unwrap();
        let environment = Environment::new(&project, &Resolution::default(), root).unwrap();
        assert!(matches!(
            &environment.files["environment/LocalPreferences.toml"],
            TreeFile::Copy(path) if path.ends_with("a/LocalPreferences.toml")
        ));
        let TreeFile::Text(text) = &environment.files["environment/Project.toml"] else { panic!() };
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["extras"]["Dates"].as_str(), Some(dates));
        assert_eq!(table["preferences"]["Dates"]["style"].as_str(), Some("long"));
        assert!(table["deps"].as_table().unwrap().contains_key("A"));
    }
}
