//! The Python surface: the extension module, exceptions, and the call entry.

pub(crate) mod entry;
pub(crate) mod exception;
pub(crate) mod module;
