//! What can go wrong with a Julia.

use std::io;
use std::path::PathBuf;

use crate::formats::{InvalidVersion, Version};
use crate::stages::julia::Origin;
use crate::stages::julia::install::InstallError;
use jnumpy_base::Hint;
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::process::ChildError;

/// Any failure to find, ask, run or install a Julia.
#[derive(Debug, thiserror::Error)]
pub enum JuliaError {
    /// No place holds a Julia that starts.
    #[error("no Julia found, looked in: {}", searched.join("; "))]
    NotFound {
        /// Every place, with what was there.
        searched: Vec<String>,
    },
    /// The Julia that was named is not there.
    #[error("there is no Julia at `{}`, which {origin} names", path.display())]
    NotThere {
        /// The path or command as it was given.
        path: PathBuf,
        /// Who gave it.
        origin: Origin,
    },
    /// A Julia is there and cannot be started, or ends at once.
    #[error("the Julia `{}` ({origin}) does not start", executable.display())]
    NotStarting {
        /// The executable.
        executable: PathBuf,
        /// Who named it.
        origin: Origin,
        /// Exit status and stderr.
        source: Box<ChildError>,
    },
    /// It runs, and is no Julia.
    #[error("`{}` does not answer as a Julia does: {answer}", executable.display())]
    NotJulia {
        /// The executable.
        executable: PathBuf,
        /// What it said instead.
        answer: String,
    },
    /// A Julia from before the oldest that works.
    #[error("`{}` is Julia {version}, older than {}, the oldest that works", executable.display(), Version::OLDEST_SUPPORTED)]
    TooOld {
        /// The executable.
        executable: PathBuf,
        /// Its version.
        version: Version,
    },
    /// A part that Julia names is not on disk.
    #[error("the {part} of `{}` is not where that Julia says it is", executable.display())]
    PartMissing {
        /// Which part.
        part: &'static str,
        /// The executable that was asked.
        executable: PathBuf,
        /// Names the path.
        source: io::Error,
    },
    /// A part lies outside the prefix, so the Julia cannot be taken as one tree.
    #[error("the {part} `{}` lies outside its prefix `{}`", path.display(), prefix.display())]
    Scattered {
        /// Which part.
        part: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Where the executable's tree is.
        prefix: PathBuf,
    },
    /// Text that should be a version is not.
    #[error(transparent)]
    Version(#[from] InvalidVersion),
    /// Neither `JNUMPY_HOME` nor a home directory is known.
    #[error("the home directory is not known, so there is no place for installed Julias")]
    NoHome,
    /// A Julia that was to do something failed.
    #[error(transparent)]
    Child(ChildError),
    /// An installation failed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// A file system operation failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<ChildError> for JuliaError {
    fn from(error: ChildError) -> Self {
        match error {
            ChildError::Interrupted(stop) => Self::Interrupted(stop),
            error => Self::Child(error),
        }
    }
}

impl Hint for JuliaError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => {
                "`jnumpy-pack julia install` installs one; or name yours with `--julia PATH` or `TYPY_JL_EXE`; \
                 more: `jnumpy-pack about no-julia`"
                    .into()
            }
            Self::NotThere { origin, .. } => {
                format!("correct {origin}, or leave it out to search `PATH` and the installed ones")
            }
            Self::NotStarting { executable, .. } => {
                format!("see what `{} --version` says in a terminal", executable.display())
            }
            Self::NotJulia { .. } | Self::TooOld { .. } => {
                "name another with `--julia PATH`, or install one: `jnumpy-pack julia install`".into()
            }
            Self::PartMissing { .. } => "that installation is damaged: install it again".into(),
            Self::Scattered { .. } => {
                "a Julia is packed as one tree: use an official one, or `jnumpy-pack julia install`".into()
            }
            Self::NoHome => "set `JNUMPY_HOME` to a directory".into(),
            Self::Install(error) => return error.hint(),
            Self::Version(_) | Self::Child(_) | Self::Io(_) | Self::Interrupted(_) => return None,
        })
    }
}
