//! Errors of installing a Julia.

use std::fmt;
use std::io;
use std::path::PathBuf;

use url::Url;

use crate::formats::{InvalidVersion, Version};
use crate::stages::julia::InvalidWanted;
use crate::stages::julia::install::transfer::{TransferError, shown};
use jnumpy_base::Hint;
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::process::ChildError;
use jnumpy_elf::ElfError;

/// Why a Julia was not installed. Nothing of the attempt remains.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A program of apt or dpkg is not installed.
    #[error("`{tool}` is not installed: the source `debian` needs Debian's apt and dpkg")]
    NoTool { tool: String },
    /// The source has no Julia for the machine's architecture.
    #[error("the source `debian` has no Julia for the architecture `{found}`, only for: {}", known.join(", "))]
    Architecture {
        /// What dpkg says the machine is.
        found: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No source of apt is a Debian mirror.
    #[error("no apt source of this machine is a mirror of Debian's `main`")]
    NoMirror,
    /// A mirror is not that of Debian.
    #[error("the mirror is the archive of {found}")]
    Origin {
        /// The origin that it declares.
        found: String,
    },
    /// No mirror delivers the package.
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
    /// The output of a program of apt or dpkg cannot be parsed.
    #[error("cannot read the output of `{tool}`: {line}")]
    Answer { tool: &'static str, line: String },
    /// A package has no license file.
    #[error("the package `{package}` contains no copyright file")]
    License { package: String },
    /// A program or library could not be read or made relocatable.
    #[error("`{}` cannot be made relocatable", path.display())]
    Elf {
        /// Path in the prefix.
        path: PathBuf,
        source: ElfError,
    },
    /// The finished tree does not run.
    #[error("the new Julia does not work on this machine")]
    Proof(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The finished tree uses a library outside of it.
    #[error("the new Julia loads `{}` although it contains a library of this name", library.display())]
    Foreign {
        /// The library outside the tree.
        library: PathBuf,
    },
    /// The record of an installation cannot be read or written.
    #[error("the record `{}` is damaged", path.display())]
    Record { path: PathBuf, source: serde_json::Error },
    /// A list of what to install, which is part of this program, is damaged.
    #[error("a built-in list of what to install is damaged")]
    Manifest(#[from] toml::de::Error),
    /// A version in a list of what to install is damaged.
    #[error(transparent)]
    InvalidVersion(#[from] InvalidVersion),
    /// The text names no version.
    #[error(transparent)]
    Wanted(#[from] InvalidWanted),
    /// The version is not supported.
    #[error("Julia {version} is older than {oldest}, the oldest supported version")]
    TooOld {
        /// The version that was asked for.
        version: Version,
        /// The oldest that works.
        oldest: &'static str,
    },
    /// The text is no address.
    #[error("`{text}` is neither an address nor a path")]
    Address { text: String },
    /// The index of versions cannot be fetched.
    #[error("cannot fetch the index of Julia versions from `{url}`")]
    Index { url: String, source: TransferError },
    /// The file is not an index.
    #[error("`{url}` is not an index of Julia versions")]
    IndexFormat { url: String, source: serde_json::Error },
    /// An entry of the index does not describe an archive.
    #[error("the index `{url}` has an invalid `{field}` for Julia {version}: `{text}`")]
    IndexEntry {
        /// The address of the index.
        url: String,
        /// The entry.
        version: String,
        field: &'static str,
        /// What it holds.
        text: String,
    },
    /// The index lists no such version for this machine.
    #[error("the index `{url}` has no Julia {wanted} for {platform}")]
    NotInIndex {
        /// What was asked for.
        wanted: String,
        /// The address of the index.
        url: String,
        /// This machine, as the index names it.
        platform: String,
        /// Similar versions.
        near: Vec<String>,
    },
    /// The archive did not arrive.
    #[error("cannot download `{url}`")]
    Download { url: String, source: TransferError },
    /// The archive has another size than the index says.
    #[error("`{url}` has {found} bytes, but the index says {expected}")]
    Size {
        url: String,
        /// As the index says.
        expected: u64,
        /// As the server says.
        found: u64,
    },
    /// The archive has other content than the index says.
    #[error("`{url}` has SHA-256 {found}, but the index says {expected}")]
    Hash {
        url: String,
        /// As the index says.
        expected: String,
        /// Of what arrived.
        found: String,
    },
    /// The archive is larger than an official one can be.
    #[error("`{}` exceeds the limit for an archive, {limit}", archive.display())]
    Bomb {
        archive: PathBuf,
        /// What was exceeded.
        limit: String,
    },
    /// The archive cannot be read to its end.
    #[error("`{}` is a damaged archive", archive.display())]
    Damaged { archive: PathBuf, source: io::Error },
    /// The archive has no entries.
    #[error("`{}` is an empty archive", archive.display())]
    Empty { archive: PathBuf },
    /// An entry of the archive is refused.
    #[error("refusing the entry `{entry}` of `{}`: {reason}", archive.display())]
    Entry {
        archive: PathBuf,
        /// The entry's name.
        entry: String,
        reason: &'static str,
    },
    /// The archive holds another Julia than the index says.
    #[error("`{url}` contains Julia {found}, but the index says {expected}")]
    Version {
        url: String,
        /// As the index says.
        expected: String,
        /// As that Julia says.
        found: String,
    },
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

/// A mirror that does not deliver a package.
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

impl InstallError {
    pub(super) fn index(url: &Url, source: TransferError) -> Self {
        match source {
            TransferError::Interrupted(stop) => Self::Interrupted(stop),
            source => Self::Index { url: shown(url), source },
        }
    }

    pub(super) fn download(url: &Url, source: TransferError) -> Self {
        match source {
            TransferError::Interrupted(stop) => Self::Interrupted(stop),
            source => Self::Download { url: shown(url), source },
        }
    }
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
            Self::NoTool { .. } | Self::Architecture { .. } | Self::NoMirror => OWN.into(),
            Self::Wanted(error) => return error.hint(),
            Self::TooOld { .. } => "`jnumpy-pack julia list --available` lists those that work".into(),
            Self::Address { .. } => "an address begins with `https://`".into(),
            Self::Index { source, .. } | Self::Download { source, .. } => return Some(network(source)),
            Self::IndexFormat { .. } | Self::IndexEntry { .. } => {
                "try again later, or name another index with `--index` or `--server`".into()
            }
            Self::NotInIndex { near, .. } if near.is_empty() => {
                "the index has no Julia for this platform: install Julia in another way, \
                 then name it with `--julia PATH`"
                    .into()
            }
            Self::NotInIndex { near, .. } => {
                format!("the index has {}; `jnumpy-pack julia list --available` lists all", near.join(", "))
            }
            Self::Size { .. } | Self::Hash { .. } | Self::Version { .. } => {
                "the file was changed in transit, or the mirror is out of date: try again, \
                 or use another server with `--server`"
                    .into()
            }
            Self::Bomb { .. } | Self::Damaged { .. } | Self::Empty { .. } | Self::Entry { .. } => {
                "nothing was installed; the archive is the one that the index describes: report it to the operator of \
                 the server, and use another with `--server`"
                    .into()
            }
            Self::NoMirrorServes { .. } => {
                format!("check whether `apt-get update` works on this machine; otherwise {OWN}")
            }
            Self::Space { .. } => {
                "free some space, or set `JNUMPY_HOME` to a directory on a larger disk".into()
            }
            Self::Elf { source, .. } => return source.hint(),
            Self::Proof(_)
            | Self::License { .. }
            | Self::Foreign { .. }
            | Self::InvalidVersion(_)
            | Self::Manifest(_) => {
                format!("please report this as a bug; meanwhile {OWN}")
            }
            Self::Record { path, .. } => {
                let directory = path.parent().unwrap_or(path);
                format!(
                    "remove `{}`, then run `jnumpy-pack julia install` again",
                    directory.display()
                )
            }
            Self::Lock { .. } => "set `JNUMPY_HOME` to a directory on a local disk".into(),
            Self::Origin { .. } | Self::Tool(_) | Self::Answer { .. } | Self::Io(_) | Self::Interrupted(_) => return None,
        })
    }
}

/// The hint for a failed transfer.
fn network(error: &TransferError) -> String {
    const DEBIAN: &str =
        "`jnumpy-pack julia install --from debian` installs Julia 1.5.3 from Debian's packages";
    match error {
        TransferError::Downgrade { .. } | TransferError::Redirects | TransferError::Location(_) => {
            "name another server with `--server`".into()
        }
        TransferError::Scheme => "name the index or the server with `https://`".into(),
        TransferError::Status { status } if status.is_client_error() => {
            "check the address; `--server` or `JNUMPY_JULIA_SERVER` names another server".into()
        }
        TransferError::Io(_) => "name a file that can be read, or an address".into(),
        _ => format!(
            "check the network connection and `https_proxy`; `--server` or `JNUMPY_JULIA_SERVER` names a mirror; \
             without a mirror, {DEBIAN}; more: `jnumpy-pack about julia-download`"
        ),
    }
}
