# Exports functions and modules to Python.

"A parameter of an exported function."
struct Parameter
    name::String
    type::Type
    default::Union{Nothing,String}
    keyword::Bool
end

"The description of an exported function for Python."
struct Export
    "The name in Python."
    name::String
    symbol::Symbol
    owner::Module
    parameters::Vector{Parameter}
    result::Type
    "Whether a call in Python returns an awaitable."
    awaited::Bool
end

"One exported method of a function."
struct Overload
    described::Export
    "Its positional parameters, as a tuple type."
    signature::Type
    entry::Function
    unguarded::Function
end

"`overload(f, signature) -> Overload`, with a method for each exported method."
function overload end

"Whether `f` has a method that is exported with [`@export_py`](@ref)."
is_exported(@nospecialize(f)) = !isempty(overload_methods(f))

"`entry_function(f)`: the Julia function that Python calls for `f`, if `f` has one exported method."
entry_function(@nospecialize(f)) = only(overloads_of(f)).entry

"`unguarded_function(f)`: the entry without `try`, called where it is [`proven`](@ref) not to throw."
unguarded_function(@nospecialize(f)) = only(overloads_of(f)).unguarded

"`entry_pointer(entry) -> Ptr{Cvoid}`: the C entry of an [`entry_function`](@ref)."
function entry_pointer end

"`unguarded_pointer(unguarded) -> Ptr{Cvoid}`: the C entry of an [`unguarded_function`](@ref)."
function unguarded_pointer end

"""
    @export_py function f(a::A, b::B = default; c::C = default)::R … end
    @export_py f(a::A)::R = …
    @export_py nogil=true function f(…)::R … end
    @export_py async=true function f(…)::R … end

Defines `f`, and makes it callable from Python (see [`Pyfunc`](@ref)). Every parameter and the result need a type:
arguments are converted with `py_coerce`, and the result with `py_cast(Py, …)`. With `nogil=true`, Python's global interpreter
lock (GIL) is released while `f` runs, so `f` must not touch Python objects. With `async=true`, on Julia 1.9 and later, a call
in Python returns an awaitable: `f` runs without the lock in another thread, and Python's event loop keeps running.
"""
macro export_py(arguments...)
    options = Dict(:nogil => false, :async => false)
    for option in arguments[1:end-1]
        if !Meta.isexpr(option, :(=), 2) || !haskey(options, option.args[1]) || !(option.args[2] isa Bool)
            error("@export_py: unknown option `", option, "`; the options are `nogil=true` and `async=true`")
        end
        options[option.args[1]] = option.args[2]
    end
    return export_expression(arguments[end], options[:nogil], __module__, __source__; async=options[:async])
end

