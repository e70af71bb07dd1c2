# Initializes the standard library for the modules that are loaded while an image is built, and restores its state afterwards.
# Julia runs no `__init__` in a process that writes an image.
module JNumPyPreparation

# Modules whose `__init__` does not run, because loading modules does not need it and it cannot be undone: it starts a task, changes
# the REPL, or reserves memory.
const LEFT_ALONE = ("Distributed", "Pkg", "Profile", "Logging", "Downloads")

"Functions that run at the end. Each restores one container or global."
const PUT_BACK = Any[]
const STARTED = IdDict{Module,Nothing}()

"Runs the `__init__` of every module in the image, after those of the modules that it uses."
function start_standard_library()
    hooks = kept_hooks()
    roots = collect(values(Base.loaded_modules))
    foreach(root -> start(root, roots), roots)
    foreach(put_back -> put_back(), hooks)
    # The same for modules that are loaded later, and for binary packages. The `__init__` of a binary package sets the paths of its
    # libraries, which other packages use while they are loaded. It also notes Julia's own libraries in JLLWrappers, which looks
    # for them once.
    callback = function (id)
        loaded = Base.root_module(id)
        id.name == "JLLWrappers" && (STARTED[loaded] = nothing; keep_globals(loaded))
        (endswith(id.name, "_jll") || is_standard(loaded)) && start(loaded, Module[])
    end
    push!(Base.package_callbacks, callback)
    push!(PUT_BACK, () -> filter!(known -> known !== callback, Base.package_callbacks))
    return nothing
end

"Whether a module is a part of Julia's standard library that is not in Julia's own image."
function is_standard(loaded::Module)
    path = pathof(loaded)
    return path !== nothing && startswith(normpath(path), normpath(Sys.STDLIB))
end

function start(started::Module, roots)
    haskey(STARTED, started) && return nothing
    STARTED[started] = nothing
    # With `using` alone, the module has no name for the modules that it uses.
    for used in ccall(:jl_module_usings, Any, (Any,), started)
        used in roots && start(used, roots)
    end
    for name in names(started; all=true, imported=true)
        (Base.isdeprecated(started, name) || !isdefined(started, name)) && continue
        value = getfield(started, name)
        value isa Module && (value in roots || parentmodule(value) === started) && start(value, roots)
    end
    is_own = isdefined(started, :__init__) && parentmodule(started.__init__) === started
    # `build.jl` does the work of the `__init__` of Base.
    if is_own && started !== Base && !(string(nameof(Base.moduleroot(started))) in LEFT_ALONE)
        startswith(string(started), "Base.") || keep_globals(started)
        try
            started === Base.GMP && VERSION < v"1.6" ? start_gmp() : Base.invokelatest(started.__init__)
        catch failure
            println("`__init__` of ", started, " failed: ", sprint(showerror, failure))
        end
    elseif !is_own
        keep_counts(started)
    end
    nameof(started) === :Distributed && isdefined(started, :LPROC) && start_distributed(started)
    return nothing
end

# The process itself is the first one that it works with. Its `__init__` also starts a task.
function start_distributed(distributed::Module)
    isempty(distributed.PGRP.workers) || return nothing
    distributed.LPROC.id = 1
    Base.invokelatest(distributed.register_worker, distributed.LPROC)
    push!(PUT_BACK, function ()
        empty!(distributed.PGRP.workers)
        empty!(distributed.map_pid_wrkr)
    end)
    return nothing
end

# How often a library was started, such as libgit2: not at all in a new process.
function keep_counts(owner::Module)
    for name in names(owner; all=true)
        (Base.isdeprecated(owner, name) || !isdefined(owner, name)) && continue
        value = getfield(owner, name)
        value isa Threads.Atomic && push!(PUT_BACK, kept(value))
    end
    return nothing
end

# Julia 1.5 cannot compile the `__init__` of this module in a process that writes an image, because it uses a variable and then a
# function of the same library. This is the part that arithmetic needs; memory comes from the C library meanwhile.
function start_gmp()
    one = Base.GMP.ONE
    one.alloc, one.size, one.d = 1, 1, pointer(Base.GMP._ONE)
end

# Containers to which an `__init__` adds elements, which it does again in every process.
function kept_hooks()
    names = (:atexit_hooks, :repl_hooks, :disable_library_threading_hooks, :package_callbacks)
    containers = Any[getfield(Base, name) for name in names if isdefined(Base, name)]
    hints = Base.Experimental._hint_handlers
    # The `__init__` sets `ZERO` to an invalid address, and Julia reads one limb there when it writes an image.
    constants = Any[getfield(Base.GMP, name) for name in (:ZERO, :ONE) if isdefined(Base.GMP, name)]
    return Any[map(kept, containers); map(kept, collect(values(hints))); kept(hints); map(kept, constants)]
end

"Saves the present values of the globals of a module of the standard library."
function keep_globals(owner::Module)
    for name in names(owner; all=true)
        (startswith(string(name), '#') || Base.isdeprecated(owner, name) || !isdefined(owner, name)) && continue
        value = getfield(owner, name)
        if !isconst(owner, name)
            push!(PUT_BACK, () -> Core.eval(owner, :($name = $(QuoteNode(value)))))
        elseif applicable(kept, value)
            push!(PUT_BACK, kept(value))
        end
    end
    return nothing
end

"A function that restores the present contents of a container."
function kept(container::Vector)
    before = copy(container)
    return () -> copyto!(resize!(container, length(before)), before)
end

function kept(number::Threads.Atomic)
    before = number[]
    return () -> number[] = before
end

function kept(table::Union{Dict,IdDict})
    before = copy(table)
    return () -> merge!(empty!(table), before)
end

function kept(number::BigInt)
    alloc, size, limbs = number.alloc, number.size, number.d
    return function ()
        number.alloc, number.size, number.d = alloc, size, limbs
    end
end

function kept(ref::Base.RefValue)
    if isassigned(ref)
        before = ref[]
        return () -> ref[] = before
    end
    # Julia cannot make a reference unassigned again, such as the one to the open `/dev/urandom`.
    return () -> GC.@preserve ref unsafe_store!(Ptr{Ptr{Cvoid}}(pointer_from_objref(ref)), C_NULL)
end

# Since Julia 1.12, some containers are created at their first use in each process.
if isdefined(Base, :OncePerProcess)
    function kept(once::Base.OncePerProcess)
        value, state = once.value, once.state
        return function ()
            once.value = value
            setproperty!(once, :state, state, :sequentially_consistent)
        end
    end
end

"Restores what `start_standard_library` and the modules loaded since have changed in the standard library."
function end_standard_library()
    foreach(put_back -> Base.invokelatest(put_back), reverse(PUT_BACK))
    empty!(PUT_BACK)
    empty!(STARTED)
    return nothing
end

end
