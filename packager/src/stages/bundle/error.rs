//! What can go wrong with the plan of a wheel.

use std::path::PathBuf;

use super::ClosureError;
use crate::formats::policy::PolicyError;
use crate::stages::depot::DepotError;
use crate::stages::julia::JuliaError;
use crate::stages::project::ProjectError;
use jnumpy_base::Hint;
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::process::ChildError;
use jnumpy_elf::ElfError;
use jnumpy_wheel::WheelError;

/// Why a wheel cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A library is damaged, or cannot be made relocatable.
    #[error("`{}` cannot be bundled", path.display())]
    Elf { path: PathBuf, source: ElfError },
    /// A changed library cannot be loaded: a bug of the packager.
    #[error("`{}` cannot be loaded after its run path was set or its debug sections were stripped", path.display())]
    Unloadable {
        /// The library, as it was.
        path: PathBuf,
        /// What the loader said.
        source: Box<ChildError>,
    },
    /// Another program failed.
    #[error(transparent)]
    Child(ChildError),
    /// Two files have the same path.
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
    Name { path: PathBuf },
    /// The rules about files to leave out cannot be read: a bug of the packager.
    #[error("the rules about files to leave out cannot be read")]
    Rules(#[source] toml::de::Error),
    /// An entry of `exclude` or `include` is not a pattern.
    #[error("`{pattern}` in `[tool.jnumpy]` is not a valid pattern: {why}")]
    Pattern {
        /// The entry.
        pattern: String,
        why: &'static str,
    },
    /// An entry of `exclude` or `include` does nothing.
    #[error("`{key}` of `[tool.jnumpy]` matches nothing: `{entry}`")]
    Unmatched {
        /// The setting.
        key: &'static str,
        entry: String,
        /// The rule that may have been meant.
        nearest: Option<String>,
    },
    /// `exclude` names a library that others cannot do without.
    #[error("`exclude` of `[tool.jnumpy]` leaves out `{library}`, but it is needed: {}", chain.join(", needed by "))]
    Needed {
        /// The path below `_jnumpy`.
        library: String,
        /// The library, who needs it, and so on up to a root.
        chain: Vec<String>,
    },
    /// Nothing of this name is in the bundle, nor was left out.
    #[error("`{name}` is neither in the wheel nor among Julia's libraries, and no rule left it out")]
    Unexplained {
        /// The name asked about.
        name: String,
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
    /// The wheel of Julia has another Julia, or another build of it.
    #[error("`{}` contains another build of Julia than the one in use: `{path}` differs", wheel.display())]
    OtherJulia {
        /// The file in `_jnumpy`.
        path: String,
        wheel: PathBuf,
    },
    /// The wheel of Julia cannot be read.
    #[error("`bundle.json` of `{}` is damaged: {reason}", wheel.display())]
    Description { wheel: PathBuf, reason: String },
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

impl From<ChildError> for BundleError {
    fn from(error: ChildError) -> Self {
        match error {
            ChildError::Interrupted(stop) => Self::Interrupted(stop),
            error => Self::Child(error),
        }
    }
}

impl Hint for BundleError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Elf { source, .. } => source.hint(),
            Self::Unloadable { .. } => {
                Some("the original is unchanged; please report this library as a bug".into())
            }
            Self::Unmatched { nearest: Some(name), .. } => Some(format!("did you mean `{name}`?")),
            Self::Unmatched { .. } => Some(
                "patterns are matched against paths below `_jnumpy`, as in `julia/lib/**/libx.so*`; `--explain NAME` \
                 says what is left out and why"
                    .into(),
            ),
            Self::Needed { .. } => Some("also leave out the files that need it, or keep it".into()),
            Self::OtherJulia { .. } => Some("use the Julia that the wheel was made from: `--julia PATH`".into()),
            Self::Description { .. } => Some("build or download it again".into()),
            Self::Unexplained { .. } => Some("give a file's name, or its path below `_jnumpy`".into()),
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
