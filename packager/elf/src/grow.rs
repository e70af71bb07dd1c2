//! Adds a segment at the end of the file, for tables that no longer fit in their place.
//!
//! It holds the program headers (there is one more of them now), and the dynamic strings and the dynamic table if
//! those grew. Its addresses lie above all others, on pages of its own. The old copies stay in the file unused.

use goblin::elf::dynamic::{DT_STRSZ, DT_STRTAB, Dyn};
use goblin::elf::program_header::{PF_R, PF_W, PT_DYNAMIC, PT_GNU_STACK, PT_LOAD, PT_PHDR, ProgramHeader};
use goblin::elf::section_header::{SHT_DYNAMIC, SectionHeader};
use scroll::Pwrite;

use super::ElfError;
use super::read::Machine;
use super::tables::Tables;
use super::tables::{write_entries, write_segment};

/// The most zeros that are written to bring a program's new segment to the right distance from its first one, in bytes.
const PADDING_LIMIT: u64 = 256 << 20;

/// What has to move into the new segment, besides the program headers.
pub(super) struct Growth {
    /// Whether the kernel may start the file itself, and tell it where its program headers are.
    pub(super) is_program: bool,
    /// Whether a header that asks for a plain stack is to be added.
    pub(super) adds_stack: bool,
    /// The dynamic strings, when they no longer fit.
    pub(super) strings: Option<Vec<u8>>,
    /// The dynamic entries, when they are not written yet.
    pub(super) entries: Option<Vec<Dyn>>,
}

impl Growth {
    pub(super) fn is_needed(&self) -> bool {
        self.adds_stack || self.strings.is_some() || self.entries.is_some()
    }
}

/// Where the new segment begins.
struct Location {
    offset: u64,
    address: u64,
    page: u64,
}

/// Appends the segment and lets everything point to it.
pub(super) fn grow(bytes: &mut Vec<u8>, tables: &Tables, mut growth: Growth) -> Result<(), ElfError> {
    let location = find_location(bytes.len() as u64, tables, growth.is_program)?;
    let count = tables.segments.len() + 1 + usize::from(growth.adds_stack);
    let headers = location.piece(0, count * ProgramHeader::size(tables.context));
    let strings = location.piece(headers.size, growth.strings.as_ref().map_or(0, Vec::len));
    let room = tables.dynamic.as_ref().map_or(0, |dynamic| dynamic.slots);
    let moving = growth.entries.as_ref().map(|entries| entries.len() + 1).filter(|&slots| slots > room);
    let entries = moving.map(|slots| {
        let start = (headers.size + strings.size).next_multiple_of(16);
        location.piece(start, slots * Dyn::size(tables.context.container))
    });
    let end = entries.as_ref().unwrap_or(&strings).end();
    let whole = Piece { size: end - location.offset, ..location.piece(0, 0) };
    if whole.address + whole.size > if tables.is_64() { 1 << 47 } else { 1 << 32 } {
        return Err(ElfError::Unsupported { why: "it leaves no room above its last segment".into() });
    }
    bytes.resize(in_memory(end)?, 0);

    if let Some(table) = &growth.strings {
        let start = in_memory(strings.offset)?;
        bytes[start..start + table.len()].copy_from_slice(table);
        write_section(bytes, tables, tables.string_section(), &strings)?;
        for entry in growth.entries.iter_mut().flatten() {
            match entry.d_tag {
                DT_STRTAB => entry.d_val = strings.address,
                DT_STRSZ => entry.d_val = strings.size,
                _ => {}
            }
        }
    }
    if let (Some(dynamic), Some(table)) = (&tables.dynamic, &growth.entries) {
        if let Some(entries) = &entries {
            write_entries(bytes, tables, in_memory(entries.offset)?, table.len() + 1, table)?;
            let section = tables.sections.iter().position(|section| section.sh_type == SHT_DYNAMIC);
            write_section(bytes, tables, section, entries)?;
        } else {
            write_entries(bytes, tables, dynamic.offset, dynamic.slots, table)?;
        }
    }

    let mut segments = tables.segments.clone();
    for segment in &mut segments {
        match (segment.p_type, &entries) {
            (PT_PHDR, _) => headers.apply_to(segment),
            (PT_DYNAMIC, Some(entries)) => entries.apply_to(segment),
            _ => {}
        }
    }
    // The loader writes into the dynamic table.
    let p_flags = if entries.is_some() { PF_R | PF_W } else { PF_R };
    let mut load =
        ProgramHeader { p_type: PT_LOAD, p_flags, p_align: location.page, ..ProgramHeader::default() };
    whole.apply_to(&mut load);
    let after = segments.iter().rposition(|segment| segment.p_type == PT_LOAD).map_or(0, |last| last + 1);
    segments.insert(after, load);
    if growth.adds_stack {
        let p_flags = PF_R | PF_W;
        segments.push(ProgramHeader {
            p_type: PT_GNU_STACK,
            p_flags,
            p_align: 16,
            ..ProgramHeader::default()
        });
    }
    for (index, segment) in segments.into_iter().enumerate() {
        write_segment(bytes, tables, location.offset, index, segment)?;
    }
    let mut header = tables.header;
    header.e_phoff = location.offset;
    header.e_phnum = u16::try_from(count)
        .map_err(|_| ElfError::Unsupported { why: "it has too many program headers".into() })?;
    bytes.pwrite_with(header, 0, tables.endian()).map_err(ElfError::Header)?;
    Ok(())
}

