# Julia from Python without declarations: `Main`, `Base`, and the values in them.

"The Python object for any Julia value without a plain Python counterpart: modules, functions, types, and other objects."
struct JuliaValue
    value::Any
end

const Converted = Union{Nothing,Missing,Bool,Integer,AbstractFloat,Complex,Rational,AbstractString,AbstractChar,Py}

"The value for Python: scalars, texts, tuples, and arrays of numbers are converted; anything else is a [`JuliaValue`](@ref)."
dynamic(value::Converted) = value
dynamic(value::Tuple) = map(dynamic, value)
dynamic(value::AbstractArray) = eltype(value) <: Element ? value : JuliaValue(value)
dynamic(value::PyCallable) = value.object
dynamic(value) = exports_instances(typeof(value)) ? value : JuliaValue(value)

"The Julia value for a Python object: an object with a corresponding Julia type is converted; any other stays a [`Py`](@ref)."
function undynamic(object::Py)
    T = natural_type(object)
    if T === nothing
        is_class(object.__class__, :tuple) && return map(undynamic, py_coerce(Tuple, object))
        # So that the result of a Python function becomes a Julia value too.
        return is_function(object) ? PyCallable(object) : object
    end
    T <: Tuple && return map(undynamic, py_coerce(Tuple, object))
    exports_instances(T) || return py_coerce(T, object)
    value = instance_from(T, object)
    return value isa JuliaValue ? value.value : value
end

is_function(object::Py) = is_true(G_PyBuiltin.callable(object)) && !is_instance(object, :type)

"The Julia name for a Python name, which cannot contain `!`: `push_b` is `push!`."
function julia_name(@nospecialize(value), name::String)
    symbol = Symbol(name)
    has_name(value, symbol) && return symbol
    if endswith(name, "_b")
        changing = Symbol(chop(name; tail=2), '!')
        has_name(value, changing) && return changing
    end
    return nothing
end

has_name(value::Module, name::Symbol) = isdefined(value, name)
has_name(@nospecialize(value), name::Symbol) = hasproperty(value, name)

function found_name(self::JuliaValue, name::String)
    found = julia_name(self.value, name)
    found === nothing || return found
    kind = self.value isa Module ? string("module ", self.value) : string("a ", typeof(self.value))
    py_throw(:AttributeError, string(kind, " has no `", name, "`"))
end

keys_of(key::Py) = is_class(key.__class__, :tuple) ? map(undynamic, py_coerce(Tuple, key)) : (undynamic(key),)

"The values that Python iterates: the keys of a dictionary."
python_items(value) = value
python_items(value::AbstractDict) = keys(value)

as_module(self::JuliaValue) =
    self.value isa Module ? self.value : py_throw(:TypeError, string("a ", typeof(self.value), " is not a Julia module"))

"Makes top-level code behave as in Julia's REPL: a loop may assign to a global variable."
function interactive(@nospecialize(code))
    code isa Expr && code.head in (:module, :using, :import, :export, :toplevel) && return code
    return Expr(:block, Expr(:softscope, true), code)
end

"The docstrings of a function, type, or module as source text, or `nothing`. A stripped image has no docstrings."
function documentation(@nospecialize(value))
    value isa Union{Function,Type,Module} || return nothing
    owner, symbol = parentmodule(value), nameof(value)
    texts = String[docstring(owner, symbol)]
    for other in Base.Docs.modules
        other === owner && continue
        push!(texts, docstring(other, symbol, owner))
    end
    filter!(!isempty, texts)
    return isempty(texts) ? nothing : join(texts, "\n\n")
end

"The text of a value as `mime`, or `nothing`."
function shown_as(@nospecialize(value), mime::String)
    showable(mime, value) || return nothing
    return repr(mime, value; context=:limit => true)
end

@export_py call_value(self::JuliaValue, arguments::Tuple, keywords::Dict{Symbol,Py})::Any =
    dynamic(self.value(map(undynamic, arguments)...; (name => undynamic(value) for (name, value) in keywords)...))

