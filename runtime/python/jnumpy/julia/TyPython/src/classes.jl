# Julia types as Python classes.

"A member of a class in Python."
struct Member
    name::String
    "`:method`, `:property`, `:static`, `:class`, `:constructor` or `:constant`."
    kind::Symbol
    "The exported function, or the value of a constant."
    value::Any
    "The function that sets a property, or `nothing`."
    setter::Any
end

"The description of an exported type for Python."
struct ClassDescription
    "The name in Python."
    name::String
    symbol::Symbol
    owner::Module
    type::Type
    "For an exception: the built-in exception that is its base class."
    base::String
    members::Vector{Member}
end

"The Python classes that were made, by their Julia types."
const CLASSES = IdDict{Any,Any}()

"The types to which annotations refer by number."
const CLASS_TYPES = Any[]

"The number of the class of `T` in annotations and in Python's table of classes."
function class_number(@nospecialize(T))
    number = findfirst(known -> known === T, CLASS_TYPES)
    number === nothing || return number
    push!(CLASS_TYPES, T)
    return length(CLASS_TYPES)
end

class_annotation(@nospecialize(T)) = string("JuliaClass", class_number(T))

"""
    Pyclass(T) -> Py

The Python class of a type that was exported with [`@export_pyclass`](@ref). It is always the same object.
"""
function Pyclass(@nospecialize(T::Type))
    hold_lock()
    known = look_up(CLASSES, T)
    known === nothing || return known::Py
    exports_class(T) || error("`", T, "` is not exported to Python; export it with `@export_pyclass`")
    described = class_description(T)::ClassDescription
    python = py_import("jnumpy._classes")
    texts = G_PyBuiltin.tuple(class_texts(T, described))
    class = if T <: Exception
        python.new_exception(texts, class_number(T), described.base)::Py
    else
        python.new_class(texts, class_number(T), base_class(T))::Py
    end
    # Stored before the members are made, because they refer to the class.
    CLASSES[T] = class
    try
        fill_class(python, class, T, described)
    catch
        delete!(CLASSES, T)
        rethrow()
    end
    return class
end

class_texts(@nospecialize(T), described::ClassDescription) =
    String[described.name, string(described.owner), docstring(described.owner, described.symbol), string(T)]

"Adds the members to a class."
function fill_class(python::Py, class::Py, @nospecialize(T), described::ClassDescription)
    foreach(member -> add_member(python, class, T, member), described.members)
    T <: Exception || python.complete(class)
    return nothing
end

"The class of the nearest exported supertype, or the base of all classes."
function base_class(@nospecialize(T))
    above = T === Any ? Any : supertype(T)
    while above !== Any
        exports_instances(above) && return Pyclass(above)
        # `Shape` is a supertype of `Circle{Float64} <: Shape{Float64}` too.
        general = Base.unwrap_unionall(above).name.wrapper
        exports_instances(general) && return Pyclass(general)
        above = supertype(above)
    end
    general = Base.unwrap_unionall(T).name.wrapper
    general !== T && exports_instances(general) && return Pyclass(general)
    return py_import("jnumpy._runtime").JuliaObject
end

function add_member(python::Py, class::Py, @nospecialize(T), member::Member)
    name = py_cast(Py, member.name)
    if T <: Exception
        member.kind === :property || error("`", T, "` is an exception: Python sees only its fields, not its methods")
        python.add_exception_field(class, name, member.value::Int - 1)
    elseif member.kind === :constant
        python.add(class, name, "constant", py_cast(Py, member.value), nothing)
    elseif member.kind === :constructor || member.kind === :static
        python.add(class, name, string(member.kind), Pyfunc(member.value), nothing)
    else
        setter = member.setter === nothing ? PyAPI.Py_None : method_for(T, member.name, member.setter, false)
        first_argument = member.kind === :class ? nothing : T
        python.add(class, name, string(member.kind), method_for(first_argument, member.name, member.value, true), setter)
    end
    return nothing
end

