//! The tables of an ELF file, read and written with checked bounds; the reader and the rewriter share this view.

use std::ops::Range;

use goblin::container::{Container, Ctx};
use goblin::elf::dynamic::{
    DT_NULL, DT_STRSZ, DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM, Dyn,
};
use goblin::elf::header::{ELFMAG, Header};
use goblin::elf::program_header::{PT_DYNAMIC, PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB, SectionHeader};
use goblin::elf::sym::Sym;
use scroll::{Endian, Pread, Pwrite};

use super::ElfError;

/// Headers, segments, sections and the dynamic table, as they lie in the file.
pub(super) struct Tables {
    pub(super) header: Header,
    /// Class and byte order, as goblin's records want them.
    pub(super) context: Ctx,
    pub(super) segments: Vec<ProgramHeader>,
    pub(super) sections: Vec<SectionHeader>,
    pub(super) dynamic: Option<Dynamic>,
}

/// The dynamic table and its string table.
pub(super) struct Dynamic {
    /// Where the table begins in the file.
    pub(super) offset: usize,
    /// How many entries there is room for, the closing `DT_NULL` included.
    pub(super) slots: usize,
    /// The entries before the closing `DT_NULL`, which may be missing: the loader then reads on into what follows.
    pub(super) entries: Vec<Dyn>,
    /// Where the strings lie in the file.
    pub(super) strings: Range<usize>,
}

impl Dynamic {
    /// The value of the first entry with this tag.
    pub(super) fn value(&self, tag: u64) -> Option<u64> {
        self.entries.iter().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val)
    }
}

/// One version of another library that this file asks for, with the offsets of both names.
pub(super) struct Requirement {
    /// Position in the file of the 4-byte field that refers to the library's name.
    pub(super) field: usize,
    /// The library's name, as an offset into the strings.
    pub(super) library: u64,
    /// The version's name, as an offset into the strings.
    pub(super) version: u64,
}

/// Whether the bytes begin like an ELF file.
#[must_use]
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(ELFMAG)
}

impl Tables {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ElfError> {
        if !is_elf(bytes) {
            return Err(ElfError::NotElf);
        }
        let header: Header = bytes.pread(0).map_err(ElfError::Header)?;
        let container = header.container().map_err(ElfError::Header)?;
        let context = Ctx::new(container, header.endianness().map_err(ElfError::Header)?);

        let segments = if header.e_phnum == 0 {
            Vec::new()
        } else {
            let size = ProgramHeader::size(context);
            if usize::from(header.e_phentsize) != size {
                return Err(ElfError::Inconsistent("program headers of unknown size"));
            }
            records(bytes, "program header", header.e_phoff, header.e_phnum.into(), size, |at| {
                bytes.pread_with(at, context)
            })?
        };
        let sections = if header.e_shnum == 0 {
            Vec::new()
        } else {
            let size = SectionHeader::size(context);
            if usize::from(header.e_shentsize) != size {
                return Err(ElfError::Inconsistent("section headers of unknown size"));
            }
            records(bytes, "section header", header.e_shoff, header.e_shnum.into(), size, |at| {
                bytes.pread_with(at, context)
            })?
        };
        let mut tables = Self { header, context, segments, sections, dynamic: None };
        tables.dynamic = tables.read_dynamic(bytes)?;
        Ok(tables)
    }

