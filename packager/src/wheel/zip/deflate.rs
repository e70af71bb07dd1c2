//! Deflate of one large file on many cores.
//!
//! libdeflate compresses a quarter tighter than zlib's kin on system images, but only whole streams: its last
//! block says "final". A file is therefore cut into blocks of a fixed size, each is compressed on its own, and the
//! streams are joined: the final flag of each but the last is cleared, and an empty stored block brings the
//! next one to a byte boundary, as zlib's sync flush does. The flag's place is found by walking the stream's
//! symbols without decoding any data, which costs some 2 % of the compression itself.

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
pub(crate) fn deflate_length(data: &[u8]) -> Option<usize> {
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
const LONGEST_LENGTH_CODE: usize = 7;
const END: u16 = 1 << 15;
const MATCH: u16 = 1 << 14;
const WIDTH: u16 = 0x3f;
const INVALID: u16 = 0;

/// What a walker needs to know of a block's two Huffman codes: by the next 15 bits, how many bits the symbol takes
/// with the extra bits after it, and for the first code whether it ends the block or begins a match.
struct Codes {
    symbols: Vec<u16>,
    distances: Vec<u16>,
}

impl Codes {
    fn new(symbols: &[u8], distances: &[u8]) -> Option<Self> {
        Some(Self {
            symbols: table(symbols, LONGEST_CODE, |symbol, width| match symbol {
                0..=255 => width,
                256 => END | width,
                257..=264 | 285 => MATCH | width,
                265..=284 => MATCH | (width + (symbol - 261) / 4),
                _ => INVALID,
            })?,
            distances: table(distances, LONGEST_CODE, |symbol, width| match symbol {
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
        for place in &ORDER[..bits.take(4)? + 4] {
            length_lengths[*place] = u8::try_from(bits.take(3)?).ok()?;
        }
        let length_codes = table(&length_lengths, LONGEST_LENGTH_CODE, |symbol, width| symbol << 8 | width)?;
        let mut lengths = Vec::with_capacity(symbols + distances);
        while lengths.len() < symbols + distances {
            let code = length_codes[low_bits(bits.peek(), LONGEST_LENGTH_CODE)];
            if code == INVALID {
                return None;
            }
            bits.take(usize::from(code & 0xff))?;
            let (length, count) = match code >> 8 {
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
        Self::new(lengths.get(..symbols)?, lengths.get(symbols..symbols + distances)?)
    }

    /// Moves to the end of a block whose header has been read.
    fn skip_block(&self, bits: &mut Bits<'_>) -> Option<()> {
        let end = 8 * bits.stream.len();
        while bits.position < end {
            // A symbol of 15 + 5 bits and a distance of 15 + 13 fit into one peek.
            let word = bits.peek();
            let code = self.symbols[low_bits(word, LONGEST_CODE)];
            let width = code & WIDTH;
            bits.position += usize::from(width);
            if code & MATCH != 0 {
                let distance = self.distances[low_bits(word >> width, LONGEST_CODE)];
                bits.position += usize::from(distance);
                if distance == INVALID {
                    return None;
                }
            } else if code & END != 0 {
                return Some(());
            } else if code == INVALID {
                return None;
            }
        }
        None
    }
}

/// A canonical Huffman code as a table over the next `longest` bits; `INVALID` where no code begins so.
/// `None` when the lengths describe no prefix code, or one that leaves bits unused, which some readers refuse.
fn table(lengths: &[u8], longest: usize, entry: impl Fn(u16, u16) -> u16) -> Option<Vec<u16>> {
    let mut table = vec![INVALID; 1 << longest];
    let mut code = 0_usize;
    for length in 1..=longest {
        for symbol in (0..lengths.len()).filter(|symbol| usize::from(lengths[*symbol]) == length) {
            if code >> length != 0 {
                return None;
            }
            // Codes are packed with their first bit lowest.
            let first = code.reverse_bits() >> (usize::BITS as usize - length);
            let value = entry(u16::try_from(symbol).ok()?, u16::try_from(length).ok()?);
            for place in (first..table.len()).step_by(1 << length) {
                table[place] = value;
            }
            code += 1;
        }
        code <<= 1;
    }
    // Codes must be used up, but for a distance code of one symbol or none.
    (code == 2 << longest || lengths.iter().all(|length| *length <= 1)).then_some(table)
}
