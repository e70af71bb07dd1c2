# Inspects the globals of modules for values that an image cannot preserve: Julia writes pointers as NULL, and an open file, a task,
# or a held lock has no meaning in another process.
module JNumPyInspection

using ..JNumPyMethods: own_methods

"What was found: kind, the global's name, more about it. The kinds are those of `image/finding.rs`."
const Finding = Tuple{String,String,String}

"The file that the packager reads."
const FINDINGS = "findings.tsv"

"The largest number of values that are inspected in a container, because large tables usually contain no pointers."
const MOST_VALUES = 2_000_000

struct Inspection
    "The directory of the sources, whose path is replaced when the image is loaded."
    sources::String
    "Directories that are specific to this machine."
    own::Vector{String}
    findings::Vector{Finding}
    "Tables that have to be hashed again when the image is loaded."
    tables::Vector{Any}
    seen::IdDict{Any,Nothing}
    "The values that were not inspected yet, each with its global."
    waiting::Vector{Tuple{Any,String}}
    "Globals that the `__init__` of their modules sets."
    set_at_start::Set{String}
end

Inspection(sources, own, tables) =
    Inspection(sources, own, Finding[], tables, IdDict{Any,Nothing}(), Tuple{Any,String}[], Set{String}())

"Calls `load()`, which loads packages. If code calls Python meanwhile, its location is reported, and this process ends."
function loading(load, sources)
    try
        load()
    catch failure
        place, cause = "", failure
        while cause isa Union{LoadError,InitError}
            cause isa LoadError && (place = string(cause.file, ':', cause.line))
            cause = cause.error
        end
        nameof(typeof(cause)) === :NoPythonError || rethrow()
        write_findings(Finding[("python", replace(place, sources * '/' => ""), "")])
        exit(1)
    end
end

"""
Inspects modules and writes the findings. Julia cannot write an image that contains a task, and a held lock refers to the task
that holds it. If there is one, this process ends.
"""
function run(modules, sources, own, tables)
    inspection = Inspection(sources, own, tables)
    foreach(inspected -> inspect(inspection, inspected), modules)
    foreach(method -> inspect(inspection, method), own_methods(modules))
    write_findings(sort!(inspection.findings))
    any(finding -> finding[1] in ("task", "lock"), inspection.findings) && exit(1)
    return nothing
end

write_findings(findings) = open(FINDINGS, "a") do file
    for finding in findings
        println(file, join(map(part -> replace(part, r"[\t\r\n]" => ' '), finding), '\t'))
    end
end

"Kinds of findings that hold whatever `__init__` does: the image is written before."
const AT_ANY_RATE = ("task", "lock", "hashed-again")

function report(inspection, kind, name, more="")
    kind in AT_ANY_RATE || !(name in inspection.set_at_start) || return nothing
    (kind, name, more) in inspection.findings || push!(inspection.findings, (kind, name, more))
    return nothing
end

"Inspects the globals of a module and of its submodules."
function inspect(inspection, inspected::Module)
    union!(inspection.set_at_start, (string(inspected, '.', name) for name in set_by_init(inspected)))
    for name in names(inspected; all=true)
        (startswith(string(name), '#') || Base.isdeprecated(inspected, name)) && continue
        isdefined(inspected, name) || continue
        value = getfield(inspected, name)
        if value isa Module
            value !== inspected && parentmodule(value) === inspected && inspect(inspection, value)
        else
            push!(inspection.waiting, (value, string(inspected, '.', name)))
        end
    end
    return look_at_waiting(inspection)
end

"Looks through the values that stand in the source of a method: what `@eval` has put there, and what a `let` has around it."
function inspect(inspection, method::Method)
    # The generator of a generated function has a source of its own.
    isdefined(method, :source) && method.source !== nothing || return nothing
    name = string(method.module, '.', method.name)
    foreach(statement -> note_values(inspection, statement, name), Base.uncompressed_ast(method).code)
    return look_at_waiting(inspection)
end