function export_expression(definition, nogil::Bool, owner::Module, source::LineNumberNode; async::Bool=false)
    name, positional, keywords, declared = signature(definition)
    async && !serves_any_thread() && error(
        "@export_py: `", name, "` has `async=true`, which needs Julia 1.9 or later; this is ", VERSION, ", which serves one thread",
    )
    lock_option = async ? "async=true" : "nogil=true"
    nogil |= async
    # Each definition has its own entry: a Python function of an earlier definition keeps reading its arguments in the old way.
    entry, unguarded = gensym(string("entry of ", name)), gensym(string("unguarded entry of ", name))
    # Names that no parameter can have.
    arguments, result, slot, failure = Symbol("#arguments"), Symbol("#result"), Symbol("#slot"), Symbol("#failure")
    parameters = vcat(positional, keywords)
    refuse_one_name_twice(name, parameters)
    callbacks = [parameter.name for parameter in parameters if names_type(parameter.type, :Function)]
    runs_python = [parameter.name for parameter in parameters if any(type -> names_type(parameter.type, type), (:Function, :PyIterable))]
    nogil && !isempty(runs_python) && error(
        "@export_py: `", name, "` calls `", first(runs_python), "`, which needs Python's lock (GIL); omit `", lock_option, "`",
    )
    if !isempty(callbacks)
        definition = Expr(definition.head, definition.args[1], with_typed_results(definition.args[2], callbacks))
    end
    loads = map(enumerate(parameters)) do (index, parameter)
        label = string(python_name(name), "() argument `", python_name(parameter.name), "`: ")
        value = :($load($(parameter.type), $slot, $label))
        if parameter.default !== nothing
            value = :($kind($slot) == $MISSING ? $(parameter.default) : $value)
        end
        :($(parameter.name) = let $slot = $argument($arguments, $index); $value end)
    end
    named = [Expr(:kw, parameter.name, parameter.name) for parameter in keywords]
    values = [parameter.name for parameter in positional]
    # A parameter may have the same name as the function.
    callee = GlobalRef(owner, name)
    call = isempty(named) ? Expr(:call, callee, values...) : Expr(:call, callee, Expr(:parameters, named...), values...)
    nogil && (call = :($without_gil(() -> $call)))
    described = map(parameters) do parameter
        default = parameter.default === nothing ? nothing : default_text(parameter.default)
        :($Parameter($(python_name(parameter.name)), $(parameter.type), $default, $(parameter.keyword)))
    end
    types = [parameter.type for parameter in positional]
    about = :($Export($(python_name(name)), $(QuoteNode(name)), $owner, $Parameter[$(described...)], $declared, $async))
    # The call is written out in both entries, so that backtraces show one frame.
    body = quote
        $(loads...)
        $store($result, $call)
        return nothing
    end
    return esc(quote
        Base.@__doc__ $definition
        function $unguarded($arguments::Ptr{$Slot}, $result::Ptr{$Slot})
            $source
            $body
        end
        function $entry($arguments::Ptr{$Slot}, $result::Ptr{$Slot})
            $source
            try
                $keep_try()
                $body
            catch $failure
                $leave_try()
                return $fail($result, $of_any_type($failure))
            end
        end
        $CPython.unguarded_pointer(::typeof($unguarded)) = @cfunction($unguarded, Cvoid, (Ptr{$Slot}, Ptr{$Slot}))
        $CPython.entry_pointer(::typeof($entry)) = @cfunction($entry, Cvoid, (Ptr{$Slot}, Ptr{$Slot}))
        $CPython.overload(::typeof($name), ::Type{Tuple{$(types...)}}) =
            $Overload($about, Tuple{$(types...)}, $entry, $unguarded)
        $refuse_unpassable($(QuoteNode(name)), $Parameter[$(described...)], $owner)
        $refuse_ambiguous($name, Tuple{$(types...)})
        $precompile_later($owner)
        $name
    end)
end

"Whether an expression names a type, `Union{Nothing,T}` included."
names_type(expression, type::Symbol) =
    expression === type || Meta.isexpr(expression, :curly) && expression.args[1] === type ||
    Meta.isexpr(expression, :curly, 3) && expression.args[1:2] == [:Union, :Nothing] && names_type(expression.args[3], type)

"A name as Python normalizes it in source code (PEP 3131): `ϕ` becomes `φ`, while Julia distinguishes the two."
python_name(name::Symbol) = Base.Unicode.normalize(String(name), :NFKC)

function refuse_one_name_twice(name::Symbol, parameters)
    seen = Dict{String,Symbol}()
    for parameter in parameters
        other = get!(seen, python_name(parameter.name), parameter.name)
        other === parameter.name || error(
            "@export_py: arguments `", other, "` and `", parameter.name, "` of `", name, "` have the same name in Python, `",
            python_name(other), "`; rename one of them",
        )
    end
    return nothing
end

"""
Throws an error if a parameter has a type to which no Python object can be converted. A type of the module `owner` may get its
`py_coerce` below the function, so it is checked when [`Pyfunc`](@ref) makes the function; `owner` is `nothing` there.
"""
function refuse_unpassable(name::Symbol, parameters::Vector{Parameter}, owner::Union{Nothing,Module})
    for parameter in parameters
        type = unpassable(parameter.type)
        type === nothing && continue
        owner !== nothing && is_of_module(type, owner) && continue
        error(
            "@export_py: argument `", parameter.name, "` of `", name, "`: no Python object is converted to ", type, "; ",
            instead_of(type),
        )
    end
    return nothing
