# Edits of a project's sources, seen without a restart.
#
# The sources are read into statements: what stands at the top level of a module. Statements that are new are evaluated in their
# module, and methods and docstrings of statements that are gone are deleted. Statements are compared without line numbers and
# comments.

"""
What a statement defines: `kind` is `:function`, `:macro`, `:constant`, `:type`, or `:class`. The name is a `Symbol`, or an
expression such as `Base.show`.
"""
struct Definition
    kind::Symbol
    name::Any
end

Base.:(==)(a::Definition, b::Definition) = a.kind === b.kind && a.name == b.name

"An expression at the top level of a module."
mutable struct Statement
    "The names of the modules around it, the outermost first."
    owner::Vector{Symbol}
    expression::Any
    file::String
    lines::UnitRange{Int}
    "Equal for statements that differ in line numbers and comments only."
    key::String
    definitions::Vector{Definition}
    "The methods and docstrings that it has made."
    made::Vector{Any}
end

function Statement(owner::Vector{Symbol}, expression, file::String, lines::UnitRange{Int})
    key = IOBuffer()
    write_key(key, expression)
    return Statement(owner, expression, file, lines, String(take!(key)), definitions!(Definition[], expression), Any[])
end

"A project whose sources were read."
mutable struct ReloadableProject
    root::Module
    main::String
    statements::Vector{Statement}
    "Constants, types, and macros that changed, whose users were not evaluated again yet because of an error."
    changed::Set{Symbol}
end

"The projects that were reloaded, by their directories."
const RELOADABLE = Dict{String,ReloadableProject}()

"Thrown if a file cannot be reloaded."
struct ReloadError <: Exception
    file::String
    line::Int
    reason::Any
end

function Base.showerror(io::IO, failure::ReloadError)
    print(io, failure.file, ':', failure.line, ": ")
    text = failure.reason isa AbstractString ? failure.reason : sprint(showerror, failure.reason)
    if startswith(text, "invalid redefinition of constant")
        print(io, "Julia ", VERSION, " cannot change a type, or the type of a constant, while it runs: restart Python (", text, ")")
    else
        print(io, text)
    end
end

# --- reading

"""
Writes an expression without line numbers. `==` does not distinguish expressions with `1` and `1.0`, and what Julia has for
printing expressions takes seconds to compile.
"""
function write_key(io::IOBuffer, @nospecialize(value))
    if value isa Expr
        print(io, '(', String(value.head))
        for argument in value.args
            argument isa LineNumberNode || write_key(io, argument)
        end
        print(io, ')')
    elseif value isa QuoteNode
        print(io, ':')
        write_key(io, value.value)
    elseif value isa Symbol || value isa String
        text = String(value)
        print(io, value isa Symbol ? 's' : '"', sizeof(text), ' ', text)
    else
        print(io, ' ', String(nameof(typeof(value))), ' ', value)
    end
    return nothing
end

struct Reader
    root::Module
    "The texts of files that have another text now, by path."
    texts::Dict{String,String}
    statements::Vector{Statement}
    files::Vector{String}
    "The place of a statement that includes files with computed paths, or `nothing`."
    computed::Base.RefValue{Any}
end

Reader(root::Module, texts::Dict{String,String}) = Reader(root, texts, Statement[], String[], Ref{Any}(nothing))

"Reads a file that is included in a module."
function read_file!(reader::Reader, file::String, owner::Vector{Symbol})
    push!(reader.files, file)
    text = get(() -> Base.read(file, String), reader.texts, identity_of(file))
    parsed = Base.parse_input_line(text; filename=file)
    Meta.isexpr(parsed, (:error, :incomplete)) && throw(ReloadError(file, line_of_error(text), syntax_error(parsed)))
    Meta.isexpr(parsed, :toplevel) && read_block!(reader, parsed, owner, file, 1:typemax(Int))
    return reader
end

"A file by the path that Python uses: symbolic links of directories are resolved."
function identity_of(file::String)
    directory = dirname(file)
    return joinpath(isdir(directory) ? realpath(directory) : directory, basename(file))
end

function syntax_error(parsed::Expr)
    reason = parsed.args[1]
    return reason isa AbstractString ? string("syntax: ", reason) : reason
end

