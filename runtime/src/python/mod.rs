//! The Python surface: the extension module, exceptions, and the call entry.

#[expect(unsafe_code, reason = "CPython and Julia hand over raw pointers")]
pub(crate) mod entry;
pub(crate) mod exception;
pub(crate) mod module;
