# Which entries cannot throw. Entering and leaving a `try` costs more than all the rest of a call with numbers, so an
# entry is called without one where its optimised code is a proof: no loop, no call but of the operations below, each
# with operands of the types it is defined for.
#
# A proof holds for the methods it was made with. The runtime remembers the world it was made in and calls the entry
# with the `try` as soon as Julia's counter of worlds has moved.

"Operations on numbers of one type, which give a number of that type or a `Bool`."
const ARITHMETIC = (
    :add_int, :sub_int, :mul_int, :neg_int, :and_int, :or_int, :xor_int, :not_int,
    :eq_int, :ne_int, :slt_int, :ult_int, :sle_int, :ule_int,
    :add_float, :sub_float, :mul_float, :div_float, :neg_float, :muladd_float, :fma_float, :copysign_float, :abs_float,
    :eq_float, :ne_float, :lt_float, :le_float, :fpiseq, :fpislt, :sqrt_llvm, :floor_llvm, :ceil_llvm, :trunc_llvm,
    :rint_llvm,
)

"Conversions `(T, x)`, with the sizes of `T` and `x` that they take."
const CONVERSIONS = Dict{Symbol,Function}(
    :bitcast => ==, :trunc_int => <, :zext_int => >, :sext_int => >, :fptrunc => <, :fpext => >,
    :sitofp => (to, from) -> true, :uitofp => (to, from) -> true,
)

"""
    world_counter() -> Ptr{UInt}

Where Julia counts its worlds, one for each definition of a method; NULL where entries always need their `try`: where
another thread could define a method between the look at the counter and the call.
"""
world_counter() =
    VERSION < v"1.9" && Threads.nthreads() == 1 ? Ptr{UInt}(cglobal(:jl_world_counter, UInt)) : Ptr{UInt}(C_NULL)

"Whether it is certain that `bare(arguments, result)` does not throw, in the methods as they are."
function proven(bare)
    VERSION < v"1.9" || return false
    found = code_typed(bare, (Ptr{Slot}, Ptr{Slot}))
    length(found) == 1 || return false
    code = found[1].first
    return all(index -> harmless(code, index, code.code[index]), eachindex(code.code))
end

"The type of an operand; `Any` if looking at it may throw."
operand(code, value) = typeof(value)
operand(code, value::Core.SSAValue) = Core.Compiler.widenconst(code.ssavaluetypes[value.id])
operand(code, value::Core.SlotNumber) = value.id == 1 ? Any : Ptr{Slot}
operand(code, value::Core.Compiler.Argument) = value.n == 1 ? Any : Ptr{Slot}
operand(code, value::QuoteNode) = typeof(value.value)
operand(code, value::GlobalRef) = isconst(value.mod, value.name) ? typeof(getfield(value.mod, value.name)) : Any

"The value of an operand that is written out in the code; `missing` for any other."
written(value) = value
written(value::Union{Core.SSAValue,Core.SlotNumber,Core.Compiler.Argument}) = missing
written(value::QuoteNode) = value.value
written(value::GlobalRef) = isconst(value.mod, value.name) ? getfield(value.mod, value.name) : missing

number(T) = isprimitivetype(T) && isbitstype(T)
data(T) = isa(T, DataType) && isbitstype(T)

"Whether statement `index` of `code` does not throw and does not go back."
harmless(code, index, statement) = operand(code, statement) !== Any
harmless(code, index, statement::Core.GotoNode) = statement.label > index
harmless(code, index, statement::Core.PiNode) = operand(code, statement.val) !== Any
harmless(code, index, statement::Core.PhiNode) =
    all(n -> isassigned(statement.values, n) && operand(code, statement.values[n]) !== Any, eachindex(statement.values))

function harmless(code, index, statement::Expr)
    arguments = statement.args
    statement.head in (:meta, :inbounds, :code_coverage_effect) && return true
    statement.head === :return && return length(arguments) == 1 && operand(code, arguments[1]) !== Any
    statement.head === :gotoifnot && return operand(code, arguments[1]) === Bool && arguments[2] > index
    if statement.head === :new
        T = written(arguments[1])
        data(T) && length(arguments) == fieldcount(T) + 1 || return false
        return all(n -> operand(code, arguments[n + 1]) === fieldtype(T, n), 1:fieldcount(T))
    end
    statement.head === :call || return false
    f, operands = written(arguments[1]), arguments[2:end]
    return harmless_call(f, map(value -> operand(code, value), operands), map(written, operands))
end

@static if isdefined(Core, :ReturnNode)
    harmless(code, index, statement::Core.ReturnNode) =
        isdefined(statement, :val) && operand(code, statement.val) !== Any
    harmless(code, index, statement::Core.GotoIfNot) =
        operand(code, statement.cond) === Bool && statement.dest > index
end

function harmless_call(f, types, values)
    f === (===) && return length(types) == 2 && all(data, types)
    if f === getfield
        length(types) >= 2 && data(types[1]) || return false
        field = values[2]
        return field isa Symbol ? hasfield(types[1], field) : field isa Int && 1 <= field <= fieldcount(types[1])
    end
    f === ifelse && return length(types) == 3 && types[1] === Bool && data(types[2]) && types[2] === types[3]
    f isa Core.IntrinsicFunction || return false
    name = nameof(f)
    if name in ARITHMETIC
        return all(number, types) && all(==(types[1]), types)
    elseif haskey(CONVERSIONS, name)
        length(types) == 2 && values[1] isa DataType && number(values[1]) && number(types[2]) || return false
        return CONVERSIONS[name](sizeof(values[1]), sizeof(types[2]))
    elseif name === :add_ptr || name === :sub_ptr
        return length(types) == 2 && (types[1] === UInt || types[1] isa DataType && types[1] <: Ptr) && types[2] === UInt
    elseif name === :pointerref
        return length(types) == 3 && harmless_pointer(types[1]) && types[2] === Int && values[3] === 1
    elseif name === :pointerset
        return length(types) == 4 && harmless_pointer(types[1]) && types[2] === eltype(types[1]) && types[3] === Int &&
               values[4] === 1
    end
    return false
end

harmless_pointer(T) = T isa DataType && T <: Ptr && data(eltype(T))
