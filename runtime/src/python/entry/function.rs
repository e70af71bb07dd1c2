//! The Python function of an exported Julia function: a callable with its own `vectorcall`. A call is one C call from CPython,
//! the conversion of the arguments, and one C call into Julia.

use std::ffi::{c_int, c_uint, c_void};
use std::mem::MaybeUninit;

use pyo3::exceptions::{PyOverflowError, PySystemError, PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

use super::entries::Entries;
use super::guard;
use super::heap_type::{self, slot};
use super::read::{self, Mode};
use super::write;
use crate::julia::start::running;
use crate::python::exception::{Root, refused};
use crate::sys::slot::{Entry, IN_PLACE, Kind, OPERAND, READ_ONLY, Slot};

/// Flags of a parameter in the slots that TyPython sends (`Slot::flags`).
const OPTIONAL: u8 = 1;
const KEYWORD_ONLY: u8 = 2;
const NULLABLE: u8 = 4;
const WRITTEN: u8 = 8;
const ONLY_READ: u8 = 16;
/// Flags of a function in its slot with the roots.
const METHOD: u8 = 1;
const OPERATOR: u8 = 2;
/// Slots before the first parameter: see [`new`].
const HEADER: usize = 7;
/// Slots of a parameter: name (kind in `dtype`, flags), type, default.
const PER_PARAMETER: usize = 3;

/// Calls with up to this many parameters need no allocation.
const ON_STACK: usize = 8;

struct Parameter {
    /// An interned `str`, which is never released.
    name: *mut ffi::PyObject,
    text: String,
    /// The name of the declared type if it is an integer of fewer than 64 bits. All of them are read as `Int64`.
    narrow: Option<&'static str>,
    /// NumPy's name for the element type of the declared array type, unless that is `float`.
    dtype: Option<&'static str>,
    kind: Kind,
    optional: bool,
    keyword_only: bool,
    nullable: bool,
    /// The flags of the argument's slot before the argument is read.
    flags: u8,
    /// The address of the class of an instance, which is never released; otherwise 0.
    class: u64,
}

/// An exported function. It is never freed, like the Julia code that it calls.
struct Function {
    entries: Entries,
    name: String,
    parameters: Box<[Parameter]>,
    /// The number of parameters before the first keyword-only parameter.
    positional: usize,
}

#[repr(C)]
struct FunctionObject {
    base: ffi::PyObject,
    vectorcall: ffi::vectorcallfunc,
    dict: *mut ffi::PyObject,
    weak_references: *mut ffi::PyObject,
    function: &'static Function,
}

/// Makes the Python function. `slots`: name, module, Julia name, docstring, type of the result, Python's types of the
/// parameters and of the result (one on each line), roots of the Julia function and of its entries, then name, type, and
/// default of each parameter. The class of an instance is in the slot with the name of the parameter.
///
/// # Safety
/// `slots` are as described, texts but for the roots, and `entry` takes the parameters they describe.
pub(super) unsafe fn new(py: Python<'_>, entry: Entry, slots: &[Slot]) -> PyResult<*mut ffi::PyObject> {
    let [name, module, qualified, documentation, result, annotations, root] =
        slots.get(..HEADER).unwrap_or_default()
    else {
        return Err(PySystemError::new_err("the description of a function is too short"));
    };
    let traits = root.flags;
    let (root, entries) = (Root::new(root.a), root.b);
    // SAFETY: the other slots are texts (the caller's promise).
    let text = |slot: &Slot| unsafe {
        Bound::from_owned_ptr_or_err(py, write::scalar(py, slot))?
            .cast_into::<PyString>()
            .map_err(PyErr::from)
    };
    let name = text(name)?;
    let mut parameters = Vec::new();
    let mut described = Vec::new();
    for slots in slots[HEADER..].chunks_exact(PER_PARAMETER) {
        let slot = &slots[0];
        let texts = slots.iter().map(text).collect::<PyResult<Vec<_>>>()?;
        let text = texts[0].to_str()?;
        let kind = Kind::from_number(slot.dtype)
            .ok_or_else(|| PySystemError::new_err(format!("parameter `{text}` has kind {}", slot.dtype)))?;
        let (optional, keyword_only) = (slot.flags & OPTIONAL != 0, slot.flags & KEYWORD_ONLY != 0);
        described
            .push((&texts[0], &texts[1], optional.then_some(&texts[2]), keyword_only).into_pyobject(py)?);
        parameters.push(Parameter {
            name: PyString::intern(py, text).into_ptr(),
            text: text.to_owned(),
            narrow: narrow_integer(texts[1].to_str()?),
            dtype: dtype(texts[1].to_str()?),
            kind,
            optional,
            keyword_only,
            nullable: slot.flags & NULLABLE != 0,
            flags: if slot.flags & WRITTEN == 0 { 0 } else { IN_PLACE }
                | if slot.flags & ONLY_READ == 0 { 0 } else { READ_ONLY }
                | if traits & OPERATOR == 0 || parameters.is_empty() { 0 } else { OPERAND },
            class: kept_class(slot, kind),
        });
    }
    let function = Box::leak(Box::new(Function {
        entries: Entries::new(entry, entries),
        name: name.to_str()?.to_owned(),
        positional: parameters.iter().take_while(|parameter| !parameter.keyword_only).count(),
        parameters: parameters.into_boxed_slice(),
    }));
    let class = if traits & METHOD == 0 { function_type(py) } else { method_type(py) }?;
    let object = allocate(py, class, function)?;
    object.setattr("__name__", &name)?;
    object.setattr("__qualname__", name)?;
    object.setattr("__module__", text(module)?)?;
    object.setattr("__julia_name__", text(qualified)?)?;
    let documentation = text(documentation)?;
    object.setattr("__doc__", if documentation.is_empty()? { None } else { Some(documentation) })?;
    object.setattr("__julia_result__", text(result)?)?;
    object.setattr("__julia_annotations__", text(annotations)?)?;
    object.setattr("__julia_function__", root)?;
    object.setattr("__julia_parameters__", PyTuple::new(py, described)?)?;
    Ok(object.into_ptr())
}

/// The name of the integer type of less than 64 bits in `T` or `Union{Nothing, T}`.
fn narrow_integer(julia_type: &str) -> Option<&'static str> {
    let inner = julia_type.strip_prefix("Union{Nothing, ").and_then(|rest| rest.strip_suffix('}'));
    ["Int8", "Int16", "Int32", "UInt8", "UInt16", "UInt32"]
        .into_iter()
        .find(|&narrow| inner.unwrap_or(julia_type) == narrow)
}

