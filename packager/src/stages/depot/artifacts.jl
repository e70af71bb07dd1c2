# Prints which artifacts packages need on this platform, and where Julia finds them: one `jnumpy-artifact` line for each.
# Arguments: pairs of a package's UUID and its Artifacts.toml. Julia itself selects artifacts and applies overrides. If a package
# has its own program for this, `.pkg/select_artifacts.jl`, it is run as Pkg runs it (since Julia 1.7).
const ARTIFACTS = if VERSION >= v"1.6-"
    Base.require(Base.PkgId(Base.UUID("56f22d72-fd6d-98f1-02f0-08ddc0907c33"), "Artifacts"))
else
    Base.require(Base.PkgId(Base.UUID("44cfe95a-1eb2-52ea-b672-e2afdf69b78f"), "Pkg")).Artifacts
end

hexadecimal(text) = bytes2hex(Vector{UInt8}(codeunits(string(text))))

"The artifacts that the package's own program selects; `nothing` if it has none."
function selected(file)
    program = joinpath(dirname(file), ".pkg", "select_artifacts.jl")
    VERSION >= v"1.7-" && isfile(program) || return nothing
    toml = Base.require(Base.PkgId(Base.UUID("fa267f1f-6049-4f14-aa54-33bafae1ed76"), "TOML"))
    triplet = Base.BinaryPlatforms.triplet(Base.BinaryPlatforms.HostPlatform())
    command = `$(Base.julia_cmd()) --compile=min --threads=1 --startup-file=no $program $triplet`
    return Base.invokelatest(toml.parse, read(command, String))
end

for at in 1:2:length(ARGS)
    uuid, file = Base.UUID(ARGS[at]), ARGS[at + 1]
    table = ARTIFACTS.load_artifacts_toml(file; pkg_uuid = uuid)
    selection = selected(file)
    for name in sort!(collect(keys(something(selection, table))))
        meta = selection === nothing ? ARTIFACTS.artifact_meta(name, table, file) : selection[name]
        meta === nothing && continue # not made for this platform
        hash = meta["git-tree-sha1"]
        path = ARTIFACTS.artifact_path(Base.SHA1(hash))
        println("jnumpy-artifact ", uuid, ' ', get(meta, "lazy", false) === true, ' ', hash, ' ', hexadecimal(name), ' ', hexadecimal(path))
    end
end
