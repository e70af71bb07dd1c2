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

function send_record(parts::Tuple)
    record = join(parts, '\0')
    GC.@preserve record send(RECORDS, pointer(record), UInt(sizeof(record)))
    return nothing
end

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

Shows progress in Python, and gives all other messages to `inner`. A message about progress has the keyword `progress`: a
fraction, or `"done"`. So do those of ProgressLogging.jl.
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

"A fraction as text, which is empty while it is not known."
fraction_text(fraction::Real) = isnan(fraction) ? "" : string(Float64(fraction))
fraction_text(fraction) = fraction == "done" ? "1.0" : ""

"The logger of the messages that are not about progress."
inner_logger(logger::AbstractLogger) = logger
inner_logger(logger::ProgressLogger) = logger.inner

"Shows progress in Python from now on, or no more."
function show_progress(show::Bool)
    inner = inner_logger(CoreLogging.global_logger())
    CoreLogging.global_logger(show ? ProgressLogger(inner) : inner)
    return nothing
end

"Sets the logger that messages go to, and returns the one before; progress goes where it went."
function replace_logger(logger::AbstractLogger)
    before = CoreLogging.global_logger()
    CoreLogging.global_logger(before isa ProgressLogger ? ProgressLogger(logger) : logger)
    return inner_logger(before)
end

"The logger before [`log_to_python`](@ref)."
const LOGGER_BEFORE = Ref{Union{Nothing,AbstractLogger}}(nothing)

"Gives log messages of this level, as Python counts, and above to Python's `logging`; with a negative one, prints them again."
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

"What Python calls by name: see [`compiled_calls`](@ref)."
const LOG_CALLS = Tuple{Any,Tuple}[(log_to_python, (Int,)), (show_progress, (Bool,))]
