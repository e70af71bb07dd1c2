# Loads the package images of this bundle. Written by jnumpy-pack.
#
# They are loaded in the order in which they were made, including extensions, each with the modules for which it was compiled.
# Julia checks that these modules are the same. It does not search for caches, and does not check times and paths of sources.
module {module}

# This code is interpreted, because it runs only once and compiling it would take longer. For the same reason, it calls only methods
# that are compiled in Julia's stock image: those of `Vector{Any}` and `String`, no closures, and no `split`.
Base.Experimental.@compiler_options compile = min optimize = 0 infer = false

let here = @__DIR__,
    ids = Any[
{ids}
    ],
    # Identity, image, source, and the numbers in `ids` of the modules that must be loaded before.
    rows = Any[
{rows}
    ],
    loaded = Any[]

    # This project's manifest lists extensions whose triggers may be in other bundles. The project of a bundle that joins is in
    # `LOAD_PATH`.
    if getfield(Base.ACTIVE_PROJECT, :x) === nothing
        for name in Base.project_names
            path = joinpath(dirname(here), name)
            if isfile(path)
                setfield!(Base.ACTIVE_PROJECT, :x, path)
                break
            end
        end
    end
    for row in rows
        id = row[1]
        Base.root_module_exists(id) && continue
        image = normpath(joinpath(here, row[2]))
        needs = Any[]
        for at in row[4]
            push!(needs, Base.root_module(ids[at]))
        end
        lock(Base.require_lock)
        try
            if row[3] !== nothing
                origin = get!(Base.PkgOrigin, Base.pkgorigins, id)
                setfield!(origin, :path, normpath(joinpath(here, row[3])))
            end
            found = Base._include_from_serialized(id, image, image, needs)
            if !(found isa Module)
                {misfit}
            end
            push!(loaded, id)
            Base.run_package_callbacks(id)
        finally
            unlock(Base.require_lock)
        end
    end
    lock(Base.require_lock)
    try
        for id in loaded
            Base.insert_extension_triggers(id)
            Base.run_extension_callbacks(id)
        end
    finally
        unlock(Base.require_lock)
    end
end

end
