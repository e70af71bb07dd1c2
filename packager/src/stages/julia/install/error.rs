//! What can go wrong with an installation.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::stages::julia::JuliaError;
use jnumpy_base::Hint;
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::process::ChildError;
use jnumpy_elf::ElfError;

/// Why no Julia was installed. Nothing of the attempt is left.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A program of apt or dpkg is not there.
    #[error("`{tool}` is not on this machine: the source `debian` needs Debian's apt and dpkg")]
    NoTool {
        /// The program.
        tool: String,
    },
    /// The source has no Julia for the machine's architecture.
    #[error("the source `debian` has no Julia for the architecture `{found}`, only for: {}", known.join(", "))]
    Architecture {
        /// What dpkg says the machine is.
        found: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No sources entry names a Debian mirror.
    #[error("no apt source of this machine is a mirror of Debian's `main`, looked in: {}", paths(looked))]
    NoMirror {
        /// The sources files.
        looked: Vec<PathBuf>,
    },
    /// Every mirror was tried in vain.
    #[error("no Debian mirror of this machine delivers `{package}` of `{suite}`: {}", list(attempts))]
    NoMirrorServes {
        /// The package that was asked for.
        package: String,
        /// The release it was asked of.
        suite: String,
        /// Each mirror and what it said.
        attempts: Vec<Attempt>,
    },
    /// The file system has too little room.
    #[error("`{}` has {free_megabytes} MB free, the installation needs {wanted_megabytes} MB", directory.display())]
    Space {
        /// Where it would be installed.
        directory: PathBuf,
        /// Needed, in 10⁶ bytes.
        wanted_megabytes: u64,
        /// Available, in 10⁶ bytes.
        free_megabytes: u64,
    },
    /// A program of apt or dpkg failed.
    #[error(transparent)]
    Tool(ChildError),
    /// A program of apt or dpkg said something unexpected.
    #[error("cannot make sense of what `{tool}` says: {line}")]
    Answer {
        /// The program.
        tool: &'static str,
        /// The line in question.
        line: String,
    },
    /// Something in the tree needs a library that no package holds.
    #[error("no package holds `{library}`, which `{}` needs", needed_by.display())]
    MissingLibrary {
        /// The library as it is asked for.
        library: String,
        /// Path in the prefix.
        needed_by: PathBuf,
    },
    /// A package would be used without its licence at hand.
    #[error("the package `{package}` brings no copyright file")]
    License {
        /// The package.
        package: String,
    },
    /// A program or library could not be read or made relocatable.
    #[error("`{}` cannot be made relocatable", path.display())]
    Elf {
        /// Path in the prefix.
        path: PathBuf,
        /// What is wrong with it.
        source: ElfError,
    },
    /// The finished tree does not run.
    #[error("the new Julia does not work on this machine")]
    Proof(#[source] Box<JuliaError>),
    /// The finished tree does not stand on its own.
    #[error("the new Julia loads `{}` although it has a library of this name", library.display())]
    Foreign {
        /// The library outside the tree.
        library: PathBuf,
    },
    /// The record of an installation cannot be read or written.
    #[error("the record `{}` is damaged", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The list of what to install, which is part of this program, is damaged.
    #[error("the built-in list of Debian's packages is damaged")]
    Manifest(#[from] toml::de::Error),
    /// The file system has no locks.
    #[error("cannot lock `{}`", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file system operation failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// A mirror that did not deliver.
#[derive(Debug)]
pub struct Attempt {
    /// Its address, without user name and password.
    pub mirror: String,
    /// What apt said.
    pub reason: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.mirror, self.reason)
    }
}

fn list(attempts: &[Attempt]) -> String {
    attempts.iter().map(Attempt::to_string).collect::<Vec<_>>().join("; ")
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

impl From<ChildError> for InstallError {
    fn from(error: ChildError) -> Self {
        match error {
            ChildError::Interrupted(stop) => Self::Interrupted(stop),
            ChildError::Io(error) => Self::Io(error),
            ChildError::Spawn { program, source } if source.kind() == io::ErrorKind::NotFound => {
                Self::NoTool { tool: program.display().to_string() }
            }
            error => Self::Tool(error),
        }
    }
}

impl Hint for InstallError {
    fn hint(&self) -> Option<String> {
        const OWN: &str = "install Julia in another way (juliaup, or an official archive), then name it with `--julia PATH` or put it on `PATH`";
        Some(match self {
            Self::NoTool { .. } | Self::Architecture { .. } | Self::NoMirror { .. } => OWN.into(),
            Self::NoMirrorServes { .. } => {
                format!("see whether `apt-get update` works on this machine; else {OWN}")
            }
            Self::Space { .. } => {
                "free some space, or set `JNUMPY_HOME` to a directory on a larger disk".into()
            }
            Self::Elf { source, .. } => return source.hint(),
            Self::Proof(_)
            | Self::MissingLibrary { .. }
            | Self::License { .. }
            | Self::Foreign { .. }
            | Self::Manifest(_) => {
                format!("please report this as a bug; meanwhile {OWN}")
            }
            Self::Record { path, .. } => {
                let directory = path.parent().unwrap_or(path);
                format!(
                    "remove `{}`, then `jnumpy-pack julia install` puts it there anew",
                    directory.display()
                )
            }
            Self::Lock { .. } => "set `JNUMPY_HOME` to a directory on a local disk".into(),
            Self::Tool(_) | Self::Answer { .. } | Self::Io(_) | Self::Interrupted(_) => return None,
        })
    }
}
