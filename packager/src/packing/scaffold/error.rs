//! Errors of creating a project.

use std::path::PathBuf;

use jnumpy_base::Hint;

/// A project could not be created.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// A name that Python or Julia cannot use.
    #[error("the project cannot be named `{name}`: {reason}")]
    Name {
        /// The name, escaped for printing.
        name: String,
        reason: &'static str,
    },
    /// A path of the new project exists.
    #[error("`{}` already exists", path.display())]
    Exists { path: PathBuf },
    /// The directory that should hold the project cannot be used.
    #[error("cannot create a project in `{}`", path.display())]
    Parent { path: PathBuf, source: std::io::Error },
    /// A file cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hint for ScaffoldError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name { .. } => Some("choose a name like `my-solver`".into()),
            Self::Exists { .. } => {
                Some("choose another name, or another directory with `--directory DIR`".into())
            }
            Self::Parent { .. } => Some("choose a writable directory with `--directory DIR`".into()),
            Self::Io(_) => None,
        }
    }
}
