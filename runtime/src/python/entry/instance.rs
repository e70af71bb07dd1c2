//! Julia objects as Python objects: the base of all exported classes, and the conversion in both directions.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::guard;
use super::heap_type::{self, slot};
use super::write;
use crate::julia::lease::ByAddress;
use crate::julia::roots;
use crate::sys::libjulia::Value;
use crate::sys::slot::Slot;

/// An instance of an exported class.
#[repr(C)]
struct InstanceObject {
    base: ffi::PyObject,
    /// The Julia object, which is not moved as long as it is rooted; NULL before `__init__`.
    value: *mut Value,
    root: u64,
    /// Whether the Julia object is mutable. Then this is its only Python object.
    mutable: bool,
}

/// The Python objects of mutable Julia objects, by the address of the Julia object. The entry is removed with the Python
/// object.
static LIVE: Mutex<Option<ByAddress<usize>>> = Mutex::new(None);

fn with_live<R>(work: impl FnOnce(&mut ByAddress<usize>) -> R) -> R {
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    work(live.get_or_insert_default())
}

/// A new reference to the Python object of a mutable Julia object, or NULL if there is none.
///
/// # Safety
/// Python's lock is held.
pub(super) unsafe fn find(value: *const Value) -> *mut ffi::PyObject {
    let Some(address) = with_live(|live| live.get(&value.addr()).copied()) else {
        return std::ptr::null_mut();
    };
    let object: *mut ffi::PyObject = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: the entry is removed before the object is freed. While an object is being deallocated, a callback of a weak
    // reference may get here. Such an object has no references, and must not get a new one.
    unsafe {
        if ffi::Py_REFCNT(object) == 0 {
            return std::ptr::null_mut();
        }
        ffi::Py_IncRef(object);
    }
    object
}

/// A new Python object for a Julia object. Takes over the root, even if it fails.
///
/// # Safety
/// `class` is an exported class, and `value` is the value in the root.
pub(super) unsafe fn new(
    py: Python<'_>,
    class: *mut ffi::PyObject,
    value: *mut Value,
    root: u64,
    mutable: bool,
) -> PyResult<*mut ffi::PyObject> {
    // SAFETY: exported classes have the layout of `InstanceObject`, zeroed by the allocation.
    unsafe {
        let object = ffi::PyType_GenericAlloc(class.cast(), 0);
        if object.is_null() {
            roots::give_back(root);
            return Err(PyErr::fetch(py));
        }
        fill(object, value, root, mutable);
        Ok(object)
    }
}

/// # Safety
/// `object` is an instance that has no Julia object.
unsafe fn fill(object: *mut ffi::PyObject, value: *mut Value, root: u64, mutable: bool) {
    // SAFETY: the caller's promise.
    unsafe {
        let fields = object.cast::<InstanceObject>();
        (*fields).value = value;
        (*fields).root = root;
        (*fields).mutable = mutable;
    }
    if mutable {
        with_live(|live| live.insert(value.addr(), object.expose_provenance()));
    }
}

/// Reads an instance of the class whose address is in the slot.
///
/// # Safety
/// `object` is a live Python object, and the slot holds a subclass of [`instance_type`].
#[inline]
pub(super) unsafe fn read(py: Python<'_>, object: *mut ffi::PyObject, slot: &mut Slot) -> PyResult<()> {
    let class: *mut ffi::PyTypeObject = std::ptr::with_exposed_provenance_mut(write::address(slot.a));
    // SAFETY: both are alive. The class was checked, so the layout is known.
    unsafe {
        let found = ffi::Py_TYPE(object);
        if found != class && ffi::PyType_IsSubtype(found, class) == 0 {
            return Err(unexpected(py, class, object));
        }
        let value = (*object.cast::<InstanceObject>()).value;
        if value.is_null() {
            return Err(uninitialized(py, object));
        }
        *slot = Slot::instance(value, slot.flags);
    }
    Ok(())
}

/// # Safety
/// Both are live objects.
#[cold]
unsafe fn unexpected(py: Python<'_>, class: *mut ffi::PyTypeObject, object: *mut ffi::PyObject) -> PyErr {
    // SAFETY: the caller's promise.
    let (class, found) = unsafe {
        (Bound::from_borrowed_ptr(py, class.cast()), Bound::from_borrowed_ptr(py, object).get_type())
    };
    PyTypeError::new_err(format!("expected {}, got {}", shown(&class), shown(&found)))
}

