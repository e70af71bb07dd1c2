//! Telling an image where its sources are now.
//!
//! Julia writes the paths of all sources into an image: into strings that `@__DIR__` and `artifact"…"` gave, into the
//! names of files that backtraces show, into the names of libraries that `ccall` opens. They begin with the directory
//! of the build, which is gone. Its text is overwritten, in memory and in the same length, before Julia reads it:
//! what slashes are too many at the end of the new directory mean nothing to the system.

use crate::sys::dl::Library;

/// A symbol that every system image has.
pub(super) const DATA: &std::ffi::CStr = c"jl_system_image_data";

/// How the directory of every build begins.
const BUILT_IN: &[u8] = b"/tmp/jnumpy-";

/// Text to be replaced in a loaded image.
#[derive(Debug, pyo3::FromPyObject)]
pub(crate) struct Relocation {
    /// What takes the place of the directory of the build: as long.
    pub(crate) text: Vec<u8>,
    /// Where it is: distances from the start of the loaded image.
    pub(crate) writable: Vec<usize>,
    /// The same, in memory that may not be written as it is.
    pub(crate) read_only: Vec<usize>,
}

/// Why an image cannot be relocated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelocationError {
    #[error("it has no data of Julia")]
    NoData,
    #[error("it holds something else where it should name the directory of its sources")]
    Other,
    #[error("its memory cannot be made writable: {0}")]
    Protection(std::io::Error),
}

impl Relocation {
    /// Writes into the memory of `image`, which Julia has not seen yet.
    pub(crate) fn apply(&self, image: &Library) -> Result<(), RelocationError> {
        let base = image.base(DATA).ok_or(RelocationError::NoData)?.as_ptr();
        for &distance in &self.writable {
            // SAFETY: the distance was computed from this very file's program headers (its size was checked, and the
            // packager's audit has read it), so the bytes are mapped, and writable; nobody else uses them yet.
            unsafe { self.replace(base.wrapping_add(distance))? };
        }
        for &distance in &self.read_only {
            let place = base.wrapping_add(distance);
            protect(place, self.text.len(), libc::PROT_READ | libc::PROT_WRITE)?;
            // SAFETY: as above, and the pages have just been made writable.
            unsafe { self.replace(place)? };
            protect(place, self.text.len(), libc::PROT_READ)?;
        }
        Ok(())
    }

    /// Replaces the text at `place`, or finds another one there.
    ///
    /// # Safety
    /// As many bytes as the text has must be mapped there, be writable, and be used by nobody else.
    unsafe fn replace(&self, place: *mut u8) -> Result<(), RelocationError> {
        // SAFETY: the caller's duty.
        let bytes = unsafe { std::slice::from_raw_parts_mut(place, self.text.len()) };
        // A start that failed later has replaced it already.
        if !bytes.starts_with(BUILT_IN) && bytes != self.text {
            return Err(RelocationError::Other);
        }
        bytes.copy_from_slice(&self.text);
        Ok(())
    }
}

/// Sets the protection of the pages that hold `length` bytes at `place`.
fn protect(place: *mut u8, length: usize, protection: std::ffi::c_int) -> Result<(), RelocationError> {
    // SAFETY: asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let before = place.addr() % page;
    // SAFETY: the pages belong to an image that only this thread uses, and hold data, no code.
    match unsafe { libc::mprotect(place.wrapping_sub(before).cast(), length + before, protection) } {
        0 => Ok(()),
        _ => Err(RelocationError::Protection(std::io::Error::last_os_error())),
    }
}
