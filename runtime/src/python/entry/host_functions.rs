//! The host functions: see [`HostFunctions`] for what each one does.

use std::ffi::{CStr, c_char, c_int, c_void};

use pyo3::exceptions::{PySystemExit, PyTypeError};
use pyo3::ffi;

use super::read::Mode;
use super::{array, callback, exit_status, function, guard, instance, output, read, write};
use crate::julia::lease::{self, Memory};
use crate::julia::roots;
use crate::julia::signals::{self, RUNNING_IN};
use crate::julia::start::julia_functions;
use crate::julia::waiting;
use crate::python::exception::Root;
use crate::sys::libjulia::Value;
use crate::sys::slot::{C_ORDER, Entry, Kind, PROTOCOL, Slot};
use crate::sys::table::HostFunctions;

/// The table of host functions that TyPython gets.
pub(crate) static HOST: HostFunctions = HostFunctions {
    protocol: PROTOCOL,
    symbol,
    read: read_object,
    object,
    new_array,
    owner_of,
    find_shared,
    register_share,
    release_array,
    release_object,
    take_root,
    add_roots,
    function: make_function,
    running_in: &RUNNING_IN,
    read_items,
    call,
    write_output: output::write_output,
    flush_output: output::flush_output,
    read_input: output::read_input,
    terminal: output::terminal,
    while_waiting,
    exit,
    take_exit,
    find_instance,
    new_instance,
    drop_returned,
    given_away: &waiting::GIVEN_AWAY,
    take_back: waiting::take_back,
    begin_without_lock: waiting::begin_without_lock,
    end_without_lock: waiting::end_without_lock,
};

macro_rules! symbols {
    ($name:expr; $($function:ident)*) => {
        match $name {
            $(stringify!($function) => ffi::$function as *mut c_void,)*
            "Py_None" => ffi::Py_None().cast(),
            "Py_True" => ffi::Py_True().cast(),
            "Py_False" => ffi::Py_False().cast(),
            "Py_NotImplemented" => ffi::Py_NotImplemented().cast(),
            _ => std::ptr::null_mut(),
        }
    };
}

#[expect(clippy::fn_to_numeric_cast_any, reason = "addresses are what the table is for")]
unsafe extern "C" fn symbol(name: *const c_char) -> *mut c_void {
    // SAFETY: Julia passes a NUL-terminated name; the constants are initialized with the interpreter.
    unsafe {
        let Ok(name) = CStr::from_ptr(name).to_str() else { return std::ptr::null_mut() };
        // Those of TyPython's `table.jl`.
        symbols! { name;
            PyObject_GetAttr PyObject_SetAttr PyObject_GetItem PyObject_SetItem PyObject_Call
            PyObject_RichCompare PyObject_IsTrue PyObject_Size PyObject_Str PyObject_Repr PyObject_Dir PyObject_IsInstance
            PyObject_Type PyType_IsSubtype PyObject_Hash PyObject_GetIter PyIter_Next PySequence_Contains
            PyImport_Import PyImport_GetModuleDict PyModule_NewObject
            PySequence_Tuple PyTuple_New PyTuple_SetItem PyTuple_GetItem PyTuple_Size PyList_New PyList_SetItem
            PyDict_New PyDict_SetItem
            PyErr_CheckSignals PyErr_Occurred PyErr_Fetch PyErr_NormalizeException PyErr_Restore
            PyGILState_Ensure PyGILState_Release
            Py_IncRef Py_DecRef
        }
    }
}

unsafe extern "C" fn read_object(
    kind: u8,
    lenient: c_int,
    object: *mut ffi::PyObject,
    slot: *mut Slot,
) -> c_int {
    let mode = if lenient == 0 { Mode::Strict } else { Mode::Lenient };
    // SAFETY: Julia holds Python's lock and passes a live object and a slot of its own.
    unsafe {
        guard::value(-1, |py| {
            let kind = Kind::from_number(kind)
                .ok_or_else(|| PyTypeError::new_err(format!("nothing is read as kind {kind}")))?;
            read::read(py, kind, mode, object, &mut *slot).map(|()| 0)
        })
    }
}

unsafe extern "C" fn read_items(
    kind: u8,
    takes_none: c_int,
    tuple: *mut ffi::PyObject,
    start: isize,
    count: isize,
    slots: *mut Slot,
) -> isize {
    let mut done = 0;
    // SAFETY: Julia holds Python's lock, and passes a tuple of its own with that many items and as many slots.
    unsafe {
        guard::value((), |py| {
            let kind = Kind::from_number(kind)
                .ok_or_else(|| PyTypeError::new_err(format!("nothing is read as kind {kind}")))?;
            while done < count {
                let item = ffi::PyTuple_GetItem(tuple, start + done);
                if item.is_null() {
                    return Err(pyo3::PyErr::fetch(py));
                }
                let slot = &mut *slots.offset(done);
                *slot = Slot::nothing();
                if takes_none == 0 || item != ffi::Py_None() {
                    read::read(py, kind, Mode::Strict, item, slot)?;
                }
                done += 1;
            }
            Ok(())
        });
    }
    done
}

unsafe extern "C" fn call(
    callable: *mut ffi::PyObject,
    arguments: *const Slot,
    count: usize,
    result: *mut Slot,
) -> c_int {
    // SAFETY: Julia passes a live callable, `count` argument slots whose contents it preserves, and a slot for the result.
    // It holds Python's lock in every thread that Python knows and that entries come in.
    unsafe {
        if ffi::PyGILState_GetThisThreadState().is_null() {
            return -2;
        }
        guard::value(-1, |py| Ok(callback::call(py, callable, arguments, count, &mut *result)))
    }
}

