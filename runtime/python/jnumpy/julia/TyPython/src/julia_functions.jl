# The functions that the runtime calls.

"Evaluates code from Python in `Main`."
@export_py function evaluate(code::String, wanted::Bool)::Any
    value = include_string(Main, code, "julia")
    return wanted ? value : nothing
end

@export_py function include_file(path::String)::Nothing
    Base.include(Main, path)
    return nothing
end

"""
Activates the project in `directory`, loads its module, and runs the module's `init()`. Modules that are exported meanwhile
become submodules of the Python package `package`. Afterwards, the project that was active before is active again, unless the
new project should `stay` active. A project that should stay and is in `LOAD_PATH` is not activated: in a wheel, the active
project is in the user's directory, because its preferences take precedence.
"""
@export_py function load_project(directory::String, name::String, package::String, stay::Bool)::Nothing
    before = Base.ACTIVE_PROJECT[], PACKAGE[]
    PACKAGE[] = package
    if !(stay && directory in LOAD_PATH)
        # A package of this project may trigger extensions of packages that were loaded before. Julia looks for the sources
        # of an extension in the project of its package.
        before[1] === nothing || before[1] in LOAD_PATH || push!(LOAD_PATH, before[1])
        Base.ACTIVE_PROJECT[] = project_file(directory)
    end
    try
        identity = Base.identify_package(name)
        identity === nothing && error("the project in `", directory, "` is not found by Julia as `", name, "`")
        # In a system image of the packager's, `__init__` of packages waits for Python.
        isdefined(Main, :JNumPyStart) && Base.invokelatest(Main.JNumPyStart.start_packages)
        loaded = Base.require(identity)
        Base.invokelatest(export_from, loaded)
    finally
        PACKAGE[] = before[2]
        stay || (Base.ACTIVE_PROJECT[] = before[1])
    end
    return nothing
end

project_file(directory::String) =
    first(filter(isfile, map(file -> joinpath(directory, file), collect(Base.project_names))))

"Calls `work()` while the project in `directory` is active, and exported modules become submodules of `package`."
function in_project(work, directory::String, package::String)
    before = Base.ACTIVE_PROJECT[], PACKAGE[]
    Base.ACTIVE_PROJECT[], PACKAGE[] = project_file(directory), package
    try
        return work()
    finally
        Base.ACTIVE_PROJECT[], PACKAGE[] = before
    end
end

"Runs the `init()` of a module. Julia 1.12 and later require a world age in which the module exists."
function export_from(loaded::Module)
    name = nameof(loaded)
    isdefined(loaded, :init) || error("module `", name, "` has no function `init`, which exports its functions to Python")
    # As `import` does, so that `exec_julia` can use the module by its name.
    isdefined(Main, name) || Core.eval(Main, :(import $name))
    loaded.init()
    return nothing
end

"""
Adds directories after those in which Julia already searches: `environments` for packages, `depots` for their sources and
artifacts, and `libraries` for libraries that are opened by name. Each argument is a list of paths, separated by NUL.
"""
@export_py function extend_paths(environments::String, depots::String, libraries::String)::Nothing
    # Julia finds its own libraries without this list, but searches the list first.
    own = joinpath(Sys.BINDIR, Base.PRIVATE_LIBDIR)
    isempty(libraries) || (libraries = string(own, '\0', libraries))
    for (known, more) in ((LOAD_PATH, environments), (DEPOT_PATH, depots), (Base.DL_LOAD_PATH, libraries))
        append!(known, setdiff(split(more, '\0'; keepempty=false), known))
    end
    return nothing
end

"The loaded packages and their source files: UUID, path, UUID, path …, separated by NUL."
@export_py function loaded_packages()::String
    paths = (string(id.uuid) => pathof(loaded) for (id, loaded) in Base.loaded_modules)
    return join((string(uuid, '\0', path) for (uuid, path) in paths if path !== nothing), '\0')
end

"A part of the exception in a root: 0 is the message, 1 the backtrace, 2 the type, and 3 and above are its fields."
@export_py function describe(number::UInt64, part::Int)::Any
    # The annotations keep Julia from compiling this for each type of exception.
    kept = rooted(number)::Tuple
    failure, backtrace = getfield(kept, 1), getfield(kept, 2)::Backtrace
    part == 0 && return message(failure)
    part == 1 && return with_present_paths(backtrace_text(filter(is_julia_frame, backtrace)))
    part == 2 && return julia_type(failure)
    return getfield(failure, part - 2)
end

