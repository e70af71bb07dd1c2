//! Which of Julia's symbols the rest of the process can see.
//!
//! A library that Python loads binds to what the global scope has before it looks into itself: uvloop to the `uv_*` of
//! Julia's libuv, readline to the `rl_*` of LLVM's libedit. So libjulia is opened in local scope. Two things of Julia work
//! against that:
//!
//! - Its compiler (up to Julia 1.8 at least) looks for Julia's functions in the global scope only. It does so by `dlsym`, and
//!   [`intercept`] makes that look into Julia's own libraries too.
//! - Its loader (since Julia 1.6) opens libjulia-internal in the global scope, and no function of the system takes it out
//!   again. [`withdraw`] makes the names in it that are not Julia's own local symbols, in the memory of this process. Julia's
//!   code still finds them, since it asks `dlsym`.
//!
//! All of it reads and writes what the ELF specification describes, in memory that the loader has mapped.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::OnceLock;

use super::dl::Library;

/// How the names begin that libjulia-internal exports for Julia code alone: those of libuv, utf8proc and a library of
/// Julia's own whose functions are called as others are (`u8_strwidth`).
const WITHDRAWN: [&str; 6] = ["uv_", "utf8proc_", "u8_", "ios_", "bitvector_", "memhash"];

/// Names that were withdrawn, and their addresses.
static PRIVATE: OnceLock<HashMap<CString, usize>> = OnceLock::new();
/// Julia's libraries, in the order in which a symbol is looked for; and the process, as `dlopen(NULL)` names it.
static OPENED: OnceLock<(Vec<usize>, usize)> = OnceLock::new();

/// A library that the process has loaded.
struct Object {
    name: String,
    base: usize,
    headers: Vec<libc::Elf64_Phdr>,
}

/// An entry of the dynamic section.
#[repr(C)]
struct Dynamic {
    tag: i64,
    value: u64,
}

/// A relocation with an addend.
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

/// The type of a symbol is the lower half of this byte; zeros in the upper one make it local.
const SYMBOL_TYPE: u8 = 0xf;
const STT_GNU_IFUNC: u8 = 10;

/// Makes `dlsym`, as the libraries called `libjulia…` and `libLLVM…` call it, look into `libraries` too.
pub(crate) fn intercept(libraries: &[&Library]) {
    // SAFETY: asks for the handle of the program itself.
    let process = unsafe { libc::dlopen(std::ptr::null(), libc::RTLD_LAZY) };
    let opened = libraries.iter().map(|library| library.handle().expose_provenance()).collect();
    if OPENED.set((opened, process.expose_provenance())).is_err() {
        return;
    }
    for object in objects() {
        let name = object.name.rsplit('/').next().unwrap_or_default();
        if name.starts_with("libjulia") || name.starts_with("libLLVM") {
            // SAFETY: the object stays loaded: it is one of Julia's, or is needed by one.
            unsafe { object.intercept() };
        }
    }
}

/// Takes the names in [`WITHDRAWN`] out of reach of other libraries. The system image and what it needs must be loaded.
pub(crate) fn withdraw() {
    let objects = objects();
    let named = |start: &str| {
        objects.iter().find(|object| object.name.rsplit('/').next().unwrap_or_default().starts_with(start))
    };
    let Some(julia) = named("libjulia-internal").or_else(|| named("libjulia.so")) else { return };
    // SAFETY: as in `intercept`.
    let found = unsafe { julia.withdraw() };
    let _ = PRIVATE.set(found);
}

/// `dlsym` for Julia and its compiler.
unsafe extern "C" fn julia_dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: the arguments are those of `dlsym`.
    unsafe {
        let found = libc::dlsym(handle, name);
        if !found.is_null() {
            return found;
        }
        let Some((libraries, process)) = OPENED.get() else { return found };
        // Other libraries have their own names only.
        if handle != libc::RTLD_DEFAULT && handle.addr() != *process && !libraries.contains(&handle.addr()) {
            return found;
        }
        let private = PRIVATE.get().and_then(|private| private.get(CStr::from_ptr(name)));
        let found: *mut c_void =
            private.map_or(std::ptr::null_mut(), |&address| std::ptr::with_exposed_provenance_mut(address));
        let found = libraries.iter().fold(found, |found, &library| {
            if found.is_null() {
                libc::dlsym(std::ptr::with_exposed_provenance_mut(library), name)
            } else {
                found
            }
        });
        if found.is_null() {
            // For the message of the library that was asked for.
            return libc::dlsym(handle, name);
        }
        // Old Julias ask for an error, not for an address.
        libc::dlerror();
        found
    }
}

/// The libraries of the process.
fn objects() -> Vec<Object> {
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
                let name = CStr::from_ptr(info.dlpi_name).to_string_lossy().into_owned();
                found.push(Object { name, base, headers: headers.to_vec() });
            }
        }
        0
    }
    let mut found: Vec<Object> = Vec::new();
    // SAFETY: the callback is given the address of a vector that lives as long as the call.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut found).cast()) };
    found
}

impl Object {
    /// The value of an entry of the dynamic section, 0 if there is none.
    ///
    /// # Safety
    /// The object is loaded.
    unsafe fn entry(&self, tag: i64) -> usize {
        let Some(header) = self.headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) else {
            return 0;
        };
        let mut entry: *const Dynamic = std::ptr::with_exposed_provenance(self.base + size(header.p_vaddr));
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

    /// The address that an entry of the dynamic section names; the system's loader has relocated it or has not.
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

