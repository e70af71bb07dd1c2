//! Run paths: the directories, named relative to a file, in which the loader looks for the libraries that it needs.
//!
//! Only this module reads and writes `$ORIGIN`. An entry that a reader cannot resolve with certainty, such as
//! `$ORIGIN/$LIB`, resolves to nothing.

use std::path::{Path, PathBuf};

use jnumpy_base::path::normal;

/// The loader takes both spellings for the directory of the file, under the name by which it was opened.
const SPELLINGS: [&str; 2] = ["$ORIGIN", "${ORIGIN}"];

/// The entries of a run path. An empty one stands for the working directory of the process.
pub fn entries(run_path: &str) -> impl Iterator<Item = &str> {
    run_path.split(':')
}

/// The directory that an entry means for a file in `directory`. Both are relative to the root of a tree. `None` when the
/// entry is not relative to the file, or leads out of the tree.
#[must_use]
pub fn resolve_in_tree(directory: &Path, entry: &str) -> Option<PathBuf> {
    normal(&directory.join(after_origin(entry)?))
}

/// The directory that an entry means for a file in `directory`, which is absolute. `None` when that depends on the
/// machine or on the working directory.
#[must_use]
pub fn resolve(directory: &Path, entry: &str) -> Option<PathBuf> {
    if entry.starts_with('/') && !entry.contains('$') {
        return Some(entry.into());
    }
    Some(directory.join(after_origin(entry)?))
}

/// The entry that leads from one directory to another, both relative to the root of a tree.
#[must_use]
pub fn entry_to(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(one, two)| one == two).count();
    let mut entry = String::from(SPELLINGS[0]);
    entry.push_str(&"/..".repeat(from.len() - shared));
    for part in &to[shared..] {
        entry.push('/');
        entry.push_str(&part.as_os_str().to_string_lossy());
    }
    entry
}

/// What follows `$ORIGIN`, without the slash.
fn after_origin(entry: &str) -> Option<&str> {
    let rest = SPELLINGS.iter().find_map(|origin| entry.strip_prefix(origin))?;
    let is_directory = rest.is_empty() || rest.starts_with('/');
    (is_directory && !rest.contains('$')).then(|| rest.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_written_and_read_back() {
        for (from, to, entry) in [
            ("lib/x", "lib/x", "$ORIGIN"),
            ("lib/x/julia", "lib/x", "$ORIGIN/.."),
            ("lib/x", "lib/x/julia", "$ORIGIN/julia"),
            ("lib/x/julia", "lib/y", "$ORIGIN/../../y"),
            ("", "lib", "$ORIGIN/lib"),
        ] {
            let (from, to) = (Path::new(from), Path::new(to));
            assert_eq!(entry_to(from, to), entry);
            assert_eq!(resolve_in_tree(from, entry).as_deref(), Some(to), "{entry}");
        }
    }

    #[test]
    fn ok_inside() {
        for (entry, directory) in [
            ("${ORIGIN}", "a/b"),
            ("${ORIGIN}/../lib/", "a/lib"),
            ("$ORIGIN/./../..", ""),
            ("$ORIGIN//lib", "a/b/lib"),
        ] {
            assert_eq!(
                resolve_in_tree(Path::new("a/b"), entry).as_deref(),
                Some(Path::new(directory)),
                "{entry}"
            );
        }
    }

    #[test]
    fn err_outside_or_unknown() {
        for entry in [
            "",
            "/usr/lib",
            "lib",
            ".",
            "$ORIGIN/../../..",
            "$ORIGIN/../../../a/b",
            "$ORIGINAL",
            "$ORIGINAL/lib",
            "${ORIGIN}AL",
            "${ORIGIN",
            "$LIB",
            "$ORIGIN/$LIB",
            "$ORIGIN/${PLATFORM}",
        ] {
            assert_eq!(resolve_in_tree(Path::new("a/b"), entry), None, "{entry}");
        }
    }

    #[test]
    fn ok_on_disk() {
        let directory = Path::new("/opt/julia/lib");
        assert_eq!(resolve(directory, "${ORIGIN}/julia"), Some("/opt/julia/lib/julia".into()));
        assert_eq!(resolve(directory, "/usr/lib"), Some("/usr/lib".into()));
        for entry in ["", "lib", "/usr/$LIB", "$ORIGINAL/lib", "$ORIGIN/$LIB"] {
            assert_eq!(resolve(directory, entry), None, "{entry}");
        }
    }
}
