# Conversion of values in both directions. `load` reads an argument, and `store` writes a result. `py_coerce` and `py_cast` are
# the same conversions as functions.

const NarrowInt = Union{Int8,Int16,Int32,UInt8,UInt16,UInt32}
const WideInt = Union{Int128,UInt128,BigInt}

"`class_description(T) -> ClassDescription`, with a method for each exported type."
function class_description end

"Whether `T` is exported as a class; see [`@export_pyclass`](@ref)."
exports_class(@nospecialize(T)) = T isa Type && T !== Union{} && applicable(class_description, T)

"`Shape` for `Type{<:Shape}` and `Type{Shape}`."
function class_bound(@nospecialize(S))
    bound = Base.unwrap_unionall(S).parameters[1]
    return bound isa TypeVar ? bound.ub : bound
end

"Whether instances of the class of `T` contain a Julia object. Exceptions do not."
exports_instances(@nospecialize(T)) = exports_class(T) && !(T <: Exception)

"""
    parameter_kind(T) -> kind

How the runtime reads a Python object for the Julia type `T`. `OBJECT` leaves it to `py_coerce`.
"""
parameter_kind(::Type) = OBJECT
parameter_kind(::Type{Nothing}) = NOTHING
parameter_kind(::Type{Bool}) = BOOL
parameter_kind(::Type{<:Integer}) = INT
parameter_kind(::Type{UInt64}) = UINT
parameter_kind(::Type{Unsigned}) = UINT
parameter_kind(::Type{<:WideInt}) = BIGINT
parameter_kind(::Type{<:AbstractFloat}) = FLOAT
parameter_kind(::Type{<:Complex}) = COMPLEX
parameter_kind(::Type{<:AbstractString}) = TEXT
parameter_kind(T::Type{<:AbstractArray}) = takes_list(T) ? OBJECT : ARRAY
parameter_kind(::Type{Union{}}) = OBJECT

"The `T` of a `Union{Nothing,T}`, and whether the type was such a union."
function nullable(T::Type)
    T isa Union && Nothing <: T && T !== Nothing || return (T, false)
    return (Base.nonnothingtype(T), true)
end

"The types that `load` reads without checking the kind of the slot."
const Plain = Union{Nothing,Bool,Int64,UInt64,NarrowInt,WideInt,Float64,ComplexF64,String}

"Whether a method of another package converts to `T`. Not specialized, so that the code in an image serves every type."
converted_elsewhere(@nospecialize(T::Type)) =
    !(T <: Plain) && which(py_coerce, Tuple{Type{T},Py}).module !== @__MODULE__

"How the runtime reads an argument for a parameter of type `T`, which is not [`nullable`](@ref)."
function argument_kind(T::Type)
    # A `Union` accepts what one of its types accepts, and only Julia can try them all.
    T isa Union && !(T <: AbstractArray) && return OBJECT
    T <: Plain && return parameter_kind(T)
    # `load` checks for an instance if it has no faster way.
    exports_instances(T) && return T <: Union{Number,AbstractString,AbstractArray} ? OBJECT : INSTANCE
    return converted_elsewhere(T) ? OBJECT : parameter_kind(T)
end

# --- arguments

"""
    load(T, slot, label)

The argument in a slot as a `T`. `label` names it in an error.
"""
@inline load(::Type{Nothing}, slot::Ptr{Slot}, label) = nothing
@inline load(::Type{Bool}, slot::Ptr{Slot}, label) = first_word(slot) & 1 == 1
@inline load(::Type{Int64}, slot::Ptr{Slot}, label) = first_word(slot) % Int64
@inline load(::Type{UInt64}, slot::Ptr{Slot}, label) = first_word(slot)
@inline load(::Type{Float64}, slot::Ptr{Slot}, label) = reinterpret(Float64, first_word(slot))
@inline load(::Type{ComplexF64}, slot::Ptr{Slot}, label) =
    ComplexF64(reinterpret(Float64, first_word(slot)), reinterpret(Float64, second_word(slot)))
@inline load(::Type{String}, slot::Ptr{Slot}, label) = unsafe_string(Ptr{UInt8}(UInt(first_word(slot))), Int(second_word(slot)))
@inline load(::Type{Py}, slot::Ptr{Slot}, label) = borrowed(PyPtr(UInt(first_word(slot))))
@inline load(::Type{Any}, slot::Ptr{Slot}, label) = load(Py, slot, label)

