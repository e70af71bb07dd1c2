//! Where the sources of the project's Julia dependencies are: in Julia's standard library, in the runtime
//! (TyPython), in a directory the manifest names, or in a depot.

mod slug;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use slug::slug;

use crate::error::Hint;
use crate::julia::Julia;
use crate::project::{Manifest, Pinned, Project, ProjectError, ProjectToml, Uuid};

/// Every Julia package the project needs, itself excluded, by UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The packages, TyPython and standard library included.
    pub packages: BTreeMap<Uuid, Package>,
}

/// A dependency that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The package's name.
    pub name: String,
    /// Its version, when known.
    pub version: Option<String>,
    /// The git tree hash that the manifest pins, as 40 digits.
    pub tree_hash: Option<String>,
    /// Where its sources are.
    pub source: Source,
    /// What it depends on: name and UUID.
    pub deps: BTreeMap<String, Uuid>,
}

/// Where the sources of a package are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Julia brings it.
    StandardLibrary,
    /// The runtime brings it.
    Runtime,
    /// A directory with `Project.toml` and `src`.
    Directory(PathBuf),
}

impl Resolution {
    /// Whether the package, or a package it needs, is among the dependencies.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.packages.values().any(|package| package.name == name)
    }
}

/// What can be wrong with a dependency.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// The project has no manifest, so a version of a package outside the standard library is not known.
    #[error(
        "`{name}` is a dependency of `{project}`, but there is no `Manifest.toml` that says which version"
    )]
    NoManifest {
        /// The dependency.
        name: String,
        /// The project's Julia name.
        project: String,
    },
    /// The manifest is older than the project file.
    #[error("`{name}` is a dependency of `{project}`, but `{}` does not list it", manifest.display())]
    NotInManifest {
        /// The dependency.
        name: String,
        /// The package that needs it.
        project: String,
        /// The manifest.
        manifest: PathBuf,
    },
    /// No depot has the sources.
    #[error(
        "the sources of `{name}` {version} are in no depot, looked for: {}",
        searched.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
    )]
    NotFound {
        /// The package.
        name: String,
        /// Its version.
        version: String,
        /// The directories that would hold it.
        searched: Vec<PathBuf>,
    },
    /// The package has no sources in a place known.
    #[error("`{name}` is neither in the standard library of Julia {julia} nor does `{}` say where it is", manifest.display())]
    NoSource {
        /// The package.
        name: String,
        /// The Julia in use.
        julia: String,
        /// The manifest.
        manifest: PathBuf,
    },
    /// The package needs binary artifacts.
    #[error("`{name}` needs binary artifacts, which cannot be packed yet: `{}`", path.display())]
    Artifacts {
        /// The package.
        name: String,
        /// Its `Artifacts.toml`.
        path: PathBuf,
    },
    /// Sources are kept by name while an image is built.
    #[error("two packages are called `{name}`, which cannot be packed: {first} and {second}")]
    SameName {
        /// The name.
        name: String,
        /// The one's UUID.
        first: Uuid,
        /// The other's UUID.
        second: Uuid,
    },
    /// The `Project.toml` of a dependency cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl Hint for DepotError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoManifest { .. } | Self::NotInManifest { .. } => Some(
                "resolve the project with the Julia in use: `julia --project=PACKAGE_DIRECTORY -e 'using Pkg; Pkg.resolve()'`".into(),
            ),
            Self::NotFound { .. } => Some(
                "fetch them: `julia --project=PACKAGE_DIRECTORY -e 'using Pkg; Pkg.instantiate()'`; other depots are read \
                 from `JULIA_DEPOT_PATH`"
                    .into(),
            ),
            Self::NoSource { .. } => Some("resolve the project again with the Julia in use: `Pkg.resolve()`".into()),
            Self::Project(error) => error.hint(),
            Self::Artifacts { .. } | Self::SameName { .. } => None,
        }
    }
}

/// The depots that the user's own Julia would search.
#[must_use]
pub fn user_depots(julia: &Julia) -> Vec<PathBuf> {
    let mut standard =
        vec![julia.prefix.join("local/share/julia"), julia.prefix.join(&julia.layout.share_julia)];
    if let Some(home) = std::env::home_dir() {
        standard.insert(0, home.join(".julia"));
    }
    match std::env::var_os("JULIA_DEPOT_PATH") {
        None => standard,
        // An empty entry stands for the standard ones.
        Some(paths) => std::env::split_paths(&paths)
            .flat_map(|path| if path.as_os_str().is_empty() { standard.clone() } else { vec![path] })
            .collect(),
    }
}

