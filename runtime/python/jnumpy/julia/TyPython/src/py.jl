# Python objects in Julia.

"""
    Py

A Python object. Attributes, indexing, calling, comparison and `length` are Python's:

    np = py_import("numpy")
    np.zeros((2, 3)).shape[0]

Python's lock must be held, as it is in every function that Python calls.
"""
mutable struct Py
    ptr::PyPtr

    # An empty `Py`, which is filled later.
    Py() = new(NULL)

    # Takes over the reference. Finalizers run in any thread, so they only append the object to the runtime's list.
    function Py(owned::PyPtr)
        object = new(owned)
        finalizer(release, object)
        return object
    end
end

release(object::Py) = ccall(HOST[].release_object, Cvoid, (PyPtr,), getfield(object, :ptr))

"Drops the references in that list. Destructors may run Python code, and may wait for Python's lock."
drop_returned() = @python ccall(HOST[].drop_returned, Cvoid, ())

"A `Py` with a reference of its own, from a borrowed one."
function borrowed(object::PyPtr)
    Py_IncRef(object)
    return Py(object)
end

Base.cconvert(::Type{PyPtr}, object::Py) = object
Base.unsafe_convert(::Type{PyPtr}, object::Py) = getfield(object, :ptr)

"A new reference, which the caller takes over."
function new_reference(object::Py)
    Py_IncRef(object)
    return getfield(object, :ptr)
end

"Python's constants `Py_None`, `Py_True`, `Py_False`, as [`Py`](@ref)."
mutable struct PythonConstants
    Py_None::Py
    Py_True::Py
    Py_False::Py

    PythonConstants() = new()
end

"Python's constants: `PyAPI.Py_None`, `PyAPI.Py_True`, `PyAPI.Py_False`."
const PyAPI = PythonConstants()

"Interned names of attributes."
const NAMES = Dict{Symbol,Py}()

function py_name(name::Symbol)
    hold_lock()
    return get!(NAMES, name) do
        py_cast(Py, String(name))
    end
end

"""
    py_import(name) -> Py

Imports a Python module: `py_import("numpy.linalg")`.
"""
py_import(name::AbstractString) = Py(PyImport_Import(py_cast(Py, String(name))))

"The `numpy` module."
get_numpy() = py_import("numpy")

"The `builtins` module, filled by [`start`](@ref): `G_PyBuiltin.len`."
const G_PyBuiltin = Py()

"The `builtins` module."
get_py_builtin() = G_PyBuiltin

Base.getproperty(object::Py, name::Symbol) = Py(PyObject_GetAttr(object, py_name(name)))

function Base.setproperty!(object::Py, name::Symbol, value)
    PyObject_SetAttr(object, py_name(name), py_cast(Py, value))
    return value
end

function Base.hasproperty(object::Py, name::Symbol)
    try
        getproperty(object, name)
        return true
    catch failure
        failure isa PyException && is_instance(failure.value, :AttributeError) && return false
        rethrow()
    end
end

Base.propertynames(object::Py, private::Bool=false) = [Symbol(py_coerce(String, name)) for name in py_dir(object)]

"`dir(object)`: a Python list of names."
py_dir(object::Py) = Py(PyObject_Dir(object))

# Compares by identity, because Python's `==` may do anything.
is_none(object::Py) = getfield(object, :ptr) == getfield(PyAPI.Py_None, :ptr)
is_true(object::Py) = getfield(object, :ptr) == getfield(PyAPI.Py_True, :ptr)

"Whether an object is of a built-in class or a subclass of it, whatever its `__class__` says."
function is_instance(object::Py, class::Symbol)
    type = PyObject_Type(object)
    found = PyType_IsSubtype(type, getproperty(G_PyBuiltin, class))
    Py_DecRef(type)
    return found == 1
end

index_key(key) = py_cast(Py, key)
index_key(keys...) = py_cast(Py, keys)

Base.getindex(object::Py, keys...) = Py(PyObject_GetItem(object, index_key(keys...)))

function Base.setindex!(object::Py, value, keys...)
    PyObject_SetItem(object, index_key(keys...), py_cast(Py, value))
    return object
end

Base.length(object::Py) = Int(PyObject_Size(object))

function Base.iterate(object::Py, iterator::Py=Py(PyObject_GetIter(object)))
    item = PyIter_Next(iterator)
    item == NULL || return (Py(item), iterator)
    PyErr_Occurred() == NULL || throw(pending_exception())
    return nothing
end

Base.IteratorSize(::Type{Py}) = Base.SizeUnknown()
Base.eltype(::Type{Py}) = Py
Base.in(item, object::Py) = PySequence_Contains(object, py_cast(Py, item)) == 1

# Python's comparison operators, as numbered in `object.h`. `py_eq(a, b)` is the result of Python's operator (an array for an
# array), and `a == b` is its truth value.
for (name, operator, number) in
    ((:py_lt, :<, 0), (:py_le, :<=, 1), (:py_eq, :(==), 2), (:py_ne, :(!=), 3), (:py_gt, :>, 4), (:py_ge, :>=, 5))
    @eval begin
        $name(a::Py, b::Py) = Py(PyObject_RichCompare(a, b, $number))
        Base.$operator(a::Py, b::Py) = PyObject_IsTrue($name(a, b)) == 1
    end
end

function Base.hash(object::Py, seed::UInt)
    value = PyObject_Hash(object)
    value == -1 && throw(pending_exception())
    return hash(value, seed)
end

"`py_tuple_create(items...)`: a Python tuple."
py_tuple_create(items...) = py_cast(Py, items)

function (f::Py)(arguments...; keywords...)
    positional = py_cast(Py, arguments)
    isempty(keywords) && return Py(PyObject_Call(f, positional, NULL))
    named = Py(PyDict_New())
    for (name, value) in keywords
        PyDict_SetItem(named, py_name(name), py_cast(Py, value))
    end
    return Py(PyObject_Call(f, positional, named))
end

Base.show(io::IO, object::Py) = print(io, "Py(", py_coerce(String, Py(PyObject_Repr(object))), ")")
Base.print(io::IO, object::Py) = print(io, py_coerce(String, Py(PyObject_Str(object))))

"Takes Python's lock. Pass the result to [`GIL_END`](@ref)."
GIL_BEGIN() = PyGILState_Ensure()

"Releases Python's lock."
GIL_END(state) = PyGILState_Release(state)

"Promises that a block in [`WITH_GIL`](@ref) does not throw."
struct GILNoRaise end

"""
    WITH_GIL(f)

Runs `f()` with Python's lock held.
"""
function WITH_GIL(f)
    state = GIL_BEGIN()
    try
        return f()
    finally
        GIL_END(state)
    end
end

WITH_GIL(::GILNoRaise, f::Base.Callable) = WITH_GIL(f)
WITH_GIL(f::Base.Callable, ::GILNoRaise) = WITH_GIL(f)

"Runs `f()` without Python's lock."
function without_gil(f)
    state = @python ccall(HOST[].begin_without_lock, Ptr{Cvoid}, ())
    try
        return f()
    finally
        @python ccall(HOST[].end_without_lock, Cvoid, (Ptr{Cvoid},), state)
    end
end
