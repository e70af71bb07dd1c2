# Arrays. Julia and NumPy share memory wherever possible.

"The element types that NumPy has too."
const Element = Union{
    Bool,Int8,Int16,Int32,Int64,UInt8,UInt16,UInt32,UInt64,Float16,Float32,Float64,ComplexF32,ComplexF64,
}

const ELEMENTS = (
    Bool,Int8,Int16,Int32,Int64,UInt8,UInt16,UInt32,UInt64,Float16,Float32,Float64,ComplexF32,ComplexF64,
)

for (number, T) in enumerate(ELEMENTS)
    @eval element_number(::Type{$T}) = $(UInt8(number - 1))
end

# --- NumPy → Julia

# An array over NumPy's memory is a small object for Julia's garbage collector, which may therefore keep much memory for a
# long time. So the bytes that were shared since the last collection are counted.

"The number of bytes that may be shared between two collections."
const MOST_ACCOUNTED = Int(min(Sys.total_memory() ÷ 8, UInt(2)^30))
const ACCOUNTED = Ref(0)
"The latest owners. Sharing the same memory again is not counted."
const LATEST_OWNERS = zeros(UInt64, 8)
const COLLECTIONS = Ref(0)

@inline function account_bytes(slot::Ptr{Slot}, bytes::Int)
    # For small arrays, searching the latest owners costs more than it saves.
    bytes < 16384 || accounted_already(second_word(slot)) && return nothing
    ACCOUNTED[] += bytes
    ACCOUNTED[] > MOST_ACCOUNTED && collect_shared()
    return nothing
end

@noinline function accounted_already(owner::UInt64)
    owner in LATEST_OWNERS && return true
    copyto!(LATEST_OWNERS, 2, LATEST_OWNERS, 1, length(LATEST_OWNERS) - 1)
    LATEST_OWNERS[1] = owner
    return false
end

"Runs a quick collection. Every eighth collection is a full one, which also finds old arrays."
@noinline function collect_shared()
    COLLECTIONS[] += 1
    GC.gc(COLLECTIONS[] % 8 == 0)
    return nothing
end

"Called after a collection."
function reset_accounted()
    ACCOUNTED[] = 0
    fill!(LATEST_OWNERS, 0)
    return nothing
end

"""
    array(slot)

The Julia array of an array slot: an `Array` over the same memory, or for C order its `Transpose` or
`PermutedDimsArray`. It keeps the owner of the memory alive.
"""
@noinline function array(slot::Ptr{Slot})
    number = dtype(slot)
    # A chain of comparisons instead of a table, because each branch is a static call. The most frequent type comes first.
    number == element_number(Float64) && return wrap(Float64, slot)
    Base.@nexprs 14 index -> begin
        T_index = ELEMENTS[index]
        number == UInt8(index - 1) && return wrap(T_index, slot)
    end
    error("element type ", number, " does not exist")
end

function wrap(::Type{T}, slot::Ptr{Slot}) where {T<:Element}
    lengths = Ptr{Int}(UInt(third_word(slot)))
    c_order = flags(slot) & C_ORDER != 0
    if rank(slot) == 1
        return share(T, slot, (unsafe_load(lengths),))
    elseif rank(slot) == 2
        m, n = unsafe_load(lengths, 1), unsafe_load(lengths, 2)
        return c_order ? LinearAlgebra.transpose(share(T, slot, (n, m))) : share(T, slot, (m, n))
    else
        return wrap(T, slot, Val(Int(rank(slot))))
    end
end

@noinline function wrap(::Type{T}, slot::Ptr{Slot}, ::Val{N}) where {T<:Element,N}
    lengths = ntuple(index -> unsafe_load(Ptr{Int}(UInt(third_word(slot))), index), Val(N))
    flags(slot) & C_ORDER == 0 && return share(T, slot, lengths)
    return PermutedDimsArray(share(T, slot, reverse(lengths)), ntuple(index -> N + 1 - index, Val(N)))
end

# The same ndarray gives the same Julia array until Julia has collected that array. `find_shared` may return an array whose
# finalizer is about to run: see "Arrays that come back to life" in the runtime's `julia/lease.rs`.
@inline function share(::Type{T}, slot::Ptr{Slot}, lengths::NTuple{N,Int}) where {T<:Element,N}
    shared = ccall(HOST[].find_shared, Ptr{Cvoid}, (Ptr{Slot},), slot)
    return shared == C_NULL ? share_anew(T, slot, lengths) : unsafe_pointer_to_objref(shared)::Array{T,N}
end

@noinline function share_anew(::Type{T}, slot::Ptr{Slot}, lengths::NTuple{N,Int}) where {T<:Element,N}
    account_bytes(slot, prod(lengths) * sizeof(T))
    shared = unsafe_wrap(Array, Ptr{T}(UInt(first_word(slot))), lengths)
    GC.@preserve shared begin
        ccall(HOST[].register_share, Cvoid, (Ptr{Cvoid}, Ptr{Slot}), pointer_from_objref(shared), slot)
    end
    finalizer(HOST[].release_array, shared)
    return shared
end

