//! NumPy arrays, without a copy if the layout of the memory allows it.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, Ordering};

use numpy::npyffi::{self, NpyTypes, PY_ARRAY_API, PyArrayObject};
use pyo3::exceptions::{PyRuntimeWarning, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::python::exception::{self, Root};
use crate::sys::slot::{C_ORDER, Element, IN_PLACE, READ_ONLY, Slot};

/// The copy policy: see `jnumpy.set_copy_policy`.
static COPY_POLICY: AtomicU8 = AtomicU8::new(DEFAULT);
const DEFAULT: u8 = 0;
const ALLOW: u8 = 1;
const WARN: u8 = 2;
const ERROR: u8 = 3;

/// Sets the copy policy: what happens to an array argument that Julia cannot use in place, in every thread.
///
/// - ``"default"``: the array is copied. A function whose Julia name ends in ``!`` raises ``ValueError``.
/// - ``"allow"``: the array is copied for every function.
/// - ``"warn"``: the array is copied with a ``RuntimeWarning``. A function whose Julia name ends in ``!`` raises
///   ``ValueError``.
/// - ``"error"``: every function raises ``ValueError``.
///
/// A function whose name ends in ``!`` writes into its arguments, and Python does not see what it writes into a copy. An
/// array is copied if it is strided, reversed, broadcast, unaligned, read-only, or byte-swapped, or if the declared type
/// has another element type or memory order. Any other policy raises ``ValueError``.
#[pyfunction]
pub(crate) fn set_copy_policy(policy: &str) -> PyResult<()> {
    let number = match policy {
        "default" => DEFAULT,
        "allow" => ALLOW,
        "warn" => WARN,
        "error" => ERROR,
        _ => {
            let text =
                format!("copy policy is {policy:?}, but must be `default`, `allow`, `warn` or `error`");
            return Err(PyValueError::new_err(text));
        }
    };
    COPY_POLICY.store(number, Ordering::Relaxed);
    Ok(())
}

/// NumPy's limit, which TyPython keeps.
const MOST_DIMENSIONS: usize = 64;

const SHAREABLE: i32 = npyffi::NPY_ARRAY_ALIGNED | npyffi::NPY_ARRAY_WRITEABLE;
#[cfg(target_endian = "little")]
const FOREIGN_BYTE_ORDER: c_char = c_char::from_ne_bytes([b'>']);
#[cfg(target_endian = "big")]
const FOREIGN_BYTE_ORDER: c_char = c_char::from_ne_bytes([b'<']);

static READY: PyOnceLock<()> = PyOnceLock::new();

/// Makes NumPy's C API usable. NumPy is imported with the first array, not before.
fn numpy_ready(py: Python<'_>) -> PyResult<()> {
    READY.get_or_try_init(py, || py.import("numpy").map(|_| ())).copied()
}

/// Describes the memory of an ndarray, or of a copy of it: data, owner (a new reference), shape.
///
/// # Safety
/// `object` is a live Python object.
pub(super) unsafe fn read(py: Python<'_>, object: *mut ffi::PyObject, slot: &mut Slot) -> PyResult<()> {
    numpy_ready(py)?;
    // SAFETY: `object` is alive; it is used as an ndarray only after the check; fields are read while Python's
    // lock is held.
    unsafe {
        let ndarray = npyffi::get_type_object(py, NpyTypes::PyArray_Type);
        let made;
        let object = if ffi::Py_TYPE(object) == ndarray {
            object
        } else {
            made = as_ndarray(&Bound::from_borrowed_ptr(py, object), ndarray)?;
            made.as_ptr()
        };
        let array = object.cast::<PyArrayObject>();
        let fields = &(*array).fields;
        let descr = &(*fields.descr).fields;
        let Some(element) = element(descr.type_num) else {
            return Err(unsupported(&Bound::from_borrowed_ptr(py, object)));
        };
        let in_place = slot.flags & IN_PLACE;
        let needed = if slot.flags & READ_ONLY == 0 { SHAREABLE } else { npyffi::NPY_ARRAY_ALIGNED };
        *slot = match order(array, needed) {
            Some(order) => {
                ffi::Py_IncRef(object);
                describe(array, element, order | in_place)
            }
            None => describe(copy(py, array, needed, in_place != 0)?, element, in_place),
        };
    }
    Ok(())
}

/// Describes the memory of a plain ndarray that Julia can share, as [`read`] does. `None` for any other object, and before
/// the first array was read.
///
/// # Safety
/// `object` is a live Python object.
#[inline]
pub(super) unsafe fn read_shared(py: Python<'_>, object: *mut ffi::PyObject) -> Option<Slot> {
    READY.get(py)?;
    // SAFETY: as in `read`.
    unsafe {
        if ffi::Py_TYPE(object) != npyffi::get_type_object(py, NpyTypes::PyArray_Type) {
            return None;
        }
        let array = object.cast::<PyArrayObject>();
        let element = element((*(*array).fields.descr).fields.type_num)?;
        let order = order(array, SHAREABLE)?;
        ffi::Py_IncRef(object);
        Some(describe(array, element, order))
    }
}

/// Whether a class is `np.float64`, which is a subclass of `float`. `false` before the first array was read.
#[inline]
pub(super) fn is_float64(py: Python<'_>, class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: NumPy's C API is ready.
    READY.get(py).is_some() && class == unsafe { npyffi::get_type_object(py, NpyTypes::PyDoubleArrType_Type) }
}

/// The flag for the order of an array's elements; `None` if Julia cannot share the array, because it lacks one of NumPy's
/// flags in `needed`.
///
/// # Safety
/// `array` is a live ndarray.
#[inline]
unsafe fn order(array: *mut PyArrayObject, needed: i32) -> Option<u8> {
    // SAFETY: the caller's promise.
    let (fields, descr) = unsafe { (&(*array).fields, &(*(*array).fields.descr).fields) };
    if fields.flags & needed != needed || descr.byteorder == FOREIGN_BYTE_ORDER {
        None
    } else if fields.flags & npyffi::NPY_ARRAY_F_CONTIGUOUS != 0 {
        Some(0)
    } else if fields.flags & npyffi::NPY_ARRAY_C_CONTIGUOUS != 0 {
        Some(C_ORDER)
    } else {
        None
    }
}

/// The slot of an array, which takes over a reference to it.
///
/// # Safety
/// `array` is a live ndarray.
#[inline]
unsafe fn describe(array: *mut PyArrayObject, element: Element, flags: u8) -> Slot {
    // SAFETY: the caller's promise.
    let fields = unsafe { &(*array).fields };
    // NumPy's limit is 64.
    let dimensions = u8::try_from(fields.nd).unwrap_or(u8::MAX);
    Slot::array(element, flags, fields.data.cast(), array.cast(), dimensions, fields.dimensions)
}

/// The object itself if its class is a subclass of ndarray; otherwise an ndarray over the memory that it exports.
///
/// # Safety
/// `ndarray` is NumPy's type object.
#[cold]
unsafe fn as_ndarray<'py>(
    object: &Bound<'py, PyAny>,
    ndarray: *mut ffi::PyTypeObject,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the object is alive and `ndarray` is a type (the caller's promise).
    if unsafe { ffi::PyObject_TypeCheck(object.as_ptr(), ndarray) } == 0 {
        let made = object.py().import("jnumpy._arrays")?.getattr("as_ndarray")?.call1((object,))?;
        // SAFETY: as above.
        if unsafe { ffi::Py_TYPE(made.as_ptr()) } == ndarray {
            return Ok(made);
        }
        return Err(PyTypeError::new_err("the memory of the argument is not a plain ndarray"));
    }
    let modules = object.py().import("sys")?.getattr("modules")?;
    let masked = modules.call_method1("get", ("numpy.ma",))?;
    if !masked.is_none() && object.is_instance(&masked.getattr("MaskedArray")?)? {
        return Err(PyTypeError::new_err(
            "a masked array has no counterpart in Julia; pass `x.filled(value)`, or `x.data` and `x.mask`",
        ));
    }
    Ok(object.clone())
}

#[cold]
fn unsupported(object: &Bound<'_, PyAny>) -> PyErr {
    let dtype = object.getattr("dtype").map_or_else(|_| "?".into(), |dtype| dtype.to_string());
    PyTypeError::new_err(format!(
        "dtype {dtype} has no counterpart in Julia; supported are bool, (u)int8 to 64, float16 to 64, complex64 and \
         complex128"
    ))
}

/// Warns of a copy or refuses it, as the policy says. `in_place`: the function would write into the copy. `label` names the
/// argument. TyPython calls this for copies that a declared type requires.
#[pyfunction]
pub(crate) fn report_copy(py: Python<'_>, label: &str, reason: &str, in_place: bool) -> PyResult<()> {
    let text = |what: &str| {
        let more = exception::more(py, "copies")?;
        PyResult::Ok(format!("{what}{reason}; {more}"))
    };
    let copied = format!("an array is copied on its way into Julia: {label}");
    match COPY_POLICY.load(Ordering::Relaxed) {
        DEFAULT | WARN if in_place => Err(PyValueError::new_err(text(&format!(
            "{label}the function writes into the array, but Julia would get a copy: "
        ))?)),
        WARN => {
            let text = std::ffi::CString::new(text(&copied)?).unwrap_or_default();
            PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1)
        }
        ERROR => Err(PyValueError::new_err(text(&copied)?)),
        _ => Ok(()),
    }
}

