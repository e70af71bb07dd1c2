use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::num::NonZeroUsize;

use libdeflater::Decompressor;

use super::deflate::{BLOCK, Deflater, Packed, stored};
use super::format::{self, Header};
use super::{Archive, Options};
use crate::epoch::{DosTime, Epoch};
use crate::{Content, Contents, WheelError, WheelPath};

/// Bytes of a known mixture: `share` of 256 are noise, the others repeat.
fn sample(length: usize, share: u8) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|index| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let [noise, choice, ..] = state.to_le_bytes();
            if choice < share { noise } else { b"the quick brown fox "[index % 20] }
        })
        .collect()
}

fn joined(data: &[u8], block: usize, level: u8) -> Vec<u8> {
    let mut deflater = Deflater::new(level);
    let count = data.len().div_ceil(block).max(1);
    (0..count)
        .flat_map(|index| {
            let last = index + 1 == count;
            let block = &data[index * block..data.len().min((index + 1) * block)];
            match deflater.pack(block.to_vec(), last) {
                Packed::Deflated(stream) => stream,
                Packed::Raw(bytes) => stored(&bytes, last),
            }
        })
        .collect()
}

fn assert_inflates(stream: &[u8], data: &[u8]) {
    let mut out = vec![0; data.len()];
    let length = Decompressor::new().deflate_decompress(stream, &mut out).unwrap();
    assert_eq!(length, data.len());
    assert!(out == data);
}

#[test]
fn ok_blocks_join_into_one_stream() {
    for level in [1, 6, 12] {
        for share in [0, 3, 40, 200] {
            let data = sample(100_000, share);
            for block in [997, 30_000, 100_000] {
                assert_inflates(&joined(&data, block, level), &data);
            }
        }
    }
}

#[test]
fn ok_every_bit_position_of_the_seam() {
    // Lengths change where the first block's stream ends within a byte; short ones use the fixed codes.
    let data = sample(6_000, 90);
    for length in (40..2_500).step_by(3) {
        let data = &data[..length];
        assert_inflates(&joined(data, length / 2 + 1, 6), data);
    }
}

#[test]
fn ok_compressible_blocks_are_deflated() {
    let data = sample(200_000, 20);
    for last in [false, true] {
        assert!(
            matches!(Deflater::new(6).pack(data.clone(), last), Packed::Deflated(stream) if stream.len() < 100_000)
        );
    }
}

#[test]
fn ok_incompressible_and_empty_blocks_stay() {
    let noise = sample(100_000, 255);
    let noise: Vec<u8> =
        noise.iter().zip(sample(100_001, 255).iter().skip(1)).map(|(a, b)| a ^ b.rotate_left(3)).collect();
    assert_eq!(Deflater::new(6).pack(noise.clone(), true), Packed::Raw(noise));
    assert_eq!(Deflater::new(6).pack(Vec::new(), true), Packed::Raw(Vec::new()));
}

fn contents(files: &[(&str, Vec<u8>, bool)]) -> Contents {
    let mut contents = Contents::new();
    for (path, bytes, executable) in files {
        contents.add(path.parse().unwrap(), Content::bytes(bytes.clone()).executable(*executable)).unwrap();
    }
    contents
}

fn options(threads: usize) -> Options {
    Options {
        level: 6,
        threads: NonZeroUsize::new(threads).unwrap(),
        time: DosTime::from(Some("1709208896".parse::<Epoch>().unwrap())),
    }
}

fn archive(contents: &Contents, threads: usize) -> Vec<u8> {
    let files: Vec<(&WheelPath, &Content)> = contents.iter().collect();
    let mut archive = Archive::new(Vec::new(), options(threads));
    archive.append(&files, || ()).unwrap();
    let (bytes, size, _) = archive.finish().unwrap();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

fn samples() -> Contents {
    contents(&[
        ("a/empty", Vec::new(), false),
        ("a/größe.txt", b"short".to_vec(), false),
        ("bin/tool", sample(40_000, 10), true),
        ("large/exact", sample(BLOCK, 10), false),
        ("large/mixed", [sample(BLOCK, 10), sample(BLOCK + 5, 255), sample(BLOCK, 3)].concat(), false),
        ("large/two", sample(2 * BLOCK, 40), false),
    ])
}

#[test]
fn ok_read_back() {
    let contents = samples();
    let bytes = archive(&contents, 2);
    let mut reader = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut found = BTreeMap::new();
    for index in 0..reader.len() {
        let mut file = reader.by_index(index).unwrap();
        let mut data = Vec::new();
        file.read_to_end(&mut data).unwrap();
        found.insert(
            file.name().unwrap().to_string(),
            (data, file.unix_mode().unwrap(), file.last_modified().unwrap().to_string()),
        );
    }
    assert_eq!(found.len(), contents.len());
    for (path, content) in &contents {
        let (data, mode, time) = &found[path.as_str()];
        let crate::Source::Bytes(bytes) = &content.source else { panic!("a file") };
        assert!(data == bytes, "{path}");
        assert_eq!(*mode, if content.executable { 0o100_755 } else { 0o100_644 });
        assert_eq!(time, "2024-02-29 12:14:56");
    }
}

#[test]
fn ok_same_bytes_for_any_number_of_threads() {
    let contents = samples();
    let one = archive(&contents, 1);
    for threads in [2, 3, 8, 100] {
        assert!(archive(&contents, threads) == one, "{threads} threads");
    }
}

#[test]
fn ok_empty_archive() {
    assert_eq!(archive(&Contents::new(), 2).len(), 22);
}

#[test]
fn err_missing_source() {
    let mut contents = samples();
    contents.add("z/missing".parse().unwrap(), Content::file("/nonexistent/file")).unwrap();
    let files: Vec<_> = contents.iter().collect();
    let error = Archive::new(Vec::new(), options(2)).append(&files, || ()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(matches!(error, WheelError::Read(_)) && cause.contains("/nonexistent/file"), "{error:?}");
}

/// A disk with room for some bytes only.
struct SmallDisk(usize);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn err_disk_full() {
    let contents = samples();
    let files: Vec<_> = contents.iter().collect();
    for room in [0, 100, 10_000, 500_000] {
        let error = Archive::new(SmallDisk(room), options(3)).append(&files, || ()).unwrap_err();
        assert!(matches!(&error, WheelError::Write(cause) if cause.kind() == io::ErrorKind::StorageFull));
    }
}

fn header(size: u64, compressed: u64, offset: u64) -> Header<'static> {
    Header { name: "x", deflated: true, executable: false, crc32: 0, compressed, size, offset }
}

#[test]
fn ok_zip64_only_where_needed() {
    let time = DosTime::from(None);
    let limit = u64::from(u32::MAX);
    // Fixed part and name; 4 bytes of extra header; 8 for each number.
    let local = |size, compressed| header(size, compressed, 0).local(time).len() - 31;
    assert_eq!([local(limit - 1, 1), local(limit, 1), local(limit, limit)], [0, 20, 20]);
    let central = |size, compressed, offset| header(size, compressed, offset).central(time).len() - 47;
    assert_eq!(central(limit - 1, limit - 1, limit - 1), 0);
    assert_eq!([central(limit, 1, 1), central(limit, limit, 1), central(limit, limit, limit)], [12, 20, 28]);
    assert_eq!(central(1, 1, limit), 12);
    let end = |count, size, offset| format::end(count, size, offset).len() - 22;
    assert_eq!([end(65_534, 1, 1), end(65_535, 1, 1), end(1, 1, limit)], [0, 76, 76]);
}