"The number of the first line with which the text is not the beginning of correct code, or of the last line."
function line_of_error(text::String)
    lines = split(rstrip(text), '\n')
    first_line, last_line = 1, length(lines)
    while first_line < last_line
        middle = (first_line + last_line) ÷ 2
        fails = Meta.isexpr(Base.parse_input_line(string(join(lines[1:middle], '\n'), '\n')), :error)
        fails ? (last_line = middle) : (first_line = middle + 1)
    end
    return first_line
end

function read_block!(reader::Reader, block::Expr, owner::Vector{Symbol}, file::String, within::UnitRange{Int})
    line = first(within)
    for (index, argument) in enumerate(block.args)
        if argument isa LineNumberNode
            line = argument.line
        else
            next = findnext(other -> other isa LineNumberNode, block.args, index)
            stop = next === nothing ? last(within) : max(line, block.args[next].line - 1)
            read_statement!(reader, argument, owner, file, line:stop)
        end
    end
    return nothing
end

function read_statement!(reader::Reader, @nospecialize(expression), owner::Vector{Symbol}, file::String, lines::UnitRange{Int})
    if Meta.isexpr(expression, :module, 3)
        has_base, name, body = expression.args
        # The module itself is not evaluated again, only what is in it.
        empty_module = Expr(:module, has_base, name, Expr(:block))
        isempty(owner) || push!(reader.statements, Statement(owner, empty_module, file, lines))
        return read_block!(reader, body, [owner; name], file, lines)
    elseif Meta.isexpr(expression, (:block, :toplevel))
        return read_block!(reader, expression, owner, file, lines)
    elseif Meta.isexpr(expression, :macrocall) && Meta.isexpr(last(expression.args), :module) # with a docstring
        return read_statement!(reader, last(expression.args), owner, file, lines)
    end
    if calls_include(expression)
        path = Meta.isexpr(expression, :call, 2) ? constant_path(expression.args[2], file) : nothing
        if path !== nothing
            included = normpath(joinpath(dirname(file), path))
            isfile(included) || haskey(reader.texts, identity_of(included)) ||
                throw(ReloadError(file, first(lines), string(included, " does not exist")))
            read_file!(reader, included, owner)
            return nothing
        end
        branch = taken_branch(reader, expression, owner)
        branch === missing || return read_statement!(reader, branch, owner, file, lines)
        reader.computed[] = string(file, ':', first(lines))
    end
    expression isa Expr && push!(reader.statements, Statement(owner, expression, file, lines))
    return nothing
end

"Whether evaluating the expression may call `include`."
function calls_include(@nospecialize(expression))
    expression isa Expr || return false
    expression.head in (:function, :->, :macro, :quote) && return false
    is_short_definition(expression) && return false
    return expression.head === :call && expression.args[1] === :include || any(calls_include, expression.args)
end

is_short_definition(expression::Expr) =
    expression.head === :(=) && Meta.isexpr(expression.args[1], (:call, :where)) ||
    expression.head === :(=) && Meta.isexpr(expression.args[1], :(::)) && Meta.isexpr(expression.args[1].args[1], (:call, :where))

"The path in `include(path)`, or `nothing` if the path has to be computed."
function constant_path(@nospecialize(expression), file::String)
    expression isa String && return expression
    Meta.isexpr(expression, :macrocall) && expression.args[1] === Symbol("@__DIR__") && return dirname(file)
    Meta.isexpr(expression, :call) && expression.args[1] === :joinpath || return nothing
    parts = map(part -> constant_path(part, file), expression.args[2:end])
    return nothing in parts ? nothing : joinpath(parts...)
end

"The branch of an `if` or `@static if` that is evaluated; `missing` if there is none."
function taken_branch(reader::Reader, @nospecialize(expression), owner::Vector{Symbol})
    Meta.isexpr(expression, :macrocall) && expression.args[1] === Symbol("@static") && (expression = last(expression.args))
    while Meta.isexpr(expression, (:if, :elseif))
        condition = Core.eval(something(module_of(reader.root, owner), reader.root), expression.args[1])
        condition === true && return expression.args[2]
        length(expression.args) == 2 && return Expr(:block)
        expression = expression.args[3]
        Meta.isexpr(expression, :elseif) || return expression
    end
    return missing
end

