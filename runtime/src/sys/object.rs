//! The libraries of the process as the loader has mapped them: dynamic sections, symbols, and import slots, in the layout of
//! the ELF specification.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Range;
use std::path::PathBuf;

use super::machine::ADDRESS_OF_SYMBOL;

/// A library that the process has loaded.
pub(super) struct Object {
    /// The path by which it was loaded; empty for the program itself.
    pub(super) path: String,
    base: usize,
    headers: Vec<libc::Elf64_Phdr>,
}

/// Symbols and their names.
pub(super) struct Symbols {
    pub(super) table: *const libc::Elf64_Sym,
    names: *const c_char,
    /// The number of the first symbol beyond the last one.
    pub(super) end: usize,
}

/// An entry of the dynamic section (`Elf64_Dyn`).
#[repr(C)]
struct Dynamic {
    tag: i64,
    value: u64,
}

/// A relocation with an addend (`Elf64_Rela`).
#[repr(C)]
struct Relocation {
    offset: u64,
    info: u64,
    _addend: i64,
}

const DT_PLTRELSZ: i64 = 2;
const DT_HASH: i64 = 4;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_JMPREL: i64 = 23;
const DT_GNU_HASH: i64 = 0x6fff_fef5;
const DT_RELACOUNT: i64 = 0x6fff_fff9;

/// The libraries of the process.
pub(super) fn all() -> Vec<Object> {
    /// # Safety
    /// The loader calls it with one of its libraries; `found` points to a vector of them.
    unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> c_int {
        // SAFETY: the caller's promise; the loader says how many headers there are.
        unsafe {
            let (info, found) = (&*info, &mut *found.cast::<Vec<Object>>());
            let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
            if !info.dlpi_name.is_null()
                && let Ok(base) = usize::try_from(info.dlpi_addr)
            {
                let path = CStr::from_ptr(info.dlpi_name).to_string_lossy().into_owned();
                found.push(Object { path, base, headers: headers.to_vec() });
            }
        }
        0
    }
    let mut found: Vec<Object> = Vec::new();
    // SAFETY: the callback is given the address of a vector that lives as long as the call.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut found).cast()) };
    found
}

/// The library that an address is in.
pub(super) fn holding(address: *const c_void) -> Option<Object> {
    all().into_iter().find(|object| object.segment(address.addr()).is_some())
}

/// Where the code around an address is.
pub(super) fn code(address: *const c_void) -> Option<Range<usize>> {
    let library = holding(address)?;
    let segment = library.segment(address.addr())?;
    let start = library.address(segment.p_vaddr);
    Some(start..start + size(segment.p_memsz))
}

/// Where the library around an address is, from its first segment to its last.
pub(crate) fn extent(address: *const c_void) -> Option<Range<usize>> {
    let library = holding(address)?;
    let loaded = || library.headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let start = loaded().map(|header| library.address(header.p_vaddr)).min()?;
    let end = loaded().map(|header| library.address(header.p_vaddr) + size(header.p_memsz)).max()?;
    Some(start..end)
}

/// Makes private copies of the pages of `length` bytes at `place`, if they are in a library, writable, and with content from its
/// file. They are about to be written: to copy all at once is faster than a page fault for each, which also interrupts the other
/// processors on which threads run, such as NumPy's. A kernel before 5.14 copies each page when it is written.
pub(crate) fn prefault(place: *const c_void, length: usize) {
    let Some(library) = holding(place) else { return };
    let (place, page) = (place.expose_provenance(), page_size());
    let Some(segment) = library.segment(place).filter(|segment| segment.p_flags & libc::PF_W != 0) else {
        return;
    };
    let end = library.address(segment.p_vaddr) + size(segment.p_filesz);
    if length > end.saturating_sub(place) {
        return;
    }
    let start = (place / page * page).max(library.sealed().end);
    let end = (place + length).next_multiple_of(page);
    let pages = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: asks for pages of a loaded library, and changes nothing in them; a failure is no harm.
    unsafe { libc::madvise(pages, end.saturating_sub(start), libc::MADV_POPULATE_WRITE) };
}

