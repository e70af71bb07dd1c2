//! The user's project: reads and checks its files, and never changes them.
//!
//! A project is a directory with `pyproject.toml` and one Python package that is a Julia package too: its
//! directory holds `__init__.py`, `Project.toml` and `src/<name>.jl`.

mod extensions;
mod files;
mod manifest;
mod others;
mod project_toml;
mod pyproject;
mod settings;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) use extensions::parts as extension_parts;
pub use files::PackageFile;
pub(crate) use files::list as list_files;
pub use manifest::{Manifest, Pinned, TreeHash};
pub use project_toml::{EXTENSIONS_SINCE, ProjectToml};
pub use pyproject::{Pyproject, PyprojectError};
pub use settings::{Settings, Stdlibs};

use sha2::{Digest, Sha256};

use crate::formats::{Uuid, Version};
use jnumpy_base::Hint;
use jnumpy_base::text::{is_identifier, nearest, printable};

/// A project that can be packed, as far as its own files tell.
#[derive(Debug, Clone)]
pub struct Project {
    /// The directory of `pyproject.toml`.
    pub root: PathBuf,
    /// The directory of the Python package that is a Julia package too, without links.
    pub package_dir: PathBuf,
    /// The directory that Python imports the package from: its parent, or that of a link to it.
    pub import_dir: PathBuf,
    /// The name that package is imported by.
    pub package_name: String,
    /// Its `Project.toml`, or `JuliaProject.toml`.
    pub project_toml: PathBuf,
    /// What that file says.
    pub julia: ProjectToml,
    /// `[project]` of `pyproject.toml`.
    pub pyproject: Pyproject,
    /// `[tool.jnumpy]` of `pyproject.toml`.
    pub settings: Settings,
    /// Every file of the package that belongs into a wheel, sorted by path.
    pub files: Vec<PackageFile>,
    /// Files of other Python packages and modules, by their paths in the wheel, sorted.
    pub others: Vec<PackageFile>,
    /// The CPythons that the package's compiled modules are for, as in `cp311`; `None` when it has none of its own.
    pub abis: Option<BTreeSet<String>>,
}

impl Project {
    /// Reads the project at `root`.
    pub fn load(root: &Path) -> Result<Self, ProjectError> {
        let root = std::path::absolute(root)?;
        if !root.join("pyproject.toml").is_file() {
            return Err(ProjectError::NoPyproject { root });
        }
        let root = fs_err::canonicalize(root)?;
        let file = root.join("pyproject.toml");
        let document = TomlFile::read(&file)?;
        let settings = Settings::from_file(&document)?;
        for workload in &settings.precompile {
            let path = root.join(workload);
            if !path.is_file() {
                return Err(ProjectError::NoWorkload { path });
            }
        }
        let found = find_package(&root, settings.package.as_deref())?;
        let package_name = found.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !is_identifier(&package_name) {
            return Err(ProjectError::PackageName { name: package_name, path: found });
        }
        let import_dir = found.parent().unwrap_or(&root).to_owned();
        let package_dir = fs_err::canonicalize(found)?;
        let project_toml = ProjectToml::find(&package_dir)
            .ok_or_else(|| ProjectError::NoProjectToml { path: package_dir.clone() })?;
        let julia = ProjectToml::read(&project_toml)?;
        let pyproject = Pyproject::from_file(&document, julia.version.as_deref())?;
        let entry = package_dir.join("src").join(format!("{}.jl", julia.name));
        if !entry.is_file() {
            return Err(ProjectError::NoEntry { name: julia.name, path: entry });
        }
        let mut files = list_files(&package_dir)?;
        add_data(&root, &settings, &mut files)?;
        let package =
            others::Package { root: &root, parent: &import_dir, name: &package_name, files: &files };
        package.check_top_level()?;
        let others = package.other_files(settings.packages.as_deref())?;
        let all: Vec<PackageFile> = files.iter().chain(&others).cloned().collect();
        let abis = extensions::abis(&all)?;
        Ok(Self {
            root,
            package_dir,
            import_dir,
            package_name,
            project_toml,
            julia,
            pyproject,
            settings,
            files,
            others,
            abis,
        })
    }

