//! `[tool.jnumpy]` of `pyproject.toml`: what packing cannot find out by itself.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::{ProjectError, read_toml};

/// The settings of one project. Unknown keys are errors: a misspelt one would be ignored in silence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The package's directory, relative to the project; found when absent.
    pub package: Option<PathBuf>,
    /// Scripts, `.py` or `.jl`, whose run says what to compile into the image; relative to the project. Written as
    /// one path or a list.
    #[serde(default, deserialize_with = "one_or_more")]
    pub precompile: Vec<PathBuf>,
    /// Names of artifacts that packages load lazily, to be bundled all the same.
    #[serde(default, rename = "lazy-artifacts")]
    pub lazy_artifacts: Vec<String>,
    /// Names of packages and artifacts that are taken although their files are not what their tree hash says.
    #[serde(default)]
    pub unverified: Vec<String>,
}

impl Settings {
    /// Reads the table from `pyproject.toml`; without one, all settings have their defaults.
    pub fn read(pyproject: &Path) -> Result<Self, ProjectError> {
        let table = read_toml(pyproject)?;
        let Some(table) = table.get("tool").and_then(|tool| tool.get("jnumpy")) else {
            return Ok(Self::default());
        };
        let invalid = |message: String| ProjectError::Invalid { path: pyproject.to_owned(), message };
        let settings: Self = table.clone().try_into().map_err(|error: toml::de::Error| {
            invalid(format!("`[tool.jnumpy]`: {}", error.message().trim_end()))
        })?;
        for path in settings.package.iter().chain(&settings.precompile) {
            let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside || path.as_os_str().is_empty() {
                return Err(invalid(format!(
                    "`[tool.jnumpy]`: a path must be relative and stay in the project: `{}`",
                    path.display()
                )));
            }
        }
        for path in &settings.precompile {
            if !path.extension().is_some_and(|extension| extension == "py" || extension == "jl") {
                return Err(invalid(format!(
                    "`[tool.jnumpy]`: `precompile` takes `.py` and `.jl` files: `{}`",
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
