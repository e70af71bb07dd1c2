//! The plain C structs in which Rust and Julia exchange values. TyPython's `slots.jl` declares the same layout; at start, the
//! two protocol numbers are compared.

use std::ffi::c_void;

use pyo3::ffi::PyObject;

use super::libjulia::Value;

/// Incremented whenever a layout or a meaning in this file or in [`super::table`] changes.
pub(crate) const PROTOCOL: u64 = include_ascii_number(include_str!("../../python/jnumpy/protocol"));

const fn include_ascii_number(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut number = 0;
    let mut at = 0;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        number = number * 10 + (bytes[at] - b'0') as u64;
        at += 1;
    }
    number
}

/// What a slot holds, and how an argument is read. [`Slot`] has a constructor for each kind that Rust writes.
///
/// | kind | `a` | `b` | `c` | who owns what the slot names |
/// |---|---|---|---|---|
/// | `Missing` | | | | the argument was not given: Julia uses its default |
/// | `Nothing` | | | | |
/// | `Bool` | 0 or 1 | | | |
/// | `Int` | an `i64` | | | |
/// | `UInt` | a `u64` | | | |
/// | `BigInt` | address of hexadecimal digits, with a sign if negative | length | in an argument: the `str` with the digits | the slot owns the `str`; in a result, Julia has the digits until the object is made |
/// | `Float` | bits of an `f64` | | | |
/// | `Complex` | bits of the real part | bits of the imaginary part | | |
/// | `Text` | address of UTF-8 | length in bytes | | in an argument, the `str` that was read; in a result, Julia until the object is made |
/// | `Array` | data | in an argument: the ndarray | address of the lengths (`isize`) | the slot of an argument owns the ndarray; to Rust, a root keeps the memory and `b` is 0 |
/// | `Object` | a `PyObject` | | | borrowed in an argument, owned by the slot in a result |
/// | `Exception` | root of the Julia exception | address of the name of a class in `jnumpy._errors` | length | results only: the slot owns the root, and the name is a constant |
/// | `PythonException` | | | | results only: a Python exception is set |
/// | `Instance` | the Julia object; before it is read, the class | | | arguments only: the Python object keeps it |
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing = 0,
    Nothing = 1,
    Bool = 2,
    Int = 3,
    UInt = 4,
    BigInt = 5,
    Float = 6,
    Complex = 7,
    Text = 8,
    Array = 9,
    Object = 10,
    Exception = 11,
    PythonException = 12,
    Instance = 13,
}

impl Kind {
    /// All kinds, by number.
    const ALL: [Self; 14] = [
        Self::Missing,
        Self::Nothing,
        Self::Bool,
        Self::Int,
        Self::UInt,
        Self::BigInt,
        Self::Float,
        Self::Complex,
        Self::Text,
        Self::Array,
        Self::Object,
        Self::Exception,
        Self::PythonException,
        Self::Instance,
    ];

    /// The kind with this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Element types shared with NumPy, numbered alike on both sides.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Bool = 0,
    Int8 = 1,
    Int16 = 2,
    Int32 = 3,
    Int64 = 4,
    UInt8 = 5,
    UInt16 = 6,
    UInt32 = 7,
    UInt64 = 8,
    Float16 = 9,
    Float32 = 10,
    Float64 = 11,
    Complex64 = 12,
    Complex128 = 13,
}

/// Bit in [`Slot::flags`]: the array is in C order (last index fastest).
pub(crate) const C_ORDER: u8 = 1;
/// Bit in [`Slot::flags`] of an argument, before and after it is read: the function writes into it, so that an array
/// must not be a copy.
pub(crate) const IN_PLACE: u8 = 2;
/// Bit in [`Slot::flags`] of an argument: the other operand of an operator. If the operator does not accept it, the call
/// returns `NotImplemented`.
pub(crate) const OPERAND: u8 = 4;

/// Bit in [`Slot::flags`] of an array argument: the function only reads the array, so read-only memory can be shared too.
pub(crate) const READ_ONLY: u8 = 8;

/// One value that is passed between Rust and Julia. 32 bytes; see [`Kind`] for the meaning of `a`, `b`, and `c`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) kind: u8,
    pub(crate) dtype: u8,
    pub(crate) ndim: u8,
    pub(crate) flags: u8,
    pub(crate) reserved: u32,
    pub(crate) a: u64,
    pub(crate) b: u64,
    pub(crate) c: u64,
}

impl Slot {
    const fn new(kind: Kind) -> Self {
        Self { kind: kind as u8, dtype: 0, ndim: 0, flags: 0, reserved: 0, a: 0, b: 0, c: 0 }
    }

    pub(crate) const fn missing() -> Self {
        Self::new(Kind::Missing)
    }

    pub(crate) const fn nothing() -> Self {
        Self::new(Kind::Nothing)
    }

    pub(crate) fn boolean(value: bool) -> Self {
        Self { a: u64::from(value), ..Self::new(Kind::Bool) }
    }

    pub(crate) const fn integer(value: i64) -> Self {
        Self { a: value.cast_unsigned(), ..Self::new(Kind::Int) }
    }

    pub(crate) const fn unsigned(value: u64) -> Self {
        Self { a: value, ..Self::new(Kind::UInt) }
    }

    pub(crate) const fn float(value: f64) -> Self {
        Self { a: value.to_bits(), ..Self::new(Kind::Float) }
    }

    pub(crate) const fn complex(real: f64, imaginary: f64) -> Self {
        Self { a: real.to_bits(), b: imaginary.to_bits(), ..Self::new(Kind::Complex) }
    }

    /// Text that must outlive the slot.
    pub(crate) fn text(text: &[u8]) -> Self {
        Self { a: address(text.as_ptr()), b: text.len() as u64, ..Self::new(Kind::Text) }
    }

    /// The digits in `owner`, a `str` that the slot takes over.
    pub(crate) fn big_integer(digits: &[u8], owner: *mut PyObject) -> Self {
        Self { c: address(owner), kind: Kind::BigInt as u8, ..Self::text(digits) }
    }

    /// The memory of `owner`, an ndarray that the slot takes over.
    pub(crate) fn array(
        element: Element,
        flags: u8,
        data: *const c_void,
        owner: *mut PyObject,
        ndim: u8,
        lengths: *const isize,
    ) -> Self {
        Self {
            dtype: element as u8,
            ndim,
            flags,
            a: address(data),
            b: address(owner),
            c: address(lengths),
            ..Self::new(Kind::Array)
        }
    }

    /// A Julia object that is kept alive by its Python object, which must outlive the slot.
    pub(crate) fn instance(value: *const Value, flags: u8) -> Self {
        Self { a: address(value), flags, ..Self::new(Kind::Instance) }
    }

    /// An object that must outlive the slot.
    pub(crate) fn borrowed(object: *mut PyObject, flags: u8) -> Self {
        Self { a: address(object), flags, ..Self::new(Kind::Object) }
    }
}

/// The address of memory that Julia will read.
fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// A Julia function as Rust calls it: arguments, result. It never throws and never unwinds; the kind of the result says
/// whether it is an exception.
pub(crate) type Entry = unsafe extern "C" fn(*const Slot, *mut Slot);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_numbered_as_listed() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        assert_eq!(Kind::from_number(14), None);
    }

    #[test]
    fn a_slot_is_32_bytes() {
        assert_eq!(size_of::<Slot>(), 32);
    }
}
