//! Operations on the text of paths, and checks of open files.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A path without `.` and `..`. `None` when a relative path leaves the directory that it starts from.
#[must_use]
pub fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                // The parent of the root is the root.
                if !normal.pop() && !normal.has_root() {
                    return None;
                }
            }
            other => normal.push(other),
        }
    }
    Some(normal)
}

/// The last part of a path, for comparison with names and for messages.
#[must_use]
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether the open file is still the one at this path.
#[must_use]
pub fn is_at(file: &fs_err::File, path: &Path) -> bool {
    fs_err::metadata(path)
        .is_ok_and(|now| file.metadata().is_ok_and(|held| (now.dev(), now.ino()) == (held.dev(), held.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_normal() {
        for (path, expected) in [
            ("lib/x/../y/.", Some("lib/y")),
            ("lib/..", Some("")),
            ("lib/../..", None),
            ("../lib", None),
            ("/lib/../../usr", Some("/usr")),
        ] {
            assert_eq!(normal(Path::new(path)).as_deref(), expected.map(Path::new), "{path}");
        }
    }
}