/// NumPy's name for the element type of an array type, such as `Union{Nothing, Array{UInt8,1}}` or
/// `Vector{Complex{Float64}}`.
fn dtype(julia_type: &str) -> Option<&'static str> {
    let (front, element) = julia_type.rsplit_once('{')?;
    let element = element.split([',', '}']).next()?.trim_start_matches("<:");
    Some(match element {
        "Float64" if front.ends_with("Complex") => "complex",
        "Float32" if front.ends_with("Complex") => "np.complex64",
        "ComplexF64" => "complex",
        "ComplexF32" => "np.complex64",
        "Bool" => "bool",
        "Int8" => "np.int8",
        "Int16" => "np.int16",
        "Int32" => "np.int32",
        "Int64" => "np.int64",
        "UInt8" => "np.uint8",
        "UInt16" => "np.uint16",
        "UInt32" => "np.uint32",
        "UInt64" => "np.uint64",
        "Float16" => "np.float16",
        "Float32" => "np.float32",
        _ => return None,
    })
}

/// The class of a parameter that takes instances, with a reference that is never released.
fn kept_class(slot: &Slot, kind: Kind) -> u64 {
    if kind != Kind::Instance {
        return 0;
    }
    // SAFETY: TyPython puts the address of a live class there.
    unsafe { ffi::Py_IncRef(std::ptr::with_exposed_provenance_mut(write::address(slot.c))) };
    slot.c
}

fn allocate<'py>(
    py: Python<'py>,
    class: &Bound<'py, PyType>,
    function: &'static Function,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the type was made by `make_type` with the size and the layout of `FunctionObject`; the instance
    // dictionary starts empty and is created by the first attribute.
    unsafe {
        let object = ffi::PyType_GenericAlloc(class.as_ptr().cast(), 0);
        let object = Bound::from_owned_ptr_or_err(py, object)?;
        let fields = object.as_ptr().cast::<FunctionObject>();
        (&raw mut (*fields).vectorcall).write(vectorcall);
        (&raw mut (*fields).function).write(function);
        Ok(object)
    }
}

