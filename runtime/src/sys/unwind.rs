//! Ends Julia's backtraces at the call from Python.
//!
//! For each exception, Julia walks the whole stack, including all frames of the Python program below the call. They take more
//! time than the rest of the exception, and Julia does not show them. libjulia walks the stack with libunwind, so its function
//! `unw_step` is replaced by one that stops at the first frame of this extension.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;

use super::dl::Library;
use super::machine::{GET_REGISTER, PROGRAM_COUNTER, STEP};
use super::object;
use super::scope::Present;

/// `unw_step(cursor)`: moves to the next frame. Positive if there is one, 0 after the last one, negative on failure.
type Step = unsafe extern "C" fn(*mut c_void) -> c_int;
/// `unw_get_reg(cursor, register, &value)`: 0 on success.
type GetRegister = unsafe extern "C" fn(*mut c_void, c_int, *mut usize) -> c_int;

struct Unwinder {
    step: Step,
    get_register: GetRegister,
    /// The code of this extension.
    own: Range<usize>,
}

static UNWINDER: OnceLock<Unwinder> = OnceLock::new();

/// Ends Julia's backtraces at calls from Python. `opened` are Julia's libraries, which were loaded after `present` was noted.
/// Does nothing if Julia has no libunwind with these functions in a library of its own.
pub(crate) fn end_at_calls(opened: &[&Library], present: &Present) {
    let find = |name| opened.iter().find_map(|library| library.find(name));
    let function: Step = julia_step;
    let own = object::code(function as *const c_void);
    let (Some(step), Some(get_register), Some(own)) = (find(STEP), find(GET_REGISTER), own) else { return };
    // SAFETY: libunwind's functions, whose C types are those.
    let unwinder = unsafe {
        Unwinder {
            step: std::mem::transmute::<*mut c_void, Step>(step.as_ptr()),
            get_register: std::mem::transmute::<*mut c_void, GetRegister>(get_register.as_ptr()),
            own,
        }
    };
    if UNWINDER.set(unwinder).is_err() {
        return;
    }
    // SAFETY: the function has the type of `unw_step`, and calls it.
    unsafe { present.replace(STEP, function as *mut c_void) };
}

/// `unw_step` as Julia calls it, also in signal handlers.
unsafe extern "C" fn julia_step(cursor: *mut c_void) -> c_int {
    let Some(unwinder) = UNWINDER.get() else { return 0 };
    let mut place = 0;
    // SAFETY: the arguments are those of `unw_step`; the cursor stays valid.
    unsafe {
        let more = (unwinder.step)(cursor);
        let known = more > 0 && (unwinder.get_register)(cursor, PROGRAM_COUNTER, &raw mut place) == 0;
        if known && unwinder.own.contains(&place) { 0 } else { more }
    }
}
