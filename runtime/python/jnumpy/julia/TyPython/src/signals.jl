# Python's signals while a call runs in Julia. Python notes a signal and runs its handlers later, between two of its own
# instructions; here they run at points where Julia's own interrupt may arrive too: at the end of a collection, while
# the task that Python called waits, and where the code asks, by `check_signals`. If a handler raises, as Python's own
# for Ctrl-C does, its exception is thrown in the Julia code.

"Nanoseconds between two looks: Python's lock may have to be waited for."
const PATIENCE = UInt64(100_000_000)
const LAST_LOOK = Ref(UInt64(0))
const LOOKING = Ref(false)

"The task that the runtime started Julia in."
const ROOT_TASK = Ref{Task}()

"""
    check_signals()

Runs Python's handlers of the signals that have come, ten times a second at most, and throws what they raise:
`InterruptException` after Ctrl-C. A long loop that neither allocates, waits nor calls Python cannot be stopped
otherwise. On other threads than the one that started Julia, it only looks whether the call is of a function with
`async=true` and was cancelled, and throws an `InterruptException` then.
"""
function check_signals()
    failure = raised_by_handlers()
    failure === nothing || throw(failure)
    is_cancelled(current_task()) && throw(InterruptException())
    return nothing
end

"The exception that a handler of Python's has raised, if one has."
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
        # Between a failed call of Python and its exception a collection may come.
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
Whether Julia has put interrupts off, as it does while it holds a lock of its own, compiles, or runs code under
`disable_sigint`. There is no function that tells, but one that fails when they are not.
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

"Called by Julia when a collection is over and its finalizers have run; its own interrupt arrives at this point too."
function after_collection(::Cint)
    reset_accounted()
    failure = raised_by_handlers()
    failure === nothing || throw(failure)
    return nothing
end

"Called by Julia's event loop, which runs on the thread that started Julia only when all its tasks wait or yield."
function while_waiting()
    ccall(HOST[].while_waiting, Cvoid, ())
    # Other threads may be about to wake the task themselves.
    ccall(:jl_in_threaded_region, Cint, ()) == 0 || return nothing
    status = ccall(HOST[].take_exit, Cint, ())
    failure = status < 0 ? raised_by_handlers() : system_exit(Int(status))
    failure === nothing || current_task() === ROOT_TASK[] || schedule(ROOT_TASK[], failure; error=true)
    return nothing
end

"What the task of [`watch_signals`](@ref) does, until Julia ends."
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
    # A timer with a function has a task that may run in any thread. The end of the process wakes it there, and what that
    # thread compiles then crashes in an LLVM that is being torn down.
    task = Task(watch_while_waiting)
    task.sticky = true
    schedule(task)
    return nothing
end

# --- exit

"""
`exit` ends Python as `sys.exit` does: by an exception, so that everybody cleans up. From a task that Python has not called,
the exception goes to the code that waits for tasks, or to Python's main thread.
"""
function Base.exit(status::Integer)
    # Without Python, as while an image is built, it is Julia's own.
    HOST[].protocol == 0 && return ccall(:jl_exit, Cvoid, (Int32,), status)
    is_root(current_task()) && throw(system_exit(Int(status)))
    on_starting_thread() || ccall(HOST[].exit, Cvoid, (Cint,), status)
    on_starting_thread() && schedule(ROOT_TASK[], system_exit(Int(status)); error=true)
    # Whoever waits for this task must not wait for ever.
    error("exit(", status, ") in a task")
end

system_exit(status::Int) = PyException(G_PyBuiltin.SystemExit, G_PyBuiltin.SystemExit(status), borrowed_none())

"Whether a task is a thread's first one, which runs what Python calls."
is_root(task::Task) = !isdefined(task, :code) || task.code === nothing

"What runs without being called: see [`compiled_calls`](@ref)."
const SIGNAL_CALLS = Tuple{Any,Tuple}[
    (watch_while_waiting, ()),
    (after_collection, (Cint,)),
    (run_handlers, ()),
    (check_signals, ()),
    (exit, (Int,)),
]
