//! Where CPython enters a call and where Julia comes back for Python objects: the one part of the Python surface
//! with `unsafe`, since both sides hand over raw pointers.

pub(crate) mod array;
mod callback;
mod entries;
mod exit_status;
pub(crate) mod function;
mod guard;
mod heap_type;
pub(crate) mod host_functions;
pub(crate) mod instance;
pub(crate) mod output;
mod read;
mod write;

use pyo3::ffi;
use pyo3::prelude::*;

pub(crate) use array::{report_copy, set_copy_policy};

use crate::sys::slot::Slot;

/// Whether the code that runs is the main interpreter's.
pub(crate) fn in_main_interpreter() -> bool {
    // SAFETY: only called by Python, so an interpreter runs in this thread; the main one has number 0.
    unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) == 0 }
}

/// The Python value of a result slot, or the exception in it. Takes the slot over.
pub(crate) fn value(py: Python<'_>, result: Slot) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the slot was written by a Julia entry and is used once; `finish` returns an owned reference, or
    // NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, write::finish(py, &result)) }
}