@inline function load(::Type{T}, slot::Ptr{Slot}, label) where {T<:NarrowInt}
    value = first_word(slot) % Int64
    return typemin(T) <= value <= typemax(T) ? value % T : out_of_range(T, value, label)
end

function load(::Type{T}, slot::Ptr{Slot}, label) where {T<:WideInt}
    value = parse(BigInt, load(String, slot, label); base=16)
    T === BigInt && return value
    return typemin(T) <= value <= typemax(T) ? T(value) : out_of_range(T, value, label)
end

@noinline out_of_range(T, value, label) =
    py_throw(:OverflowError, string(label, shown(value), " is out of range for ", T))

"An integer for an error message. Python refuses to convert an integer with very many digits to text."
shown(value::Integer) = ndigits(value) <= 60 ? string(value) : string("an integer of ", ndigits(value; base=2), " bits")
shown(object::Py) = shown(py_cast(BigInt, object))

load(::Type{Unsigned}, slot::Ptr{Slot}, label) = load(UInt64, slot, label)

for (Family, Read) in
    ((Integer, Int64), (AbstractFloat, Float64), (Complex, ComplexF64), (AbstractString, String))
    @eval @inline function load(::Type{T}, slot::Ptr{Slot}, label) where {T<:$Family}
        kind(slot) == OBJECT && return coerced(T, slot, label)
        return convert(T, load($Read, slot, label))
    end
end

@inline function load(::Type{T}, slot::Ptr{Slot}, label) where {T<:PyReadOnlyArray}
    kind(slot) == OBJECT && return coerced(T, slot, label)
    return read_only(T, array(slot), label)
end

@inline function load(::Type{T}, slot::Ptr{Slot}, label) where {T<:AbstractArray}
    kind(slot) == OBJECT && return coerced(T, slot, label)
    found = array(slot)
    # Comparing concrete types is one comparison, while an abstract type needs a search.
    is_likely(T, found) && return found
    return found isa T ? found : fit(T, found, label, flags(slot) & IN_PLACE != 0)::T
end

@inline function load(::Type{T}, slot::Ptr{Slot}, label) where {T}
    inner, takes_none = nullable(T)
    takes_none || return kind(slot) == INSTANCE ? instance(T, slot) : coerced(T, slot, label)
    return kind(slot) == NOTHING ? nothing : load(inner, slot, label)
end

"The Julia object in an instance that the runtime has checked."
@inline instance(::Type{T}, slot::Ptr{Slot}) where {T} = unsafe_pointer_to_objref(Ptr{Cvoid}(UInt(first_word(slot))))::T

"An argument that `py_coerce` converts. Errors name the argument, as the errors of the runtime do."
@noinline function coerced(::Type{T}, slot::Ptr{Slot}, label) where {T}
    WRITES[] = flags(slot) & IN_PLACE != 0
    try
        return py_coerce(T, load(Py, slot, label))::T
    catch failure
        flags(slot) & OPERAND != 0 && is_misfit(failure) && throw(Declined())
        throw(labeled(failure, label))
    finally
        WRITES[] = false
    end
end

"Whether the function writes into the argument that is being converted, so that an array in it must not be a copy."
const WRITES = Ref(false)

"The slot of argument `index` of an entry."
@inline argument(arguments::Ptr{Slot}, index::Int) = arguments + (index - 1) * sizeof(Slot)

# --- py_coerce and py_cast from Python

"Reads a Python object, and gives back the owner that its slot may have."
function read(::Type{T}, wanted::UInt8, lenient::Bool, object::Py) where {T}
    holder = Ref(Slot(NOTHING; flags=T <: PyReadOnlyArray ? READ_ONLY : WRITES[] ? IN_PLACE : 0x00))
    GC.@preserve holder object begin
        slot = Base.unsafe_convert(Ptr{Slot}, holder)
        status = @python ccall(HOST[].read, Cint, (UInt8, Cint, PyPtr, Ptr{Slot}), wanted, lenient, object, slot)
        status < 0 && refuse(T, object, pending_exception())
        try
            if lenient && kind(slot) == ARRAY
                found = array(slot)
                T <: PyReadOnlyArray && return read_only(T, found, "")
                return found isa T ? found : fit(T, found, "", WRITES[], true)
            end
            return load(T, slot, "")
        finally
            kind(slot) == ARRAY && Py_DecRef(PyPtr(UInt(second_word(slot))))
            kind(slot) == BIGINT && Py_DecRef(PyPtr(UInt(third_word(slot))))
        end
    end
