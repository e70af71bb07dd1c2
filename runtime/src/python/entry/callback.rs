//! Calls of Python from Julia: arguments, call, and result in one host function.

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;

use super::{array, write};
use crate::sys::slot::{Kind, Slot};

/// Calls with up to this many arguments need no tuple.
const WITHOUT_TUPLE: usize = 4;

/// Calls `callable`; see [`crate::sys::table::HostFunctions::call`].
///
/// # Safety
/// `callable` is a live object; `arguments` are `count` slots of scalars, of texts that are readable, or of live objects.
pub(super) unsafe fn call(
    py: Python<'_>,
    callable: *mut ffi::PyObject,
    arguments: *const Slot,
    count: usize,
    result: &mut Slot,
) -> c_int {
    // SAFETY: the caller's promise; references are counted as the comments say.
    unsafe {
        write::drop_returned();
        let made = if count <= WITHOUT_TUPLE {
            let mut objects = [std::ptr::null_mut(); WITHOUT_TUPLE];
            let mut whole = true;
            for (index, place) in objects[..count].iter_mut().enumerate() {
                *place = argument(py, &*arguments.add(index));
                whole &= !place.is_null();
            }
            let [a, b, c, d] = objects;
            let none: *mut ffi::PyObject = std::ptr::null_mut();
            // The arguments end at the first NULL.
            let made =
                if whole { ffi::PyObject_CallFunctionObjArgs(callable, a, b, c, d, none) } else { none };
            for object in objects {
                ffi::Py_XDECREF(object);
            }
            made
        } else {
            call_by_tuple(py, callable, std::slice::from_raw_parts(arguments, count))
        };
        if made.is_null() {
            return -1;
        }
        *result = number(py, made)
            .or_else(|| array::read_shared(py, made))
            .unwrap_or_else(|| Slot::borrowed(made, 0));
        // Julia takes over the reference in the slot of an object.
        if result.kind != Kind::Object as u8 {
            ffi::Py_DecRef(made);
        }
    }
    0
}

/// # Safety
/// As for [`call`].
#[cold]
unsafe fn call_by_tuple(
    py: Python<'_>,
    callable: *mut ffi::PyObject,
    arguments: &[Slot],
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; the tuple takes over the arguments and is released here.
    unsafe {
        let tuple = ffi::PyTuple_New(arguments.len().cast_signed());
        if tuple.is_null() {
            return tuple;
        }
        for (index, slot) in arguments.iter().enumerate() {
            let object = argument(py, slot);
            if object.is_null() {
                ffi::Py_DecRef(tuple);
                return object;
            }
            ffi::PyTuple_SetItem(tuple, index.cast_signed(), object);
        }
        let made = ffi::PyObject_Call(callable, tuple, std::ptr::null_mut());
        ffi::Py_DecRef(tuple);
        made
    }
}

/// A new reference to the object of an argument, or NULL with an exception set.
///
/// # Safety
/// As for [`call`], for one slot.
#[inline]
unsafe fn argument(py: Python<'_>, slot: &Slot) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        if slot.kind == Kind::Object as u8 {
            let object = std::ptr::with_exposed_provenance_mut(write::address(slot.a));
            ffi::Py_IncRef(object);
            return object;
        }
        write::scalar(py, slot)
    }
}

/// The number in an object whose class is exactly a built-in type or `np.float64`.
///
/// # Safety
/// `object` is a live object.
#[inline]
unsafe fn number(py: Python<'_>, object: *mut ffi::PyObject) -> Option<Slot> {
    // SAFETY: the caller's promise; each function gets an object of its type.
    unsafe {
        let class = ffi::Py_TYPE(object);
        if class == &raw mut ffi::PyFloat_Type || array::is_float64(py, class) {
            return Some(Slot::float(ffi::PyFloat_AsDouble(object)));
        }
        if class == &raw mut ffi::PyLong_Type {
            let mut overflow = 0;
            let value = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
            if overflow == 0 {
                return Some(Slot::integer(value));
            }
        } else if object == ffi::Py_None() {
            return Some(Slot::nothing());
        } else if class == &raw mut ffi::PyBool_Type {
            return Some(Slot::boolean(object == ffi::Py_True()));
        }
    }
    None
}
