# What modules do while they are loaded, and what they keep in globals.
module State

using Dates, LinearAlgebra, Printf, Random, REPL, SparseArrays, Thing_jll, UUIDs
using TyPython.CPython

# What the standard library has to be started for.
"What f does."
f() = 1
g() = 2
@doc (@doc f) g
const ORDER = sort(1:10; by=_ -> rand())
const RUN = uuid4()
const DEVICE = RandomDevice()
const DRAWN = rand(DEVICE, 3)
const INVERSE = inv([1.0 2.0; 3.0 4.0])
const SOLVED = sparse([4.0 1.0; 1.0 3.0]) \ [1.0, 2.0]
const LARGE = big(3)^300
const PRECISE = big"2.5"^30
const MATCH = match(r"a+", "baab").match

# What has another hash in every process.
mutable struct Key end
const KEY = Key()
const TABLE = Dict(joinpath(@__DIR__, "a.jl") => 1)
const PLACES = Set([@__DIR__])
const NESTED = Ref(Dict{Any,Int}((@__FILE__, 1) => 1, KEY => 2, State => 3, sin => 4, Int => 5))
const IN_METHODS = Dict{Any,Int}(joinpath(@__DIR__, "a.jl") => 1, KEY => 2)
let table = copy(IN_METHODS)
    global around(key) = table[key]
end
@eval inside(key) = $(copy(IN_METHODS))[key]

# An `__init__` finds its tables in order, and Python.
const SEEN_AT_START = Ref(false)
const SEPARATOR = Ref("")
const SET_AT_START = Ref{Ptr{Cvoid}}(Ptr{Cvoid}(8))
function __init__()
    SEEN_AT_START[] = haskey(TABLE, joinpath(@__DIR__, "a.jl")) && haskey(NESTED[], KEY)
    SEPARATOR[] = py_coerce(String, py_import("os").sep)
    SET_AT_START[] = @cfunction(g, Int, ())
    haskey(ENV, "STATE_FAILS") && error("no license")
end

# What no image keeps.
const GENERATOR = MersenneTwister()
const SEEDED = MersenneTwister(42)
const PIECES = splitpath(@__DIR__)
const OUTPUT = stdout
const PASSWORDS = open("/etc/passwd")
const POINTER = cglobal(:jl_gc_collect)
const NULL = Ref(C_NULL)
const FREE = ReentrantLock()
const TIMER = Timer(1000)
const TEXT = Base.unsafe_convert(Cstring, "text")
const DESCRIPTOR = RawFD(fd(PASSWORDS))
const SCRATCH = mktempdir()
@eval address() = $(cglobal(:jl_gc_collect))
module Inner
struct Handle
    pointer::Ptr{Cvoid}
    number::Int
end
const HANDLES = [Handle(Ptr{Cvoid}(8), 1)]
end

@export_py drawn()::Tuple{Float64,String,Float64,UInt8} = (rand(), string(uuid4()), rand(RandomDevice()), rand(DEVICE, UInt8))
@export_py found()::NTuple{5,Bool} = (
    haskey(TABLE, joinpath(@__DIR__, "a.jl")),
    (@__DIR__) in PLACES,
    [NESTED[][key] for key in ((@__FILE__, 1), KEY, State, sin, Int)] == 1:5,
    SEEN_AT_START[] && SEPARATOR[] == "/",
    [f(key) for f in (around, inside) for key in (joinpath(@__DIR__, "a.jl"), KEY)] == [1, 2, 1, 2],
)
@export_py frozen()::Tuple{Vector{Int},String} = (ORDER, string(RUN))
@export_py numbers()::Bool =
    LARGE == big(3)^300 && PRECISE == big"2.5"^30 && INVERSE ≈ inv([1.0 2.0; 3.0 4.0]) && SOLVED ≈ [1 / 11, 7 / 11] &&
    MATCH == match(r"a+", "baab").match
@export_py directories()::Vector{String} = [Thing_jll.JLLWrappers.JULIA_LIBDIRS; Thing_jll.PATHS]
@export_py documented()::String = string(@doc g)
# Compiled when it is called: a body with keywords, for a function that is known then, and formats, whose types have characters.
@export_py told(pattern::String, change::Function; number::Float64=1.5)::String =
    string(Dates.format(Date(2020, 1, 2), pattern), ' ', @sprintf("%5.2f%c", change(number)::Float64, 'a'))

init() = @export_pymodule _jl_state begin
    drawn = Pyfunc(drawn)
    found = Pyfunc(found)
    frozen = Pyfunc(frozen)
    numbers = Pyfunc(numbers)
    directories = Pyfunc(directories)
    documented = Pyfunc(documented)
    told = Pyfunc(told)
end

end
