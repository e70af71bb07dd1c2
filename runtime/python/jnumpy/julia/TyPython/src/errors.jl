# Exceptions in both directions.

"""
    PyException(type, value, traceback)

A Python exception in Julia. Thrown back to Python, it arrives as the original.
"""
struct PyException <: Exception
    type::Py
    value::Py
    traceback::Py
end

function Base.showerror(io::IO, failure::PyException)
    print(io, "Python: ", py_coerce(String, failure.type.__name__), ": ", failure.value)
end

"Takes the Python exception that is set."
@noinline function pending_exception()
    parts = fill(NULL, 3)
    GC.@preserve parts begin
        PyErr_Fetch(pointer(parts, 1), pointer(parts, 2), pointer(parts, 3))
        PyErr_NormalizeException(pointer(parts, 1), pointer(parts, 2), pointer(parts, 3))
    end
    parts[1] == NULL && return ErrorException("a call into Python failed without an exception")
    return PyException(map(part -> part == NULL ? borrowed_none() : Py(part), parts)...)
end

borrowed_none() = borrowed(getfield(PyAPI.Py_None, :ptr))

"""
    py_throw()
    py_throw(type, text)

Throws the Python exception that is set, or a new one: `py_throw(:ValueError, "n is negative")`.
"""
py_throw() = throw(pending_exception())

@noinline function py_throw(type::Symbol, text::AbstractString)
    class = getproperty(G_PyBuiltin, type)
    throw(PyException(class, class(String(text)), borrowed_none()))
end

# A conversion may fail deep inside a value. Each container around it adds its own step before the path, so that the error names
# the item: `f() argument `edges`[3].weight: expected float type, got str`.

"The latest exception of a conversion with a path, the path, and the text without the path."
struct Misfit
    failure::PyException
    path::String
    text::String
end

const MISFIT = Ref{Union{Nothing,Misfit}}(nothing)

"Throws an exception about a value that cannot be converted. Paths and labels are added to it later."
@noinline misfit(class::Symbol, text...) = throw(misfit_at(getproperty(G_PyBuiltin, class), "", string(text...)))

function misfit_at(class::Py, path::String, text::String)
    failure = PyException(class, class(isempty(path) ? text : string(path, ": ", text)), borrowed_none())
    MISFIT[] = Misfit(failure, path, text)
    return failure
end

"Class, path, and text of an exception of a conversion; `nothing` for any other exception."
function parts_of(@nospecialize(failure))
    known = MISFIT[]
    known !== nothing && known.failure === failure && return (failure.type, known.path, known.text)
    is_wrong_length(failure) && return (G_PyBuiltin.ValueError, "", failure.msg)
    failure isa PyException || return nothing
    is_class(failure.type, :TypeError) || is_class(failure.type, :OverflowError) || return nothing
    return (failure.type, "", string(failure.value))
end

"Whether an exception says that a value cannot be converted."
is_misfit(@nospecialize(failure)) = (parts = parts_of(failure); parts !== nothing && is_class(parts[1], :TypeError))

"The exception of a conversion with one `step` more in its path: `[3]` or `.weight`."
@noinline function within(@nospecialize(failure), step::String)
    parts = parts_of(failure)
    parts === nothing && return failure
    class, path, text = parts
    return misfit_at(class, string(step, path), text)
end

"The exception of a conversion with the name of the argument. `label` ends with a colon and a space."
@noinline function labeled(@nospecialize(failure), label::String)
    parts = parts_of(failure)
    MISFIT[] = nothing
    if failure isa PyException && is_class(failure.type, :UnicodeEncodeError)
        # The message is built from the attributes of the exception.
        failure.value.reason = string(py_coerce(String, failure.value.reason), " (", chop(label; tail=2), ")")
    end
    parts === nothing && return failure
    class, path, text = parts
    return PyException(class, class(string(chop(label; tail=2), path, ": ", text)), borrowed_none())
end

# The functions below are not compiled for each type of exception. Otherwise, the first exception of a type would have to wait for
# the compiler, and a wheel without the compiler could not raise it.

"The Python class for a Julia exception: a name in `jnumpy._errors`."
function python_class(@nospecialize(failure))
    failure isa Union{MethodError,TypeError} && return "TypeError"
    failure isa BoundsError && return "IndexError"
    failure isa KeyError && return "KeyError"
    failure isa Union{ArgumentError,DimensionMismatch,DomainError} && return "ValueError"
    failure isa UndefVarError && return "NameError"
    failure isa EOFError && return "EOFError"
    failure isa OutOfMemoryError && return "MemoryError"
    failure isa Union{OverflowError,InexactError} && return "OverflowError"
    failure isa DivideError && return "ZeroDivisionError"
    failure isa AssertionError && return "AssertionError"
    failure isa InterruptException && return "KeyboardInterrupt"
    failure isa StackOverflowError && return "RecursionError"
    exports_class(typeof(failure)) && return exception_name(typeof(failure))
    return "RuntimeError"
