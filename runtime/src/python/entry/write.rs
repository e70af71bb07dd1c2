//! Makes Python objects from slots.

use pyo3::exceptions::{PyRuntimeError, PySystemError, PySystemExit};
use pyo3::ffi;
use pyo3::prelude::*;

use super::{exit_status, output};
use crate::julia::lease;
use crate::python::exception::{self, Root};
use crate::sys::slot::{Kind, Slot};

/// The object of a result slot: an owned reference, or NULL with a Python exception set.
///
/// # Safety
/// Julia wrote the slot as the result of an entry, and it is not used again.
#[inline]
pub(super) unsafe fn finish(py: Python<'_>, result: &Slot) -> *mut ffi::PyObject {
    // Output of other threads during the call comes before Python's output after the call.
    output::write_pending();
    let object = match Kind::from_number(result.kind) {
        Some(Kind::Object) => std::ptr::with_exposed_provenance_mut(address(result.a)),
        // SAFETY: the slot holds a filled root and the name of a class, by the caller's promise.
        Some(Kind::Exception) => unsafe { raise(py, result) },
        Some(Kind::PythonException) => {
            // SAFETY: Python's lock is held.
            if unsafe { ffi::PyErr_Occurred() }.is_null() {
                PyRuntimeError::new_err("a Python call failed without an exception").restore(py);
            }
            std::ptr::null_mut()
        }
        // SAFETY: any other slot is a scalar.
        _ => unsafe { scalar(py, result) },
    };
    // SAFETY: Python's lock is held.
    unsafe { drop_returned() };
    object
}

/// Drops the references that Julia has given back. A long call does this from time to time, so that they do not pile up.
///
/// # Safety
/// The caller holds Python's lock.
#[inline]
pub(super) unsafe fn drop_returned() {
    if let Some(returned) = lease::take_returned() {
        drop_all(returned);
    }
}

#[cold]
fn drop_all(returned: Vec<*mut ffi::PyObject>) {
    // SAFETY: every pointer is a reference that Julia owned; Python's lock is held. A destructor may run Python
    // code, so a pending exception is put aside.
    unsafe {
        let (mut kind, mut value, mut traceback) =
            (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        ffi::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut traceback);
        for object in returned {
            ffi::Py_DecRef(object);
        }
        ffi::PyErr_Restore(kind, value, traceback);
    }
}

/// Scalars and text.
///
/// # Safety
/// If the kind of the slot has addresses, the memory at them is readable.
#[inline]
pub(super) unsafe fn scalar(py: Python<'_>, slot: &Slot) -> *mut ffi::PyObject {
    // SAFETY: Python's lock is held (`py`); each arm's reading of the payload is what the kind means.
    unsafe {
        match Kind::from_number(slot.kind) {
            Some(Kind::Nothing) => {
                let none = ffi::Py_None();
                ffi::Py_IncRef(none);
                none
            }
            Some(Kind::Bool) => ffi::PyBool_FromLong((slot.a & 1).cast_signed()),
            Some(Kind::Int) => ffi::PyLong_FromLongLong(slot.a.cast_signed()),
            Some(Kind::UInt) => ffi::PyLong_FromUnsignedLongLong(slot.a),
            Some(Kind::Float) => ffi::PyFloat_FromDouble(f64::from_bits(slot.a)),
            Some(Kind::Complex) => ffi::PyComplex_FromDoubles(f64::from_bits(slot.a), f64::from_bits(slot.b)),
            Some(Kind::Text) => text(slot),
            Some(Kind::BigInt) => {
                let digits = text(slot);
                if digits.is_null() {
                    return digits;
                }
                let number = ffi::PyObject_CallFunction(
                    (&raw mut ffi::PyLong_Type).cast(),
                    c"Oi".as_ptr(),
                    digits,
                    16_i32,
                );
                ffi::Py_DecRef(digits);
                number
            }
            _ => {
                PySystemError::new_err(format!("Julia returned a slot of kind {}", slot.kind)).restore(py);
                std::ptr::null_mut()
            }
        }
    }
}

/// # Safety
/// `a` and `b` are the address and the length of readable bytes.
unsafe fn text(slot: &Slot) -> *mut ffi::PyObject {
    let length = isize::try_from(slot.b).unwrap_or(isize::MAX);
    // SAFETY: the bytes are readable (the caller's promise). A Julia `String` may contain invalid UTF-8, which becomes
    // surrogates, as in file names.
    unsafe {
        ffi::PyUnicode_DecodeUTF8(
            std::ptr::with_exposed_provenance(address(slot.a)),
            length,
            c"surrogateescape".as_ptr(),
        )
    }
}

/// Raises the Julia exception in the slot.
///
/// # Safety
/// `a` is a filled root that the slot owns; `b` and `c` are the address and length of a constant UTF-8 text.
#[cold]
unsafe fn raise(py: Python<'_>, result: &Slot) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    let name = unsafe {
        std::slice::from_raw_parts(
            std::ptr::with_exposed_provenance::<u8>(address(result.b)),
            address(result.c),
        )
    };
    let name = std::str::from_utf8(name).unwrap_or("RuntimeError");
    if let Some(status) = exit_status::take() {
        // The Julia exception only says that a task has failed, because the task has called `exit`.
        drop(Root::new(result.a));
        PySystemExit::new_err(status).restore(py);
        return std::ptr::null_mut();
    }
    exception::from_julia(py, Root::new(result.a), name).restore(py);
    std::ptr::null_mut()
}

/// The slot's payload as an address or a length.
pub(super) const fn address(payload: u64) -> usize {
    const { assert!(size_of::<usize>() == 8, "Julia's slots hold 64-bit addresses") };
    #[expect(clippy::cast_possible_truncation, reason = "checked by the line above")]
    {
        payload as usize
    }
}
