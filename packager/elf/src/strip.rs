//! Takes out sections that no loader reads, such as debug information.
//!
//! What a file's segments hold stays where it is, byte for byte; only what lies behind them moves up. The headers of the
//! removed sections stay as inactive ones, so that no number of another section changes.

use std::collections::BTreeSet;
use std::ops::Range;

use goblin::elf::header::Header;
use goblin::elf::section_header::{SHF_ALLOC, SHT_NOBITS, SHT_NULL, SectionHeader};
use scroll::Pwrite;

use super::tables::{Tables, range};
use super::{Elf, ElfError};

/// Numbers of sections, and where their contents lie.
type Moves = Vec<(usize, Range<usize>)>;

/// Removes the sections whose names are `unwanted`. Sections that are loaded stay whatever they are called, as does a
/// section that another one refers to; a file with anything unusual behind its segments comes back as it is.
pub fn strip(mut bytes: Vec<u8>, unwanted: impl Fn(&str) -> bool) -> Result<Vec<u8>, ElfError> {
    let tables = Tables::parse(&bytes)?;
    let facts = Elf::from_tables(&bytes, &tables)?;
    let fixed = fixed_end(&bytes, &tables)?;
    let removed = removed(&bytes, &tables, fixed, unwanted)?;
    let Some(moves) = moves(&bytes, &tables, fixed, &removed)? else { return Ok(bytes) };
    if removed.is_empty() {
        return Ok(bytes);
    }
    let (segments, mut sections) = (tables.segments.clone(), tables.sections.clone());
    let mut end = fixed;
    for (index, content) in moves {
        if removed.contains(&index) {
            continue;
        }
        let start = end.next_multiple_of(alignment(&sections[index]));
        bytes[end..start].fill(0);
        end = start + content.len();
        bytes.copy_within(content, start);
        sections[index].sh_offset = start as u64;
    }
    for index in removed {
        sections[index] = SectionHeader { sh_type: SHT_NULL, ..SectionHeader::default() };
    }
    let table = end.next_multiple_of(8);
    let size = SectionHeader::size(tables.context);
    bytes.truncate(end);
    bytes.resize(table + sections.len() * size, 0);
    for (index, section) in sections.into_iter().enumerate() {
        bytes.pwrite_with(section, table + index * size, tables.context).map_err(ElfError::Header)?;
    }
    let header = Header { e_shoff: table as u64, ..tables.header };
    bytes.pwrite_with(header, 0, tables.endian()).map_err(ElfError::Header)?;
    bytes.shrink_to_fit();

    let tables = Tables::parse(&bytes)?;
    if Elf::from_tables(&bytes, &tables)? != facts || tables.segments != segments {
        return Err(ElfError::Invariant { what: "stripping has changed what the loader reads".into() });
    }
    Ok(bytes)
}

/// Where the part ends that the loader reads, and the headers that say where it is.
fn fixed_end(bytes: &[u8], tables: &Tables) -> Result<usize, ElfError> {
    let header = &tables.header;
    let headers = u64::from(header.e_phnum) * u64::from(header.e_phentsize);
    let mut end = range(bytes, "the program headers", header.e_phoff, headers)?.end;
    end = end.max(Header::size(tables.context));
    for segment in &tables.segments {
        end = end.max(range(bytes, "a segment", segment.p_offset, segment.p_filesz)?.end);
    }
    for section in tables.sections.iter().filter(|section| is_loaded(section)) {
        end = end.max(content(bytes, section)?.end);
    }
    Ok(end)
}

/// The numbers of the sections to remove.
fn removed(
    bytes: &[u8],
    tables: &Tables,
    fixed: usize,
    unwanted: impl Fn(&str) -> bool,
) -> Result<BTreeSet<usize>, ElfError> {
    let names = usize::from(tables.header.e_shstrndx);
    let mut removed = BTreeSet::new();
    for (index, section) in tables.sections.iter().enumerate() {
        let goes = index != names && section.sh_type != SHT_NULL && !is_loaded(section);
        if goes && content(bytes, section)?.start >= fixed && unwanted(tables.section_name(bytes, index)?) {
            removed.insert(index);
        }
    }
    loop {
        let linked: Vec<usize> = (tables.sections.iter().enumerate())
            .filter(|(index, _)| !removed.contains(index))
            .filter_map(|(_, section)| usize::try_from(section.sh_link).ok())
            .filter(|link| removed.contains(link))
            .collect();
        if linked.is_empty() {
            return Ok(removed);
        }
        removed.retain(|index| !linked.contains(index));
    }
}

/// The contents of the sections behind `fixed`, in the order of the file; `None` when something else lies there too, or
/// they cannot be moved one by one.
fn moves(
    bytes: &[u8],
    tables: &Tables,
    fixed: usize,
    removed: &BTreeSet<usize>,
) -> Result<Option<Moves>, ElfError> {
    let size = (tables.sections.len() * SectionHeader::size(tables.context)) as u64;
    let table = range(bytes, "the section headers", tables.header.e_shoff, size)?;
    let mut moves = Vec::new();
    for (index, section) in tables.sections.iter().enumerate() {
        let content = content(bytes, section)?;
        let alignment = alignment(section);
        if content.is_empty() || content.start < fixed || is_loaded(section) {
            continue;
        }
        if !removed.contains(&index) && !content.start.is_multiple_of(alignment) {
            return Ok(None);
        }
        moves.push((index, content));
    }
    moves.sort_by_key(|(_, content)| content.start);
    let mut covered: Vec<Range<usize>> = moves.iter().map(|(_, content)| content.clone()).collect();
    covered.push(table);
    covered.sort_by_key(|part| part.start);
    let mut at = fixed;
    for part in covered {
        // Alignment leaves zeros between the parts; anything else is not ours to lose.
        if part.start < at || bytes[at..part.start].iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        at = part.end;
    }
    Ok(bytes[at..].iter().all(|byte| *byte == 0).then_some(moves))
}

fn is_loaded(section: &SectionHeader) -> bool {
    section.sh_flags & u64::from(SHF_ALLOC) != 0
}

/// Where a section's content lies in the file.
fn content(bytes: &[u8], section: &SectionHeader) -> Result<Range<usize>, ElfError> {
    let size = if matches!(section.sh_type, SHT_NOBITS | SHT_NULL) { 0 } else { section.sh_size };
    if size == 0 {
        return Ok(0..0);
    }
    range(bytes, "a section", section.sh_offset, size)
}

fn alignment(section: &SectionHeader) -> usize {
    usize::try_from(section.sh_addralign).unwrap_or(1).max(1)
}
