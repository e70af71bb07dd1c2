//! Finalizes a wheel: writes it to a directory beside its destination, audits it there, and moves it after the audit has
//! passed.

use std::path::Path;

use tempfile::TempDir;

use crate::packing::Error;
use crate::stages::audit::{Against, Finding, audit};
use jnumpy_base::Report;
use jnumpy_base::path::is_at;
use jnumpy_wheel::{Compression, Wheel, WheelError, WriteOptions, Written};

/// The largest file that the Python index accepts without an exemption, in bytes.
pub const INDEX_LIMIT: u64 = 104_857_600;

/// Writes and audits a wheel, then moves it to `out_dir`. Without a `compression`, the wheel is compressed with
/// [`Compression::Best`] if only that brings it below [`INDEX_LIMIT`].
pub(crate) fn finalize(
    wheel: &Wheel,
    out_dir: &Path,
    compression: Option<Compression>,
    against: &Against<'_>,
    report: &Report,
) -> Result<Written, Error> {
    fs_err::create_dir_all(out_dir).map_err(WheelError::Write)?;
    let beside = Beside::create(out_dir).map_err(WheelError::Write)?;
    let environment = WriteOptions::from_environment()?;
    let write = |compression: Compression| {
        let options = WriteOptions { level: compression.level(), ..environment };
        wheel.write(beside.directory.path(), &options, report)
    };
    let mut written = write(compression.unwrap_or_default())?;
    if compression.is_none() && is_just_too_large(written.size) {
        report.say(
            "the wheel is slightly too large for the Python index and is compressed again at the level `best`",
        );
        written = write(Compression::Best)?;
    }
    let audit = audit(&written.path, against, report)?;
    for line in Finding::lines(&audit.findings) {
        report.remark(line);
    }
    audit.verdict(&written.path)?;
    let path = out_dir.join(written.path.file_name().unwrap_or_default());
    fs_err::rename(&written.path, &path)
        .map_err(|source| WheelError::Location { path: path.clone(), source })?;
    written.path = path;
    Ok(written)
}

/// Whether [`Compression::Best`] may bring a wheel of this size below the limit of the index.
fn is_just_too_large(size: u64) -> bool {
    size > INDEX_LIMIT && size / 100 * 94 < INDEX_LIMIT
}

/// A locked directory beside a wheel's destination. It is removed when dropped.
struct Beside {
    directory: TempDir,
    /// The lock that marks the directory as in use. The system releases it when the process ends in any way.
    _lock: fs_err::File,
}

impl Beside {
    const PREFIX: &str = ".jnumpy-pack-";

    /// Makes such a directory, and removes those that killed runs have left.
    fn create(out_dir: &Path) -> std::io::Result<Self> {
        for entry in fs_err::read_dir(out_dir)? {
            let path = entry?.path();
            let is_ours =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(Self::PREFIX));
            // Without locks, no directory is known to be left over.
            if is_ours
                && let Ok(lock) = fs_err::File::open(&path)
                && lock.file().try_lock().is_ok()
            {
                // A failure does no harm.
                let _ = fs_err::remove_dir_all(&path);
            }
        }
        loop {
            let directory = tempfile::Builder::new().prefix(Self::PREFIX).tempdir_in(out_dir)?;
            let lock = match fs_err::File::open(directory.path()) {
                Ok(lock) => lock,
                // Until the directory is locked, another run may remove it as left over.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let _ = lock.file().lock_shared();
            if is_at(&lock, directory.path()) {
                return Ok(Self { directory, _lock: lock });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_is_compressed_again_where_that_may_help() {
        assert!(!is_just_too_large(INDEX_LIMIT));
        assert!(is_just_too_large(INDEX_LIMIT + 1));
        assert!(is_just_too_large(107_800_000));
        assert!(!is_just_too_large(115_000_000));
    }

    #[test]
    fn ok_leftovers_go_and_the_rest_stays() {
        let out = tempfile::tempdir().unwrap();
        let leftover = out.path().join(".jnumpy-pack-killed");
        fs_err::create_dir_all(&leftover).unwrap();
        fs_err::write(leftover.join("half.whl"), "half").unwrap();
        fs_err::create_dir_all(out.path().join(".other")).unwrap();
        let first = Beside::create(out.path()).unwrap();
        assert!(!leftover.exists());
        let second = Beside::create(out.path()).unwrap();
        assert!(first.directory.path().is_dir() && second.directory.path().is_dir());
        drop((first, second));
        let left: Vec<_> =
            fs_err::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [".other"]);
    }
}
