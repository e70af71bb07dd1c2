# The types of parameters and results in Python stubs. They match `convert.jl`. A type that Python's type system cannot express is
# `Any`.

"The Python type that `py_coerce(T, ·)` accepts."
function argument_annotation(@nospecialize(T))::String
    inner, takes_none = nullable(T)
    takes_none && return string(argument_annotation(inner), " | None")
    T === Any || T <: Py && return "Any"
    exports_instances(T) && return class_annotation(T)
    converted_elsewhere(T) && return "Any"
    T === Nothing && return "None"
    T === Bool && return "bool | np.bool_"
    T <: Integer && return "SupportsIndex"
    T <: AbstractFloat && return "float | np.floating[Any]"
    T <: Complex && return "complex | np.complexfloating[Any, Any]"
    T <: AbstractString && return "str"
    T <: Tuple && return tuple_annotation(argument_annotation, T)
    if T isa Union && !(T <: AbstractArray)
        members = unique!(map(argument_annotation, Base.uniontypes(T)))
        return "Any" in members ? "Any" : join(members, " | ")
    end
    if T <: AbstractArray && takes_list(T)
        E = argument_annotation(element_for(T))
        return T <: AbstractVector ? string("list[", E, "] | tuple[", E, ", ...]") : "Any"
    end
    T <: AbstractVector{UInt8} && return "NDArray[np.uint8] | bytes | bytearray | memoryview"
    T <: AbstractArray && return array_annotation(T)
    T <: AbstractSet && return string("AbstractSet[", argument_annotation(eltype(T)), "]")
    T <: AbstractDict && return string("Mapping[", listed_types(argument_annotation, entry_types(T)), "]")
    T <: Union{AbstractChar,Symbol} && return "str"
    T <: Enum && return "IntEnum | str"
    T <: Rational && return "Fraction | SupportsIndex"
    T <: Function && return "Callable[..., Any]"
    T <: PyIterable && return string("Iterable[", argument_annotation(item_type(T)), "]")
    return date_annotation(T)
end

"The Python type for Julia's dates and times, in both directions."
function date_annotation(@nospecialize(T))
    T === Union{} && return "Any"
    T <: Dates.DateTime && return "datetime"
    T <: Dates.Date && return "date"
    T <: Dates.Time && return "time"
    T <: Dates.Period && (T <: FixedPeriod || isabstracttype(T)) && return "timedelta"
    return "Any"
end

"The Python type into which `py_cast(Py, ·)` converts a `T`."
function result_annotation(@nospecialize(T))::String
    if T isa Union
        members = unique!(map(result_annotation, Base.uniontypes(T)))
        "Any" in members && return "Any"
        return join(sort!(members; by=isequal("None"), alg=MergeSort), " | ")
    end
    T === Union{} && return "Any"
    exports_instances(T) && return class_annotation(T)
    cast_elsewhere(T) && return "Any"
    T <: Union{Nothing,Missing} && return "None"
    T === Bool && return "bool"
    T <: Integer && return "int"
    T <: AbstractFloat && return "float"
    T <: Complex && return "complex"
    T <: Union{AbstractString,Char,Symbol} && return "str"
    T <: Rational && return "Fraction"
    T <: Tuple && return tuple_annotation(result_annotation, T)
    T <: AbstractVector && is_list(T) && return string("list[", result_annotation(eltype(T)), "]")
    T <: AbstractArray && return is_list(T) ? "Any" : array_annotation(T)
    if T <: AbstractDict
        T isa DataType || return "dict[Any, Any]"
        return string("dict[", result_annotation(keytype(T)), ", ", result_annotation(valtype(T)), "]")
    end
    T <: AbstractSet && return string("set[", result_annotation(eltype(T)), "]")
    T <: Pair && return T isa DataType ? string("tuple[", listed_types(result_annotation, fieldtypes(T)), "]") : "tuple[Any, Any]"
    T <: Enum && return "IntEnum"
    found = date_annotation(T)
    found == "Any" && T <: PyIterable && return string("Iterable[", argument_annotation(item_type(T)), "]")
    return found == "Any" && is_iterator(T) ? string("Iterator[", result_annotation(yielded(T)), "]") : found
end

"Whether another module defines the conversion of a `T`."
cast_elsewhere(@nospecialize(T)) = which(py_cast, Tuple{Type{Py},T}).module !== @__MODULE__

"Whether NumPy is known not to have the element type."
is_list(@nospecialize(T)) =
    T <: AbstractArray{Any} || eltype(T) !== Any && typeintersect(eltype(T), Number) === Union{}

function tuple_annotation(annotation, @nospecialize(T))
    T isa DataType && T !== Tuple || return "tuple[Any, ...]"
    types = fieldtypes_of(T)
    isempty(types) && return "tuple[()]"
    if Base.isvarargtype(last(types))
        length(types) == 1 || return "tuple[Any, ...]"
        return string("tuple[", annotation(Base.unwrapva(last(types))), ", ...]")
    end
    return string("tuple[", listed_types(annotation, types), "]")
end

"NumPy's names of element types, from the narrowest on."
const ELEMENT_ANNOTATIONS = (
    Bool => "np.bool_",
    Int8 => "np.int8", Int16 => "np.int16", Int32 => "np.int32", Int64 => "np.int64",
    UInt8 => "np.uint8", UInt16 => "np.uint16", UInt32 => "np.uint32", UInt64 => "np.uint64",
    Float16 => "np.float16", Float32 => "np.float32", Float64 => "np.float64",
    ComplexF32 => "np.complex64", ComplexF64 => "np.complex128",
    AbstractFloat => "np.floating[Any]",
    Complex => "np.complexfloating[Any, Any]",
    Integer => "np.integer[Any] | np.bool_",
    Real => "np.floating[Any] | np.integer[Any] | np.bool_",
    Number => "np.number[Any] | np.bool_",
)

function array_annotation(@nospecialize(T))
    for (E, name) in ELEMENT_ANNOTATIONS
        T <: AbstractArray{<:E} && return string("NDArray[", name, "]")
    end
    return "NDArray[Any]"
end

"The Python types of the parameters of an exported function and, at the end, of its result; one on each line."
function annotations(described::Export)
    lines = String[argument_annotation(parameter.type) for parameter in described.parameters]
    return join(push!(lines, result_annotation(described.result)), "\n")
end

# A `Vector`, because `join` of a tuple is compiled for its length, and this runs at every import.
listed_types(annotation, types) = join(String[annotation(type) for type in types], ", ")
