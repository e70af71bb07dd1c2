"""
Compiles the calls of a recorded run, and the calls that Python makes. Written by jnumpy-pack.

A package image contains compiled methods of other packages only if a method of the package itself calls them. So this module
defines a method for each call.
"""
module JNumPyCalls

for package in eachline(joinpath(@__DIR__, "packages"))
    uuid, name = split(package, ' ')
    Base.require(Base.PkgId(Base.UUID(uuid), String(name)))
end

# The statements name modules as the recorded process has printed them: by their full names.
for (id, loaded) in collect(Base.loaded_modules)
    name = Symbol(id.name)
    isdefined(JNumPyCalls, name) || Core.eval(JNumPyCalls, :(const $name = $loaded))
end

"Compiles a method that makes a call with this signature."
function keep(signature)
    types = signature.parameters
    all(type -> type isa Type, types) || return precompile(signature)
    names = [gensym() for _ in types]
    arguments = [:($name::$type) for (name, type) in zip(names, types)]
    made = Core.eval(JNumPyCalls, :($(gensym("call"))($(arguments...)) = @noinline $(Expr(:call, names...))))
    return precompile(made, Tuple(types))
end

for line in eachline(joinpath(@__DIR__, "statements.jl"))
    try
        statement = Meta.parse(line)
        keep(Core.eval(JNumPyCalls, statement.args[2]))
    catch
        # The statement names something that only existed in the recorded process.
    end
end

for (f, types) in {calls of the runtime}
    keep(Tuple{typeof(f),types...})
end

end