@export_pyclass JuliaValue begin
    __init__ = nothing
    call_value
    __getattr__(self, name::String)::Any = dynamic(getproperty(self.value, found_name(self, name)))
    function set_value(self, name::String, value::Py)::Nothing
        if self.value isa Module
            Core.eval(self.value, Expr(:(=), Symbol(name), QuoteNode(undynamic(value))))
        else
            setproperty!(self.value, found_name(self, name), undynamic(value))
        end
        return nothing
    end
    names_of(self)::Vector{String} = String[
        replace(String(name), r"!$" => "_b") for
        name in (self.value isa Module ? names(self.value; all=self.value === Main, imported=true) : propertynames(self.value)) if
        !startswith(String(name), '#')
    ]
    "Run Julia code in this module and return its value."
    seval(self, code::String)::Any = dynamic(include_string(as_module(self), code, "julia"))
    "Run Julia code in this module as Julia's REPL does, and return its value."
    run_cell(self, code::String)::Any = dynamic(include_string(interactive, as_module(self), code, "julia"))
    "The docstrings of a function, type or module."
    getdoc(self)::Union{Nothing,String} = documentation(self.value)
    shown(self, mime::String)::Union{Nothing,String} = (text = shown_as(self.value, mime); text isa String ? text : nothing)
    shown_bytes(self, mime::String)::Union{Nothing,Vector{UInt8}} =
        (bytes = shown_as(self.value, mime); bytes isa Vector{UInt8} ? bytes : nothing)
    __repr__(self)::String = repr("text/plain", self.value; context=:limit => true)
    __str__(self)::String = string(self.value)
    __len__(self)::Int = length(self.value)
    __iter__(self)::Any = (dynamic(item) for item in python_items(self.value))
    __contains__(self, item::Py)::Bool = undynamic(item) in python_items(self.value)
    __getitem__(self, key::Py)::Any = dynamic(self.value[keys_of(key)...])
    __setitem__(self, key::Py, value::Py)::Nothing = (self.value[keys_of(key)...] = undynamic(value); nothing)
    __eq__(self, other::Py)::Bool = isequal(self.value, undynamic(other))
    __hash__(self)::Int = hash(self.value) % Int
    __lt__(self, other::Py)::Bool = self.value < undynamic(other)
    __le__(self, other::Py)::Bool = self.value <= undynamic(other)
    __gt__(self, other::Py)::Bool = self.value > undynamic(other)
    __ge__(self, other::Py)::Bool = self.value >= undynamic(other)
    __add__(self, other::Py)::Any = dynamic(self.value + undynamic(other))
    __radd__(self, other::Py)::Any = dynamic(undynamic(other) + self.value)
    __sub__(self, other::Py)::Any = dynamic(self.value - undynamic(other))
    __rsub__(self, other::Py)::Any = dynamic(undynamic(other) - self.value)
    __mul__(self, other::Py)::Any = dynamic(self.value * undynamic(other))
    __rmul__(self, other::Py)::Any = dynamic(undynamic(other) * self.value)
    __truediv__(self, other::Py)::Any = dynamic(self.value / undynamic(other))
    __rtruediv__(self, other::Py)::Any = dynamic(undynamic(other) / self.value)
    __floordiv__(self, other::Py)::Any = dynamic(fld(self.value, undynamic(other)))
    __mod__(self, other::Py)::Any = dynamic(mod(self.value, undynamic(other)))
    __matmul__(self, other::Py)::Any = dynamic(self.value * undynamic(other))
    __pow__(self, other::Py)::Any = dynamic(self.value^undynamic(other))
    __lshift__(self, other::Py)::Any = dynamic(self.value << undynamic(other))
    __rshift__(self, other::Py)::Any = dynamic(self.value >> undynamic(other))
    __and__(self, other::Py)::Any = dynamic(self.value & undynamic(other))
    __or__(self, other::Py)::Any = dynamic(self.value | undynamic(other))
    __xor__(self, other::Py)::Any = dynamic(xor(self.value, undynamic(other)))
    __rpow__(self, other::Py)::Any = dynamic(undynamic(other)^self.value)
    __neg__(self)::Any = dynamic(-self.value)
    __pos__(self)::Any = dynamic(+self.value)
    __invert__(self)::Any = dynamic(~self.value)
    __abs__(self)::Any = dynamic(abs(self.value))
    __float__(self)::Float64 = Float64(self.value)
    __complex__(self)::ComplexF64 = ComplexF64(self.value)
end

"Called by `jnumpy._dynamic`."
dynamic_main() = JuliaValue(Main)
