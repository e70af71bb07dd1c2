# Finds the methods of modules, and what calls them.
module JNumPyMethods

"The modules that a module defines, in no order."
function submodules(owner::Module)
    found = Module[]
    for name in names(owner; all=true)
        (Base.isdeprecated(owner, name) || !isdefined(owner, name)) && continue
        value = getfield(owner, name)
        value isa Module && value !== owner && parentmodule(value) === owner && !(value in found) && push!(found, value)
    end
    return found
end

"The methods that the modules define, of functions of their own and of others that they name, of their submodules too."
function own_methods(modules::Vector{Module})
    found, seen, waiting = Set{Method}(), Set{Module}(), copy(modules)
    while !isempty(waiting)
        owner = pop!(waiting)
        owner in seen && continue
        push!(seen, owner)
        for name in names(owner; all=true)
            (Base.isdeprecated(owner, name) || !isdefined(owner, name)) && continue
            value = getfield(owner, name)
            value === Union{} && continue
            if value isa Module
                parentmodule(value) === owner && push!(waiting, value)
            elseif value isa Function || value isa Type
                type = value isa Type && value <: Function ? value : Core.Typeof(value)
                for match in Base._methods_by_ftype(Tuple{type,Vararg{Any}}, -1, Base.get_world_counter())
                    # Before Julia 1.6, a match is the type, the parameters and the method.
                    method = match isa Core.SimpleVector ? match[3] : match.method
                    is_inside(method.module, modules) && push!(found, method)
                end
            end
        end
    end
    return found
end

function is_inside(inner::Module, modules)
    while !(inner in modules)
        parentmodule(inner) === inner && return false
        inner = parentmodule(inner)
    end
    return true
end

function specializations(method::Method)
    known = method.specializations
    all = known isa Core.SimpleVector ? known : Core.svec(known)
    return Core.MethodInstance[all[index] for index in 1:length(all) if isassigned(all, index) && all[index] isa Core.MethodInstance]
end

"These and all that call them, as far as the compiler has noted who calls whom."
function callers(instances)
    found, waiting = Set{Core.MethodInstance}(instances), collect(Core.MethodInstance, instances)
    while !isempty(waiting)
        instance = pop!(waiting)
        isdefined(instance, :backedges) || continue
        for caller in instance.backedges
            caller isa Core.CodeInstance && (caller = caller.def)
            if caller isa Core.MethodInstance && !(caller in found)
                push!(found, caller)
                push!(waiting, caller)
            end
        end
    end
    return found
end

"""
Keeps the compiler from computing hashes while it compiles, as it does since Julia 1.8 for those of constants: a path of the
sources is another text in the wheel, and a mutable value is in another place.
"""
function hash_at_run_time()
    hasfield(Method, :purity) || return nothing
    hashing = [which(hash, Tuple{String,UInt}), which(objectid, Tuple{Any})]
    isdefined(Base, :_foldable_objectid) && push!(hashing, which(Base._foldable_objectid, Tuple{Any}))
    for method in hashing
        method.purity = zero(method.purity)
        foreach(forget_consistency, callers(specializations(method)))
    end
    return nothing
end

"Marks compiled code as having results that depend on more than its arguments."
function forget_consistency(instance::Core.MethodInstance)
    # No operation of Julia's sets this field. The lowest three bits are 0 for code that is always consistent, 1 for never.
    offset = fieldoffset(Core.CodeInstance, findfirst(==(:ipo_purity_bits), fieldnames(Core.CodeInstance)))
    code = isdefined(instance, :cache) ? instance.cache : nothing
    while code isa Core.CodeInstance
        GC.@preserve code begin
            place = Ptr{UInt32}(pointer_from_objref(code) + offset)
            unsafe_store!(place, (unsafe_load(place) & ~UInt32(7)) | UInt32(1))
        end
        code = isdefined(code, :next) ? code.next : nothing
    end
    return nothing
end

end
