# Julia values that are built from Python containers: lists, sets, mappings, named tuples, and dataclasses.

"The limit for nested containers. A list may contain itself."
const MOST_NESTED = 500
const NESTED = Ref(0)

"""
    nested(T, object, convert_item) -> T

Builds a `T` from a Python container. `convert_item`, which is `py_coerce` or `py_cast`, converts the items.
"""
@noinline function nested(::Type{T}, object::Py, convert_item) where {T}
    NESTED[] += 1
    try
        NESTED[] > MOST_NESTED &&
            py_throw(:RecursionError, string("more than ", MOST_NESTED, " containers inside each other"))
        return build(T, object, convert_item)::T
    finally
        NESTED[] -= 1
    end
end

class_name(object::Py) = py_coerce(String, object.__class__.__name__)
expected(what::AbstractString, object::Py) = misfit(:TypeError, "expected ", what, ", got ", class_name(object))

"""
    build(T, object, convert_item) -> T

One method for each kind of type; see [`nested`](@ref).
"""
function build(::Type{T}, object::Py, convert_item) where {T}
    is_record(T) && return build_record(T, object, convert_item)
    misfit(
        :TypeError, "no conversion from Python to ", T, "; add a method ",
        "`TyPython.CPython.py_coerce(::Type{", T, "}, object::Py)`",
    )
end

# --- lists

"""
Whether Python passes a list for an array of type `T`, because NumPy does not have its element type. An ndarray of numbers is
accepted too if its elements can be converted.
"""
function takes_list(@nospecialize(T))
    T isa Union && return takes_list(T.a) || takes_list(T.b)
    E = element_bound(T)
    return E === Any ? T isa DataType : !(E <: Number)
end

"The upper bound of the element type of an array type: `Real` for `Vector{<:Real}`, whose `eltype` is `Any`."
function element_bound(@nospecialize(T))
    S = Base.unwrap_unionall(T)
    # `StridedArray` is a `Union` of array types with the same element type.
    S isa Union && return element_bound(S.a)
    # `Array` has the same parameters, and is the most frequent case.
    while S.name !== Base.unwrap_unionall(AbstractArray).name && S.name !== Base.unwrap_unionall(Array).name
        S = Base.unwrap_unionall(supertype(S))
    end
    E = S.parameters[1]
    return E isa TypeVar ? E.ub : E
end

"The element type of the array that is made for an array type."
element_for(@nospecialize(T)) = (E = element_bound(T); isabstracttype(E) && E <: AbstractString ? String : E)

function build(::Type{T}, object::Py, convert_item) where {T<:AbstractArray}
    T isa Union && return one_of(Base.uniontypes(T), object)
    is_ndarray(object) && return from_ndarray(T, object, convert_item)
    E = element_for(T)
    Array{E,1} <: T || misfit(
        :TypeError, "expected numpy.ndarray, got ", class_name(object), "; pass `np.asarray(x, dtype=object)`",
    )
    is_instance(object, :list) || is_instance(object, :tuple) || expected_list(object)
    items = Py(PySequence_Tuple(object))
    return fill_from!(Vector{E}(undef, Int(PyTuple_Size(items))), items, convert_item)
end

"The method of data frame columns and other arrays that makes a list."
@noinline function expected_list(object::Py)
    for name in (:tolist, :to_list, :to_pylist)
        hasproperty(object, name) &&
            misfit(:TypeError, "expected a list or tuple, got ", class_name(object), "; pass `x.", name, "()`")
    end
    expected("a list or tuple", object)
end

"The number of items that the runtime reads at once."
const BATCH = 64

"Fills a vector with the converted items of a Python tuple, which no other code can change."
function fill_from!(values::Vector{E}, items::Py, convert_item) where {E}
    inner, takes_none = nullable(E)
    wanted = argument_kind(inner)
    index = 0
    try
        if convert_item === py_coerce && wanted in (BOOL, INT, UINT, FLOAT, COMPLEX, TEXT)
            slots = fill(Slot(NOTHING), min(length(values), BATCH))
            while index < length(values)
                batch = min(length(values) - index, BATCH)
                found = GC.@preserve slots items read_items(wanted, takes_none, items, index, batch, pointer(slots))
                GC.@preserve slots items for number in 1:found
                    values[index + 1] = load(E, argument(pointer(slots), number), "")
                    index += 1
                end
                found == batch || throw(pending_exception())
            end
        else
            while index < length(values)
                values[index + 1] = convert_item(E, borrowed(PyTuple_GetItem(items, index)))
                index += 1
            end
        end
    catch failure
        throw(within(failure, string('[', index, ']')))
    end
    return values
end

