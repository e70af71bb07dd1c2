# What depends on Julia's version.

"""
Mends `Float16(::Float64)`. Julia 1.6 and 1.7 call libgcc's name for it, `__truncdfhf2`, and expect the result in an
integer register, as from Julia's own. Once another library of the process, one of NumPy's say, has brought in the libgcc
of GCC 12 or later, that one is found, with the result in a floating-point register. Julia's own goes by `Float32` too.
"""
function mend_half_precision()
    v"1.6" <= VERSION < v"1.8" && Core.eval(Base, :(Float16(x::Float64) = Float16(Float32(x))))
    return nothing
end