end

is_of_module(@nospecialize(T), owner::Module) =
    (S = Base.unwrap_unionall(T); S isa DataType && Base.moduleroot(parentmodule(S)) === Base.moduleroot(owner))

instead_of(@nospecialize(T)) =
    T isa Type && T <: AbstractArray ? string("declare `", T <: AbstractVector ? "AbstractVector" : "AbstractArray", "`") :
    T isa Type && T <: Function ? "declare `Function`" :
    string("declare `Py`, or add a method `TyPython.CPython.py_coerce(::Type{", T, "}, object::Py)` above it")

"The type, `T` or a type inside it, to which no Python object can be converted; `nothing` if there is none."
function unpassable(@nospecialize(T), depth::Int=0)
    # The type of a struct may contain itself.
    depth > 10 && return nothing
    T isa TypeVar && return unpassable(T.ub, depth + 1)
    T in (Any, Union{}, Py, Real, Number) && return nothing
    exports_instances(T) && return nothing
    if T <: Type
        bound = class_bound(T)
        return exports_class(bound) ? nothing : bound
    end
    T isa Union && return unpassable(T.a, depth + 1) === nothing ? nothing : unpassable(T.b, depth + 1)
    converted_elsewhere(T) && return nothing
    T <: Tuple && return first_unpassable(Base.unwrap_unionall(T).parameters, depth)
    if T <: AbstractArray
        T <: PyReadOnlyArray && return takes_list(T) ? T : nothing
        E = element_for(T)
        takes_list(T) && (inner = unpassable(E, depth + 1); inner === nothing || return inner)
        # The type of an array that is made for the declared type, or converted to it.
        candidates = takes_list(T) ? (Array{E,1}, Array{E,2}) : (Vector, Matrix, Array, Transpose, PermutedDimsArray)
        any(made -> typeintersect(made, T) !== Union{}, candidates) && return nothing
        vector = Vector{E <: Number && isconcretetype(E) ? E : Float64}
        return any(hasmethod(convert, Tuple{Type{T},made}) for made in (vector, Matrix{eltype(vector)})) ? nothing : T
    end
    parameter_kind(T) == OBJECT || return nothing
    T <: Union{AbstractChar,Symbol,Rational,Enum,Dates.Date,Dates.DateTime,Dates.Time,FixedPeriod,Missing} && return nothing
    T in (Dates.Period, Dates.TimePeriod) && return nothing
    T <: Function && return PyCallable <: T ? nothing : T
    T <: AbstractSet && return unpassable(eltype(T), depth + 1)
    T <: PyIterable && return unpassable(item_type(T), depth + 1)
    T <: AbstractDict && return first_unpassable(entry_types(T), depth)
    T <: Pair && return first_unpassable(fieldtypes_of(T), depth)
    T <: NamedTuple && return field_names(T) === nothing ? T : T isa DataType ? first_unpassable(fieldtypes(T), depth) : nothing
    is_record(T) && return first_unpassable(fieldtypes(T), depth) === nothing ? nothing : T
    return T
end

function first_unpassable(types, depth::Int)
    for type in types
        found = unpassable(Base.isvarargtype(type) ? Base.unwrapva(type) : type, depth + 1)
        found === nothing || return found
    end
    return nothing
end