/// Lets an exported function call the code of another one, which was made from a newer definition. Their attributes are not
/// changed.
#[pyfunction]
pub(crate) fn take_over(old: &Bound<'_, PyAny>, new: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = old.py();
    let class = new.get_type();
    if !old.get_type().is(&class) || !(class.is(function_type(py)?) || class.is(method_type(py)?)) {
        return Err(PyTypeError::new_err("expected two exported functions of one kind"));
    }
    // SAFETY: both have the layout of `FunctionObject`. Python's lock is held, and a call that runs keeps its own reference to
    // the former description, which is never freed.
    unsafe {
        let function = (*new.as_ptr().cast::<FunctionObject>()).function;
        (&raw mut (*old.as_ptr().cast::<FunctionObject>()).function).write(function);
    }
    Ok(())
}

/// The type of exported functions.
pub(crate) fn function_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(TYPE.get_or_try_init(py, || make_type(py, c"jnumpy.JuliaFunction", 0, bind_to))?.bind(py))
}

/// The type of exported functions that are methods of a class. CPython passes the instance without creating a bound method.
pub(crate) fn method_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    const METHOD_DESCRIPTOR: c_uint = 1 << 17;
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(TYPE
        .get_or_try_init(py, || make_type(py, c"jnumpy.JuliaMethod", METHOD_DESCRIPTOR, bind_method))?
        .bind(py))
}

fn make_type(
    py: Python<'_>,
    name: &'static std::ffi::CStr,
    flags: c_uint,
    descr_get: ffi::descrgetfunc,
) -> PyResult<Py<PyType>> {
    // The name is in the stable ABI since 3.12; heap types support the flag since 3.9.
    const HAVE_VECTORCALL: c_uint = 1 << 11;
    const MEMBER_SSIZE: c_int = 19;
    const MEMBER_READ_ONLY: c_int = 1;
    let member = |name: &'static std::ffi::CStr, offset: usize| ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: MEMBER_SSIZE,
        offset: offset.cast_signed(),
        flags: MEMBER_READ_ONLY,
        doc: std::ptr::null(),
    };
    // CPython keeps pointers to these tables for the life of the type.
    let members = Box::leak(Box::new([
        member(c"__vectorcalloffset__", std::mem::offset_of!(FunctionObject, vectorcall)),
        member(c"__dictoffset__", std::mem::offset_of!(FunctionObject, dict)),
        member(c"__weaklistoffset__", std::mem::offset_of!(FunctionObject, weak_references)),
        ffi::PyMemberDef::default(),
    ]));
    let getter = |name: &'static std::ffi::CStr, get: ffi::getter| ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: None,
        doc: std::ptr::null(),
        closure: std::ptr::null_mut(),
    };
    let getset = Box::leak(Box::new([
        getter(c"__signature__", signature),
        getter(c"__annotations__", annotations),
        ffi::PyGetSetDef {
            name: c"__dict__".as_ptr(),
            get: Some(ffi::PyObject_GenericGetDict),
            set: Some(ffi::PyObject_GenericSetDict),
            doc: std::ptr::null(),
            closure: std::ptr::null_mut(),
        },
        ffi::PyGetSetDef::default(),
    ]));
    let mut slots = [
        slot(ffi::Py_tp_call, call as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        slot(ffi::Py_tp_descr_get, descr_get as *mut c_void),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        heap_type::method(
            c"__reduce__",
            reduce,
            ffi::METH_NOARGS,
            c"Pickles by reference: the reading process imports the package.",
        ),
        slot(ffi::Py_tp_getset, getset.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getattro, ffi::PyObject_GenericGetAttr as *mut c_void),
        slot(ffi::Py_tp_setattro, ffi::PyObject_GenericSetAttr as *mut c_void),
        slot(0, std::ptr::null_mut()),
    ];
    // SAFETY: the slots are for this layout, and name functions and tables that are never freed. Only `allocate` makes
    // instances: `object.__new__`, which a type without `Py_tp_new` inherits, is disabled below.
    let class = unsafe { heap_type::make::<FunctionObject>(py, name, HAVE_VECTORCALL | flags, &mut slots)? };
    class.setattr("__new__", refuse_new(py)?)?;
    Ok(class.unbind())
}

fn refuse_new(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    #[pyfunction]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn new_julia_function(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, pyo3::types::PyDict>>,
    ) -> PyResult<()> {
        Err(PyTypeError::new_err("a JuliaFunction is made by `Pyfunc` in Julia, not by calling its type"))
    }
    let function = wrap_pyfunction!(new_julia_function, py)?;
    py.import("builtins")?.getattr("staticmethod")?.call1((function,))
}