"Adds what an expression defines."
function definitions!(found::Vector{Definition}, @nospecialize(expression))
    expression isa Expr || return found
    head, arguments = expression.head, expression.args
    if head === :macrocall
        exported_class = filter(argument -> !(argument isa LineNumberNode), arguments)
        if arguments[1] === Symbol("@export_pyclass") && length(exported_class) > 1
            target = exported_class[2]
            name = Meta.isexpr(target, :(=)) ? target.args[1] : target
            push!(found, Definition(:class, name))
        else
            definitions!(found, last(arguments))
        end
    elseif head in (:block, :if, :elseif, :global)
        foreach(argument -> definitions!(found, argument), arguments)
    elseif head === :function || is_short_definition(expression)
        add_function!(found, arguments[1])
    elseif head === :macro && Meta.isexpr(arguments[1], :call) && arguments[1].args[1] isa Symbol
        push!(found, Definition(:macro, Symbol('@', arguments[1].args[1])))
    elseif head === :const
        add_constants!(found, arguments[1])
    elseif head in (:struct, :abstract, :primitive)
        name = arguments[head === :struct ? 2 : 1]
        while Meta.isexpr(name, (:<:, :curly))
            name = name.args[1]
        end
        push!(found, Definition(:type, name))
    end
    return found
end

function add_function!(found::Vector{Definition}, @nospecialize(head))
    head isa Symbol && push!(found, Definition(:function, head)) # `function f end`
    while Meta.isexpr(head, (:where, :(::)))
        head = head.args[1]
    end
    Meta.isexpr(head, :call) || return nothing
    name = head.args[1]
    Meta.isexpr(name, :curly) && (name = name.args[1])
    (name isa Symbol || Meta.isexpr(name, :.)) && push!(found, Definition(:function, name))
    return nothing
end

function add_constants!(found::Vector{Definition}, @nospecialize(assignment))
    Meta.isexpr(assignment, :global) && (assignment = assignment.args[1])
    Meta.isexpr(assignment, :(=)) || return nothing
    target = assignment.args[1]
    for name in (Meta.isexpr(target, :tuple) ? target.args : Any[target])
        Meta.isexpr(name, :(::)) && (name = name.args[1])
        name isa Symbol && push!(found, Definition(:constant, name))
    end
    return nothing
end

# --- what a statement has made

"The module of a statement, or `nothing` if it does not exist."
function module_of(root::Module, owner::Vector{Symbol})
    isempty(owner) && return Main
    found = root
    for name in owner[2:end]
        found = value_of(found, name)
        found isa Module || return nothing
    end
    return found
end

"The value of a global, or `nothing` if it is not defined. Julia 1.12 and later need the present world for it."
value_of(owner::Module, name::Symbol) =
    Base.invokelatest(isdefined, owner, name) ? Base.invokelatest(getfield, owner, name) : nothing

"The methods and docstrings that exist for a definition."
function present(owner::Module, definition::Definition)
    kind, name = definition.kind, definition.name
    if kind === :class
        prefix = string(name, '.')
        members = filter(member -> startswith(string(member), prefix), names(owner; all=true))
        return mapreduce(member -> present(owner, Definition(:function, member)), append!, members; init=Any[])
    end
    made = Any[]
    if kind === :function
        f = try
            Core.eval(owner, name)
        catch
            nothing # no longer defined
        end
        if f isa Union{Function,Type} && !(f isa Core.Builtin)
            append!(made, methods(f))
            append!(made, keyword_methods(f))
            append!(made, overload_methods(f))
        end
    end
    name isa Symbol || return made
    documented = look_up(Base.Docs.meta(owner), Base.Docs.Binding(owner, name))
    documented === nothing || append!(made, values(documented.docs))
    return made
end

present(owner::Module, definitions::Vector{Definition}) =
    mapreduce(definition -> Base.invokelatest(present, owner, definition), append!, definitions; init=Any[])

"The methods and docstrings that a statement has made which was evaluated when its project was loaded."
function made_at_load(root::Module, statement::Statement)
    owner = module_of(root, statement.owner)
    owner === nothing && return Any[]
    candidates = present(owner, statement.definitions)
    any(definition -> definition.kind === :class, statement.definitions) && return candidates
    here = filter(candidate -> is_at(candidate, statement), candidates)
    signatures = Any[Tuple{Base.unwrap_unionall(made.sig).parameters[2:end]...} for made in here if made isa Method]
    # The macro, not the statement, has written the methods of `overload`.
    exported = filter(candidate -> is_overload(candidate) && overload_signature(candidate) in signatures, candidates)
    return append!(here, exported)
end

