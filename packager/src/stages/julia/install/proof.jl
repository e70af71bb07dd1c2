# Loads every library that Julia opens by name, uses some of them, and prints all libraries that are then in the process.
using Libdl, LinearAlgebra, LibGit2, Random, SparseArrays
let private = ARGS[1]
    for name in readdir(private)
        endswith(name, ".so") && dlopen(joinpath(private, name))
    end
    matrix = [4.0 1.0; 1.0 3.0]
    @assert matrix * inv(matrix) ≈ I                             # OpenBLAS, LAPACK
    @assert sparse(matrix) \ [1.0, 2.0] ≈ matrix \ [1.0, 2.0]    # SuiteSparse
    @assert big(2)^200 > 0 && big(pi) > 3                        # GMP, MPFR
    @assert match(r"b+", "abbc").match == "bb"                   # PCRE
    rand(MersenneTwister(1), 1000)                               # dSFMT
    LibGit2.version()
    foreach(path -> println("jnumpy-library ", path), filter(isfile, dllist()))
end