unsafe extern "C" fn vectorcall(
    callable: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython passes an instance of our type and as many arguments as it says, positional ones first, then
    // one for each name.
    unsafe {
        let function = (*callable.cast::<FunctionObject>()).function;
        let positional = count & !(1 << (usize::BITS - 1));
        guard::object(|py| {
            let keywords = if names.is_null() { 0 } else { ffi::PyTuple_Size(names).unsigned_abs() };
            let arguments: &[*mut ffi::PyObject] = if arguments.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(arguments, positional + keywords)
            };
            if function.parameters.len() <= ON_STACK {
                let mut slots = [const { MaybeUninit::uninit() }; ON_STACK];
                invoke(py, function, arguments, positional, names, &mut slots)
            } else {
                let mut slots = vec![MaybeUninit::uninit(); function.parameters.len()];
                invoke(py, function, arguments, positional, names, &mut slots)
            }
        })
    }
}

/// # Safety
/// `arguments` are live objects, `names` NULL or a tuple of names for those after `positional`, and there is a
/// slot for each parameter.
#[inline]
unsafe fn invoke(
    py: Python<'_>,
    function: &Function,
    arguments: &[*mut ffi::PyObject],
    positional: usize,
    names: *mut ffi::PyObject,
    slots: &mut [MaybeUninit<Slot>],
) -> PyResult<*mut ffi::PyObject> {
    // A call that is not possible is refused before any argument is read.
    let running = match running() {
        Ok(running) => running,
        Err(refusal) => return Err(refused(refusal)),
    };
    let mut owners = Owners::default();
    // SAFETY: the caller's promises; `read` and `bind` fill every slot that the entry reads.
    unsafe {
        if names.is_null() && positional == function.positional && positional == function.parameters.len() {
            for ((parameter, &argument), slot) in
                function.parameters.iter().zip(arguments).zip(slots.iter_mut())
            {
                if let Err(error) = read_argument(py, function, parameter, argument, slot, &mut owners) {
                    if parameter.flags & OPERAND != 0 && error.is_instance_of::<PyTypeError>(py) {
                        return Ok(py.NotImplemented().into_ptr());
                    }
                    return Err(error);
                }
            }
        } else {
            bind(py, function, arguments, positional, names, slots, &mut owners)?;
        }
        let mut result = Slot::nothing();
        function.entries.call(running, slots.as_ptr().cast(), &raw mut result);
        Ok(write::finish(py, &result))
    }
}

/// References that arguments own until the call has ended.
#[derive(Default)]
struct Owners(Vec<*mut ffi::PyObject>, Option<*mut ffi::PyObject>);

impl Owners {
    #[inline]
    fn keep(&mut self, owner: *mut ffi::PyObject) {
        // The first reference, which is usually the only one, needs no allocation.
        if self.1.is_none() { self.1 = Some(owner) } else { self.0.push(owner) }
    }
}

impl Drop for Owners {
    #[inline]
    fn drop(&mut self) {
        for owner in self.1.into_iter().chain(self.0.drain(..)) {
            // SAFETY: a reference that `read` handed over, dropped once; the call runs with Python's lock held.
            unsafe { ffi::Py_DecRef(owner) };
        }
    }
}

/// # Safety
/// As for [`read::read`].
#[inline]
unsafe fn read_argument(
    py: Python<'_>,
    function: &Function,
    parameter: &Parameter,
    argument: *mut ffi::PyObject,
    slot: &mut MaybeUninit<Slot>,
    owners: &mut Owners,
) -> PyResult<()> {
    let slot = slot.write(Slot { flags: parameter.flags, a: parameter.class, ..Slot::nothing() });
    // SAFETY: the caller's promise.
    unsafe {
        if parameter.nullable && argument == ffi::Py_None() {
            return Ok(());
        }
        match read::read(py, parameter.kind, Mode::Strict, argument, slot) {
            Ok(()) => {}
            Err(error) => return Err(in_argument(py, function, parameter, error)),
        }
    }
    if let Some(owner) = read::owner(slot) {
        owners.keep(owner);
    }
    Ok(())
}