    fn read_dynamic(&self, bytes: &[u8]) -> Result<Option<Dynamic>, ElfError> {
        let Some(segment) = self.segment(PT_DYNAMIC).filter(|segment| segment.p_filesz > 0) else {
            return Ok(None);
        };
        let size = Dyn::size(self.context.container);
        let range = range(bytes, "the dynamic table", segment.p_offset, segment.p_filesz)?;
        let slots = range.len() / size;
        let mut entries = Vec::new();
        for slot in 0..slots {
            let entry: Dyn =
                bytes.pread_with(range.start + slot * size, self.context).map_err(ElfError::Header)?;
            if entry.d_tag == DT_NULL {
                break;
            }
            entries.push(entry);
        }
        let mut dynamic = Dynamic { offset: range.start, slots, entries, strings: 0..0 };
        if let Some(address) = dynamic.value(DT_STRTAB) {
            let offset = self
                .offset_of(address)
                .ok_or(ElfError::Inconsistent("the address of the dynamic strings is in no segment"))?;
            let length = dynamic.value(DT_STRSZ).unwrap_or(0);
            dynamic.strings = self::range(bytes, "the dynamic strings", offset, length)?;
        }
        Ok(Some(dynamic))
    }

    pub(super) fn is_64(&self) -> bool {
        self.context.container == Container::Big
    }

    pub(super) fn endian(&self) -> Endian {
        self.context.le
    }

    /// The first segment of this type.
    pub(super) fn segment(&self, kind: u32) -> Option<&ProgramHeader> {
        self.segments.iter().find(|segment| segment.p_type == kind)
    }

    /// The loaded segments, in file order.
    pub(super) fn loads(&self) -> impl Iterator<Item = &ProgramHeader> {
        self.segments.iter().filter(|segment| segment.p_type == PT_LOAD)
    }

