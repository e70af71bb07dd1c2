//! Julia itself: finding one, asking it about its parts, running it, installing one.
//!
//! libjulia is never loaded: a Julia is a child process, which is started by [`Run`].

mod error;
mod find;
mod home;
pub mod install;
mod juliaup;
mod layout;
mod record;
mod rules;
mod run;
#[cfg(test)]
pub(crate) mod tests;
mod wanted;

use std::fmt;
use std::path::PathBuf;

use crate::formats::Version;

pub use error::JuliaError;
pub use find::{Choice, Found, find, list};
pub use home::{Installed, Surroundings, home, installed};
pub use layout::Layout;
pub use record::{Download, Package, Record};
pub use run::Run;
pub use wanted::{InvalidWanted, Wanted};

/// A Julia that was started and answered.
#[derive(Debug, Clone)]
pub struct Julia {
    /// The directory that holds all of it; absolute, without symlinks.
    pub prefix: PathBuf,
    /// The real executable, never a launcher.
    pub executable: PathBuf,
    pub version: Version,
    /// Where its parts lie in the prefix.
    pub layout: Layout,
    /// How it was found.
    pub origin: Origin,
}

/// Where the name of a Julia comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The option `--julia`.
    Flag,
    /// The environment variable `TYPY_JL_EXE`.
    Environment,
    /// Installed by us and chosen with `jnumpy-pack julia use`; holds its name.
    Default(String),
    /// `julia` in a directory of `PATH`.
    Path,
    /// Installed by `jnumpy-pack julia install`; holds its name.
    Managed(String),
    /// The default of juliaup.
    Juliaup,
}

impl Origin {
    /// Whether the user has chosen this Julia, so that no other may be used instead.
    pub(crate) fn is_a_choice(&self) -> bool {
        matches!(self, Self::Flag | Self::Environment | Self::Default(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("--julia"),
            Self::Environment => f.write_str(jnumpy_base::env_vars::TYPY_JL_EXE),
            Self::Path => f.write_str("PATH"),
            Self::Managed(id) => write!(f, "installed as {id}"),
            Self::Default(id) => write!(f, "installed as {id}, the default"),
            Self::Juliaup => f.write_str("juliaup"),
        }
    }
}
