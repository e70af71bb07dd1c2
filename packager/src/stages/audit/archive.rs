//! Reads a zip archive strictly: every byte must belong to a header, a file, or the directory, and values that occur twice must
//! be equal. This code shares nothing with the writer, so that an error in one does not hide an error in the other.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use fs_err::File;
use fs_err::os::unix::fs::FileExt;
use libdeflater::Decompressor;

use super::AuditError;
use super::finding::{Check, Finding};
use jnumpy_base::interrupt;
use jnumpy_wheel::{WheelPath, deflate_length};

/// Number of threads. Files are unpacked in memory, so more threads would need more memory.
const MAX_THREADS: usize = 4;
/// The largest declared size of a file. A larger one is an error, so that a damaged archive cannot fill the memory.
const LARGEST_FILE: u64 = 2 << 30;
/// The largest total size of the unpacked files.
const LARGEST_WHEEL: u64 = 8 << 30;
/// Deflate cannot express more output than this for a byte of input.
const BEST_RATIO: u64 = 1032;

const LOCAL_SIGNATURE: u32 = 0x0403_4b50;
const LOCAL_SIZE: u64 = 30;
const CENTRAL_SIGNATURE: u32 = 0x0201_4b50;
const CENTRAL_SIZE: u64 = 46;
const END_SIGNATURE: u32 = 0x0605_4b50;
const END_SIZE: u64 = 22;
const END64_SIGNATURE: u32 = 0x0606_4b50;
const END64_SIZE: u64 = 56;
const LOCATOR_SIGNATURE: u32 = 0x0706_4b50;
const LOCATOR_SIZE: u64 = 20;
const ZIP64_EXTRA: u16 = 1;
const FULL32: u64 = 0xffff_ffff;
const NAME_IS_UTF8: u16 = 1 << 11;
const DEFLATED: u16 = 8;
const UNIX: u16 = 3;
/// External attributes of regular files of mode 0644 and 0755.
const REGULAR: u32 = 0o100_644 << 16;
const EXECUTABLE: u32 = 0o100_755 << 16;

/// An open archive whose directory has been checked.
#[derive(Debug)]
pub(crate) struct Archive {
    file: File,
    /// The files that can be read, in the order of the directory.
    pub(crate) entries: Vec<Entry>,
}

/// One file of an archive.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: WheelPath,
    pub(crate) size: u64,
    deflated: bool,
    crc32: u32,
    /// Where the bytes are; within the archive.
    data: Range<u64>,
}

