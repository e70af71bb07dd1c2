//! `[tool.jnumpy]` of `pyproject.toml`: the settings for packing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::{ProjectError, TomlFile};

/// The keys of `[tool.jnumpy]`.
pub(super) const KEYS: [&str; 13] = [
    "compiler",
    "data",
    "exclude",
    "include",
    "lazy-artifacts",
    "libraries",
    "library-dirs",
    "package",
    "packages",
    "precompile",
    "shared",
    "stdlibs",
    "unverified",
];

/// Which of Julia's standard libraries a full image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Stdlibs {
    /// All libraries of Julia's stock image.
    #[default]
    All,
    /// Only the libraries that the project, its dependencies, and the runtime need.
    Used,
}

/// The settings of one project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Settings {
    /// The package's directory, relative to the project; found when absent.
    pub package: Option<PathBuf>,
    /// Python packages and modules to pack beside it, relative to the project; with none named, others are an error.
    pub packages: Option<Vec<PathBuf>>,
    /// Scripts, `.py` or `.jl`, whose run says what to compile into the image; relative to the project. Written as
    /// one path or a list.
    #[serde(deserialize_with = "one_or_more")]
    pub precompile: Vec<PathBuf>,
    /// What to leave out of the wheel beyond the usual: patterns of paths below `_jnumpy`, or names of optional rules.
    pub exclude: Vec<String>,
    /// What to keep although a rule leaves it out: names of rules, or patterns of paths below `_jnumpy`.
    pub include: Vec<String>,
    /// Native libraries that the project's code opens by name: names, looked for in `library_dirs`, or paths relative
    /// to the project.
    pub libraries: Vec<String>,
    /// Whether the wheel has Julia's compiler; it does when absent.
    pub compiler: Option<bool>,
    /// Which standard libraries a full image has; those of Julia's stock image when absent.
    pub stdlibs: Option<Stdlibs>,
    /// Whether the wheel runs on the Julia of another one; on its own when absent.
    pub shared: Option<bool>,
    /// Where to look for native libraries beside Julia's own; relative to the project, or absolute.
    pub library_dirs: Vec<PathBuf>,
    /// Files and directories of the project to put into the package: path in the package → path in the project.
    pub data: BTreeMap<String, PathBuf>,
    /// Names of artifacts that packages load lazily, to be bundled all the same.
    pub lazy_artifacts: Vec<String>,
    /// Names of packages and artifacts that are taken although their files are not what their tree hash says.
    pub unverified: Vec<String>,
}

impl Settings {
    /// Reads the table of `pyproject.toml`; without one, all settings have their defaults.
    pub(super) fn from_file(file: &TomlFile) -> Result<Self, ProjectError> {
        let pyproject = &file.path;
        let Some(table) = file.table.get("tool").and_then(|tool| tool.get("jnumpy")) else {
            return Ok(Self::default());
        };
        let invalid = |message: String| ProjectError::Invalid {
            path: pyproject.clone(),
            message: format!("`[tool.jnumpy]`: {message}"),
        };
        // Otherwise, a misspelled key would be ignored silently.
        let keys = table.as_table().into_iter().flat_map(|table| table.keys());
        if let Some(key) = keys.into_iter().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(ProjectError::UnknownSetting { path: pyproject.clone(), key: key.clone() });
        }
        let settings: Self = table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| invalid(error.message().trim_end().to_owned()))?;
        let libraries = settings.libraries.iter().filter(|name| name.contains('/')).map(Path::new);
        let paths = settings
            .package
            .iter()
            .chain(settings.packages.iter().flatten())
            .chain(&settings.precompile)
            .chain(settings.data.values());
        let locations = settings.data.keys().map(Path::new);
        for path in paths.map(PathBuf::as_path).chain(libraries).chain(locations) {
            let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside || path.as_os_str().is_empty() {
                return Err(invalid(format!(
                    "a path must be relative and stay in the project: `{}`",
                    path.display()
                )));
            }
        }
        for path in &settings.precompile {
            if !path.extension().is_some_and(|extension| extension == "py" || extension == "jl") {
                return Err(invalid(format!(
                    "`precompile` takes `.py` and `.jl` files: `{}`",
                    path.display()
                )));
            }
        }
        Ok(settings)
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`precompile` must be a path or a list of paths")]
    enum OneOrMore {
        One(PathBuf),
        More(Vec<PathBuf>),
    }
    Ok(match OneOrMore::deserialize(from)? {
        OneOrMore::One(path) => vec![path],
        OneOrMore::More(paths) => paths,
    })
}