    /// Reads the manifest that fits this Julia, when there is one.
    pub fn manifest(&self, julia: &Version) -> Result<Option<Manifest>, ProjectError> {
        let named = self.julia.manifest.clone().filter(|path| path.is_file());
        let beside = || Manifest::find(&self.package_dir, julia);
        let shared = || Manifest::find(&project_toml::workspace(&self.package_dir)?, julia);
        let Some(path) = named.or_else(beside).or_else(shared) else { return Ok(None) };
        let manifest = Manifest::read(&path)?;
        manifest.check(julia)?;
        Ok(Some(manifest))
    }

    /// Whether the manifest is another one than beside the project file: named there, or that of a workspace.
    #[must_use]
    pub fn has_foreign_manifest(&self) -> bool {
        self.julia.manifest.is_some() || project_toml::workspace(&self.package_dir).is_some()
    }

    /// Every file of the project that belongs into a source distribution, sorted by path.
    pub fn sources(&self) -> Result<Vec<PackageFile>, ProjectError> {
        files::list_sources(&self.root)
    }

    /// The UUID the package has in the image: its own, or one made from its name when it has none.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.julia.uuid.unwrap_or_else(|| {
            let digest = Sha256::digest(format!("jnumpy-pack project {}", self.julia.name));
            let mut half = [0; 16];
            half.copy_from_slice(&digest[..16]);
            Uuid::from_hash(half)
        })
    }
}

