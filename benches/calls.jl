# What the talk's five functions do not show.
using TyPython.CPython

@export_py convert_float(a::Float64)::Float64 = a

@export_py total(x::AbstractArray)::Float64 = sum(x)

@export_py new_matrix(rows::Int, columns::Int)::Matrix{Float64} = Matrix{Float64}(undef, rows, columns)

@export_py fail()::Nothing = throw(ArgumentError("wanted"))

@export_py count_texts(texts::Vector{String})::Int = length(texts)

const TEXTS = [string("item ", number) for number in 1:1000]
@export_py kept_texts()::Vector{String} = TEXTS

@export_py function callbacks(f::Function, count::Int)::Float64
    total = 0.0
    for number in 1:count
        total += f(Float64(number))::Float64
    end
    return total
end

mutable struct Counter
    count::Int
    step::Float64
end
@export_py advance(counter::Counter, n::Int)::Int = counter.count += n
@export_pyclass Counter begin
    count, step
    advance
end

@export_pymodule _calls begin
    convert_float = Pyfunc(convert_float)
    total = Pyfunc(total)
    new_matrix = Pyfunc(new_matrix)
    fail = Pyfunc(fail)
    count_texts = Pyfunc(count_texts)
    kept_texts = Pyfunc(kept_texts)
    callbacks = Pyfunc(callbacks)
    advance = Pyfunc(advance)
    Counter = Pyclass(Counter)
end