unsafe extern "C" fn object(slot: *const Slot) -> *mut ffi::PyObject {
    // SAFETY: Julia holds Python's lock and preserves what the slot points to.
    unsafe { guard::object(|py| Ok(write::scalar(py, &*slot))) }
}

unsafe extern "C" fn new_array(slot: *const Slot, strides: *const isize, root: u64) -> *mut ffi::PyObject {
    // SAFETY: Julia holds Python's lock, describes memory that the root keeps, and gives the root away.
    unsafe { guard::object(|py| array::new(py, &*slot, strides, Root::new(root))) }
}

unsafe extern "C" fn owner_of(
    array: *const Value,
    data: *const c_void,
    length: usize,
    c_order: c_int,
) -> *mut ffi::PyObject {
    let memory = Memory { data: data.addr(), length, c_order: c_order != 0 };
    match guard::anywhere(None, || lease::owner_of(array, memory)) {
        Some(owner) => {
            // SAFETY: the Julia array is alive (it is Julia's argument) and so is its owner; Julia holds Python's
            // lock.
            unsafe { ffi::Py_IncRef(owner) };
            owner
        }
        None => std::ptr::null_mut(),
    }
}

/// The parts of an array slot: owner, memory, element type, lengths.
///
/// # Safety
/// The slot is an array slot, and the ndarray from which it was read has not changed.
#[inline]
unsafe fn shared_memory(slot: &Slot) -> (*mut ffi::PyObject, Memory, u8, &[usize]) {
    let lengths: *const usize = std::ptr::with_exposed_provenance(write::address(slot.c));
    // The pointer to the lengths of a 0-dimensional ndarray may be NULL.
    let lengths = if slot.ndim == 0 {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(lengths, usize::from(slot.ndim)) }
    };
    let memory = Memory {
        data: write::address(slot.a),
        length: lengths.iter().product(),
        c_order: slot.flags & C_ORDER != 0,
    };
    (std::ptr::with_exposed_provenance_mut(write::address(slot.b)), memory, slot.dtype, lengths)
}

unsafe extern "C" fn find_shared(slot: *const Slot) -> *const Value {
    guard::anywhere(std::ptr::null(), || {
        // SAFETY: Julia holds Python's lock and passes an array slot.
        let (owner, memory, element, lengths) = unsafe { shared_memory(&*slot) };
        lease::find_shared(owner, memory, element, lengths).unwrap_or_default()
    })
}

unsafe extern "C" fn register_share(array: *const Value, slot: *const Slot) {
    guard::anywhere((), || {
        // SAFETY: Julia holds Python's lock and passes the array slot it made the array from.
        unsafe {
            let (owner, memory, element, lengths) = shared_memory(&*slot);
            ffi::Py_IncRef(owner);
            lease::register_share(array, owner, memory, element, lengths);
        }
    });
}

unsafe extern "C" fn release_array(array: *mut Value) {
    // After a panic, the array and its owner are leaked.
    if guard::anywhere(true, || lease::release_array(array)) {
        return;
    }
    if let Some(julia_functions) = julia_functions() {
        // SAFETY: Julia runs this finalizer in one of its threads, and the array is still alive.
        unsafe { (julia_functions.renew_finalizer)(array) };
    }
}

unsafe extern "C" fn release_object(object: *mut ffi::PyObject) {
    guard::anywhere((), || lease::release_object(object));
}

unsafe extern "C" fn drop_returned() {
    // SAFETY: Julia holds Python's lock.
    guard::anywhere((), || unsafe { write::drop_returned() });
}

unsafe extern "C" fn take_root() -> i64 {
    guard::anywhere(-1, || roots::take().map_or(-1, u64::cast_signed))
}

unsafe extern "C" fn add_roots(block: *mut *mut Value) {
    // SAFETY: Julia passes the data of a vector it keeps forever (`roots.jl`).
    guard::anywhere((), || unsafe { roots::add_block(block) });
}

unsafe extern "C" fn find_instance(value: *const Value) -> *mut ffi::PyObject {
    // SAFETY: Julia holds Python's lock.
    guard::anywhere(std::ptr::null_mut(), || unsafe { instance::find(value) })
}

unsafe extern "C" fn new_instance(
    class: *mut ffi::PyObject,
    value: *mut Value,
    root: u64,
    mutable: c_int,
) -> *mut ffi::PyObject {
    // SAFETY: Julia holds Python's lock, and passes an exported class and a filled root with what it holds.
    unsafe { guard::object(|py| instance::new(py, class, value, root, mutable != 0)) }
}

unsafe extern "C" fn make_function(entry: Entry, slots: *const Slot, count: usize) -> *mut ffi::PyObject {
    // SAFETY: Julia holds Python's lock and passes the slots that `function::new` requires.
    unsafe { guard::object(|py| function::new(py, entry, std::slice::from_raw_parts(slots, count))) }
}

unsafe extern "C" fn exit(status: c_int) {
    exit_status::set(status);
    // SAFETY: may be called in any thread. It fails only if the list of pending calls is full; then Python is about to run an
    // earlier one of these calls.
    unsafe { ffi::Py_AddPendingCall(Some(raise_exit), std::ptr::null_mut()) };
}

extern "C" fn raise_exit(_: *mut c_void) -> c_int {
    // SAFETY: Python calls it in its main thread, with its lock held.
    exit_status::take()
        .map_or(0, |status| unsafe { guard::value(-1, |_| Err(PySystemExit::new_err(status))) })
}

unsafe extern "C" fn while_waiting() {
    guard::anywhere((), output::write_pending);
    signals::mind_children();
}

unsafe extern "C" fn take_exit() -> c_int {
    exit_status::take().unwrap_or(-1)
}
