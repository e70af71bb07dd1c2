# What depends on Julia's version.

"""
Mends `Float16(::Float64)`. Julia 1.6 and 1.7 call libgcc's name for it, `__truncdfhf2`, and expect the result in an
integer register, as from Julia's own. Once another library of the process, one of NumPy's say, has brought in the libgcc
of GCC 12 or later, that one is found, with the result in a floating-point register. Julia's own goes by `Float32` too.
"""
function mend_half_precision()
    v"1.6" <= VERSION < v"1.8" && Core.eval(Base, :(Float16(x::Float64) = Float16(Float32(x))))
    return nothing
end

"Whether the instances of a struct can be changed."
is_mutable(T::DataType) = isdefined(Base, :ismutabletype) ? Base.ismutabletype(T) : T.mutable

"Whether a field can be set: not in an immutable struct, nor where Julia 1.8 and later say `const`."
is_writable(T::DataType, index::Int) = is_mutable(T) && !(isdefined(Base, :isconst) && VERSION >= v"1.8" && isconst(T, index))

"Makes a stream one of Julia's standard streams."
set_stream(name::Symbol, stream) = Core.eval(Base, :($name = $stream))

# Julia 1.9 and later run `require` in the world of their start, where the methods of Python's streams do not exist; since
# Julia 1.11 it prints to them.
const REQUIRE_PRINTS = isdefined(Base, :Precompilation)

"Lets `require` call what was defined since Julia started."
function renew_world_of_require()
    REQUIRE_PRINTS && (Base._require_world_age[] = ccall(:jl_get_world_counter, UInt, ()))
    return nothing
end

"What is compiled again for that: the streams' methods are new to it."
const REQUIRE_CALLS = Tuple{Any,Tuple}[]
REQUIRE_PRINTS && push!(REQUIRE_CALLS, (Base.__require, (Base.PkgId,)), (Base.__require, (Module, Symbol)))

"""
    follow_redirections(T, before, instead)

Lets `redirect_stdout` and its like call `before(number)` first, and `instead(number, stream)` if the stream is a `T`. The
step that all their methods have in common takes any argument, so that a method for Julia's streams replaces none.
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
Keeps the `try` around it. Julia 1.11 and later leave a `try` out where nothing in it is known to throw, but a stack overflow
always may.
"""
@inline keep_try() = VERSION < v"1.11" ? nothing : Base.inferencebarrier(nothing)::Nothing

"""
An exception that was caught, as one of any type. Julia 1.11 and later infer which ones the code in a `try` may throw, without
those that come from outside: Ctrl-C, a stack overflow.
"""
@inline of_any_type(failure) = VERSION < v"1.11" ? failure : Base.inferencebarrier(failure)

"""
    as_part_of(work, owner)

Runs `work()` as if the module were still being defined. Julia 1.9 and 1.10 leave out of a package image what is inferred
later, so that callers cannot inline it.
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

The C entry of a function with the types of an entry, compiled now; NULL where that gains nothing. In an image of Julia 1.9 and
later, a C entry boxes its arguments and looks its function up; one that is compiled when the function exists does not.
"""
function compiled_pointer(@nospecialize(f))
    VERSION >= v"1.9" || return C_NULL
    return Core.eval(parentmodule(f), :(@cfunction($(nameof(f)), Cvoid, (Ptr{$Slot}, Ptr{$Slot}))))::Ptr{Cvoid}
end

"Whether Julia can compile: an image may be packed without the compiler."
has_compiler() = VERSION < v"1.9" || ccall(:jl_get_LLVM_VERSION, UInt32, ()) != 0

"Whether every thread of Python's may call Julia, not only the one that started it."
serves_any_thread() = VERSION >= v"1.9"

"Whether Julia has more than one thread, the interactive ones of Julia 1.9 and later counted."
several_threads() = (isdefined(Threads, :maxthreadid) ? Threads.maxthreadid() : Threads.nthreads()) > 1

"Whether this process compiles a package to an image of its own, with machine code."
writes_package_image() =
    VERSION >= v"1.9" && ccall(:jl_generating_output, Cint, ()) != 0 && Base.JLOptions().incremental != 0

"""
    look_up(table, key)

The value of `key`, or `nothing`. `get` does the same, but Julia 1.5 never keeps its code for these types in an image.
"""
look_up(table::IdDict{Any,Any}, key) = ccall(:jl_eqtable_get, Any, (Any, Any, Any), table.ht, key, nothing)