impl Archive {
    /// Opens an archive and checks its structure. What is wrong but lets the rest be read becomes a finding.
    pub(crate) fn open(path: &Path, findings: &mut Vec<Finding>) -> Result<Self, AuditError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let broken = |reason: &str| AuditError::Broken { path: path.to_owned(), reason: reason.into() };
        let directory = Directory::find(&file, length)?.map_err(broken)?;
        let mut fields = Fields(&directory.bytes);
        let mut records = Vec::new();
        while !fields.0.is_empty() {
            records.push(fields.central().ok_or_else(|| broken("its directory is damaged"))?);
        }
        if records.len() as u64 != directory.count {
            return Err(broken("its directory does not have the declared number of entries"));
        }
        let claimed = records.iter().fold(0, |sum: u64, record| sum.saturating_add(record.size));
        if claimed > LARGEST_WHEEL {
            return Err(broken(&format!(
                "the declared uncompressed size, {claimed} bytes, is larger than a wheel may have"
            )));
        }
        let mut names = BTreeSet::new();
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|index| records[*index].offset);
        let mut entries: Vec<(usize, Entry)> = Vec::new();
        let mut expected = 0;
        for index in order {
            let record = &records[index];
            let name = String::from_utf8_lossy(record.name).into_owned();
            let local = read_local(&file, record.offset, directory.start)?;
            let data = local.as_ref().and_then(|(_, header_end)| {
                let end = header_end.checked_add(record.compressed)?;
                (end <= directory.start).then_some(*header_end..end)
            });
            findings.extend(record.check(&name, local.as_ref().map(|(local, _)| local)));
            let mut fail = |what: &str| findings.push(Check::Zip.failure(Some(&name), what));
            if !names.insert(record.name) {
                fail("the archive has this name twice");
            }
            // If several entries named the same data, a small archive could take forever to read.
            if record.offset < expected && expected != u64::MAX {
                return Err(broken("its files overlap each other"));
            }
            if record.offset != expected {
                fail("there are bytes before it that belong to no file");
            }
            let Some(data) = data else {
                fail("its header or data is damaged or out of bounds");
                expected = u64::MAX;
                continue;
            };
            expected = data.end;
            if ![0, DEFLATED].contains(&record.shared.method) {
                fail(&format!("it is compressed by method {}, not stored or deflated", record.shared.method));
                continue;
            }
            if record.file_type() == FileType::Directory {
                continue;
            }
            match name.parse() {
                Ok(path) => {
                    let deflated = record.shared.method == DEFLATED;
                    let (size, crc32) = (record.size, record.shared.crc32);
                    entries.push((index, Entry { path, size, deflated, crc32, data }));
                }
                Err(error) => fail(&error.to_string()),
            }
        }
        if expected != directory.start && expected != u64::MAX {
            findings
                .push(Check::Zip.failure(None, "there are bytes between the last file and the directory"));
        }
        entries.sort_by_key(|(index, _)| *index);
        Ok(Self { file, entries: entries.into_iter().map(|(_, entry)| entry).collect() })
    }

    /// The bytes of a file, checked against their size and checksum; or what is wrong with them.
    pub(crate) fn read(&self, entry: &Entry) -> std::io::Result<Result<Vec<u8>, &'static str>> {
        let compressed = entry.compressed();
        let most = if entry.deflated { compressed.saturating_mul(BEST_RATIO) } else { compressed };
        if entry.size > most.min(LARGEST_FILE) || (!entry.deflated && entry.size != compressed) {
            return Ok(Err("its declared size is impossible for its data"));
        }
        let (Ok(size), Ok(compressed)) = (usize::try_from(entry.size), usize::try_from(compressed)) else {
            return Ok(Err("it is too large for this machine"));
        };
        let mut data = vec![0; compressed];
        self.file.read_exact_at(&mut data, entry.data.start)?;
        if entry.deflated {
            if deflate_length(&data) != Some(data.len()) {
                return Ok(Err("its data is not a complete deflate stream, or more data follows the stream"));
            }
            let mut bytes = vec![0; size];
            match Decompressor::new().deflate_decompress(&data, &mut bytes) {
                Ok(length) if length == size => data = bytes,
                _ => return Ok(Err("its data does not unpack to the declared size")),
            }
        }
        if crc32fast::hash(&data) != entry.crc32 {
            return Ok(Err("its data does not match its checksum"));
        }
        Ok(Ok(data))
    }

    /// Looks at every file, a few at a time, and hands over the results in no order.
    pub(crate) fn look_at_all<T: Send>(
        &self,
        look: impl Fn(&Entry) -> std::io::Result<T> + Sync,
        mut done: impl FnMut(&Entry, T),
    ) -> Result<(), AuditError> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let next = AtomicUsize::new(0);
        let (results, received) = mpsc::sync_channel(threads);
        thread::scope(|scope| {
            for _ in 0..threads {
                let results = results.clone();
                scope.spawn(|| {
                    let results = results;
                    while let Some(entry) = self.entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if results.send((entry, look(entry))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(results);
            // Moved in, so that an error here closes the channel and ends the threads.
            let received = received;
            for (entry, looked) in received {
                interrupt::check()?;
                done(entry, looked?);
            }
            Ok(())
        })
    }
}

impl Entry {
    /// The bytes that it takes in the archive.
    pub(crate) fn compressed(&self) -> u64 {
        self.data.end - self.data.start
    }
}

/// The directory at the archive's end.
struct Directory {
    bytes: Vec<u8>,
    start: u64,
    count: u64,
}

impl Directory {
    /// Finds and reads it; the inner error says why there is none.
    fn find(file: &File, length: u64) -> std::io::Result<Result<Self, &'static str>> {
        const NO_END: &str = "it is not a zip archive, is cut off, or has bytes after its end";
        let Some(end) = length.checked_sub(END_SIZE) else { return Ok(Err(NO_END)) };
        let bytes = read_at(file, end, END_SIZE)?;
        let Some((disks, mut count, mut size, mut start)) = Fields(&bytes).end() else {
            return Ok(Err(NO_END));
        };
        let mut stop = end;
        if let Some(locator) = end.checked_sub(LOCATOR_SIZE) {
            let bytes = read_at(file, locator, LOCATOR_SIZE)?;
            if let Some(offset) = Fields(&bytes).locator() {
                if offset.checked_add(END64_SIZE) != Some(locator) {
                    return Ok(Err("its ZIP64 end record is not at the declared position"));
                }
                let bytes = read_at(file, offset, END64_SIZE)?;
                let Some(large) = Fields(&bytes).end64() else {
                    return Ok(Err("its ZIP64 end record is damaged"));
                };
                let agrees = |small: u64, full: u64, large: u64| small == large.min(full);
                if !agrees(count, 0xffff, large.0)
                    || !agrees(size, FULL32, large.1)
                    || !agrees(start, FULL32, large.2)
                {
                    return Ok(Err("its two end records disagree"));
                }
                (count, size, start) = large;
                stop = offset;
            }
        }
        if disks != 0 || start.checked_add(size) != Some(stop) || count > size / CENTRAL_SIZE {
            return Ok(Err("its directory is not at the declared position"));
        }
        Ok(Ok(Self { bytes: read_at(file, start, size)?, start, count }))
    }
}

/// Reads a range known to be within the file.
fn read_at(file: &File, start: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

/// A local header, and where it ends; `None` when there is none before `limit`.
fn read_local(file: &File, offset: u64, limit: u64) -> std::io::Result<Option<(Local, u64)>> {
    let fits = |length| offset.checked_add(length).filter(|end| *end <= limit);
    if fits(LOCAL_SIZE).is_none() {
        return Ok(None);
    }
    let bytes = read_at(file, offset, LOCAL_SIZE)?;
    let Some((mut local, name, extra)) = Fields(&bytes).local() else { return Ok(None) };
    let Some(end) = fits(LOCAL_SIZE + u64::from(name) + u64::from(extra)) else { return Ok(None) };
    local.name = read_at(file, offset + LOCAL_SIZE, name.into())?;
    local.extra = read_at(file, offset + LOCAL_SIZE + u64::from(name), extra.into())?;
    Ok(Some((local, end)))
}

/// The fields that are in both headers of a file.
#[derive(Debug, PartialEq, Eq)]
struct Shared {
    flags: u16,
    method: u16,
    time: u16,
    date: u16,
    crc32: u32,
}

/// A file's header in front of its data.
struct Local {
    version: u16,
    shared: Shared,
    compressed: u64,
    size: u64,
    name: Vec<u8>,
    extra: Vec<u8>,
}

impl Local {
    fn agrees(&self, record: &Record<'_>) -> bool {
        let sizes = if self.size == FULL32 && self.compressed == FULL32 {
            zip64(&self.extra, 2).map(|numbers| (numbers[0], numbers[1]))
        } else {
            Some((self.size, self.compressed))
        };
        self.shared == record.shared
            && self.name == record.name
            && sizes == Some((record.size, record.compressed))
            && is_version(self.version)
    }

    /// Whether the extra field is empty, or the ZIP64 one that is needed.
    fn has_plain_extra(&self) -> bool {
        self.extra.is_empty() || (self.size == FULL32 && zip64(&self.extra, 2).is_some())
    }
}

/// A file's entry in the directory.
struct Record<'a> {
    made_by: u16,
    version: u16,
    shared: Shared,
    compressed: u64,
    size: u64,
    offset: u64,
    name: &'a [u8],
    /// Whether the extra field is empty, or ZIP64 with the numbers needed.
    plain_extra: bool,
    has_comment: bool,
    disk: u16,
    internal: u16,
    external: u32,
}

impl Record<'_> {
    /// The rules about headers: what installers refuse or misread, and what this packager never writes.
    fn check(&self, name: &str, local: Option<&Local>) -> Vec<Finding> {
        let refused = [
            (
                local.is_some_and(|local| !local.agrees(self)),
                "its own header and the archive's directory disagree",
            ),
            (
                self.shared.flags & !NAME_IS_UTF8 != 0,
                "it is encrypted, has its size after its data, or uses another rare feature",
            ),
            (!is_version(self.version), "it needs an unusual version of the format"),
            (std::str::from_utf8(self.name).is_err(), "its name is not UTF-8"),
            (
                !self.name.is_ascii() && self.shared.flags & NAME_IS_UTF8 == 0,
                "its name is not marked as UTF-8",
            ),
            (self.has_comment, "it has a comment"),
            (self.disk != 0, "it is on another disk"),
            (self.file_type() == FileType::Other, "it is a link, a device, or another special file"),
        ];
        let unusual = [
            (
                !self.plain_extra || local.is_some_and(|local| !local.has_plain_extra()),
                "it has extra fields other than a needed ZIP64 one",
            ),
            (self.internal != 0, "it has internal attributes"),
            (
                self.made_by >> 8 != UNIX || !is_version(self.made_by & 0xff),
                "it does not come from a Unix system",
            ),
            (
                self.file_type() == FileType::Directory,
                "it is a directory; installers create directories themselves",
            ),
            (
                self.file_type() == FileType::OddFile,
                "its mode is not 0644 or 0755; installers do not keep other modes",
            ),
        ];
        let failures = refused.into_iter().filter(|(is, _)| *is);
        let warnings = unusual.into_iter().filter(|(is, _)| *is);
        failures
            .map(|(_, what)| Check::Zip.failure(Some(name), what))
            .chain(warnings.map(|(_, what)| Check::Zip.warning(Some(name), what)))
            .collect()
    }

    fn file_type(&self) -> FileType {
        match (self.external >> 28, self.external) {
            _ if self.name.ends_with(b"/") && self.size == 0 => FileType::Directory,
            (_, REGULAR | EXECUTABLE) => FileType::File,
            // Some tools leave the type out.
            (0 | 0o10, _) => FileType::OddFile,
            _ => FileType::Other,
        }
    }
}

