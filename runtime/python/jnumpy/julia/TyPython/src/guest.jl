# What the runtime calls.

"Code from Python, evaluated in `Main`."
@export_py function evaluate(code::String, wanted::Bool)::Any
    value = include_string(Main, code, "julia")
    return wanted ? value : nothing
end

@export_py function include_file(path::String)::Nothing
    Base.include(Main, path)
    return nothing
end

"""
Activates the project in `directory`, loads its module and runs the `init()` of it. Modules exported meanwhile
become submodules of the Python package `package`.
"""
@export_py function load_project(directory::String, name::String, package::String)::Nothing
    Base.ACTIVE_PROJECT[] = joinpath(directory, "Project.toml")
    identity = Base.identify_package(name)
    identity === nothing && error("the project in `", directory, "` is not found by Julia as `", name, "`")
    loaded = Base.require(identity)
    isdefined(loaded, :init) || error("module `", name, "` has no function `init`, which exports its functions to Python")
    before = PACKAGE[]
    PACKAGE[] = package
    try
        Base.invokelatest(loaded.init)
    finally
        PACKAGE[] = before
    end
    return nothing
end

"A part of the exception in a root, 0 the message, 1 the backtrace, 2 the type; or 3, the docstring of the function in it."
@export_py function describe(number::UInt64, part::Int)::String
    part == 3 && return docstring(rooted(number))
    failure, backtrace = rooted(number)
    part == 0 && return message(failure)
    part == 1 && return sprint(Base.show_backtrace, filter(is_julia_frame, backtrace))
    return string(typeof(failure))
end

"""
The address of the C entry without a `try` for the exported function in a root, or 0 if it may throw: see `proof.jl`.
"""
@export_py function bare_entry(number::UInt64)::UInt64
    f = rooted(number)
    return proven(bare_function(f)) ? address(bare_pointer(f)) : UInt64(0)
end

"What `dladdr` says of an address."
struct SharedObject
    file::Cstring
    base::Ptr{Cvoid}
    symbol::Cstring
    address::Ptr{Cvoid}
end

# Python's own frames are noise here, and Julia's old LLVM complains on stderr about the debug information that newer
# compilers have put into it. Julia code is in no shared object (just compiled), in the image or in a package image.
is_julia_frame(frame) = true
function is_julia_frame(frame::Ptr{Cvoid})
    found = Ref(SharedObject(C_NULL, C_NULL, C_NULL, C_NULL))
    ccall(:dladdr, Cint, (Ptr{Cvoid}, Ptr{SharedObject}), frame, found) == 0 && return true
    file = unsafe_string(found[].file)
    return file == unsafe_string(Base.JLOptions().image_file) || occursin("/compiled/v", file)
end

"For projects written for JNumPy: nothing is left to do."
init() = nothing

"""
    start(host) -> Ptr{Cvoid}

Called once by the runtime, with its table; returns ours.
"""
function start(host::Ptr{Cvoid})
    # The runtime compares the numbers; with another one nothing of its table may be read.
    if unsafe_load(Ptr{UInt64}(host)) == PROTOCOL
        HOST[] = unsafe_load(Ptr{HostTable}(host))
        find_c_functions()
        # An image may have been made in a session that had some of these.
        empty!(NAMES)
        empty!(FUNCTIONS)
        empty!(ROOT_BLOCKS)
        for constant in (:Py_None, :Py_True, :Py_False)
            setfield!(PyAPI, constant, borrowed(PyPtr(c_symbol(constant))))
        end
        GUEST[] = GuestTable(
            PROTOCOL,
            entry_pointer(evaluate),
            entry_pointer(include_file),
            entry_pointer(load_project),
            entry_pointer(describe),
            entry_pointer(bare_entry),
            @cfunction(lend_on, Cvoid, (Any,)),
            world_counter(),
        )
    end
    return Ptr{Cvoid}(Base.unsafe_convert(Ptr{GuestTable}, GUEST))
end
