# Removes the `__init__` of standard libraries that nothing in the image needs, so that the wheel does not need the files that they
# open at each start. Only for images of wheels without the compiler, because these cannot run code that is not known now.
module JNumPyUnused

import ..JNumPyInspection
using ..JNumPyMethods: callers, own_methods, specializations

"""
Applies the rules in the file: each line contains the name of a rule and the names of the modules that open its files. `own` are
the modules of the project and its dependencies. Each rule that applies is reported as a finding of the kind `unused`.
"""
function leave_out(rules::String, own::Vector{Module})
    packages = Dict(id.name => package for (id, package) in Base.loaded_modules)
    for line in eachline(rules)
        rule, names = split(line, '\t')
        modules = [packages[name] for name in split(names) if haskey(packages, name)]
        isempty(modules) && continue
        algebra = get(packages, "LinearAlgebra", nothing)
        if algebra in modules
            caller = caller_of_blas(algebra, own)
            println(caller === nothing ? "nothing calls BLAS" : string(caller, " calls BLAS"))
            caller === nothing || continue
        end
        for left_out in modules
            left_out === algebra ? refuse_calls(algebra) : start_nothing(left_out)
        end
        JNumPyInspection.write_findings([("unused", String(rule), "")])
    end
    return nothing
end

function start_nothing(left_out::Module)
    isdefined(left_out, :__init__) || return nothing
    drop_start(left_out)
    Core.eval(left_out, :(__init__() = nothing))
    Core.eval(left_out, :($precompile(__init__, ())))
    return nothing
end

"Deletes the `__init__`. A process that writes an image cannot replace a method, but can delete it and define another one."
drop_start(left_out::Module) = foreach(Base.delete_method, methods(left_out.__init__))

"""
Makes calls of BLAS throw an error. For a function that no library provides, libblastrampoline jumps to address 0 and ignores its
default function. So each function that Julia code calls is set. Setting all 5,000 exported functions would take 40 ms.
"""
function refuse_calls(algebra::Module)
    drop_start(algebra)
    names = called_names([algebra])
    Core.eval(algebra, quote
        function refuse_blas()
            error(
                "this wheel has no BLAS, because nothing called it when the wheel was packed; pack it with ",
                "`include = [\"blas\"]` in `[tool.jnumpy]`",
            )
        end
        function __init__()
            refusal = @cfunction(refuse_blas, Cvoid, ())
            for name in $names
                ccall(
                    (:lbt_set_forward, libblastrampoline), Int32, (Cstring, Ptr{Cvoid}, Int32, Int32, Int32, Int32),
                    name, refusal, BLAS.LBT_INTERFACE_ILP64, 0, 0, 0,
                )
            end
        end
    end)
    Core.eval(algebra, :($precompile(__init__, ()); $precompile(refuse_blas, ())))
    return nothing
end

"The functions of BLAS and LAPACK that methods of the modules call, by their names in libblastrampoline."
function called_names(modules::Vector{Module})
    found = Set{String}()
    for method in own_methods(modules)
        isdefined(method, :source) || continue
        foreach(statement -> note_called!(found, statement), Base.uncompressed_ast(method).code)
    end
    return sort!(collect(found))
end

function note_called!(found::Set{String}, @nospecialize(code))
    code isa Expr || return nothing
    code.head === :foreigncall || return foreach(part -> note_called!(found, part), code.args)
    note_name!(found, code.args[1])
    return nothing
end

note_name!(found::Set{String}, @nospecialize(target)) = nothing
note_name!(found::Set{String}, target::Expr) = foreach(part -> note_name!(found, part), target.args)
note_name!(found::Set{String}, target::QuoteNode) = note_name!(found, target.value)
note_name!(found::Set{String}, target::Tuple) = foreach(part -> note_name!(found, part), target)
note_name!(found::Set{String}, target::Symbol) =
    endswith(String(target), "64_") ? (push!(found, String(target)[1:(end - 3)]); nothing) : nothing

"A method of the modules that calls BLAS or LAPACK, by a chain of compiled calls, or `nothing`."
function caller_of_blas(algebra::Module, own::Vector{Module})
    reaching = callers(compiled([algebra.BLAS, algebra.LAPACK]))
    for instance in compiled(own)
        instance in reaching && return instance
    end
    return nothing
end

"The compiled methods of all functions that the modules and their submodules define or extend."
function compiled(modules::Vector{Module})
    instances = Set{Core.MethodInstance}()
    for method in own_methods(modules)
        union!(instances, specializations(method))
    end
    return instances
end

end
