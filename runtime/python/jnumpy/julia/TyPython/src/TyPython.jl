"""
The Julia side of JNumPy: functions exported to Python, Python objects in Julia, conversion between the two.

    using TyPython.CPython
"""
module TyPython

include("CPython.jl")

export CPython

end
