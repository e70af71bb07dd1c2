//! The files of the package that belong in a wheel, and those of the project that belong in a source distribution.

use std::path::{Path, PathBuf};

use super::ProjectError;
use crate::formats::contract::BUNDLE;

/// One file of the package, or of the project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageFile {
    /// Its path inside the directory, with `/` between the parts.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Lists the package's files, sorted by name, without files that tools leave behind and those that the packager adds itself.
pub(crate) fn list(package_dir: &Path) -> Result<Vec<PackageFile>, ProjectError> {
    collect(package_dir, false, |entry| {
        entry.depth() == 0 || !is_leftover(&entry.file_name().to_string_lossy(), entry.depth())
    })
}

/// Lists the files of a project that belong in a source distribution, sorted by name, without files that `.gitignore` names and
/// those that builds and tools leave behind.
pub(super) fn list_sources(root: &Path) -> Result<Vec<PackageFile>, ProjectError> {
    collect(root, true, |entry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0
            || !is_leftover(&name, entry.depth()) && !is_output(entry.path(), &name, entry.depth())
    })
}

/// The files below `directory`, without what `keep` refuses.
fn collect(
    directory: &Path,
    git_ignore: bool,
    keep: impl Fn(&ignore::DirEntry) -> bool + Send + Sync + 'static,
) -> Result<Vec<PackageFile>, ProjectError> {
    let walk = ignore::WalkBuilder::new(directory)
        .standard_filters(false)
        .git_ignore(git_ignore)
        // What is above the project, or the user's own, says nothing about it.
        .require_git(false)
        .follow_links(true)
        .filter_entry(keep)
        .build();
    let mut files = Vec::new();
    for entry in walk {
        let path = match entry {
            Ok(entry) => entry.into_path(),
            Err(error) => match broken_link(&error) {
                Some((path, _)) if is_lock(path) => continue,
                Some((path, reason)) => {
                    return Err(ProjectError::Unpackable { path: path.to_owned(), reason });
                }
                None => return Err(std::io::Error::other(error).into()),
            },
        };
        let metadata = fs_err::metadata(&path)?;
        if metadata.is_dir() {
            continue;
        }
        let unpackable = |reason| ProjectError::Unpackable { path: path.clone(), reason };
        if !metadata.is_file() {
            return Err(unpackable("it is neither a file nor a directory"));
        }
        let relative = path.strip_prefix(directory).unwrap_or(&path);
        let name = relative.to_str().ok_or_else(|| unpackable("its name is not UTF-8"))?;
        if name.chars().any(char::is_control) || name.contains('\\') {
            return Err(unpackable("its name contains a control character or a backslash"));
        }
        let (name, executable) = (name.to_owned(), is_executable(&metadata));
        files.push(PackageFile { name, path, executable });
    }
    files.sort();
    Ok(files)
}

/// The link that could not be followed, and why.
fn broken_link(error: &ignore::Error) -> Option<(&Path, &'static str)> {
    match error {
        ignore::Error::WithDepth { err, .. } => broken_link(err),
        ignore::Error::Loop { child, .. } => Some((child, "it is a link to a directory that it is in")),
        ignore::Error::WithPath { path, .. } if path.is_symlink() => Some((path, "it is a link to nothing")),
        _ => None,
    }
}

/// Whether it is the mark of an editor on a file that is open: a link that names a user and a machine.
fn is_lock(link: &Path) -> bool {
    link.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".#"))
}

/// Directories at the top of a project that builds and environments fill.
fn is_output(path: &Path, name: &str, depth: usize) -> bool {
    depth == 1
        && (matches!(name, "build" | "dist" | ".nox" | ".pytest_cache" | ".ruff_cache" | ".tox")
            || name.ends_with(".egg-info")
            || path.join("pyvenv.cfg").is_file())
}

/// Caches, version control and bundles of an earlier run.
fn is_leftover(name: &str, depth: usize) -> bool {
    let path = Path::new(name);
    matches!(
        name,
        "__pycache__" | ".git" | ".hg" | ".svn" | ".DS_Store" | ".ipynb_checkpoints" | ".mypy_cache"
    ) || path.extension().is_some_and(|extension| extension == "pyc" || extension == "pyo")
        || (depth == 1 && name == BUNDLE)
}

fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}
