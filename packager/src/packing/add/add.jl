# Adds packages to an environment. Arguments: its directory, the number of packages that a registry knows, their names,
# and the directories of packages under development.
using Pkg

const directory, count = ARGS[1], parse(Int, ARGS[2])
const wanted, developed = ARGS[3:2+count], ARGS[3+count:end]

"The names of all packages in all registries that are installed."
function registered()
    if isdefined(Pkg.Registry, :reachable_registries)
        registries = Pkg.Registry.reachable_registries()
        return Set(entry.name for registry in registries for entry in values(registry.pkgs))
    end
    # Julia before 1.7.
    files = [joinpath(registry.path, "Registry.toml") for registry in Pkg.Types.collect_registries()]
    packages = (values(Pkg.Types.read_registry(file)["packages"]) for file in files)
    return Set(String(package["name"]) for some in packages for package in some)
end

"Whether a registry has all requested packages. If not, prints the names that it has."
function is_known()
    known = registered()
    if !issubset(wanted, known) && get(ENV, "JULIA_PKG_OFFLINE", "false") != "true"
        isempty(known) ? Pkg.Registry.add("General") : Pkg.Registry.update()
        known = registered()
    end
    issubset(wanted, known) && return true
    foreach(name -> println("registered ", name), known)
    return false
end

try
    if isempty(wanted) || is_known()
        Pkg.activate(directory)
        isempty(developed) || Pkg.develop([PackageSpec(path = path) for path in developed])
        isempty(wanted) || Pkg.add([PackageSpec(name = name) for name in wanted])
        # Packages that the project file already lists. Standard libraries need no registry.
        Pkg.resolve()
        Pkg.instantiate()
        println("added")
    end
catch error
    # A backtrace of Pkg does not help the user.
    showerror(stderr, error)
    exit(1)
end
