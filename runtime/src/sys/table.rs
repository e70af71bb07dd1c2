//! The two tables of functions that Rust and TyPython exchange once, when Julia starts. TyPython's `slots.jl` declares the
//! same fields in the same order; a test compares them.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicU8, AtomicUsize};

use pyo3::ffi::PyObject;

use super::libjulia::Value;
use super::slot::{Entry, Slot};

/// The number of values in a block of roots: see [`HostFunctions::add_roots`].
pub(crate) const ROOT_BLOCK: usize = 1024;

/// The host functions, which TyPython calls. The caller holds Python's lock, except for functions marked "any thread".
#[repr(C)]
pub(crate) struct HostFunctions {
    /// [`super::slot::PROTOCOL`].
    pub(crate) protocol: u64,
    /// The address of a function or object of Python's C API by name, or NULL.
    pub(crate) symbol: unsafe extern "C" fn(*const c_char) -> *mut c_void,
    /// `read(kind, lenient, object, slot)`: 0, or -1 with a Python exception set. Text and arrays in the slot
    /// live as long as `object`, or as the owner named in the slot, which is then owned by the caller.
    pub(crate) read: unsafe extern "C" fn(u8, c_int, *mut PyObject, *mut Slot) -> c_int,
    /// A new Python object of a scalar or text slot, or NULL with a Python exception set.
    pub(crate) object: unsafe extern "C" fn(*const Slot) -> *mut PyObject,
    /// `new_array(slot, strides, root)`: an ndarray over Julia's memory with strides in bytes, which frees `root` when it is
    /// deallocated. Takes over the root, even if it fails.
    pub(crate) new_array: unsafe extern "C" fn(*const Slot, *const isize, u64) -> *mut PyObject,
    /// `owner_of(array, data, length, c_order)`: a new reference to the ndarray that this Julia array was made
    /// from, if its memory is still the same, or NULL.
    pub(crate) owner_of: unsafe extern "C" fn(*const Value, *const c_void, usize, c_int) -> *mut PyObject,
    /// `find_shared(slot)`: the Julia array made earlier from the ndarray in the slot, or NULL if it has been
    /// collected or either one has changed. The caller roots it before the next collection can run.
    pub(crate) find_shared: unsafe extern "C" fn(*const Slot) -> *const Value,
    /// `register_share(array, slot)`: from now on, the Julia array keeps the owner in the slot alive.
    pub(crate) register_share: unsafe extern "C" fn(*const Value, *const Slot),
    /// Finalizer of a registered array. Any thread.
    pub(crate) release_array: unsafe extern "C" fn(*mut Value),
    /// Gives back a reference that Julia owns. Any thread.
    pub(crate) release_object: unsafe extern "C" fn(*mut PyObject),
    /// The number of a free root, or -1 if `add_roots` has to be called first.
    pub(crate) take_root: unsafe extern "C" fn() -> i64,
    /// Adds a block of [`ROOT_BLOCK`] roots, all `nothing`, that is never moved or freed.
    pub(crate) add_roots: unsafe extern "C" fn(*mut *mut Value),
    /// Makes the Python function of an exported Julia function: `function(entry, slots, count)`, see
    /// [`crate::python::entry::function`] for the slots.
    pub(crate) function: unsafe extern "C" fn(Entry, *const Slot, usize) -> *mut PyObject,
    /// Which code the thread that started Julia runs: see [`crate::julia::signals`].
    pub(crate) running_in: &'static AtomicU8,
    /// `read_items(kind, takes none, tuple, start, count, slots)`: reads items of a tuple as `kind`, or as `nothing`, into
    /// slots, and returns how many; fewer than `count` with a Python exception set. Not for kinds whose slots own something.
    pub(crate) read_items: unsafe extern "C" fn(u8, c_int, *mut PyObject, isize, isize, *mut Slot) -> isize,
    /// `call(callable, arguments, count, result)`: 0 with the result in a slot, a number, an array whose owner is owned, or an
    /// owned object; -1 with a Python exception set; -2 in a thread that Python does not know. Objects in the arguments are
    /// borrowed.
    pub(crate) call: unsafe extern "C" fn(*mut PyObject, *const Slot, usize, *mut Slot) -> c_int,
    /// `write_output(stream, text, length)`: writes to `sys.stdout` (1) or `sys.stderr` (2). 0, or -1 with a Python exception
    /// set. Any thread: without Python's lock, the text is queued and written soon.
    pub(crate) write_output: unsafe extern "C" fn(c_int, *const u8, usize) -> c_int,
    /// `flush_output(stream)`: 0, or -1 with a Python exception set. Any thread, as above.
    pub(crate) flush_output: unsafe extern "C" fn(c_int) -> c_int,
    /// `read_input(buffer, size)`: reads from `sys.stdin` up to the end of a line. Returns the number of bytes, 0 at the end of
    /// input, or -1 with a Python exception set. Any thread: without Python's lock, it reads from descriptor 0.
    pub(crate) read_input: unsafe extern "C" fn(*mut u8, usize) -> isize,
    /// `terminal(stream, size)`: whether a stream is a terminal; if so, `size` gets its rows and columns.
    pub(crate) terminal: unsafe extern "C" fn(c_int, *mut c_int) -> c_int,
    /// Called from time to time while Julia waits: writes the text that other threads have queued, and checks the handler for
    /// child processes.
    pub(crate) while_waiting: unsafe extern "C" fn(),
    /// `exit(status)`: raises `SystemExit` in Python's main thread, unless `take_exit` takes the status before. Any thread.
    pub(crate) exit: unsafe extern "C" fn(c_int),
    /// The status that a thread wants to end the process with, or -1.
    pub(crate) take_exit: unsafe extern "C" fn() -> c_int,
    /// `find_instance(value)`: a new reference to the Python object of a mutable Julia object, or NULL if there is none.
    pub(crate) find_instance: unsafe extern "C" fn(*const Value) -> *mut PyObject,
    /// `new_instance(class, value, root, mutable)`: an instance of an exported class for the Julia object in the root, or NULL
    /// with a Python exception set. Takes over the root, even if it fails.
    pub(crate) new_instance: unsafe extern "C" fn(*mut PyObject, *mut Value, u64, c_int) -> *mut PyObject,
    /// Drops the references that Julia has given back, as the end of every call does. The caller holds Python's lock.
    pub(crate) drop_returned: unsafe extern "C" fn(),
    /// The number of threads that have given Python's lock away to wait: see [`crate::julia::waiting`]. Any thread.
    pub(crate) given_away: &'static AtomicUsize,
    /// Takes the lock back if this thread has given it away. Any thread.
    pub(crate) take_back: extern "C" fn(),
    /// Begins a function that runs without Python's lock; the result is for `end_without_lock`.
    pub(crate) begin_without_lock: unsafe extern "C" fn() -> *mut c_void,
    /// Ends such a function. Afterwards, the thread holds the lock again.
    pub(crate) end_without_lock: unsafe extern "C" fn(*mut c_void),
}

