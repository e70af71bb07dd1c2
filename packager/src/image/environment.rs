//! What an image is made from: the sources of the project and all it needs, and an environment that names them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::ImageError;
use super::stage::StagedFile;
use crate::depot::{Resolution, Source};
use crate::project::{PackageFile, Project, Uuid, list_files};
use crate::runtime::Runtime;

/// The staged tree, before it is written: `environment/{Project,Manifest}.toml` and `packages/<Name>/…`.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) files: BTreeMap<String, StagedFile>,
    /// The packages to load into the image, in this order: UUID and name.
    pub(super) load: Vec<(Uuid, String)>,
}

impl Environment {
    pub(super) fn new(
        project: &Project,
        resolution: &Resolution,
        runtime: &Runtime,
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
                Source::Runtime => Some(list_files(&runtime.typython())?),
                Source::Directory(directory) => Some(list_files(directory)?),
            };
            add(*uuid, &package.name, sources.as_deref(), &package.deps);
        }
        // An edit of a Python file changes no image.
        let is_python = |name: &str| {
            std::path::Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "py" || extension == "pyi")
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