"The name, positional and keyword parameters, and result type of a definition. Throws an error if a type is missing."
function signature(definition)
    if !(Meta.isexpr(definition, :function, 2) || Meta.isexpr(definition, :(=), 2))
        error("@export_py expects a function definition, got `", definition, "`")
    end
    head = definition.args[1]
    Meta.isexpr(head, :where) && error("@export_py: `", head.args[1], "` has type parameters (`where`); write the types out")
    if Meta.isexpr(head, :call)
        error("@export_py: `", head.args[1], "` has no result type; write `", head, "::T`")
    end
    call = Meta.isexpr(head, :(::), 2) ? head.args[1] : nothing
    # `f(a::T)::T where T = …` parses as a result of type `T where T`.
    if Meta.isexpr(call, :call) && Meta.isexpr(head.args[2], :where)
        error("@export_py: `", head, "` has type parameters (`where`); write the types out")
    end
    Meta.isexpr(call, :where) && error("@export_py: `", call.args[1], "` has type parameters (`where`); write the types out")
    Meta.isexpr(call, :call) || error("@export_py expects a named function, got `", head, "`")
    name = call.args[1]
    name isa Symbol || error("@export_py: `", name, "` is not a plain name; a function is exported by the module that defines it")
    positional, keywords = Any[], Any[]
    for item in call.args[2:end]
        if Meta.isexpr(item, :parameters)
            append!(keywords, (parameter(name, keyword, true) for keyword in item.args))
        else
            push!(positional, parameter(name, item, false))
        end
    end
    return name, positional, keywords, head.args[2]
end

"A default value as source code: `string` would leave out the quotes of a text."
default_text(default) = string(default)
default_text(default::Union{AbstractString,AbstractChar}) = repr(default)

function parameter(name::Symbol, item, keyword::Bool)
    default = nothing
    if Meta.isexpr(item, :kw, 2)
        item, default = item.args
        default === nothing && (default = :nothing)
    end
    Meta.isexpr(item, :(...)) && error("@export_py: argument `", item, "` of `", name, "` is variadic; take a tuple or an array")
    if !Meta.isexpr(item, :(::), 2) || !(item.args[1] isa Symbol)
        error("@export_py: argument `", item, "` of `", name, "` needs a name and a type: `x::T`")
    end
    return (name=item.args[1], type=item.args[2], default=default, keyword=keyword)
end

"The Python functions that were made, by their [`entry_function`](@ref)."
const FUNCTIONS = IdDict{Any,Py}()

"""
    Pyfunc(f) -> Py

The Python function for a function that was defined with [`@export_py`](@ref). It is always the same object until `f` is
defined again. If several methods of `f` are exported, a call chooses a method by the types of its arguments, as in Julia.
"""
function Pyfunc(f)
    hold_lock()
    overloads = overloads_of(f)
    isempty(overloads) && error("`", f, "` is not exported to Python; define it with `@export_py`")
    length(overloads) == 1 || return overloaded(overloads)
    one = overloads[1]
    # `get!` with a closure would be compiled for each function.
    haskey(FUNCTIONS, one.entry) && return FUNCTIONS[one.entry]
    refuse_unpassable(nameof(f), one.described.parameters, nothing)
    return FUNCTIONS[one.entry] = make_function(one.described, root(f), one.entry, one.unguarded, 0x00)
end

# Flags of a parameter slot.
const OPTIONAL = 0x01
const KEYWORD_ONLY = 0x02
const NULLABLE = 0x04
const WRITTEN = 0x08
const ONLY_READ = 0x10

# Flags of a function, in its slot with the roots.
const METHOD = 0x01
const OPERATOR = 0x02

