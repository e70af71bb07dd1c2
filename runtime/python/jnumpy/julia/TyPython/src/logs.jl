# Sends Julia's log messages to Python's `logging` on request.

import Base.CoreLogging
using Base.CoreLogging: AbstractLogger, LogLevel

"""
    PythonLogger(level)

Sends messages of this level and above to Python's logger `julia.<module>`. Like text for a stream, a message of a thread without
Python's lock is queued.
"""
struct PythonLogger <: AbstractLogger
    level::LogLevel
    "The remaining number of messages with `maxlog`, by their identity."
    left::Dict{Any,Int}
    lock::ReentrantLock
end

PythonLogger(level::LogLevel) = PythonLogger(level, Dict{Any,Int}(), ReentrantLock())

"The runtime's stream for records; each write is one record."
const RECORDS = PythonOutput(3)

function send_record(parts::Tuple)
    record = join(parts, '\0')
    GC.@preserve record send(RECORDS, pointer(record), UInt(sizeof(record)))
    return nothing
end

CoreLogging.min_enabled_level(logger::PythonLogger) = logger.level
CoreLogging.shouldlog(logger::PythonLogger, level, _module, group, id) = true
# An exception of a Python handler is raised where the message was logged, as in Python.
CoreLogging.catch_exceptions(::PythonLogger) = false

function CoreLogging.handle_message(
    logger::PythonLogger, level, message, _module, group, id, file, line; maxlog=nothing, keywords...
)
    maxlog isa Integer && !may_log(logger, id, Int(maxlog)) && return nothing
    # Python has 10, 20, 30, and 40 where Julia has -1000, 0, 1000, and 2000.
    number = clamp(20 + fld(level isa LogLevel ? level.level : Int(level), 100), 1, 50)
    return send_record((number, _module, something(file, ""), something(line, 0), message_text(message, keywords)))
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

"""
    ProgressLogger(inner)

Shows progress in Python, and passes all other messages to `inner`. A message about progress has the keyword `progress`, which is
a fraction or `"done"`, as the messages of ProgressLogging.jl have.
"""
struct ProgressLogger <: AbstractLogger
    inner::AbstractLogger
end

"The level of messages about progress."
const PROGRESS = LogLevel(-1)

CoreLogging.min_enabled_level(logger::ProgressLogger) = min(PROGRESS, CoreLogging.min_enabled_level(logger.inner))
CoreLogging.catch_exceptions(logger::ProgressLogger) = CoreLogging.catch_exceptions(logger.inner)

function CoreLogging.shouldlog(logger::ProgressLogger, level, _module, group, id)
    return level == PROGRESS || passes(logger.inner, level, _module, group, id)
end

passes(logger::AbstractLogger, level, _module, group, id) =
    level >= CoreLogging.min_enabled_level(logger) && CoreLogging.shouldlog(logger, level, _module, group, id)

function CoreLogging.handle_message(logger::ProgressLogger, level, message, _module, group, id, file, line; keywords...)
    if haskey(keywords, :progress)
        send_record(("progress", id, fraction_text(keywords[:progress]), message))
    elseif passes(logger.inner, level, _module, group, id)
        CoreLogging.handle_message(logger.inner, level, message, _module, group, id, file, line; keywords...)
    end
    return nothing
end

"A fraction as text; empty if it is unknown."
fraction_text(fraction::Real) = isnan(fraction) ? "" : string(Float64(fraction))
fraction_text(fraction) = fraction == "done" ? "1.0" : ""

"The logger of messages that are not about progress."
inner_logger(logger::AbstractLogger) = logger
inner_logger(logger::ProgressLogger) = logger.inner

"Starts or stops showing progress in Python."
function show_progress(show::Bool)
    inner = inner_logger(CoreLogging.global_logger())
    CoreLogging.global_logger(show ? ProgressLogger(inner) : inner)
    return nothing
end

"Sets the logger for messages, and returns the previous one. Messages about progress are not affected."
function replace_logger(logger::AbstractLogger)
    before = CoreLogging.global_logger()
    CoreLogging.global_logger(before isa ProgressLogger ? ProgressLogger(logger) : logger)
    return inner_logger(before)
end

"The logger that was used before [`log_to_python`](@ref)."
const LOGGER_BEFORE = Ref{Union{Nothing,AbstractLogger}}(nothing)

"Sends log messages of this level (a Python level) and above to Python's `logging`. With a negative level, prints them again."
function log_to_python(level::Int)
    if level < 0
        before = LOGGER_BEFORE[]
        before === nothing || replace_logger(before)
        LOGGER_BEFORE[] = nothing
        return nothing
    end
    before = replace_logger(PythonLogger(LogLevel(100 * (level - 20))))
    before isa PythonLogger || (LOGGER_BEFORE[] = before)
    return nothing
end

"Functions that Python calls by name, for [`compiled_calls`](@ref)."
const LOG_CALLS = Tuple{Any,Tuple}[(log_to_python, (Int,)), (show_progress, (Bool,))]
