# Calls that Python awaits: `@export_py async=true`. Each runs in a Python thread without the lock. This file tells such a call
# that it was canceled.

"Whether a call was canceled. It is stored in the task of the call, and [`check_signals`](@ref) reads it."
mutable struct Cancellation
    cancelled::Bool
end

const CANCELLATION = :jnumpy_cancellation

"Notes that this thread runs the call from now on."
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
Lets Julia's timers, sockets, and tasks run. They need the thread that started Julia, which runs Python's event loop while calls
are awaited, so that loop calls this function from time to time.
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
