//! The build tree: a private copy of all Julia sources, in a directory whose name depends only on their content.
//!
//! Julia writes the absolute path of every source file into an image. An image that is compiled in the build tree does not
//! contain the path of the project or other details of the machine, and equal sources have equal paths. So the directory is
//! always below `/tmp`, whatever `TMPDIR` says.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::ImageError;
use crate::formats::contract::{BUILD_TREE, SOURCES};
use jnumpy_base::interrupt;
use jnumpy_base::path::is_at;

/// The modification time of every file.
const TIME: Duration = Duration::from_secs(1);

/// A build tree, locked by this process. It is removed when dropped.
#[derive(Debug)]
pub(super) struct BuildTree {
    directory: PathBuf,
    /// Holds the lock for as long as the value lives.
    _lock: fs_err::File,
}

impl BuildTree {
    /// Copies `files` (relative name → source) into the directory for `key`.
    pub(super) fn create(key: &str, files: &BTreeMap<String, TreeFile>) -> Result<Self, ImageError> {
        Self::create_at(directory(key).into(), files)
    }

    fn create_at(directory: PathBuf, files: &BTreeMap<String, TreeFile>) -> Result<Self, ImageError> {
        let lock = claim(&directory)?;
        let tree = Self { directory, _lock: lock };
        // Removes what a killed run has left.
        for entry in fs_err::read_dir(&tree.directory)? {
            let entry = entry?;
            if entry.file_name() != LOCK {
                remove(&entry.path())?;
            }
        }
        for (name, file) in files {
            interrupt::check()?;
            let path = tree.directory.join(name);
            create_private_parents(&path)?;
            match file {
                TreeFile::Copy(source) => {
                    fs_err::copy(source, &path)?;
                }
                TreeFile::Text(text) => fs_err::write(&path, text)?,
                TreeFile::Link { target, .. } => {
                    fs_err::os::unix::fs::symlink(target, &path)?;
                    continue;
                }
            }
            fs_err::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
            // Julia before 1.11 identifies a source file by its path and time. Here, the path depends on the content.
            fs_err::OpenOptions::new().write(true).open(&path)?.file().set_modified(UNIX_EPOCH + TIME)?;
        }
        Ok(tree)
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }
}

impl Drop for BuildTree {
    fn drop(&mut self) {
        // A leftover does no harm: the next run with the same content clears it.
        let _ = fs_err::remove_dir_all(&self.directory);
    }
}

/// What a file of a build tree is made of.
#[derive(Debug, Clone)]
pub(super) enum TreeFile {
    /// A copy of another file.
    Copy(PathBuf),
    /// This text.
    Text(String),
    /// A link to a directory that is too large to be copied.
    Link {
        /// The directory.
        target: PathBuf,
        /// The text that represents its content in the key.
        content: String,
    },
}

/// The absolute path of the sources while the image for `key` is built.
pub(super) fn sources(key: &str) -> String {
    format!("{}/{SOURCES}", directory(key))
}

/// The build tree for `key`.
fn directory(key: &str) -> String {
    format!("{BUILD_TREE}{}", &key[..16])
}

const LOCK: &str = ".lock";

/// Makes the directory private. Every user can write to `/tmp` and guess the name, so an existing directory is used only if it
/// is not a link, belongs to this user, and is not accessible to others.
fn claim(directory: &Path) -> Result<fs_err::File, ImageError> {
    loop {
        match std::fs::DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(ImageError::BuildTree { directory: directory.to_owned(), source }),
        }
        let found = match fs_err::symlink_metadata(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let own = tempfile::tempfile()?.metadata()?.uid();
        if !found.is_dir() || found.uid() != own || found.mode() & 0o077 != 0 {
            return Err(ImageError::ForeignBuildTree { directory: directory.to_owned() });
        }
        // The umask may have removed the owner's permissions.
        fs_err::set_permissions(directory, PermissionsExt::from_mode(0o700))?;
        let path = directory.join(LOCK);
        let mut lock = match fs_err::OpenOptions::new().create(true).write(true).truncate(false).open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other?,
        };
        wait_for_lock(&lock)?;
        // The process that held the lock may have removed the directory. Then the lock is on a file that no longer exists.
        if is_at(&lock, &path) {
            lock.flush()?;
            return Ok(lock);
        }
    }
}

