# Python's C functions by name. The runtime provides their addresses when Julia starts. Each line of the table says what the result
# means, and the generated function checks the result, so no code above has to check for NULL or -1.

"A new reference; NULL throws."
struct Owned end
"A borrowed reference or NULL."
struct Borrowed end
"A new reference or NULL; exceptions are not checked."
struct Optional end
"Throws if negative."
struct Status end

const C_NAMES = Symbol[]
const C_ADDRESSES = Ptr{Cvoid}[]

c_type(::Union{Type{Owned},Type{Borrowed},Type{Optional}}) = PyPtr
c_type(::Type{Status}) = Cssize_t
c_type(T::Type) = T

@inline checked(::Type{Owned}, result) = result == NULL ? throw(pending_exception()) : result
@inline checked(::Type{Status}, result) = result < 0 ? throw(pending_exception()) : result
@inline checked(::Type, result) = result

macro c_functions(block)
    definitions = map(filter(line -> line isa Expr, block.args)) do line
        call, meaning = line.args
        name = call.args[1]
        types = map(argument -> argument.args[1], call.args[2:end])
        names = [Symbol(:argument, index) for index in 1:length(types)]
        push!(C_NAMES, name)
        number = length(C_NAMES)
        # Both C `int` and `Py_ssize_t` are checked.
        result = meaning === :IntStatus ? :Cint : :(c_type($meaning))
        meaning = meaning === :IntStatus ? :Status : meaning
        quote
            @inline function $(esc(name))($(names...))
                @inbounds function_address = C_ADDRESSES[$number]
                result = @python ccall(function_address, $result, ($(types...),), $(names...))
                return checked($meaning, result)
            end
        end
    end
    return Expr(:block, definitions...)
end

@c_functions begin
    PyObject_GetAttr(::PyPtr, ::PyPtr)::Owned
    PyObject_SetAttr(::PyPtr, ::PyPtr, ::PyPtr)::IntStatus
    PyObject_GetItem(::PyPtr, ::PyPtr)::Owned
    PyObject_SetItem(::PyPtr, ::PyPtr, ::PyPtr)::IntStatus
    PyObject_Call(::PyPtr, ::PyPtr, ::PyPtr)::Owned
    PyObject_RichCompare(::PyPtr, ::PyPtr, ::Cint)::Owned
    PyObject_IsTrue(::PyPtr)::IntStatus
    PyObject_Size(::PyPtr)::Status
    PyObject_Str(::PyPtr)::Owned
    PyObject_Repr(::PyPtr)::Owned
    PyObject_Dir(::PyPtr)::Owned
    PyObject_IsInstance(::PyPtr, ::PyPtr)::IntStatus
    PyObject_Type(::PyPtr)::Owned
    PyType_IsSubtype(::PyPtr, ::PyPtr)::Cint
    PyObject_Hash(::PyPtr)::Cssize_t
    PyObject_GetIter(::PyPtr)::Owned
    PyIter_Next(::PyPtr)::Optional
    PySequence_Contains(::PyPtr, ::PyPtr)::IntStatus
    PyImport_Import(::PyPtr)::Owned
    PyImport_GetModuleDict()::Borrowed
    PyModule_NewObject(::PyPtr)::Owned
    PySequence_Tuple(::PyPtr)::Owned
    PyTuple_New(::Cssize_t)::Owned
    PyTuple_SetItem(::PyPtr, ::Cssize_t, ::PyPtr)::IntStatus    # steals the item
    PyTuple_GetItem(::PyPtr, ::Cssize_t)::Borrowed
    PyTuple_Size(::PyPtr)::Status
    PyList_New(::Cssize_t)::Owned
    PyList_SetItem(::PyPtr, ::Cssize_t, ::PyPtr)::IntStatus     # steals the item
    PyDict_New()::Owned
    PyDict_SetItem(::PyPtr, ::PyPtr, ::PyPtr)::IntStatus
    PyErr_CheckSignals()::IntStatus
    PyErr_Occurred()::Borrowed
    PyErr_Fetch(::Ptr{PyPtr}, ::Ptr{PyPtr}, ::Ptr{PyPtr})::Cvoid
    PyErr_NormalizeException(::Ptr{PyPtr}, ::Ptr{PyPtr}, ::Ptr{PyPtr})::Cvoid
    PyErr_Restore(::PyPtr, ::PyPtr, ::PyPtr)::Cvoid             # steals all three
    PyGILState_Ensure()::Cint
    PyGILState_Release(::Cint)::Cvoid
    Py_IncRef(::PyPtr)::Cvoid
    Py_DecRef(::PyPtr)::Cvoid
end

"The address of a C function or object of Python that the runtime knows."
function c_symbol(name)
    found = ccall(HOST[].symbol, Ptr{Cvoid}, (Cstring,), name)
    found == C_NULL && error("the runtime does not know Python's `", name, "`")
    return found
end

function find_c_functions()
    resize!(C_ADDRESSES, length(C_NAMES))
    map!(c_symbol, C_ADDRESSES, C_NAMES)
    return nothing
end
