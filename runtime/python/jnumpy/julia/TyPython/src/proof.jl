# Proves that an entry does not throw. Entering and leaving a `try` takes longer than the rest of a call with numbers. So an
# entry is called without a `try` if its optimized code proves that it does not throw: the code has no loop, and only calls of
# the operations below, each with operands of the types for which it is defined.
#
# A proof is valid for the methods with which it was made. The runtime remembers the world age, and calls the entry with the
# `try` as soon as Julia's world counter has changed.

"Operations on numbers of one type, which return a number of that type or a `Bool`."
const ARITHMETIC = (
    :add_int, :sub_int, :mul_int, :neg_int, :and_int, :or_int, :xor_int, :not_int,
    :eq_int, :ne_int, :slt_int, :ult_int, :sle_int, :ule_int,
    :add_float, :sub_float, :mul_float, :div_float, :neg_float, :muladd_float, :fma_float, :copysign_float, :abs_float,
    :eq_float, :ne_float, :lt_float, :le_float, :fpiseq, :fpislt, :sqrt_llvm, :floor_llvm, :ceil_llvm, :trunc_llvm,
    :rint_llvm,
)

"Conversions `(T, x)` to a smaller type, to a larger type, to a type of the same size, and to any type."
const CONVERSIONS = (:trunc_int, :fptrunc, :zext_int, :sext_int, :fpext, :bitcast, :sitofp, :uitofp)

"""
    world_counter() -> Ptr{UInt}

The address of Julia's world counter, which each definition of a method increments. NULL if Julia has several threads, because
one of them could define a method between the check of the counter and the call; entries always need their `try` then. The
runtime stops using the counter when a second Python thread has called Julia.
"""
world_counter() = several_threads() ? Ptr{UInt}(C_NULL) : Ptr{UInt}(cglobal(:jl_world_counter, UInt))

"Whether `unguarded(arguments, result)` is proven not to throw, with the present methods."
function proven(@nospecialize(unguarded))
    found = code_typed(unguarded, (Ptr{Slot}, Ptr{Slot}))
    length(found) == 1 || return false
    code = found[1].first::Core.CodeInfo
    for (index, statement) in enumerate(code.code)
        harmless(code, index, statement) || return false
    end
    return true
end

"The type of an operand; `Any` if reading the operand may throw."
function operand(code::Core.CodeInfo, @nospecialize(value))::Type
    value isa Core.SSAValue && return Core.Compiler.widenconst(code.ssavaluetypes[value.id])
    value isa Core.SlotNumber && return value.id == 1 ? Any : Ptr{Slot}
    value isa Core.Compiler.Argument && return value.n == 1 ? Any : Ptr{Slot}
    value isa GlobalRef && !isconst(value.mod, value.name) && return Any
    return typeof(written(value))
end

"The value of an operand that is a constant in the code; `missing` for any other operand."
function written(@nospecialize(value))
    value isa QuoteNode && return value.value
    value isa GlobalRef && return isconst(value.mod, value.name) ? getfield(value.mod, value.name) : missing
    return value isa Union{Core.SSAValue,Core.SlotNumber,Core.Compiler.Argument} ? missing : value
end

readable(code::Core.CodeInfo, @nospecialize(value)) = operand(code, value) !== Any

number(@nospecialize(T)) = T isa DataType && isprimitivetype(T)
data(@nospecialize(T)) = T isa DataType && isbitstype(T)
number_pointer(@nospecialize(T)) = T isa DataType && T <: Ptr && data(eltype(T))

"Whether statement `index` of `code` does not throw and does not jump back."
function harmless(code::Core.CodeInfo, index::Int, @nospecialize(statement))
    if statement isa Expr
        arguments = statement.args
        statement.head in (:meta, :inbounds, :code_coverage_effect) && return true
        statement.head === :return && return readable(code, arguments[1])
        statement.head === :gotoifnot && return operand(code, arguments[1]) === Bool && arguments[2]::Int > index
        statement.head === :new && return harmless_new(code, arguments)
        return statement.head === :call && harmless_call(code, arguments)
    end
    statement isa Core.GotoNode && return statement.label > index
    statement isa Core.PiNode && return readable(code, statement.val)
    if statement isa Core.PhiNode
        for n in eachindex(statement.values)
            isassigned(statement.values, n) && readable(code, statement.values[n]) || return false
        end
        return true
    end
    @static if isdefined(Core, :ReturnNode)
        statement isa Core.ReturnNode && return isdefined(statement, :val) && readable(code, statement.val)
        statement isa Core.GotoIfNot && return operand(code, statement.cond) === Bool && statement.dest > index
    end
    return readable(code, statement)
end

function harmless_new(code::Core.CodeInfo, arguments::Vector{Any})
    T = written(arguments[1])
    data(T) && length(arguments) == fieldcount(T) + 1 || return false
    for n in 1:fieldcount(T)
        operand(code, arguments[n + 1]) === fieldtype(T, n) || return false
    end
    return true
end

function harmless_call(code::Core.CodeInfo, arguments::Vector{Any})
    f, count = written(arguments[1]), length(arguments) - 1
    types = Any[operand(code, arguments[n + 1]) for n in 1:count]
    f === (===) && return count == 2 && data(types[1]) && data(types[2])
    if f === getfield
        count >= 2 && data(types[1]) || return false
        field = written(arguments[3])
        return field isa Symbol ? hasfield(types[1], field) : field isa Int && 1 <= field <= fieldcount(types[1])
    end
    f === ifelse && return count == 3 && types[1] === Bool && data(types[2]) && types[2] === types[3]
    f isa Core.IntrinsicFunction || return false
    name = nameof(f)
    if name in ARITHMETIC
        for T in types
            number(T) && T === types[1] || return false
        end
        return true
    elseif name in CONVERSIONS
        T = written(arguments[2])
        count == 2 && number(T) && number(types[2]) || return false
        to, from = Core.sizeof(T), Core.sizeof(types[2])
        name in (:trunc_int, :fptrunc) && return to < from
        name in (:zext_int, :sext_int, :fpext) && return to > from
        return name !== :bitcast || to == from
    elseif name === :add_ptr || name === :sub_ptr
        return count == 2 && number(types[1]) && types[1] <: Union{UInt,Ptr} && types[2] === UInt
    elseif name === :pointerref
        return count == 3 && number_pointer(types[1]) && types[2] === Int && arguments[4] === 1
    elseif name === :pointerset
        return count == 4 && number_pointer(types[1]) && types[2] === eltype(types[1]) && types[3] === Int &&
               arguments[5] === 1
    end
    return false
end
