# Calls that Python awaits: `@export_py async=true`. Each runs in a thread of Python's own, without the lock. This is how such
# a call learns that nobody waits for it any more.

"Whether a call is to end; its task carries it, and [`check_signals`](@ref) looks at it."
mutable struct Cancellation
    cancelled::Bool
end

const CANCELLATION = :jnumpy_cancellation

"From now on, what this thread runs is the call."
@export_py function begin_call(self::Cancellation)::Nothing
    self.cancelled && throw(InterruptException())
    task_local_storage(CANCELLATION, self)
    return nothing
end

@export_py function end_call(self::Cancellation)::Nothing
    delete!(task_local_storage(), CANCELLATION)
    return nothing
end

@export_py function cancel_call(self::Cancellation)::Nothing
    self.cancelled = true
    return nothing
end

"""
Julia's timers, sockets and tasks need the thread that started it now and then, which is in Python's event loop while calls are
awaited. `sleep` lets it do all of that.
"""
@export_py nogil=true function serve_tasks()::Nothing
    on_starting_thread() && sleep(0)
    return nothing
end

@export_pyclass Cancellation begin
    __init__()::Cancellation = Cancellation(false)
    begin_call, end_call, cancel_call
    serve_tasks = staticmethod(serve_tasks)
end

function is_cancelled(task::Task)
    storage = task.storage
    storage === nothing && return false
    cancellation = get(storage, CANCELLATION, nothing)
    return cancellation isa Cancellation && cancellation.cancelled
end
