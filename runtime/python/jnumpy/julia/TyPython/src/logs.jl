# Julia's log messages as records of Python's `logging`, for programs that ask for it.

import Base.CoreLogging
using Base.CoreLogging: AbstractLogger, LogLevel

"""
    PythonLogger(level)

Gives messages of this level and above to Python's logger `julia.<module>`. Like text for a stream, a message of a thread that
does not hold Python's lock is queued.
"""
struct PythonLogger <: AbstractLogger
    level::LogLevel
    "How often messages with `maxlog` may still come, by their identity."
    left::Dict{Any,Int}
    lock::ReentrantLock
end

PythonLogger(level::LogLevel) = PythonLogger(level, Dict{Any,Int}(), ReentrantLock())

"The runtime's stream for records: one in each piece."
const RECORDS = PythonOutput(3)

CoreLogging.min_enabled_level(logger::PythonLogger) = logger.level
CoreLogging.shouldlog(logger::PythonLogger, level, _module, group, id) = true
# What a handler of Python's throws is raised where it was logged, as in Python.
CoreLogging.catch_exceptions(::PythonLogger) = false

function CoreLogging.handle_message(
    logger::PythonLogger, level, message, _module, group, id, file, line; maxlog=nothing, keywords...
)
    maxlog isa Integer && !may_log(logger, id, Int(maxlog)) && return nothing
    # Python has 10, 20, 30, and 40 where Julia has -1000, 0, 1000, and 2000.
    number = clamp(20 + fld(level isa LogLevel ? level.level : Int(level), 100), 1, 50)
    record = join((number, _module, something(file, ""), something(line, 0), message_text(message, keywords)), '\0')
    GC.@preserve record send(RECORDS, pointer(record), UInt(sizeof(record)))
    return nothing
end

function may_log(logger::PythonLogger, id, maxlog::Int)
    lock(logger.lock)
    try
        left = get(logger.left, id, maxlog)
        logger.left[id] = left - 1
        return left > 0
    finally
        unlock(logger.lock)
    end
end

function message_text(message, keywords)
    text = IOBuffer()
    print(text, message)
    for (name, value) in keywords
        print(text, "\n  ", name, " = ")
        if value isa Tuple{Exception,Any}
            showerror(text, value...)
        elseif value isa Exception
            showerror(text, value)
        else
            show(IOContext(text, :limit => true), MIME("text/plain"), value)
        end
    end
    return String(take!(text))
end

"The logger before [`log_to_python`](@ref)."
const LOGGER_BEFORE = Ref{Union{Nothing,AbstractLogger}}(nothing)

"Gives log messages of this level, as Python counts, and above to Python's `logging`; with a negative one, prints them again."
function log_to_python(level::Int)
    if level < 0
        before = LOGGER_BEFORE[]
        before === nothing || CoreLogging.global_logger(before)
        LOGGER_BEFORE[] = nothing
        return nothing
    end
    before = CoreLogging.global_logger(PythonLogger(LogLevel(100 * (level - 20))))
    before isa PythonLogger || (LOGGER_BEFORE[] = before)
    return nothing
end