end

"Throws the runtime's exception for `object`. The runtime has one kind for all integers of up to 64 bits and does not know `T`."
@noinline function refuse(T, object::Py, failure)
    T <: NarrowInt && failure isa PyException && is_class(failure.type, :OverflowError) && out_of_range(T, object, "")
    throw(failure)
end

function from_python(::Type{T}, lenient::Bool, object::Py) where {T}
    inner, takes_none = nullable(T)
    if takes_none
        is_none(object) && return nothing
        return lenient ? py_cast(inner, object) : py_coerce(inner, object)
    end
    # Checking whether a type is exported takes microseconds before Julia 1.9, and these types are not exported.
    T <: Union{Plain,Element,Array} || exports_instances(T) && return instance_from(T, object)
    wanted = parameter_kind(T)
    T isa Union && !(T <: AbstractArray) && return one_of(Base.uniontypes(T), object)
    wanted == OBJECT && return nested(T, object, lenient ? py_cast : py_coerce)
    return read(T, wanted, lenient, object)
end

"Converts to the first of `types` that accepts the object. A `bool` is an `int` too, so `Bool` comes before all integers."
@noinline function one_of(types, object::Py)
    for T in sort(types; by=T -> T !== Bool)
        try
            return py_coerce(T, object)
        catch failure
            is_wrong_length(failure) && continue
            failure isa PyException || rethrow()
            any(class -> is_instance(failure.value, class), (:TypeError, :ValueError, :OverflowError, :AttributeError)) ||
                rethrow()
        end
    end
    py_throw(:TypeError, string("expected one of ", join(types, ", "), ", got ", object.__class__.__name__))
end

"""
    py_coerce(T, object::Py) -> T

The strict conversion, which is used for arguments. It accepts only the Python type that corresponds to `T`: an `int` for an
`Int`, but no `int` for a `Float64`. It throws a [`PyException`](@ref) for any other object, and an `ErrorException` for a tuple of
another length than `T`. A `Union` accepts what one of its types accepts. `Real` and `Number` accept what `Bool`, `Int`, or
`Float64` accepts, and `Number` also what `ComplexF64` accepts. Add methods to convert to your own types.
"""
py_coerce(::Type{T}, object::Py) where {T} = from_python(T, false, object)
py_coerce(::Type{Any}, object::Py) = object
py_coerce(::Type{Py}, object::Py) = object
py_coerce(::Type{Missing}, object::Py) = (py_coerce(Nothing, object); missing)
py_coerce(::Type{Real}, object::Py) = one_of(Any[Bool, Int64, Float64], object)
py_coerce(::Type{Number}, object::Py) = one_of(Any[Bool, Int64, Float64, ComplexF64], object)
py_coerce(::Type{T}, object::Py) where {T<:Tuple} = tuple_from_python(T, object, py_coerce)

"""
    py_cast(T, object::Py) -> T
    py_cast(Py, value) -> Py

The lenient conversion from Python (a `float` is truncated to an `Int`), and the conversion to Python, which is used for results.
Add methods to convert your own types.
"""
py_cast(::Type{T}, object::Py) where {T} =
    converted_elsewhere(T) ? py_coerce(T, object) : from_python(T, true, object)
py_cast(::Type{Any}, object::Py) = object
py_cast(::Type{Py}, object::Py) = object
py_cast(::Type{Missing}, object::Py) = py_coerce(Missing, object)
py_cast(::Type{Real}, object::Py) = py_coerce(Real, object)
py_cast(::Type{Number}, object::Py) = py_coerce(Number, object)
py_cast(::Type{T}, object::Py) where {T<:Tuple} = tuple_from_python(T, object, py_cast)

# A tuple of the wrong length is an `ErrorException` if Julia code converts it, as in the original JNumPy. For an argument, it is
# a `ValueError`.
const WRONG_LENGTH = "expected a tuple of "
@noinline wrong_length(text...) = error(WRONG_LENGTH, text...)
is_wrong_length(@nospecialize(failure)) = failure isa ErrorException && startswith(failure.msg, WRONG_LENGTH)

