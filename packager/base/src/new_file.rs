//! Files that get their names when they are complete.

use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file being written under a temporary name, in the directory in which it will be. If it is dropped, nothing is left.
#[derive(Debug)]
pub struct NewFile {
    file: BufWriter<NamedTempFile>,
    target: PathBuf,
}

impl NewFile {
    /// Starts the file that will be at `path`. If there is a file, it stays as it is until [`NewFile::finish`] replaces it, and
    /// its permissions are kept; if `path` is a link, the file that it leads to is replaced.
    ///
    /// # Errors
    /// The directory is missing, or nothing can be written into it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        // A temporary file is private by default; this is an ordinary file, so the umask alone decides.
        let ordinary = PermissionsExt::from_mode(0o666);
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".tmp-")
            .permissions(ordinary)
            .tempfile_in(directory.unwrap_or(Path::new(".")))?;
        if let Ok(old) = target.metadata() {
            file.as_file().set_permissions(old.permissions())?;
        }
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), target })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// What was written last does not fit on the disk, or the path is that of a directory.
    pub fn finish(self) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.persist(self.target).map(drop).map_err(|error| error.error)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes each file, and then gives all of them their names: what cannot be written changes none.
///
/// # Errors
/// As [`NewFile::create`] and [`NewFile::finish`].
pub fn write_files<P: AsRef<Path>, B: AsRef<[u8]>>(
    files: impl IntoIterator<Item = (P, B)>,
) -> io::Result<()> {
    let mut new = Vec::new();
    for (path, bytes) in files {
        let mut file = NewFile::create(path.as_ref())?;
        file.write_all(bytes.as_ref())?;
        file.flush()?;
        new.push(file);
    }
    new.into_iter().try_for_each(NewFile::finish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_what_is_replaced_keeps_its_permissions_and_its_link() {
        let root = tempfile::tempdir().unwrap();
        let (file, link) = (root.path().join("file"), root.path().join("link"));
        fs_err::write(&file, "old").unwrap();
        fs_err::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        fs_err::os::unix::fs::symlink("file", &link).unwrap();
        write_files([(&link, "new")]).unwrap();
        assert_eq!(fs_err::read_to_string(&file).unwrap(), "new");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn err_nothing_is_changed_and_nothing_is_left() {
        let root = tempfile::tempdir().unwrap();
        let (file, missing) = (root.path().join("file"), root.path().join("missing/file"));
        fs_err::write(&file, "old").unwrap();
        write_files([(&file, "new"), (&missing, "new")]).unwrap_err();
        let mut started = NewFile::create(&file).unwrap();
        started.write_all(b"half").unwrap();
        drop(started);
        assert_eq!(fs_err::read_to_string(&file).unwrap(), "old");
        assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 1);
    }
}