"""
    PyReadOnlyArray{T,N}

An array that Julia only reads. An argument of this type shares read-only memory, while any other array type gets a copy:
read-only ndarrays, `bytes`, and columns of pandas, polars, and pyarrow. The type has no `setindex!`. `parent` returns the array
itself, for functions that need a `Vector` or a `Matrix`; do not write into it.
"""
struct PyReadOnlyArray{T,N,A<:AbstractArray{T,N}} <: AbstractArray{T,N}
    parent::A

    PyReadOnlyArray(array::AbstractArray{T,N}) where {T,N} = new{T,N,typeof(array)}(array)
end
"`PyReadOnlyVector{T}`: a [`PyReadOnlyArray`](@ref) of one dimension."
const PyReadOnlyVector{T} = PyReadOnlyArray{T,1}
"`PyReadOnlyMatrix{T}`: a [`PyReadOnlyArray`](@ref) of two dimensions."
const PyReadOnlyMatrix{T} = PyReadOnlyArray{T,2}

Base.parent(array::PyReadOnlyArray) = array.parent
Base.size(array::PyReadOnlyArray) = size(array.parent)
Base.IndexStyle(::Type{<:PyReadOnlyArray{T,N,A}}) where {T,N,A} = IndexStyle(A)
Base.@propagate_inbounds Base.getindex(array::PyReadOnlyArray{T,N}, index::Vararg{Int,N}) where {T,N} = array.parent[index...]
Base.@propagate_inbounds Base.getindex(array::PyReadOnlyArray, index::Int) = array.parent[index]
Base.@propagate_inbounds Base.getindex(array::PyReadOnlyVector, index::Int) = array.parent[index]
Base.dataids(array::PyReadOnlyArray) = Base.dataids(array.parent)

"An array as the read-only type that a parameter declares. It is copied only if its elements have to be converted."
function read_only(::Type{T}, found, label::String) where {T}
    made = PyReadOnlyArray(found)
    return made isa T ? made : PyReadOnlyArray(fit(supertype(T), found, label, false))::T
end

is_likely(::Type{T}, found) where {T} =
    Matrix{Float64} <: T && found isa Matrix{Float64} ||
    Transpose{Float64,Matrix{Float64}} <: T && found isa Transpose{Float64,Matrix{Float64}} ||
    Vector{Float64} <: T && found isa Vector{Float64}

"""
    renew_finalizer(array)

Called by the finalizer of an array that `find_shared` has returned since the finalizer was registered. The array may be in
use, so its finalizer is registered again: see the runtime's `julia/lease.rs`.
"""
function renew_finalizer(array)
    finalizer(HOST[].release_array, array)
    return nothing
end

"""
An array as the type that a parameter declares. With `in_place`, the function writes into the array, so a copy is refused.
With `lenient`, the values decide whether they can be converted; otherwise the element type decides.
"""
@noinline function fit(::Type{T}, found, label::String, in_place::Bool, lenient::Bool=false) where {T}
    fitted = try
        lenient || takes_elements(T, eltype(found)) ? converted(T, found)::T : nothing
    catch failure
        failure isa Union{MethodError,TypeError,InexactError,DimensionMismatch,ArgumentError,ErrorException} || rethrow()
        nothing
    end
    if fitted === nothing
        py_throw(
            :TypeError,
            string(
                label, "expected an array for ", T, ", got one that Julia sees as ", summary(found),
                "; declare `AbstractArray`, or pass an array with that element type and number of dimensions, such as ",
                "`x.astype(…)`, `x.T` or `np.asfortranarray(x)`",
            ),
        )
    end
    Base.mightalias(fitted, found) || py_import("jnumpy._runtime").report_copy(
        label, string("it is ", summary(found), " in Julia, but ", T, " is declared; ", way_to_share(T, found)), in_place,
    )
    return fitted
end

"What to do so that the array is shared instead of copied."
function way_to_share(@nospecialize(T), found)
    E = element_bound(T)
    eltype(found) <: E && return "declare `AbstractArray`"
    E <: Element && isconcretetype(E) && return string("pass an array of dtype ", numpy_name(E))
    return string("declare `AbstractArray{", eltype(found), "}`")
end

numpy_name(@nospecialize(E)) = lowercase(string(E))
numpy_name(::Type{ComplexF32}) = "complex64"
numpy_name(::Type{ComplexF64}) = "complex128"

"""
Whether arrays of `S` are converted to arrays of type `T`. The types decide, never the values: `[2.0]` does not become a
`Vector{Int}`, because `[1.5]` cannot.
"""
takes_elements(@nospecialize(T), @nospecialize(S)) = represents(eltype(T), S)

"Whether every `S` has a counterpart of type `T`, possibly rounded, that keeps its range, fraction, and imaginary part."
function represents(@nospecialize(T), @nospecialize(S))::Bool
    S <: T && return true
    T isa DataType && T <: Number && S <: Number || return true
    T === Bool && return false
    S === Bool && return true
    if T <: Integer
        S <: Integer || return false
        return !(T <: Base.BitInteger) || typemin(T) <= typemin(S) && typemax(S) <= typemax(T)
    end
    T <: AbstractFloat && return S <: Real
    T <: Complex && return isconcretetype(T) && represents(real(T), real(S))
    T <: Rational && return isconcretetype(T) && S <: Integer && represents(fieldtype(T, :num), S)
    return true