/// Takes an exclusive lock; while another process has it, Ctrl-C still works.
pub(super) fn wait_for_lock(file: &fs_err::File) -> Result<(), ImageError> {
    loop {
        match file.file().try_lock() {
            Ok(()) => return Ok(()),
            Err(std::fs::TryLockError::WouldBlock) => {
                interrupt::check()?;
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

fn create_private_parents(path: &Path) -> Result<(), ImageError> {
    let parent = path.parent().unwrap_or(path);
    if !parent.is_dir() {
        create_private_parents(parent)?;
        fs_err::create_dir(parent)?;
        fs_err::set_permissions(parent, PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    if fs_err::symlink_metadata(path)?.is_dir() {
        fs_err::remove_dir_all(path)
    } else {
        fs_err::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const NAME: &str = "jnumpy-0123456789abcdef";

    fn files() -> BTreeMap<String, TreeFile> {
        BTreeMap::from([("packages/A/src/A.jl".into(), TreeFile::Text("module A end".into()))])
    }

    #[test]
    fn ok_a_path_of_255_characters() {
        assert_eq!(sources(KEY).len(), 255);
    }

    #[test]
    fn ok_a_link_leaves_its_target_alone() {
        let parent = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        fs_err::set_permissions(target.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs_err::write(target.path().join("kept"), "").unwrap();
        let link = TreeFile::Link { target: target.path().to_owned(), content: String::new() };
        let files = BTreeMap::from([("artifacts/x".into(), link)]);
        let tree = BuildTree::create_at(parent.path().join(NAME), &files).unwrap();
        assert!(tree.path().join("artifacts/x/kept").is_file());
        drop(tree);
        assert!(target.path().join("kept").is_file());
        assert_eq!(fs_err::metadata(target.path()).unwrap().mode() & 0o777, 0o755);
    }

    #[test]
    fn ok_private_and_removed() {
        let parent = tempfile::tempdir().unwrap();
        let tree = BuildTree::create_at(parent.path().join(NAME), &files()).unwrap();
        assert_eq!(tree.path(), parent.path().join(NAME));
        let mode = |path: &str| fs_err::metadata(tree.path().join(path)).unwrap().mode() & 0o777;
        assert_eq!((mode(""), mode("packages/A"), mode("packages/A/src/A.jl")), (0o700, 0o700, 0o600));
        drop(tree);
        assert_eq!(fs_err::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn ok_leftovers_are_cleared() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join(NAME);
        fs_err::create_dir_all(directory.join("packages/B")).unwrap();
        fs_err::set_permissions(&directory, PermissionsExt::from_mode(0o700)).unwrap();
        fs_err::write(directory.join(LOCK), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.join("link")).unwrap();
        let tree = BuildTree::create_at(parent.path().join(NAME), &files()).unwrap();
        let mut names: Vec<_> =
            fs_err::read_dir(tree.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [LOCK, "packages"]);
        assert!(!tree.path().join("packages/B").exists());
    }

    #[test]
    fn err_hostile_directory() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join(NAME);
        let refused = || {
            let error = BuildTree::create_at(parent.path().join(NAME), &files()).unwrap_err();
            assert!(matches!(error, ImageError::ForeignBuildTree { .. }), "{error}");
        };
        fs_err::create_dir(&directory).unwrap();
        fs_err::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
        refused();
        fs_err::remove_dir(&directory).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &directory).unwrap();
        refused();
        fs_err::remove_file(&directory).unwrap();
        fs_err::write(&directory, "").unwrap();
        refused();
    }

    #[test]
    fn ok_second_user_of_a_name_waits() {
        let parent = tempfile::tempdir().unwrap();
        let first = BuildTree::create_at(parent.path().join(NAME), &files()).unwrap();
        let path = parent.path().join(NAME);
        let second =
            std::thread::spawn(move || BuildTree::create_at(path, &files()).unwrap().path().exists());
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!second.is_finished());
        drop(first);
        assert!(second.join().unwrap());
    }
}