/// The name of a class with its module.
fn shown(class: &Bound<'_, PyAny>) -> String {
    let text = |name: &str| class.getattr(name).and_then(|text| text.extract::<String>());
    let name = text("__qualname__").unwrap_or_else(|_| "?".into());
    match text("__module__") {
        Ok(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}

/// # Safety
/// `object` is alive.
#[cold]
unsafe fn uninitialized(py: Python<'_>, object: *mut ffi::PyObject) -> PyErr {
    // SAFETY: the caller's promise.
    let class = unsafe { Bound::from_borrowed_ptr(py, object) }.get_type();
    PyTypeError::new_err(format!(
        "this {} holds no Julia object yet: `__init__` of its class must call `super().__init__(…)` first",
        shown(&class)
    ))
}

/// The base of all exported classes.
pub(crate) fn instance_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(TYPE.get_or_try_init(py, || make_type(py))?.bind(py))
}

fn make_type(py: Python<'_>) -> PyResult<Py<PyType>> {
    let mut slots = [
        slot(ffi::Py_tp_new, allocate as *mut c_void),
        slot(ffi::Py_tp_init, initialize as *mut c_void),
        slot(ffi::Py_tp_dealloc, deallocate as *mut c_void),
        heap_type::method(
            c"_restore",
            restore,
            ffi::METH_O,
            c"Takes the Julia object that `__julia_setstate__` of the class makes of a state.",
        ),
        slot(
            ffi::Py_tp_doc,
            c"A Julia object: base of the classes that Julia exports.".as_ptr().cast_mut().cast(),
        ),
        slot(0, std::ptr::null_mut()),
    ];
    #[expect(clippy::cast_possible_truncation, reason = "the flags of 3.10 fit")]
    let flags = ffi::Py_TPFLAGS_BASETYPE as c_uint;
    // SAFETY: the slots are for this layout, and name functions and texts that are never freed.
    let class = unsafe { heap_type::make::<InstanceObject>(py, c"jnumpy.JuliaObject", flags, &mut slots)? };
    Ok(class.unbind())
}

/// `__new__`: an object without a Julia object, which [`initialize`] gives it.
unsafe extern "C" fn allocate(
    class: *mut ffi::PyTypeObject,
    _arguments: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython passes a subclass of our type.
    unsafe { ffi::PyType_GenericAlloc(class, 0) }
}

/// `__init__`: takes over the Julia object that the constructor makes.
unsafe extern "C" fn initialize(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: CPython passes an instance of our type, a tuple, and NULL or a dictionary.
    unsafe {
        guard::value(-1, |py| {
            let arguments = Bound::from_borrowed_ptr(py, arguments).cast_into::<PyTuple>()?;
            let keywords =
                Bound::from_borrowed_ptr_or_opt(py, keywords).map(Bound::cast_into::<PyDict>).transpose()?;
            let object = Bound::from_borrowed_ptr(py, object);
            let Some(constructor) = maker(&object, intern!(py, "__julia_new__"))? else {
                let text = format!(
                    "{} cannot be created in Python: it has no constructor",
                    shown(&object.get_type())
                );
                return Err(PyTypeError::new_err(text));
            };
            take(&object, || constructor.call(arguments, keywords.as_ref()))?;
            Ok(0)
        })
    }
}

/// `_restore(state)`.
unsafe extern "C" fn restore(object: *mut ffi::PyObject, state: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython passes an instance of our type and an argument.
    unsafe {
        guard::object(|py| {
            let object = Bound::from_borrowed_ptr(py, object);
            let state = Bound::from_borrowed_ptr(py, state);
            let Some(constructor) = maker(&object, intern!(py, "__julia_setstate__"))? else {
                let text = format!("a {} cannot be created from a pickle", shown(&object.get_type()));
                return Err(PyTypeError::new_err(text));
            };
            take(&object, || constructor.call1((state,)))?;
            Ok(py.None().into_ptr())
        })
    }
}

/// The function in a class that makes its Julia objects.
fn maker<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let function = object.get_type().getattr_opt(name)?;
    Ok(function.filter(|function| !function.is_none()))
}

/// Moves the Julia object of what `make` returns into `object`.
///
/// # Safety
/// `object` is an instance of our type.
unsafe fn take<'py>(
    object: &Bound<'py, PyAny>,
    make: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = object.py();
    let class = object.get_type();
    let initialized_already =
        || PyTypeError::new_err(format!("this {} is already initialized", shown(&class)));
    // SAFETY: both have the layout of `InstanceObject`: `object` by the caller's promise, the other because of its class.
    unsafe {
        let to = object.as_ptr().cast::<InstanceObject>();
        if !(*to).value.is_null() {
            return Err(initialized_already());
        }
        let instance = make()?;
        let made_class = instance.get_type();
        let fits = made_class.is(&class)
            || made_class.is_subclass(instance_type(py)?)? && class.is_subclass(&made_class)?;
        if !fits {
            let text = format!("the constructor of {} has returned a {}", shown(&class), shown(&made_class));
            return Err(PyTypeError::new_err(text));
        }
        let from = instance.as_ptr().cast::<InstanceObject>();
        if (*from).value.is_null() || ffi::Py_REFCNT(instance.as_ptr()) != 1 {
            let text = format!(
                "the constructor of {} has returned an object that Python holds already; return a new one",
                shown(&class)
            );
            return Err(PyTypeError::new_err(text));
        }
        // The constructor may have called Python code that initialized the object.
        if !(*to).value.is_null() {
            return Err(initialized_already());
        }
        let value = std::mem::replace(&mut (*from).value, std::ptr::null_mut());
        fill(object.as_ptr(), value, (*from).root, (*from).mutable);
    }
    Ok(())
}

unsafe extern "C" fn deallocate(object: *mut ffi::PyObject) {
    // SAFETY: CPython passes an instance of our type that nobody has a reference to, and holds its lock; the type belongs to
    // the instance, and lives at least as long.
    unsafe {
        let fields = object.cast::<InstanceObject>();
        let value = (*fields).value;
        if !value.is_null() {
            if (*fields).mutable {
                let address = object.addr();
                // During a callback of a weak reference, Julia may have made another Python object.
                guard::anywhere((), || {
                    with_live(|live| {
                        if live.get(&value.addr()) == Some(&address) {
                            live.remove(&value.addr());
                        }
                    });
                });
            }
            guard::anywhere((), || roots::give_back((*fields).root));
        }
        let class = ffi::Py_TYPE(object);
        let free = ffi::PyType_GetSlot(class, ffi::Py_tp_free);
        let free: ffi::freefunc = std::mem::transmute::<*mut c_void, ffi::freefunc>(free);
        free(object.cast());
        ffi::Py_DecRef(class.cast());
    }
}