"""
The Python method that calls `f`, with those exported methods of `f` that take a `T` as the first argument (all if `T` is `nothing`).
"""
function method_for(@nospecialize(T), name::String, @nospecialize(f), may_be_operator::Bool)
    is_exported(f) || error("`", f, "` is not exported to Python; define it with `@export_py`")
    overloads = filter(one -> T === nothing || takes_first(one.described, T), overloads_of(f))
    isempty(overloads) &&
        error("`", name, "` cannot be a method of `", T, "`: no exported method of `", f, "` takes one as its first argument")
    operator = may_be_operator && name in OPERATORS
    traits = operator ? METHOD | OPERATOR : METHOD
    functions = map(overloads) do one
        refuse_unpassable(nameof(f), one.described.parameters, nothing)
        make_function(one.described, root(one), one.entry, one.unguarded, traits)
    end
    length(functions) == 1 && return functions[1]
    push!(OVERLOADS, overloads)
    return py_import("jnumpy._function").OverloadedMethod(
        G_PyBuiltin.tuple(functions), Pyfunc(choose_overload), length(OVERLOADS), docstring(first(overloads).described.owner, first(overloads).described.symbol), operator,
    )
end

takes_first(described::Export, @nospecialize(T)) =
    !isempty(described.parameters) && !described.parameters[1].keyword && T <: described.parameters[1].type

# --- instances in both directions

"The Python object of a Julia object, as an owned reference: always the same for a mutable one, as long as Python holds it."
function instance_of(@nospecialize(value), class::Py)
    mutable = ismutable(value)
    if mutable
        found = GC.@preserve value ccall(HOST[].find_instance, PyPtr, (Ptr{Cvoid},), pointer_from_objref(value))
        found == NULL || return found
    end
    number = root(value)
    made = GC.@preserve class @python ccall(
        HOST[].new_instance, PyPtr, (PyPtr, Ptr{Cvoid}, UInt64, Cint),
        getfield(class, :ptr), rooted_address(number), number, mutable,
    )
    return checked(Owned, made)
end

"The Julia object in `object`, which must be of the class of `T`."
instance_from(::Type{T}, object::Py) where {T} = instance_in(Pyclass(T), object)::T

function instance_in(class::Py, object::Py)
    holder = Ref(Slot(INSTANCE, address(getfield(class, :ptr))))
    GC.@preserve holder object class begin
        slot = Base.unsafe_convert(Ptr{Slot}, holder)
        status = @python ccall(HOST[].read, Cint, (UInt8, Cint, PyPtr, Ptr{Slot}), INSTANCE, false, object, slot)
        status < 0 && throw(pending_exception())
        return unsafe_pointer_to_objref(Ptr{Cvoid}(UInt(first_word(slot))))
    end
end

"The Julia type of a Python class, for an argument such as `T::Type{<:Shape}`."
function build(::Type{S}, object::Py, convert_item) where {S<:Type}
    for (type, class) in CLASSES
        type isa S && getfield(class::Py, :ptr) == getfield(object, :ptr) && return type
    end
    expected(string("the class of ", class_bound(S), " or of a subtype"), object)
end

"Thrown if the operand of an operator is not accepted, so that Python tries the other operand."
struct Declined <: Exception end

# --- the macro

"Operators with two operands. If an operand is not accepted, they return `NotImplemented`, and Python tries the other operand."
const ARITHMETIC_OPERATORS = (
    "add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift", "rshift", "and", "xor", "or",
)
const COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
const OPERATORS = Set{String}([
    COMPARISONS..., (string("__", name, "__") for name in ARITHMETIC_OPERATORS)...,
    (string("__r", name, "__") for name in ARITHMETIC_OPERATORS)...,
])

"The result types of special methods without arguments. These methods can be plain Julia functions."
const PROTOCOL_RESULTS = Dict(
    "__repr__" => :String, "__str__" => :String, "__len__" => :Int, "__bool__" => :Bool, "__hash__" => :Int, "__int__" => :BigInt,
    "__index__" => :BigInt, "__float__" => :Float64, "__complex__" => :ComplexF64,
)
const UNARY_OPERATORS = ("__neg__", "__pos__", "__abs__", "__invert__")

