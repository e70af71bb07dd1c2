# Calls from Julia into Python. All of them go through `@python`, which keeps what has to hold while Python runs, or `@brief`.

# What the thread that started Julia runs in, as numbered by the runtime's `julia/signals.rs`.
const IN_PYTHON = 0x00
const IN_JULIA = 0x01
"In Julia, outside the `try` of an entry: nothing may be thrown into it."
const UNPROTECTED = 0x02

"""
    @python call

Calls Python, or the runtime when it may.

Since Julia 1.9, where any thread may call, it does so from a GC-safe region: Python code may wait for its lock, or for
another thread, and a collection that another thread begins must not wait for that. The region holds no more than the
call itself, whose arguments are plain C values or converted before; a callback into Julia leaves it for its time, as
every `@cfunction` of those versions does by itself.

The lock is taken back first, if the thread has given it away: see [`hold_lock`](@ref).
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

As [`@python`](@ref), for functions of the runtime that neither wait nor run Python code: they make a number or a text. A
collection can wait for them.
"""
macro brief(call)
    VERSION >= v"1.9" || return esc(:(@python $call))
    return Expr(:block, :(hold_lock()), Expr(:call, :ccall, map(esc, call.args[2:end])...))
end

"""
    hold_lock()

Takes Python's lock back if this thread has given it away. While the task that Python has called waits, other threads of Python
run (the runtime's `julia/waiting.rs`). Afterwards the task goes on without the lock, until it needs Python. `@python` and
`@brief` call this, and so does whatever uses a table that only the holder of the lock may touch.
"""
@inline function hold_lock()
    unsafe_load(HOST[].given_away) == 0 || take_lock_back()
    return nothing
end

@noinline take_lock_back() = ccall(HOST[].take_back, Cvoid, ())

"""
    @anywhere call

As [`@python`](@ref), for functions of the runtime that any thread may call, those of Julia's own too.
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

"Notes that the `try` of the entry has been left."
@inline leave_try() = (VERSION < v"1.9" || on_starting_thread()) && running_in!(UNPROTECTED)
