//! What an image is made from: the sources of the project and all it needs, and an environment that names them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::ImageError;
use super::stage::StagedFile;
use crate::depot::{Resolution, Source};
use crate::project::{PackageFile, Project, Uuid, list_files};

/// The staged tree, before it is written: `environment/{Project,Manifest}.toml` and `packages/<Name>/…`.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) files: BTreeMap<String, StagedFile>,
    /// The packages to load into the image, in this order: UUID and name.
    pub(super) load: Vec<(Uuid, String)>,
}

impl Environment {
    /// Takes the sources of `project`, of its dependencies, and of TyPython, which are at `typython`.
    pub(super) fn new(
        project: &Project,
        resolution: &Resolution,
        typython: &Path,
    ) -> Result<Self, ImageError> {
        let own = (project.uuid(), project.julia.name.clone());
        let mut files = BTreeMap::new();
        let mut manifest = String::new();
        let mut add =
            |uuid: Uuid, name: &str, sources: Option<&[PackageFile]>, deps: &BTreeMap<String, Uuid>| {
                for file in sources.into_iter().flatten() {
                    let staged = format!("packages/{name}/{}", file.name);
                    files.insert(staged, StagedFile::Copy(file.path.clone()));
                }
                // Every Julia reads the first format of the manifest, and it says nothing of a version of Julia.
                let _ = writeln!(manifest, "[[{name}]]\nuuid = \"{uuid}\"");
                if sources.is_some() {
                    let _ = writeln!(manifest, "path = \"../packages/{name}\"");
                }
                let _ = writeln!(manifest, "    [{name}.deps]");
                for (dep, uuid) in deps {
                    let _ = writeln!(manifest, "    {dep} = \"{uuid}\"");
                }
            };
        for (uuid, package) in &resolution.packages {
            let sources = match &package.source {
                Source::StandardLibrary => None,
                Source::Runtime => Some(list_files(typython)?),
                Source::Directory(directory) => Some(list_files(directory)?),
            };
            add(*uuid, &package.name, sources.as_deref(), &package.deps);
        }
        // An edit of a Python file changes no image.
        let is_python = |name: &str| {
            Path::new(name).extension().is_some_and(|extension| extension == "py" || extension == "pyi")
        };
        let julia: Vec<PackageFile> =
            project.files.iter().filter(|file| !is_python(&file.name)).cloned().collect();
        add(own.0, &own.1, Some(&julia), &project.julia.deps);

        let load = vec![(Uuid::TYPYTHON, "TyPython".to_owned()), own];
        let mut named = String::from("[deps]\n");
        for (uuid, name) in &load {
            let _ = writeln!(named, "{name} = \"{uuid}\"");
        }
        files.insert("environment/Project.toml".into(), StagedFile::Text(named));
        files.insert("environment/Manifest.toml".into(), StagedFile::Text(manifest));
        Ok(Self { files, load })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::depot::Package;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn package(name: &str, source: Source, deps: &[(&str, Uuid)]) -> Package {
        let deps = deps.iter().map(|(name, uuid)| ((*name).to_owned(), *uuid)).collect();
        Package { name: name.into(), version: None, tree_hash: None, source, deps }
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
            (Uuid::TYPYTHON, package("TyPython", Source::Runtime, &[("Dates", dates)])),
        ]);
        let environment =
            Environment::new(&project, &Resolution { packages }, &root.join("typython")).unwrap();

        let names: Vec<&str> = environment.files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "environment/Manifest.toml",
                "environment/Project.toml",
                "packages/A/Project.toml",
                "packages/A/data/table.csv",
                "packages/A/src/A.jl",
                "packages/TyPython/Project.toml",
                "packages/TyPython/src/TyPython.jl",
            ]
        );
        assert_eq!(environment.load, [(Uuid::TYPYTHON, "TyPython".into()), (own, "A".into())]);
        let StagedFile::Text(manifest) = &environment.files["environment/Manifest.toml"] else { panic!() };
        write(root, "environment/Manifest.toml", manifest);
        let manifest = crate::project::Manifest::read(&root.join("environment/Manifest.toml")).unwrap();
        assert_eq!(manifest.packages[&dates].directory, None);
        for (uuid, name) in [(own, "A"), (Uuid::TYPYTHON, "TyPython")] {
            assert_eq!(manifest.packages[&uuid].deps, BTreeMap::from([("Dates".to_owned(), dates)]));
            let place = root.join("environment").join("../packages").join(name);
            assert_eq!(manifest.packages[&uuid].directory.as_ref(), Some(&place));
        }
    }
}
