# What a process with the image does first. The packager puts this module into the image before those of packages, so its
# `__init__` runs before theirs.
module JNumPyStart

"Tables that were made while modules were loaded, and whose keys have another hash in every process."
const TABLES = Any[]

"The modules whose `__init__` has not run, in the order in which it has to, and what each did when it was loaded."
const WAITING = Tuple{Module,Any}[]

"Whether `__init__` of the packages may run."
const READY = Ref(false)
is_ready() = READY[]

__init__() = foreach(fill_again!, TABLES)

# `Base.rehash!` would do, but since Julia 1.9 it keeps a part of the old hash.
function fill_again!(table::Dict)
    entries = collect(table)
    empty!(table)
    for (key, value) in entries
        table[key] = value
    end
    return nothing
end

"""
Runs the `__init__` of packages, once. Julia would run them before there is Python, and an exception would end the process.
Called when Python loads the project.
"""
function start_packages()
    READY[] = true
    while !isempty(WAITING)
        owner, start = first(WAITING)
        try
            Base.invokelatest(start)
        catch failure
            rethrow(InitError(nameof(owner), failure))
        end
        popfirst!(WAITING)
    end
    return nothing
end

end

# Makes the `__init__` of packages wait.
module JNumPyWaiting

import ..JNumPyStart
using ..JNumPyMethods: submodules

"The fields of a method that its code is in."
const CODE = (:source, :roots, :root_blocks, :nroots_sysimg, :slot_syms, :debuginfo, :line, :file)

"Makes the `__init__` of these packages, and of the modules in them, wait for `JNumPyStart.start_packages`."
function wait_for_python(packages::Vector{Module})
    for package in packages, owner in in_order(package)
        original = only_method(owner)
        Core.eval(owner, :(jnumpy_init() = nothing))
        start = Base.invokelatest(getfield, owner, :jnumpy_init)
        # A method cannot be renamed, but another one can have its code.
        for field in CODE
            hasfield(Method, field) && isdefined(original, field) || continue
            setfield!(only(methods(start)), field, getfield(original, field))
        end
        Base.delete_method(original)
        Core.eval(owner, :(__init__() = $(JNumPyStart.is_ready)() ? jnumpy_init() : nothing))
        Core.eval(owner, :($precompile(jnumpy_init, ()); $precompile(__init__, ())))
        push!(JNumPyStart.WAITING, (owner, start))
    end
    precompile(JNumPyStart.start_packages, ())
    return nothing
end

"The module and those in it that have an `__init__`, in Julia's order: inner ones first, those defined first before others."
function in_order(owner::Module)
    groups = filter!(!isempty, map(in_order, submodules(owner)))
    sort!(groups; by=group -> minimum(member -> only_method(member).primary_world, group))
    found = reduce(vcat, groups; init=Module[])
    only_method(owner) === nothing || push!(found, owner)
    return found
end

function only_method(owner::Module)
    isdefined(owner, :__init__) && owner.__init__ isa Function || return nothing
    # `__init__` may be a name that was imported.
    found = [method for method in methods(owner.__init__, Tuple{}) if method.module === owner]
    return length(found) == 1 ? found[1] : nothing
end

end
