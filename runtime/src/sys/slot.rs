//! The plain C structs in which values cross between Rust and Julia. TyPython's `slots.jl` states the same
//! layout; at start the two protocol numbers are compared.

use std::ffi::c_int;

/// Raised by one whenever a layout or a meaning in this file or in [`super::table`] changes.
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

/// What a slot holds, and how an argument is read.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The argument was not given: Julia uses its default.
    Missing = 0,
    /// `nothing`.
    Nothing = 1,
    /// `a` is 0 or 1.
    Bool = 2,
    /// `a` is an `i64`.
    Int = 3,
    /// `a` is a `u64`.
    UInt = 4,
    /// `a`, `b`: address and length of lower-case hexadecimal digits with an optional sign.
    BigInt = 5,
    /// `a` holds the bits of an `f64`.
    Float = 6,
    /// `a`, `b` hold the bits of the real and the imaginary part.
    Complex = 7,
    /// `a`, `b`: address and length in bytes of UTF-8 text.
    Text = 8,
    /// `a`: data, `b`: owner (borrowed `PyObject*`), `c`: address of `ndim` lengths (`isize`).
    Array = 9,
    /// `a`: a `PyObject*`; borrowed in an argument, owned in a result.
    Object = 10,
    /// Result only: a Julia exception. `a`: its root, `dtype`: its [`Category`](crate::python::exception).
    Exception = 11,
    /// Result only: a Python exception is set already.
    PythonException = 12,
}

impl Kind {
    /// All kinds, by number.
    const ALL: [Self; 13] = [
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

/// One value on its way across. 32 bytes; see [`Kind`] for the meaning of `a`, `b`, `c`.
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
    /// A slot of this kind with an empty payload.
    pub(crate) const fn new(kind: Kind) -> Self {
        Self { kind: kind as u8, dtype: 0, ndim: 0, flags: 0, reserved: 0, a: 0, b: 0, c: 0 }
    }

    /// Text that must outlive the slot.
    pub(crate) fn text(text: &str) -> Self {
        Self { a: text.as_ptr() as u64, b: text.len() as u64, ..Self::new(Kind::Text) }
    }
}

/// A Julia function as Rust calls it: arguments, result; 0 when the result holds a value, 1 when it holds an
/// exception. It never throws and never unwinds.
pub(crate) type Entry = unsafe extern "C" fn(*const Slot, *mut Slot) -> c_int;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_numbered_as_listed() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        assert_eq!(Kind::from_number(13), None);
    }

    #[test]
    fn a_slot_is_32_bytes() {
        assert_eq!(size_of::<Slot>(), 32);
    }
}