/// The Julia functions, which Rust calls.
#[repr(C)]
pub(crate) struct JuliaFunctions {
    /// TyPython's protocol number.
    pub(crate) protocol: u64,
    /// `(code, wants value)` → the value, or `None`.
    pub(crate) evaluate: Entry,
    /// `(path)` → `None`.
    pub(crate) include: Entry,
    /// `(directory, name, Python package, stay active)` → `None`.
    pub(crate) load_project: Entry,
    /// `(environments, depots, directories of libraries)` → `None`.
    pub(crate) extend_paths: Entry,
    /// `()` → text: UUIDs and source files of what is loaded.
    pub(crate) loaded_packages: Entry,
    /// `(root, part)` → text: of the exception in the root 0 the message, 1 the backtrace, 2 the type.
    pub(crate) describe: Entry,
    /// `(root, guarded)` → the address of a better entry of a function whose entries are in a root, or 0 if there is none.
    pub(crate) often_called_entry: Entry,
    /// `()` → `None`: wakes the threads that wait in Julia.
    pub(crate) wake_threads: Entry,
    /// `(array)`: registers [`HostFunctions::release_array`] again.
    pub(crate) renew_finalizer: unsafe extern "C" fn(*const Value),
    /// Julia's counter of world ages; `None` if Julia has several threads, because an entry always needs its `try` then.
    pub(crate) world: Option<&'static AtomicUsize>,
}
