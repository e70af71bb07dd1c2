# Julia's standard streams: `stdout` and `stderr` write to the objects that are `sys.stdout` and `sys.stderr` at that moment, and
# `stdin` reads from `sys.stdin`.

"""
    PythonOutput(number)

Writes to `sys.stdout` (1) or `sys.stderr` (2). Text that a task writes while it holds the stream's lock, as `print` does, is
written in one piece when the task releases that lock. Tasks never wait for each other here, because one may hold Python's lock
while another needs it.
"""
struct PythonOutput <: IO
    number::Cint
end

const OUTPUT = PythonOutput(1)
const ERRORS = PythonOutput(2)

"The text that the running task has written under the lock of a stream, and how many times the task holds the lock."
mutable struct Pending
    depth::Int
    bytes::IOBuffer
end

"The longest text that is held back."
const MOST_PENDING = 1 << 16

function pending(io::PythonOutput)
    storage = current_task().storage
    storage === nothing && return nothing
    return look_up(storage, io)::Union{Nothing,Pending}
end

function Base.lock(io::PythonOutput)
    found = pending(io)
    if found === nothing
        found = Pending(0, IOBuffer())
        task_local_storage(io, found)
    end
    found.depth += 1
    return nothing
end

function Base.unlock(io::PythonOutput)
    found = pending(io)
    found === nothing && error("unlock of a stream that this task has not locked")
    found.depth -= 1
    found.depth <= 0 && delete!(task_local_storage(), io)
    # A Python callback may print again.
    found.depth <= 0 && deliver(io, found)
    return nothing
end

function deliver(io::PythonOutput, found::Pending)
    bytes = take!(found.bytes)
    isempty(bytes) || GC.@preserve bytes send(io, pointer(bytes), UInt(length(bytes)))
    return nothing
end

function Base.unsafe_write(io::PythonOutput, bytes::Ptr{UInt8}, count::UInt)
    found = pending(io)
    if found === nothing
        count == 0 || send(io, bytes, count)
    else
        unsafe_write(found.bytes, bytes, count)
        found.bytes.size > MOST_PENDING && deliver(io, found)
    end
    return Int(count)
end

function Base.write(io::PythonOutput, byte::UInt8)
    bytes = Ref(byte)
    GC.@preserve bytes unsafe_write(io, Base.unsafe_convert(Ptr{UInt8}, bytes), UInt(1))
    return 1
end

function send(io::PythonOutput, bytes::Ptr{UInt8}, count::UInt)
    status = @anywhere ccall(HOST[].write_output, Cint, (Cint, Ptr{UInt8}, Csize_t), io.number, bytes, count)
    status < 0 && throw(pending_exception())
    return nothing
end

function Base.flush(io::PythonOutput)
    found = pending(io)
    found === nothing || deliver(io, found)
    status = @anywhere ccall(HOST[].flush_output, Cint, (Cint,), io.number)
    status < 0 && throw(pending_exception())
    return nothing
end

Base.isopen(::PythonOutput) = true
Base.iswritable(::PythonOutput) = true
Base.isreadable(::PythonOutput) = false
# Python closes the stream.
Base.close(io::PythonOutput) = flush(io)
Base.show(io::IO, stream::PythonOutput) = print(io, "PythonOutput(", stream.number == 1 ? "sys.stdout" : "sys.stderr", ")")

"Rows and columns of the terminal of a stream; `nothing` if the stream is not a terminal."
function terminal(io::PythonOutput)
    size = Ref{NTuple{2,Cint}}((0, 0))
    status = @anywhere ccall(HOST[].terminal, Cint, (Cint, Ptr{NTuple{2,Cint}}), io.number, size)
    return status == 0 ? nothing : map(Int, size[])
end

function Base.displaysize(io::PythonOutput)
    size = terminal(io)
    default = displaysize()
    size === nothing && return default
    # As with Julia's own terminals, LINES and COLUMNS take precedence.
    rows = haskey(ENV, "LINES") || size[1] == 0 ? default[1] : size[1]
    columns = haskey(ENV, "COLUMNS") || size[2] == 0 ? default[2] : size[2]
    return (rows, columns)
