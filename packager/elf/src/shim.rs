use std::collections::BTreeSet;

use goblin::container::{Container, Ctx};
use goblin::elf::dynamic::{
    DT_HASH, DT_NEEDED, DT_NULL, DT_RPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_SYMENT, DT_SYMTAB, Dyn,
};
use goblin::elf::header::{EI_OSABI, ET_DYN, Header};
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_DYNAMIC, PT_GNU_STACK, PT_LOAD, ProgramHeader};
use goblin::elf::sym::{STB_GLOBAL, STT_FUNC, Sym};
use scroll::{Endian, Pwrite};

use super::{Elf, ElfError, Machine};

/// A section number that says a symbol is defined here; a file without sections has no better one.
const SHN_ANY: usize = 1;

/// Makes the bytes of a shared library named `soname` whose only content is that it needs the library `real`, looked
/// for along `run_path` (colon-separated; `$ORIGIN` is the shim's own directory).
///
/// A wheel cannot hold symbolic links; a shim of a few hundred bytes lets one library answer to a second name, because
/// a symbol asked of the shim is found in what it needs. Processor family, class and byte order are those of `like`.
pub fn shim(real: &str, soname: &str, run_path: Option<&str>, like: &Elf) -> Result<Vec<u8>, ElfError> {
    let mut strings = Strings::new();
    let mut entries = vec![(DT_NEEDED, strings.add(real)?), (DT_SONAME, strings.add(soname)?)];
    if let Some(path) = run_path {
        entries.push((DT_RPATH, strings.add(path)?));
    }
    library(like, strings, entries, &[], &[])
}

/// Makes the bytes of a shared library named `soname` that has `functions`, each of which writes `message` to stderr
/// and ends the process: it replaces a library that is linked to, but never called.
///
/// Only x86-64 is known; processor family, class and byte order are those of `like`.
pub fn stand_in(
    soname: &str,
    functions: &BTreeSet<String>,
    message: &str,
    like: &Elf,
) -> Result<Vec<u8>, ElfError> {
    if like.machine != Machine::X86_64 || like.bits != 64 {
        return Err(ElfError::Unsupported { why: format!("no code is known for {}", like.machine) });
    }
    let mut strings = Strings::new();
    let entries = vec![(DT_SONAME, strings.add(soname)?)];
    let names = functions.iter().map(|name| strings.add(name)).collect::<Result<Vec<_>, _>>()?;
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut code = vec![0xbf, 2, 0, 0, 0]; // mov edi, 2: stderr
    code.extend([0x48, 0x8d, 0x35, 14, 0, 0, 0]); // lea rsi, the message behind the code
    code.push(0xba); // mov edx, its length
    code.extend(length.to_le_bytes());
    code.extend([0xb8, 1, 0, 0, 0]); // mov eax, 1: write
    code.extend([0x0f, 0x05, 0x0f, 0x0b]); // syscall; ud2
    code.extend(message.as_bytes());
    library(like, strings, entries, &names, &code)
}

/// A string table under construction.
struct Strings(Vec<u8>);

impl Strings {
    fn new() -> Self {
        Self(vec![0])
    }

    fn add(&mut self, text: &str) -> Result<u64, ElfError> {
        if text.is_empty() || text.contains('\0') {
            let why = "it is empty or contains a NUL character";
            return Err(ElfError::Edit { name: text.to_owned(), why });
        }
        let offset = self.0.len() as u64;
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        Ok(offset)
    }

