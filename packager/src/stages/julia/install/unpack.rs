//! Unpacks an official archive below one directory, and trusts nothing in it.
//!
//! Entries may be files, directories, and links that stay in the tree. No entry is written through a link, no entry replaces
//! another one, and the unpacked bytes are counted while they are written.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::bufread::MultiGzDecoder;
use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use tar::{Archive, Entry, EntryType};

use crate::stages::julia::install::InstallError;
use crate::stages::julia::install::index::Limits;
use jnumpy_base::interrupt;
use jnumpy_base::path::normal;
use jnumpy_base::text::printable;

const MEGABYTE: u64 = 1_000_000;
const CHUNK: usize = 1 << 17;

/// Unpacks `archive` into `root`, which must not exist, without the one directory that holds everything in it.
/// `progress` gets the number of bytes unpacked. Returns the number of files.
pub(super) fn unpack(
    archive: &Path,
    root: &Path,
    limits: &Limits,
    mut progress: impl FnMut(u64),
) -> Result<u64, InstallError> {
    let file = File::open(archive)?;
    let packed = file.metadata()?.len();
    let most = (packed.saturating_mul(limits.ratio)).min(limits.unpacked_megabytes * MEGABYTE);
    let bytes = Counted { inner: MultiGzDecoder::new(BufReader::new(file)), count: 0, most };
    let mut tar = Archive::new(bytes);
    fs_err::create_dir(root)?;
    let mut tree = Tree { archive, root, top: None, directories: BTreeSet::new(), links: Vec::new() };
    let mut files = 0;
    let damaged = |source| tree_error(archive, source);
    for (number, entry) in (1..).zip(tar.entries().map_err(damaged)?) {
        interrupt::check()?;
        if number > limits.entries {
            return Err(InstallError::Bomb {
                archive: archive.into(),
                limit: format!("{} entries", limits.entries),
            });
        }
        let mut entry = entry.map_err(damaged)?;
        if tree.add(&mut entry, &mut progress)? {
            files += 1;
        }
    }
    // The last blocks hold the check sum of all.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(damaged)?;
    if tree.top.is_none() {
        return Err(InstallError::Empty { archive: archive.into() });
    }
    tree.check_links()?;
    Ok(files)
}

fn tree_error(archive: &Path, source: io::Error) -> InstallError {
    if source.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<TooMuch>) {
        return InstallError::Bomb { archive: archive.into(), limit: source.to_string() };
    }
    InstallError::Damaged { archive: archive.into(), source }
}

/// Stops reading if the archive unpacks to more bytes than an official one.
struct Counted<R> {
    inner: R,
    count: u64,
    most: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("{} MB unpacked", .0 / MEGABYTE)]
struct TooMuch(u64);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        if self.count > self.most { Err(io::Error::other(TooMuch(self.most))) } else { Ok(count) }
    }
}

/// The directory in the making.
struct Tree<'a> {
    archive: &'a Path,
    root: &'a Path,
    /// The directory that all entries are in.
    top: Option<PathBuf>,
    /// Those made so far, relative to the root.
    directories: BTreeSet<PathBuf>,
    links: Vec<PathBuf>,
}