end

function converted(::Type{T}, found::AbstractArray) where {T}
    # `StridedArray` and similar types are unions, and Julia has no `convert` to them.
    hasmethod(convert, Tuple{Type{T},typeof(found)}) && return convert(T, found)
    element = eltype(T)
    return Array{isconcretetype(element) ? element : eltype(found)}(found)
end

# --- Julia → NumPy

"""
    shield(array)

The object that has to be kept alive so that the memory of `array` stays where it is. Julia code that still has a `Vector`
could resize it, which moves its memory. Julia refuses to resize a `Vector` once it was reshaped, and the reshaped array keeps
the memory.
"""
shield(array) = array
shield(array::Vector) = reshape(array, length(array), 1)
shield(array::Union{SubArray,Base.ReinterpretArray,Base.ReshapedArray,PermutedDimsArray,Transpose}) =
    (array, shield(parent(array)))

"A new ndarray over the memory of `array`, as an owned reference. `strides` are in bytes."
function new_array(array::AbstractArray{T,N}, memory, strides::NTuple{N,Int}) where {T<:Element,N}
    N > MOST_DIMENSIONS && py_throw(:ValueError, string("NumPy does not support an array of ", N, " dimensions"))
    number = root(shield(array))
    description = pointer(SCRATCH)
    slot = Ptr{Slot}(description)
    lengths, steps = Ptr{Int}(description + 32), Ptr{Int}(description + 32 + 8N)
    unsafe_store!(Ptr{NTuple{N,Int}}(lengths), size(array))
    unsafe_store!(Ptr{NTuple{N,Int}}(steps), strides)
    unsafe_store!(slot, Slot(ARRAY, address(memory), UInt64(0), address(lengths); dtype=element_number(T), ndim=UInt8(N)))
    made = @python ccall(HOST[].new_array, PyPtr, (Ptr{Slot}, Ptr{Int}, UInt64), slot, steps, number)
    return checked(Owned, made)
end

"The ndarray from which `array` was made, as an owned reference; NULL if there is none, or if `array` has other memory now."
owner_of(array::Array, c_order::Bool) = @brief ccall(
    HOST[].owner_of, PyPtr, (Ptr{Cvoid}, Ptr{Cvoid}, Csize_t, Cint),
    pointer_from_objref(array), pointer(array), length(array), c_order,
)

byte_strides(array::AbstractArray{T}) where {T} = map(stride -> stride * sizeof(T), strides(array))

"""
    to_python(value) -> PyPtr

The Python object of a value, as an owned reference.
"""
function to_python(array::Array{T,N}) where {T<:Element,N}
    isconcretetype(T) || return list_of(array)
    owner = owner_of(array, false)
    owner == NULL || return owner
    return new_array(array, pointer(array), byte_strides(array))
end

function to_python(array::Transpose{T,Matrix{T}}) where {T<:Element}
    isconcretetype(T) || return other_array(array)
    owner = owner_of(parent(array), true)
    owner == NULL || return owner
    return new_array(array, pointer(parent(array)), reverse(byte_strides(parent(array))))
end

function to_python(array::Transpose{T,Vector{T}}) where {T<:Element}
    isconcretetype(T) || return other_array(array)
    return new_array(array, pointer(parent(array)), (sizeof(T), sizeof(T)))
end

function to_python(array::PermutedDimsArray{T,N,P,Q,Array{T,N}}) where {T<:Element,N,P,Q}
    isconcretetype(T) || return other_array(array)
    if P == ntuple(index -> N + 1 - index, Val(N))
        owner = owner_of(parent(array), true)
        owner == NULL || return owner
    end
    return new_array(array, pointer(parent(array)), byte_strides(array))
end

to_python(array::PyReadOnlyArray) = to_python(array.parent)

const StridedView{T} = Union{
    SubArray{T,N,<:Array{T}} where {N},
    Base.ReinterpretArray{T,N,S,<:Array{S}} where {N,S},
    Base.ReshapedArray{T,N,<:Array{T}} where {N},
}

function to_python(array::StridedView{T}) where {T<:Element}
    isconcretetype(T) && array isa StridedArray || return other_array(array)
    return new_array(array, pointer(array), byte_strides(array))
end

"For arrays whose memory NumPy cannot share: a copy in column-major order, or a list."
function other_array(array::AbstractArray{T}) where {T}
    isconcretetype(T) && T <: Element && return to_python(Array{T,ndims(array)}(array))
    return list_of(array)
end

function list_of(array::AbstractArray{T}) where {T}
    ndims(array) == 1 || return objects_of(array)
    items = PyList_New(length(array))
    list = Py(items)
    for (index, item) in enumerate(array)
        PyList_SetItem(list, index - 1, to_python(item))
    end
    return new_reference(list)
end

method_hint(T) = string("add a method `TyPython.CPython.py_cast(::Type{Py}, value::", T, ")`")