    fn at(&self, offset: u64) -> &[u8] {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// A library with these dynamic entries, and with functions of these names (offsets into the strings), all of them the
/// one that `code` is.
fn library(
    like: &Elf,
    strings: Strings,
    mut entries: Vec<(u64, u64)>,
    functions: &[u64],
    code: &[u8],
) -> Result<Vec<u8>, ElfError> {
    let container = if like.bits == 64 { Container::Big } else { Container::Little };
    let context = Ctx::new(container, if like.little_endian { Endian::Little } else { Endian::Big });
    let hash = hash_table(&strings, functions);
    let strings = strings.0;
    let symbol_size = Sym::size(container);
    let segment_count = if code.is_empty() { 3 } else { 4 };
    let headers_end = Header::size(context) + segment_count * ProgramHeader::size(context);
    let dynamic_at = headers_end.next_multiple_of(16);
    let dynamic_size = (entries.len() + 6) * Dyn::size(container);
    let symbols_at = dynamic_at + dynamic_size;
    let hash_at = symbols_at + (functions.len() + 1) * symbol_size;
    let strings_at = hash_at + size_of_val(hash.as_slice());
    let size = strings_at + strings.len();
    let code_at = size.next_multiple_of(16);
    entries.extend([
        (DT_HASH, hash_at as u64),
        (DT_STRTAB, strings_at as u64),
        (DT_SYMTAB, symbols_at as u64),
        (DT_STRSZ, strings.len() as u64),
        (DT_SYMENT, symbol_size as u64),
        (DT_NULL, 0),
    ]);

    let mut header = Header::new(context);
    header.e_ident[EI_OSABI] = like.os_abi;
    header.e_type = ET_DYN;
    header.e_machine = like.machine.0;
    header.e_flags = like.flags;
    header.e_phoff = Header::size(context) as u64;
    header.e_phnum = if code.is_empty() { 3 } else { 4 };
    // No sections, so none of the three fields about them says anything.
    header.e_shentsize = 0;

    let page = like.machine.page();
    let piece = |p_type, start: usize, length: usize, p_align| {
        let (start, length) = (start as u64, length as u64);
        ProgramHeader {
            p_type,
            p_flags: PF_R | PF_W,
            p_offset: start,
            p_vaddr: start,
            p_paddr: start,
            p_filesz: length,
            p_memsz: length,
            p_align,
        }
    };
    let word = if like.bits == 64 { 8 } else { 4 };
    let mut segments = vec![piece(PT_LOAD, 0, size, page)];
    // Code lies on a page of its own in memory, which nobody may write to.
    let code_address = (code_at as u64) % page + (code_at as u64).next_multiple_of(page);
    if !code.is_empty() {
        let mut segment = piece(PT_LOAD, code_at, code.len(), page);
        segment.p_flags = PF_R | PF_X;
        segment.p_vaddr = code_address;
        segment.p_paddr = code_address;
        segments.push(segment);
    }
    segments.push(piece(PT_DYNAMIC, dynamic_at, dynamic_size, word));
    segments.push(piece(PT_GNU_STACK, 0, 0, 16));

    let mut bytes = vec![0; if code.is_empty() { size } else { code_at + code.len() }];
    let write = || -> Result<(), goblin::error::Error> {
        let at = &mut 0;
        bytes.gwrite_with(header, at, context.le)?;
        for segment in segments {
            bytes.gwrite_with(segment, at, context)?;
        }
        *at = dynamic_at;
        for (d_tag, d_val) in entries {
            bytes.gwrite_with(Dyn { d_tag, d_val }, at, context)?;
        }
        *at = symbols_at + symbol_size;
        for name in functions {
            let symbol = Sym {
                st_name: usize::try_from(*name).unwrap_or_default(),
                st_info: STB_GLOBAL << 4 | STT_FUNC,
                // Any section but the undefined one.
                st_shndx: SHN_ANY,
                st_value: code_address,
                ..Sym::default()
            };
            bytes.gwrite_with(symbol, at, context)?;
        }
        *at = hash_at;
        for number in hash {
            bytes.gwrite_with(number, at, context.le)?;
        }
        bytes[strings_at..size].copy_from_slice(&strings);
        if !code.is_empty() {
            bytes[code_at..].copy_from_slice(code);
        }
        Ok(())
    };
    write().map_err(ElfError::Header)?;
    Ok(bytes)
}

/// The table by which the loader finds symbols: old and new loaders read this form. The first symbol is the undefined
/// one which every table begins with.
fn hash_table(strings: &Strings, functions: &[u64]) -> Vec<u32> {
    let index = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let buckets = functions.len().max(1);
    let mut first = vec![0; buckets];
    let mut next = vec![0; functions.len() + 1];
    for (number, name) in functions.iter().enumerate() {
        let hash = strings.at(*name).iter().fold(0_u32, |hash, byte| {
            let hash = (hash << 4).wrapping_add(u32::from(*byte));
            (hash ^ (hash & 0xf000_0000) >> 24) & 0x0fff_ffff
        });
        let bucket = hash as usize % buckets;
        next[number + 1] = first[bucket];
        first[bucket] = index(number + 1);
    }
    [vec![index(buckets), index(next.len())], first, next].concat()
}
