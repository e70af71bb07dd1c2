# Where control is. Every call of Python from Julia goes through `@python`, so that what has to be true while Python
# runs is written in one place.

# Control of the served thread, as the runtime's `julia/signals.rs` numbers it.
const IN_PYTHON = 0x00
const IN_JULIA = 0x01
"In Julia, where no `try` of an entry is left to catch an exception from outside: nothing may be thrown into it."
const UNPROTECTED = 0x02

"""
    @python call

Calls Python, or the runtime when it may.

Since Julia 1.9, where any thread may call, it does so from a GC-safe region: Python code may wait for its lock, or for
another thread, and a collection that another thread begins must not wait for that. The region holds no more than the
call itself, whose arguments are plain C values or converted before; a callback into Julia leaves it for its time, as
every `@cfunction` of those versions does by itself. (By the documentation and sources of Julia 1.9 to 1.12; the tests
run older ones.)
"""
macro python(call)
    body = Expr(:call, :ccall, map(esc, call.args[2:end])...)
    if VERSION >= v"1.9"
        return quote
            region = ccall(:jl_gc_safe_enter, Int8, ())
            result = $body
            ccall(:jl_gc_safe_leave, Cvoid, (Int8,), region)
            result
        end
    end
    return quote
        before = control()
        control!(IN_PYTHON)
        result = $body
        control!(before)
        result
    end
end

"""
    @anywhere call

As [`@python`](@ref), for functions of the runtime that any thread may call, those of Julia's own too.
"""
macro anywhere(call)
    VERSION >= v"1.9" && return esc(:(@python $call))
    return esc(:(on_served_thread() ? (@python $call) : $call))
end

@inline control() = unsafe_load(HOST[].control)
@inline control!(where::UInt8) = unsafe_store!(HOST[].control, where)

"The number of the thread that the runtime started Julia in."
const SERVED = Ref(0)
on_served_thread() = Threads.threadid() == SERVED[]

"Says that the `try` of the entry is behind us."
@inline leave_try() = (VERSION < v"1.9" || on_served_thread()) && control!(UNPROTECTED)
