# Compiles packages into package images (Julia 1.9 and later), and prints what was loaded: one `jnumpy-image` line for each image,
# in the order of loading. Arguments: `uuid Name` of every package to load.
# Julia compiles each package in a separate process, into the first depot, for the processors of `JULIA_CPU_TARGET`.

for package in ARGS
    uuid, name = split(package, ' ')
    Base.require(Base.PkgId(Base.UUID(uuid), String(name)))
end

let hexadecimal = text -> bytes2hex(codeunits(text)),
    identity = id -> string(something(id.uuid, "-"), '/', id.name)

    for loaded in Base.loaded_modules_array()
        id = Base.PkgId(loaded)
        origin = get(Base.pkgorigins, id, nothing)
        (origin === nothing || origin.cachepath === nothing) && continue
        image = Base.ocachefile_from_cachefile(origin.cachepath)
        isfile(image) || continue
        needs = Base.parse_cache_header(origin.cachepath)[3]
        println(
            "jnumpy-image ", identity(id), ' ', hexadecimal(image), ' ', hexadecimal(something(origin.path, "")), ' ',
            join((identity(first(need)) for need in needs), ' '),
        )
    end
end
