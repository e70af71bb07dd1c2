# Runs in the Julia that writes a system image.
# Arguments: the build tree, the file of precompile statements, the directory of the sources, which has a depot,
# the directory below it where Julia's libraries will be, whether the code that only a compiler needs stays (`whole`) or
# not (`stripped`), then `uuid Name` of every package to load.
#
# Julia starts this process like the build of its own image: no `__init__` has run. So this script sets what these functions would
# have set, and restores it at the end. The values of all globals at the end are written into the image, so this file defines
# none. Each top-level statement sees the definitions of the statements before it.

include("prepare.jl")
include("methods.jl")
include("inspect.jl")
include("unused.jl")
include("interpreted.jl")

let bindir = ccall(:jl_get_julia_bindir, Any, ())::String, minor = "v$(VERSION.major).$(VERSION.minor)"
    Base.reinit_stdio()
    Core.eval(Sys, :(BINDIR = $bindir))
    Core.eval(Sys, :(STDLIB = $(normpath(joinpath(bindir, "..", "share", "julia", "stdlib", minor)))))
    push!(empty!(DEPOT_PATH), joinpath(ARGS[3], "_jnumpy", "depot"))
    append!(empty!(LOAD_PATH), [joinpath(ARGS[1], "environment"), "@stdlib"])
    isdefined(Base, :init_active_project) && Base.init_active_project()
end

JNumPyPreparation.start_standard_library()

# Standard libraries that are not in Julia's own image are loaded by a link to them, at the place that they have in the wheel.
let stdlib = joinpath("share", "julia", "stdlib", "v$(VERSION.major).$(VERSION.minor)")
    Core.eval(Sys, :(STDLIB = $(joinpath(ARGS[3], "_jnumpy", "julia", stdlib))))
end

JNumPyMethods.hash_at_run_time()

# In the image, unlike the other modules of this kind.
include("start.jl")

let before = Set(keys(Base.loaded_modules)), loaded_since = Module[]
    callback = id -> push!(loaded_since, Base.root_module(id))
    push!(Base.package_callbacks, callback)
    for package in ARGS[6:end]
        uuid, name = split(package, ' ')
        JNumPyInspection.loading(ARGS[3]) do
            Base.require(Base.PkgId(Base.UUID(uuid), String(name)))
        end
        if name == "TyPython"
            loaded = Base.root_module(Base.PkgId(Base.UUID(uuid), "TyPython"))
            Core.eval(loaded, :(CPython.refuse_python()))
        end
    end
    own = filter(path -> length(path) > 1, [dirname(Sys.BINDIR), homedir(), pwd()])
    is_own(id, loaded) = !(id in before || id.name == "TyPython" || haskey(JNumPyPreparation.STARTED, loaded))
    filter!(known -> known !== callback, Base.package_callbacks)
    own_packages = unique(filter(loaded -> is_own(Base.PkgId(loaded), loaded), loaded_since))
    JNumPyInspection.run(own_packages, ARGS[3], own, JNumPyStart.TABLES)
    # An image without a compiler has to have what is called at its start.
    precompile(JNumPyStart.__init__, ())
    foreach(table -> precompile(JNumPyStart.fill_again!, (typeof(table),)), JNumPyStart.TABLES)
    JNumPyWaiting.wait_for_python(own_packages)
end

# Functions that the runtime calls by name are compiled even if the recorded run has not called them.
for (id, package) in collect(Base.loaded_modules)
    if id.name == "TyPython" && isdefined(package, :CPython) && isdefined(package.CPython, :precompile_exports)
        Base.invokelatest(package.CPython.precompile_exports)
    end
end

# Julia compiles code at its start for each kind of standard stream: a terminal, a pipe, a file, or none.
let modules = Dict(id.name => package for (id, package) in Base.loaded_modules),
    streams = (Base.TTY, Base.PipeEndpoint, Base.IOStream, Base.DevNull)

    for stream in streams
        precompile(Tuple{Type{Base.Multimedia.TextDisplay}, stream})
        haskey(modules, "Logging") && precompile(Tuple{Type{modules["Logging"].ConsoleLogger}, stream})
        haskey(modules, "REPL") || continue
        for second in streams, third in streams
            precompile(Tuple{Type{modules["REPL"].Terminals.TTYTerminal}, String, stream, second, third})
        end
    end
end

# The statements name modules as the recorded process has printed them: by their full names.
let area = Module(:JNumPyStatements), named = Set(["Main", "Core", "Base"]), total = 0, replayed = 0
    for (id, package) in Base.loaded_modules
        # Two packages may have the same name, and statements do not say which one they mean.
        id.name in named || Core.eval(area, :(const $(Symbol(id.name)) = $package))
        push!(named, id.name)
    end
    for line in eachline(ARGS[2])
        total += 1
        try
            statement = Meta.parse(line)
            if Meta.isexpr(statement, :call) && statement.args[1] === :precompile
                Core.eval(area, statement)
                replayed += 1
            end
        catch
            # The statement names something that only existed in the recorded process.
        end
    end
    println("replayed ", replayed, " of ", total, " precompile statements")
end

# In the wheel, the standard libraries that were just loaded are where Julia looks for those of its own image.
if isdefined(Base, :pkgorigins) && isdefined(Sys, :BUILD_STDLIB_PATH)
    for origin in values(Base.pkgorigins)
        path = origin.path
        path === nothing || (origin.path = replace(path, normpath(Sys.STDLIB) => normpath(Sys.BUILD_STDLIB_PATH)))
    end
end

# Without the compiler, Julia interprets functions that are not compiled.
if ARGS[5] == "stripped"
    let staged = Module[]
        for (id, package) in Base.loaded_modules
            origin = get(Base.pkgorigins, id, nothing)
            origin !== nothing && origin.path !== nothing && startswith(origin.path, ARGS[3]) && push!(staged, package)
        end
        JNumPyUnused.leave_out(joinpath(ARGS[1], "unused.tsv"), filter(package -> nameof(package) !== :TyPython, staged))
        for package in staged
            isdefined(package, :__init__) && precompile(package.__init__, ())
        end
    end
    JNumPyInterpreted.prepare(Module[Core; collect(values(Base.loaded_modules))])
end

# Julia 1.10 and later write the image after all timers, servers, and the like are done. Those that a module has started may
# never be. `uv_walk` passes two arguments to the function; `uv_unref` takes the first.
VERSION >= v"1.10" &&
    ccall(:uv_walk, Cvoid, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}), Base.eventloop(), cglobal(:uv_unref), C_NULL)

JNumPyPreparation.end_standard_library()
for (id, package) in Base.loaded_modules
    id.name == "TyPython" && Base.invokelatest(package.CPython.forget_python)
end
empty!(LOAD_PATH)
empty!(DEPOT_PATH)
# Libraries that are opened by name are those of the bundle, even if the process has others with that name. The runtime replaces
# the path with that of the installed package.
push!(empty!(Base.DL_LOAD_PATH), joinpath(ARGS[3], ARGS[4]))
empty!(ARGS)
Base.ACTIVE_PROJECT[] = nothing
Core.eval(Sys, :(BINDIR = ""; STDLIB = ""))
Core.eval(Base, :(PROGRAM_FILE = ""))
