//! Deflate of one large file on many cores.
//!
//! libdeflate makes a system image a tenth smaller than zlib-rs does, and takes a quarter of zlib's time; but it
//! compresses only whole streams, whose last block says "final". A file is therefore cut into blocks of a fixed size,
//! each is compressed on its own, and the streams are joined: the final flag of each but the last is cleared, and an
//! empty stored block brings the next one to a byte boundary, as zlib's sync flush does. The flag's position is found by
//! walking the stream's symbols without making their data, which costs a fifth of the compression.

use libdeflater::{CompressionLvl, Compressor};

/// Input bytes compressed as one independent piece. Large enough that the lost history costs 0.2 %,
/// small enough to keep every core busy on one file. A constant: the output must not depend on the machine.
pub(super) const BLOCK: usize = 1 << 20;

/// The largest deflate compression level.
const MAX_LEVEL: u8 = 12;

/// One block of a file, ready to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packed {
    /// A run of deflate blocks, ending at a byte boundary; the last of them is final if the block is the file's last.
    Deflated(Vec<u8>),
    /// The bytes themselves, which deflate would not make smaller.
    Raw(Vec<u8>),
}

/// Compresses blocks one after the other, on one thread.
pub(super) struct Deflater {
    compressor: Compressor,
    buffer: Vec<u8>,
}

impl Deflater {
    /// A compressor of `level` 0 (store) to [`MAX_LEVEL`].
    pub(super) fn new(level: u8) -> Self {
        let level = CompressionLvl::new(level.min(MAX_LEVEL).into()).unwrap_or_default();
        Self { compressor: Compressor::new(level), buffer: Vec::new() }
    }

    /// Compresses a file's block; `last` when no other block of the file follows.
    pub(super) fn pack(&mut self, block: Vec<u8>, last: bool) -> Packed {
        // A buffer too small for a gain makes the compressor give up, which is the answer then.
        self.buffer.resize(block.len().saturating_sub(1), 0);
        let Ok(length) = self.compressor.deflate_compress(&block, &mut self.buffer) else {
            return Packed::Raw(block);
        };
        let mut stream = self.buffer[..length].to_vec();
        if !last && open_end(&mut stream).is_none() {
            return Packed::Raw(block);
        }
        Packed::Deflated(stream)
    }
}

/// Wraps bytes into stored deflate blocks, for the incompressible part of a file that compresses elsewhere.
pub(super) fn stored(bytes: &[u8], last: bool) -> Vec<u8> {
    let mut stream = Vec::with_capacity(bytes.len() + 5 * (bytes.len() / usize::from(u16::MAX) + 1));
    let mut chunks = bytes.chunks(usize::from(u16::MAX)).peekable();
    while let Some(chunk) = chunks.next() {
        // `chunks` bounds the length.
        #[expect(clippy::cast_possible_truncation)]
        let length = chunk.len() as u16;
        stream.push(u8::from(last && chunks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(chunk);
    }
    stream
}

/// Turns a complete stream into one that another can be appended to. `None` when it is no valid stream.
fn open_end(stream: &mut Vec<u8>) -> Option<()> {
    let Final { header, end } = final_block(stream)?;
    stream[header / 8] &= !(1 << (header % 8));
    stream.truncate(end.div_ceil(8));
    let used = end % 8;
    if used != 0 {
        *stream.last_mut()? &= (1 << used) - 1;
    }
    // Header of the stored block: three zero bits (not final, type 0), then padding to the byte boundary.
    if used == 0 || used > 5 {
        stream.push(0);
    }
    stream.extend([0x00, 0x00, 0xff, 0xff]);
    Some(())
}

/// How many bytes a deflate stream takes at the front of some data; `None` when it is no complete stream.
#[must_use]
pub fn deflate_length(data: &[u8]) -> Option<usize> {
    final_block(data).map(|last| last.end.div_ceil(8))
}

/// Where the final block of a stream begins and ends, in bits.
struct Final {
    header: usize,
    end: usize,
}

fn final_block(stream: &[u8]) -> Option<Final> {
    let mut bits = Bits { stream, position: 0 };
    loop {
        let header = bits.position;
        let is_final = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.position = bits.position.next_multiple_of(8);
                let length = bits.take(16)?;
                bits.take(16)?;
                bits.position += 8 * length;
            }
            1 => Codes::fixed()?.skip_block(&mut bits)?,
            2 => Codes::read(&mut bits)?.skip_block(&mut bits)?,
            _ => return None,
        }
        if bits.position > 8 * stream.len() {
            return None;
        }
        if is_final {
            return Some(Final { header, end: bits.position });
        }
    }
}