is_overload(@nospecialize(made)) = made isa Method && Base.unwrap_unionall(made.sig).parameters[1] === typeof(overload)
overload_signature(method::Method) = Base.unwrap_unionall(method.sig).parameters[3].parameters[1]

is_at(made::Method, statement::Statement) = String(made.file) == statement.file && Int(made.line) in statement.lines
is_at(made::Base.Docs.DocStr, statement::Statement) =
    get(made.data, :path, "") == statement.file && get(made.data, :linenumber, 0) in statement.lines

"Deletes the methods and docstrings of a statement. Returns whether there were any."
function unmake!(root::Module, statement::Statement)
    owner = module_of(root, statement.owner)
    owner === nothing && return false
    # Another statement may have replaced a method.
    found = filter(made -> any(other -> other === made, statement.made), present(owner, statement.definitions))
    foreach(made -> made isa Method ? Base.delete_method(made) : delete_doc!(owner, made), found)
    empty!(statement.made)
    return !isempty(found)
end

function delete_doc!(owner::Module, text::Base.Docs.DocStr)
    for documented in values(Base.Docs.meta(owner))
        documented isa Base.Docs.MultiDoc || continue
        for (signature, other) in collect(documented.docs)
            other === text || continue
            delete!(documented.docs, signature)
            filter!(known -> known !== signature, documented.order)
        end
    end
    return nothing
end

# --- reloading

"""
    reload_project(directory, name, package, texts) -> String

Evaluates what has changed in the sources of a loaded project since it was loaded or reloaded, and runs its `init()` again.
`texts` are the former texts of files that have changed since the load. Returns the paths of the project's files, separated by NUL.
"""
function reload_project(directory::String, name::String, package::String, texts::Dict{String,String})
    has_compiler() || error("`reload()` needs Julia's compiler, which the Julia of this process does not have")
    project = get!(RELOADABLE, directory) do
        root = only(loaded for (id, loaded) in Base.loaded_modules if id.name == name && is_in(loaded, directory))
        main = pathof(root)::String
        statements = read_file!(Reader(root, texts), main, Symbol[]).statements
        for statement in statements
            statement.made = made_at_load(root, statement)
        end
        ReloadableProject(root, main, statements, Set{Symbol}())
    end
    reader = read_file!(Reader(project.root, Dict{String,String}()), project.main, Symbol[])
    files = map(identity_of, reader.files)
    refuse_unknown_files(setdiff(keys(texts), files, map(statement -> identity_of(statement.file), project.statements)), reader)
    in_project(directory, package) do
        update!(project, reader.statements)
        Base.invokelatest(renew_classes, project.root)
        Base.invokelatest(export_from, project.root)
    end
    return join(files, '\0')
end

"Whether the source of a module is in a directory."
function is_in(loaded::Module, directory::String)
    path = pathof(loaded)
    return path !== nothing && realpath(dirname(dirname(path))) == realpath(directory)
end

function refuse_unknown_files(changed, reader::Reader)
    isempty(changed) || reader.computed[] === nothing || error(
        first(changed), " has changed, but ", reader.computed[], " includes files whose paths are computed, so it is not known ",
        "where this file belongs: restart Python, or write `include(\"…\")` for each file",
    )
    return nothing
end

"Makes the wanted statements those of the project."
function update!(project::ReloadableProject, wanted::Vector{Statement})
    root = project.root
    former = Dict{Tuple{Vector{Symbol},String},Vector{Statement}}()
    foreach(statement -> push!(get!(former, (statement.owner, statement.key), Statement[]), statement), project.statements)
    # The statements that are in effect already, by the wanted ones.
    known = IdDict{Statement,Statement}()
    for statement in wanted
        same = get(former, (statement.owner, statement.key), Statement[])
        isempty(same) || (known[statement] = popfirst!(same))
    end
    gone = Statement[statement for same in values(former) for statement in same]
    due = IdDict{Statement,Nothing}()
    for statement in wanted
        haskey(known, statement) && !mentions(statement.expression, project.changed) || (due[statement] = nothing)
    end
    evaluated = IdDict{Statement,Nothing}()
    while !isempty(due)
        for statement in filter(statement -> haskey(due, statement), wanted)
            delete!(due, statement)
            old = get(known, statement, nothing)
            superseded = old === nothing ? filter(other -> supersedes(statement, other), gone) : [old]
            changed = put_in_effect!(project, superseded, statement)
            old === nothing && filter!(other -> !(other in superseded), gone)
            known[statement] = statement
            # Constants that mention each other would be evaluated without end.
            haskey(evaluated, statement) && continue
            evaluated[statement] = nothing
            for user in wanted
                user !== statement && mentions(user.expression, changed) && (due[user] = nothing)
            end
        end
    end
    foreach(statement -> unmake!(root, statement), gone)
    for (statement, old) in known
        statement.made = old.made
    end
    project.statements = wanted
    empty!(project.changed)
    return nothing
