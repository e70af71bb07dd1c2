//! Finds the sources of the project's Julia dependencies: in Julia's standard library, in the runtime (TyPython), in a directory
//! that the manifest names, or in a depot.

mod artifacts;
mod built;
mod environment;
mod files;
mod slug;
mod tree_hash;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use artifacts::Artifact;
pub(crate) use artifacts::text as hexadecimal_text;
pub use environment::Located;
pub(crate) use environment::manifest_entry;
pub use files::{TreeFile, files};
pub use slug::slug;
pub use tree_hash::tree_hash;

use crate::formats::Uuid;
use crate::stages::julia::{Julia, JuliaError, Run};
use crate::stages::project::{
    EXTENSIONS_SINCE, Manifest, Pinned, Project, ProjectError, ProjectToml, TreeHash,
};
use jnumpy_base::Hint;
use jnumpy_base::process::ChildError;

/// The variable with the user's depots.
const DEPOT_PATH: &str = "JULIA_DEPOT_PATH";
/// The script that resolves an environment.
const RESOLVE: &str = include_str!("resolve.jl");

/// Every Julia package the project needs, itself excluded, by UUID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The packages, TyPython and standard library included.
    pub packages: BTreeMap<Uuid, Package>,
    /// The artifacts that they and the project need, by the tree hash they are found by.
    pub artifacts: BTreeMap<TreeHash, Artifact>,
    /// What the user should know.
    pub notes: Vec<String>,
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
    /// The hash of its files, when that is another one and the project has allowed it.
    pub edited: Option<TreeHash>,
    /// Files that are packed with another text, so that it is right wherever the package lies: by path in the package.
    pub relocated: BTreeMap<String, String>,
    /// Where its sources are.
    pub source: Source,
    /// What it depends on: name and UUID.
    pub deps: BTreeMap<String, Uuid>,
    /// The triggers of its extensions: name and UUID.
    pub weak_deps: BTreeMap<String, Uuid>,
    /// Its extensions: the name of the module and its triggers.
    pub extensions: BTreeMap<String, Vec<String>>,
}

/// Where the sources of a package are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Julia brings it.
    StandardLibrary,
    /// The runtime brings it.
    RuntimeWheel,
    /// A directory with `Project.toml` and `src`.
    Directory(PathBuf),
}

impl Package {
    /// A package without version, dependencies and extensions.
    #[must_use]
    pub fn new(name: &str, source: Source) -> Self {
        Self {
            name: name.to_owned(),
            version: None,
            tree_hash: None,
            edited: None,
            relocated: BTreeMap::new(),
            source,
            deps: BTreeMap::new(),
            weak_deps: BTreeMap::new(),
            extensions: BTreeMap::new(),
        }
    }

    /// The package that a project file describes.
    fn of(project: ProjectToml, source: Source) -> Self {
        Self {
            version: project.version,
            deps: project.deps,
            weak_deps: project.weak_deps,
            extensions: project.extensions,
            ..Self::new(&project.name, source)
        }
    }
}

impl Resolution {
    /// Whether the package, or a package it needs, is among the dependencies.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.packages.values().any(|package| package.name == name)
    }

    /// The names of these packages and of all that they need, except what only TyPython needs.
    pub fn needed<'a>(&'a self, roots: impl IntoIterator<Item = &'a Uuid>) -> BTreeSet<&'a str> {
        let mut waiting: Vec<&Uuid> = roots.into_iter().collect();
        let mut names = BTreeSet::new();
        while let Some(uuid) = waiting.pop() {
            let package = self.packages.get(uuid).filter(|_| *uuid != Uuid::TYPYTHON);
            if let Some(package) = package.filter(|package| names.insert(package.name.as_str())) {
                waiting.extend(package.deps.values());
            }
        }
        names
    }
}

/// What has a tree hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sources of a package.
    Package,
    /// Files that a package comes with.
    Artifact,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Package => "package",
            Self::Artifact => "artifact",
        })
    }
}

