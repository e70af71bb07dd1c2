//! Keeps Julia from reading the debug information of libraries that are not its own.
//!
//! Julia's backtraces contain frames of Python and of other libraries. To get their files and lines, Julia would read the
//! debug information of each library. That takes long, and an old LLVM prints complaints about the output of newer compilers.
//! So Julia gets the name of such a library without its path, and the name of the function.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::OnceLock;

use crate::sys::dl;
use crate::sys::imports::Replaced;
use crate::sys::libjulia::LibJulia;

/// The path of the system image.
static IMAGE: OnceLock<CString> = OnceLock::new();

/// From now on, Julia reads no debug information of foreign libraries. `image` is the path of the system image.
pub(crate) fn hide_foreign(libjulia: &LibJulia, image: &CString) {
    if IMAGE.set(image.clone()).is_err() {
        return;
    }
    let plain: unsafe extern "C" fn(*const c_void, *mut libc::Dl_info) -> c_int = dladdr;
    let extended: unsafe extern "C" fn(*const c_void, *mut libc::Dl_info, *mut *mut c_void, c_int) -> c_int =
        dladdr1;
    // SAFETY: the functions have the types of those that they replace, and differ from them only in the path of a file. The
    // variables are in the library that calls them.
    unsafe {
        Replaced::new(libjulia.stdout.address(), &[c"dladdr"], plain as *mut c_void);
        Replaced::new(libjulia.stdout.address(), &[c"dladdr1"], extended as *mut c_void);
    }
}

/// `dladdr` as Julia calls it.
unsafe extern "C" fn dladdr(address: *const c_void, info: *mut libc::Dl_info) -> c_int {
    // SAFETY: Julia's own arguments; the struct is filled on success.
    unsafe {
        let found = libc::dladdr(address, info);
        if found != 0 {
            shorten(&mut *info);
        }
        found
    }
}

/// `dladdr1` as Julia calls it.
unsafe extern "C" fn dladdr1(
    address: *const c_void,
    info: *mut libc::Dl_info,
    extra: *mut *mut c_void,
    flags: c_int,
) -> c_int {
    // SAFETY: Julia's own arguments; the struct is filled on success.
    unsafe {
        let found = dl::dladdr1(address, info, extra, flags);
        if found != 0 {
            shorten(&mut *info);
        }
        found
    }
}

/// Shortens the path to the file name, unless the file is Julia's own.
///
/// # Safety
/// The name is NUL-terminated or null.
unsafe fn shorten(info: &mut libc::Dl_info) {
    if info.dli_fname.is_null() {
        return;
    }
    // SAFETY: the caller's promise.
    let path = unsafe { std::ffi::CStr::from_ptr(info.dli_fname) };
    let bytes = path.to_bytes();
    let name = bytes.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let own = name.starts_with(b"libjulia")
        || IMAGE.get().is_some_and(|image| image.as_c_str() == path)
        || bytes.windows(b"/compiled/v".len()).any(|part| part == b"/compiled/v");
    if !own {
        // SAFETY: the last part begins inside the text.
        info.dli_fname = unsafe { info.dli_fname.add(bytes.len() - name.len()) }.cast::<c_char>();
    }
}
