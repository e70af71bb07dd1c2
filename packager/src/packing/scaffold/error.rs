//! Why a new project cannot be made.

use std::path::PathBuf;

use jnumpy_base::Hint;

/// A new project cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// A name that Python or Julia cannot use.
    #[error("`{name}` cannot be the name of a package: {reason}")]
    Name {
        /// The name, fit to print.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// There is something by that name.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// The directory that should hold the project cannot be used.
    #[error("no project can be made in `{}`", path.display())]
    Parent {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hint for ScaffoldError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name { .. } => Some("choose a name like `my-solver`".into()),
            Self::Exists { .. } => {
                Some("choose another name, or another place with `--directory DIR`".into())
            }
            Self::Parent { .. } => Some("name a directory you may write to: `--directory DIR`".into()),
            Self::Io(_) => None,
        }
    }
}