/// Reads a stream by bits, least significant first.
struct Bits<'a> {
    stream: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    /// At least 57 bits from the position on; zeros beyond the end.
    fn peek(&self) -> u64 {
        let start = self.position / 8;
        let word = match self.stream.get(start..start + 8) {
            Some(bytes) => u64::from_le_bytes(bytes.try_into().unwrap_or_default()),
            None => (self.stream.iter().skip(start).take(8).rev())
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        word >> (self.position % 8)
    }

    /// The next `count` ≤ 16 bits, unless the stream ends before.
    fn take(&mut self, count: usize) -> Option<usize> {
        let value = low_bits(self.peek(), count);
        self.position += count;
        (self.position <= 8 * self.stream.len()).then_some(value)
    }
}

/// The lowest `count` ≤ 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "the mask leaves 16 bits")]
fn low_bits(word: u64, count: usize) -> usize {
    (word & ((1 << count) - 1)) as usize
}

const LONGEST_CODE: usize = 15;
/// Codes of up to this many bits are looked up in one step; longer ones are rare.
const FAST: usize = 10;

// What a code's bits mean: the number of bits taken, with the flags below.
const INVALID: u16 = 0;
const WIDTH: u16 = 0x3f;
const END: u16 = 1 << 15;
const MATCH: u16 = 1 << 14;
const LONG: u16 = 1 << 13;

/// What a walker needs to know of a block's two Huffman codes: how many bits each symbol takes with the extra bits
/// after it, and for the first code whether it ends the block or begins a match.
struct Codes {
    symbols: Code,
    distances: Code,
}

impl Codes {
    fn new(symbols: &[u8], distances: &[u8]) -> Option<Self> {
        Some(Self {
            symbols: Code::new(symbols, |symbol, width| match symbol {
                0..=255 => width,
                256 => END | width,
                257..=264 | 285 => MATCH | width,
                265..=284 => MATCH | (width + (symbol - 261) / 4),
                _ => INVALID,
            })?,
            distances: Code::new(distances, |symbol, width| match symbol {
                0..=29 => width + (symbol / 2).saturating_sub(1),
                _ => INVALID,
            })?,
        })
    }

    /// The codes of block type 1.
    fn fixed() -> Option<Self> {
        let runs = [(8, 144), (9, 112), (7, 24), (8, 8)];
        let lengths: Vec<u8> = runs.into_iter().flat_map(|(length, count)| vec![length; count]).collect();
        // The last two distances mean nothing, but have a code.
        Self::new(&lengths, &[5; 32])
    }

    /// The codes in the header of a block of type 2.
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let symbols = bits.take(5)? + 257;
        let distances = bits.take(5)? + 1;
        // More are expressible, but mean nothing, and zlib refuses them.
        if symbols > 286 || distances > 30 {
            return None;
        }
        let mut length_lengths = [0; ORDER.len()];
        for location in &ORDER[..bits.take(4)? + 4] {
            length_lengths[*location] = u8::try_from(bits.take(3)?).ok()?;
        }
        let length_code = Code::new(&length_lengths, |symbol, width| symbol << 8 | width)?;
        let mut lengths = Vec::with_capacity(symbols + distances);
        while lengths.len() < symbols + distances {
            let meaning = length_code.find(bits.peek());
            if meaning == INVALID {
                return None;
            }
            bits.take(usize::from(meaning & 0xff))?;
            let (length, count) = match meaning >> 8 {
                16 => (*lengths.last()?, 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (u8::try_from(length).ok()?, 1),
            };
            lengths.resize(lengths.len() + count, length);
        }
        if lengths.len() > symbols + distances {
            return None;
        }
        Self::new(&lengths[..symbols], &lengths[symbols..])
    }