impl Tree<'_> {
    /// Puts one entry into the tree; true for a file.
    fn add<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        progress: &mut impl FnMut(u64),
    ) -> Result<bool, InstallError> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(false);
        }
        let name = entry.path_bytes().into_owned();
        let archive = self.archive;
        let refused = |reason| InstallError::Entry {
            archive: archive.into(),
            entry: printable(&String::from_utf8_lossy(&name)),
            reason,
        };
        let path = entry.path().map_err(|_| refused("its path is not valid text"))?.into_owned();
        let path =
            within(Path::new(""), &path).ok_or_else(|| refused("its path leads out of the archive"))?;
        let path = self
            .below_top(&path)
            .ok_or_else(|| refused("it is outside the directory that contains all other entries"))?;
        if path.as_os_str().is_empty() {
            return if kind == EntryType::Directory {
                Ok(false)
            } else {
                Err(refused("the directory that contains all other entries is a file"))
            };
        }
        if kind == EntryType::Directory {
            self.make_directory(&path).map_err(|error| explain(error, &refused))?;
            return Ok(false);
        }
        self.make_directory(parent(&path)).map_err(|error| explain(error, &refused))?;
        match kind {
            EntryType::Regular | EntryType::Continuous => {
                self.file(entry, &path, progress, &refused)?;
                return Ok(true);
            }
            EntryType::Symlink => {
                let target = link_name(entry).ok_or_else(|| refused("it is a link to nothing"))?;
                within(parent(&path), &target)
                    .ok_or_else(|| refused("it is a link that leads out of the archive"))?;
                fs_err::os::unix::fs::symlink(&target, self.root.join(&path))
                    .map_err(|error| explain(error, &refused))?;
                self.links.push(path);
            }
            EntryType::Link => {
                let outside = || refused("it is a link that leads out of the archive");
                let target = link_name(entry).ok_or_else(outside)?;
                let target = within(Path::new(""), &target).ok_or_else(outside)?;
                let target = self.root.join(self.below_top(&target).ok_or_else(outside)?);
                let is_file = fs_err::symlink_metadata(&target).is_ok_and(|data| data.is_file());
                if !is_file || self.passes_a_link(&target) {
                    return Err(refused("it is a hard link to a file that the archive does not contain"));
                }
                fs_err::hard_link(&target, self.root.join(&path))
                    .map_err(|error| explain(error, &refused))?;
            }
            _ => return Err(refused("it is neither a file, a directory, nor a link")),
        }
        Ok(false)
    }

    fn file<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        path: &Path,
        progress: &mut impl FnMut(u64),
        refused: &impl Fn(&'static str) -> InstallError,
    ) -> Result<(), InstallError> {
        let header = entry.header();
        let mode = if header.mode().is_ok_and(|mode| mode & 0o111 != 0) { 0o755 } else { 0o644 };
        let modified =
            header.mtime().ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let location = self.root.join(path);
        let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(&location);
        let mut file = created.map_err(|error| explain(error, refused))?;
        let mut buffer = vec![0; CHUNK];
        loop {
            interrupt::check()?;
            let count = entry.read(&mut buffer).map_err(|source| tree_error(self.archive, source))?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count])?;
            progress(count as u64);
        }
        // The mask of the process has been taken off the mode above.
        file.set_permissions(PermissionsExt::from_mode(mode))?;
        if let Some(modified) = modified {
            // Julia regards a precompiled file as stale if the time of its sources differs.
            file.file().set_modified(modified)?;
        }
        Ok(())
    }

    /// The path without the archive's one directory, which the first entry names.
    fn below_top(&mut self, path: &Path) -> Option<PathBuf> {
        let first = Path::new(path.components().next()?.as_os_str());
        let top = self.top.get_or_insert_with(|| first.to_path_buf());
        path.strip_prefix(top).ok().map(Path::to_path_buf)
    }

    /// Makes a directory and those above it. What is there already must have been made here: it may be a link else.
    fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || self.directories.contains(path) {
            return Ok(());
        }
        self.make_directory(parent(path))?;
        fs_err::create_dir(self.root.join(path))?;
        fs_err::set_permissions(self.root.join(path), PermissionsExt::from_mode(0o755))?;
        self.directories.insert(path.into());
        Ok(())
    }

    /// Whether a directory on the way to this path was not made here.
    fn passes_a_link(&self, path: &Path) -> bool {
        let parent = path.strip_prefix(self.root).map_or(Path::new(""), parent);
        !parent.as_os_str().is_empty() && !self.directories.contains(parent)
    }

    /// Links are checked again on disk: one may lead through another.
    fn check_links(&self) -> Result<(), InstallError> {
        let root = fs_err::canonicalize(self.root)?;
        for link in &self.links {
            let leaves =
                fs_err::canonicalize(self.root.join(link)).is_ok_and(|real| !real.starts_with(&root));
            if leaves {
                return Err(InstallError::Entry {
                    archive: self.archive.into(),
                    entry: printable(&link.to_string_lossy()),
                    reason: "it is a link that leads out of the archive",
                });
            }
        }
        Ok(())
    }
}

fn explain(error: io::Error, refused: &impl Fn(&'static str) -> InstallError) -> InstallError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            refused("its name, or that of a directory above it, is already in use")
        }
        _ => error.into(),
    }
}

