//! Errors of naming, describing, and writing a wheel.

use std::io;
use std::path::PathBuf;

use jnumpy_base::Hint;
use jnumpy_base::interrupt::Interrupted;

/// A wheel could not be named, described, or written.
#[derive(Debug, thiserror::Error)]
pub enum WheelError {
    /// A file name that is not a valid wheel name.
    #[error("the wheel file name `{name}` is invalid: {reason}")]
    Name {
        /// The name, escaped for printing.
        name: String,
        reason: &'static str,
    },
    /// An invalid compatibility tag.
    #[error("the wheel tag `{tag}` is invalid: {reason}")]
    Tag {
        /// The tag, escaped for printing.
        tag: String,
        reason: &'static str,
    },
    /// A path that a wheel must not contain.
    #[error("the path `{path}` cannot be in a wheel: {reason}")]
    Path {
        /// The path, escaped for printing.
        path: String,
        reason: &'static str,
    },
    /// Two files have the same path in the wheel.
    #[error("two files have the path `{path}` in the wheel: {first} and {second}")]
    Duplicate {
        /// Their path in the wheel.
        path: String,
        /// Source of the first file.
        first: String,
        /// Source of the second file.
        second: String,
    },
    /// The path of a file is also the directory of another file.
    #[error("`{file}` is both a file and the directory of `{inside}` in the wheel")]
    FileAndDirectory {
        /// The path of the file.
        file: String,
        /// A file in the directory of that name.
        inside: String,
    },
    /// A metadata value that cannot be written, or that an index rejects.
    #[error("the metadata field `{field}` has the invalid value `{value}`: {reason}")]
    Metadata {
        /// Name of the field, as in METADATA or `entry_points.txt`.
        field: String,
        /// The value, escaped for printing.
        value: String,
        reason: String,
    },
    /// A METADATA file that cannot be parsed.
    #[error("METADATA is invalid: {reason}")]
    UnreadableMetadata { reason: String },
    /// A RECORD file that cannot be parsed.
    #[error("RECORD is invalid in line {line}: {reason}")]
    UnreadableRecord {
        /// Line number, starting at 1.
        line: u64,
        reason: &'static str,
    },
    /// A bill of materials that cannot be parsed.
    #[error("the bill of materials is invalid: {reason}")]
    UnreadableSbom { reason: String },
    /// `SOURCE_DATE_EPOCH` is not a number, or too large a one.
    #[error(
        "`SOURCE_DATE_EPOCH` must be a number of seconds since 1970, before the year 10000, got `{value}`"
    )]
    Epoch {
        /// The variable's value.
        value: String,
    },
    /// A file for the wheel could not be read.
    #[error("cannot read a file for the wheel")]
    Read(#[source] io::Error),
    /// The wheel could not be written, for example because the disk is full.
    #[error("cannot write the wheel")]
    Write(#[source] io::Error),
    /// The finished wheel could not be renamed to its final path.
    #[error("cannot move the finished wheel to `{}`", path.display())]
    Location {
        /// The final path.
        path: PathBuf,
        source: io::Error,
    },
    /// A compression thread ended too early.
    #[error("a compression thread ended unexpectedly")]
    Worker,
    /// The user or a signal stopped the command.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Hint for WheelError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Name { .. } => {
                "the name of a wheel is `<distribution>-<version>-<python>-<abi>-<platform>.whl`"
            }
            Self::Tag { .. } => "an example of a valid tag is `cp310-abi3-manylinux_2_28_x86_64`",
            Self::Path { .. } => "rename the file, or remove it from the package",
            Self::Duplicate { .. } | Self::FileAndDirectory { .. } => "remove or rename one of the two files",
            Self::Metadata { .. } => "correct the field in the `[project]` table of `pyproject.toml`",
            Self::Epoch { .. } => "unset it, or set it to the output of `git log -1 --format=%ct`",
            Self::Write(error) | Self::Location { source: error, .. }
                if error.kind() == io::ErrorKind::StorageFull =>
            {
                "free disk space, or set `--out-dir` to a directory on a larger disk"
            }
            Self::Write(_) | Self::Location { .. } => "check that the output directory is writable",
            Self::Worker => "this is a bug in jnumpy-pack: please report it with the command that you ran",
            Self::UnreadableMetadata { .. }
            | Self::UnreadableRecord { .. }
            | Self::UnreadableSbom { .. }
            | Self::Read(_)
            | Self::Interrupted(_) => return None,
        };
        Some(text.into())
    }
}