/// The same exception, with the names of the function and the argument in its message.
#[cold]
fn in_argument(py: Python<'_>, function: &Function, parameter: &Parameter, error: PyErr) -> PyErr {
    let class = error.get_type(py);
    // The argument would be a copy, and the function writes into it.
    let is_copy = parameter.flags & IN_PLACE != 0
        && parameter.kind == Kind::Array
        && class.is(py.get_type::<PyValueError>());
    let reason = if is_copy || class.is(py.get_type::<PyTypeError>()) {
        let reason = error.value(py).to_string();
        match parameter.dtype {
            Some(dtype) => reason.replace("dtype=float)", &format!("dtype={dtype})")),
            None => reason,
        }
    } else if class.is(py.get_type::<PyUnicodeEncodeError>()) {
        // The message is built from the attributes of the exception.
        let value = error.value(py);
        if let Ok(reason) = value.getattr("reason") {
            let _ = value
                .setattr("reason", format!("{reason} ({}() argument `{}`)", function.name, parameter.text));
        }
        return error;
    } else if class.is(py.get_type::<PyOverflowError>()) {
        let reason = error.value(py).to_string();
        parameter
            .narrow
            .map_or_else(|| reason.clone(), |narrow| reason.replace(" Int64", &format!(" {narrow}")))
    } else {
        return error;
    };
    PyErr::from_type(class, format!("{}() argument `{}`: {reason}", function.name, parameter.text))
}

/// Binds positional and keyword arguments to parameters, with the same error messages as Python.
///
/// # Safety
/// As for [`invoke`].
#[cold]
unsafe fn bind(
    py: Python<'_>,
    function: &Function,
    arguments: &[*mut ffi::PyObject],
    positional: usize,
    names: *mut ffi::PyObject,
    slots: &mut [MaybeUninit<Slot>],
    owners: &mut Owners,
) -> PyResult<()> {
    let name = &function.name;
    let wrong = |text: String| PyErr::new::<PyTypeError, _>(text);
    let mut bound = vec![std::ptr::null_mut(); function.parameters.len()];
    for (place, &argument) in bound[..function.positional].iter_mut().zip(&arguments[..positional]) {
        *place = argument;
    }
    for (index, &argument) in arguments[positional..].iter().enumerate() {
        // SAFETY: `names` is a tuple of strings with an entry for each of these arguments.
        let key = unsafe { Bound::from_borrowed_ptr(py, ffi::PyTuple_GetItem(names, index.cast_signed())) };
        let known = function.parameters.iter().position(|parameter| {
            parameter.name == key.as_ptr() || key.extract::<&str>().is_ok_and(|key| key == parameter.text)
        });
        let Some(known) = known else {
            key.cast::<PyString>().map_err(|_| wrong("keywords must be strings".into()))?;
            return Err(wrong(format!("{name}() got an unexpected keyword argument '{key}'")));
        };
        if !bound[known].is_null() {
            return Err(wrong(format!("{name}() got multiple values for argument '{key}'")));
        }
        bound[known] = argument;
    }
    if positional > function.positional {
        let keywords = bound[function.positional..].iter().filter(|argument| !argument.is_null()).count();
        return Err(wrong(too_many(function, positional, keywords)));
    }
    for (keyword_only, kind) in [(false, "positional"), (true, "keyword-only")] {
        let missing: Vec<&str> = function
            .parameters
            .iter()
            .zip(&bound)
            .filter(|(parameter, argument)| {
                argument.is_null() && !parameter.optional && parameter.keyword_only == keyword_only
            })
            .map(|(parameter, _)| parameter.text.as_str())
            .collect();
        if !missing.is_empty() {
            let count = missing.len();
            let plural = if count == 1 { "" } else { "s" };
            let names = listed(&missing);
            return Err(wrong(format!("{name}() missing {count} required {kind} argument{plural}: {names}")));
        }
    }
    for ((parameter, &argument), slot) in function.parameters.iter().zip(&bound).zip(slots) {
        if argument.is_null() {
            slot.write(Slot::missing());
        } else {
            // SAFETY: the argument is alive as long as the call.
            unsafe { read_argument(py, function, parameter, argument, slot, owners) }?;
        }
    }
    Ok(())
}

/// Python's message for too many positional arguments; `keywords` is the number of keyword-only arguments that were given.
fn too_many(function: &Function, given: usize, keywords: usize) -> String {
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let most = function.positional;
    let least = function.parameters[..most].iter().filter(|parameter| !parameter.optional).count();
    let takes = if least == most { most.to_string() } else { format!("from {least} to {most}") };
    let plural = if least == most { s(most) } else { "s" };
    let beside = if keywords == 0 {
        String::new()
    } else {
        format!(" positional argument{} (and {keywords} keyword-only argument{})", s(given), s(keywords))
    };
    let was = if given == 1 && keywords == 0 { "was" } else { "were" };
    format!("{}() takes {takes} positional argument{plural} but {given}{beside} {was} given", function.name)
}