/// A copy in column-major order and native byte order.
///
/// # Safety
/// `array` is a live ndarray of a supported dtype.
#[cold]
unsafe fn copy(
    py: Python<'_>,
    array: *mut PyArrayObject,
    needed: i32,
    in_place: bool,
) -> PyResult<*mut PyArrayObject> {
    // SAFETY: the caller's promise.
    let missing = needed & !unsafe { (*array).fields.flags };
    let read_only = missing & npyffi::NPY_ARRAY_WRITEABLE != 0;
    let reason = if read_only {
        "it is read-only; pass a writeable array, such as `y = x.copy()`"
    } else {
        "it is not contiguous, not aligned, or not in native byte order; pass an array that is, such as \
         `y = np.asfortranarray(x)`"
    };
    report_copy(py, "", reason, in_place)?;
    let flags = SHAREABLE
        | npyffi::NPY_ARRAY_F_CONTIGUOUS
        | npyffi::NPY_ARRAY_ENSURECOPY
        | npyffi::NPY_ARRAY_ENSUREARRAY;
    // SAFETY: the caller's promise; `PyArray_FromArray` takes over the descriptor.
    unsafe {
        let native = PY_ARRAY_API.PyArray_DescrFromType(py, (*(*array).fields.descr).fields.type_num);
        let copy = PY_ARRAY_API.PyArray_FromArray(py, array, native, flags);
        if copy.is_null() { Err(PyErr::fetch(py)) } else { Ok(copy.cast()) }
    }
}