/// What can be wrong with a dependency.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// The manifest is older than the project file.
    #[error("`{name}` is a dependency of `{project}`, but `{}` does not list it", manifest.display())]
    NotInManifest {
        /// The dependency.
        name: String,
        /// The package that needs it.
        project: String,
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
        version: String,
        /// The directories that would hold it.
        searched: Vec<PathBuf>,
    },
    /// The package's sources were not found.
    #[error("`{name}` is neither in the standard library of Julia {julia} nor does `{}` say where it is", manifest.display())]
    NoSource {
        /// The package.
        name: String,
        /// The Julia in use.
        julia: String,
        manifest: PathBuf,
    },
    /// An artifact is in no depot.
    #[error(
        "the artifact `{name}` of `{package}` (tree hash {hash}) is in no depot, looked in: {}",
        searched.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
    )]
    NoArtifact {
        name: String,
        /// The package that needs it.
        package: String,
        /// What it is found by.
        hash: TreeHash,
        /// The directories that would hold it.
        searched: Vec<PathBuf>,
    },
    /// Files are not those that were resolved.
    #[error(
        "the {what} `{name}` in `{}` has the tree hash {found}, not {expected}: its files were changed",
        directory.display()
    )]
    Differs {
        /// The package or artifact.
        name: String,
        /// Which of the two.
        what: Kind,
        /// Where it is.
        directory: PathBuf,
        /// The hash it should have.
        expected: TreeHash,
        /// The hash it has.
        found: TreeHash,
    },
    /// A file or link of a package or artifact cannot be in a wheel.
    #[error("`{}` cannot be packed: {reason}", files::shown(path))]
    Link {
        /// The file or link.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A setting names what is not there.
    #[error(
        "`{key}` of `[tool.jnumpy]` names `{name}`, which is none of: {}",
        names.iter().map(|name| format!("`{}`", jnumpy_base::text::printable(name))).collect::<Vec<_>>().join(", ")
    )]
    Setting {
        /// The setting.
        key: &'static str,
        /// What it names.
        name: String,
        /// What it could name.
        names: Vec<String>,
    },
    /// Julia could not select artifacts.
    #[error("Julia cannot read the artifacts of the packages")]
    Selection {
        /// What it said.
        source: Box<ChildError>,
    },
    /// There is no manifest, and no depot that Pkg could resolve one in.
    #[error("Pkg cannot resolve the project `{project}` without a depot")]
    NoDepot {
        /// The project's Julia name.
        project: String,
    },
    /// Pkg could not resolve the project.
    #[error("the project `{project}` has no manifest, and Pkg cannot resolve it")]
    Resolve {
        /// The project's Julia name.
        project: String,
        /// What it said.
        source: Box<ChildError>,
    },
    /// Sources are kept by name while an image is built.
    #[error("two packages are called `{name}`, which cannot be packed: {first} and {second}")]
    SameName {
        name: String,
        /// The one's UUID.
        first: Uuid,
        /// The other's UUID.
        second: Uuid,
    },
    /// The `Project.toml` of a dependency cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Julia failed.
    #[error(transparent)]
    Julia(#[from] JuliaError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hint for DepotError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotInManifest { .. } => Some(
                "resolve the project with the Julia in use: `JULIA_PKG_PRECOMPILE_AUTO=0 julia --project=PACKAGE_DIRECTORY -e \
                 'using Pkg; Pkg.resolve()'`; more: `jnumpy-pack about old-typython`"
                    .into(),
            ),
            Self::NoDepot { .. } | Self::NotFound { .. } | Self::NoArtifact { .. } if has_no_depot() => Some(
                "`JULIA_DEPOT_PATH` is set but empty, which means no depot at all: unset it, or name a depot in it; more: \
                 `jnumpy-pack about sources`"
                    .into(),
            ),
            Self::NotFound { .. } | Self::NoArtifact { .. } => Some(
                "fetch them: `jnumpy-pack add`, without a name, runs `Pkg.instantiate()`; other depots are read \
                 from `JULIA_DEPOT_PATH`; more: `jnumpy-pack about sources`"
                    .into(),
            ),
            Self::NoSource { .. } => Some(
                "resolve the project again with the Julia in use: `Pkg.resolve()`; more: `jnumpy-pack about julia-version`"
                    .into(),
            ),
            Self::Project(error) => error.hint(),
            Self::Differs { name, what, .. } => Some(format!(
                "remove the directory and fetch it again: `julia --project=PACKAGE_DIRECTORY -e 'using Pkg; \
                 Pkg.instantiate()'`; to pack the {what} as it is: `unverified = [\"{name}\"]` in `[tool.jnumpy]`; more: \
                 `jnumpy-pack about tree-hash`"
            )),
            Self::Resolve { .. } => Some(
                "where a registry can be reached, run `JULIA_PKG_PRECOMPILE_AUTO=0 julia --project=PACKAGE_DIRECTORY -e \
                 'using Pkg; Pkg.resolve(); Pkg.instantiate()'` with the Julia in use, and keep the `Manifest.toml` that it writes; more: \
                 `jnumpy-pack about no-manifest`"
                    .into(),
            ),
            Self::Julia(error) => error.hint(),
            Self::NoDepot { .. }
            | Self::Selection { .. }
            | Self::Link { .. }
            | Self::Setting { .. }
            | Self::SameName { .. }
            | Self::Io(_) => None,
        }
    }
}