/// Errors about a project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The directory has no `pyproject.toml`.
    #[error("no `pyproject.toml` in `{}`", root.display())]
    NoPyproject {
        /// The directory looked in.
        root: PathBuf,
    },
    /// A file is not TOML.
    #[error("`{}` is not valid TOML", path.display())]
    Toml {
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A file is TOML with wrong contents.
    #[error("`{}` is invalid: {message}", path.display())]
    Invalid {
        path: PathBuf,
        /// Which key, which value.
        message: String,
    },
    /// No directory is a Python and a Julia package.
    #[error("no Python package with a Julia `Project.toml`, looked in: {}", list(searched))]
    NoPackage {
        /// The directories that were looked at.
        searched: Vec<PathBuf>,
    },
    /// A Python package has no `Project.toml`.
    #[error("no `Project.toml` in the package directory: `{}`", path.display())]
    NoProjectToml {
        /// The package's directory.
        path: PathBuf,
    },
    /// `[tool.jnumpy] package` does not name a Python package.
    #[error("`package` of `[tool.jnumpy]` names a directory without `__init__.py`: `{}`", path.display())]
    NotAPackage {
        /// The directory named.
        path: PathBuf,
    },
    /// More than one directory qualifies.
    #[error("several packages have both `__init__.py` and `Project.toml`: {}", list(candidates))]
    SeveralPackages {
        /// All of them.
        candidates: Vec<PathBuf>,
    },
    /// Python packages and modules that nobody has decided about.
    #[error("the project has other Python packages or modules: {}", list(others))]
    OtherPackages {
        /// Their directories and files.
        others: Vec<PathBuf>,
        /// Their paths in the project.
        names: Vec<String>,
    },
    /// The package is a part of another one.
    #[error("the package `{}` is imported as `{whole}`, and only a top-level package can be packed", path.display())]
    Nested {
        /// Its directory.
        path: PathBuf,
        /// The name it is imported by.
        whole: String,
    },
    /// The directory's name cannot be imported.
    #[error("the package directory `{}` has a name that Python cannot import: `{name}`", path.display())]
    PackageName { name: String, path: PathBuf },
    /// `Project.toml` is an environment, not a package.
    #[error("`{}` has no `name`", path.display())]
    NoName {
        /// The `Project.toml`.
        path: PathBuf,
    },
    /// The module's file does not exist.
    #[error("`Project.toml` names the module `{name}`, but there is no file `{}`", path.display())]
    NoEntry {
        /// The name in `Project.toml`.
        name: String,
        /// The file that should exist.
        path: PathBuf,
    },
    /// A file of `[tool.jnumpy] precompile` does not exist.
    #[error("`precompile` of `[tool.jnumpy]` names a file that does not exist: `{}`", path.display())]
    NoWorkload {
        /// The file named.
        path: PathBuf,
    },
    /// The manifest was resolved by another version of Julia.
    #[error("`{}` was resolved by Julia {manifest}, but the Julia in use is {julia}", path.display())]
    OtherJulia {
        /// The `Manifest.toml`.
        path: PathBuf,
        /// The version it was resolved by.
        manifest: Version,
        julia: Version,
    },
    /// A key of `[tool.jnumpy]` that does not exist.
    #[error("`{}` has an unknown key in `[tool.jnumpy]`: `{}`", path.display(), printable(key))]
    UnknownSetting {
        /// The `pyproject.toml`.
        path: PathBuf,
        key: String,
    },
    /// `[tool.jnumpy] data` or `libraries` names what is not there.
    #[error("`{key}` of `[tool.jnumpy]` names a file that does not exist: `{}`", path.display())]
    NoSuchFile {
        /// The setting.
        key: &'static str,
        /// The file named.
        path: PathBuf,
    },
    /// `[tool.jnumpy] data` names a path that the package itself uses.
    #[error("`data` of `[tool.jnumpy]` puts a file where the package has one already: `{location}`")]
    DataTwice {
        /// The path in the package.
        location: String,
    },
    /// A file of the package cannot be in a wheel.
    #[error("`{}` cannot be packed: {reason}", printable(&path.to_string_lossy()))]
    Unpackable {
        path: PathBuf,
        /// What it is.
        reason: &'static str,
    },
    /// A compiled module of the package is for no Python that could run the wheel.
    #[error("no Python can import the compiled module `{}` from the wheel: {reason}", path.display())]
    ExtensionModule {
        /// The module's file.
        path: PathBuf,
        reason: &'static str,
    },
    /// `[project]` is wrong.
    #[error(transparent)]
    Pyproject(#[from] PyprojectError),
    /// A file could not be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hint for ProjectError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoPyproject { root } => {
                let old = ["setup.py", "setup.cfg"].into_iter().find(|name| root.join(name).is_file());
                Some(match old {
                    Some(old) => format!(
                        "`{old}` is not read: write a `pyproject.toml` with `name`, `version`, and `dependencies` in \
                         `[project]`, and `[tool.jnumpy]` if it needs settings"
                    ),
                    None => "give the directory that holds the project's `pyproject.toml`".into(),
                })
            }
            Self::NoPackage { .. } | Self::NoProjectToml { .. } => Some(
                "a package to pack has `__init__.py`, `Project.toml` and `src/<name>.jl` in one directory, at the \
                 top of the project or under `src`; elsewhere, name it: `package` in `[tool.jnumpy]`"
                    .into(),
            ),
            Self::OtherPackages { names, .. } => Some(format!(
                "to pack them too: `packages = {names:?}` in `[tool.jnumpy]`; to leave them out: `packages = []`"
            )),
            Self::Nested { .. } => Some(
                "move the Julia project to a top-level package, such as `_name_core`, and import it from here".into(),
            ),
            Self::SeveralPackages { .. } => Some("choose one: `package` in `[tool.jnumpy]`".into()),
            Self::NoName { .. } => {
                Some("put `name = \"MyModule\"` at its top, and the module into `src/MyModule.jl`".into())
            }
            Self::OtherJulia { manifest, .. } => Some(format!(
                "use Julia {}.{} (`--julia PATH`), or resolve again with the Julia in use: `Pkg.resolve()`; \
                 more: `jnumpy-pack about julia-version`",
                manifest.major, manifest.minor
            )),
            Self::UnknownSetting { key, .. } => Some(match nearest(key, &settings::KEYS) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("the keys are {}", settings::KEYS.join(", ")),
            }),
            Self::NoSuchFile { .. } => Some("paths are relative to the directory of `pyproject.toml`".into()),
            Self::ExtensionModule { .. } => {
                Some("compile all of them for the same CPython, or remove those for another".into())
            }
            Self::Pyproject(error) => error.hint(),
            _ => None,
        }
    }
}