impl Object {
    /// The last part of its path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The directory that it is in, without links; `None` for the program itself.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        Some(fs_err::canonicalize(&self.path).ok()?.parent()?.to_owned())
    }

    /// The address of what lies at `offset` of the object's own addresses.
    pub(super) fn address(&self, offset: u64) -> usize {
        self.base.wrapping_add(size(offset))
    }

    fn segment(&self, address: usize) -> Option<&libc::Elf64_Phdr> {
        self.headers.iter().find(|header| {
            header.p_type == libc::PT_LOAD
                && address.wrapping_sub(self.address(header.p_vaddr)) < size(header.p_memsz)
        })
    }

    /// The value of an entry of the dynamic section, 0 if there is none.
    ///
    /// # Safety
    /// The object is loaded.
    unsafe fn entry(&self, tag: i64) -> usize {
        let Some(header) = self.headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) else {
            return 0;
        };
        let mut entry: *const Dynamic = std::ptr::with_exposed_provenance(self.address(header.p_vaddr));
        // SAFETY: the section ends with an entry of tag 0.
        unsafe {
            while (*entry).tag != 0 {
                if (*entry).tag == tag {
                    return size((*entry).value);
                }
                entry = entry.add(1);
            }
        }
        0
    }

    /// The address in an entry of the dynamic section. Some loaders have relocated it, others have not.
    ///
    /// # Safety
    /// As for [`Self::entry`].
    unsafe fn table<T>(&self, tag: i64) -> *const T {
        // SAFETY: the caller's promise.
        let address = unsafe { self.entry(tag) };
        match address {
            0 => std::ptr::null(),
            address if address < self.base => std::ptr::with_exposed_provenance(address + self.base),
            address => std::ptr::with_exposed_provenance(address),
        }
    }

    /// The symbols that the object defines, and those that it imports.
    ///
    /// # Safety
    /// As for [`Self::entry`].
    pub(super) unsafe fn symbols(&self) -> Option<Symbols> {
        // SAFETY: the tables of a loaded object are as the specifications of the two hash tables say. The older one begins
        // with the numbers of its buckets and of all symbols. In the other, four numbers, the filter, and the first symbol
        // of each bucket come before a hash for each symbol that is defined, odd for the last one of its bucket.
        unsafe {
            let (table, names): (*const libc::Elf64_Sym, *const c_char) =
                (self.table(DT_SYMTAB), self.table(DT_STRTAB));
            let (old, hash): (*const u32, *const u32) = (self.table(DT_HASH), self.table(DT_GNU_HASH));
            if table.is_null() || names.is_null() {
                return None;
            }
            if hash.is_null() {
                let end = if old.is_null() { 0 } else { *old.add(1) as usize };
                return Some(Symbols { table, names, end });
            }
            let [buckets, first, words] = [0, 1, 2].map(|index| *hash.add(index) as usize);
            let bucket = hash.add(4 + 2 * words);
            let mut last = (0..buckets).map(|index| *bucket.add(index) as usize).max().unwrap_or(0);
            if last < first {
                return Some(Symbols { table, names, end: first });
            }
            while *bucket.add(buckets + last - first) & 1 == 0 {
                last += 1;
            }
            Some(Symbols { table, names, end: last + 1 })
        }
    }

    /// The addresses of the slots that hold the addresses of imports called `names`.
    ///
    /// # Safety
    /// As for [`Self::entry`].
    pub(super) unsafe fn imports(&self, names: &[&CStr]) -> Vec<usize> {
        let mut found = Vec::new();
        // SAFETY: the caller's promise. Relocations name symbols by number, and memory inside the object that the loader
        // has filled with an address.
        unsafe {
            let Some(symbols) = self.symbols() else { return found };
            let tables = [
                (self.table::<Relocation>(DT_JMPREL), self.entry(DT_PLTRELSZ), 0),
                // The first ones have no symbol.
                (self.table::<Relocation>(DT_RELA), self.entry(DT_RELASZ), self.entry(DT_RELACOUNT)),
            ];
            for (table, bytes, skipped) in tables {
                for index in skipped..bytes / size_of::<Relocation>() {
                    let relocation = &*table.add(index);
                    if ADDRESS_OF_SYMBOL.contains(&(relocation.info & 0xffff_ffff))
                        && names.contains(&symbols.name(size(relocation.info >> 32)))
                    {
                        found.push(self.address(relocation.offset));
                    }
                }
            }
        }
        found
    }

    /// The memory that only the loader may write (`PT_GNU_RELRO`). The loader has made the whole pages in it read-only.
    fn sealed(&self) -> Range<usize> {
        self.headers.iter().find(|header| header.p_type == libc::PT_GNU_RELRO).map_or(0..0, |header| {
            let start = self.address(header.p_vaddr);
            start..(start + size(header.p_memsz)) / page_size() * page_size()
        })
    }

    /// Runs `work`, which writes to `length` bytes at `place`, while their pages are writable. `false` if they cannot be made
    /// writable.
    pub(super) fn writable(&self, place: usize, length: usize, work: impl FnOnce()) -> bool {
        let Some(segment) = self.segment(place) else { return false };
        let protection =
            [(libc::PF_R, libc::PROT_READ), (libc::PF_W, libc::PROT_WRITE), (libc::PF_X, libc::PROT_EXEC)]
                .into_iter()
                .filter(|(flag, _)| segment.p_flags & flag != 0)
                .fold(0, |all, (_, protection)| all | protection);
        let after = if self.sealed().contains(&place) { protection & !libc::PROT_WRITE } else { protection };
        let start = place / page_size() * page_size();
        let protect = |protection| {
            let pages = std::ptr::with_exposed_provenance_mut(start);
            // SAFETY: the pages are mapped for this object, keep what they hold, and are read by others as before.
            unsafe { libc::mprotect(pages, place + length - start, protection) == 0 }
        };
        if after & libc::PROT_WRITE != 0 {
            work();
            return true;
        }
        let allowed = protect(protection | libc::PROT_WRITE);
        if allowed {
            work();
            protect(after);
        }
        allowed
    }
}

impl Symbols {
    /// The name of symbol `number`.
    ///
    /// # Safety
    /// There is such a symbol, and its library stays loaded.
    pub(super) unsafe fn name<'a>(&self, number: usize) -> &'a CStr {
        // SAFETY: the caller's promise; a symbol holds the distance of its name from the first one.
        unsafe { CStr::from_ptr(self.names.add((*self.table.add(number)).st_name as usize)) }
    }
}

fn page_size() -> usize {
    // SAFETY: asks for a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