function note_values(inspection, @nospecialize(code), name)
    code isa Expr && return foreach(part -> note_values(inspection, part, name), code.args)
    # Since Julia 1.6 `return` is no expression.
    nameof(typeof(code)) === :ReturnNode && isdefined(code, :val) && return note_values(inspection, code.val, name)
    value = code isa QuoteNode ? code.value : code
    # Texts and numbers are what the author wrote, and the rest belongs to the code.
    value isa Union{Expr,GlobalRef,AbstractString,Symbol,Number,Nothing} && return nothing
    parentmodule(typeof(value)) === Core && !(value isa Union{Array,Core.Box,Ptr,Task,Tuple,NamedTuple}) && return nothing
    push!(inspection.waiting, (value, name))
    return nothing
end

function look_at_waiting(inspection)
    for _ in 1:MOST_VALUES
        isempty(inspection.waiting) && break
        look(inspection, pop!(inspection.waiting)...)
    end
    empty!(inspection.waiting)
    return nothing
end

"""
The globals that `__init__` of a module sets: those that it assigns to, or gives to a function such as `setindex!`. What they
hold before means nothing, such as the pointer in a `Ref` without a value.
"""
function set_by_init(inspected::Module)
    found = Set{Symbol}()
    isdefined(inspected, :__init__) || return found
    for method in methods(inspected.__init__)
        code = Base.uncompressed_ast(method).code
        global_of(part) = part isa Core.SSAValue ? global_of(code[part.id]) : part isa GlobalRef ? part.name : nothing
        for statement in code
            target = nothing
            if Meta.isexpr(statement, :(=))
                target = global_of(statement.args[1])
            elseif Meta.isexpr(statement, :call) && length(statement.args) > 1
                called = global_of(statement.args[1])
                position = called === :setglobal! ? 3 : 2
                called !== nothing && endswith(string(called), '!') && (target = statement.args[position])
                target = target isa QuoteNode ? target.value : global_of(target)
            end
            target isa Symbol && push!(found, target)
        end
    end
    return found
end

# Values that are as good in another process.
const HARMLESS = Union{
    Module,Type,Method,Core.MethodInstance,Core.CodeInfo,Core.MethodTable,Core.TypeName,TypeVar,Symbol,Number,AbstractChar,
    Regex,VersionNumber,LineNumberNode,
}

# The memory of an array or a table. Since Julia 1.11, it contains a pointer, which Julia writes correctly.
@static if isdefined(Core, :GenericMemory)
    const Storage = Union{Array,Core.GenericMemory}
    storage(ref::Core.GenericMemoryRef) = ref.mem
else
    const Storage = Array
end
storage(value) = value

function look(inspection, value, name)
    value = storage(value)
    value isa HARMLESS && return nothing
    value isa String && return look_at_text(inspection, value, name)
    value isa Pointer && return (is_written(value) || report(inspection, "pointer", name); nothing)
    T = typeof(value)
    if ismutable_type(T) || value isa Core.SimpleVector
        haskey(inspection.seen, value) && return nothing
        inspection.seen[value] = nothing
    end
    kind = is_seeded(value) ? "random" : live_kind(value)
    kind === nothing || return (report(inspection, kind, name, string(nameof(T))); nothing)
    if value isa Storage
        if !isbitstype(eltype(value)) || holds_pointer(eltype(value))
            for index in eachindex(value)
                isassigned(value, index) && push!(inspection.waiting, (value[index], name))
            end
        end
        return nothing
    end
    value isa AbstractDict && look_at_keys(inspection, value, keys(value), name)
    value isa AbstractSet && !(value isa Set) && look_at_keys(inspection, value, value, name)
    for field in 1:fieldcount(T)
        if isdefined(value, field)
            part = getfield(value, field)
            isbitstype(typeof(part)) && !holds_pointer(typeof(part)) || push!(inspection.waiting, (part, name))
        end
    end
    return nothing
end

@static if isdefined(Base, :ismutabletype)
    ismutable_type(T::DataType) = Base.ismutabletype(T)
else
    ismutable_type(T::DataType) = T.mutable
end

# An image has NULL instead of a `Ptr`, and the address of the build instead of the others.
const Pointer = Union{Ptr,Cstring,Cwstring}

