//! The cache of images: `JNUMPY_HOME/images/<key>/` with a system image or package images, and `image.json`.
//!
//! An entry is created and removed in one step, by renaming its directory, so every entry is complete. There is a lock for each
//! key: a second builder of the same image waits for the first one and uses its result. A user of an image holds a shared lock
//! on its record, `image.json`, and a locked image is not pruned. The modification time of the record is that of the last use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::ImageError;
use super::build_tree::wait_for_lock;
use super::key::sha256_of_file;
use super::packages::PackageImage;
use jnumpy_base::interrupt;
use jnumpy_base::path::is_at;

/// The name of a system image in its entry.
pub(super) const IMAGE: &str = "sys.so";
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
    /// The warnings about globals, which are printed again each time.
    pub(super) warnings: Vec<String>,
    /// The rules whose standard libraries the image does not start.
    pub(super) unused: Vec<String>,
    /// What the package images are of, in the order in which Julia loads them; nothing for a system image.
    pub(super) packages: Vec<PackageImage>,
    /// The files of the entry.
    pub(super) files: BTreeMap<String, Stored>,
}

/// A file of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    size: u64,
    sha256: String,
}

impl Stored {
    fn of(path: &Path) -> Result<Self, ImageError> {
        let (size, sha256) = sha256_of_file(path)?;
        Ok(Self { size, sha256 })
    }
}

impl Record {
    /// The size of all files, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }
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
        loop {
            let lock = open_lock(images, key)?;
            wait_for_lock(&lock)?;
            // The one that we waited for may have pruned the entry, and its lock with it.
            if is_at(&lock, &lock_path(images, key)) {
                return Ok(Self::locked(images, key, lock));
            }
        }
    }

    fn locked(images: &Path, key: &str, lock: fs_err::File) -> Self {
        Self { directory: images.join(key), partial: images.join(format!("{key}.partial")), _lock: lock }
    }

    /// Keeps the entry from being pruned for as long as the value lives, and says that it is used now.
    pub(super) fn hold(&self) -> Result<Hold, ImageError> {
        let record = fs_err::OpenOptions::new().read(true).write(true).open(self.directory.join(RECORD))?;
        // No process holds this lock for long: pruning only tries it, while it holds the entry's own lock.
        record.file().lock_shared()?;
        record.file().set_modified(SystemTime::now())?;
        Ok(Hold { _record: record })
    }

    /// Removes the image in one step; `false` when it is in use.
    fn remove(&self) -> Result<bool, ImageError> {
        if let Ok(record) = fs_err::File::open(self.directory.join(RECORD)) {
            match record.file().try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(false),
                Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        remove_if_there(&self.partial)?;
        if self.directory.exists() {
            fs_err::rename(&self.directory, &self.partial)?;
            remove_if_there(&self.partial)?;
        }
        Ok(true)
    }

    /// The directory of what was stored.
    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    /// What is in the entry, if it is there and whole. A damaged one counts as absent.
    pub(super) fn read(&self) -> Result<Option<Record>, ImageError> {
        let Some(record) = read_record(&self.directory) else { return Ok(None) };
        for (name, stored) in &record.files {
            let path = self.directory.join(name);
            if !path.is_file() || Stored::of(&path)? != *stored {
                return Ok(None);
            }
        }
        Ok(Some(record))
    }

    /// An empty directory to build in. What a killed builder has left in it is removed.
    pub(super) fn workspace(&self) -> Result<Workspace<'_>, ImageError> {
        remove_if_there(&self.partial)?;
        fs_err::create_dir(&self.partial)?;
        Ok(Workspace { entry: self })
    }
}

/// A cached image in use.
#[derive(Debug)]
pub struct Hold {
    _record: fs_err::File,
}

fn lock_path(images: &Path, key: &str) -> PathBuf {
    images.join(format!("{key}.lock"))
}

fn open_lock(images: &Path, key: &str) -> std::io::Result<fs_err::File> {
    fs_err::OpenOptions::new().create(true).write(true).truncate(false).open(lock_path(images, key))
}

/// An image in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CachedImage {
    /// Digest of all inputs.
    pub key: String,
    /// The Julia it is for.
    pub julia: String,
    /// The processors it is for.
    pub cpu_target: String,
    /// Size in bytes.
    pub size: u64,
    /// How long ago it was last used, in seconds.
    pub age: u64,
}

/// Which images to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Those that were not used for longer than this.
    pub age: Option<Duration>,
    /// The ones least recently used, until the rest takes no more bytes than this.
    pub size: Option<u64>,
}