"""
    @export_pyclass T begin … end
    @export_pyclass Name = T{…} begin … end

Exports the struct or abstract type `T` as a Python class, which [`Pyclass`](@ref) returns. The block lists the members of the
class. Each line is one of:

    balance                                     a field; or a function that is exported with `@export_py`, as a method
    name = f                                    an exported function as a method of that name
    name = property(f), property(f, set)        as a property
    name = staticmethod(f), classmethod(f)      without the object; with the class as first argument
    name(self, x::A)::R = …                     a method, defined here; `self` is a `T`
    name = value                                anything else: a constant
    __init__ = f                                the constructor, which returns a `T`; `nothing` for none
    __base__ = ValueError                       of an exception: the Python exception that it is a kind of

The names of Python's protocols (`__repr__`, `__len__`, `__add__`, …) may have a plain Julia function too: `__len__ = length`.
A class without a block, or without a line for it, has a constructor with the fields as arguments, a `__repr__` that shows
what Julia does, and, if the struct is immutable, `==` and `hash`. Without a block, Python sees all fields.
"""
macro export_pyclass(arguments...)
    1 <= length(arguments) <= 2 || error("@export_pyclass expects a type and a block, got ", length(arguments), " arguments")
    target = first(arguments)
    block = length(arguments) == 2 ? last(arguments) : nothing
    block === nothing || Meta.isexpr(block, :block) ||
        error("@export_pyclass ", target, ": expected a `begin … end` block, got `", block, "`")
    return ClassWriter(target, __module__, __source__)(block)
end

"Writes the definitions for one class."
struct ClassWriter
    name::String
    type::Type
    "The type as it is written in the source."
    spelled::Any
    owner::Module
    source::Base.RefValue{LineNumberNode}
    definitions::Vector{Any}
    members::Vector{Any}
    names::Set{String}
    base::Base.RefValue{String}
end

function ClassWriter(target, owner::Module, source::LineNumberNode)
    shown, spelled = Meta.isexpr(target, :(=), 2) ? target.args : (nothing, target)
    type = try
        Core.eval(owner, spelled)
    catch
        error("@export_pyclass: there is no type `", spelled, "` in ", owner, "; define it above, outside of any block")
    end
    type isa Type && Base.unwrap_unionall(type) isa DataType && type !== Any ||
        error("@export_pyclass expects a struct or an abstract type, got `", spelled, "`")
    shown === nothing && !(spelled isa Symbol) && error(
        "@export_pyclass: `", spelled, "` needs a name in Python: `@export_pyclass Name = ", spelled, " begin … end`",
    )
    name = something(shown, spelled)
    name isa Symbol || error("@export_pyclass: `", name, "` is not a plain name")
    type <: Union{Tuple,NamedTuple,Function} && error("@export_pyclass: a ", type, " cannot be a class")
    return ClassWriter(python_name(name), type, spelled, owner, Ref(source), Any[], Any[], Set{String}(), Ref("RuntimeError"))
end

field_index(writer::ClassWriter, name) =
    isstructtype(writer.type) && isconcretetype(writer.type) ? something(findfirst(isequal(name), fieldnames(writer.type)), 0) : 0

function (writer::ClassWriter)(block)
    if block === nothing
        isconcretetype(writer.type) && foreach(name -> write_name(writer, name), fieldnames(writer.type))
    else
        for line in block.args
            line isa LineNumberNode ? (writer.source[] = line) : write_line(writer, line)
        end
    end
    writer.type <: Exception || write_defaults(writer)
    name, owner, members = writer.name, writer.owner, writer.members
    symbol = nameof(writer.type)
    return esc(quote
        $(writer.definitions...)
        $CPython.class_description(::Type{$(writer.spelled)}) = $ClassDescription(
            $name, $(QuoteNode(symbol)), $owner, $(writer.spelled), $(writer.base[]), $Member[$(members...)],
        )
        $(writer.spelled)
    end)
end

fault(writer::ClassWriter, text...) = error("@export_pyclass ", writer.name, ": ", text...)

function add_member!(writer::ClassWriter, name::String, kind::Symbol, value, setter=nothing)
    name in writer.names && fault(writer, "`", name, "` is listed twice")
    push!(writer.names, name)
    push!(writer.members, :($Member($name, $(QuoteNode(kind)), $value, $setter)))
    return nothing
end

function write_line(writer::ClassWriter, line)
    if line isa Symbol
        write_name(writer, line)
    elseif Meta.isexpr(line, :tuple)
        foreach(item -> item isa Symbol ? write_name(writer, item) : fault(writer, "`", item, "` is not a name"), line.args)
    elseif Meta.isexpr(line, :macrocall) && line.args[1] == GlobalRef(Core, Symbol("@doc"))
        count = length(writer.definitions)
        write_line(writer, line.args[end])
        length(writer.definitions) > count || fault(writer, "`", line.args[end], "` cannot have a docstring here; write it where the function is defined")
        first_new = writer.definitions[count + 1]
        writer.definitions[count + 1] = Expr(:macrocall, line.args[1:end-1]..., first_new)
    elseif Meta.isexpr(line, :(=), 2) && line.args[1] isa Symbol
        write_value(writer, line.args[1], line.args[2])
    elseif Meta.isexpr(line, (:function, :(=)))
        write_definition(writer, line)
    else
        fault(writer, "expected lines such as `field`, `name = f` or `name(self, x::T)::R = …`, got `", line, "`")
    end
    return nothing
