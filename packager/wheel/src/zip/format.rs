//! The records of a zip archive (PKWARE's APPNOTE 6.3.x), as far as a wheel needs them:
//! sizes before the data, names in UTF-8, Unix modes, ZIP64 only where a number does not fit.

use crate::epoch::DosTime;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const END64_LOCATOR: u32 = 0x0706_4b50;
const ZIP64_EXTRA: u16 = 1;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const NAME_IS_UTF8: u16 = 1 << 11;
/// Version of the format needed to extract: 2.0 has deflate, 4.5 has ZIP64.
const PLAIN: u16 = 20;
const WITH_ZIP64: u16 = 45;
/// System the external attributes belong to.
const UNIX: u16 = 3;
const REGULAR_FILE: u32 = 0o100_000;
const FULL16: u16 = u16::MAX;
const FULL32: u32 = u32::MAX;

/// Everything the headers say about one file.
#[derive(Debug, Clone)]
pub(super) struct Header<'a> {
    pub(super) name: &'a str,
    pub(super) deflated: bool,
    pub(super) executable: bool,
    pub(super) crc32: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    /// Where the local header begins in the archive.
    pub(super) offset: u64,
}

impl Header<'_> {
    /// The header in front of the data.
    pub(super) fn local(&self, time: DosTime) -> Vec<u8> {
        // Here the extra field holds both sizes or none.
        let large = is_large(self.size) || is_large(self.compressed);
        let extra = if large { zip64_extra(&[self.size, self.compressed]) } else { Vec::new() };
        let mut record = Record::new(LOCAL_HEADER);
        record.u16(if large { WITH_ZIP64 } else { PLAIN });
        self.shared(&mut record, time, large, &extra);
        record.bytes(self.name.as_bytes()).bytes(&extra);
        record.0
    }

    /// The entry in the directory at the archive's end.
    pub(super) fn central(&self, time: DosTime) -> Vec<u8> {
        let wide = [self.size, self.compressed, self.offset];
        let wide: Vec<u64> = wide.into_iter().filter(|number| is_large(*number)).collect();
        let extra = if wide.is_empty() { Vec::new() } else { zip64_extra(&wide) };
        let version = if wide.is_empty() { PLAIN } else { WITH_ZIP64 };
        let mode = REGULAR_FILE | if self.executable { 0o755 } else { 0o644 };
        let mut record = Record::new(CENTRAL_HEADER);
        record.u16(UNIX << 8 | version).u16(version);
        self.shared(&mut record, time, false, &extra);
        // No comment, first disk, no internal attributes.
        record.u16(0).u16(0).u16(0).u32(mode << 16).u32(narrow(self.offset));
        record.bytes(self.name.as_bytes()).bytes(&extra);
        record.0
    }

    /// The fields both headers have in common. With `hide_sizes` both are in the extra field.
    fn shared(&self, record: &mut Record, time: DosTime, hide_sizes: bool, extra: &[u8]) {
        let size = |size| if hide_sizes { FULL32 } else { narrow(size) };
        record.u16(NAME_IS_UTF8).u16(if self.deflated { DEFLATED } else { STORED });
        record.u16(time.time).u16(time.date).u32(self.crc32);
        record.u32(size(self.compressed)).u32(size(self.size));
        record.u16(narrow16(self.name.len() as u64)).u16(narrow16(extra.len() as u64));
    }
}

/// The end of the archive: `count` entries in a directory of `size` bytes at `offset`.
pub(super) fn end(count: u64, size: u64, offset: u64) -> Vec<u8> {
    let mut record = Record(Vec::new());
    if count >= u64::from(FULL16) || is_large(size) || is_large(offset) {
        record.u32(END64).u64(44).u16(UNIX << 8 | WITH_ZIP64).u16(WITH_ZIP64).u32(0).u32(0);
        record.u64(count).u64(count).u64(size).u64(offset);
        record.u32(END64_LOCATOR).u32(0).u64(offset + size).u32(1);
    }
    record.u32(END).u16(0).u16(0).u16(narrow16(count)).u16(narrow16(count));
    record.u32(narrow(size)).u32(narrow(offset)).u16(0);
    record.0
}

fn is_large(number: u64) -> bool {
    number >= u64::from(FULL32)
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(FULL32)
}

fn narrow16(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(FULL16)
}

fn zip64_extra(numbers: &[u64]) -> Vec<u8> {
    let mut record = Record(Vec::new());
    record.u16(ZIP64_EXTRA).u16(narrow16(8 * numbers.len() as u64));
    for number in numbers {
        record.u64(*number);
    }
    record.0
}

/// Little-endian bytes under construction.
struct Record(Vec<u8>);

impl Record {
    fn new(signature: u32) -> Self {
        Self(signature.to_le_bytes().to_vec())
    }

    fn u16(&mut self, number: u16) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }
}
