//! Files that are held by their lock.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether the open file is still the one at this path.
#[must_use]
pub fn is_at(file: &fs_err::File, path: &Path) -> bool {
    fs_err::metadata(path)
        .is_ok_and(|now| file.metadata().is_ok_and(|held| (now.dev(), now.ino()) == (held.dev(), held.ino())))
}