/// What pruning did.
#[derive(Debug, Default, Serialize)]
pub struct Pruned {
    /// The images that are gone.
    pub removed: Vec<CachedImage>,
    /// Those that would be, but are in use.
    pub in_use: Vec<CachedImage>,
    /// How many bytes the remaining ones take.
    pub left: u64,
}

/// The cached images, the most recently used first.
pub fn list(images: &Path) -> Result<Vec<CachedImage>, ImageError> {
    let mut found = Vec::new();
    for key in keys(images, "")? {
        let directory = images.join(&key);
        let Some(record) = read_record(&directory) else { continue };
        let size = record.size();
        let Record { julia, cpu_target, .. } = record;
        let modified = fs_err::metadata(directory.join(RECORD))?.modified()?;
        let age = modified.elapsed().unwrap_or_default().as_secs();
        found.push(CachedImage { key, julia, cpu_target, size, age });
    }
    found.sort_by(|one, two| one.age.cmp(&two.age).then_with(|| one.key.cmp(&two.key)));
    Ok(found)
}

/// What an entry's directory says of its image; `None` when it is damaged or of another version of this program.
fn read_record(directory: &Path) -> Option<Record> {
    serde_json::from_slice(&fs_err::read(directory.join(RECORD)).ok()?).ok()
}

/// Removes images, those that nobody can use, and what killed builders have left. What is being built or in use stays.
pub fn prune(images: &Path, limits: Limits) -> Result<Pruned, ImageError> {
    let mut pruned = Pruned::default();
    for key in keys(images, ".partial")? {
        if let Some(entry) = try_lock(images, &key)? {
            remove_if_there(&entry.partial)?;
        }
    }
    for key in keys(images, "")? {
        if read_record(&images.join(&key)).is_none()
            && let Some(entry) = try_lock(images, &key)?
            && entry.remove()?
        {
            fs_err::remove_file(lock_path(images, &key))?;
        }
    }
    for image in list(images)? {
        interrupt::check()?;
        let too_old = limits.age.is_some_and(|age| image.age >= age.as_secs());
        let too_much = limits.size.is_some_and(|size| pruned.left + image.size > size);
        if !too_old && !too_much {
            pruned.left += image.size;
            continue;
        }
        let entry = try_lock(images, &image.key)?;
        let removed = match &entry {
            Some(entry) => entry.remove()?,
            None => false,
        };
        if removed {
            // Under its own lock, so that one who waits for it sees that it is gone.
            fs_err::remove_file(lock_path(images, &image.key))?;
            pruned.removed.push(image);
        } else {
            pruned.left += image.size;
            pruned.in_use.push(image);
        }
    }
    Ok(pruned)
}

/// The entry, unless another process has it.
fn try_lock(images: &Path, key: &str) -> Result<Option<Entry>, ImageError> {
    let lock = open_lock(images, key)?;
    match lock.file().try_lock() {
        Ok(()) if is_at(&lock, &lock_path(images, key)) => Ok(Some(Entry::locked(images, key, lock))),
        Ok(()) | Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The keys of the directories whose names end like this.
fn keys(images: &Path, end: &str) -> Result<Vec<String>, ImageError> {
    let entries = match fs_err::read_dir(images) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(key) = name.strip_suffix(end).filter(|key| !key.contains('.')) {
            keys.push(key.to_owned());
        }
    }
    keys.sort();
    Ok(keys)
}

/// Where an image is built; removed when dropped without having been stored.
#[derive(Debug)]
pub(super) struct Workspace<'a> {
    entry: &'a Entry,
}

impl Workspace<'_> {
    pub(super) fn path(&self) -> &Path {
        &self.entry.partial
    }

    /// Makes what was built the cache's: the files of these names. Whatever else is there stays with them, unchecked.
    pub(super) fn store(
        self,
        names: impl IntoIterator<Item = String>,
        describe: impl FnOnce(BTreeMap<String, Stored>) -> Record,
    ) -> Result<Record, ImageError> {
        let mut files = BTreeMap::new();
        for name in names {
            let stored = Stored::of(&self.path().join(&name))?;
            files.insert(name, stored);
        }
        let record = describe(files);
        let text = serde_json::to_string_pretty(&record).map_err(std::io::Error::from)?;
        fs_err::write(self.entry.partial.join(RECORD), text + "\n")?;
        remove_if_there(&self.entry.directory)?;
        fs_err::rename(&self.entry.partial, &self.entry.directory)?;
        Ok(record)
    }
}

