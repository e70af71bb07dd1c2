# Several exported methods of one function: one Python callable, which chooses a method by types, as Julia does.

"The exported methods of `f`."
function overloads_of(@nospecialize(f))
    signatures = Any[Base.unwrap_unionall(method.sig).parameters[3].parameters[1] for method in overload_methods(f)]
    # The order in which Julia lists methods depends on its version.
    sort!(signatures; by=signature -> (map(preference, collect(Any, signature.parameters)), string(signature)))
    return sorted_by_specificity(Overload[overload(f, signature) for signature in signatures])
end

"The order of types for a value that naturally has none of them, as `np.int8(1)` for `BigInt` and `Int`: the least one is taken."
preference(@nospecialize(T)) =
    T === Py ? 8 : T <: PyIterable ? 7 : something(findfirst(isequal(T), (Bool, Int64, Float64, ComplexF64, String)), 6)

overload_methods(@nospecialize(f)) = methods(overload, Tuple{typeof(f),Type})

"Sorts each method before those that are less specific."
function sorted_by_specificity(overloads::Vector{Overload})
    rest, sorted = copy(overloads), Overload[]
    while !isempty(rest)
        first_ones = filter(one -> !any(other -> is_more_specific(other, one), rest), rest)
        one = isempty(first_ones) ? first(rest) : first(first_ones)
        push!(sorted, one)
        filter!(other -> other !== one, rest)
    end
    return sorted
end

is_more_specific(a::Overload, b::Overload) =
    a !== b && Base.morespecific(a.signature, b.signature) && !Base.morespecific(b.signature, a.signature)

"The signatures that a method has: one for each number of positional arguments."
function arities(described::Export)
    types = Any[parameter.type for parameter in described.parameters if !parameter.keyword]
    required = count(parameter -> !parameter.keyword && parameter.default === nothing, described.parameters)
    return Any[Tuple{types[1:number]...} for number in required:length(types)]
end

"Throws an error if Julia or Python could not distinguish a method from another one in some call."
function refuse_ambiguous(f, @nospecialize(signature))
    length(overload_methods(f)) > 1 || return nothing
    all_methods = overloads_of(f)
    new = only_with(all_methods, signature)
    known = Any[sig for one in all_methods for sig in arities(one.described)]
    for other in all_methods
        other === new && continue
        for A in arities(new.described), B in arities(other.described)
            length(A.parameters) == length(B.parameters) || continue
            A == B && error(
                "@export_py: two methods of `", nameof(f), "` take ", A, "; Julia would replace the first by the second",
            )
            both = typeintersect(A, B)
            if both !== Union{} && !Base.morespecific(A, B) && !Base.morespecific(B, A) &&
                    !any(C -> C != A && C != B && both <: C && C <: A && C <: B, known)
                error("@export_py: `", nameof(f), "` is ambiguous for ", both, ": both ", A, " and ", B, " accept it; define a method for that type too")
            end
            both === Union{} && alike_in_python(A, B) && error(
                "@export_py: Python cannot tell two methods of `", nameof(f), "` apart by their arguments, ", A, " and ", B,
                "; give one of them another name",
            )
        end
    end
    return nothing
end

only_with(overloads::Vector{Overload}, @nospecialize(signature)) = overloads[findfirst(one -> one.signature == signature, overloads)]

"Whether every Python value that one signature accepts is accepted by the other, and neither is more natural."
function alike_in_python(@nospecialize(A), @nospecialize(B))
    for (a, b) in zip(A.parameters, B.parameters)
        a == b && continue
        annotation = argument_annotation(a)
        annotation == argument_annotation(b) && annotation != "Any" && !is_natural(a) && !is_natural(b) || return false
    end
    return true
end

"Whether a type is the natural type of some Python values: see [`natural_type`](@ref)."
is_natural(@nospecialize(T)) =
    T <: Union{Nothing,Bool,Int64,BigInt,Float64,ComplexF64,String} || T <: AbstractArray && element_bound(T) <: Element ||
    isabstracttype(T)

"The Julia type that corresponds to a Python value; `nothing` if there is none."
function natural_type(object::Py)
    is_none(object) && return Nothing
    class = object.__class__
    PyObject_IsInstance(object, py_import("jnumpy._runtime").JuliaObject) == 1 &&
        return typeof(instance_in(py_import("jnumpy._runtime").JuliaObject, object))
    for (name, T) in ((:bool, Bool), (:float, Float64), (:complex, ComplexF64), (:str, String))
        is_class(class, name) && return T
    end
    if is_class(class, :int)
        return typemin(Int64) <= py_coerce(BigInt, object) <= typemax(Int64) ? Int64 : BigInt
    end
    if is_class(class, :tuple)
        types = map(natural_type, collect(Py, py_coerce(Tuple, object)))
        return nothing in types ? nothing : Tuple{types...}
    end
    numpy = loaded_numpy()
    numpy === nothing && return nothing
    if PyObject_IsInstance(object, numpy.generic) == 1
        return element_of(object.dtype)
    elseif PyObject_IsInstance(object, numpy.ndarray) == 1
        return array_type(object)
    end
    return nothing
