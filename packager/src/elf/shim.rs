use goblin::container::{Container, Ctx};
use goblin::elf::dynamic::{
    DT_HASH, DT_NEEDED, DT_NULL, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_SYMENT, DT_SYMTAB, Dyn,
};
use goblin::elf::header::{EI_OSABI, ET_DYN, Header};
use goblin::elf::program_header::{PF_R, PF_W, PT_DYNAMIC, PT_GNU_STACK, PT_LOAD, ProgramHeader};
use goblin::elf::sym::Sym;
use scroll::{Endian, Pwrite};

use super::{Elf, ElfError};

/// Makes the bytes of a shared library named `soname` whose only content is that it needs the library `real`, looked
/// for along `run_path` (colon-separated; `$ORIGIN` is the shim's own directory).
///
/// A wheel cannot hold symbolic links; a shim of a few hundred bytes lets one library answer to a second name, because
/// a symbol asked of the shim is found in what it needs. Processor family, class and byte order are those of `like`.
pub fn shim(real: &str, soname: &str, run_path: Option<&str>, like: &Elf) -> Result<Vec<u8>, ElfError> {
    let mut strings = vec![0];
    let mut string = |text: &str| {
        if text.is_empty() || text.contains('\0') {
            let why = "it is empty or contains a NUL character";
            return Err(ElfError::Edit { name: text.to_owned(), why });
        }
        let offset = strings.len() as u64;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        Ok(offset)
    };
    let mut entries = vec![(DT_NEEDED, string(real)?), (DT_SONAME, string(soname)?)];
    if let Some(path) = run_path {
        entries.push((DT_RUNPATH, string(path)?));
    }

    let container = if like.bits == 64 { Container::Big } else { Container::Little };
    let context = Ctx::new(container, if like.little_endian { Endian::Little } else { Endian::Big });
    // One bucket, one symbol: the undefined one which every table begins with. Old and new loaders read this form.
    let hash: [u32; 4] = [1, 1, 0, 0];
    let symbol_size = Sym::size(container);
    let headers_end = Header::size(context) + 3 * ProgramHeader::size(context);
    let dynamic_at = headers_end.next_multiple_of(16);
    let dynamic_size = (entries.len() + 6) * Dyn::size(container);
    let symbols_at = dynamic_at + dynamic_size;
    let hash_at = symbols_at + symbol_size;
    let strings_at = hash_at + size_of_val(&hash);
    let size = strings_at + strings.len();
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
    header.e_phnum = 3;
    // No sections, so none of the three fields about them says anything.
    header.e_shentsize = 0;

    let flags = PF_R | PF_W;
    let piece = |p_type, start: usize, length: usize, p_align| {
        let (start, length) = (start as u64, length as u64);
        ProgramHeader {
            p_type,
            p_flags: flags,
            p_offset: start,
            p_vaddr: start,
            p_paddr: start,
            p_filesz: length,
            p_memsz: length,
            p_align,
        }
    };
    let word = if like.bits == 64 { 8 } else { 4 };
    let segments = [
        piece(PT_LOAD, 0, size, like.machine.page()),
        piece(PT_DYNAMIC, dynamic_at, dynamic_size, word),
        piece(PT_GNU_STACK, 0, 0, 16),
    ];

    let mut bytes = vec![0; size];
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
        *at = hash_at;
        for number in hash {
            bytes.gwrite_with(number, at, context.le)?;
        }
        bytes[strings_at..].copy_from_slice(&strings);
        Ok(())
    };
    write().map_err(ElfError::Header)?;
    Ok(bytes)
}
