//! Takes out sections that no loader reads, such as debug information.
//!
//! What is loaded keeps its address and every byte. What lies behind a removed section moves up in the file: sections one
//! by one, segments as a whole, as some tools append them behind the debug information. The headers of the removed
//! sections stay as inactive ones, so that no number of another section changes.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use goblin::elf::header::Header;
use goblin::elf::program_header::{PT_INTERP, PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{SHF_ALLOC, SHT_NOBITS, SHT_NULL, SectionHeader};
use scroll::Pwrite;

use super::tables::{Tables, range, write_segment};
use super::{Elf, ElfError};

/// A stretch of the file that moves as a whole.
#[derive(Debug, Clone)]
struct Part {
    place: Range<usize>,
    kind: PartKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartKind {
    /// The loaded segment of this number.
    Segment(usize),
    /// The content of the section of this number, which is not loaded.
    Section(usize),
    /// The section headers, which are written anew at the end.
    SectionHeaders,
}

impl Part {
    fn segment(&self) -> Option<usize> {
        if let PartKind::Segment(index) = self.kind { Some(index) } else { None }
    }

    fn is_removed(&self, removed: &BTreeSet<usize>) -> bool {
        matches!(self.kind, PartKind::Section(index) if removed.contains(&index))
    }
}

/// A loaded segment that has moved.
struct Moved {
    /// Where it was in the file.
    from: Range<usize>,
    /// Its addresses.
    memory: Range<u64>,
    /// By how many bytes it has come closer to the start of the file.
    by: u64,
}

/// Removes the sections whose names are `unwanted`. Sections that are loaded stay whatever they are called, as does a
/// section that another one refers to; a file with anything unusual behind the first of them comes back as it is.
pub fn strip(mut bytes: Vec<u8>, unwanted: impl Fn(&str) -> bool) -> Result<Vec<u8>, ElfError> {
    let tables = Tables::parse(&bytes)?;
    let facts = Elf::from_tables(&bytes, &tables)?;
    let removed = removed(&bytes, &tables, unwanted)?;
    let Some(parts) = parts_to_move(&bytes, &tables, &removed)? else { return Ok(bytes) };
    let Some(first) = parts.first() else { return Ok(bytes) };
    let moving: BTreeSet<usize> = parts.iter().filter_map(Part::segment).collect();
    let before = Fingerprint::of(&bytes, &tables, &moving)?;

    let mut end = first.place.start;
    let mut sections = tables.sections.clone();
    let mut moves = Vec::new();
    for Part { place, kind } in parts {
        let start = match kind {
            PartKind::SectionHeaders => continue,
            PartKind::Section(index) if removed.contains(&index) => {
                sections[index] = SectionHeader { sh_type: SHT_NULL, ..SectionHeader::default() };
                continue;
            }
            PartKind::Section(index) => {
                let start = end.next_multiple_of(alignment(tables.sections[index].sh_addralign));
                sections[index].sh_offset = start as u64;
                start
            }
            PartKind::Segment(index) => {
                let segment = &tables.segments[index];
                let start = aligned_alike(end, place.start, alignment(segment.p_align));
                let by = (place.start - start) as u64;
                let memory = segment.p_vaddr..segment.p_vaddr.saturating_add(segment.p_memsz);
                moves.push(Moved { from: place.clone(), memory, by });
                start
            }
        };
        bytes[end..start].fill(0);
        end = start + place.len();
        bytes.copy_within(place, start);
    }

    for section in sections.iter_mut().filter(|section| is_loaded(section)) {
        let is_empty = content(&bytes, section).is_ok_and(|place| place.is_empty());
        let is_in = |moved: &&Moved| {
            if is_empty {
                moved.memory.contains(&section.sh_addr)
            } else {
                holds(&moved.from, section.sh_offset)
            }
        };
        if let Some(moved) = moves.iter().find(is_in) {
            section.sh_offset = section.sh_offset.saturating_sub(moved.by);
        }
    }
    let mut segments = tables.segments.clone();
    for segment in segments.iter_mut().filter(|segment| segment.p_filesz > 0) {
        if let Some(moved) = moves.iter().find(|moved| holds(&moved.from, segment.p_offset)) {
            segment.p_offset -= moved.by;
        }
    }
    let mut header = tables.header;
    if let Some(moved) = moves.iter().find(|moved| holds(&moved.from, header.e_phoff)) {
        header.e_phoff -= moved.by;
    }
    let table = end.next_multiple_of(8);
    let size = SectionHeader::size(tables.context);
    bytes.truncate(end);
    bytes.resize(table + sections.len() * size, 0);
    for (index, section) in sections.into_iter().enumerate() {
        bytes.pwrite_with(section, table + index * size, tables.context).map_err(ElfError::Header)?;
    }
    for (index, segment) in segments.into_iter().enumerate() {
        write_segment(&mut bytes, &tables, header.e_phoff, index, segment)?;
    }
    header.e_shoff = table as u64;
    bytes.pwrite_with(header, 0, tables.endian()).map_err(ElfError::Header)?;
    bytes.shrink_to_fit();

    let tables = Tables::parse(&bytes)?;
    if Elf::from_tables(&bytes, &tables)? != facts || Fingerprint::of(&bytes, &tables, &moving)? != before {
        return Err(ElfError::Invariant { what: "stripping has changed what the loader reads".into() });
    }
    Ok(bytes)
}

/// The numbers of the sections to remove: those that lie in no segment, and that no section which stays refers to.
fn removed(
    bytes: &[u8],
    tables: &Tables,
    unwanted: impl Fn(&str) -> bool,
) -> Result<BTreeSet<usize>, ElfError> {
    let names = usize::from(tables.header.e_shstrndx);
    let mut loaded = vec![0..Header::size(tables.context), program_headers(bytes, tables)?];
    for segment in &tables.segments {
        loaded.push(range(bytes, "a segment", segment.p_offset, segment.p_filesz)?);
    }
    let mut removed = BTreeSet::new();
    for (index, section) in tables.sections.iter().enumerate() {
        let content = content(bytes, section)?;
        let goes = index != names && !content.is_empty() && !is_loaded(section);
        if goes
            && loaded.iter().all(|part| part.end <= content.start || content.end <= part.start)
            && unwanted(tables.section_name(bytes, index)?)
        {
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

/// Everything from the first removed section on, in the order of the file; `None` when something else lies there too, or
/// not all of it can be moved.
fn parts_to_move(
    bytes: &[u8],
    tables: &Tables,
    removed: &BTreeSet<usize>,
) -> Result<Option<Vec<Part>>, ElfError> {
    let mut parts = Vec::new();
    for (index, segment) in tables.segments.iter().enumerate() {
        let place = range(bytes, "a segment", segment.p_offset, segment.p_filesz)?;
        if segment.p_type == PT_LOAD && !place.is_empty() {
            parts.push(Part { place, kind: PartKind::Segment(index) });
        }
    }
    let segments = parts.clone();
    for (index, section) in tables.sections.iter().enumerate() {
        let place = content(bytes, section)?;
        if !place.is_empty() && !is_loaded(section) {
            parts.push(Part { place, kind: PartKind::Section(index) });
        }
    }
    let gone = parts.iter().filter(|part| part.is_removed(removed));
    let Some(start) = gone.map(|part| part.place.start).min() else { return Ok(Some(Vec::new())) };
    let size = (tables.sections.len() * SectionHeader::size(tables.context)) as u64;
    let place = range(bytes, "the section headers", tables.header.e_shoff, size)?;
    parts.push(Part { place, kind: PartKind::SectionHeaders });

    // What is loaded, or read before anything is, moves only as a part of a segment, or not at all.
    let stays = |place: &Range<usize>| {
        let is_in = |part: &Part| part.place.start <= place.start && place.end <= part.place.end;
        place.end <= start || segments.iter().any(is_in)
    };
    let headers = program_headers(bytes, tables)?;
    // Linux before 5.18 looks for the headers of a program where they lie in the file.
    let is_program = tables.segment(PT_INTERP).is_some();
    if !stays(&headers) || (is_program && headers.end > start) {
        return Ok(None);
    }
    for segment in &tables.segments {
        let place = range(bytes, "a segment", segment.p_offset, segment.p_filesz)?;
        let is_ahead = segment.p_type == PT_LOAD && place.is_empty() && place.start > start;
        if is_ahead || !(place.is_empty() || stays(&place)) {
            return Ok(None);
        }
    }
    for section in tables.sections.iter().filter(|section| is_loaded(section)) {
        let place = content(bytes, section)?;
        if !(place.is_empty() || stays(&place)) {
            return Ok(None);
        }
    }

    parts.retain(|part| part.place.end > start);
    if parts.iter().any(|part| !is_alone(part, &segments) || part.place.start < start) {
        return Ok(None);
    }
    parts.sort_by_key(|part| part.place.start);
    let mut at = start;
    for Part { place, kind } in &parts {
        // Alignment leaves zeros between the parts; anything else is not ours to lose.
        if place.start < at || bytes[at..place.start].iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        if let PartKind::Section(index) = *kind
            && !removed.contains(&index)
            && !place.start.is_multiple_of(alignment(tables.sections[index].sh_addralign))
        {
            return Ok(None);
        }
        at = place.end;
    }
    Ok(bytes[at..].iter().all(|byte| *byte == 0).then_some(parts))
}

/// Whether a part shares no byte with a segment other than itself.
fn is_alone(part: &Part, segments: &[Part]) -> bool {
    segments.iter().all(|segment| {
        segment.kind == part.kind
            || segment.place.end <= part.place.start
            || part.place.end <= segment.place.start
    })
}

/// What a loader makes of a file: the content of the segments that move but for the headers, whose offsets may change, and
/// all other facts of the segments.
#[derive(PartialEq)]
struct Fingerprint {
    segments: Vec<ProgramHeader>,
    content: u64,
}

impl Fingerprint {
    fn of(bytes: &[u8], tables: &Tables, moving: &BTreeSet<usize>) -> Result<Self, ElfError> {
        let headers = [0..Header::size(tables.context), program_headers(bytes, tables)?];
        let mut hasher = DefaultHasher::new();
        let mut segments = tables.segments.clone();
        for (index, segment) in segments.iter_mut().enumerate() {
            let place = range(bytes, "a segment", segment.p_offset, segment.p_filesz)?;
            if moving.contains(&index) {
                (segment.p_offset % segment.p_align.max(1)).hash(&mut hasher);
                let mut at = place.start;
                for header in &headers {
                    if at < header.start && header.start < place.end {
                        bytes[at..header.start].hash(&mut hasher);
                    }
                    at = at.max(header.end.min(place.end));
                }
                bytes[at.min(place.end)..place.end].hash(&mut hasher);
                segment.p_offset = 0;
            } else if segment.p_type != PT_LOAD && segment.p_filesz > 0 {
                // Where it lies, from the loaded segment that holds it.
                let offset = tables.offset_of(segment.p_vaddr).unwrap_or(0);
                segment.p_offset = segment.p_offset.wrapping_sub(offset);
            }
        }
        Ok(Self { segments, content: hasher.finish() })
    }
}

/// The first position from `end` on that is as far from a multiple of `alignment` as `place` is.
fn aligned_alike(end: usize, place: usize, alignment: usize) -> usize {
    let wanted = place % alignment;
    let found = end / alignment * alignment + wanted;
    if found < end { found + alignment } else { found }
}

fn program_headers(bytes: &[u8], tables: &Tables) -> Result<Range<usize>, ElfError> {
    let header = &tables.header;
    let size = u64::from(header.e_phnum) * u64::from(header.e_phentsize);
    range(bytes, "the program headers", header.e_phoff, size)
}

fn holds(place: &Range<usize>, offset: u64) -> bool {
    usize::try_from(offset).is_ok_and(|offset| place.contains(&offset))
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

fn alignment(declared: u64) -> usize {
    usize::try_from(declared).unwrap_or(1).max(1)
}
