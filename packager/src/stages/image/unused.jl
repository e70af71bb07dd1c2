# Leaves out the start of standard libraries that nothing in the image needs, so that a wheel does without the files which
# they open at each start. For images of wheels without the compiler: these run no code that is not known now.
module JNumPyUnused

import ..JNumPyInspection

"""
Applies the rules in the file: in each line the name of a rule and of the modules that open its files. What was left out is
reported as a finding of the kind `unused`.
"""
function leave_out(rules::String)
    packages = Dict(id.name => package for (id, package) in Base.loaded_modules)
    for line in eachline(rules)
        rule, names = split(line, '\t')
        modules = [packages[name] for name in split(names) if haskey(packages, name)]
        isempty(modules) && continue
        foreach(start_nothing, modules)
        JNumPyInspection.write_findings([("unused", String(rule), "")])
    end
    return nothing
end

function start_nothing(left_out::Module)
    isdefined(left_out, :__init__) || return nothing
    # A process that writes an image refuses to replace a method, but not to delete it and to define another.
    foreach(Base.delete_method, methods(left_out.__init__))
    Core.eval(left_out, :(__init__() = nothing))
    Core.eval(left_out, :($precompile(__init__, ())))
    return nothing
end

end
