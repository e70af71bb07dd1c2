//! Reads Python objects into slots, for each [`Kind`]: strictly for arguments and `py_coerce`, leniently for `py_cast`.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::{array, instance};
use crate::sys::slot::{Kind, Slot};

/// How strict a conversion is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Accepts only the Python type that corresponds to the Julia type.
    Strict,
    /// Accepts every object that Python's protocol for that type accepts.
    Lenient,
}

/// Reads `object` as `kind`; the slot has the flags of the argument. An owner in the slot ([`owner`]) is a new reference.
///
/// # Safety
/// `object` is a live Python object; the slot must not be used after it or its owner is gone. For an instance, the slot holds
/// the class.
#[inline]
pub(super) unsafe fn read(
    py: Python<'_>,
    kind: Kind,
    mode: Mode,
    object: *mut ffi::PyObject,
    slot: &mut Slot,
) -> PyResult<()> {
    // SAFETY: `object` is alive and Python's lock is held (`py`). The fast paths check the exact type, so the object has the
    // layout that the called functions require.
    unsafe {
        let class = ffi::Py_TYPE(object);
        match kind {
            Kind::Int if class == &raw mut ffi::PyLong_Type => {
                let mut overflow = 0;
                let value = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
                if overflow == 0 {
                    *slot = Slot::integer(value);
                    return Ok(());
                }
            }
            Kind::Float if class == &raw mut ffi::PyFloat_Type => {
                let value = ffi::PyFloat_AsDouble(object);
                *slot = Slot::float(value);
                return Ok(());
            }
            Kind::Complex if class == &raw mut ffi::PyComplex_Type => {
                *slot = complex_slot(object);
                return Ok(());
            }
            Kind::Text if class == &raw mut ffi::PyUnicode_Type => {
                *slot = Slot::text(utf8(py, object)?);
                return Ok(());
            }
            Kind::Instance => return instance::read(py, object, slot),
            Kind::Array => return array::read(py, object, slot),
            Kind::Object => {
                *slot = Slot::borrowed(object, slot.flags);
                return Ok(());
            }
            _ => {}
        }
        slow(&Bound::from_borrowed_ptr(py, object), kind, mode, slot)
    }
}

/// The reference that a slot owns, if it owns one.
pub(super) fn owner(slot: &Slot) -> Option<*mut ffi::PyObject> {
    let owner = match Kind::from_number(slot.kind) {
        Some(Kind::Array) => slot.b,
        Some(Kind::BigInt) => slot.c,
        _ => return None,
    };
    Some(std::ptr::with_exposed_provenance_mut(super::write::address(owner)))
}

/// # Safety
/// `object` is a live instance of `complex`.
unsafe fn complex_slot(object: *mut ffi::PyObject) -> Slot {
    // SAFETY: the caller's promise.
    unsafe { Slot::complex(ffi::PyComplex_RealAsDouble(object), ffi::PyComplex_ImagAsDouble(object)) }
}

/// The text of a `str`. It is cached in the `str` and lives as long as that.
///
/// # Safety
/// `object` is a live instance of `str`, and outlives the text.
unsafe fn utf8<'a>(py: Python<'_>, object: *mut ffi::PyObject) -> PyResult<&'a [u8]> {
    let mut length = 0;
    // SAFETY: the caller's promise.
    unsafe {
        let bytes = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut length);
        if bytes.is_null() {
            return Err(PyErr::fetch(py));
        }
        Ok(std::slice::from_raw_parts(bytes.cast(), length.unsigned_abs()))
    }
}

/// Reads any object whose class is not exactly a built-in type.
#[cold]
fn slow(object: &Bound<'_, PyAny>, kind: Kind, mode: Mode, slot: &mut Slot) -> PyResult<()> {
    match kind {
        Kind::Nothing if object.is_none() => *slot = Slot::nothing(),
        Kind::Nothing => return Err(expected("None", object)),
        Kind::Bool => *slot = Slot::boolean(boolean(object, mode)?),
        Kind::Int | Kind::UInt | Kind::BigInt => integer(object, kind, mode, slot)?,
        Kind::Float => {
            if mode == Mode::Strict && !is_a(object, Builtin::Float, "floating")? {
                return Err(expected("float type", object));
            }
            let value: f64 = object.extract()?;
            *slot = Slot::float(value);
        }
        Kind::Complex => {
            if mode == Mode::Strict && !is_a(object, Builtin::Complex, "complexfloating")? {
                return Err(expected("complex type", object));
            }
            let number = object.py().get_type::<pyo3::types::PyComplex>();
            // Without this check, `complex("1")` would parse the text.
            if !is_number(object) && !object.hasattr("__complex__")? {
                return Err(expected("complex type", object));
            }
            let value = number.call1((object,))?;
            // SAFETY: `complex(…)` returned an instance of `complex`.
            *slot = unsafe { complex_slot(value.as_ptr()) };
        }
        Kind::Text => {
            if !object.is_instance_of::<pyo3::types::PyString>() {
                return Err(expected("str type", object));
            }
            // SAFETY: just checked.
            *slot = Slot::text(unsafe { utf8(object.py(), object.as_ptr()) }?);
        }
        Kind::Array
        | Kind::Object
        | Kind::Missing
        | Kind::Exception
        | Kind::PythonException
        | Kind::Instance => {
            return Err(PyTypeError::new_err(format!("no argument is read as {kind:?}")));
        }
    }
    Ok(())
}