/// Finds every dependency of `project`, of its dependencies, and of TyPython, whose sources are at `typython`.
pub fn resolve(
    project: &Project,
    typython: &Path,
    julia: &Julia,
    depots: &[PathBuf],
) -> Result<Resolution, DepotError> {
    let resolver = Resolver { manifest: project.manifest.as_ref(), typython, julia, depots };
    if let Some(manifest) = resolver.manifest {
        manifest.check(&julia.version)?;
    }
    let mut packages = BTreeMap::new();
    // Every project needs TyPython, whether it says so or gets it from a dependency.
    let always = ("TyPython".to_owned(), Uuid::TYPYTHON);
    let mut waiting: Vec<(String, Uuid, String)> = std::iter::once((&always.0, &always.1))
        .chain(&project.julia.deps)
        .map(|(name, uuid)| (name.clone(), *uuid, project.julia.name.clone()))
        .collect();
    let mut seen = BTreeSet::from([project.uuid()]);
    let mut names = BTreeMap::from([(project.julia.name.clone(), project.uuid())]);
    while let Some((name, uuid, needed_by)) = waiting.pop() {
        if seen.insert(uuid) {
            let package = resolver.package(&name, uuid, &needed_by)?;
            if let Some(first) = names.insert(package.name.clone(), uuid) {
                return Err(DepotError::SameName { name: package.name, first, second: uuid });
            }
            waiting.extend(package.deps.iter().map(|(dep, uuid)| (dep.clone(), *uuid, name.clone())));
            packages.insert(uuid, package);
        }
    }
    Ok(Resolution { packages })
}

struct Resolver<'a> {
    manifest: Option<&'a Manifest>,
    typython: &'a Path,
    julia: &'a Julia,
    depots: &'a [PathBuf],
}

impl Resolver<'_> {
    fn package(&self, name: &str, uuid: Uuid, needed_by: &str) -> Result<Package, DepotError> {
        if uuid == Uuid::TYPYTHON {
            let project = ProjectToml::read(&self.typython.join("Project.toml"))?;
            return Ok(Package {
                name: project.name,
                version: project.version,
                tree_hash: None,
                source: Source::Runtime,
                deps: project.deps,
            });
        }
        let library = self.julia.prefix.join(&self.julia.layout.stdlib).join(name).join("Project.toml");
        if library.is_file() {
            let project = ProjectToml::read(&library)?;
            if project.uuid == Some(uuid) {
                return Ok(Package {
                    name: project.name,
                    version: project.version,
                    tree_hash: None,
                    source: Source::StandardLibrary,
                    deps: project.deps,
                });
            }
        }
        let manifest = self
            .manifest
            .ok_or_else(|| DepotError::NoManifest { name: name.to_owned(), project: needed_by.to_owned() })?;
        let pinned = manifest.packages.get(&uuid).ok_or_else(|| DepotError::NotInManifest {
            name: name.to_owned(),
            project: needed_by.to_owned(),
            manifest: manifest.path.clone(),
        })?;
        let directory = self.directory(uuid, pinned, manifest)?;
        for artifacts in ["Artifacts.toml", "JuliaArtifacts.toml"] {
            let path = directory.join(artifacts);
            if path.is_file() {
                return Err(DepotError::Artifacts { name: pinned.name.clone(), path });
            }
        }
        Ok(Package {
            name: pinned.name.clone(),
            version: pinned.version.clone(),
            tree_hash: pinned.tree_hash.map(|hash| hash.to_string()),
            source: Source::Directory(directory),
            deps: pinned.deps.clone(),
        })
    }

    /// The directory that the manifest says holds a package: named by `path`, or in a depot by its tree hash.
    fn directory(&self, uuid: Uuid, pinned: &Pinned, manifest: &Manifest) -> Result<PathBuf, DepotError> {
        let mut searched: Vec<PathBuf> = Vec::new();
        if let Some(directory) = &pinned.directory {
            searched.push(directory.clone());
        } else if let Some(hash) = &pinned.tree_hash {
            for depot in self.depots {
                let versions = depot.join("packages").join(&pinned.name);
                searched.extend([5, 4].map(|length| versions.join(slug(uuid, hash, length))));
            }
        } else {
            return Err(DepotError::NoSource {
                name: pinned.name.clone(),
                julia: self.julia.version.to_string(),
                manifest: manifest.path.clone(),
            });
        }
        let entry = format!("src/{}.jl", pinned.name);
        searched.iter().find(|directory| directory.join(&entry).is_file()).cloned().ok_or_else(|| {
            DepotError::NotFound {
                name: pinned.name.clone(),
                version: pinned.version.clone().unwrap_or_default(),
                searched,
            }
        })
    }
}

#[cfg(test)]
mod tests;