end

"A field, or an exported function."
function write_name(writer::ClassWriter, name::Symbol)
    index = field_index(writer, name)
    index > 0 ? write_field(writer, name, index) : write_value(writer, name, name)
    return nothing
end

function write_field(writer::ClassWriter, name::Symbol, index::Int)
    T, F = writer.spelled, fieldtype(writer.type, index)
    shown = python_name(name)
    writer.type <: Exception && return add_member!(writer, shown, :property, index)
    getter = Symbol(writer.name, ".", name)
    export!(writer, :($getter(self::$T)::$F = self.$name))
    setter = nothing
    if is_writable(writer.type, index) && (unpassable(F) === nothing || is_of_module(F, writer.owner))
        setter = Symbol(getter, ".__set__")
        export!(writer, :($setter(self::$T, value::$F)::Nothing = (self.$name = value; nothing)))
    end
    return add_member!(writer, shown, :property, getter, setter)
end

export!(writer::ClassWriter, definition) =
    push!(writer.definitions, unescaped(export_expression(definition, false, writer.owner, writer.source[])))

"The whole result of a class is escaped once."
unescaped(expression) = Meta.isexpr(expression, :escape) ? expression.args[1] : expression

const WRAPPERS = Dict(:property => :property, :staticmethod => :static, :classmethod => :class)

function write_value(writer::ClassWriter, name::Symbol, value)
    shown = python_name(name)
    if name === :__base__
        writer.type <: Exception || fault(writer, "only an exception has a `__base__`; any other class inherits from the class of its supertype")
        value isa Symbol || fault(writer, "`__base__` is the name of a built-in exception, not `", value, "`")
        writer.base[] = String(value)
        return nothing
    end
    writer.type <: Exception && fault(writer, "Python sees only the fields of an exception, and `", name, "` is not a field")
    if name === :__init__ && value === :nothing
        push!(writer.names, shown)
        return nothing
    end
    if Meta.isexpr(value, :call) && haskey(WRAPPERS, value.args[1])
        functions = value.args[2:end]
        most = value.args[1] === :property ? 2 : 1
        1 <= length(functions) <= most || fault(writer, "`", name, " = ", value, "` does not name a function")
        return add_member!(writer, shown, WRAPPERS[value.args[1]], functions...)
    end
    found = try
        Core.eval(writer.owner, value)
    catch
        fault(writer, "`", value, "` is not a field of ", writer.spelled, ", and it is not defined above")
    end
    found isa Function || found isa Type ||
        return add_member!(writer, shown, :constant, value)
    if is_exported(found)
        kind = name in (:__init__, :__setstate__) ? :constructor : :method
        return add_member!(writer, shown, kind, value)
    end
    found isa Type && exports_class(found) && return add_member!(writer, shown, :constant, :($CPython.Pyclass($value)))
    return write_protocol(writer, name, value, found)
end

"A special method from a function that is not exported. It gets the types of Python's protocol."
function write_protocol(writer::ClassWriter, name::Symbol, value, @nospecialize(found))
    shown, T = String(name), writer.spelled
    if shown == "__hash__"
        return write_definition(writer, :($name(self::$T)::Int = $value(self) % Int))
    elseif haskey(PROTOCOL_RESULTS, shown)
        return write_definition(writer, :($name(self::$T)::$(PROTOCOL_RESULTS[shown]) = $value(self)))
    elseif shown in UNARY_OPERATORS
        return write_definition(writer, :($name(self::$T)::$(result_of(found, writer.type)) = $value(self)))
    elseif shown in COMPARISONS
        return write_definition(writer, :($name(self::$T, other::$T)::Bool = $value(self, other)))
    elseif shown in OPERATORS
        startswith(shown, "__r") && shown != "__rshift__" && return fault(writer, "`", name, "` needs the type of its argument: define it with `@export_py`")
        return write_definition(writer, :($name(self::$T, other::$T)::$(result_of(found, writer.type, writer.type)) = $value(self, other)))
    elseif shown == "__exit__"
        return write_definition(
            writer, :($name(self::$T, type::Any, value::Any, traceback::Any)::Nothing = ($value(self); nothing)),
        )
    end
    return fault(writer, "`", value, "` is not exported to Python; define it with `@export_py`")
