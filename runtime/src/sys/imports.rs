//! Functions of libc as one loaded library sees them: each of its imports is a slot in memory that holds an address,
//! and this module puts another address there. Nothing else in the process calls anything different.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::machine::ADDRESS_OF_SYMBOL;

/// One slot of an import table.
#[derive(Clone, Copy, Debug)]
struct Slot {
    address: *mut AtomicPtr<c_void>,
    /// The loader has made it read-only.
    protected: bool,
}

/// The imports of a library that have been replaced, each with the address that it had.
#[derive(Debug)]
pub(crate) struct Replaced(Vec<(Slot, *mut c_void)>);

impl Replaced {
    /// Lets the library that `inside` points into call `with` where it imports one of `names`. Finds nothing in a library
    /// that imports none of them.
    ///
    /// # Safety
    /// `inside` points into a library that stays loaded. `with` has the C type of the functions that it replaces, and does
    /// for every caller in that library what they would do.
    pub(crate) unsafe fn new(inside: *const c_void, names: &[&CStr], with: *mut c_void) -> Self {
        let mut search = Search { inside: inside.addr(), names, found: Vec::new() };
        // SAFETY: the callback gets the address of `search`, which lives as long as the call.
        unsafe { libc::dl_iterate_phdr(Some(search_library), (&raw mut search).cast()) };
        let mut slots = Vec::new();
        for slot in search.found {
            // SAFETY: the slot was found in the import table of a library that stays loaded.
            let before = unsafe { (*slot.address).load(Ordering::Acquire) };
            // SAFETY: as above; the caller promises that `with` can take the place of `before`.
            if unsafe { store(slot, with) } {
                slots.push((slot, before));
            }
        }
        Self(slots)
    }

    /// Puts the functions back.
    pub(crate) fn undo(self) {
        for (slot, before) in self.0 {
            // SAFETY: the slot was found by `new`, and the address in it worked before.
            unsafe { store(slot, before) };
        }
    }
}

/// Writes an import slot. False when the kernel refuses.
///
/// # Safety
/// The slot is one of a loaded library, and the function has the right type.
unsafe fn store(slot: Slot, function: *mut c_void) -> bool {
    // SAFETY: asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let start = slot.address.map_addr(|address| address / page * page).cast::<c_void>();
    // SAFETY: the page belongs to the library, and what else is in it stays as it is.
    unsafe {
        if slot.protected && libc::mprotect(start, page, libc::PROT_READ | libc::PROT_WRITE) != 0 {
            return false;
        }
        (*slot.address).store(function, Ordering::Release);
        if slot.protected {
            libc::mprotect(start, page, libc::PROT_READ);
        }
    }
    true
}

struct Search<'a> {
    inside: usize,
    names: &'a [&'a CStr],
    found: Vec<Slot>,
}

/// An entry of a library's dynamic section (`Elf64_Dyn`).
#[repr(C)]
struct Dynamic {
    tag: i64,
    value: u64,
}

/// A relocation (`Elf64_Rela`).
#[repr(C)]
struct Relocation {
    offset: u64,
    info: u64,
    addend: i64,
}

/// A symbol (`Elf64_Sym`).
#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
    size: u64,
}

const DT_PLTRELSZ: i64 = 2;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_JMPREL: i64 = 23;

/// Finds the slots in the library that holds `inside`; then the loader need go no further.
///
/// # Safety
/// The loader calls it with one of its libraries; `search` points to a [`Search`].
unsafe extern "C" fn search_library(
    library: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut c_void,
) -> c_int {
    // SAFETY: the caller's promise.
    let (library, search) = unsafe { (&*library, &mut *search.cast::<Search<'_>>()) };
    // SAFETY: the loader says how many headers there are.
    let headers = unsafe { std::slice::from_raw_parts(library.dlpi_phdr, library.dlpi_phnum.into()) };
    let base = library.dlpi_addr;
    let holds = |header: &libc::Elf64_Phdr| {
        let start = base.wrapping_add(header.p_vaddr);
        header.p_type == libc::PT_LOAD && (search.inside as u64).wrapping_sub(start) < header.p_memsz
    };
    if !headers.iter().any(holds) {
        return 0;
    }
    let Some(dynamic) = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) else { return 1 };
    let protected = |offset: u64| {
        headers.iter().any(|header| {
            header.p_type == libc::PT_GNU_RELRO && offset.wrapping_sub(header.p_vaddr) < header.p_memsz
        })
    };
    let (mut strings, mut symbols) = (0, 0);
    let (mut tables, mut sizes) = ([0_u64; 2], [0_u64; 2]);
    let mut entry = pointer::<Dynamic>(base.wrapping_add(dynamic.p_vaddr));
    loop {
        // SAFETY: the section is a list of entries that ends with tag 0.
        let Dynamic { tag, value } = unsafe { entry.read() };
        match tag {
            0 => break,
            DT_STRTAB => strings = value,
            DT_SYMTAB => symbols = value,
            DT_RELA => tables[0] = value,
            DT_RELASZ => sizes[0] = value,
            DT_JMPREL => tables[1] = value,
            DT_PLTRELSZ => sizes[1] = value,
            _ => {}
        }
        // SAFETY: as above.
        entry = unsafe { entry.add(1) };
    }
    for (table, size) in tables.into_iter().zip(sizes) {
        let count = usize::try_from(size).unwrap_or(0) / size_of::<Relocation>();
        for number in 0..count {
            // SAFETY: glibc's loader has replaced the offsets in the dynamic section by addresses; the sizes are the tables'.
            unsafe {
                let relocation = &*pointer::<Relocation>(table).add(number);
                if !ADDRESS_OF_SYMBOL.contains(&(relocation.info & 0xffff_ffff)) {
                    continue;
                }
                let symbol = &*pointer::<Symbol>(symbols)
                    .add(usize::try_from(relocation.info >> 32).unwrap_or_default());
                let name = CStr::from_ptr(pointer::<c_char>(strings + u64::from(symbol.name)));
                if search.names.contains(&name) {
                    let address =
                        pointer::<AtomicPtr<c_void>>(base.wrapping_add(relocation.offset)).cast_mut();
                    search.found.push(Slot { address, protected: protected(relocation.offset) });
                }
            }
        }
    }
    1
}

fn pointer<T>(address: u64) -> *const T {
    std::ptr::with_exposed_provenance(usize::try_from(address).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn always_seven() -> libc::pid_t {
        7
    }

    #[test]
    fn only_the_named_import_of_one_library_changes_until_it_is_put_back() {
        let here = always_seven as *mut c_void;
        // SAFETY: `getppid` takes nothing and returns a number; this library is the test itself.
        let (before, replaced) =
            unsafe { (libc::getppid(), Replaced::new(here, &[c"getppid"], always_seven as *mut c_void)) };
        assert!(!replaced.0.is_empty());
        // SAFETY: no preconditions.
        assert_eq!(unsafe { libc::getppid() }, 7);
        replaced.undo();
        // SAFETY: no preconditions.
        assert_eq!(unsafe { libc::getppid() }, before);
    }

    #[test]
    fn a_library_without_the_import_is_left_alone() {
        // SAFETY: nothing is found.
        let replaced = unsafe {
            Replaced::new(always_seven as *const c_void, &[c"no_such_function"], std::ptr::null_mut())
        };
        assert!(replaced.0.is_empty());
    }
}
