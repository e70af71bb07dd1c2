use goblin::elf::program_header::{PF_W, PF_X, PT_GNU_RELRO, PT_LOAD};

use super::ElfError;
use super::tables::Tables;

/// Where a text lies in memory once a file is loaded: distances from the start of its first segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locations {
    /// In memory that may be written.
    pub writable: Vec<u64>,
    /// In memory that must be made writable first.
    pub read_only: Vec<u64>,
}

/// Finds every location at which `text` is loaded into memory. Text in machine code is an error, because it cannot be
/// overwritten.
pub fn locations(bytes: &[u8], text: &str) -> Result<Locations, ElfError> {
    let tables = Tables::parse(bytes)?;
    let loaded = || tables.segments.iter().filter(|segment| segment.p_type == PT_LOAD);
    let start = loaded().map(|segment| segment.p_vaddr).min().unwrap_or(0);
    let protected = |address: u64| {
        let relro = tables.segments.iter().filter(|segment| segment.p_type == PT_GNU_RELRO);
        let page = super::Machine(tables.header.e_machine).page();
        // The loader protects whole pages.
        relro
            .map(|segment| (segment.p_vaddr, segment.p_vaddr.saturating_add(segment.p_memsz)))
            .any(|(from, to)| (from / page * page..to.next_multiple_of(page)).contains(&address))
    };
    let mut locations = Locations::default();
    for offset in memchr::memmem::find_iter(bytes, text.as_bytes()) {
        let (from, to) = (offset as u64, (offset + text.len()) as u64);
        let inside = |segment: &&goblin::elf::ProgramHeader| {
            segment.p_offset <= from && to <= segment.p_offset.saturating_add(segment.p_filesz)
        };
        // What no segment holds, such as debug information, is not loaded.
        let Some(segment) = loaded().find(inside) else { continue };
        let address = segment.p_vaddr.saturating_add(from - segment.p_offset);
        if segment.p_flags & PF_X != 0 {
            return Err(ElfError::Edit { name: text.to_owned(), why: "it lies among machine code" });
        }
        let writable = segment.p_flags & PF_W != 0 && !protected(address);
        let list = if writable { &mut locations.writable } else { &mut locations.read_only };
        list.push(address.saturating_sub(start));
    }
    Ok(locations)
}
