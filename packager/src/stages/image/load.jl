# Loads the package images of this bundle. Written by jnumpy-pack.
#
# They are loaded in the order in which they were made, extensions among them, each with the modules that it was compiled
# for. Julia checks that these are the same ones; it does not look for caches, nor at the times and places of sources.
module JNumPyPackages

# It runs once: compiling it would take longer.
Base.Experimental.@compiler_options compile = min optimize = 0 infer = false

let here = @__DIR__,
    identify = text -> begin
        uuid, name = split(text, '/')
        Base.PkgId(uuid == "-" ? nothing : Base.UUID(uuid), String(name))
    end,
    ids = map(identify, split("{ids}")),
    loaded = Base.PkgId[]

    # Extensions that wait for packages of other bundles are in this project's manifest.
    Base.ACTIVE_PROJECT[] = first(filter(isfile, [joinpath(dirname(here), name) for name in Base.project_names]))
    for row in split("""
{rows}
""", '\n'; keepempty = false)
        words = split(row, ' '; keepempty = false)
        id = identify(words[1])
        haskey(Base.loaded_modules, id) && continue
        image = normpath(joinpath(here, words[2]))
        needs = Any[Base.loaded_modules[ids[parse(Int, word)]] for word in words[4:end]]
        lock(Base.require_lock)
        try
            words[3] == "-" || (get!(Base.PkgOrigin, Base.pkgorigins, id).path = normpath(joinpath(here, words[3])))
            found = Base._include_from_serialized(id, image, image, needs)
            found isa Module || throw(found)
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
