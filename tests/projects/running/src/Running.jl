module Running

using TyPython.CPython

mutable struct Node
    values::Vector{Float64}
end
"What was made last: the compiler may leave out what nothing can see."
const LAST = Ref{Node}()

# Endless calls, each with another way to be stopped.
@export_py function allocating()::Nothing
    node = Node(zeros(4))
    while true
        node = Node(node.values .+ 1)
    end
end
@export_py nogil=true function allocating_nogil()::Nothing
    node = Node(zeros(4))
    while true
        node = Node(node.values .+ 1)
    end
end
@export_py function asleep()::Nothing
    sleep(1000)
end
@export_py nogil=true function asleep_nogil()::Nothing
    sleep(1000)
end
@export_py function waiting()::Nothing
    wait(@async sleep(1000))
    return nothing
end
@export_py function yielding()::Nothing
    while true
        yield()
    end
end
@export_py function calling(f::Py)::Nothing
    while true
        f()
    end
end
@export_py function asking()::Nothing
    total = 0
    while true
        total = xor(total, 3)
        check_signals()
    end
end
@export_py nogil=true function asking_nogil()::Nothing
    total = 0
    while true
        total = xor(total, 3)
        check_signals()
    end
end
@export_py function in_a_task()::Nothing
    wait(@async while true
        LAST[] = Node(zeros(4))
    end)
    return nothing
end

# Not stoppable: what comes meanwhile comes after.
@export_py nogil=true function computing(seconds::Float64)::Int
    total, start = 0, time_ns()
    while time_ns() - start < seconds * 1e9
        total = xor(total, 3)
    end
    return total
end
@export_py function undisturbed(seconds::Float64)::Int
    start = time_ns()
    count = 0
    disable_sigint() do
        while time_ns() - start < seconds * 1e9
            LAST[] = Node(zeros(4))
            count += 1
        end
    end
    return count
end
# Nothing is known of what it throws, as of most code: Julia 1.11 and later do not expect an interrupt where something is.
const MAKE = Ref{Any}(() -> Node(zeros(4)))
"The name of the exception that stopped it."
@export_py function catching()::String
    try
        while true
            LAST[] = MAKE[]()
        end
    catch failure
        return string(typeof(failure))
    end
end

# Stacks and memory
deep(n) = n == 0 ? 0 : 1 + deep(n - 1) + (n > 5 ? 1 : 2)
deep_and_allocating(n)::Int = n == 0 ? 0 : 1 + length(push!(zeros(deep_and_allocating(n - 1) % 10), 1.0))
@export_py overflow()::Int = deep(10^9)
@export_py overflow_allocating()::Int = deep_and_allocating(10^9)
@export_py huge(n::Int)::Vector{Float64} = zeros(n)
@export_py threads()::Int = Threads.nthreads()

"The sum of n squares, with allocations, by all threads."
@export_py nogil=true function parallel(n::Int)::Int
    parts = zeros(Int, 64)
    Threads.@threads for part in 1:64
        node = Node(zeros(1))
        for i in part:64:n
            node = Node(node.values .+ i^2)
        end
        parts[part] = Int(node.values[1])
    end
    return sum(parts)
end

"Allocates without Python's lock, and collects now and then; returns how often it allocated."
@export_py nogil=true function churning(thousands::Int)::Int
    count = 0
    for turn in 1:thousands
        for _ in 1:1000
            LAST[] = Node(zeros(1))
            count += length(LAST[].values)
        end
        turn % 50 == 0 && GC.gc(false)
    end
    return count
end

# Arrays on both sides
const KEPT = Dict{Int,Any}()
@export_py total(x::AbstractArray)::Float64 = sum(x)
@export_py first_of(x::AbstractArray)::Float64 = x[1]
@export_py ones_of(n::Int)::Vector{Float64} = ones(n)
@export_py same(x::AbstractArray)::AbstractArray = x
@export_py function keep(key::Int, x::AbstractArray)::Nothing
    KEPT[key] = x
    return nothing
end
@export_py kept(key::Int)::Any = get(KEPT, key, nothing)
@export_py function forget(key::Int)::Nothing
    delete!(KEPT, key)
    return nothing
end
@export_py function collect_garbage(full::Bool)::Nothing
    GC.gc(full)
    return nothing
end
"An object that only Julia holds until the next collection."
@export_py function hold_once(x::Py)::Nothing
    return nothing
end

# Callbacks
"Calls `f(n - 1)`; Python calls back here until n is 0."
@export_py down(f::Py, n::Int)::Any = n == 0 ? throw(ArgumentError("the bottom")) : f(n - 1)
@export_py function collecting_call(f::Py, x::AbstractArray)::Float64
    before = sum(x)
    GC.gc()
    f()
    GC.gc(false)
    return sum(x) - before
end
@export_py call(f::Py)::Any = f()
@export_py fail(n::Int)::Int = throw(DomainError(n, "never"))

function init()
    @export_pymodule _running begin
        allocating = Pyfunc(allocating)
        allocating_nogil = Pyfunc(allocating_nogil)
        asleep = Pyfunc(asleep)
        asleep_nogil = Pyfunc(asleep_nogil)
        waiting = Pyfunc(waiting)
        yielding = Pyfunc(yielding)
        calling = Pyfunc(calling)
        asking = Pyfunc(asking)
        asking_nogil = Pyfunc(asking_nogil)
        in_a_task = Pyfunc(in_a_task)
        computing = Pyfunc(computing)
        undisturbed = Pyfunc(undisturbed)
        catching = Pyfunc(catching)
        overflow = Pyfunc(overflow)
        overflow_allocating = Pyfunc(overflow_allocating)
        huge = Pyfunc(huge)
        threads = Pyfunc(threads)
        parallel = Pyfunc(parallel)
        churning = Pyfunc(churning)
        total = Pyfunc(total)
        first_of = Pyfunc(first_of)
        ones_of = Pyfunc(ones_of)
        same = Pyfunc(same)
        keep = Pyfunc(keep)
        kept = Pyfunc(kept)
        forget = Pyfunc(forget)
        collect_garbage = Pyfunc(collect_garbage)
        hold_once = Pyfunc(hold_once)
        down = Pyfunc(down)
        collecting_call = Pyfunc(collecting_call)
        call = Pyfunc(call)
        fail = Pyfunc(fail)
    end
end

precompile(init, ())

end