end

const ELEMENT_NAMES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128",
)

function element_of(dtype::Py)
    number = findfirst(isequal(py_coerce(String, dtype.name)), ELEMENT_NAMES)
    return number === nothing ? nothing : ELEMENTS[number]
end

"The Julia type of an ndarray."
function array_type(object::Py)
    T, N = element_of(object.dtype), py_coerce(Int, object.ndim)
    T === nothing && return nothing
    flags = object.flags
    (N < 2 || is_true(flags.f_contiguous) || !is_true(flags.carray)) && return Array{T,N}
    N == 2 && return Transpose{T,Matrix{T}}
    backwards = ntuple(index -> N + 1 - index, N)
    return PermutedDimsArray{T,N,backwards,backwards,Array{T,N}}
end

"The arguments of a call with the types that a method declares for them; `nothing` if the method does not accept such a call."
function bound(described::Export, positional::Vector{Py}, keywords::Vector{Tuple{String,Py}})
    pairs = Tuple{Any,Py}[]
    given = Set{String}()
    names = String[parameter.name for parameter in described.parameters if !parameter.keyword]
    length(positional) <= length(names) || return nothing
    for (name, object) in Iterators.flatten((zip(names, positional), keywords))
        number = findfirst(parameter -> parameter.name == name, described.parameters)
        number === nothing || name in given ? (return nothing) : push!(given, name)
        push!(pairs, (described.parameters[number].type, object))
    end
    for parameter in described.parameters
        parameter.default !== nothing || parameter.name in given || return nothing
    end
    return pairs
end

function takes(@nospecialize(T), object::Py, @nospecialize(natural), by_nature::Bool)
    natural !== nothing && natural <: T && return true
    T === Any || T === Py ? (return true) : nothing
    by_nature && natural !== nothing && return false
    try
        py_coerce(T, object)
        return true
    catch failure
        MISFIT[] = nothing
        failure isa PyException || is_wrong_length(failure) || rethrow()
        is_keyboard_interrupt(failure) && rethrow()
        return false
    end
end

"The exported methods of functions with several of them, by the number with which Python names the function."
const OVERLOADS = Vector{Overload}[]

"""
The number, from 0, of the first method that accepts the arguments. Methods for the natural types of the values come first, then
those to whose types the values can be converted.
"""
@export_py function choose_overload(set::Int, arguments::Py, keywords::Py)::Int
    positional = Py[borrowed(PyTuple_GetItem(arguments, n)) for n in 0:Int(PyTuple_Size(arguments))-1]
    named = Tuple{String,Py}[(py_coerce(String, key), value) for (key, value) in entries_of(keywords)]
    calls = map(one -> bound(one.described, positional, named), OVERLOADS[set])
    natural = IdDict{Any,Any}(object => natural_type(object) for object in Iterators.flatten((positional, last.(named))))
    for by_nature in (true, false), (number, call) in enumerate(calls)
        call === nothing && continue
        all(((T, object),) -> takes(T, object, natural[object], by_nature), call) && return number - 1
    end
    described = first(OVERLOADS[set]).described
    given = join([map(class_name, positional)..., (string(name, '=', class_name(value)) for (name, value) in named)...], ", ")
    methods = join((string(described.name, declared(one.described)) for one in OVERLOADS[set]), ", ")
    py_throw(:TypeError, string(described.name, "() has no method for (", given, "); its methods are ", methods))
end

function declared(described::Export)
    shown(keyword) = join(
        (string(parameter.name, "::", parameter.type) for parameter in described.parameters if parameter.keyword == keyword), ", ",
    )
    return string('(', shown(false), any(parameter -> parameter.keyword, described.parameters) ? "; " : "", shown(true), ')')
end

"The Python callable for a function with several exported methods."
function overloaded(overloads::Vector{Overload})
    key = Tuple(one.entry for one in overloads)
    haskey(FUNCTIONS, key) && return FUNCTIONS[key]
    functions = map(overloads) do one
        refuse_unpassable(one.described.symbol, one.described.parameters, nothing)
        make_function(one.described, root(one), one.entry, one.unguarded, 0x00)
    end
    push!(OVERLOADS, overloads)
    made = py_import("jnumpy._function").Overloaded(
        G_PyBuiltin.tuple(functions), Pyfunc(choose_overload), length(OVERLOADS), docstring(first(overloads).described.owner, first(overloads).described.symbol),
    )
    return FUNCTIONS[key] = made
end
