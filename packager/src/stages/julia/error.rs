//! Errors of finding, running, and installing a Julia.

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
    /// No Julia that starts was found.
    #[error("no Julia found, looked in: {}", searched.join("; "))]
    NotFound {
        /// Every location, with what was there.
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
    /// A Julia exists but cannot be started, or ends at once.
    #[error("the Julia `{}` ({origin}) does not start", executable.display())]
    NotStarting {
        executable: PathBuf,
        /// Who named it.
        origin: Origin,
        /// Exit status and stderr.
        source: Box<ChildError>,
    },
    /// The program runs, but is not a Julia.
    #[error("`{}` is not a Julia executable, it printed: {answer}", executable.display())]
    NotJulia {
        executable: PathBuf,
        /// What it said instead.
        answer: String,
    },
    /// A Julia that is older than the oldest supported version.
    #[error("`{}` is Julia {version}, but the oldest supported version is {oldest}", executable.display())]
    TooOld {
        executable: PathBuf,
        version: Version,
        /// The oldest that works.
        oldest: &'static str,
    },
    /// A directory was named, not the program in it.
    #[error("{origin} names the directory `{}`, not a program", path.display())]
    Directory {
        /// The path as it was given.
        path: PathBuf,
        /// Who gave it.
        origin: Origin,
    },
    /// A Julia that was built without its compiler.
    #[error("`{}` has no compiler: there is no `{library}` beside its libraries", executable.display())]
    NoCompiler {
        executable: PathBuf,
        /// How the name of the missing library begins.
        library: &'static str,
    },
    /// The Julia that `julia use` has chosen is not there anymore.
    #[error("`{id}`, which `{}` names as the default Julia, is not installed", file.display())]
    DefaultGone {
        /// The name of the installation.
        id: String,
        /// The file that names it.
        file: PathBuf,
    },
    /// No installation of that name.
    #[error("no Julia `{wanted}` is installed")]
    NotInstalled {
        /// What was asked for.
        wanted: String,
        /// What there is.
        installed: Vec<String>,
    },
    /// The text names several installations, but must name one.
    #[error("`{wanted}` matches several installed Julias: {}", list(ids))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// What it may mean.
        ids: Vec<String>,
    },
    /// juliaup has no such channel.
    #[error("`{}` of juliaup has no channel `{channel}`", config.display())]
    NoChannel {
        /// The configuration of juliaup.
        config: PathBuf,
        channel: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The configuration of juliaup cannot be read.
    #[error("`{}` of juliaup is damaged", config.display())]
    Juliaup { config: PathBuf, source: serde_json::Error },
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
    #[error("the home directory is not known, so Julia cannot be installed there")]
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

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
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
                format!("correct {origin}, or omit it to search `PATH` and the installed Julias")
            }
            Self::NotStarting { executable, .. } => {
                format!("run `{} --version` in a terminal to see why", executable.display())
            }
            Self::Directory { path, .. } => format!("name the program: `{}`", path.join("bin/julia").display()),
            Self::DefaultGone { .. } => {
                "choose another with `jnumpy-pack julia use VERSION`, or remove the choice with `jnumpy-pack julia use --none`"
                    .into()
            }
            Self::NotInstalled { installed, .. } if installed.is_empty() => {
                "none is installed; `jnumpy-pack julia install` installs one".into()
            }
            Self::NotInstalled { installed, .. } => format!("installed: {}", list(installed)),
            Self::Ambiguous { .. } => "give the full name".into(),
            Self::NoChannel { channel, known, .. } if known.is_empty() => {
                format!("`juliaup add {channel}` installs it")
            }
            Self::NoChannel { channel, known, .. } => {
                format!("`juliaup add {channel}` installs it; the installed ones are {}", list(known))
            }
            Self::Juliaup { .. } => "`juliaup status` shows what juliaup reads from it".into(),
            Self::NotJulia { .. } | Self::TooOld { .. } | Self::NoCompiler { .. } => {
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
