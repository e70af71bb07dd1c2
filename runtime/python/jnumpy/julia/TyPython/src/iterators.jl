# Lazy iterators in both directions.

"""
    PyIterable{T}

An argument type for anything that Python can iterate: a list, a generator, a file. Julia iterates it lazily, and converts each
item to `T` as strictly as an argument of that type. Items of a `PyIterable` without a type are [`Py`](@ref).

As in Python, a generator can be iterated once, and a list any number of times. Exceptions of the iterable pass through the loop.
"""
struct PyIterable{T}
    object::Py
    "The name of the argument in an error."
    label::String

    function PyIterable{T}(object::Py, label::String="") where {T}
        class = object.__class__
        hasproperty(class, :__iter__) && !is_none(class.__iter__) || hasproperty(class, :__getitem__) ||
            expected("an iterable", object)
        return new{T}(object, label)
    end
end

PyIterable(object::Py) = PyIterable{Any}(object)

item_type(@nospecialize(T)) = T isa DataType ? T.parameters[1] : T.var.ub

build(::Type{T}, object::Py, convert_item) where {T<:PyIterable} = PyIterable{item_type(T)}(object)

function load(::Type{T}, slot::Ptr{Slot}, label) where {T<:PyIterable}
    plain = coerced(T, slot, label)
    return PyIterable{item_type(T)}(plain.object, label)
end

py_cast(::Type{Py}, iterable::PyIterable) = iterable.object

Base.IteratorSize(::Type{<:PyIterable}) = Base.SizeUnknown()
Base.eltype(::Type{PyIterable{T}}) where {T} = T === Any ? Py : T
Base.show(io::IO, iterable::PyIterable) = print(io, typeof(iterable), "(", iterable.object, ")")

function Base.iterate(iterable::PyIterable{T}, state=(new_iterator(iterable), 0)) where {T}
    iterator, index = state
    # Not every Python iterator checks for signals.
    check_signals()
    item = next_item(iterator)
    item == NULL && return nothing
    return (converted_item(T, item, index, iterable.label), (iterator, index + 1))
end

function new_iterator(iterable::PyIterable)
    is_root(current_task()) || on_starting_thread() ||
        error("a Python iterable can be iterated only by the task that Python called, not by another task or thread")
    return Py(PyObject_GetIter(iterable.object))
end

"A reference to the next item, or NULL at the end."
function next_item(iterator::Py)
    # Drops the references to earlier items that Julia has collected, so that they do not pile up until the call ends.
    drop_returned()
    item = PyIter_Next(iterator)
    item == NULL && PyErr_Occurred() != NULL && throw(pending_exception())
    return item
end

"Converts an item, and takes over the reference."
coerce_owned(::Type{T}, item::PyPtr) where {T} = py_coerce(T, Py(item))

# The converted value has no reference to the item, so the item is released at once. Julia's garbage collector does not know
# how large the item is.
function coerce_owned(::Type{T}, item::PyPtr) where {T<:Plain}
    object = Py()
    setfield!(object, :ptr, item)
    try
        return py_coerce(T, object)
    finally
        Py_DecRef(item)
    end
end

function converted_item(::Type{T}, item::PyPtr, index::Int, label::String) where {T}
    try
        return coerce_owned(T, item)
    catch failure
        failure = within(failure, string('[', index, ']'))
        throw(isempty(label) ? failure : labeled(failure, label))
    end
end

# --- to Python

"A Julia iterator that Python iterates: a result that can be iterated and has no other counterpart."
mutable struct JuliaIterator
    "`nothing` after the end."
    values::Any
    state::Any
    running::Bool
end

"The state before the first value."
struct NotStarted end

@export_py function next_value(self::JuliaIterator)::Any
    self.running && py_throw(:ValueError, "the Julia iterator is already running")
    values, state = self.values, self.state
    values === nothing && py_throw(:StopIteration, "")
    self.running = true
    ended = true
    try
        value = advance(self, values, state)
        ended = false
        return value
    finally
        self.running = false
        # It ends after the last value and after an exception, as a Python generator does.
        ended && (self.values = self.state = nothing)
    end
end

# Compiled for each type of iterator.
function advance(self::JuliaIterator, values, state)
    found = state isa NotStarted ? iterate(values) : iterate(values, state)
    found === nothing && py_throw(:StopIteration, "")
    value, self.state = found
    return value
end

@export_pyclass JuliaIterator begin
    __init__ = nothing
    __next__ = next_value
    __repr__(self)::String = string("<Julia iterator ", self.values === nothing ? "that has ended" : typeof(self.values), ">")
end

"Whether Python iterates a value of type `T`, which has no other counterpart."
is_iterator(@nospecialize(T)) =
    T !== Any && T !== Union{} && !(T <: Union{Py,Number,AbstractChar,Ref,CartesianIndex}) && hasmethod(iterate, Tuple{T})

"The type of the values, as far as the type of the iterator tells."
yielded(@nospecialize(T)) = T <: PyIterable ? item_type(T) : Base.IteratorEltype(T) isa Base.HasEltype ? eltype(T) : Any