    /// Where in the file the byte at a virtual address lies.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.loads().find_map(|load| {
            let inside = address.checked_sub(load.p_vaddr)?;
            if inside < load.p_filesz { load.p_offset.checked_add(inside) } else { None }
        })
    }

    /// The dynamic string that starts at `offset` of the string table.
    pub(super) fn text<'a>(&self, bytes: &'a [u8], offset: u64) -> Result<&'a str, ElfError> {
        let strings = self.dynamic.as_ref().map_or(0..0, |dynamic| dynamic.strings.clone());
        let missing = || ElfError::OutOfBounds { what: "a dynamic string", offset, size: strings.len() };
        let table = bytes.get(strings.clone()).ok_or_else(missing)?;
        let rest = usize::try_from(offset).ok().and_then(|at| table.get(at..)).ok_or_else(missing)?;
        let length = rest.iter().position(|&byte| byte == 0).ok_or_else(missing)?;
        std::str::from_utf8(&rest[..length]).map_err(|_| ElfError::Inconsistent("a name is not UTF-8"))
    }

    /// The strings of all entries with this tag, in order.
    pub(super) fn texts(&self, bytes: &[u8], tag: u64) -> Result<Vec<String>, ElfError> {
        let entries = self.dynamic.iter().flat_map(|dynamic| &dynamic.entries);
        entries
            .filter(|entry| entry.d_tag == tag)
            .map(|entry| self.text(bytes, entry.d_val).map(str::to_owned))
            .collect()
    }

    /// Every version that this file asks of other libraries (`DT_VERNEED`).
    pub(super) fn requirements(&self, bytes: &[u8]) -> Result<Vec<Requirement>, ElfError> {
        let mut found = Vec::new();
        self.chain(bytes, DT_VERNEED, DT_VERNEEDNUM, |at| {
            let count: u16 = field(bytes, at, 2, self.endian())?;
            let library: u32 = field(bytes, at, 4, self.endian())?;
            let first: u32 = field(bytes, at, 8, self.endian())?;
            let mut auxiliary = forward(at, first)?;
            for _ in 0..count {
                let version: u32 = field(bytes, auxiliary, 8, self.endian())?;
                found.push(Requirement { field: at + 4, library: library.into(), version: version.into() });
                let next: u32 = field(bytes, auxiliary, 12, self.endian())?;
                if next == 0 {
                    break;
                }
                auxiliary = forward(auxiliary, next)?;
            }
            field(bytes, at, 12, self.endian())
        })?;
        Ok(found)
    }

    /// The names, as offsets into the strings, of the versions that this file provides (`DT_VERDEF`), with their
    /// parents; the flag marks the entry that only names the file itself.
    pub(super) fn definitions(&self, bytes: &[u8]) -> Result<Vec<(bool, u64)>, ElfError> {
        let mut found = Vec::new();
        self.chain(bytes, DT_VERDEF, DT_VERDEFNUM, |at| {
            let flags: u16 = field(bytes, at, 2, self.endian())?;
            let count: u16 = field(bytes, at, 6, self.endian())?;
            let first: u32 = field(bytes, at, 12, self.endian())?;
            let mut auxiliary = forward(at, first)?;
            for _ in 0..count {
                let name: u32 = field(bytes, auxiliary, 0, self.endian())?;
                found.push((flags & 1 != 0, name.into()));
                let next: u32 = field(bytes, auxiliary, 4, self.endian())?;
                if next == 0 {
                    break;
                }
                auxiliary = forward(auxiliary, next)?;
            }
            field(bytes, at, 16, self.endian())
        })?;
        Ok(found)
    }

    /// Walks a table whose records say how far the next one is; `visit` gets a record's position and returns that.
    fn chain(
        &self,
        bytes: &[u8],
        table: u64,
        count: u64,
        mut visit: impl FnMut(usize) -> Result<u32, ElfError>,
    ) -> Result<(), ElfError> {
        let Some(dynamic) = &self.dynamic else { return Ok(()) };
        let Some(address) = dynamic.value(table) else { return Ok(()) };
        let count = dynamic.value(count).unwrap_or(0);
        let offset = self
            .offset_of(address)
            .ok_or(ElfError::Inconsistent("the address of a version table is in no segment"))?;
        // No library has more libraries or versions than a 16-bit version index can tell apart.
        if count > u64::from(u16::MAX) {
            return Err(ElfError::Inconsistent("a version table is too long"));
        }
        let mut at = range(bytes, "a version table", offset, 0)?.start;
        for _ in 0..count {
            let next = visit(at)?;
            if next == 0 {
                break;
            }
            at = forward(at, next)?;
        }
        Ok(())
    }

    /// All dynamic symbols. `None` when the file does not say how many it has: the loader needs no such number, so it
    /// stands in the section headers only.
    pub(super) fn symbols(&self, bytes: &[u8]) -> Result<Option<Vec<Sym>>, ElfError> {
        let Some(address) = self.dynamic.as_ref().and_then(|dynamic| dynamic.value(DT_SYMTAB)) else {
            return Ok(None);
        };
        let size = Sym::size(self.context.container);
        let section = self.sections.iter().find(|section| {
            section.sh_type == SHT_DYNSYM && section.sh_addr == address && section.sh_entsize == size as u64
        });
        let Some(section) = section else { return Ok(None) };
        let range = range(bytes, "the dynamic symbols", section.sh_offset, section.sh_size)?;
        let symbols = bytes[range]
            .chunks_exact(size)
            .map(|symbol| symbol.pread_with(0, self.context).map_err(ElfError::Header))
            .collect::<Result<_, _>>()?;
        Ok(Some(symbols))
    }

    /// The names of all dynamic symbols, as offsets into the strings.
    pub(super) fn symbol_names(&self, bytes: &[u8]) -> Result<Option<Vec<u64>>, ElfError> {
        let symbols = self.symbols(bytes)?;
        Ok(symbols.map(|symbols| symbols.iter().map(|symbol| symbol.st_name as u64).collect()))
    }

    /// The name of a section.
    pub(super) fn section_name<'a>(&self, bytes: &'a [u8], index: usize) -> Result<&'a str, ElfError> {
        let names = self.sections.get(usize::from(self.header.e_shstrndx)).zip(self.sections.get(index));
        let Some((names, section)) = names else { return Ok("") };
        let table = &bytes[range(bytes, "the section names", names.sh_offset, names.sh_size)?];
        let name = table.get(section.sh_name..).unwrap_or_default();
        let end = memchr::memchr(0, name).unwrap_or(name.len());
        std::str::from_utf8(&name[..end])
            .map_err(|_| ElfError::Inconsistent("the name of a section is not text"))
    }

    /// Index of the section header of the dynamic strings.
    pub(super) fn string_section(&self) -> Option<usize> {
        let address = self.dynamic.as_ref()?.value(DT_STRTAB)?;
        self.sections.iter().position(|section| section.sh_type == SHT_STRTAB && section.sh_addr == address)
    }

    /// Whether section names or debugging symbols lie in the dynamic strings too (some linkers merge the tables).
    pub(super) fn strings_have_other_users(&self) -> bool {
        self.string_section().is_some_and(|index| {
            usize::from(self.header.e_shstrndx) == index
                || self.sections.iter().any(|section| {
                    section.sh_type == SHT_SYMTAB && usize::try_from(section.sh_link) == Ok(index)
                })
        })
    }
}