end

"""
Evaluates a statement instead of others. If it throws, they are in effect again. Returns the names of constants, types, and
macros that it has changed: code that uses them contains them, and has to be evaluated again.
"""
function put_in_effect!(project::ReloadableProject, superseded::Vector{Statement}, statement::Statement)
    # Their methods have to go first: a changed signature could be ambiguous with the former one.
    unmade = filter(other -> unmake!(project.root, other), superseded)
    changed = try
        evaluate!(project, statement)
    catch
        foreach(other -> evaluate!(project, other), unmade)
        rethrow()
    end
    # If a later statement fails, the next reload starts from here.
    filter!(other -> !(other in superseded), project.statements)
    push!(project.statements, statement)
    union!(project.changed, changed)
    return changed
end

supersedes(statement::Statement, other::Statement) =
    statement.owner == other.owner && any(definition -> definition in other.definitions, statement.definitions)

"Whether a name occurs in an expression."
mentions(@nospecialize(value), names::Set{Symbol}) =
    value isa Symbol ? value in names :
    value isa Expr ? any(argument -> mentions(argument, names), value.args) :
    value isa QuoteNode && mentions(value.value, names)

"Evaluates a statement, and returns the names of constants, types, and macros that it has changed."
function evaluate!(project::ReloadableProject, statement::Statement)
    owner = module_of(project.root, statement.owner)::Module
    replaceable = Symbol[definition.name for definition in statement.definitions if definition.kind in (:constant, :type, :macro)]
    values_before = map(name -> value_of(owner, name), replaceable)
    made_before = present(owner, statement.definitions)
    try
        task_local_storage(:SOURCE_PATH, statement.file) do
            Core.eval(owner, copy_of(statement.expression))
        end
    catch failure
        failure = cause(failure)
        failure isa InterruptException && rethrow()
        throw(ReloadError(statement.file, first(statement.lines), failure))
    end
    statement.made = filter(made -> !any(other -> other === made, made_before), present(owner, statement.definitions))
    changed = filter(1:length(replaceable)) do index
        before = values_before[index]
        is_macro = startswith(String(replaceable[index]), '@')
        before !== nothing && (is_macro || value_of(owner, replaceable[index]) !== before)
    end
    return Set{Symbol}(replaceable[changed])
end

# Macros may change what they are given.
copy_of(@nospecialize(expression)) = expression isa Expr ? copy(expression) : expression

"Gives the classes of a project the members that the present definitions describe."
function renew_classes(root::Module)
    for (T, class) in collect(CLASSES)
        T isa Type && !(T <: Exception) || continue
        described = class_description(T)::ClassDescription
        Base.moduleroot(described.owner) === root || continue
        # On Julia 1.12 and later, another type may have its name.
        general = Base.unwrap_unionall(T)
        general isa DataType && getfield(parentmodule(general), nameof(general)) === general.name.wrapper || continue
        python = py_import("jnumpy._classes")
        python.renew(class, G_PyBuiltin.tuple(class_texts(T, described)), class_number(T))
        fill_class(python, class, T, described)
    end
    return nothing
end

"What [`reload_project`](@ref) calls, for [`precompile_reload`](@ref)."
const RELOAD_CALLS = Tuple{Any,Tuple}[
    (reload_project, (String, String, String, Dict{String,String})),
    (read_statement!, (Reader, Any, Vector{Symbol}, String, UnitRange{Int})),
    (write_key, (IOBuffer, Any)),
    (definitions!, (Vector{Definition}, Any)),
    (present, (Module, Definition)),
    (made_at_load, (Module, Statement)),
    (is_at, (Method, Statement)),
    (is_at, (Base.Docs.DocStr, Statement)),
    (unmake!, (Module, Statement)),
    (update!, (ReloadableProject, Vector{Statement})),
    (put_in_effect!, (ReloadableProject, Vector{Statement}, Statement)),
    (evaluate!, (ReloadableProject, Statement)),
    (renew_classes, (Module,)),
]
