# Resolves an environment, as a user would. Arguments: its directory, then the directories of packages under development.
using Pkg
Pkg.activate(ARGS[1])
isempty(ARGS[2:end]) || Pkg.develop([PackageSpec(path = directory) for directory in ARGS[2:end]])
Pkg.resolve()
Pkg.instantiate()
