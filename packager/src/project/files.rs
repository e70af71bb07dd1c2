//! The files of the package that belong into a wheel.

use std::path::{Path, PathBuf};

use super::ProjectError;

/// One file of the package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageFile {
    /// Its path inside the package directory, with `/` between the parts.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Lists the package's files, sorted by name. Left out is what tools leave behind and what the packager adds itself.
pub(crate) fn list(package_dir: &Path) -> Result<Vec<PackageFile>, ProjectError> {
    let mut files = Vec::new();
    let walk = walkdir::WalkDir::new(package_dir).follow_links(true).into_iter().filter_entry(|entry| {
        entry.depth() == 0 || !is_leftover(&entry.file_name().to_string_lossy(), entry.depth())
    });
    for entry in walk {
        let entry = entry.map_err(std::io::Error::from)?;
        if entry.file_type().is_dir() {
            continue;
        }
        let unpackable = |reason| ProjectError::Unpackable { path: entry.path().to_owned(), reason };
        if !entry.file_type().is_file() {
            return Err(unpackable("it is neither a file nor a directory"));
        }
        let relative = entry.path().strip_prefix(package_dir).unwrap_or(entry.path());
        let name = relative.to_str().ok_or_else(|| unpackable("its name is not UTF-8"))?;
        if name.chars().any(char::is_control) || name.contains('\\') {
            return Err(unpackable("its name holds a control character or a backslash"));
        }
        let metadata = fs_err::metadata(entry.path())?;
        files.push(PackageFile {
            name: name.to_owned(),
            path: entry.path().to_owned(),
            executable: is_executable(&metadata),
        });
    }
    files.sort();
    Ok(files)
}

/// Caches, version control and bundles of an earlier run.
fn is_leftover(name: &str, depth: usize) -> bool {
    let path = Path::new(name);
    matches!(
        name,
        "__pycache__" | ".git" | ".hg" | ".svn" | ".DS_Store" | ".ipynb_checkpoints" | ".mypy_cache"
    ) || path.extension().is_some_and(|extension| extension == "pyc" || extension == "pyo")
        || (depth == 1 && name == "_jnumpy")
}

fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}
