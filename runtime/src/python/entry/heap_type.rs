//! Python types that are created at run time. The stable ABI has no other types.

use std::ffi::{CStr, c_int, c_uint, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// An entry of the description of a type.
pub(super) const fn slot(slot: c_int, pfunc: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc }
}

/// The description of one method. CPython keeps a pointer to the table for the life of the type.
pub(super) fn method(
    name: &'static CStr,
    function: ffi::PyCFunction,
    flags: c_int,
    doc: &'static CStr,
) -> ffi::PyType_Slot {
    let table = Box::leak(Box::new([
        ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
            ml_flags: flags,
            ml_doc: doc.as_ptr(),
        },
        ffi::PyMethodDef::zeroed(),
    ]));
    slot(ffi::Py_tp_methods, table.as_mut_ptr().cast())
}

/// Makes a type whose instances have the layout `Instance`, with `flags` in addition to the default flags.
///
/// # Safety
/// `slots` describe a type with that layout, end with an entry of zeros, and point to memory that is never freed.
pub(super) unsafe fn make<'py, Instance>(
    py: Python<'py>,
    name: &'static CStr,
    flags: c_uint,
    slots: &mut [ffi::PyType_Slot],
) -> PyResult<Bound<'py, PyType>> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "the flags of 3.10 fit, and so does the size"
    )]
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size_of::<Instance>() as c_int,
        itemsize: 0,
        flags: ffi::Py_TPFLAGS_DEFAULT as c_uint | flags,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the caller's promise; CPython copies the rest of the description.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))? };
    Ok(class.cast_into::<PyType>()?)
}
