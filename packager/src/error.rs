//! What can go wrong, by topic. Each module owns its error type; this one gathers them for the commands.

use crate::interrupt::Interrupted;

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
    /// The user, or a signal, asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => Some(
                "free some space, or point `--out-dir`, `TMPDIR` or `JNUMPY_HOME` at a larger disk".into(),
            ),
            Self::Io(_) | Self::Interrupted(_) => None,
        }
    }
}
