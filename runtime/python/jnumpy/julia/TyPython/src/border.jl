# Calls from Julia into Python. All of them use `@python` or `@brief`, which preserve what must hold while Python runs.

# Which code the thread that started Julia runs: the numbers of the runtime's `julia/signals.rs`.
const IN_PYTHON = 0x00
const IN_JULIA = 0x01
"Julia, outside the `try` of an entry: no exception may be thrown into it."
const UNPROTECTED = 0x02

"""
    @python call

Calls Python, or a function of the runtime that may run Python code.

Since Julia 1.9, any thread may call. The call then is in a GC-safe region: Python code may wait for its lock or for another
thread, and a garbage collection in another thread must not wait for that. The region contains only the call itself, whose
arguments are plain C values or were converted before. A callback into Julia leaves the region while it runs, as every `@cfunction`
does since Julia 1.9.

If the thread has given Python's lock away, the lock is taken back first: see [`hold_lock`](@ref).
"""
macro python(call)
    body = Expr(:call, :ccall, map(esc, call.args[2:end])...)
    if VERSION >= v"1.9"
        return quote
            hold_lock()
            region = ccall(:jl_gc_safe_enter, Int8, ())
            result = $body
            ccall(:jl_gc_safe_leave, Cvoid, (Int8,), region)
            result
        end
    end
    return quote
        hold_lock()
        before = running_in()
        running_in!(IN_PYTHON)
        result = $body
        running_in!(before)
        result
    end
end

"""
    @brief call

As [`@python`](@ref), for functions of the runtime that neither wait nor run Python code, such as those that create a number or a
text. A collection can wait for them, so they need no GC-safe region.
"""
macro brief(call)
    VERSION >= v"1.9" || return esc(:(@python $call))
    return Expr(:block, :(hold_lock()), Expr(:call, :ccall, map(esc, call.args[2:end])...))
end

"""
    hold_lock()

Takes Python's lock back if this thread has given it away. While the task that Python has called waits, other Python threads run
(see the runtime's `julia/waiting.rs`). Afterwards, the task continues without the lock until it needs Python. `@python` and
`@brief` call this function, and so does all code that uses a table which only the thread with the lock may use.
"""
@inline function hold_lock()
    unsafe_load(HOST[].given_away) == 0 || take_lock_back()
    return nothing
end

@noinline take_lock_back() = ccall(HOST[].take_back, Cvoid, ())

"""
    @anywhere call

As [`@python`](@ref), for functions of the runtime that any thread may call, including Julia's own threads.
"""
macro anywhere(call)
    VERSION >= v"1.9" && return esc(:(@python $call))
    return esc(:(on_starting_thread() ? (@python $call) : $call))
end

@inline running_in() = unsafe_load(HOST[].running_in)
@inline running_in!(where::UInt8) = unsafe_store!(HOST[].running_in, where)

"The number of the thread that started Julia."
const STARTING_THREAD = Ref(0)
on_starting_thread() = Threads.threadid() == STARTING_THREAD[]

"Notes that the `try` of the entry was left."
@inline leave_try() = (VERSION < v"1.9" || on_starting_thread()) && running_in!(UNPROTECTED)