"Reads `count` items from number `start` on. Returns how many were read; if fewer than `count`, a Python exception is set."
read_items(wanted::UInt8, takes_none::Bool, items::Py, start::Int, count::Int, slots::Ptr{Slot}) =
    @python ccall(
        HOST[].read_items, Cssize_t, (UInt8, Cint, PyPtr, Cssize_t, Cssize_t, Ptr{Slot}),
        wanted, takes_none, getfield(items, :ptr), start, count, slots,
    )

# --- ndarrays whose elements are not numbers

"The module NumPy if it was imported; otherwise `nothing`."
function loaded_numpy()
    numpy = borrowed(PyImport_GetModuleDict()).get("numpy")
    return is_none(numpy) ? nothing : numpy
end

function is_ndarray(object::Py)
    numpy = loaded_numpy()
    return numpy !== nothing && PyObject_IsInstance(object, numpy.ndarray) == 1
end

function from_ndarray(::Type{T}, object::Py, convert_item) where {T}
    kind = py_coerce(String, object.dtype.kind)
    E = element_for(T)
    dimensions = py_coerce(Int, object.ndim)
    if kind in ("O", "U", "T") && Array{E,dimensions} <: T
        items = Py(PySequence_Tuple(object.ravel(order="F").tolist()))
        values = fill_from!(Vector{E}(undef, Int(PyTuple_Size(items))), items, convert_item)
        return dimensions == 1 ? values : reshape(values, py_coerce(NTuple{dimensions,Int}, object.shape))
    end
    kind == "M" && E <: Union{Dates.DateTime,Dates.Date} && return from_datetime64(T, E, object)
    kind == "V" && isstructtype(E) && isbitstype(E) && Array{E,dimensions} <: T && return share_records(T, E, object)
    return read(T, ARRAY, convert_item === py_cast, object)
end

"A finalizer that gives back the Python object that owns the memory of an array."
struct ReleaseOwner
    owner::PyPtr
end
(release::ReleaseOwner)(_) = ccall(HOST[].release_object, Cvoid, (PyPtr,), release.owner)

"The address of an ndarray's memory."
data_address(object::Py) = py_coerce(UInt, object.__array_interface__["data"][0])

"The memory of an ndarray of a structured dtype, as an array of `E`, which has the same layout."
function share_records(::Type{T}, ::Type{E}, object::Py) where {T,E}
    has_layout(E, object.dtype) || misfit(
        :TypeError, "expected an array of a dtype with the layout of ", E, ", ", layout_text(E), ", got ", string(object.dtype),
        " of ", py_coerce(Int, object.dtype.itemsize), " bytes",
    )
    lengths = py_coerce(NTuple{py_coerce(Int, object.ndim),Int}, object.shape)
    prod(lengths) == 0 && return Array{E,length(lengths)}(undef, lengths)
    owner = object.ravel(order="F")
    usable = is_true(owner.flags.writeable) && data_address(owner) % Base.datatype_alignment(E) == 0
    usable || (owner = owner.copy())
    data_address(owner) == data_address(object) || py_import("jnumpy._runtime").report_copy(
        "", "it is not contiguous in column-major order, not writeable, or not aligned", WRITES[],
    )
    records = unsafe_wrap(Array, Ptr{E}(data_address(owner)), lengths)
    finalizer(ReleaseOwner(new_reference(owner)), records)
    return records
end

const DTYPE_CODES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")

"The fields of `E` with their offsets, for an error message."
layout_text(@nospecialize(E)) = string(
    "{", join((string(fieldname(E, n), ": ", fieldtype(E, n), " at byte ", fieldoffset(E, n)) for n in 1:fieldcount(E)), ", "), "}",
)

function has_layout(@nospecialize(E), dtype::Py)
    numpy = get_numpy()
    if E <: Element
        return dtype == numpy.dtype(DTYPE_CODES[element_number(E) + 1])
    end
    names = dtype.names
    is_none(names) && return false
    py_coerce(Int, dtype.itemsize) == sizeof(E) && length(names) == fieldcount(E) || return false
    for n in 1:fieldcount(E)
        field = fieldname(E, n)
        field isa Symbol && py_coerce(String, names[n - 1]) == python_name(field) || return false
        parts = dtype.fields[names[n - 1]]
        py_coerce(Int, parts[1]) == fieldoffset(E, n) && has_layout(fieldtype(E, n), parts[0]) || return false
    end
    return true
end

# --- sets and mappings

function build(::Type{T}, object::Py, convert_item) where {T<:AbstractSet}
    E = eltype(T)
    is_instance(object, :set) || is_instance(object, :frozenset) || expected("a set or frozenset", object)
    items = Py(PySequence_Tuple(object))
    values = try
        fill_from!(Vector{E}(undef, Int(PyTuple_Size(items))), items, convert_item)
    catch failure
        # A set has no order, so the number of the item is left out.
        parts = parts_of(failure)
        parts === nothing && rethrow()
        throw(misfit_at(parts[1], "{…}" * replace(parts[2], r"^\[\d+\]" => ""), parts[3]))
    end
    made = Set{E} <: T ? Set{E}(values) : T(values)
    length(made) == length(values) || misfit(:ValueError, "two items are equal as ", E)
    return made