    /// Symbols and their names. With them, the number of the first one beyond those that may be undefined, and of the first
    /// one beyond the last.
    ///
    /// # Safety
    /// As for [`Self::entry`].
    unsafe fn symbols(&self) -> Option<(*const libc::Elf64_Sym, *const c_char, usize, usize)> {
        // SAFETY: the tables of a loaded object are as the specifications of the two hash tables say. The older one begins
        // with the numbers of its buckets and of all symbols. In the other, four numbers, the filter, and the first symbol
        // of each bucket come before a hash for each symbol that is defined, odd for the last one of its bucket.
        unsafe {
            let (symbols, names): (*const libc::Elf64_Sym, *const c_char) =
                (self.table(DT_SYMTAB), self.table(DT_STRTAB));
            let (old, hash): (*const u32, *const u32) = (self.table(DT_HASH), self.table(DT_GNU_HASH));
            if symbols.is_null() || names.is_null() {
                return None;
            }
            if hash.is_null() {
                let end = if old.is_null() { 0 } else { *old.add(1) as usize };
                return Some((symbols, names, end, end));
            }
            let [buckets, first, words] = [0, 1, 2].map(|index| *hash.add(index) as usize);
            let bucket = hash.add(4 + 2 * words);
            let mut last = (0..buckets).map(|index| *bucket.add(index) as usize).max().unwrap_or(0);
            if last < first {
                return Some((symbols, names, first, first));
            }
            while *bucket.add(buckets + last - first) & 1 == 0 {
                last += 1;
            }
            Some((symbols, names, first, last + 1))
        }
    }

    /// Sends the object's calls of `dlsym` to ours.
    ///
    /// # Safety
    /// The object is loaded, and stays so.
    unsafe fn intercept(&self) {
        // SAFETY: the caller's promise. Relocations name symbols by number, and memory inside the object that the loader
        // has filled with an address.
        unsafe {
            let Some((symbols, names, first, _)) = self.symbols() else { return };
            let is_dlsym = |&number: &usize| {
                CStr::from_ptr(names.add((*symbols.add(number)).st_name as usize)) == c"dlsym"
            };
            let Some(wanted) = (1..first).find(is_dlsym) else { return };
            let tables = [
                (self.table::<Relocation>(DT_JMPREL), self.entry(DT_PLTRELSZ), 0),
                // The first ones have no symbol.
                (self.table::<Relocation>(DT_RELA), self.entry(DT_RELASZ), self.entry(DT_RELACOUNT)),
            ];
            for (table, bytes, skipped) in tables {
                for index in skipped..bytes / size_of::<Relocation>() {
                    let relocation = &*table.add(index);
                    if relocation.info >> 32 == wanted as u64 {
                        let place = self.base + size(relocation.offset);
                        let ours = julia_dlsym as *const () as usize;
                        self.writable(place, size_of::<usize>(), || {
                            *std::ptr::with_exposed_provenance_mut(place) = ours;
                        });
                    }
                }
            }
        }
    }

    /// Makes the names in [`WITHDRAWN`] local symbols, and returns their addresses.
    ///
    /// # Safety
    /// As for [`Self::intercept`].
    unsafe fn withdraw(&self) -> HashMap<CString, usize> {
        let mut found = HashMap::new();
        // SAFETY: the caller's promise. A byte is written at a time, so that a look-up in another thread sees either.
        unsafe {
            let Some((symbols, names, _, end)) = self.symbols() else { return found };
            let place = symbols.cast_mut();
            self.writable(place.addr(), end * size_of::<libc::Elf64_Sym>(), || {
                for index in 1..end {
                    let symbol = &mut *place.add(index);
                    let name = CStr::from_ptr(names.add(symbol.st_name as usize));
                    let kind = symbol.st_info & SYMBOL_TYPE;
                    let foreign = WITHDRAWN.iter().any(|start| name.to_bytes().starts_with(start.as_bytes()));
                    if foreign && symbol.st_shndx != 0 && kind != STT_GNU_IFUNC {
                        found.insert(name.to_owned(), self.base + size(symbol.st_value));
                        symbol.st_info = kind;
                    }
                }
            });
        }
        found
    }

    /// Runs `work`, which writes to `length` bytes at `place`, with their pages writable. Does not if they cannot be.
    fn writable(&self, place: usize, length: usize, work: impl FnOnce()) {
        let inside = |header: &&libc::Elf64_Phdr| {
            let start = self.base + size(header.p_vaddr);
            header.p_type == libc::PT_LOAD && (start..start + size(header.p_memsz)).contains(&place)
        };
        let Some(segment) = self.headers.iter().find(inside) else { return };
        let protection =
            [(libc::PF_R, libc::PROT_READ), (libc::PF_W, libc::PROT_WRITE), (libc::PF_X, libc::PROT_EXEC)]
                .into_iter()
                .filter(|(flag, _)| segment.p_flags & flag != 0)
                .fold(0, |all, (_, protection)| all | protection);
        // The loader has taken the right to write from these.
        let sealed = self.headers.iter().any(|header| {
            let start = self.base + size(header.p_vaddr);
            header.p_type == libc::PT_GNU_RELRO && (start..start + size(header.p_memsz)).contains(&place)
        });
        let after = if sealed { protection & !libc::PROT_WRITE } else { protection };
        // SAFETY: asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let start = place / page * page;
        let protect = |protection| {
            let pages = std::ptr::with_exposed_provenance_mut(start);
            // SAFETY: the pages are mapped for this object, keep what they hold, and are read by others as before.
            unsafe { libc::mprotect(pages, place + length - start, protection) == 0 }
        };
        if after & libc::PROT_WRITE != 0 {
            work();
        } else if protect(protection | libc::PROT_WRITE) {
            work();
            protect(after);
        }
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
