# What TyPython decides without Python. Run by tests/runtime/test_typython.py, with TyPython's project active.

using Test
using TyPython
using TyPython.CPython
const C = TyPython.CPython

@export_py increased(x::Int)::Int = x + 1
@export_py element(index::Int)::Int = [1, 2][index]

@testset "element types of arrays" begin
    @test C.takes_elements(AbstractArray{Float64}, Float32)
    @test C.takes_elements(Vector{Int}, Bool)
    @test !C.takes_elements(Vector{Int}, Float64)
    @test !C.takes_elements(Vector{Int8}, Int64)
    @test !C.takes_elements(Vector{Bool}, Int64)
    @test C.represents(ComplexF64, Float64)
    @test !C.represents(Float64, ComplexF64)
end

@testset "memory that stays where it is" begin
    vector = [1.0, 2.0]
    shielded = C.shield(vector)
    memory = pointer(vector)
    # Julia before 1.11 refuses to resize it, later ones give it other memory.
    try
        resize!(vector, 1_000_000)
    catch failure
        @test VERSION < v"1.11" && failure isa ErrorException
    end
    @test pointer(shielded) == memory
    @test shielded[:] == [1.0, 2.0]
end

@testset "proofs that an entry does not throw" begin
    @test C.proven(C.unguarded_function(increased))
    @test !C.proven(C.unguarded_function(element))
end

@testset "tables" begin
    @test C.HOST[].protocol == 0
    @test C.JULIA_FUNCTIONS[].protocol == C.PROTOCOL
end

@testset "without Python" begin
    @test_throws C.NoPythonError C.py_import("math")
end

@testset "methods and names" begin
    @test isempty(detect_ambiguities(TyPython; recursive=true))
    @test isempty(detect_unbound_args(TyPython; recursive=true))
    for part in (TyPython, C)
        @test all(name -> isdefined(part, name), names(part))
    end
end
