//! Opening shared libraries and finding symbols at run time.

use std::ffi::{CStr, CString, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

/// A library that cannot be used, in the loader's own words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DlError {
    #[error("`{path}` cannot be loaded: {reason}")]
    Open { path: PathBuf, reason: String },
    #[error("`{path}` has no symbol `{symbol}`")]
    Symbol { path: PathBuf, symbol: &'static str },
}

/// An open shared library; it stays open for the rest of the process.
#[derive(Debug)]
pub(crate) struct Library {
    handle: NonNull<c_void>,
    path: PathBuf,
}

impl Library {
    /// Opens `path` without making its symbols visible to others, and finds every symbol that it needs.
    pub(crate) fn open_now(path: &Path) -> Result<Self, DlError> {
        Self::open(path, libc::RTLD_NOW | libc::RTLD_LOCAL)
    }

    /// The library with this path or name, if the process has it already.
    pub(crate) fn loaded(path: &Path) -> Option<Self> {
        Self::open(path, libc::RTLD_LAZY | libc::RTLD_LOCAL | libc::RTLD_NOLOAD).ok()
    }

    /// Opens `path` without making its symbols visible to others.
    pub(crate) fn open_local(path: &Path) -> Result<Self, DlError> {
        Self::open(path, libc::RTLD_LAZY | libc::RTLD_LOCAL)
    }

    fn open(path: &Path, mode: c_int) -> Result<Self, DlError> {
        let failure = |reason: String| DlError::Open { path: path.to_owned(), reason };
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| failure("the path contains a NUL byte".into()))?;
        // SAFETY: `name` is a NUL-terminated path. Constructors of the opened library run here: it is Julia's
        // own, found in a bundle that passed the audit or in the Julia the user named, or one of the system's.
        let handle = unsafe { libc::dlopen(name.as_ptr(), mode) };
        match NonNull::new(handle) {
            Some(handle) => Ok(Self { handle, path: path.to_owned() }),
            None => Err(failure(last_error())),
        }
    }

    /// The address that the library is loaded at, if it is the one that has `symbol`.
    pub(crate) fn base(&self, symbol: &CStr) -> Option<NonNull<u8>> {
        let address = self.find(symbol)?;
        // SAFETY: a plain C struct for which all zero bytes are valid, filled by the call; any address may be asked for.
        let info = unsafe {
            let mut info: libc::Dl_info = std::mem::zeroed();
            if libc::dladdr(address.as_ptr(), &raw mut info) == 0 {
                return None;
            }
            info
        };
        NonNull::new(info.dli_fbase.cast())
    }

    /// What `dlopen` returned.
    pub(crate) fn handle(&self) -> *mut c_void {
        self.handle.as_ptr()
    }

    /// The address of `symbol`, or the error that names it.
    pub(crate) fn require(&self, symbol: &'static CStr) -> Result<NonNull<c_void>, DlError> {
        self.find(symbol).ok_or_else(|| DlError::Symbol {
            path: self.path.clone(),
            symbol: symbol.to_str().unwrap_or("?"),
        })
    }

    /// The address of `symbol`, if the library or one of its dependencies has it.
    pub(crate) fn find(&self, symbol: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: the handle came from `dlopen` and is never closed.
        NonNull::new(unsafe { libc::dlsym(self.handle.as_ptr(), symbol.as_ptr()) })
    }
}

unsafe extern "C" {
    /// `dladdr` that also fills `extra` with what `flags` asks for.
    pub(crate) fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        extra: *mut *mut c_void,
        flags: c_int,
    ) -> c_int;
}

/// The address of `symbol` in whatever library of the process's global scope has it.
pub(crate) fn find_anywhere(symbol: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: looks a name up.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) })
}

fn last_error() -> String {
    // SAFETY: `dlerror` returns NULL or a NUL-terminated text that is valid until the next dl call of this
    // thread; it is copied at once.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            "no reason given".into()
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}