/// A piece of the new segment.
struct Piece {
    offset: u64,
    address: u64,
    size: u64,
}

impl Location {
    fn piece(&self, inside: u64, size: usize) -> Piece {
        Piece { offset: self.offset + inside, address: self.address + inside, size: size as u64 }
    }
}

impl Piece {
    fn end(&self) -> u64 {
        self.offset + self.size
    }

    fn apply_to(&self, segment: &mut ProgramHeader) {
        segment.p_offset = self.offset;
        segment.p_vaddr = self.address;
        segment.p_paddr = self.address;
        segment.p_filesz = self.size;
        segment.p_memsz = self.size;
    }
}

fn write_section(
    bytes: &mut [u8],
    tables: &Tables,
    index: Option<usize>,
    piece: &Piece,
) -> Result<(), ElfError> {
    let Some(index) = index else { return Ok(()) };
    let mut section = tables.sections[index].clone();
    section.sh_offset = piece.offset;
    section.sh_addr = piece.address;
    section.sh_size = piece.size;
    let at = tables.header.e_shoff + (index * SectionHeader::size(tables.context)) as u64;
    bytes.pwrite_with(section, in_memory(at)?, tables.context).map_err(ElfError::Header)?;
    Ok(())
}

/// Offset and address on fresh pages, behind the end of the file and above every address in use.
fn find_location(file_size: u64, tables: &Tables, is_program: bool) -> Result<Location, ElfError> {
    const DAMAGED: ElfError = ElfError::Inconsistent("the addresses of a segment are impossible");
    let first = tables.loads().next().ok_or(ElfError::Inconsistent("no segment is loaded"))?;
    let mut end = 0;
    let mut alignment = 0x1000;
    for load in tables.loads() {
        // No processor known here has more than 48 bits of addresses for programs; sums of smaller numbers are safe.
        let load_end = load.p_vaddr.checked_add(load.p_memsz).filter(|&end| end < 1 << 48).ok_or(DAMAGED)?;
        end = end.max(load_end);
        alignment = alignment.max(load.p_align);
    }
    if !alignment.is_power_of_two() {
        return Err(DAMAGED);
    }
    let page = alignment.min(Machine(tables.header.e_machine).page());
    let (mut offset, mut address) = (file_size.next_multiple_of(page), end.next_multiple_of(page));

    // Linux before 5.18 tells a program that its headers lie as far from its start in memory as they do in the file.
    if is_program {
        let distance = first
            .p_vaddr
            .checked_sub(first.p_offset)
            .filter(|distance| distance % page == 0 && distance <= &address)
            .ok_or(DAMAGED)?;
        offset = offset.max(address - distance);
        address = offset + distance;
        if offset - file_size > PADDING_LIMIT {
            return Err(ElfError::Unsupported { why: "it has too much memory without content".into() });
        }
    }
    Ok(Location { offset, address, page })
}

fn in_memory(offset: u64) -> Result<usize, ElfError> {
    usize::try_from(offset).map_err(|_| ElfError::Unsupported { why: "it does not fit into memory".into() })
}
