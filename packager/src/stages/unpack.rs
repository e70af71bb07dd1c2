//! Unpacks the wheels that packing uses, without trusting their contents.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use jnumpy_base::interrupt::{self, Interrupted};
use jnumpy_base::text::printable;
use jnumpy_wheel::WheelPath;

/// Why a wheel cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The file is no zip archive.
    #[error("the wheel cannot be read: `{}`", wheel.display())]
    Unreadable { wheel: PathBuf, source: zip::result::ZipError },
    /// The archive names a file outside itself.
    #[error("the wheel `{}` contains a file with an unsafe name: `{}`", wheel.display(), printable(name))]
    UnsafeName { wheel: PathBuf, name: String },
    /// The archive would fill the disk.
    #[error("the wheel `{}` was not made by jnumpy-pack: it unpacks to more than {largest} bytes", wheel.display())]
    TooLarge {
        wheel: PathBuf,
        /// The limit.
        largest: u64,
    },
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Unpacks a wheel of at most `largest` bytes; returns its files by their names in it.
pub(super) fn unpack(
    wheel: &Path,
    target: &Path,
    largest: u64,
) -> Result<BTreeMap<String, PathBuf>, UnpackError> {
    let unreadable = |source| UnpackError::Unreadable { wheel: wheel.to_owned(), source };
    let mut archive = zip::ZipArchive::new(fs_err::File::open(wheel)?).map_err(unreadable)?;
    let mut files = BTreeMap::new();
    let mut room = largest;
    for index in 0..archive.len() {
        interrupt::check()?;
        let entry = archive.by_index(index).map_err(unreadable)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(unreadable)?.into_owned();
        if entry.is_symlink() || name.parse::<WheelPath>().is_err() {
            return Err(UnpackError::UnsafeName { wheel: wheel.to_owned(), name });
        }
        let path = target.join(&name);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        let mut bytes = Vec::new();
        entry.take(room + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.into()))?;
        room = room
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| UnpackError::TooLarge { wheel: wheel.to_owned(), largest })?;
        fs_err::write(&path, bytes)?;
        files.insert(name, path);
    }
    Ok(files)
}