/// Whether the user has told Julia to use no depot.
fn has_no_depot() -> bool {
    std::env::var_os(DEPOT_PATH).is_some_and(|paths| paths.is_empty())
}

/// The depots that the user's own Julia would search, and the one that comes with it.
#[must_use]
pub fn user_depots(julia: &Julia) -> Vec<PathBuf> {
    let own = julia.prefix.join(&julia.layout.share_julia);
    let mut standard = vec![julia.prefix.join("local/share/julia"), own.clone()];
    if let Some(home) = std::env::home_dir() {
        standard.insert(0, home.join(".julia"));
    }
    let mut depots = match std::env::var_os(DEPOT_PATH) {
        None => standard,
        Some(_) if has_no_depot() => Vec::new(),
        // An empty entry stands for the standard ones.
        Some(paths) => std::env::split_paths(&paths)
            .flat_map(|path| if path.as_os_str().is_empty() { standard.clone() } else { vec![path] })
            .collect(),
    };
    if !depots.contains(&own) {
        depots.push(own);
    }
    depots
}

/// The project file of a package of the standard library.
pub(crate) fn standard_library(julia: &Julia, name: &str) -> Result<Option<ProjectToml>, DepotError> {
    let path = julia.prefix.join(&julia.layout.stdlib).join(name).join("Project.toml");
    Ok(if path.is_file() { Some(ProjectToml::read(&path)?) } else { None })
}

/// A Julia command in which Pkg resolves a project, with these depots and the user's settings of Pkg.
pub(crate) fn pkg(project: &str, julia: &Julia, depots: &[PathBuf], script: &str) -> Result<Run, DepotError> {
    // Without this, it would write into Julia's own directory.
    if has_no_depot() {
        return Err(DepotError::NoDepot { project: project.to_owned() });
    }
    let depots = std::env::join_paths(depots).map_err(std::io::Error::other)?;
    let mut run = Run::new(julia)
        .args(["-e", script])
        .env("JULIA_DEPOT_PATH", depots)
        // Precompiling takes minutes, and its result is not used.
        .env("JULIA_PKG_PRECOMPILE_AUTO", "0");
    for variable in ["JULIA_PKG_SERVER", "JULIA_PKG_OFFLINE"] {
        if let Some(value) = std::env::var_os(variable) {
            run = run.env(variable, value);
        }
    }
    Ok(run)
}