@noinline function tuple_from_python(@nospecialize(T), object::Py, convert_item)
    T isa Union && return one_of(Base.uniontypes(T), object)
    is_instance(object, :tuple) || py_throw(:TypeError, string("expected a tuple, got ", object.__class__.__name__))
    types = element_types(T, Int(PyTuple_Size(object)))
    # A tuple before the last line would make Julia compile code for each length.
    items = Vector{Any}(undef, length(types))
    index = 0
    try
        while index < length(types)
            items[index + 1] = convert_item(types[index + 1], borrowed(PyTuple_GetItem(object, index)))
            index += 1
        end
    catch failure
        throw(within(failure, string('[', index, ']')))
    end
    return (items...,)
end

"The element types of a tuple type for `count` values."
function element_types(@nospecialize(T), count::Int)
    T === Tuple && return fill!(Vector{Any}(undef, count), Py)
    types = collect(Any, Base.unwrap_unionall(T).parameters)
    if !isempty(types) && Base.isvarargtype(last(types))
        fixed = length(types) - 1
        count >= fixed || wrong_length("at least ", fixed, " values, got ", count)
        rest = Base.unwrapva(pop!(types))
        return append!(types, fill!(Vector{Any}(undef, count - fixed), rest))
    end
    count == length(types) || wrong_length(length(types), " values, got ", count)
    return types
end

fieldtypes_of(T::Type) = (Base.unwrap_unionall(T).parameters...,)

# --- to Python

to_python(::Union{Nothing,Missing}) = new_reference(PyAPI.Py_None)
to_python(value::Bool) = new_reference(value ? PyAPI.Py_True : PyAPI.Py_False)
to_python(value::Union{Int64,NarrowInt}) = new_object(scalar_slot(Int64(value)))
to_python(value::UInt64) = new_object(scalar_slot(value))
to_python(value::Union{Float64,Float32,Float16}) = new_object(scalar_slot(Float64(value)))
to_python(value::Complex{<:Union{Float64,Float32,Float16}}) = new_object(scalar_slot(ComplexF64(value)))
to_python(value::Py) = new_reference(value)

scalar_slot(value::Int64) = Slot(INT, value % UInt64)
scalar_slot(value::UInt64) = Slot(UINT, value)
scalar_slot(value::Float64) = Slot(FLOAT, reinterpret(UInt64, value))
scalar_slot(value::ComplexF64) =
    Slot(COMPLEX, reinterpret(UInt64, real(value)), reinterpret(UInt64, imag(value)))

function new_object(slot::Slot)
    hold_lock()
    scratch = Ptr{Slot}(pointer(SCRATCH))
    unsafe_store!(scratch, slot)
    return checked(Owned, @brief(ccall(HOST[].object, PyPtr, (Ptr{Slot},), scratch)))
end

to_python(value::String) = GC.@preserve value new_object(text_slot(value))
to_python(value::Union{Char,Symbol}) = to_python(string(value))

function to_python(value::Union{Int128,UInt128,BigInt})
    digits = string(value; base=16)
    return GC.@preserve digits begin
        text = text_slot(digits)
        new_object(Slot(BIGINT, text.a, text.b))
    end
end

"A tuple that is too long to compile code for its type."
const LongTuple = Tuple{ntuple(_ -> Any, 17)...,Vararg{Any}}

to_python(@nospecialize(values::LongTuple)) = tuple_of_fields(values)

"A Python tuple of the fields of a value, as an owned reference. One method for all types."
function tuple_of_fields(@nospecialize(values))
    tuple = PyTuple_New(nfields(values))
    try
        for index in 1:nfields(values)
            PyTuple_SetItem(tuple, index - 1, to_python(getfield(values, index)))
        end
    catch
        Py_DecRef(tuple)
        rethrow()
    end
    return tuple
end

function to_python(values::Tuple)
    tuple = PyTuple_New(length(values))
    try
        fill_tuple(tuple, 0, values...)
    catch
        Py_DecRef(tuple)
        rethrow()
    end
    return tuple
end

fill_tuple(tuple, index) = nothing
function fill_tuple(tuple, index, first, rest...)
    PyTuple_SetItem(tuple, index, to_python(first))
    return fill_tuple(tuple, index + 1, rest...)
end

# Values without a faster way, such as those of types in other packages. Looking for a class that was already made is faster than
# checking whether the type is exported.
function to_python(value)
    hold_lock()
    class = value isa Exception ? nothing : look_up(CLASSES, typeof(value))
    class === nothing || return instance_of(value, class::Py)
    exports_instances(typeof(value)) && return instance_of(value, Pyclass(typeof(value)))
    return new_reference(py_cast(Py, value)::Py)
end