end

"The types of keys and values of a dictionary type."
function entry_types(@nospecialize(T))
    pair = eltype(T)
    types = pair <: Pair ? Base.unwrap_unionall(pair).parameters : Any[Any, Any]
    return map(type -> type isa TypeVar ? type.ub : type, (types[1], types[2]))
end

function build(::Type{T}, object::Py, convert_item) where {T<:AbstractDict}
    K, V = entry_types(T)
    return fill_from!(Dict{K,V} <: T ? Dict{K,V}() : T(), object, K, V, convert_item)
end

function fill_from!(values::AbstractDict, object::Py, @nospecialize(K), @nospecialize(V), convert_item)
    for (key, value) in entries_of(object)
        known = try
            convert_item(K, key)
        catch failure
            throw(within(failure, string(" key ", step_of(key))))
        end
        haskey(values, known) &&
            throw(misfit_at(G_PyBuiltin.ValueError, string(" key ", step_of(key)), string("another key is equal as ", K)))
        try
            values[known] = convert_item(V, value)
        catch failure
            throw(within(failure, step_of(key)))
        end
    end
    return values
end

"The part of an error path for a key: `['name']`. Only plain keys are shown, because a `repr` may run any code."
function step_of(key::Py)
    plain = any(class -> is_class(key.__class__, class), (:str, :int, :float, :bool))
    shown = plain ? py_coerce(String, Py(PyObject_Repr(key))) : string('<', class_name(key), '>')
    return string('[', length(shown) <= 60 ? shown : string(first(shown, 57), "..."), ']')
end

is_mapping(object::Py) =
    is_instance(object, :dict) || PyObject_IsInstance(object, py_import("collections.abc").Mapping) == 1

"A copy of the keys and values of a mapping, because conversions may run code that changes the mapping."
function entries_of(object::Py)
    is_mapping(object) || expected("a mapping", object)
    items = Py(PySequence_Tuple(object.items()))
    entries = Vector{Tuple{Py,Py}}(undef, Int(PyTuple_Size(items)))
    for index in eachindex(entries)
        entry = borrowed(PyTuple_GetItem(items, index - 1))
        is_instance(entry, :tuple) && PyTuple_Size(entry) == 2 ||
            misfit(:TypeError, "the items() of a ", class_name(object), " are not pairs")
        entries[index] = (borrowed(PyTuple_GetItem(entry, 0)), borrowed(PyTuple_GetItem(entry, 1)))
    end
    return entries
end

# --- named tuples and structs, by the names of their fields

"Whether values of type `T` are built from their fields: a struct that is not defined in Julia itself."
is_record(@nospecialize(T)) =
    T isa DataType && isconcretetype(T) && isstructtype(T) && fieldcount(T) > 0 && fieldname(T, 1) isa Symbol &&
    !(T <: Union{Function,Exception}) && !(Base.moduleroot(parentmodule(T)) in (Core, Base))

function build(::Type{T}, object::Py, convert_item) where {T<:NamedTuple}
    names = field_names(T)
    names === nothing && misfit(:TypeError, "no conversion from Python to ", T, "; declare the names of its fields")
    values = field_values(names, T isa DataType ? fieldtypes_of(T)[2] : Tuple, object, convert_item)
    return T isa DataType ? T((values...,)) : NamedTuple{names}((values...,))
end

"The names of a `NamedTuple` type, if it has some."
function field_names(@nospecialize(T))
    names = Base.unwrap_unionall(T).parameters[1]
    return names isa Tuple ? names : nothing
end

function build_record(::Type{T}, object::Py, convert_item) where {T}
    return T(field_values(fieldnames(T), Tuple{fieldtypes(T)...}, object, convert_item)...)
end

"The values of the fields `names`, converted to `types`, of a mapping, named tuple, or dataclass with exactly these fields."
function field_values(names, @nospecialize(types), object::Py, convert_item)
    found = fields_of(object)
    found === nothing && expected(string("a mapping, named tuple or dataclass with ", listed(names)), object)
    wanted = String[python_name(name) for name in names]
    missing_names = filter(name -> !haskey(found, name), wanted)
    isempty(missing_names) || misfit(:TypeError, listed(missing_names), " is missing; expected only ", listed(wanted))
    other_names = sort!(filter(name -> !(name in wanted), collect(keys(found))))
    isempty(other_names) || misfit(:TypeError, "unexpected ", listed(other_names), "; expected only ", listed(wanted))
    values = Vector{Any}(undef, length(wanted))
    for (index, name) in enumerate(wanted)
        type = types isa DataType && types !== Tuple ? types.parameters[index] : Any
        try
            values[index] = convert_item(type, found[name])
        catch failure
            throw(within(failure, string('.', name)))
        end
    end
    return values
