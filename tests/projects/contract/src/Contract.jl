module Contract

using TyPython
using TyPython.CPython
using LinearAlgebra

# scalars: the value comes back as the declared type
@export_py none(x::Nothing)::Nothing = x
@export_py bool(x::Bool)::Bool = !x
@export_py int(x::Int)::Int = x
@export_py int8(x::Int8)::Int8 = x
@export_py uint64(x::UInt64)::UInt64 = x
@export_py int128(x::Int128)::Int128 = x
@export_py bigint(x::BigInt)::BigInt = x + 1
@export_py integer(x::Integer)::Integer = x
@export_py float(x::Float64)::Float64 = x
@export_py float32(x::Float32)::Float32 = x
@export_py abstract_float(x::AbstractFloat)::AbstractFloat = x
@export_py complex(x::ComplexF64)::ComplexF64 = 2x
@export_py any_complex(x::Complex)::Complex = x
@export_py text(x::String)::String = x * "!"
@export_py pair(x::Tuple{Int,String})::Tuple{String,Int} = (x[2], x[1])
@export_py optional(x::Union{Nothing,Int})::Union{Nothing,Int} = x
@export_py anything(x::Any)::Any = x
@export_py object(x::Py)::Py = x

# results that have no argument form
@export_py function result(name::String)::Any
    name == "char" && return 'é'
    name == "symbol" && return :abc
    name == "missing" && return missing
    name == "rational" && return 1 // 3
    name == "dict" && return Dict("a" => 1, "b" => 2)
    name == "namedtuple" && return (x=1, y="two")
    name == "strings" && return ["a", "b"]
    name == "mixed" && return Any[1, "a", nothing]
    name == "big" && return big(2)^100
    name == "uint64" && return typemax(UInt64)
    name == "range" && return 1:3
    name == "bits" && return trues(3)
    name == "adjoint" && return [1.0+1im 2; 3 4]'
    name == "transpose" && return transpose([1.0 2.0; 3.0 4.0; 5.0 6.0])
    name == "permuted" && return PermutedDimsArray(reshape(collect(1.0:24.0), 2, 3, 4), (2, 3, 1))
    name == "view" && return view([1.0 2.0 3.0; 4.0 5.0 6.0; 7.0 8.0 9.0], 1:2, 2:3)
    name == "strided view" && return view(collect(1:10), 2:3:10)
    name == "scattered view" && return view(collect(1:10), [3, 1, 7])
    name == "reinterpreted" && return reinterpret(Float64, [1.0 + 2.0im, 3.0 + 4.0im])
    name == "zero-dimensional" && return fill(7)
    name == "empty" && return zeros(0, 3)
    name == "type" && return Int
    error("no result is named ", name)
end

# arrays
@export_py identity_of(x::AbstractArray)::AbstractArray = x
@export_py seen_as(x::AbstractArray)::Tuple = (string(typeof(x).name.name), string(eltype(x)), size(x))
@export_py total(x::AbstractArray)::Any = sum(x)
@export_py vector(x::Vector)::Vector = x
@export_py float_vector(x::Vector{Float64})::Vector{Float64} = x
@export_py float_matrix(x::Matrix{Float64})::Matrix{Float64} = x
@export_py strided(x::StridedVector)::Float64 = x[1]
@export_py mat_mul(a::AbstractArray, b::AbstractArray)::Array = a * b
@export_py function set_first(x::AbstractArray)::Nothing
    x[1] = 42
    return nothing
end
@export_py zeros_of(n::Int)::Vector{Float64} = zeros(n)
@export_py function doubled(x::AbstractVector)::Any
    return 2 .* x
end

const KEPT = Any[]
@export_py function keep(x::AbstractArray)::Nothing
    push!(KEPT, x)
    return nothing
end
@export_py kept_total()::Float64 = Float64(sum(sum, KEPT))
@export_py function forget()::Nothing
    empty!(KEPT)
    return nothing
