//! What can go wrong with the plan of a wheel.

use std::path::PathBuf;

use super::ClosureError;
use super::policy::PolicyError;
use crate::depot::DepotError;
use crate::elf::ElfError;
use crate::error::Hint;
use crate::interrupt::Interrupted;
use crate::julia::JuliaError;
use crate::project::ProjectError;
use crate::wheel::WheelError;

/// Why a wheel cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A library is damaged, or cannot be made relocatable.
    #[error("`{}` cannot be bundled", path.display())]
    Elf {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        source: ElfError,
    },
    /// A library was found elsewhere than in Julia's tree.
    #[error("`{}` lies outside of Julia's tree `{}`", path.display(), prefix.display())]
    Outside {
        /// The library.
        path: PathBuf,
        /// The tree.
        prefix: PathBuf,
    },
    /// Two things want the same place.
    #[error("two sources for `{path}` in the bundle: {first} and {second}")]
    Twice {
        /// The path in the bundle.
        path: String,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// A path that cannot be in a wheel.
    #[error("`{}` has a name that is not UTF-8", path.display())]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// A needed library is missing.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// No platform tag fits.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A file of a dependency cannot be packed.
    #[error(transparent)]
    Depot(Box<DepotError>),
    /// A file of a package cannot be packed.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The record of an installed Julia is damaged.
    #[error(transparent)]
    Julia(#[from] JuliaError),
    /// A path or tag that a wheel cannot have.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<DepotError> for BundleError {
    fn from(error: DepotError) -> Self {
        Self::Depot(error.into())
    }
}

impl Hint for BundleError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Elf { source, .. } => source.hint(),
            Self::Closure(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Depot(error) => error.hint(),
            Self::Project(error) => error.hint(),
            Self::Julia(error) => error.hint(),
            Self::Wheel(error) => error.hint(),
            _ => None,
        }
    }
}