end

listed(names) = join((string('`', name, '`') for name in names), ", ")

"The fields of an object by name; `nothing` if it is not a mapping, named tuple, or dataclass."
function fields_of(object::Py)
    class = object.__class__
    if is_instance(object, :tuple)
        hasproperty(class, :_fields) || return nothing
        names = Py(PySequence_Tuple(class._fields))
        PyTuple_Size(names) == PyTuple_Size(object) || return nothing
        return Dict(
            py_coerce(String, borrowed(PyTuple_GetItem(names, n))) => borrowed(PyTuple_GetItem(object, n)) for
            n in 0:Int(PyTuple_Size(object))-1
        )
    elseif is_mapping(object)
        fields = Dict{String,Py}()
        for (key, value) in entries_of(object)
            is_instance(key, :str) || misfit(:TypeError, "expected keys of type str, got ", class_name(key))
            fields[py_coerce(String, key)] = value
        end
        return fields
    elseif hasproperty(class, :__dataclass_fields__) && !is_instance(object, :type)
        names = (py_coerce(String, field.name) for field in py_import("dataclasses").fields(object))
        return Dict{String,Py}(name => getproperty(object, Symbol(name)) for name in names)
    end
    return nothing
end

# --- small values

function build(::Type{T}, object::Py, convert_item) where {T<:AbstractChar}
    is_instance(object, :str) || expected("a str of one character", object)
    text = py_coerce(String, object)
    length(text) == 1 || misfit(:ValueError, "expected a str of one character, got ", length(text))
    return convert(isabstracttype(T) ? Char : T, first(text))
end

function build(::Type{Symbol}, object::Py, convert_item)
    name = py_coerce(String, object)
    '\0' in name && misfit(:ValueError, "the name of a Symbol cannot contain a NUL character")
    return Symbol(name)
end

function build(::Type{T}, object::Py, convert_item) where {T<:Rational}
    I = isconcretetype(T) ? fieldtype(T, :num) : Int
    if PyObject_IsInstance(object, py_import("fractions").Fraction) == 1
        return Rational{I}(py_coerce(I, object.numerator), py_coerce(I, object.denominator))
    end
    hasproperty(object, :__index__) && !is_instance(object, :type) || expected("a Fraction or int", object)
    return Rational{I}(py_coerce(I, object))
end

function build(::Type{T}, object::Py, convert_item) where {T<:Pair}
    A, B = fieldtypes_of(T)
    a, b = tuple_from_python(Tuple{A isa TypeVar ? Any : A,B isa TypeVar ? Any : B}, object, convert_item)
    return T(a, b)
end

function build(::Type{T}, object::Py, convert_item) where {T<:Enum}
    if is_instance(object, :str)
        name = py_coerce(String, object)
        for value in instances(T)
            python_name(Symbol(value)) == name && return value
        end
        misfit(:ValueError, "expected one of ", join(map(value -> repr(string(value)), instances(T)), ", "), ", got ", repr(name))
    end
    PyObject_IsInstance(object, py_import("enum").IntEnum) == 1 || expected("an IntEnum or the name of a value", object)
    number = py_coerce(BigInt, object)
    for value in instances(T)
        Integer(value) == number && python_name(Symbol(value)) == py_coerce(String, object.name) && return value
    end
    misfit(:ValueError, string(object), " is not a value of ", T)
end

# --- results

function py_cast(::Type{Py}, value::AbstractSet)
    items = Py(PyList_New(length(value)))
    for (index, item) in enumerate(value)
        PyList_SetItem(items, index - 1, to_python(item))
    end
    return G_PyBuiltin.set(items)
end

py_cast(::Type{Py}, value::Pair) = Py(tuple_of_fields(value))

"Python's class for an `Enum` type."
const ENUMS = IdDict{Any,Py}()

function py_cast(::Type{Py}, value::Enum)
    T = typeof(value)
    hold_lock()
    if !haskey(ENUMS, T)
        members = [(python_name(Symbol(member)), Integer(member)) for member in instances(T)]
        ENUMS[T] = py_import("jnumpy._values").int_enum(string(nameof(T)), G_PyBuiltin.tuple(members))
    end
    return ENUMS[T](Integer(value))
end

"An ndarray of Python objects, for arrays with more than one dimension."
function objects_of(array::AbstractArray)
    made = get_numpy().empty(length(array), dtype="O")
    for (index, item) in enumerate(array)
        made[index - 1] = Py(to_python(item))
    end
    return new_reference(made.reshape(size(array), order="F"))
end
