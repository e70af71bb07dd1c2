use std::path::PathBuf;

use jnumpy_base::Hint;
use jnumpy_base::process::LastLines;

/// A wheel does not work, or could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum SmokeError {
    /// The wheel has no Julia package.
    #[error("`{}` has no Julia package to import", path.display())]
    NoBundle { path: PathBuf },
    /// There is no suitable Python.
    #[error("no Python can be used: {reason}")]
    Python { reason: String },
    /// The environment cannot be created.
    #[error("`{}` cannot make a virtual environment", python.display())]
    Environment { python: PathBuf, source: LastLines },
    /// pip cannot install the wheel.
    #[error("`{wheel}` cannot be installed")]
    Install { wheel: String, source: LastLines },
    /// The import fails.
    #[error("`import {package}` fails in a new environment")]
    Import { package: String, source: LastLines },
    /// A script fails after the import.
    #[error("`{package}` is imported, but a script fails")]
    Script { package: String, source: LastLines },
}

impl Hint for SmokeError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoBundle { .. } => "name a wheel that `jnumpy-pack wheel` has packed",
            Self::Python { .. } => "name a Python that has what the wheel requires: `--python PATH`",
            Self::Environment { .. } => {
                "install the module `venv` for it (on Debian: package `python3-venv`), or name another with `--python PATH`"
            }
            Self::Install { .. } => {
                "what the wheel requires must be in the environment of `--python PATH`, or as wheels in a directory that \
                 `--find-links DIR` names"
            }
            Self::Import { .. } => "`jnumpy-pack audit` looks for the usual causes",
            Self::Script { .. } => return None,
        };
        Some(text.into())
    }
}