"Whether an image keeps the pointer: it holds NULL, or the number that stands for none."
is_written(pointer::Pointer) = UInt(reinterpret(Ptr{Cvoid}, pointer)) in (0, typemax(UInt))

holds_pointer(::Type) = false
holds_pointer(T::DataType) = T <: Pointer || T === RawFD || isbitstype(T) && any(holds_pointer, fieldtypes(T))

"The kind of a value that is only valid in this process; `nothing` for any other value."
live_kind(::Any) = nothing
live_kind(::Task) = "task"
live_kind(stream::IOStream) = isopen(stream) ? "stream" : nothing
live_kind(stream::Union{Base.LibuvStream,Base.LibuvServer}) = stream.handle == C_NULL ? nothing : "stream"
# Descriptors 0 to 2 are there in every process.
live_kind(descriptor::RawFD) = reinterpret(Int32, descriptor) > 2 ? "stream" : nothing
live_kind(file::Base.Filesystem.AbstractFile) = isopen(file) ? "stream" : nothing
live_kind(timer::Union{Timer,Base.AsyncCondition}) = isopen(timer) ? "timer" : nothing
live_kind(process::Base.Process) = process.handle == C_NULL ? nothing : "process"
live_kind(lock::Base.AbstractLock) = islocked(lock) ? "lock" : nothing

"""
Whether a value is a random number generator that was probably not seeded by the user: a given seed is one number, and a random
seed consists of several, or since Julia 1.11 is one of 128 bits.
"""
function is_seeded(value)
    T = typeof(value)
    nameof(T) in (:MersenneTwister, :Xoshiro) && nameof(parentmodule(T)) === :Random || return false
    return !(hasfield(T, :seed) && value.seed isa Union{Integer,Vector{UInt32}} && !(value.seed isa UInt128) && length(value.seed) < 4)
end

"How the names of temporary files begin."
const TEMPORARY = joinpath(tempdir(), "jl_")

function look_at_text(inspection, text, name)
    build = basename(dirname(inspection.sources))
    if occursin(build, text) || occursin(basename(inspection.sources), text)
        occursin(inspection.sources, text) || report(inspection, "build-path", name, text)
    else
        is_own(path) = occursin(path, text)
        # What `mktempdir` and `tempname` return.
        (any(is_own, inspection.own) || startswith(text, TEMPORARY)) && report(inspection, "own-path", name, text)
    end
    return nothing
end

function look_at_keys(inspection, table, keys, name)
    stable = all(key -> has_stable_hash(inspection, key), keys)
    stable && return nothing
    # Keys that Julia itself hashes again, or does not hash.
    table isa Union{IdDict,Base.ImmutableDict,Base.EnvDict} && return nothing
    has_path = any(key -> holds_path(inspection, key), keys)
    if table isa Dict
        push!(inspection.tables, table)
        has_path && report(inspection, "hashed-again", name)
    elseif has_path && !(table isa WeakKeyDict)
        report(inspection, "path-key", name, string(nameof(typeof(table))))
    end
    return nothing
end

"""
Whether the hash of a key is the same in every process. That of a type, a function or a mutable value follows from where
it is in memory, and that of a path of the sources from the text that is replaced.
"""
has_stable_hash(inspection, key) = isbits(key)
has_stable_hash(inspection, key::Union{Number,AbstractChar,VersionNumber}) = true
has_stable_hash(inspection, key::Union{AbstractString,Symbol}) = !holds_path(inspection, key)
has_stable_hash(inspection, key::Union{Tuple,NamedTuple,AbstractArray,Pair}) =
    all(part -> has_stable_hash(inspection, part), key isa Pair ? (key.first, key.second) : key)

holds_path(inspection, key) = false
holds_path(inspection, key::Union{AbstractString,Symbol}) = occursin(inspection.sources, string(key))
holds_path(inspection, key::Union{Tuple,NamedTuple,AbstractArray,Pair}) =
    any(part -> holds_path(inspection, part), key isa Pair ? (key.first, key.second) : key)

end