end

"The type that a call has, if there is just one."
function result_of(@nospecialize(f), types...)
    found = Base.return_types(f, Tuple{types...})
    return length(found) == 1 && isconcretetype(found[1]) ? found[1] : Any
end

"A method that is defined in the block."
function write_definition(writer::ClassWriter, definition)
    writer.type <: Exception && fault(writer, "Python sees only the fields of an exception, not its methods")
    head = definition.args[1]
    call = Meta.isexpr(head, :(::), 2) ? head.args[1] : head
    Meta.isexpr(call, :call) && call.args[1] isa Symbol || fault(writer, "`", head, "` is not the head of a method")
    name = call.args[1]
    constructor = name in (:__init__, :__setstate__)
    qualified = Symbol(writer.name, ".", name)
    first_place = findfirst(item -> !Meta.isexpr(item, :parameters), call.args[2:end])
    arguments = copy(call.args)
    arguments[1] = qualified
    if !constructor
        first_place === nothing && fault(writer, "`", name, "` needs the object as its first argument: `", name, "(self)`")
        arguments[first_place + 1] isa Symbol && (arguments[first_place + 1] = :($(arguments[first_place + 1])::$(writer.spelled)))
    end
    renamed = Expr(:call, arguments...)
    export!(writer, Expr(definition.head, Meta.isexpr(head, :(::), 2) ? Expr(:(::), renamed, head.args[2]) : renamed, definition.args[2:end]...))
    return add_member!(writer, python_name(name), constructor ? :constructor : :method, qualified)
end

"Adds the default members for which the block has no line."
function write_defaults(writer::ClassWriter)
    T, type = writer.spelled, writer.type
    listed(name) = name in writer.names
    listed("__repr__") || write_definition(writer, :(__repr__(self::$T)::String = repr(self)))
    isconcretetype(type) && isstructtype(type) || return nothing
    if !is_mutable(type) && !listed("__eq__")
        write_definition(writer, :(__eq__(self::$T, other::$T)::Bool = self == other))
        listed("__hash__") || write_definition(writer, :(__hash__(self::$T)::Int = hash(self) % Int))
    end
    fields = [fieldname(type, n) => fieldtype(type, n) for n in 1:fieldcount(type)]
    if !listed("__init__") && all(((_, F),) -> unpassable(F) === nothing || is_of_module(F, writer.owner), fields)
        parameters = [:($name::$F) for (name, F) in fields]
        write_definition(writer, :(__init__($(parameters...))::$T = $T($(first.(fields)...))))
    end
    if !listed("__getstate__") && !listed("__setstate__") && is_plain(type, type)
        values = [:(self.$name) for (name, _) in fields]
        types = last.(fields)
        write_definition(writer, :(__getstate__(self::$T)::Tuple{$(types...)} = ($(values...),)))
        parts = [:($owned(state[$n])) for n in eachindex(fields)]
        write_definition(writer, :(__setstate__(state::Tuple{$(types...)})::$T = $(Expr(:new, T, parts...))))
    end
    return nothing
end

"A value of a state as a field needs it: an array over NumPy's memory is copied, because it could not grow."
owned(value) = value
owned(value::Array) = copy(value)

"Whether values of type `F`, the type of a field of `T`, are data that Python can store and convert back."
function is_plain(@nospecialize(F), @nospecialize(T), depth::Int=0)
    F isa Type && depth < 10 || return false
    F <: Union{Nothing,Missing,Bool,AbstractString,Char,Symbol,Dates.Date,Dates.DateTime,Dates.Time} && return isconcretetype(F) || F isa Union
    F isa Union && return is_plain(F.a, T, depth + 1) && is_plain(F.b, T, depth + 1)
    F isa DataType && isconcretetype(F) || return false
    F <: Number && return parentmodule(F) in (Base, Core)
    F <: Array && return eltype(F) <: Element || is_plain(eltype(F), T, depth + 1)
    F <: Union{Tuple,Dict,Set,NamedTuple} && return all(parameter -> !(parameter isa Type) || is_plain(parameter, T, depth + 1), F.parameters)
    depth > 0 && F === T && return true
    depth == 0 || exports_instances(F) || return false
    return isstructtype(F) && fieldcount(F) > 0 && all(n -> is_plain(fieldtype(F, n), T, depth + 1), 1:fieldcount(F))
end