/// `'a'`, `'a' and 'b'`, or `'a', 'b', and 'c'`, as Python lists missing arguments.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}

/// `tp_call`: converts a call with a tuple and a dictionary into a vectorcall.
unsafe extern "C" fn call(
    callable: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython passes an instance of our type, a tuple, and NULL or a dictionary with `str` keys; borrowed
    // references stay alive in them during the call.
    unsafe {
        guard::object(|py| {
            let positional = ffi::PyTuple_Size(arguments).unsigned_abs();
            let mut values: Vec<_> =
                (0..positional).map(|index| ffi::PyTuple_GetItem(arguments, index.cast_signed())).collect();
            let mut names = None;
            if !keywords.is_null() && ffi::PyDict_Size(keywords) > 0 {
                let keys = Bound::from_owned_ptr_or_err(py, ffi::PyDict_Keys(keywords))?;
                for key in keys.try_iter()? {
                    values.push(ffi::PyDict_GetItemWithError(keywords, key?.as_ptr()));
                }
                names = Some(Bound::from_owned_ptr_or_err(py, ffi::PyList_AsTuple(keys.as_ptr()))?);
            }
            let names = names.as_ref().map_or(std::ptr::null_mut(), Bound::as_ptr);
            Ok(vectorcall(callable, values.as_ptr(), positional, names))
        })
    }
}

unsafe extern "C" fn repr(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython passes an instance of our type.
    unsafe {
        guard::object(|py| {
            let name = Bound::from_borrowed_ptr(py, object).getattr("__julia_name__")?;
            Ok(PyString::new(py, &format!("<Julia function {name}>")).into_ptr())
        })
    }
}

unsafe extern "C" fn reduce(object: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython passes an instance of our type.
    unsafe { guard::object(|py| introspect(py, object, "reduce")) }
}

unsafe extern "C" fn signature(object: *mut ffi::PyObject, _: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: CPython passes an instance of our type.
    unsafe { guard::object(|py| introspect(py, object, "signature")) }
}

/// `__get__`: like a built-in function, an exported function that is an attribute of a class is not bound to the instance.
/// `inspect.isroutine` requires this method.
unsafe extern "C" fn bind_to(
    function: *mut ffi::PyObject,
    _instance: *mut ffi::PyObject,
    _class: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython passes an instance of our type, with its lock held.
    unsafe { ffi::Py_IncRef(function) };
    function
}

/// `__get__` of a method.
unsafe extern "C" fn bind_method(
    function: *mut ffi::PyObject,
    instance: *mut ffi::PyObject,
    class: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    static BOUND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // SAFETY: CPython passes live objects, the instance or NULL, and holds its lock.
    unsafe {
        if instance.is_null() {
            return bind_to(function, instance, class);
        }
        guard::object(|py| {
            let bound =
                BOUND.get_or_try_init(py, || py.import("types")?.getattr("MethodType").map(Bound::unbind))?;
            let arguments = (Bound::from_borrowed_ptr(py, function), Bound::from_borrowed_ptr(py, instance));
            Ok(bound.bind(py).call1(arguments)?.into_ptr())
        })
    }
}

unsafe extern "C" fn annotations(object: *mut ffi::PyObject, _: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: CPython passes an instance of our type.
    unsafe { guard::object(|py| introspect(py, object, "annotations")) }
}

/// Calls a helper of `jnumpy._function`, which is imported only when it is needed.
///
/// # Safety
/// `object` is a live object.
unsafe fn introspect(
    py: Python<'_>,
    object: *mut ffi::PyObject,
    helper: &str,
) -> PyResult<*mut ffi::PyObject> {
    // SAFETY: the caller's promise.
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    Ok(py.import("jnumpy._function")?.getattr(helper)?.call1((object,))?.into_ptr())
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn missing_arguments_are_listed_as_python_does() {
        assert_eq!(listed(&["a"]), "'a'");
        assert_eq!(listed(&["a", "b"]), "'a' and 'b'");
        assert_eq!(listed(&["a", "b", "c"]), "'a', 'b', and 'c'");
    }
}
