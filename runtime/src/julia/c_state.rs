//! Leaves the state of the C library alone that the whole process shares: its locale and its random numbers.
//!
//! At its start, Julia sets the locale of the environment and seeds `rand`. Python has a locale of its own, on which `strftime`
//! and the order of texts depend, and an extension may have seeded `rand` to get the same numbers in each run.

use std::ffi::{c_char, c_int, c_uint, c_void};

use crate::sys::imports::Replaced;
use crate::sys::libjulia::LibJulia;

/// Makes Julia's own code leave the locale as it is. Julia code can still change it, by a `ccall`.
pub(crate) fn keep_locale(libjulia: &LibJulia) {
    let function: unsafe extern "C" fn(c_int, *const c_char) -> *mut c_char = setlocale;
    // SAFETY: the function has the type of the one that it replaces; Julia ignores what it returns.
    unsafe { Replaced::new(libjulia.stdout.address(), &[c"setlocale"], function as *mut c_void) };
}

/// `setlocale` as Julia calls it: returns the present locale.
unsafe extern "C" fn setlocale(category: c_int, _wanted: *const c_char) -> *mut c_char {
    // SAFETY: without a name, the call changes nothing.
    unsafe { libc::setlocale(category, std::ptr::null()) }
}

unsafe extern "C" {
    fn initstate(seed: c_uint, state: *mut c_char, size: usize) -> *mut c_char;
    fn setstate(state: *mut c_char) -> *mut c_char;
}

/// Random numbers that `rand` and `random` draw from instead of the process's own, until this is dropped.
pub(crate) struct OwnRandomNumbers {
    /// The C library has its address meanwhile.
    _state: Box<[c_char; 128]>,
    before: *mut c_char,
}

impl OwnRandomNumbers {
    pub(crate) fn draw() -> Self {
        let mut state = Box::new([0; 128]);
        // SAFETY: the state is as long as it says, and lives until it is replaced. The C library locks its own.
        let before = unsafe { initstate(1, state.as_mut_ptr(), state.len()) };
        Self { _state: state, before }
    }
}

impl Drop for OwnRandomNumbers {
    fn drop(&mut self) {
        // SAFETY: the C library itself has returned this state.
        unsafe { setstate(self.before) };
    }
}
