# Julia without Python: a process that writes an image, or `julia` itself with a project that uses TyPython.

"Thrown by every call of Python in a process in which Python does not run."
struct NoPythonError <: Exception end

Base.showerror(io::IO, ::NoPythonError) = print(
    io,
    "Python does not run in this process, so it cannot be called; get what a module needs from Python in its `init()`, ",
    "which runs when Python imports the package",
)

refuse_call() = throw(NoPythonError())

# The variable that `running_in` uses until the runtime provides one.
const RUNNING_ALONE = Ref(IN_JULIA)
# The same for `hold_lock`.
const NONE_GIVEN_AWAY = Ref(UInt(0))

"Makes every call of Python throw a [`NoPythonError`](@ref) until [`start`](@ref) is called."
function refuse_python()
    refusal = @cfunction(refuse_call, Cvoid, ())
    field(::Type{UInt64}) = UInt64(0)
    field(::Type{Ptr{Cvoid}}) = refusal
    field(::Type{Ptr{UInt}}) = Ptr{UInt}(pointer_from_objref(NONE_GIVEN_AWAY))
    field(::Type{Ptr{UInt8}}) = Ptr{UInt8}(pointer_from_objref(RUNNING_ALONE))
    HOST[] = HostFunctions(map(field, fieldtypes(HostFunctions))...)
    fill!(resize!(C_ADDRESSES, length(C_NAMES)), refusal)
    return nothing
end

"Clears the addresses of this process before an image is written."
function forget_python()
    HOST[] = HostFunctions(map(T -> T(0), fieldtypes(HostFunctions))...)
    empty!(C_ADDRESSES)
    return nothing
end

__init__() = refuse_python()

# `__init__` does not run in the process that compiles TyPython itself.
precompile_later(@__MODULE__)