    /// Moves to the end of a block whose header has been read.
    fn skip_block(&self, bits: &mut Bits<'_>) -> Option<()> {
        // As many bits of a peek may be spent so that a code of 15 is left; the extra bits behind it are only counted.
        const LAST: u16 = 42;
        let end = 8 * bits.stream.len();
        while bits.position < end {
            let mut word = bits.peek();
            let mut spent = 0;
            // Several symbols of one peek: this is where the time goes.
            while spent <= LAST {
                let meaning = self.symbols.find(word);
                let width = meaning & WIDTH;
                bits.position += usize::from(width);
                spent += width;
                word >>= width;
                if meaning & MATCH != 0 {
                    let distance = self.distances.find(if spent <= LAST { word } else { bits.peek() });
                    bits.position += usize::from(distance);
                    if distance == INVALID {
                        return None;
                    }
                    spent += distance;
                    if spent > LAST {
                        break;
                    }
                    word >>= distance;
                } else if meaning & END != 0 {
                    return Some(());
                } else if meaning == INVALID {
                    return None;
                }
            }
        }
        None
    }
}

/// A canonical Huffman code.
struct Code {
    /// Meanings by the next bits; `LONG` where only the list knows.
    fast: [u16; 1 << FAST],
    /// The codes of more bits: length, bits (the first one lowest) and meaning.
    long: Vec<(usize, usize, u16)>,
}

impl Code {
    /// The code whose symbols have these lengths, each with the meaning that symbol and length give it.
    /// `None` when there is no such code, or one that leaves bits unused, which some readers refuse.
    fn new(lengths: &[u8], meaning: impl Fn(u16, u16) -> u16) -> Option<Self> {
        let mut counts = [0_usize; LONGEST_CODE + 1];
        for length in lengths.iter().filter(|length| **length > 0) {
            counts[usize::from(*length)] += 1;
        }
        // The first code of each length; one more gives the number of codes of the longest length.
        let mut next = [0; LONGEST_CODE + 2];
        for length in 1..=LONGEST_CODE {
            next[length + 1] = (next[length] + counts[length]) << 1;
        }
        let is_full = next[LONGEST_CODE + 1] == 2 << LONGEST_CODE;
        // Only a distance code may be of one symbol, or of none.
        let is_tiny = counts[1] <= 1 && counts[2..].iter().all(|count| *count == 0);
        if !is_full && !is_tiny {
            return None;
        }
        let mut code = Self { fast: [INVALID; 1 << FAST], long: Vec::new() };
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let meaning = meaning(u16::try_from(symbol).ok()?, u16::from(*length));
            let length = usize::from(*length);
            let bits = next[length].reverse_bits() >> (usize::BITS as usize - length);
            next[length] += 1;
            if length <= FAST {
                code.fast[bits..].iter_mut().step_by(1 << length).for_each(|location| *location = meaning);
            } else {
                code.fast[bits % (1 << FAST)] = LONG;
                code.long.push((length, bits, meaning));
            }
        }
        Some(code)
    }

    /// The meaning of the code that the word begins with.
    fn find(&self, word: u64) -> u16 {
        let meaning = self.fast[low_bits(word, FAST)];
        if meaning == LONG { self.find_long(word) } else { meaning }
    }

    #[cold]
    fn find_long(&self, word: u64) -> u16 {
        let found = self.long.iter().find(|(length, bits, _)| low_bits(word, *length) == *bits);
        found.map_or(INVALID, |(_, _, meaning)| *meaning)
    }
}