/// What an entry of an archive stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileType {
    File,
    /// A regular file whose mode is not one of the two usual.
    OddFile,
    Directory,
    Other,
}

/// The versions of the format that stored, deflated and large files need.
fn is_version(version: u16) -> bool {
    [10, 20, 45].contains(&version)
}

/// The numbers of an extra field that is exactly one ZIP64 record of `count` numbers.
fn zip64(extra: &[u8], count: u16) -> Option<Vec<u64>> {
    let mut fields = Fields(extra);
    if fields.u16()? != ZIP64_EXTRA || fields.u16()? != 8 * count {
        return None;
    }
    let numbers = (0..count).map(|_| fields.u64()).collect::<Option<_>>()?;
    fields.0.is_empty().then_some(numbers)
}

/// Takes little-endian fields off the front of bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn signature(&mut self, expected: u32) -> Option<()> {
        (self.u32()? == expected).then_some(())
    }

    fn shared(&mut self) -> Option<Shared> {
        Some(Shared {
            flags: self.u16()?,
            method: self.u16()?,
            time: self.u16()?,
            date: self.u16()?,
            crc32: self.u32()?,
        })
    }

    /// A local header without its variable part, and the lengths of name and extra field.
    fn local(&mut self) -> Option<(Local, u16, u16)> {
        self.signature(LOCAL_SIGNATURE)?;
        let (version, shared) = (self.u16()?, self.shared()?);
        let (compressed, size) = (self.u32()?.into(), self.u32()?.into());
        let local = Local { version, shared, compressed, size, name: Vec::new(), extra: Vec::new() };
        Some((local, self.u16()?, self.u16()?))
    }

    fn central(&mut self) -> Option<Record<'a>> {
        self.signature(CENTRAL_SIGNATURE)?;
        let (made_by, version, shared) = (self.u16()?, self.u16()?, self.shared()?);
        let (mut compressed, mut size): (u64, u64) = (self.u32()?.into(), self.u32()?.into());
        let (name, extra, comment) = (self.u16()?, self.u16()?, self.u16()?);
        let (disk, internal, external) = (self.u16()?, self.u16()?, self.u32()?);
        let mut offset = self.u32()?.into();
        let name = self.take(name.into())?;
        let extra = self.take(extra.into())?;
        let has_comment = !self.take(comment.into())?.is_empty();
        // The numbers that did not fit above, in this order.
        let mut wide: Vec<&mut u64> = [&mut size, &mut compressed, &mut offset]
            .into_iter()
            .filter(|number| **number == FULL32)
            .collect();
        let mut plain_extra = wide.is_empty() && extra.is_empty();
        if let Some(numbers) =
            zip64(extra, u16::try_from(wide.len()).ok()?).filter(|numbers| !numbers.is_empty())
        {
            wide.iter_mut().zip(numbers).for_each(|(location, number)| **location = number);
            plain_extra = true;
        }
        Some(Record {
            made_by,
            version,
            shared,
            compressed,
            size,
            offset,
            name,
            plain_extra,
            has_comment,
            disk,
            internal,
            external,
        })
    }

    /// Disk numbers (all or-ed), count, size and start of the directory.
    fn end(&mut self) -> Option<(u32, u64, u64, u64)> {
        self.signature(END_SIGNATURE)?;
        let disks = self.u16()? | self.u16()?;
        let (here, count) = (self.u16()?, self.u16()?);
        let (size, start) = (self.u32()?.into(), self.u32()?.into());
        (here == count && self.u16()? == 0).then_some((disks.into(), count.into(), size, start))
    }

    /// Where the ZIP64 end record is.
    fn locator(&mut self) -> Option<u64> {
        self.signature(LOCATOR_SIGNATURE)?;
        let (disk, offset, disks) = (self.u32()?, self.u64()?, self.u32()?);
        (disk == 0 && disks == 1).then_some(offset)
    }

    /// Count, size and start of the directory.
    fn end64(&mut self) -> Option<(u64, u64, u64)> {
        self.signature(END64_SIGNATURE)?;
        let (rest, made_by, version) = (self.u64()?, self.u16()?, self.u16()?);
        let disks = self.u32()? | self.u32()?;
        let (here, count) = (self.u64()?, self.u64()?);
        let plain = rest == END64_SIZE - 12 && made_by >> 8 == UNIX && is_version(version) && disks == 0;
        (plain && here == count).then_some((count, self.u64()?, self.u64()?))
    }
}
