# Code that depends on the version of Julia.

"""
Fixes `Float16(::Float64)` on Julia 1.6 and 1.7. These call `__truncdfhf2`, a function of libgcc, and expect the result in an
integer register, as Julia's own version returns it. If another library of the process, such as one of NumPy's, has loaded the
libgcc of GCC 12 or later, its version is found instead, which returns the result in a floating-point register. The conversion by
way of `Float32` gives the same result as Julia's own version.
"""
function mend_half_precision()
    v"1.6" <= VERSION < v"1.8" && Core.eval(Base, :(Float16(x::Float64) = Float16(Float32(x))))
    return nothing
end

"Whether the instances of a struct can be changed."
is_mutable(T::DataType) = isdefined(Base, :ismutabletype) ? Base.ismutabletype(T) : T.mutable

"Whether a field can be set: not in an immutable struct, and not if it is `const` (Julia 1.8 and later)."
is_writable(T::DataType, index::Int) = is_mutable(T) && !(isdefined(Base, :isconst) && VERSION >= v"1.8" && isconst(T, index))

"Makes a stream one of Julia's standard streams."
set_stream(name::Symbol, stream) = Core.eval(Base, :($name = $stream))

# Julia 1.9 and later run `require` in the world age of their start, in which the methods of Python's streams do not exist. Since
# Julia 1.11, `require` prints to these streams.
const REQUIRE_PRINTS = isdefined(Base, :Precompilation)

"Lets `require` call methods that were defined since Julia started."
function renew_world_of_require()
    REQUIRE_PRINTS && (Base._require_world_age[] = ccall(:jl_get_world_counter, UInt, ()))
    return nothing
end

"The functions that are compiled again for that, because they call methods of the streams."
const REQUIRE_CALLS = Tuple{Any,Tuple}[]
REQUIRE_PRINTS && push!(REQUIRE_CALLS, (Base.__require, (Base.PkgId,)), (Base.__require, (Module, Symbol)))

"""
    follow_redirections(T, before, instead)

Makes `redirect_stdout` and similar functions call `before(number)` first, and `instead(number, stream)` if the stream is a `T`.
The function that all their methods call accepts any argument, so a new method for Julia's streams does not replace a method.
"""
function follow_redirections(T, before, instead)
    streams = Union{Base.LibuvStream,IOStream}
    if isdefined(Base, :RedirectStdStream)
        @eval function Base._redirect_io_libc(stream::$streams, number::Int)
            $before(number)
            return invoke(Base._redirect_io_libc, Tuple{Any,Int}, stream, number)
        end
        @eval (f::Base.RedirectStdStream)(stream::$T) = $instead(f.unix_fd, stream)
    else
        for (number, name) in enumerate((:stdin, :stdout, :stderr))
            public, inner = Symbol(:redirect_, name), Symbol(:_redirect_, name)
            @eval function Base.$inner(stream::$streams)
                $before($(number - 1))
                return invoke(Base.$inner, Tuple{Any}, stream)
            end
            @eval Base.$public(stream::$T) = $instead($(number - 1), stream)
        end
    end
    return nothing
end

"""
Keeps Julia from removing the `try` around this call. Julia 1.11 and later remove a `try` if no code in it is known to throw, but
a stack overflow may always happen.
"""
@inline keep_try() = VERSION < v"1.11" ? nothing : Base.inferencebarrier(nothing)::Nothing

"""
The caught exception with the inferred type `Any`. Julia 1.11 and later infer which exceptions the code in a `try` may throw, but
leave out those that come from outside: Ctrl-C and stack overflows.
"""
@inline of_any_type(failure) = VERSION < v"1.11" ? failure : Base.inferencebarrier(failure)

"""
    as_part_of(work, owner)

Runs `work()` as if the module were still being defined. Julia 1.9 and 1.10 do not store in a package image what is inferred
later, so callers could not inline it.
"""
function as_part_of(work, owner::Module)
    VERSION < v"1.11" || return work()
    defined = cglobal(:jl_precompile_toplevel_module, Ptr{Cvoid})
    before = unsafe_load(defined)
    unsafe_store!(defined, pointer_from_objref(Base.moduleroot(owner)))
    try
        return work()
    finally
        unsafe_store!(defined, before)
    end
end

"""
    compiled_pointer(f) -> Ptr{Cvoid}

Compiles the C entry of a function that has the signature of an entry. NULL before Julia 1.9, where that is not faster. In an
image of Julia 1.9 and later, a C entry boxes its arguments and looks up its function. An entry that is compiled now does not.
"""
function compiled_pointer(@nospecialize(f))
    VERSION >= v"1.9" || return C_NULL
    return Core.eval(parentmodule(f), :(@cfunction($(nameof(f)), Cvoid, (Ptr{$Slot}, Ptr{$Slot}))))::Ptr{Cvoid}
end

"The methods that calls of `f` with keywords use."
function keyword_methods(@nospecialize(f))
    isdefined(Core, :kwcall) && return methods(Core.kwcall, Tuple{Any,Core.Typeof(f),Vararg{Any}})
    table = Base.unwrap_unionall(Core.Typeof(f)).name.mt
    return isdefined(table, :kwsorter) ? methods(table.kwsorter, Tuple{Any,Core.Typeof(f),Vararg{Any}}) : Method[]
end

"Whether Julia can compile: an image may be packed without the compiler."
has_compiler() = VERSION < v"1.9" || ccall(:jl_get_LLVM_VERSION, UInt32, ()) != 0

"Whether every Python thread may call Julia, not only the one that started it."
serves_any_thread() = VERSION >= v"1.9"

"Whether Julia has more than one thread, including the interactive threads of Julia 1.9 and later."
several_threads() = (isdefined(Threads, :maxthreadid) ? Threads.maxthreadid() : Threads.nthreads()) > 1

"Whether this process compiles a package into a package image with machine code."
writes_package_image() =
    VERSION >= v"1.9" && ccall(:jl_generating_output, Cint, ()) != 0 && Base.JLOptions().incremental != 0

"""
    look_up(table, key)

The value of `key`, or `nothing`. `get` does the same, but Julia 1.5 does not keep its code for these types in an image.
"""
look_up(table::IdDict{Any,Any}, key) = ccall(:jl_eqtable_get, Any, (Any, Any, Any), table.ht, key, nothing)
