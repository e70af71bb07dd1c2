use std::path::PathBuf;

use crate::formats::policy::PolicyError;
use jnumpy_base::Hint;
use jnumpy_base::process::LastLines;
use jnumpy_base::text::printable;

/// Wheels cannot be collected.
#[derive(Debug, thiserror::Error)]
pub enum WheelhouseError {
    /// The output directory contains files.
    #[error("`{}` is not an empty directory", path.display())]
    NotEmpty { path: PathBuf },
    /// There is nothing to collect.
    #[error("no wheel was given")]
    NoWheels,
    /// The name of a wheel must have a platform tag for Linux.
    #[error("the file name of `{}` is not that of a wheel for Linux", path.display())]
    NotAWheel { path: PathBuf },
    /// No machine can install all of the wheels.
    #[error("the wheels are for different processors: {machines}")]
    Machines { machines: String },
    /// The wheel is for newer systems.
    #[error("`{wheel}` does not run on {platform}")]
    TooNew { wheel: String, platform: String },
    /// An invalid version of Python.
    #[error("`{}` is not a version of Python such as `3.13`", printable(version))]
    Version { version: String },
    /// The platform cannot be read.
    #[error(transparent)]
    Platform(#[from] PolicyError),
    /// There is no suitable Python.
    #[error("no Python can be used: {reason}")]
    Python { reason: String },
    /// pip cannot find or download a requirement.
    #[error("pip cannot download everything that CPython {version} needs on {platform}")]
    Download { version: String, platform: String, source: LastLines },
}

impl Hint for WheelhouseError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotEmpty { .. } => "name a new directory: `--out-dir DIR`",
            Self::NoWheels | Self::NotAWheel { .. } => "name wheels that `jnumpy-pack wheel` has packed",
            Self::Machines { .. } => "make a separate directory for each processor",
            Self::TooNew { .. } => {
                "`--platform manylinux_X_Y` names the oldest system that installs the wheel"
            }
            Self::Version { .. } => "name major and minor version: `--python-version 3.13`",
            Self::Platform(error) => return error.hint(),
            Self::Python { .. } => "name a Python with pip: `--python PATH`",
            Self::Download { .. } => {
                "pip needs an index, or directories with wheels: `--find-links DIR`. A requirement may have wheels only for \
                 newer systems (`--platform manylinux_X_Y`) or for other versions of Python (`--python-version X.Y`)"
            }
        };
        Some(text.into())
    }
}