/// The project file of an environment with the dependencies of a package, except some, and with its bounds for them.
pub(crate) fn environment_of(package: &ProjectToml, except: impl Fn(&str, Uuid) -> bool) -> toml::Table {
    let others = package.deps.iter().filter(|(name, uuid)| !except(name, **uuid));
    let deps: toml::Table =
        others.map(|(name, uuid)| (name.clone(), toml::Value::String(uuid.to_string()))).collect();
    let mut table = toml::Table::new();
    if let Some(toml::Value::Table(mut compat)) = package.rest.get("compat").cloned() {
        // Only what is a dependency, or Julia itself, may have a bound.
        compat.retain(|name, _| name == "julia" || deps.contains_key(name));
        table.insert("compat".into(), toml::Value::Table(compat));
    }
    table.insert("deps".into(), toml::Value::Table(deps));
    table
}

/// Finds every dependency of `project`, of its dependencies, and of TyPython, whose sources are at `typython`.
pub fn resolve(
    project: &Project,
    typython: &Path,
    julia: &Julia,
    depots: &[PathBuf],
) -> Result<Resolution, DepotError> {
    let mut notes = Vec::new();
    let mut resolver =
        Resolver { project, manifest: project.manifest(&julia.version)?, typython, julia, depots };
    let packages = match resolver.walk()? {
        Walked::Found(packages) => packages,
        Walked::NeedsManifest => {
            resolver.manifest = Some(resolver.run_pkg()?);
            notes.push(format!(
                "`{}` has no manifest: Pkg has chosen the versions for this wheel; keep a `Manifest.toml` beside \
                 `Project.toml` to get the same versions again",
                project.julia.name
            ));
            match resolver.walk()? {
                Walked::Found(packages) => packages,
                Walked::NeedsManifest => BTreeMap::new(),
            }
        }
    };
    let mut resolution = Resolution { packages, artifacts: BTreeMap::new(), notes };
    resolver.verify(&mut resolution)?;
    resolver.find_artifacts(&mut resolution)?;
    resolver.note_extensions(&mut resolution);
    Ok(resolution)
}

struct Resolver<'a> {
    project: &'a Project,
    manifest: Option<Manifest>,
    typython: &'a Path,
    julia: &'a Julia,
    depots: &'a [PathBuf],
}

enum Walked {
    Found(BTreeMap<Uuid, Package>),
    /// There is a dependency of which only a manifest could say where it is.
    NeedsManifest,
}