end

has_color(io::PythonOutput) = terminal(io) !== nothing && Base.get_have_color()
Base.get(io::PythonOutput, key::Symbol, default) = key === :color ? has_color(io) : default
Base.haskey(::PythonOutput, key::Symbol) = key === :color
Base.getindex(io::PythonOutput, key::Symbol) = key === :color ? has_color(io) : throw(KeyError(key))
Base.in(pair::Pair{Symbol,Bool}, io::PythonOutput) = pair.first === :color && pair.second === has_color(io)

"""
    PythonInput()

Reads from `sys.stdin` line by line, so that Python can read what follows the last line that Julia has read.
"""
struct PythonInput <: IO
    ahead::IOBuffer
end

PythonInput() = PythonInput(PipeBuffer())
const INPUT = PythonInput()

"The largest number of bytes that are requested at a time."
const MOST_READ = 1 << 16

"Whether there is something to read. Waits until there is, or until the end of the input."
function fill_ahead(io::PythonInput)
    bytesavailable(io.ahead) > 0 && return true
    buffer = Vector{UInt8}(undef, MOST_READ)
    count = GC.@preserve buffer @anywhere ccall(HOST[].read_input, Cssize_t, (Ptr{UInt8}, Csize_t), pointer(buffer), MOST_READ)
    count < 0 && throw(pending_exception())
    count == 0 && return false
    write(io.ahead, resize!(buffer, count))
    return true
end

Base.eof(io::PythonInput) = !fill_ahead(io)
Base.bytesavailable(io::PythonInput) = bytesavailable(io.ahead)
Base.isopen(::PythonInput) = true
Base.isreadable(::PythonInput) = true
Base.iswritable(::PythonInput) = false
Base.close(::PythonInput) = nothing
Base.show(io::IO, ::PythonInput) = print(io, "PythonInput(sys.stdin)")

function Base.read(io::PythonInput, ::Type{UInt8})
    fill_ahead(io) || throw(EOFError())
    return Base.read(io.ahead, UInt8)
end

function Base.peek(io::PythonInput, ::Type{UInt8})
    fill_ahead(io) || throw(EOFError())
    return Base.peek(io.ahead, UInt8)
end

function Base.unsafe_read(io::PythonInput, bytes::Ptr{UInt8}, count::UInt)
    while count > 0
        fill_ahead(io) || throw(EOFError())
        present = min(count, UInt(bytesavailable(io.ahead)))
        unsafe_read(io.ahead, bytes, present)
        bytes += present
        count -= present
    end
    return nothing
end

function Base.readavailable(io::PythonInput)
    fill_ahead(io)
    return take!(io.ahead)
end

const PythonStream = Union{PythonInput,PythonOutput}

descriptor(io::PythonOutput) = RawFD(io.number)
descriptor(::PythonInput) = RawFD(0)
Base.fd(io::PythonStream) = Base.cconvert(Cint, descriptor(io))
Base._fd(io::PythonStream) = descriptor(io)

# Child processes get the descriptors, as with Python's `subprocess`.
function Base.setup_stdio(io::PythonStream, ::Bool)
    io isa PythonOutput && flush(io)
    return (descriptor(io), false)
end

# --- replacing the standard streams at start, and redirection

"Makes Julia write to Python's streams and read from them."
function take_streams()
    before = Base.stderr
    # The runtime has kept what was printed while Julia started.
    flush(Base.stdout)
    flush(before)
    for (name, stream) in ((:stdin, INPUT), (:stdout, OUTPUT), (:stderr, ERRORS))
        set_stream(name, stream)
    end
    renew_world_of_require()
    Base.Multimedia.reinit_displays()
    renew_logger(before)
    return nothing
end

