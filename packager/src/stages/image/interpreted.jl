# Prepares an image for a wheel without the compiler. There, Julia interprets the functions that are not compiled.
module JNumPyInterpreted

using ..JNumPyMethods: own_methods, submodules

"""
Keeps the sources of all methods in a stripped image, except those of the compiler, and compiles functions that cannot be
interpreted. `roots` are the modules that have no parents.
"""
function prepare(roots::Vector{Module})
    kept = Module[]
    foreach(root -> note_modules!(kept, root), roots)
    compile_callers_of_c(own_methods(kept))
    foreach(owner -> ccall(:jl_set_module_compile, Cvoid, (Any, Cint), owner, MINIMAL), kept)
    ccall(:jl_set_module_compile, Cvoid, (Any, Cint), Core.Compiler, COMPILED)
    return nothing
end

"`--compile=min`: Julia interprets what is not compiled, and a stripped image contains the source for that."
const MINIMAL = 3
"`--compile=yes`."
const COMPILED = 1

"The module and those in it. Where Julia traces what it interprets, the setting of an outer module does not count."
function note_modules!(found::Vector{Module}, owner::Module)
    (owner === Core.Compiler || owner in found) && return nothing
    push!(found, owner)
    foreach(inner -> note_modules!(found, inner), submodules(owner))
    return nothing
end

"""
Compiles the methods that call C for arguments of any type. Julia falls back to such code before it interprets a method, and the
interpreter cannot call C. Where callers have a method inlined, there is no other code of it.
"""
function compile_callers_of_c(methods)
    for method in methods
        isdefined(method, :source) && method.source !== nothing || continue
        any(calls_c, Base.uncompressed_ast(method).code) || continue
        Base.isdispatchtuple(method.sig) ? precompile(method.sig) : compile_for_all(method)
    end
    return nothing
end

# Julia compiles the code for all types into an image only if it is listed among the specializations too.
function compile_for_all(method::Method)
    instance = ccall(
        :jl_specializations_get_linfo, Ref{Core.MethodInstance}, (Any, Any, Any), method, method.sig, Core.svec(),
    )
    setfield!(method, :unspecialized, instance)
    ccall(
        :jl_compile_method_instance, Cvoid, (Any, Ptr{Cvoid}, Csize_t), instance, C_NULL, Base.get_world_counter(),
    )
    return nothing
end

calls_c(@nospecialize(code)) = code isa Expr && (code.head in (:foreigncall, :cfunction) || any(calls_c, code.args))

end