fn link_name<R: Read>(entry: &Entry<'_, R>) -> Option<PathBuf> {
    let target = entry.link_name().ok()??.into_owned();
    (!target.as_os_str().is_empty()).then_some(target)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// `path` as seen from `base`, without `.` and `..`; `None` when it is absolute or leaves the tree.
fn within(base: &Path, path: &Path) -> Option<PathBuf> {
    normal(&base.join(path)).filter(|path| path.is_relative())
}

/// The number of bytes that a gzip file says it unpacks to, modulo 2³².
pub(super) fn unpacked_size(archive: &Path) -> io::Result<u64> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(archive)?;
    let mut last = [0; 4];
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut last)?;
    Ok(u32::from_le_bytes(last).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    const LIMITS: Limits = Limits { archive_megabytes: 1, unpacked_megabytes: 2, ratio: 1000, entries: 20 };

    /// An entry as its name, kind and link target or content.
    type Given<'a> = (&'a str, EntryType, &'a str);

    const GOOD: [Given<'_>; 7] = [
        ("julia-1/", EntryType::Directory, ""),
        ("julia-1/bin/julia", EntryType::Regular, "#!"),
        ("julia-1/lib/libjulia.so.1.10.4", EntryType::Regular, "elf"),
        ("julia-1/lib/libjulia.so.1.10", EntryType::Symlink, "libjulia.so.1.10.4"),
        ("julia-1/lib/julia/libz.so", EntryType::Symlink, "../libjulia.so.1.10"),
        ("julia-1/lib/same", EntryType::Link, "julia-1/lib/libjulia.so.1.10.4"),
        ("julia-1/etc/none", EntryType::Symlink, "not-there"),
    ];

    /// A tar file with malicious entries.
    fn tar(entries: &[Given<'_>]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, text) in entries {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            header.set_mtime(1_000_000);
            let content = if *kind == EntryType::Regular { text.as_bytes() } else { &[] };
            if content.is_empty() {
                header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8], check: impl FnOnce(&Path)) -> Result<u64, InstallError> {
        let directory = tempfile::tempdir().unwrap();
        let (archive, root) = (directory.path().join("julia.tar.gz"), directory.path().join("a/prefix"));
        fs_err::create_dir(directory.path().join("a")).unwrap();
        fs_err::write(&archive, bytes).unwrap();
        let result = unpack(&archive, &root, &LIMITS, |_| ());
        check(&root);
        // Whatever happened, nothing is beside the tree.
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 2);
        assert_eq!(fs_err::read_dir(directory.path().join("a")).unwrap().count(), 1);
        result
    }

    #[test]
    fn ok_what_an_official_archive_holds() {
        let files = unpacked(&gzip(&tar(&GOOD)), |root| {
            assert_eq!(fs_err::read_to_string(root.join("lib/julia/libz.so")).unwrap(), "elf");
            assert_eq!(fs_err::read_to_string(root.join("lib/same")).unwrap(), "elf");
            let data = fs_err::metadata(root.join("bin/julia")).unwrap();
            assert_eq!(data.permissions().mode() & 0o7777, 0o755);
            assert_eq!(data.modified().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        });
        assert_eq!(files.unwrap(), 2);
    }

    #[test]
    fn err_entries_that_no_julia_has() {
        use EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};
        let cases: [(&[Given<'_>], &str); 19] = [
            (&[("../evil", Regular, "x")], "leads out of the archive"),
            (&[("julia-1/../../evil", Regular, "x")], "leads out of the archive"),
            (&[("/tmp/evil", Regular, "x")], "leads out of the archive"),
            (&[("other/evil", Regular, "x")], "outside the directory that contains"),
            (&[("julia-1/a", Symlink, "/etc/passwd")], "a link that leads out of the archive"),
            (&[("julia-1/a", Symlink, "../..")], "a link that leads out of the archive"),
            (&[("julia-1/a", Symlink, "")], "a link to nothing"),
            (
                &[("julia-1/a", Symlink, "."), ("julia-1/b", Symlink, "a/..")],
                "a link that leads out of the archive",
            ),
            (&[("julia-1/a", Link, "/etc/passwd")], "a link that leads out of the archive"),
            (&[("julia-1/a", Link, "other/file")], "a link that leads out of the archive"),
            (
                &[("julia-1/a", Link, "julia-1/none")],
                "a hard link to a file that the archive does not contain",
            ),
            (
                &[("julia-1/d", Symlink, "bin"), ("julia-1/a", Link, "julia-1/d/julia")],
                "a hard link to a file that the archive does not contain",
            ),
            (&[("julia-1/d", Symlink, "bin"), ("julia-1/d/new", Regular, "x")], "already in use"),
            (&[("julia-1/bin/julia", Regular, "other")], "already in use"),
            (&[("julia-1/bin/julia/deeper", Regular, "x")], "already in use"),
            (&[("julia-1", Regular, "x")], "is a file"),
            (&[("julia-1/dev", Char, "")], "neither a file"),
            (&[("julia-1/dev", Block, "")], "neither a file"),
            (&[("julia-1/dev", Fifo, ""), ("julia-1/x", Directory, "")], "neither a file"),
        ];
        for (bad, reason) in cases {
            let entries = [&GOOD[..], bad].concat();
            let error = unpacked(&gzip(&tar(&entries)), |_| ()).unwrap_err();
            assert!(matches!(error, InstallError::Entry { .. }), "{bad:?}: {error:?}");
            assert!(error.to_string().contains(reason), "{bad:?}: {error}");
        }
    }

    #[test]
    fn err_more_than_an_official_archive_holds() {
        let bomb = [("julia-1/zeros", EntryType::Regular, &*"\0".repeat(3_000_000))];
        let error = unpacked(&gzip(&tar(&bomb)), |_| ()).unwrap_err();
        assert!(error.to_string().contains("limit for an archive, 2 MB unpacked"), "{error}");
        let many: Vec<String> = (0..30).map(|number| format!("julia-1/{number}")).collect();
        let many: Vec<Given<'_>> = many.iter().map(|name| (name.as_str(), EntryType::Regular, "x")).collect();
        let error = unpacked(&gzip(&tar(&many)), |_| ()).unwrap_err();
        assert!(error.to_string().contains("limit for an archive, 20 entries"), "{error}");
    }

    #[test]
    fn err_damaged_at_any_length() {
        let good = gzip(&tar(&GOOD));
        for length in 0..good.len() {
            unpacked(&good[..length], |_| ()).unwrap_err();
        }
        let mut flipped = good.clone();
        let checksum = flipped.len() - 8;
        flipped[checksum] ^= 1;
        assert!(matches!(unpacked(&flipped, |_| ()), Err(InstallError::Damaged { .. })));
        assert!(matches!(unpacked(&gzip(&[0; 1024]), |_| ()), Err(InstallError::Empty { .. })));
        assert!(matches!(unpacked(b"<html>", |_| ()), Err(InstallError::Damaged { .. })));
    }
}