"""
Makes the global logger write to the new `stderr` if it wrote to the old one. Also makes it show paths of sources in an image
without the slashes that pad them.
"""
function renew_logger(before)
    logger = Base.CoreLogging.global_logger()
    names = fieldnames(typeof(logger))
    :stream in names || return nothing
    fields = map(names) do name
        field = getfield(logger, name)
        # In newer versions of Julia, a logger looks up `stderr` each time.
        name === :stream && field === before && return ERRORS
        name === :meta_formatter && return with_short_path(field)
        return field
    end
    # The constructor would be compiled for these fields at every start.
    renewed = Any[fields...]
    copied = ccall(:jl_new_structv, Any, (Any, Ptr{Any}, UInt32), typeof(logger), renewed, length(renewed))
    Base.CoreLogging.global_logger(copied::Base.CoreLogging.AbstractLogger)
    return nothing
end

with_short_path(format) = (level, owner, group, id, file, line) ->
    format(level, owner, group, id, file isa AbstractString ? replace(file, r"//+" => "/") : file, line)

"Descriptors 0 to 2 as they were before Julia code redirected a standard stream; `nothing` for those that are not."
const REDIRECTED = Union{Nothing,Cint}[nothing, nothing, nothing]

python_stream(number) = (INPUT, OUTPUT, ERRORS)[number+1]
present_stream(number) = (Base.stdin, Base.stdout, Base.stderr)[number+1]

const DUPLICATE_FROM = Cint(1030)  # F_DUPFD_CLOEXEC

"Called before Julia's own redirection, which replaces the descriptor for C code. Python writes to that file too meanwhile."
function before_redirection(number::Int)
    stream = present_stream(number)
    stream isa PythonStream && REDIRECTED[number+1] === nothing || return nothing
    stream isa PythonOutput && flush(stream)
    REDIRECTED[number+1] = ccall(:fcntl, Cint, (Cint, Cint, Cint...), number, DUPLICATE_FROM, 3)
    return nothing
end

"Makes one of Python's streams a standard stream of Julia."
function redirect_to_python(number::Int, io::PythonStream)
    if io === python_stream(number)
        end_redirection(number)
    else
        before_redirection(number)
        io isa PythonOutput && flush(io)
        ccall(:dup2, Cint, (Cint, Cint), Base.fd(io), number)
    end
    set_stream((:stdin, :stdout, :stderr)[number+1], io)
    return io
end

function end_redirection(number::Int)
    saved = REDIRECTED[number+1]
    saved === nothing && return nothing
    REDIRECTED[number+1] = nothing
    # What Python has printed meanwhile belongs to the file that the descriptor named.
    number == 0 || flush(python_stream(number))
    ccall(:dup2, Cint, (Cint, Cint), saved, number)
    ccall(:close, Cint, (Cint,), saved)
    # As the runtime sets them when Julia starts.
    number == 1 && unsafe_store!(cglobal(:jl_uv_stdout, Ptr{Cvoid}), Ptr{Cvoid}(1))
    number == 2 && unsafe_store!(cglobal(:jl_uv_stderr, Ptr{Cvoid}), Ptr{Cvoid}(2))
    return nothing
end

follow_redirections(PythonStream, before_redirection, redirect_to_python)

"Functions that print and read, for [`compiled_calls`](@ref)."
const STREAM_CALLS = Tuple{Any,Tuple}[
    (take_streams, ()),
    (lock, (PythonOutput,)),
    (unlock, (PythonOutput,)),
    (flush, (PythonOutput,)),
    (displaysize, (PythonOutput,)),
    (get, (PythonOutput, Symbol, Bool)),
    (unsafe_write, (PythonOutput, Ptr{UInt8}, UInt)),
    (write, (PythonOutput, UInt8)),
    (write, (PythonOutput, Vector{UInt8})),
    (print, (PythonOutput, String)),
    (println, (PythonOutput, String)),
    (println, (String,)),
    (fill_ahead, (PythonInput,)),
    (readline, (PythonInput,)),
    (Base.read, (PythonInput, Type{UInt8})),
    (Base.unsafe_read, (PythonInput, Ptr{UInt8}, UInt)),
    (Base.setup_stdio, (PythonOutput, Bool)),
    (before_redirection, (Int,)),
    (redirect_to_python, (Int, PythonOutput)),
]