end
const BUFFER = [1.0, 2.0]
@export_py buffer()::Vector{Float64} = BUFFER
@export_py function grow_buffer()::Nothing
    push!(BUFFER, 3.0)
    return nothing
end
@export_py function shortened(x::Vector)::Vector
    pop!(x)
    return x
end
@export_py function collect_garbage()::Nothing
    GC.gc()
    return nothing
end

# signatures
"""
Adds two numbers.

    int_add(1, 2)
"""
@export_py function int_add(a::Int, b::Int)::Int
    return a + b
end
@export_py function with_defaults(a::Int, b::Float64=1.5; n::Int=a + 1, label::Union{Nothing,String}=nothing)::Tuple
    return (a, b, n, label)
end
@export_py many(a::Int, b::Int, c::Int, d::Int, e::Int, f::Int, g::Int, h::Int, i::Int, j::Int)::Int =
    a + b + c + d + e + f + g + h + i + j
@export_py nothing_at_all()::Nothing = nothing
@export_py nogil=true function slow_sum(n::Int)::Int
    total = 0
    for i in 1:n
        total = xor(total, i)
    end
    return total
end

# what only a stub tells apart
@export_py reals(x::AbstractArray{<:Real})::Float64 = sum(x)
@export_py two_kinds()::Union{Nothing,Int,String} = 1
@export_py texts()::Vector{String} = ["a"]
@export_py counts()::Dict{String,Int} = Dict("a" => 1)
@export_py third()::Rational{Int} = 1 // 3
@export_py prime(x′::Int, b::Int=2)::Int = x′ + b
@export_py bang!()::Nothing = nothing
"""
Says \"""quoted\""" and \\alpha, and ends with "
"""
@export_py quotes()::Nothing = nothing

# errors
struct OwnError <: Exception
    code::Int
end
struct UnshowableError <: Exception end
Base.showerror(::IO, ::UnshowableError) = error("cannot be shown")

@export_py function fail_with(name::String)::Nothing
    name == "MethodError" && sin("text")
    name == "BoundsError" && [1, 2][3]
    name == "KeyError" && Dict("a" => 1)["b"]
    name == "ArgumentError" && throw(ArgumentError("n is negative"))
    name == "DimensionMismatch" && throw(DimensionMismatch("2 × 3"))
    name == "DomainError" && sqrt(-1.0)
    name == "UndefVarError" && Core.eval(@__MODULE__, :undefined_name)
    name == "EOFError" && throw(EOFError())
    name == "OutOfMemoryError" && throw(OutOfMemoryError())
    name == "OverflowError" && factorial(50)
    name == "InexactError" && Int(1.5)
    name == "DivideError" && div(1, 0)
    name == "AssertionError" && @assert false "broken"
    name == "InterruptException" && throw(InterruptException())
    name == "StackOverflowError" && throw(StackOverflowError())
    name == "ErrorException" && error("plain")
    name == "OwnError" && throw(OwnError(7))
    name == "UnshowableError" && throw(UnshowableError())
    name == "text" && throw("only text")
    name == "number" && throw(42)
    return nothing
end
@export_py wrong_result()::Int = "text"

# Python objects in Julia
@export_py call(f::Py, x::Int)::Py = f(x)
@export_py function call_catching(f::Py)::String
    try
        f()
    catch failure
        failure isa PyException && return string(failure.type.__name__)
        return "not a PyException"
    end
    return "nothing was raised"
end
@export_py function use_objects(items::Py)::Tuple
    numpy = get_numpy()
    items[0] = 10
    return (length(items), items[0], hasproperty(items, :append), hasproperty(items, :missing_name),
        numpy.zeros((2, 3)).shape, string(items), items == items, py_import("math").sqrt(16.0),
        G_SUM(items), 2 in items, PyAPI.Py_None === nothing)