"The conversion of `to_python` without methods of other packages."
const Direct = Union{
    Nothing,Missing,Bool,Int64,NarrowInt,UInt64,WideInt,Float64,Float32,Float16,
    Complex{<:Union{Float64,Float32,Float16}},String,Char,Symbol,Tuple,
    Array{T} where {T<:Element},
    Transpose{T,<:VecOrMat{T}} where {T<:Element},
    PermutedDimsArray{T,N,P,Q,Array{T,N}} where {T<:Element,N,P,Q},
    StridedView{T} where {T<:Element},
    PyReadOnlyArray,
}

py_cast(::Type{Py}, value::Direct) = Py(to_python(value))
py_cast(::Type{Py}, @nospecialize(value::LongTuple)) = Py(to_python(value))
py_cast(::Type{Py}, value::Integer) = py_cast(Py, BigInt(value))
py_cast(::Type{Py}, value::Union{AbstractFloat,AbstractIrrational}) = py_cast(Py, Float64(value))
py_cast(::Type{Py}, value::Complex) = py_cast(Py, ComplexF64(value))
py_cast(::Type{Py}, value::AbstractString) = py_cast(Py, String(value))
py_cast(::Type{Py}, value::Rational) = py_import("fractions").Fraction(numerator(value), denominator(value))

# Projects for the original JNumPy add methods for their array types here. The new name is `py_cast`.
py_cast(::Type{Py}, value::AbstractArray) = py_coerce(Py, value)
py_coerce(::Type{Py}, value::AbstractArray) = Py(other_array(value))

"Python's class for the `NamedTuple`s with these names."
const NAMED_TUPLES = Dict{Any,Py}()

function py_cast(::Type{Py}, @nospecialize(value::NamedTuple))
    names = keys(value)
    hold_lock()
    if !haskey(NAMED_TUPLES, names)
        shown = G_PyBuiltin.tuple(String[python_name(name) for name in names])
        NAMED_TUPLES[names] = py_import("jnumpy._values").named_tuple(shown)
    end
    return Py(PyObject_Call(NAMED_TUPLES[names], Py(tuple_of_fields(value)), NULL))
end

function py_cast(::Type{Py}, value::AbstractDict)
    dict = Py(PyDict_New())
    for (key, item) in value
        PyDict_SetItem(dict, py_cast(Py, key), py_cast(Py, item))
    end
    return dict
end

py_cast(::Type{Py}, value) =
    exports_instances(typeof(value)) ? Py(instance_of(value, Pyclass(typeof(value)))) :
    is_iterator(typeof(value)) ? Py(instance_of(JuliaIterator(value, NotStarted(), false), Pyclass(JuliaIterator))) :
    py_throw(:TypeError, string("a ", typeof(value), " has no counterpart in Python; ", method_hint(typeof(value))))

"""
    store(result, value)

Writes the result of an entry.
"""
@inline store(result::Ptr{Slot}, ::Nothing) = unsafe_store!(result, Slot(NOTHING))
@inline store(result::Ptr{Slot}, value::Bool) = unsafe_store!(result, Slot(BOOL, UInt64(value)))
@inline store(result::Ptr{Slot}, value::Union{Int64,NarrowInt}) = unsafe_store!(result, scalar_slot(Int64(value)))
@inline store(result::Ptr{Slot}, value::UInt64) = unsafe_store!(result, scalar_slot(value))
@inline store(result::Ptr{Slot}, value::Union{Float64,Float32,Float16}) =
    unsafe_store!(result, scalar_slot(Float64(value)))
@inline store(result::Ptr{Slot}, value::Complex{<:Union{Float64,Float32,Float16}}) =
    unsafe_store!(result, scalar_slot(ComplexF64(value)))
@inline function store(result::Ptr{Slot}, value::String)
    # The slot of the result first passes the address of the text to the runtime, and then holds the object.
    GC.@preserve value begin
        unsafe_store!(result, text_slot(value))
        made = @brief ccall(HOST[].object, PyPtr, (Ptr{Slot},), result)
    end
    return unsafe_store!(result, Slot(OBJECT, address(checked(Owned, made))))
end

# Any other value becomes a Python object here, while Julia still keeps the value alive.
@inline store(result::Ptr{Slot}, value) = unsafe_store!(result, Slot(OBJECT, address(to_python(value))))
@inline store(result::Ptr{Slot}, @nospecialize(value::Union{LongTuple,NamedTuple})) =
    unsafe_store!(result, Slot(OBJECT, address(to_python(value))))