# In an image, the paths of sources begin with the build directory. The runtime overwrites it in strings with the directory of
# the installed package, padded with slashes to the old length. So this string is right, but debug information is not changed.
const HERE = @__DIR__

"The text of a backtrace with the installed paths of the sources."
function with_present_paths(text)
    package = rstrip(normpath(HERE, "..", "..", "..", "..", ".."), '/')
    return replace(replace(text, r"/\S*/_{226}" => package), r"//+" => "/")
end

"""
The address of a better C entry for a function that is called often and whose entries are in a root, or 0 if there is none. With
`guarded`, it is a newly compiled guarded entry. Otherwise, it is the unguarded entry, if that is [`proven`](@ref) not to throw.
"""
@export_py function often_called_entry(number::UInt64, guarded::Bool)::UInt64
    # Both need the compiler.
    has_compiler() || return UInt64(0)
    entry, unguarded = rooted(number)::Tuple{Any,Any}
    guarded && return address(compiled_pointer(entry))
    proven(unguarded) || return UInt64(0)
    compiled = compiled_pointer(unguarded)
    return address(compiled == C_NULL ? unguarded_pointer(unguarded) : compiled)
end

"Wakes all waiting threads, so that one of them runs the event loop: see the runtime's `julia/handover.rs`."
@export_py function wake_threads()::Nothing
    ccall(:jl_wakeup_thread, Cvoid, (Int16,), -1)
end

"What `dladdr` says of an address."
struct SharedObject
    file::Cstring
    base::Ptr{Cvoid}
    symbol::Cstring
    address::Ptr{Cvoid}
end

# Frames of Python and other libraries are left out: they do not help, and an old LLVM complains on stderr about the debug
# information of newer compilers. Julia code is in the image, in a package image, or, if it was compiled in this process, in no
# shared library.
is_julia_frame(frame) = true
function is_julia_frame(frame::Ptr{Cvoid})
    found = Ref(SharedObject(C_NULL, C_NULL, C_NULL, C_NULL))
    ccall(:dladdr, Cint, (Ptr{Cvoid}, Ptr{SharedObject}), frame, found) == 0 && return true
    file = unsafe_string(found[].file)
    of_a_package = occursin("/compiled/v", file) || occursin("/julia/packages/", file)
    return of_a_package || file == unsafe_string(Base.JLOptions().image_file)
end

"Does nothing. Projects for the original JNumPy call it."
init() = nothing

"""
    start(host_functions) -> Ptr{Cvoid}

Called once by the runtime with a pointer to its `HostFunctions`. Returns a pointer to `JuliaFunctions`.
"""
function start(host_functions::Ptr{Cvoid})
    # If the protocols differ, the layout of the runtime's table is unknown. The runtime reports the difference.
    if unsafe_load(Ptr{UInt64}(host_functions)) == PROTOCOL
        HOST[] = unsafe_load(Ptr{HostFunctions}(host_functions))
        find_c_functions()
        if isdefined(Base, :pkgorigins)
            for origin in values(Base.pkgorigins)
                origin.path === nothing || (origin.path = normpath(origin.path))
            end
        end
        mend_half_precision()
        # The process that built the image may have had some of these.
        empty!(NAMES)
        empty!(BUILTIN_CLASSES)
        empty!(FUNCTIONS)
        empty!(NAMED_TUPLES)
        empty!(ENUMS)
        empty!(OVERLOADS)
        empty!(CLASSES)
        empty!(CLASS_TYPES)
        empty!(EXCEPTION_NAMES)
        MISFIT[] = nothing
        empty!(ROOT_BLOCKS)
        for constant in (:Py_None, :Py_True, :Py_False)
            setfield!(PyAPI, constant, borrowed(PyPtr(c_symbol(constant))))
        end
        setfield!(G_PyBuiltin, :ptr, new_reference(py_import("builtins")))
        watch_signals()
        take_streams()
        JULIA_FUNCTIONS[] = JuliaFunctions(
            PROTOCOL,
            entry_pointer(entry_function(evaluate)),
            entry_pointer(entry_function(include_file)),
            entry_pointer(entry_function(load_project)),
            entry_pointer(entry_function(extend_paths)),
            entry_pointer(entry_function(loaded_packages)),
            entry_pointer(entry_function(describe)),
            entry_pointer(entry_function(often_called_entry)),
            entry_pointer(entry_function(wake_threads)),
            @cfunction(renew_finalizer, Cvoid, (Any,)),
            world_counter(),
        )
    end
    return Ptr{Cvoid}(Base.unsafe_convert(Ptr{JuliaFunctions}, JULIA_FUNCTIONS))
end
