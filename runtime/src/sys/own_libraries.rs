//! Makes Julia open its own libraries by name.
//!
//! For a name without a directory, `dlopen` returns any library with that name in the process: the `libgmp.so.10` of a conda
//! environment, of another package, or of `LD_PRELOAD`. For a full path, it compares files. So Julia's calls of `dlopen` go to a
//! function that searches Julia's own directories first. This applies to every Julia. In a wheel, libraries that need each other
//! have unique names as well.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::scope::Present;

/// Directories of the system. If a distribution has installed libjulia there, they also contain libraries of other programs.
const SYSTEM: [&str; 4] =
    ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];

/// Where Julia's libraries are: beside libjulia, and below it.
static DIRECTORIES: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Lets Julia, whose libraries were loaded after `present` was noted, open its own libraries by name.
pub(crate) fn prefer(present: &Present) {
    let function: unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void = julia_dlopen;
    // SAFETY: the function has the type of `dlopen`, and opens libraries with the same names.
    unsafe { present.replace(c"dlopen", function as *mut c_void) };
    let own = present.julia().filter_map(|library| library.directory());
    let mut directories: Vec<PathBuf> = own.flat_map(|own| [own.join("julia"), own]).collect();
    directories.sort();
    directories.dedup();
    directories.retain(|directory| !SYSTEM.iter().any(|system| directory == Path::new(system)));
    let _ = DIRECTORIES.set(directories);
}

/// `dlopen` as Julia calls it.
unsafe extern "C" fn julia_dlopen(name: *const c_char, flags: c_int) -> *mut c_void {
    // SAFETY: the arguments are those of `dlopen`; NULL as the name means the program itself.
    unsafe {
        let own = if name.is_null() { None } else { own_library(CStr::from_ptr(name)) };
        libc::dlopen(own.as_deref().map_or(name, CStr::as_ptr), flags)
    }
}

/// The full path of the library that Julia has under this name.
fn own_library(name: &CStr) -> Option<CString> {
    let name = OsStr::from_bytes(name.to_bytes());
    if name.as_bytes().contains(&b'/') {
        return None;
    }
    let path = DIRECTORIES.get()?.iter().map(|directory| directory.join(name)).find(|path| path.is_file())?;
    CString::new(path.into_os_string().into_vec()).ok()
}