/// Finds the package directory: the one named, else the only candidate at the top or under `src`.
fn find_package(root: &Path, named: Option<&Path>) -> Result<PathBuf, ProjectError> {
    if let Some(named) = named {
        let path = root.join(named);
        if !path.join("__init__.py").is_file() {
            return Err(ProjectError::NotAPackage { path });
        }
        if ProjectToml::find(&path).is_none() {
            return Err(ProjectError::NoProjectToml { path });
        }
        return Ok(path);
    }
    let mut searched = Vec::new();
    let mut python = Vec::new();
    for directory in [root.to_owned(), root.join("src")] {
        if !directory.is_dir() {
            continue;
        }
        for entry in fs_err::read_dir(&directory)? {
            let path = entry?.path();
            if path.join("__init__.py").is_file() {
                python.push(path);
            }
        }
        searched.push(directory);
    }
    python.sort();
    let mut both: Vec<PathBuf> =
        python.iter().filter(|path| ProjectToml::find(path).is_some()).cloned().collect();
    match (both.len(), python.len()) {
        (1, _) => Ok(both.remove(0)),
        (0, 1) => Err(ProjectError::NoProjectToml { path: python.remove(0) }),
        (0, _) => Err(ProjectError::NoPackage { searched }),
        _ => Err(ProjectError::SeveralPackages { candidates: both }),
    }
}

/// Adds the files that `data` puts into the package from elsewhere in the project.
fn add_data(root: &Path, settings: &Settings, files: &mut Vec<PackageFile>) -> Result<(), ProjectError> {
    for (location, source) in &settings.data {
        let path = root.join(source);
        let found = if path.is_dir() {
            let mut found = list_files(&path)?;
            for file in &mut found {
                file.name = format!("{location}/{}", file.name);
            }
            found
        } else if path.is_file() {
            vec![PackageFile { name: location.clone(), path, executable: false }]
        } else {
            return Err(ProjectError::NoSuchFile { key: "data", path });
        };
        for file in found {
            if files.iter().any(|known| known.name == file.name) {
                return Err(ProjectError::DataTwice { location: file.name });
            }
            files.push(file);
        }
    }
    files.sort();
    Ok(())
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

/// The largest TOML file that is read, so that a wrong file does not fill the memory.
const LARGEST_TOML: u64 = 16 << 20;

/// A TOML file that was read once.
#[derive(Debug)]
struct TomlFile {
    path: PathBuf,
    /// Errors of types point into it.
    text: String,
    table: toml::Table,
}

impl TomlFile {
    fn read(path: &Path) -> Result<Self, ProjectError> {
        let size = fs_err::metadata(path)?.len();
        if size > LARGEST_TOML {
            let message = format!("it has {size} bytes, more than the {LARGEST_TOML} that are read");
            return Err(ProjectError::Invalid { path: path.to_owned(), message });
        }
        let text = fs_err::read_to_string(path)?;
        let table = text.parse().map_err(|source| ProjectError::Toml { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), text, table })
    }
}

/// Reads a TOML file.
pub(crate) fn read_toml(path: &Path) -> Result<toml::Table, ProjectError> {
    Ok(TomlFile::read(path)?.table)
}

/// A string at the top of a table; an error says what it is instead.
fn string(table: &toml::Table, key: &str) -> Result<Option<String>, String> {
    match table.get(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("`{key}` must be a string: `{}`", printable(&other.to_string()))),
    }
}

#[cfg(test)]
mod tests;