end

"""
The name of the class of an exported exception in `jnumpy._errors`. Each name is kept, because the runtime reads it in place.
"""
function exception_name(@nospecialize(T))
    try
        Pyclass(T)
    catch
        return "RuntimeError"
    end
    name = look_up(EXCEPTION_NAMES, T)
    name === nothing || return name::String
    return EXCEPTION_NAMES[T] = class_annotation(T)
end

const EXCEPTION_NAMES = IdDict{Any,Any}()

"Julia's own exceptions. Images contain compiled code for their messages."
const COMMON_ERRORS = (
    MethodError, TypeError, BoundsError, KeyError, ArgumentError, DimensionMismatch, DomainError, UndefVarError, EOFError,
    OverflowError, InexactError, DivideError, AssertionError, InterruptException, StackOverflowError, ErrorException,
    UndefRefError, UndefKeywordError, Base.StringIndexError, LoadError,
)

"A wrapper that says where a file failed says less than what failed."
function cause(@nospecialize(failure))
    failure isa LoadError && return cause(failure.error)
    if failure isa InitError
        # The name of the module whose `__init__` failed is worth keeping, but `exit`, Ctrl-C, and Python's exceptions stay what
        # they are.
        inner = cause(failure.error)
        return inner isa Union{PyException,InterruptException} ? inner : failure
    end
    failure isa Union{CompositeException,TaskFailedException} && return something(findinterrupt(failure), failure)
    return failure
end

"Ctrl-C that reached a task instead of the one that waits for it."
function findinterrupt(@nospecialize(failure))
    failure isa InterruptException && return failure
    failure isa TaskFailedException && return findinterrupt(failure.task.exception)
    failure isa CompositeException && !isempty(failure.exceptions) && return findinterrupt(first(failure.exceptions))
    return nothing
end

"The addresses of built-in classes that were looked up."
const BUILTIN_CLASSES = Dict{Symbol,PyPtr}()

"Whether `type` is the built-in class of that name."
function is_class(type::Py, class::Symbol)
    hold_lock()
    known = get(BUILTIN_CLASSES, class, NULL)
    known == NULL && (known = BUILTIN_CLASSES[class] = getfield(getproperty(G_PyBuiltin, class), :ptr))
    return getfield(type, :ptr) == known
end

"""
The instance that Python raises for `failure`. Any code can make a [`PyException`](@ref) from any value, and CPython does not check
what it raises.
"""
function raisable(failure::PyException)
    is_instance(failure.value, :BaseException) && return failure.value
    made = failure.type(failure.value)
    is_instance(made, :BaseException) && return made
    py_throw(:TypeError, string("a PyException holds a Python exception, not ", failure.value))
end

"Writes a caught exception as the result of an entry."
@noinline function fail(result::Ptr{Slot}, @nospecialize(failure))
    hold_lock()
    failure = cause(failure)
    if failure isa Declined
        not_implemented = borrowed(PyPtr(c_symbol(:Py_NotImplemented)))
        unsafe_store!(result, Slot(OBJECT, address(new_reference(not_implemented))))
    elseif failure isa PyException
        value = try
            raisable(failure)
        catch another
            return fail(result, another)
        end
        none = getfield(PyAPI.Py_None, :ptr)
        traceback = getfield(failure.traceback, :ptr)
        PyErr_Restore(
            new_reference(value.__class__),
            new_reference(value),
            traceback == none ? NULL : new_reference(failure.traceback),
        )
        unsafe_store!(result, Slot(PYTHON_EXCEPTION))
    else
        class = python_class(failure)
        number = root((failure, catch_backtrace()))
        # The names are constants, so their memory is never freed.
        unsafe_store!(
            result,
            Slot(EXCEPTION, number, address(pointer(class)), UInt64(sizeof(class))),
        )
    end
    return nothing
end

"The text that Julia prints for a value. The `show` method of its type, or of a type in its backtrace, may throw."
function rendered(@nospecialize(print), @nospecialize(value), otherwise::String)
    buffer = IOBuffer()
    try
        print(buffer, value)
    catch
        return otherwise
    end
    return String(take!(buffer))
end

"The message of an exception, as Julia prints it."
function message(@nospecialize(failure))
    failure isa AbstractString && return String(failure)::String
    return rendered(showerror, failure, string("an exception of type ", julia_type(failure), ", whose `showerror` fails"))
end

"The name of an exception's type."
julia_type(@nospecialize(failure)) = rendered(print, typeof(failure), String(nameof(typeof(failure))))

"The type of the result of `catch_backtrace`."
const Backtrace = Vector{Union{Ptr{Nothing},Base.InterpreterIP}}

"The text that Julia prints for a backtrace."
backtrace_text(@nospecialize(backtrace)) =
    rendered(Base.show_backtrace, backtrace, "\na backtrace that Julia fails to show")
