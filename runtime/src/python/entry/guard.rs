//! Stops panics. A panic is a bug in the runtime, and must not unwind into CPython or Julia.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PySystemError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Runs `work` for CPython or for Julia code with Python's lock. NULL with an exception set if it fails or panics.
///
/// # Safety
/// This thread holds Python's lock.
#[inline]
pub(super) unsafe fn object(
    work: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { value(std::ptr::null_mut(), work) }
}

/// As [`object`], for a function that fails with `failed`.
///
/// # Safety
/// As for [`object`].
#[inline]
pub(super) unsafe fn value<R>(failed: R, work: impl FnOnce(Python<'_>) -> PyResult<R>) -> R {
    // SAFETY: the caller's promise.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| work(py))) {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => {
            error.restore(py);
            failed
        }
        Err(payload) => {
            PySystemError::new_err(bug(payload.as_ref())).restore(py);
            failed
        }
    }
}

/// Runs `work` in a thread that may not hold Python's lock, as in a finalizer of Julia. Returns `failed` if it panics.
#[inline]
pub(super) fn anywhere<R>(failed: R, work: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(failed)
}

/// The message for the payload of a panic.
#[cold]
fn bug(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!(
        "a bug in jnumpy: {}; please report it with the code that caused it",
        text.unwrap_or("a panic without a message")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told() {
        let payload = |work: fn()| catch_unwind(work).unwrap_err();
        std::panic::set_hook(Box::new(|_| {}));
        assert_eq!(
            bug(payload(|| panic!("at {}", 1)).as_ref()),
            "a bug in jnumpy: at 1; please report it with the code that caused it"
        );
        assert!(bug(payload(|| panic!("plain")).as_ref()).contains(" plain;"));
        assert!(bug(payload(|| std::panic::panic_any(3)).as_ref()).contains("without a message"));
        assert_eq!(anywhere(7, || panic!("no Python here")), 7);
    }
}