fn boolean(object: &Bound<'_, PyAny>, mode: Mode) -> PyResult<bool> {
    if mode == Mode::Strict && !is_a(object, Builtin::Bool, "bool_")? {
        return Err(expected("bool type", object));
    }
    object.is_truthy()
}

fn integer(object: &Bound<'_, PyAny>, kind: Kind, mode: Mode, slot: &mut Slot) -> PyResult<()> {
    let py = object.py();
    // SAFETY: `object` is alive; both functions return an owned reference, or NULL with an exception set.
    let number = unsafe {
        if mode == Mode::Lenient && is_number(object) {
            Bound::from_owned_ptr_or_err(py, ffi::PyNumber_Long(object.as_ptr()))?
        } else if ffi::PyIndex_Check(object.as_ptr()) != 0 {
            Bound::from_owned_ptr_or_err(py, ffi::PyNumber_Index(object.as_ptr()))?
        } else {
            return Err(expected("int type", object));
        }
    };
    match kind {
        Kind::Int => {
            let value: i64 = number.extract().map_err(|_| out_of_range(&number, "Int64"))?;
            *slot = Slot::integer(value);
        }
        Kind::UInt => {
            let value: u64 = number.extract().map_err(|_| out_of_range(&number, "UInt64"))?;
            *slot = Slot::unsigned(value);
        }
        _ => {
            // `format(number, "x")`: sign and digits, without a prefix.
            let digits = number.call_method1("__format__", ("x",))?;
            // SAFETY: `int.__format__` returned a str, and the slot keeps it.
            *slot = unsafe { Slot::big_integer(utf8(py, digits.as_ptr())?, digits.into_ptr()) };
        }
    }
    Ok(())
}

fn out_of_range(number: &Bound<'_, PyAny>, name: &str) -> PyErr {
    const MOST_BITS: usize = 200;
    let bits = number.call_method0("bit_length").and_then(|bits| bits.extract::<usize>());
    // Python refuses to convert an integer with very many digits to text.
    let shown = match bits {
        Ok(bits) if bits > MOST_BITS => format!("an integer of {bits} bits"),
        _ => number.to_string(),
    };
    PyOverflowError::new_err(format!("{shown} is out of range for {name}"))
}

fn expected(what: &str, object: &Bound<'_, PyAny>) -> PyErr {
    let class = object.get_type();
    let name = class.name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!("expected {what}, got {name}"))
}

fn is_number(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: `object` is alive.
    unsafe { ffi::PyNumber_Check(object.as_ptr()) != 0 }
}

#[derive(Clone, Copy)]
enum Builtin {
    Bool,
    Float,
    Complex,
}

/// Whether `object` is an instance of the built-in type, or of NumPy's scalar type if NumPy is loaded.
fn is_a(object: &Bound<'_, PyAny>, builtin: Builtin, numpy_name: &str) -> PyResult<bool> {
    let py = object.py();
    let builtin = match builtin {
        Builtin::Bool => py.get_type::<pyo3::types::PyBool>(),
        Builtin::Float => py.get_type::<pyo3::types::PyFloat>(),
        Builtin::Complex => py.get_type::<pyo3::types::PyComplex>(),
    };
    if object.is_instance(&builtin)? {
        return Ok(true);
    }
    let modules = py.import("sys")?.getattr("modules")?;
    let numpy = modules.call_method1("get", ("numpy",))?;
    if numpy.is_none() {
        return Ok(false);
    }
    object.is_instance(numpy.getattr(numpy_name)?.cast::<PyType>()?)
}
