"""
The calls that a recorded run has made, and those that Python makes, compiled. Written by jnumpy-pack.

A package image holds foreign methods only where a method of the package itself calls them: so each call gets one here.
"""
module JNumPyCalls

for package in eachline(joinpath(@__DIR__, "packages"))
    uuid, name = split(package, ' ')
    Base.require(Base.PkgId(Base.UUID(uuid), String(name)))
end

# The statements name modules as the recorded process printed them: by their own names, from outside.
for (id, loaded) in collect(Base.loaded_modules)
    name = Symbol(id.name)
    isdefined(JNumPyCalls, name) || Core.eval(JNumPyCalls, :(const $name = $loaded))
end

"Compiles a method that makes the call of this signature."
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
        # It names what only the recorded process had.
    end
end

for (f, types) in {calls of the runtime}
    keep(Tuple{typeof(f),types...})
end

end
