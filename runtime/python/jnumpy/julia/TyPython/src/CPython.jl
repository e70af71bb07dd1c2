"""
Python in Julia. The files are included from the lowest layer up: each file uses only those above it in the list.
"""
module CPython

import LinearAlgebra
using LinearAlgebra: Transpose

export Py, PyException, PyAPI, py_import, py_throw, get_numpy, get_py_builtin, WITH_GIL, GILNoRaise
export py_cast, py_coerce
export PyIterable, PyReadOnlyArray, PyReadOnlyVector, PyReadOnlyMatrix
export check_signals
export Pyfunc, Pyclass, @export_py, @export_pyclass, @export_pymodule

include("compat.jl")    # what depends on Julia's version
include("slots.jl")     # what crosses the border, and how the runtime's tables look
include("border.jl")    # what has to be true while Python runs
include("table.jl")     # Python's C functions
include("py.jl")        # Python objects
include("errors.jl")    # exceptions, both ways
include("streams.jl")   # stdout, stderr and stdin
include("logs.jl")      # log messages in Python's `logging`
include("signals.jl")   # Ctrl-C during a call, and `exit`
include("roots.jl")     # values that Julia keeps for Python
include("arrays.jl")    # shared memory
include("convert.jl")   # py_coerce, py_cast, arguments and results
include("collections.jl")  # lists, sets, mappings, structs
include("dates.jl")     # dates and times
include("callbacks.jl") # Python functions that Julia calls
include("proof.jl")     # which entries cannot throw
include("export.jl")    # @export_py, Pyfunc, @export_pymodule
include("annotations.jl")  # what a stub says of types
include("overloads.jl")  # several methods of one name
include("classes.jl")   # types that are classes in Python
include("iterators.jl") # iterators both ways
include("awaited.jl")   # calls that Python awaits
include("dynamic.jl")   # any Julia value in Python
include("julia_functions.jl")     # what the runtime calls
include("reload.jl")   # edits of a project's sources
include("absent.jl")   # where Python does not run

end
