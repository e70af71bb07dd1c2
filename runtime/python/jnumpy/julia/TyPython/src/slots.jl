# The plain structs that Julia and the runtime exchange. The runtime's `sys/slot.rs` and `sys/table.rs` declare the same
# layouts. Every change increments the protocol number.

const PROTOCOL = UInt64(12)

"A Python object as C sees it."
abstract type PyObject end
const PyPtr = Ptr{PyObject}
const NULL = PyPtr(C_NULL)

# What a slot holds.
const MISSING = 0x00
const NOTHING = 0x01
const BOOL = 0x02
const INT = 0x03
const UINT = 0x04
const BIGINT = 0x05
const FLOAT = 0x06
const COMPLEX = 0x07
const TEXT = 0x08
const ARRAY = 0x09
const OBJECT = 0x0a
const EXCEPTION = 0x0b
const PYTHON_EXCEPTION = 0x0c
const INSTANCE = 0x0d

"Flag of an array slot: the last index changes fastest (C order)."
const C_ORDER = 0x01
"Flag of an array argument: the function writes into the array, so it must not be a copy."
const IN_PLACE = 0x02
"Flag of an argument: the other operand of an operator. If it is not accepted, the call returns `NotImplemented`."
const OPERAND = 0x04
"Flag of an array argument: the function only reads the array, so read-only memory can be shared too."
const READ_ONLY = 0x08

"One value that is passed between Julia and the runtime."
struct Slot
    kind::UInt8
    dtype::UInt8
    ndim::UInt8
    flags::UInt8
    reserved::UInt32
    a::UInt64
    b::UInt64
    c::UInt64
end

Slot(kind::UInt8, a=UInt64(0), b=UInt64(0), c=UInt64(0); dtype=0x00, ndim=0x00, flags=0x00) =
    Slot(kind, dtype, ndim, flags, UInt32(0), a, b, c)

"A slot with the address of a text, which must be preserved while the slot is used."
text_slot(text::String; dtype=0x00, flags=0x00) =
    Slot(TEXT, address(pointer(text)), UInt64(sizeof(text)); dtype=dtype, flags=flags)

address(pointer::Ptr) = UInt64(UInt(pointer))

# Arguments are read in place, field by field: each field takes one load, and no slot is copied.
@inline kind(slot::Ptr{Slot}) = unsafe_load(Ptr{UInt8}(slot))
@inline dtype(slot::Ptr{Slot}) = unsafe_load(Ptr{UInt8}(slot), 2)
@inline rank(slot::Ptr{Slot}) = unsafe_load(Ptr{UInt8}(slot), 3)
@inline flags(slot::Ptr{Slot}) = unsafe_load(Ptr{UInt8}(slot), 4)
@inline first_word(slot::Ptr{Slot}) = unsafe_load(Ptr{UInt64}(slot), 2)
@inline second_word(slot::Ptr{Slot}) = unsafe_load(Ptr{UInt64}(slot), 3)
@inline third_word(slot::Ptr{Slot}) = unsafe_load(Ptr{UInt64}(slot), 4)

"NumPy's limit."
const MOST_DIMENSIONS = 64

# The buffer in which values are described for the runtime. Only the thread with Python's lock uses it, and between `hold_lock`
# and the call that reads the buffer, no other code can run.
const SCRATCH = zeros(UInt64, 4 + 2 * MOST_DIMENSIONS)

"The host functions, which the runtime provides; its `sys/table.rs` documents each one."
struct HostFunctions
    protocol::UInt64
    symbol::Ptr{Cvoid}
    read::Ptr{Cvoid}
    object::Ptr{Cvoid}
    new_array::Ptr{Cvoid}
    owner_of::Ptr{Cvoid}
    find_shared::Ptr{Cvoid}
    register_share::Ptr{Cvoid}
    release_array::Ptr{Cvoid}
    release_object::Ptr{Cvoid}
    take_root::Ptr{Cvoid}
    add_roots::Ptr{Cvoid}
    make_function::Ptr{Cvoid}
    running_in::Ptr{UInt8}
    read_items::Ptr{Cvoid}
    call::Ptr{Cvoid}
    write_output::Ptr{Cvoid}
    flush_output::Ptr{Cvoid}
    read_input::Ptr{Cvoid}
    terminal::Ptr{Cvoid}
    while_waiting::Ptr{Cvoid}
    exit::Ptr{Cvoid}
    take_exit::Ptr{Cvoid}
    find_instance::Ptr{Cvoid}
    new_instance::Ptr{Cvoid}
    drop_returned::Ptr{Cvoid}
    given_away::Ptr{UInt}
    take_back::Ptr{Cvoid}
    begin_without_lock::Ptr{Cvoid}
    end_without_lock::Ptr{Cvoid}
end

"Filled by [`start`](@ref)."
const HOST = Ref(HostFunctions(0, ntuple(_ -> C_NULL, 29)...))

"The Julia functions, which the runtime calls; its `sys/table.rs` documents each one."
struct JuliaFunctions
    protocol::UInt64
    evaluate::Ptr{Cvoid}
    include_file::Ptr{Cvoid}
    load_project::Ptr{Cvoid}
    extend_paths::Ptr{Cvoid}
    loaded_packages::Ptr{Cvoid}
    describe::Ptr{Cvoid}
    often_called_entry::Ptr{Cvoid}
    wake_threads::Ptr{Cvoid}
    renew_finalizer::Ptr{Cvoid}
    world::Ptr{UInt}
end

const JULIA_FUNCTIONS = Ref(JuliaFunctions(PROTOCOL, ntuple(_ -> C_NULL, 10)...))
