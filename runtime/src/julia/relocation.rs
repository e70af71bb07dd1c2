//! Tells an image where its sources are installed.
//!
//! An image contains the paths of all sources: in strings that `@__DIR__` and `artifact"…"` returned, in the file names of
//! backtraces, and in the names of libraries that `ccall` opens. These paths begin with the build directory, which no longer
//! exists. Before Julia reads the image, the runtime overwrites the build directory in memory with the current directory. The
//! new text has the same length: it is padded with slashes at its end, which the system ignores.

use crate::sys::dl::Library;
use crate::sys::object;

/// A symbol that every system image has.
const DATA: &std::ffi::CStr = c"jl_system_image_data";

/// The prefix of every build directory.
const BUILT_IN: &[u8] = b"/tmp/jnumpy-";

/// The replacements of text in a loaded image.
#[derive(Debug, pyo3::FromPyObject)]
pub(crate) struct Relocation {
    /// What replaces the build directory; it has the same length.
    pub(crate) text: Vec<u8>,
    /// Where the build directory is: offsets from the start of the loaded image.
    pub(crate) writable: Vec<usize>,
    /// The same, in read-only memory.
    pub(crate) read_only: Vec<usize>,
}

/// Copies the pages of an image that Julia writes at its start: those of the objects. They are the first part of the data, and
/// their size comes before them (`jl_restore_system_image_from_stream` in Julia's `staticdata.c`, since 1.5 at the latest). All
/// processes share the other half of the data.
pub(super) fn prefault_objects(image: &Library) {
    let Some(data) = image.find(DATA) else { return };
    // SAFETY: the data of an image are longer than a word, and aligned.
    let size = unsafe { data.cast::<usize>().read() };
    object::prefault(data.as_ptr(), size);
}

/// Why an image cannot be relocated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelocationError {
    #[error("it has no data of Julia")]
    NoData,
    #[error("it contains something else where the directory of its sources should be")]
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
            // packager's audit has read it), so the bytes are mapped and writable. Nothing else uses them yet.
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

    /// Replaces the build directory at `place`; an error if there is another text.
    ///
    /// # Safety
    /// As many bytes as the text has must be mapped there and writable, and nothing else may use them.
    unsafe fn replace(&self, place: *mut u8) -> Result<(), RelocationError> {
        // SAFETY: the caller's duty.
        let bytes = unsafe { std::slice::from_raw_parts_mut(place, self.text.len()) };
        // An earlier start, which failed later, may have replaced the text already.
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
