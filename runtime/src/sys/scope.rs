//! Which of Julia's symbols the rest of the process can see.
//!
//! The loader binds a library's symbols to the global scope before the library itself. If Julia's libraries were in the
//! global scope, uvloop would bind to the `uv_*` of Julia's libuv, and readline to the `rl_*` of LLVM's libedit. So libjulia is
//! opened in local scope. This has two consequences:
//!
//! - Julia's compiler (at least up to Julia 1.8) looks for Julia's functions in the global scope only, with `dlsym`.
//!   [`intercept`] replaces `dlsym` for it by a function that also searches Julia's own libraries.
//! - Julia's loader (since Julia 1.6) opens libjulia-internal in the global scope, and no function of the system can take it out
//!   again. [`withdraw`] turns the foreign names in it, such as those of libuv, into local symbols, in the memory of this
//!   process. Julia code still finds them, because it uses `dlsym`.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::dl::Library;
use super::imports::Replaced;
use super::object::{self, Object};

/// The prefixes of names that libjulia-internal exports for Julia code only: those of libuv, of utf8proc, and of Julia's support
/// library. Other libraries have functions of the same names, such as `u8_strwidth`.
const WITHDRAWN: [&str; 6] = ["uv_", "utf8proc_", "u8_", "ios_", "bitvector_", "memhash"];

/// The names that were withdrawn, and their addresses.
static PRIVATE: OnceLock<HashMap<CString, usize>> = OnceLock::new();
/// Julia's libraries, in the order in which a symbol is looked for; and the process, as `dlopen(NULL)` names it.
static OPENED: OnceLock<(Vec<usize>, usize)> = OnceLock::new();

/// The type of a symbol is the lower half of this byte; zeros in the upper one make it local.
const SYMBOL_TYPE: u8 = 0xf;
const STT_GNU_IFUNC: u8 = 10;

/// The libraries that the process had loaded before Julia's.
pub(crate) struct Present(HashSet<String>);

impl Present {
    pub(crate) fn now() -> Self {
        Self(object::all().into_iter().map(|object| object.path).collect())
    }

    /// The libraries of Julia, which were loaded since.
    pub(super) fn julia(&self) -> impl Iterator<Item = Object> {
        let is_julia =
            |object: &Object| object.name().starts_with("libjulia") && !self.0.contains(&object.path);
        object::all().into_iter().filter(is_julia)
    }

    /// Makes Julia's libraries, which were loaded since, call `with` where they import `name`.
    ///
    /// # Safety
    /// `with` has the C type of the function of this name, and does for Julia what that function does.
    pub(super) unsafe fn replace(&self, name: &CStr, with: *mut c_void) {
        for library in self.julia() {
            // SAFETY: Julia's libraries stay loaded; the rest is the caller's promise.
            unsafe { Replaced::in_library(library, &[name], with) };
        }
    }
}

/// A part of a Julia that is loaded, but is not of the installation of `libjulia`.
pub(crate) fn another_julia(libjulia: &Path) -> Option<PathBuf> {
    let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = real(libjulia).parent().map(Path::to_owned)?;
    object::all().into_iter().find_map(|object| {
        let is_julia = ["libjulia.so", "libjulia-internal.so", "libjulia-codegen.so"]
            .iter()
            .any(|start| object.name().starts_with(start));
        let path = PathBuf::from(&object.path);
        (is_julia && !real(&path).starts_with(&directory)).then_some(path)
    })
}

/// Makes `dlsym`, as Julia's libraries and its compiler call it, search `libraries` too. A library that was `present` before
/// is not Julia's, whatever its name. LLVM may be a library that Julia shares with other programs.
pub(crate) fn intercept(libraries: &[&Library], present: &Present) {
    // SAFETY: asks for the handle of the program itself.
    let process = unsafe { libc::dlopen(std::ptr::null(), libc::RTLD_LAZY) };
    let opened = libraries.iter().map(|library| library.handle().expose_provenance()).collect();
    if OPENED.set((opened, process.expose_provenance())).is_err() {
        return;
    }
    let function: unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void = julia_dlsym;
    // SAFETY: the function has the type of `dlsym`, and finds all that this finds. LLVM stays loaded: Julia needs it.
    unsafe {
        present.replace(c"dlsym", function as *mut c_void);
        for llvm in object::all().into_iter().filter(|object| object.name().starts_with("libLLVM")) {
            Replaced::in_library(llvm, &[c"dlsym"], function as *mut c_void);
        }
    }
}

/// Hides the names in [`WITHDRAWN`] from other libraries. The system image and the libraries that it needs must be loaded.
pub(crate) fn withdraw() {
    let objects = object::all();
    let named = |start: &str| objects.iter().find(|object| object.name().starts_with(start));
    let Some(julia) = named("libjulia-internal").or_else(|| named("libjulia.so")) else { return };
    // If libjulia is linked with these libraries, as in distributions, Julia's own copies are in the global scope too.
    let directory = julia.directory();
    // In a wheel, a hash follows the name.
    let called = |object: &Object, name| {
        object.name().strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '-']))
    };
    let own = objects.iter().filter(|object| {
        ["libuv", "libutf8proc"].iter().any(|name| called(object, name)) && object.directory() == directory
    });
    // SAFETY: as in `intercept`.
    let found =
        std::iter::once(julia).chain(own).flat_map(|object| unsafe { withdraw_from(object) }).collect();
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
        // For any other library, only its own names are searched.
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
            // So that `dlerror` has the message about the requested library.
            return libc::dlsym(handle, name);
        }
        // Old Julias check `dlerror` instead of the address.
        libc::dlerror();
        found
    }
}

/// Makes the names in [`WITHDRAWN`] local symbols, and returns their addresses.
///
/// # Safety
/// The object is loaded, and stays so.
unsafe fn withdraw_from(object: &Object) -> HashMap<CString, usize> {
    let mut found = HashMap::new();
    // SAFETY: the caller's promise. One byte is written at a time, so a lookup in another thread sees the old or new value.
    unsafe {
        let Some(symbols) = object.symbols() else { return found };
        let table = symbols.table.cast_mut();
        object.writable(table.addr(), symbols.end * size_of::<libc::Elf64_Sym>(), || {
            for number in 1..symbols.end {
                let symbol = &mut *table.add(number);
                let name = symbols.name(number);
                let kind = symbol.st_info & SYMBOL_TYPE;
                let foreign = WITHDRAWN.iter().any(|start| name.to_bytes().starts_with(start.as_bytes()));
                if foreign && symbol.st_shndx != 0 && kind != STT_GNU_IFUNC {
                    found.insert(name.to_owned(), object.address(symbol.st_value));
                    symbol.st_info = kind;
                }
            }
        });
    }
    found
}
