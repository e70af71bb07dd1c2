# Runs Python's signal handlers while a call runs in Julia. Python notes a signal and runs the handler later, between two of its
# own instructions. During a call, handlers run at the points where Julia's own interrupts may arrive: at the end of a garbage
# collection, while the task that Python called waits, and where the code calls `check_signals`. If a handler raises an exception,
# as Python's handler for Ctrl-C does, that exception is thrown in the Julia code.

"Nanoseconds between two checks, because a check may have to wait for Python's lock."
const PATIENCE = UInt64(100_000_000)
const LAST_LOOK = Ref(UInt64(0))
const LOOKING = Ref(false)

"The task in which the runtime started Julia."
const ROOT_TASK = Ref{Task}()

"""
    check_signals()

Runs Python's handlers of the signals that have arrived, at most ten times a second, and throws what they raise:
`InterruptException` after Ctrl-C. Without it, a long loop that does not allocate, wait, or call Python cannot be stopped. In
other threads than the one that started Julia, it only checks whether a call of a function with `async=true` was canceled, and
throws an `InterruptException` if so.
"""
function check_signals()
    failure = raised_by_handlers()
    failure === nothing || throw(failure)
    is_cancelled(current_task()) && throw(InterruptException())
    return nothing
end

"The exception that a Python handler has raised, or `nothing`."
@inline function raised_by_handlers()
    on_starting_thread() && time_ns() - LAST_LOOK[] > PATIENCE || return nothing
    return run_handlers()
end

@noinline function run_handlers()
    (LOOKING[] || running_in() != IN_JULIA || interrupts_disabled()) && return nothing
    LOOKING[] = true
    # A function with `nogil` runs without the lock.
    state = PyGILState_Ensure()
    try
        # A collection may happen between a failed call of Python and the handling of its exception.
        PyErr_Occurred() == NULL || return nothing
        PyErr_CheckSignals()
        drop_returned()
        return nothing
    catch failure
        return is_keyboard_interrupt(failure) ? InterruptException() : failure
    finally
        PyGILState_Release(state)
        LAST_LOOK[] = time_ns()
        LOOKING[] = false
    end
end

is_keyboard_interrupt(::Any) = false
is_keyboard_interrupt(failure::PyException) =
    getfield(failure.type, :ptr) == getfield(G_PyBuiltin.KeyboardInterrupt, :ptr)

"""
Whether Julia has disabled interrupts, as it does while it holds one of its locks, compiles, or runs code under `disable_sigint`.
No function tells this, but `jl_sigatomic_end` fails if they are not disabled.
"""
function interrupts_disabled()
    try
        ccall(:jl_sigatomic_end, Cvoid, ())
    catch
        return false
    end
    ccall(:jl_sigatomic_begin, Cvoid, ())
    return true
end

"Called by Julia after a collection and its finalizers. Julia's own interrupts arrive at this point too."
function after_collection(::Cint)
    reset_accounted()
    failure = raised_by_handlers()
    failure === nothing || throw(failure)
    return nothing
end

"Called by Julia's event loop, which runs in the thread that started Julia only if all tasks of that thread wait or yield."
function while_waiting()
    ccall(HOST[].while_waiting, Cvoid, ())
    # Other threads may be about to wake the task too.
    ccall(:jl_in_threaded_region, Cint, ()) == 0 || return nothing
    status = ccall(HOST[].take_exit, Cint, ())
    failure = status < 0 ? raised_by_handlers() : system_exit(Int(status))
    failure === nothing || current_task() === ROOT_TASK[] || schedule(ROOT_TASK[], failure; error=true)
    return nothing
end

"The body of the task of [`watch_signals`](@ref), which runs until Julia ends."
function watch_while_waiting()
    timer = Timer(PATIENCE / 1e9; interval=PATIENCE / 1e9)
    while isopen(timer)
        wait(timer)
        while_waiting()
    end
    return nothing
end

function watch_signals()
    STARTING_THREAD[] = Threads.threadid()
    ROOT_TASK[] = current_task()
    hook = @cfunction(after_collection, Cvoid, (Cint,))
    ccall(:jl_gc_set_cb_post_gc, Cvoid, (Ptr{Cvoid}, Cint), hook, 1)
    # A timer with a function has a task that may run in any thread. When the process ends, the task is woken there, and code
    # that this thread then compiles crashes in an LLVM that is being torn down.
    task = Task(watch_while_waiting)
    task.sticky = true
    schedule(task)
    return nothing
end

# --- exit

"""
`exit` ends Python by an exception, as `sys.exit` does, so that cleanup code runs. In a task that Python has not called, the
exception is thrown in the code that waits for tasks, or in Python's main thread.
"""
function Base.exit(status::Integer)
    # Without Python, for example while an image is built, this is Julia's own `exit`.
    HOST[].protocol == 0 && return ccall(:jl_exit, Cvoid, (Int32,), status)
    is_root(current_task()) && throw(system_exit(Int(status)))
    on_starting_thread() || ccall(HOST[].exit, Cvoid, (Cint,), status)
    on_starting_thread() && schedule(ROOT_TASK[], system_exit(Int(status)); error=true)
    # The task has to end, so that no other task waits for it forever.
    error("exit(", status, ") in a task")
end

system_exit(status::Int) = PyException(G_PyBuiltin.SystemExit, G_PyBuiltin.SystemExit(status), borrowed_none())

"Whether a task is the first task of a thread, in which calls from Python run."
is_root(task::Task) = !isdefined(task, :code) || task.code === nothing

"Functions that run without a call from Python, for [`compiled_calls`](@ref)."
const SIGNAL_CALLS = Tuple{Any,Tuple}[
    (watch_while_waiting, ()),
    (after_collection, (Cint,)),
    (run_handlers, ()),
    (check_signals, ()),
    (exit, (Int,)),
]