end
G_SUM(items) = CPython.G_PyBuiltin.sum(items)
@export_py coercions()::Tuple = (
    py_coerce(Int, py_cast(Py, 3)),
    py_cast(Int, py_cast(Py, 1.9)),
    py_cast(Float64, py_cast(Py, 2)),
    py_cast(Bool, py_cast(Py, 7)),
    py_cast(ComplexF64, py_cast(Py, 1)),
    py_coerce(Tuple{Int,String}, py_cast(Py, (1, "a"))),
    py_cast(Matrix{Int32}, py_cast(Py, Float32[1 2; 3 4])),
)
@export_py function coerce_fails(kind::String)::String
    object = kind == "int" ? py_cast(Py, 1.0) : kind == "tuple" ? py_cast(Py, (1,)) : py_cast(Py, 1)
    T = kind == "int" ? Int : kind == "tuple" ? Tuple{Int,Int} : Float64
    try
        py_coerce(T, object)
    catch failure
        return string(typeof(failure).name.name)
    end
    return "converted"
end

# a type of the project's own
struct Celsius
    degrees::Float64
end
CPython.py_coerce(::Type{Celsius}, object::Py) = Celsius(py_cast(Float64, object.degrees))
CPython.py_cast(::Type{Py}, value::Celsius) = py_import("types").SimpleNamespace(degrees=value.degrees)
@export_py warmer(x::Celsius)::Celsius = Celsius(x.degrees + 1)

function init()
    CPython.init()
    @export_pymodule _contract begin
        none = Pyfunc(none)
        bool = Pyfunc(bool)
        int = Pyfunc(int)
        int8 = Pyfunc(int8)
        uint64 = Pyfunc(uint64)
        int128 = Pyfunc(int128)
        bigint = Pyfunc(bigint)
        integer = Pyfunc(integer)
        float = Pyfunc(float)
        float32 = Pyfunc(float32)
        abstract_float = Pyfunc(abstract_float)
        complex = Pyfunc(complex)
        any_complex = Pyfunc(any_complex)
        text = Pyfunc(text)
        pair = Pyfunc(pair)
        optional = Pyfunc(optional)
        anything = Pyfunc(anything)
        object = Pyfunc(object)
        result = Pyfunc(result)
        identity_of = Pyfunc(identity_of)
        seen_as = Pyfunc(seen_as)
        total = Pyfunc(total)
        vector = Pyfunc(vector)
        float_vector = Pyfunc(float_vector)
        float_matrix = Pyfunc(float_matrix)
        strided = Pyfunc(strided)
        mat_mul = Pyfunc(mat_mul)
        set_first = Pyfunc(set_first)
        zeros_of = Pyfunc(zeros_of)
        doubled = Pyfunc(doubled)
        keep = Pyfunc(keep)
        kept_total = Pyfunc(kept_total)
        forget = Pyfunc(forget)
        buffer = Pyfunc(buffer)
        grow_buffer = Pyfunc(grow_buffer)
        shortened = Pyfunc(shortened)
        collect_garbage = Pyfunc(collect_garbage)
        int_add = Pyfunc(int_add)
        with_defaults = Pyfunc(with_defaults)
        many = Pyfunc(many)
        nothing_at_all = Pyfunc(nothing_at_all)
        slow_sum = Pyfunc(slow_sum)
        reals = Pyfunc(reals)
        two_kinds = Pyfunc(two_kinds)
        texts = Pyfunc(texts)
        counts = Pyfunc(counts)
        third = Pyfunc(third)
        prime = Pyfunc(prime)
        bang! = Pyfunc(bang!)
        quotes = Pyfunc(quotes)
        fail_with = Pyfunc(fail_with)
        wrong_result = Pyfunc(wrong_result)
        call = Pyfunc(call)
        call_catching = Pyfunc(call_catching)
        use_objects = Pyfunc(use_objects)
        coercions = Pyfunc(coercions)
        coerce_fails = Pyfunc(coerce_fails)
        warmer = Pyfunc(warmer)
        version = VERSION.minor
    end
end

precompile(init, ())

end
