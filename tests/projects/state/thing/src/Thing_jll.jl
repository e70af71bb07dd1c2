# What a binary package keeps in globals.
module Thing_jll

using JLLWrappers
const PATHS = String[]
handle = C_NULL

function __init__()
    isempty(JLLWrappers.JULIA_LIBDIRS) && push!(JLLWrappers.JULIA_LIBDIRS, Sys.BINDIR)
    push!(PATHS, Sys.BINDIR)
    global handle = cglobal(:jl_gc_collect)
end

end