"Makes the Python function with these entries; `number` is the root of the Julia function."
function make_function(
    described::Export, number::UInt64, @nospecialize(entry), @nospecialize(unguarded), function_traits::UInt8,
)
    owner = string(described.owner)
    # Everything that Python may request without a call, possibly in a thread that cannot call Julia.
    texts = String[
        described.name, owner, string(owner, ".", described.symbol),
        docstring(described.owner, described.symbol), string(described.result), annotations(described),
    ]
    slots = map(text_slot, texts)
    # By Julia's convention, a function with this name writes into its arguments.
    in_place = endswith(described.name, '!')
    push!(slots, Slot(UINT, number, root((entry, unguarded)); flags=function_traits))
    for parameter in described.parameters
        type, takes_none = nullable(parameter.type)
        wanted = argument_kind(type)
        traits = 0x00
        parameter.default === nothing || (traits |= OPTIONAL)
        parameter.keyword && (traits |= KEYWORD_ONLY)
        takes_none && (traits |= NULLABLE)
        type <: PyReadOnlyArray ? (traits |= ONLY_READ) : in_place && (traits |= WRITTEN)
        more = String[parameter.name, string(parameter.type), something(parameter.default, "")]
        append!(texts, more)
        class = wanted == INSTANCE ? getfield(Pyclass(type), :ptr) : NULL
        name = text_slot(more[1])
        push!(slots, Slot(TEXT, name.a, name.b, address(class); dtype=wanted, flags=traits), text_slot(more[2]), text_slot(more[3]))
    end
    made = GC.@preserve texts @python ccall(
        HOST[].make_function, PyPtr, (Ptr{Cvoid}, Ptr{Slot}, Csize_t), entry_pointer(entry)::Ptr{Cvoid}, slots, length(slots),
    )
    callable = Py(checked(Owned, made))
    return described.awaited ? py_import("jnumpy._async").awaitable(callable, Pyclass(Cancellation)) : callable
end

"The docstrings in a module of a name, which may be defined in another module, as source text."
function docstring(owner::Module, symbol::Symbol, of::Module=owner)
    documented = look_up(Base.Docs.meta(owner), Base.Docs.Binding(of, symbol))
    documented === nothing && return ""
    texts = String[join(documented.docs[key].text) for key in documented.order]
    return String(strip(join(texts, "\n\n")))
end

"The Python package whose project is being loaded; otherwise empty."
const PACKAGE = Ref("")

"""
    @export_pymodule name begin
        attribute = value
        …
    end

Makes the Python module `name`, which can then be imported. A value can be anything that `py_cast(Py, ·)` accepts.
"""
macro export_pymodule(name, block)
    name isa Symbol || error("@export_pymodule expects a name, got `", name, "`")
    Meta.isexpr(block, :block) || error("@export_pymodule ", name, ": expected a `begin … end` block")
    pairs = map(filter(line -> !(line isa LineNumberNode), block.args)) do line
        if !Meta.isexpr(line, :(=), 2) || !(line.args[1] isa Symbol)
            error("@export_pymodule ", name, ": expected lines `attribute = value`, got `", line, "`")
        end
        :($(QuoteNode(line.args[1])) => $(esc(line.args[2])))
    end
    return :($export_module($(String(name)), Pair{Symbol,Any}[$(pairs...)]))
end

function export_module(name::String, attributes::Vector{Pair{Symbol,Any}})
    modules = borrowed(PyImport_GetModuleDict())
    qualified = isempty(PACKAGE[]) ? name : string(PACKAGE[], ".", name)
    made = Py(PyModule_NewObject(py_cast(Py, qualified)))
    exported_pointers = Set(getfield(f, :ptr) for f in values(FUNCTIONS))
    classes = Set(getfield(class::Py, :ptr) for class in values(CLASSES))
    names = Dict{String,Symbol}()
    for (attribute, value) in attributes
        shown = python_name(attribute)
        other = get!(names, shown, attribute)
        other === attribute || error(
            "@export_pymodule ", name, ": `", other, "` and `", attribute, "` are the same name in Python, `", shown, "`",
        )
        object = py_cast(Py, value)
        if getfield(object, :ptr) in exported_pointers
            # pickle finds the function by its module and attribute.
            object.__module__ = qualified
            object.__qualname__ = shown
        elseif getfield(object, :ptr) in classes
            py_import("jnumpy._classes").place(object, qualified, shown)
        end
        setproperty!(made, Symbol(shown), object)
    end
    modules[name] = made
    if qualified != name
        modules[qualified] = made
        setproperty!(modules[PACKAGE[]], Symbol(name), made)
    end
    return made
end

# --- functions to compile into an image

"The array types for which a function is compiled if it declares an abstract array."
const LIKELY_ARRAYS = (
    Vector{Float64}, Vector{Int64}, Matrix{Float64}, Transpose{Float64,Matrix{Float64}},
)