/// The part `[offset, offset + length)` of the file, when there is such a part.
pub(super) fn range(
    bytes: &[u8],
    what: &'static str,
    offset: u64,
    length: u64,
) -> Result<Range<usize>, ElfError> {
    offset
        .checked_add(length)
        .filter(|&end| end <= bytes.len() as u64)
        .and_then(|end| Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?))
        .ok_or(ElfError::OutOfBounds { what, offset, size: bytes.len() })
}

/// A table of `count` records of `size` bytes each.
fn records<T>(
    bytes: &[u8],
    what: &'static str,
    offset: u64,
    count: usize,
    size: usize,
    read: impl Fn(usize) -> Result<T, goblin::error::Error>,
) -> Result<Vec<T>, ElfError> {
    let range = range(bytes, what, offset, (count * size) as u64)?;
    range.step_by(size).map(|at| read(at).map_err(ElfError::Header)).collect()
}

/// A field at `inside` bytes from the start of a record.
fn field<'a, T>(bytes: &'a [u8], record: usize, inside: usize, endian: Endian) -> Result<T, ElfError>
where
    T: scroll::ctx::TryFromCtx<'a, Endian, Error = scroll::Error> + 'a,
{
    let at = record.saturating_add(inside);
    bytes.pread_with(at, endian).map_err(out_of(at, bytes.len()))
}

fn out_of(at: usize, size: usize) -> impl Fn(scroll::Error) -> ElfError {
    move |_| ElfError::OutOfBounds { what: "a record", offset: at as u64, size }
}

fn forward(at: usize, distance: u32) -> Result<usize, ElfError> {
    usize::try_from(distance)
        .ok()
        .and_then(|distance| at.checked_add(distance))
        .ok_or(ElfError::Inconsistent("a version table extends beyond the end of the file"))
}

/// Writes the record of one segment into the table at `start`.
pub(super) fn write_segment(
    bytes: &mut [u8],
    tables: &Tables,
    start: u64,
    index: usize,
    segment: ProgramHeader,
) -> Result<(), ElfError> {
    let at = start + (index * ProgramHeader::size(tables.context)) as u64;
    // The tables were read from this very file, so their offsets fit into memory.
    let at = usize::try_from(at).map_err(|_| ElfError::Inconsistent("the program headers"))?;
    bytes.pwrite_with(segment, at, tables.context).map_err(ElfError::Header)?;
    Ok(())
}

/// Writes entries and fills the rest of the table with `DT_NULL`.
pub(super) fn write_entries(
    bytes: &mut [u8],
    tables: &Tables,
    offset: usize,
    slots: usize,
    entries: &[Dyn],
) -> Result<(), ElfError> {
    let size = Dyn::size(tables.context.container);
    let closing = Dyn { d_tag: DT_NULL, d_val: 0 };
    for slot in 0..slots {
        let entry = entries.get(slot).unwrap_or(&closing).clone();
        bytes.pwrite_with(entry, offset + slot * size, tables.context).map_err(ElfError::Header)?;
    }
    Ok(())
}
