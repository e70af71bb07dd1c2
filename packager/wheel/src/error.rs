//! What can be wrong with a wheel, by cause.

use std::io;
use std::path::PathBuf;

use jnumpy_base::Hint;
use jnumpy_base::interrupt::Interrupted;

/// A wheel could not be named, described or written.
#[derive(Debug, thiserror::Error)]
pub enum WheelError {
    /// A file name that is no wheel's.
    #[error("the wheel file name `{name}` is invalid: {reason}")]
    Name {
        /// The name, fit for printing.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A compatibility tag that is none.
    #[error("the wheel tag `{tag}` is invalid: {reason}")]
    Tag {
        /// The tag, fit for printing.
        tag: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path that must not be in a wheel.
    #[error("the path `{path}` cannot be in a wheel: {reason}")]
    Path {
        /// The path, fit for printing.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two files want the same place in the wheel.
    #[error("two files have the path `{path}` in the wheel: {first} and {second}")]
    Duplicate {
        /// The path both want.
        path: String,
        /// Where the first comes from.
        first: String,
        /// Where the second comes from.
        second: String,
    },
    /// One file's path is the directory of another.
    #[error("`{file}` is both a file and the directory of `{inside}` in the wheel")]
    FileAndDirectory {
        /// The path with two meanings.
        file: String,
        /// A file below it.
        inside: String,
    },
    /// A metadata value that cannot be written or that an index refuses.
    #[error("the metadata field `{field}` has the invalid value `{value}`: {reason}")]
    Metadata {
        /// Name of the field, as in METADATA or `entry_points.txt`.
        field: String,
        /// The value, fit for printing.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A METADATA file that cannot be understood.
    #[error("METADATA is invalid: {reason}")]
    UnreadableMetadata {
        /// What is wrong with it.
        reason: String,
    },
    /// A RECORD file that cannot be understood.
    #[error("RECORD is invalid in line {line}: {reason}")]
    UnreadableRecord {
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The time stamp asked for is none.
    #[error("`SOURCE_DATE_EPOCH` must be a number of seconds since 1970, but is `{value}`")]
    Epoch {
        /// The variable's value.
        value: String,
    },
    /// A file that goes into the wheel could not be read.
    #[error("a file for the wheel cannot be read")]
    Read(#[source] io::Error),
    /// The wheel's bytes could not be written, as when the disk is full.
    #[error("the wheel cannot be written")]
    Write(#[source] io::Error),
    /// The finished wheel could not get its name.
    #[error("the wheel cannot be placed at `{}`", path.display())]
    Place {
        /// Where the wheel should be.
        path: PathBuf,
        /// Why it cannot.
        source: io::Error,
    },
    /// A worker thread ended before its work.
    #[error("a compression thread ended early")]
    Worker,
    /// The user, or a signal, asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Hint for WheelError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Name { .. } => "a wheel is named `<distribution>-<version>-<python>-<abi>-<platform>.whl`",
            Self::Tag { .. } => "a tag looks like `cp310-abi3-manylinux_2_28_x86_64`",
            Self::Path { .. } => "rename the file, or leave it out of the package",
            Self::Duplicate { .. } | Self::FileAndDirectory { .. } => {
                "remove or rename one of the two: a wheel holds one file a path"
            }
            Self::Metadata { .. } => "correct the field in the `[project]` table of `pyproject.toml`",
            Self::Epoch { .. } => "unset it, or set it to the output of `git log -1 --format=%ct`",
            Self::Write(error) | Self::Place { source: error, .. }
                if error.kind() == io::ErrorKind::StorageFull =>
            {
                "free some space, or point `--out-dir` at a larger disk"
            }
            Self::Write(_) | Self::Place { .. } => "check that the output directory can be written to",
            Self::Worker => "this is a bug in jnumpy-pack: please report it with the command that led here",
            Self::UnreadableMetadata { .. }
            | Self::UnreadableRecord { .. }
            | Self::Read(_)
            | Self::Interrupted(_) => return None,
        };
        Some(text.into())
    }
}