"""
    compiled_calls()

The functions that Python calls, and those that any error needs, each with the types of its arguments: the entries of all
exported functions, and the functions with their declared types. Abstract arrays become arrays of `Float64` and `Int64`. Images
contain these functions compiled, in addition to those that a recorded run calls.
"""
function compiled_calls()
    calls = Tuple{Any,Tuple}[
        (start, (Ptr{Cvoid},)),
        (fail, (Ptr{Slot}, Any)),
        (root, (Any,)),
        (within, (Any, String)),
        (labeled, (Any, String)),
        (message, (Any,)),
        (julia_type, (Any,)),
        (backtrace_text, (Any,)),
        (unsafe_store!, (Ptr{Slot}, Slot)),
        # The result is a constant, so `--trace-compile` does not mention this call. It is called for types such as `Vector`.
        (eltype, (Type,)),
        (Base.IteratorEltype, (Type,)),
        (methods, (Any, Any)),
        (overloads_of, (Any,)),
        (Pyfunc, (Function,)),
        (make_function, (Export, UInt64, Any, Any, UInt8)),
        (export_module, (String, Vector{Pair{Symbol,Any}})),
        (export_from, (Module,)),
        (release, (Py,)),
    ]
    append!(calls, ((store, (Ptr{Slot}, type)) for type in (Nothing, Bool, Int64, UInt64, Float64, ComplexF64, String)))
    append!(calls, ((showerror, (IOBuffer, type)) for type in COMMON_ERRORS))
    append!(calls, STREAM_CALLS)
    append!(calls, LOG_CALLS)
    append!(calls, SIGNAL_CALLS)
    append!(calls, REQUIRE_CALLS)
    for method in methods(class_description)
        type = Base.unwrap_unionall(method.sig).parameters[2]
        push!(calls, (class_description, (type,)))
    end
    for method in methods(overload)
        _, type, signature_type = Base.unwrap_unionall(method.sig).parameters
        isdefined(type, :instance) || continue
        f = type.instance
        one = overload(f, signature_type.parameters[1])
        entry, unguarded = one.entry, one.unguarded
        push!(calls, (entry, (Ptr{Slot}, Ptr{Slot})), (entry_pointer, (typeof(entry),)), (overload, (type, signature_type)))
        proven(unguarded) && push!(calls, (unguarded_pointer, (typeof(unguarded),)))
        positional = filter(parameter -> !parameter.keyword, one.described.parameters)
        choices = map(parameter -> likely_types(parameter.type), positional)
        mapreduce(length, *, choices; init=1) <= 16 || continue
        for types in Iterators.product(choices...)
            push!(calls, (f, types))
        end
    end
    return calls
end

"Compiles them: see [`compiled_calls`](@ref)."
precompile_exports() = foreach(((f, types),) -> precompile(f, types), compiled_calls())

"Compiles what `jnumpy.reload()` calls. That is used in development, where TyPython is loaded from its package image."
precompile_reload() = foreach(((f, types),) -> precompile(f, types), RELOAD_CALLS)

const PRECOMPILATION_PLANNED = Ref(false)

"""
Compiles these calls into the package image of `owner`, if this process writes that image. This happens in a task: Julia waits
for its tasks before it writes the image, and by then everything that the exported functions call is defined.
"""
function precompile_later(owner::Module)
    writes_package_image() && !PRECOMPILATION_PLANNED[] || return nothing
    PRECOMPILATION_PLANNED[] = true
    schedule(Task() do
        PRECOMPILATION_PLANNED[] = false
        as_part_of(() -> Base.invokelatest(precompile_exports), owner)
        owner === (@__MODULE__) && Base.invokelatest(precompile_reload)
    end)
    return nothing
end

function likely_types(T::Type)
    isconcretetype(T) && return Any[T]
    T <: AbstractArray || return Any[T]
    likely = filter(array -> array <: T, Any[LIKELY_ARRAYS...])
    return isempty(likely) ? Any[T] : likely
end