impl Drop for Workspace<'_> {
    fn drop(&mut self) {
        // After `store` there is nothing; a leftover is removed by the next build of this image.
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

    fn record(files: BTreeMap<String, Stored>) -> Record {
        Record {
            version: 1,
            julia: "1.5.3".into(),
            cpu_target: "generic".into(),
            statements: 2,
            unused: Vec::new(),
            warnings: Vec::new(),
            stubs: [("_add.pyi".into(), "def add() -> None: ...\n".into())].into(),
            packages: Vec::new(),
            files,
        }
    }

    fn store(entry: &Entry) -> Record {
        let workspace = entry.workspace().unwrap();
        fs_err::write(workspace.path().join(IMAGE), "image").unwrap();
        workspace.store([IMAGE.into()], record).unwrap()
    }

    #[test]
    fn ok_absent_published_damaged() {
        let home = tempfile::tempdir().unwrap();
        let entry = Entry::lock(&home.path().join("images"), "key").unwrap();
        assert_eq!(entry.read().unwrap(), None);
        let stored = store(&entry);
        assert_eq!(entry.read().unwrap(), Some(stored));
        fs_err::write(entry.path().join(IMAGE), "imago").unwrap();
        assert_eq!(entry.read().unwrap(), None);
        store(&entry);
        fs_err::write(entry.directory.join(RECORD), "{").unwrap();
        assert_eq!(entry.read().unwrap(), None);
        store(&entry);
        assert!(entry.read().unwrap().is_some());
    }

    /// Stores an image that was last used so many seconds ago.
    fn cached(images: &Path, key: &str, age: u64) {
        let entry = Entry::lock(images, key).unwrap();
        store(&entry);
        let record = fs_err::OpenOptions::new().write(true).open(entry.directory.join(RECORD)).unwrap();
        record.file().set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }

    fn keys_of(images: &[CachedImage]) -> Vec<&str> {
        images.iter().map(|image| image.key.as_str()).collect()
    }

    #[test]
    fn ok_pruned_by_age_and_size() {
        let home = tempfile::tempdir().unwrap();
        let images = home.path();
        assert!(list(&images.join("none")).unwrap().is_empty());
        for (key, age) in [("old", 9000), ("new", 1), ("middle", 500)] {
            cached(images, key, age);
        }
        assert_eq!(keys_of(&list(images).unwrap()), ["new", "middle", "old"]);
        // What a killed builder has left goes in any case.
        fs_err::create_dir(images.join("killed.partial")).unwrap();
        let by_age = prune(images, Limits { age: Some(Duration::from_secs(1000)), size: None }).unwrap();
        assert_eq!((keys_of(&by_age.removed), by_age.left), (vec!["old"], 10));
        assert!(!images.join("killed.partial").exists());
        let by_size = prune(images, Limits { age: None, size: Some(7) }).unwrap();
        assert_eq!((keys_of(&by_size.removed), by_size.left), (vec!["middle"], 5));
        assert!(images.join("new/sys.so").exists() && !images.join("middle").exists());
        assert!(!images.join("middle.lock").exists());
    }

    #[test]
    fn ok_what_is_used_or_built_is_not_pruned() {
        let home = tempfile::tempdir().unwrap();
        let images = home.path();
        let all = Limits { age: Some(Duration::ZERO), size: None };
        cached(images, "used", 9000);
        let hold = Entry::lock(images, "used").unwrap().hold().unwrap();
        assert_eq!(list(images).unwrap()[0].age, 0, "using it counts");
        let building = Entry::lock(images, "built").unwrap();
        let workspace = building.workspace().unwrap();
        let pruned = prune(images, all).unwrap();
        assert_eq!((keys_of(&pruned.removed), keys_of(&pruned.in_use)), (vec![], vec!["used"]));
        assert!(workspace.path().exists());
        drop(hold);
        drop(workspace);
        assert_eq!(keys_of(&prune(images, all).unwrap().removed), ["used"]);
        assert!(!images.join("used").exists());
    }

    #[test]
    fn ok_a_failed_build_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let entry = Entry::lock(home.path(), "key").unwrap();
        fs_err::create_dir(&entry.partial).unwrap();
        fs_err::write(entry.partial.join("left"), "").unwrap();
        let workspace = entry.workspace().unwrap();
        assert_eq!(fs_err::read_dir(workspace.path()).unwrap().count(), 0);
        fs_err::write(workspace.path().join(IMAGE), "half").unwrap();
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
        store(&first);
        drop(first);
        assert!(second.join().unwrap().is_some());
    }
}
