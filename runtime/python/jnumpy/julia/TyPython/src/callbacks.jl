# Python functions that Julia calls.

"""
A Python callable as a Julia function: the value of an argument that is declared as `Function`.

A call converts its arguments in the same way as results of exported functions. It converts its result by the type of the value:
`float`, `int`, `bool`, `complex`, NumPy numbers, `str`, `None`, tuples, and arrays of numbers become Julia values, and any other
object stays a [`Py`](@ref). In the function that declares the argument, `f(x)::T` converts the result to `T` as strictly as an
argument of that type.
"""
struct PyCallable <: Function
    object::Py
end

Base.show(io::IO, f::PyCallable) = print(io, "PyCallable(", f.object, ")")
Base.show(io::IO, ::MIME"text/plain", f::PyCallable) = show(io, f)

build(::Type{T}, object::Py, convert_item) where {T<:Function} = callable(T, object)

function callable(@nospecialize(T), object::Py)
    PyCallable <: T || misfit(:TypeError, "no conversion from Python to ", T, "; declare `Function`")
    is_true(G_PyBuiltin.callable(object)) || expected("a callable", object)
    return PyCallable(object)
end

"The form in which an argument is passed to Python: a number, a text, or a Python object."
@inline held(value::Union{Nothing,Bool,Int64,NarrowInt,UInt64,Float64,Float32,Float16,ComplexF64,String}) = value
@inline held(value) = Py(to_python(value))

@inline held_slot(::Nothing) = Slot(NOTHING)
@inline held_slot(value::Bool) = Slot(BOOL, UInt64(value))
@inline held_slot(value::Union{Int64,NarrowInt}) = scalar_slot(Int64(value))
@inline held_slot(value::UInt64) = scalar_slot(value)
@inline held_slot(value::Union{Float64,Float32,Float16}) = scalar_slot(Float64(value))
@inline held_slot(value::ComplexF64) = scalar_slot(value)
@inline held_slot(value::String) = text_slot(value)
@inline held_slot(value::Py) = Slot(OBJECT, address(getfield(value, :ptr)))

@inline function (f::PyCallable)(arguments...; keywords...)
    isempty(keywords) || return natural(f.object(arguments...; keywords...))
    values = map(held, arguments)
    result = Ref(Slot(NOTHING))
    object = f.object
    GC.@preserve values result object begin
        slots = Ref(map(held_slot, values))
        status = GC.@preserve slots call_python(
            object, Base.unsafe_convert(Ptr{Cvoid}, slots), length(values), Base.unsafe_convert(Ptr{Slot}, result),
        )
        status == 0 || throw(failed_call(status))
    end
    return natural(result[])
end

@inline call_python(object::Py, slots::Ptr{Cvoid}, count::Int, result::Ptr{Slot}) =
    @python ccall(
        HOST[].call, Cint, (PyPtr, Ptr{Cvoid}, Csize_t, Ptr{Slot}), getfield(object, :ptr), slots, count, result,
    )

@noinline failed_call(status) =
    status == -1 ? pending_exception() :
    ErrorException("a Python function can be called only by the task that Python called, not by another task or thread")

"The Julia value of a result, by the type of the Python object."
@inline function natural(slot::Slot)
    slot.kind == FLOAT && return reinterpret(Float64, slot.a)
    slot.kind == INT && return slot.a % Int64
    slot.kind == BOOL && return slot.a == 1
    slot.kind == NOTHING && return nothing
    slot.kind == ARRAY && return shared_array(slot)
    return natural(Py(PyPtr(UInt(slot.a))))
end

"The array of a slot. The reference in the slot is given back, because the array has its own reference."
@noinline function shared_array(slot::Slot)
    holder = Ref(slot)
    return GC.@preserve holder begin
        try
            array(Base.unsafe_convert(Ptr{Slot}, holder))
        finally
            Py_DecRef(PyPtr(UInt(slot.b)))
        end
    end
end

@noinline function natural(object::Py)
    is_none(object) && return nothing
    type = object.__class__
    for (class, T) in ((:bool, Bool), (:int, Int64), (:float, Float64), (:complex, ComplexF64), (:str, String))
        is_class(type, class) && return natural(T, object)
    end
    is_class(type, :tuple) && return map(natural, py_coerce(Tuple, object))
    numpy = loaded_numpy()
    numpy === nothing && return object
    if PyObject_IsInstance(object, numpy.ndarray) == 1
        py_coerce(String, object.dtype.kind) in ("b", "i", "u", "f", "c") && return py_coerce(AbstractArray, object)
    elseif PyObject_IsInstance(object, numpy.generic) == 1
        T = element_of(object.dtype)
        T === nothing || return py_coerce(T, object)
    end
    return object
end
natural(::Type{T}, object::Py) where {T} = py_coerce(T, object)
function natural(::Type{Int64}, object::Py)
    value = py_coerce(BigInt, object)
    return typemin(Int64) <= value <= typemax(Int64) ? Int64(value) : value
end

"The result of a call with a declared type: `f(x)::T` in the body of an exported function."
@inline typed_result(::Type{T}, f, value, label::String) where {T} = value isa T ? value : result_as(T, f, value, label)

@noinline result_as(::Type{T}, f, value, label::String) where {T} = value::T
@noinline function result_as(::Type{T}, f::PyCallable, value, label::String) where {T}
    try
        return py_coerce(T, py_cast(Py, value))::T
    catch failure
        throw(labeled(failure, label))
    end
end

"The body of an exported function in which `f(x)::T` converts the result, for each `f` in `callbacks`."
function with_typed_results(expression, callbacks)
    expression isa Expr || return expression
    expression.head in (:quote, :inert) && return expression
    arguments = Any[with_typed_results(argument, callbacks) for argument in expression.args]
    if expression.head === :(::) && length(arguments) == 2 && Meta.isexpr(arguments[1], :call) &&
            arguments[1].args[1] in callbacks
        f = arguments[1].args[1]
        return :($typed_result($(arguments[2]), $f, $(arguments[1]), $(string("result of `", python_name(f), "`: "))))
    end
    return Expr(expression.head, arguments...)
end
