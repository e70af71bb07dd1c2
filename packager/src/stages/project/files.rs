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
    let walk = walkdir::WalkDir::new(package_dir).follow_links(true).into_iter().filter_entry(|entry| {
        entry.depth() == 0 || !is_leftover(&entry.file_name().to_string_lossy(), entry.depth())
    });
    collect(package_dir, walk.map(|entry| Ok(entry.map_err(std::io::Error::from)?.into_path())))
}

/// Lists the files of a project that belong in a source distribution, sorted by name, without files that `.gitignore` names and
/// those that builds and tools leave behind.
pub(super) fn list_sources(root: &Path) -> Result<Vec<PackageFile>, ProjectError> {
    let walk = ignore::WalkBuilder::new(root)
        .standard_filters(false)
        .git_ignore(true)
        // Ignore files above the project and those of the user do not apply.
        .require_git(false)
        .follow_links(true)
        .filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0
                || !is_leftover(&name, entry.depth()) && !is_output(entry.path(), &name, entry.depth())
        })
        .build();
    collect(root, walk.map(|entry| Ok(entry.map_err(std::io::Error::other)?.into_path())))
}

/// The files among `paths`, which are below `directory`.
fn collect(
    directory: &Path,
    paths: impl Iterator<Item = Result<PathBuf, std::io::Error>>,
) -> Result<Vec<PackageFile>, ProjectError> {
    let mut files = Vec::new();
    for path in paths {
        let path = path?;
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
