module {{module}}
using TyPython.CPython

"""
    running_mean(values, width)

The means of all runs of `width` neighbouring values.
"""
@export_py function running_mean(values::AbstractVector{Float64}, width::Int)::Vector{Float64}
    n = length(values)
    1 <= width <= n || throw(ArgumentError("the width must be from 1 to $n, the number of values, got $width"))
    means = Vector{Float64}(undef, n - width + 1)
    for first in eachindex(means)
        means[first] = sum(view(values, first:first+width-1)) / width
    end
    return means
end

# What Python imports; runs when the package is imported.
function init()
    @export_pymodule _{{package}} begin
        _running_mean = Pyfunc(running_mean)
    end
end

precompile(init, ())

end # module
