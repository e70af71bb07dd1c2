//! Replaces functions of libc for one loaded library. Each import of a library is a slot in memory with an address, and this
//! module writes another address there. The rest of the process still calls the original function.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::object::{self, Object};

/// The imports of a library that have been replaced.
pub(crate) struct Replaced {
    library: Option<Object>,
    /// Slots, each with the address that was in it before.
    slots: Vec<(usize, *mut c_void)>,
}

impl Replaced {
    /// Makes the library that `inside` points into call `with` where it imports one of `names`. Does nothing if the library
    /// imports none of them.
    ///
    /// # Safety
    /// `inside` points into a library that stays loaded. `with` has the C type of the functions that it replaces, and does
    /// for every caller in that library what they would do.
    pub(crate) unsafe fn new(inside: *const c_void, names: &[&CStr], with: *mut c_void) -> Self {
        // SAFETY: the caller's promise.
        object::holding(inside).map_or(Self { library: None, slots: Vec::new() }, |library| unsafe {
            Self::in_library(library, names, with)
        })
    }

    /// As [`Self::new`], in the given library.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn in_library(library: Object, names: &[&CStr], with: *mut c_void) -> Self {
        let mut slots = Vec::new();
        // SAFETY: the caller promises that the library stays loaded, and that `with` can replace the functions.
        unsafe {
            for slot in library.imports(names) {
                let before = at(slot).load(Ordering::Acquire);
                if store(&library, slot, with) {
                    slots.push((slot, before));
                }
            }
        }
        Self { library: Some(library), slots }
    }

    /// Restores the functions.
    pub(crate) fn undo(self) {
        for (slot, before) in self.slots {
            if let Some(library) = &self.library {
                // SAFETY: the slot was found when the function was replaced, and the address in it worked before.
                unsafe { store(library, slot, before) };
            }
        }
    }
}

/// Writes an import slot; `false` if the kernel refuses.
///
/// # Safety
/// The slot is one of `library`, which is loaded, and the function has the right type.
unsafe fn store(library: &Object, slot: usize, function: *mut c_void) -> bool {
    // SAFETY: the caller's promise; the memory is writable meanwhile.
    library.writable(slot, size_of::<usize>(), || unsafe { at(slot).store(function, Ordering::Release) })
}

/// # Safety
/// `slot` is the address of an import slot of a library that stays loaded.
unsafe fn at<'a>(slot: usize) -> &'a AtomicPtr<c_void> {
    // SAFETY: the caller's promise; slots are aligned, and read by the processor at any time.
    unsafe { &*std::ptr::with_exposed_provenance(slot) }
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
        assert!(!replaced.slots.is_empty());
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
        assert!(replaced.slots.is_empty());
    }
}
