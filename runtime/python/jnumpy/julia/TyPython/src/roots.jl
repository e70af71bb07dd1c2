# Roots: numbered slots for values that Julia keeps alive for Python, such as the memory of arrays, and exceptions. The runtime
# hands out the numbers, and empties a slot when Python releases the value (see its `julia/roots.rs`).

const ROOT_BLOCK = 1024
const ROOT_BLOCKS = Vector{Any}[]

"Keeps `value` alive until the runtime gives the number back."
function root(@nospecialize(value))
    hold_lock()
    number = ccall(HOST[].take_root, Int64, ())
    if number < 0
        block = Vector{Any}(nothing, ROOT_BLOCK)
        push!(ROOT_BLOCKS, block)
        ccall(HOST[].add_roots, Cvoid, (Ptr{Cvoid},), pointer(block))
        number = ccall(HOST[].take_root, Int64, ())
    end
    ROOT_BLOCKS[number ÷ ROOT_BLOCK + 1][number % ROOT_BLOCK + 1] = value
    return UInt64(number)
end

"The address of the value in a root."
rooted_address(number::UInt64) =
    unsafe_load(Ptr{Ptr{Cvoid}}(pointer(ROOT_BLOCKS[number ÷ ROOT_BLOCK + 1])), number % ROOT_BLOCK + 1)

rooted(number::UInt64) = ROOT_BLOCKS[number ÷ ROOT_BLOCK + 1][number % ROOT_BLOCK + 1]