/// An ndarray over Julia's memory.
///
/// # Safety
/// The slot describes memory that the root keeps alive, in at most [`MOST_DIMENSIONS`] dimensions; `strides` has one entry in
/// bytes for each, and the caller owns the root.
pub(super) unsafe fn new(
    py: Python<'_>,
    slot: &Slot,
    strides: *const isize,
    root: Root,
) -> PyResult<*mut ffi::PyObject> {
    // Importing NumPy lets other threads run, which may overwrite the slot.
    let slot = *slot;
    let rank = usize::from(slot.ndim);
    let mut lengths = [const { MaybeUninit::<isize>::uninit() }; MOST_DIMENSIONS];
    let mut steps = lengths;
    // SAFETY: the caller's promise.
    unsafe {
        let described = std::ptr::with_exposed_provenance::<isize>(super::write::address(slot.c));
        described.copy_to_nonoverlapping(lengths.as_mut_ptr().cast(), rank);
        strides.copy_to_nonoverlapping(steps.as_mut_ptr().cast(), rank);
    }
    numpy_ready(py)?;
    let base = Py::new(py, root)?;
    let type_number = type_number(slot.dtype)
        .ok_or_else(|| PyTypeError::new_err(format!("Julia named element type {}", slot.dtype)))?;
    // SAFETY: the caller's promise; `PyArray_SetBaseObject` takes over the base, in failure too.
    unsafe {
        let array = PY_ARRAY_API.PyArray_New(
            py,
            npyffi::get_type_object(py, NpyTypes::PyArray_Type),
            i32::from(slot.ndim),
            lengths.as_mut_ptr().cast(),
            type_number,
            steps.as_mut_ptr().cast(),
            std::ptr::with_exposed_provenance_mut(super::write::address(slot.a)),
            0,
            SHAREABLE,
            std::ptr::null_mut(),
        );
        if array.is_null() {
            return Err(PyErr::fetch(py));
        }
        if PY_ARRAY_API.PyArray_SetBaseObject(py, array.cast(), base.into_ptr()) < 0 {
            ffi::Py_DecRef(array);
            return Err(PyErr::fetch(py));
        }
        Ok(array)
    }
}

/// NumPy's type numbers (`enum NPY_TYPES`), by [`Element`]; C's `long` has 64 bits wherever this runs.
const TYPE_NUMBERS: [(i32, Element); 14] = [
    (0, Element::Bool),
    (1, Element::Int8),
    (3, Element::Int16),
    (5, Element::Int32),
    (7, Element::Int64),
    (2, Element::UInt8),
    (4, Element::UInt16),
    (6, Element::UInt32),
    (8, Element::UInt64),
    (23, Element::Float16),
    (11, Element::Float32),
    (12, Element::Float64),
    (14, Element::Complex64),
    (15, Element::Complex128),
];
const LONG_LONG: i32 = 9;
const UNSIGNED_LONG_LONG: i32 = 10;

fn type_number(element: u8) -> Option<i32> {
    TYPE_NUMBERS.get(usize::from(element)).map(|(number, _)| *number)
}

#[inline]
fn element(type_number: i32) -> Option<Element> {
    match type_number {
        LONG_LONG => Some(Element::Int64),
        UNSIGNED_LONG_LONG => Some(Element::UInt64),
        12 => Some(Element::Float64),
        _ => TYPE_NUMBERS.iter().find(|(number, _)| *number == type_number).map(|(_, element)| *element),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_numbers_are_listed_in_the_order_of_elements() {
        for (index, (number, element)) in TYPE_NUMBERS.into_iter().enumerate() {
            assert_eq!(element as usize, index);
            assert_eq!(super::element(number), Some(element));
        }
        assert_eq!(super::element(13), None);
    }
}
