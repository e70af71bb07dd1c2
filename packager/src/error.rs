//! What can go wrong, by topic. Each module owns its error type; this one gathers them for the commands.

use crate::interrupt::Interrupted;
use crate::julia::JuliaError;
use crate::julia::install::InstallError;

/// Advice that belongs to an error but is not part of its message: printed after it as `hint: …`.
pub trait Hint {
    /// What the reader can do next, when there is something to do.
    fn hint(&self) -> Option<String>;
}

/// Any failure of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file system operation failed; `fs_err` has put the path into the message.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A Julia could not be found, run or installed.
    #[error(transparent)]
    Julia(JuliaError),
    /// The user, or a signal, asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<JuliaError> for Error {
    fn from(error: JuliaError) -> Self {
        match error {
            JuliaError::Interrupted(stop) | JuliaError::Install(InstallError::Interrupted(stop)) => {
                Self::Interrupted(stop)
            }
            JuliaError::Io(error) | JuliaError::Install(InstallError::Io(error)) => Self::Io(error),
            error => Self::Julia(error),
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => Some(
                "free some space, or point `--out-dir`, `TMPDIR` or `JNUMPY_HOME` at a larger disk".into(),
            ),
            Self::Julia(error) => error.hint(),
            Self::Io(_) | Self::Interrupted(_) => None,
        }
    }
}