impl Resolver<'_> {
    /// Follows dependencies from the project on.
    fn walk(&self) -> Result<Walked, DepotError> {
        let mut packages = BTreeMap::new();
        // Every project needs TyPython, whether it says so or gets it from a dependency.
        let always = ("TyPython".to_owned(), Uuid::TYPYTHON);
        let own = &self.project.julia;
        let mut sources = own.sources.clone();
        let mut waiting: Vec<(String, Uuid, String)> = std::iter::once((&always.0, &always.1))
            .chain(&own.deps)
            .map(|(name, uuid)| (name.clone(), *uuid, own.name.clone()))
            .collect();
        let mut seen = BTreeSet::from([self.project.uuid()]);
        let mut names = BTreeMap::from([(own.name.clone(), self.project.uuid())]);
        while let Some((name, uuid, needed_by)) = waiting.pop() {
            if seen.insert(uuid) {
                let Some(package) = self.package(&name, uuid, &needed_by, &mut sources)? else {
                    return Ok(Walked::NeedsManifest);
                };
                if let Some(first) = names.insert(package.name.clone(), uuid) {
                    return Err(DepotError::SameName { name: package.name, first, second: uuid });
                }
                waiting.extend(package.deps.iter().map(|(dep, uuid)| (dep.clone(), *uuid, name.clone())));
                packages.insert(uuid, package);
            }
        }
        Ok(Walked::Found(packages))
    }

    /// Finds one package; `None` when there is no manifest that says where it is. `sources` are the directories that
    /// project files name.
    fn package(
        &self,
        name: &str,
        uuid: Uuid,
        needed_by: &str,
        sources: &mut BTreeMap<String, PathBuf>,
    ) -> Result<Option<Package>, DepotError> {
        if uuid == Uuid::TYPYTHON {
            let project = ProjectToml::read(&self.typython.join("Project.toml"))?;
            return Ok(Some(Package::of(project, Source::RuntimeWheel)));
        }
        let pinned =
            self.manifest.as_ref().and_then(|manifest| Some((manifest, manifest.packages.get(&uuid)?)));
        // Since Julia 1.9 some packages of the standard library can be had newer.
        if !pinned.is_some_and(|(_, pinned)| pinned.tree_hash.is_some() || pinned.directory.is_some())
            && let Some(library) = standard_library(self.julia, name)?
            && library.uuid == Some(uuid)
        {
            return Ok(Some(Package::of(library, Source::StandardLibrary)));
        }
        if let Some((manifest, pinned)) = pinned {
            let directory = self.directory(uuid, pinned, manifest)?;
            let project = match ProjectToml::find(&directory) {
                Some(path) => Some(ProjectToml::read(&path)?),
                None => None,
            };
            let (weak_deps, extensions) =
                project.map(|project| (project.weak_deps, project.extensions)).unwrap_or_default();
            return Ok(Some(Package {
                version: pinned.version.clone(),
                tree_hash: pinned.tree_hash.map(|hash| hash.to_string()),
                deps: pinned.deps.clone(),
                weak_deps,
                extensions,
                ..Package::new(&pinned.name, Source::Directory(directory))
            }));
        }
        if let Some(directory) = sources.get(name).cloned() {
            let missing = || ProjectError::NoProjectToml { path: directory.clone() };
            let mut project = ProjectToml::read(&ProjectToml::find(&directory).ok_or_else(missing)?)?;
            project.drop_weak_deps(&self.julia.version);
            if project.name == name && project.uuid == Some(uuid) {
                sources.extend(project.sources.clone());
                return Ok(Some(Package::of(project, Source::Directory(fs_err::canonicalize(directory)?))));
            }
        }
        match &self.manifest {
            None => Ok(None),
            Some(manifest) => Err(DepotError::NotInManifest {
                name: name.to_owned(),
                project: needed_by.to_owned(),
                manifest: manifest.path.clone(),
            }),
        }
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
        match searched.iter().find(|directory| directory.join(&entry).is_file()) {
            // Without `..`, so that it can be compared with others.
            Some(directory) => Ok(fs_err::canonicalize(directory)?),
            None => Err(DepotError::NotFound {
                name: pinned.name.clone(),
                version: pinned.version.clone().unwrap_or_default(),
                searched,
            }),
        }
    }

    /// Has Pkg resolve the project, in a directory of its own: the user's files stay as they are.
    fn run_pkg(&self) -> Result<Manifest, DepotError> {
        let own = &self.project.julia;
        let directory = tempfile::Builder::new().prefix("jnumpy-resolve-").tempdir()?;
        let table =
            environment_of(own, |name, uuid| uuid == Uuid::TYPYTHON || own.sources.contains_key(name));
        fs_err::write(directory.path().join("Project.toml"), table.to_string())?;
        let run = pkg(&own.name, self.julia, self.depots, RESOLVE)?
            .arg(directory.path())
            .arg(self.typython)
            .args(own.sources.values());
        run.run(|_| ()).map_err(|error| match error {
            JuliaError::Child(source @ ChildError::Failed { .. }) => {
                DepotError::Resolve { project: own.name.clone(), source: source.into() }
            }
            error => error.into(),
        })?;
        Ok(Manifest::read(&directory.path().join("Manifest.toml"))?)
    }

    /// Compares the files of every package that has a tree hash with it.
    fn verify(&self, resolution: &mut Resolution) -> Result<(), DepotError> {
        let unverified = &self.project.settings.unverified;
        for package in resolution.packages.values_mut() {
            let Source::Directory(directory) = &package.source else { continue };
            package.relocated = built::relocated(directory)?;
            if built::is_unbuilt(directory) {
                resolution.notes.push(format!(
                    "`{name}` has a build script that has not been run; if it does not load: \
                     `julia --project=PACKAGE_DIRECTORY -e 'using Pkg; Pkg.build(\"{name}\")'`",
                    name = package.name
                ));
            }
            let Some(hash) = &package.tree_hash else { continue };
            let Ok(expected) = hash.parse::<TreeHash>() else { continue };
            let found = tree_hash(directory)?;
            if found == expected {
                continue;
            }
            if let Some(outputs) = built::outputs(directory, expected)? {
                resolution.notes.push(format!(
                    "`{}` is packed with files that its build script has created on this machine: {}",
                    package.name,
                    shown_outputs(directory, &outputs)
                ));
                continue;
            }
            if !unverified.contains(&package.name) {
                return Err(DepotError::Differs {
                    name: package.name.clone(),
                    what: Kind::Package,
                    directory: directory.clone(),
                    expected,
                    found,
                });
            }
            resolution.notes.push(artifacts::unverified(Kind::Package, &package.name, &found));
            package.edited = Some(found);
        }
        Ok(())
    }

    fn find_artifacts(&self, resolution: &mut Resolution) -> Result<(), DepotError> {
        let own = (self.project.uuid(), self.project.julia.name.as_str(), self.project.package_dir.as_path());
        let others = resolution.packages.iter().filter_map(|(uuid, package)| match &package.source {
            Source::Directory(directory) => Some((*uuid, package.name.as_str(), directory.as_path())),
            _ => None,
        });
        let owners: Vec<artifacts::Owner<'_>> = std::iter::once(own).chain(others).collect();
        let settings = &self.project.settings;
        let wishes = artifacts::Wishes { lazy: &settings.lazy_artifacts, unverified: &settings.unverified };
        let found = artifacts::find(&owners, self.julia, self.depots, &wishes, &mut resolution.notes)?;
        resolution.artifacts = found;
        let packages = resolution.packages.values().map(|package| package.name.clone());
        let names: Vec<String> =
            packages.chain(resolution.artifacts.values().map(|a| a.name.clone())).collect();
        match settings.unverified.iter().find(|name| !names.contains(name)) {
            None => Ok(()),
            Some(name) => Err(DepotError::Setting {
                key: "unverified",
                name: jnumpy_base::text::printable(name),
                names,
            }),
        }
    }

    /// Notes which extensions this Julia does not load although their triggers are packed.
    fn note_extensions(&self, resolution: &mut Resolution) {
        if self.julia.version.minor >= EXTENSIONS_SINCE {
            return;
        }
        let mut notes = Vec::new();
        for package in resolution.packages.values() {
            for (extension, triggers) in &package.extensions {
                if triggers.iter().all(|name| resolution.has(name)) {
                    notes.push(format!(
                        "the extension `{extension}` of `{}` is packed but never loaded: extensions need Julia \
                         1.{EXTENSIONS_SINCE}, the Julia in use is {}",
                        package.name, self.julia.version
                    ));
                }
            }
        }
        resolution.notes.extend(notes);
    }
}

/// The names of the first files, and how many there are beside.
fn shown_outputs(directory: &Path, files: &BTreeSet<PathBuf>) -> String {
    const MOST: usize = 4;
    let name = |file: &PathBuf| format!("`{}`", files::shown(file.strip_prefix(directory).unwrap_or(file)));
    let mut names: Vec<String> = files.iter().take(MOST).map(name).collect();
    if let Some(more @ 1..) = files.len().checked_sub(MOST) {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests;
