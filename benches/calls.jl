# What the talk's five functions do not show.
using TyPython.CPython

@export_py convert_float(a::Float64)::Float64 = a

@export_py total(x::AbstractArray)::Float64 = sum(x)

@export_py new_matrix(rows::Int, columns::Int)::Matrix{Float64} = Matrix{Float64}(undef, rows, columns)

@export_py fail()::Nothing = throw(ArgumentError("wanted"))

@export_pymodule _calls begin
    convert_float = Pyfunc(convert_float)
    total = Pyfunc(total)
    new_matrix = Pyfunc(new_matrix)
    fail = Pyfunc(fail)
end
