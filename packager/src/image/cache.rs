//! The images made so far: `JNUMPY_HOME/images/<key>/{sys.so,image.json}`.
//!
//! An entry appears in one step, by renaming its directory, so what is there is complete. One lock for each key makes
//! a second builder of the same image wait for the first, and find the result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ImageError;
use super::key::sha256_of_file;
use super::stage::wait_for_lock;

const IMAGE: &str = "sys.so";
const RECORD: &str = "image.json";

/// What is known of a cached image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Format of this file.
    pub(super) version: u32,
    pub(super) julia: String,
    pub(super) cpu_target: String,
    /// Number of precompile statements that were to be replayed.
    pub(super) statements: usize,
    /// Stubs of the exported modules, by their paths in the package.
    pub(super) stubs: BTreeMap<String, String>,
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// The cache's entry for one key, locked by this process.
#[derive(Debug)]
pub(super) struct Entry {
    directory: PathBuf,
    partial: PathBuf,
    _lock: fs_err::File,
}

impl Entry {
    /// Locks the entry; waits while another process builds the same image.
    pub(super) fn lock(images: &Path, key: &str) -> Result<Self, ImageError> {
        fs_err::create_dir_all(images)?;
        let lock = fs_err::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(images.join(format!("{key}.lock")))?;
        wait_for_lock(&lock)?;
        Ok(Self { directory: images.join(key), partial: images.join(format!("{key}.partial")), _lock: lock })
    }

    pub(super) fn image(&self) -> PathBuf {
        self.directory.join(IMAGE)
    }

    /// What is in the entry, if it is there and whole. A damaged one counts as absent.
    pub(super) fn read(&self) -> Result<Option<Record>, ImageError> {
        let Ok(bytes) = fs_err::read(self.directory.join(RECORD)) else { return Ok(None) };
        let Ok(record) = serde_json::from_slice::<Record>(&bytes) else { return Ok(None) };
        if !self.image().is_file() {
            return Ok(None);
        }
        let whole = sha256_of_file(&self.image())? == (record.size, record.sha256.clone());
        Ok(whole.then_some(record))
    }

    /// An empty directory to build in. What a killed builder has left in it is removed.
    pub(super) fn workspace(&self) -> Result<Workspace<'_>, ImageError> {
        remove_if_there(&self.partial)?;
        fs_err::create_dir(&self.partial)?;
        Ok(Workspace { entry: self })
    }
}

/// Where an image is built; removed when dropped without having been published.
#[derive(Debug)]
pub(super) struct Workspace<'a> {
    entry: &'a Entry,
}

impl Workspace<'_> {
    pub(super) fn path(&self) -> &Path {
        &self.entry.partial
    }

    /// Where to put the image.
    pub(super) fn image(&self) -> PathBuf {
        self.entry.partial.join(IMAGE)
    }

    /// Makes the finished image the cache's.
    pub(super) fn publish(self, describe: impl FnOnce(u64, String) -> Record) -> Result<Record, ImageError> {
        let (size, sha256) = sha256_of_file(&self.image())?;
        let record = describe(size, sha256);
        let text = serde_json::to_string_pretty(&record).map_err(std::io::Error::from)?;
        fs_err::write(self.entry.partial.join(RECORD), text + "\n")?;
        remove_if_there(&self.entry.directory)?;
        fs_err::rename(&self.entry.partial, &self.entry.directory)?;
        Ok(record)
    }
}

impl Drop for Workspace<'_> {
    fn drop(&mut self) {
        // After publishing there is nothing; a leftover is cleared by the next builder of this image.
        let _ = remove_if_there(&self.entry.partial);
    }
}

fn remove_if_there(directory: &Path) -> std::io::Result<()> {
    match fs_err::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(size: u64, sha256: String) -> Record {
        Record {
            version: 1,
            julia: "1.5.3".into(),
            cpu_target: "generic".into(),
            statements: 2,
            stubs: [("_add.pyi".into(), "def add() -> None: ...\n".into())].into(),
            size,
            sha256,
        }
    }

    fn publish(entry: &Entry) -> Record {
        let workspace = entry.workspace().unwrap();
        fs_err::write(workspace.image(), "image").unwrap();
        workspace.publish(record).unwrap()
    }

    #[test]
    fn ok_absent_published_damaged() {
        let home = tempfile::tempdir().unwrap();
        let entry = Entry::lock(&home.path().join("images"), "key").unwrap();
        assert_eq!(entry.read().unwrap(), None);
        let published = publish(&entry);
        assert_eq!(entry.read().unwrap(), Some(published));
        fs_err::write(entry.image(), "imago").unwrap();
        assert_eq!(entry.read().unwrap(), None);
        publish(&entry);
        fs_err::write(entry.directory.join(RECORD), "{").unwrap();
        assert_eq!(entry.read().unwrap(), None);
        publish(&entry);
        assert!(entry.read().unwrap().is_some());
    }

    #[test]
    fn ok_a_failed_build_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let entry = Entry::lock(home.path(), "key").unwrap();
        fs_err::create_dir(&entry.partial).unwrap();
        fs_err::write(entry.partial.join("left"), "").unwrap();
        let workspace = entry.workspace().unwrap();
        assert_eq!(fs_err::read_dir(workspace.path()).unwrap().count(), 0);
        fs_err::write(workspace.image(), "half").unwrap();
        drop(workspace);
        assert!(!entry.partial.exists() && !entry.directory.exists());
    }

    #[test]
    fn ok_second_builder_waits_and_finds_it() {
        let home = tempfile::tempdir().unwrap();
        let first = Entry::lock(home.path(), "key").unwrap();
        let images = home.path().to_owned();
        let second = std::thread::spawn(move || Entry::lock(&images, "key").unwrap().read().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!second.is_finished());
        publish(&first);
        drop(first);
        assert!(second.join().unwrap().is_some());
    }
}
