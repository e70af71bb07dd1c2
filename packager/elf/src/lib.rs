//! ELF files: what a library needs and provides, the few edits that make it relocatable, and forwarding shims.
//!
//! Knows nothing of Julia or wheels, and touches no file: bytes in, bytes or facts out.
//!
//! - [`Elf::parse`] reads any class and byte order; foreign bytes lead to an error, never to a panic.
//! - [`rewrite`] changes the run path and the stack flag, and proves the result.
//! - [`run_path`] reads and writes `$ORIGIN`.
//! - [`strip`] takes out what no loader reads.
//! - [`locations`] finds where a text is loaded in memory.
//! - [`shim`] makes a library whose only content is that it needs another one, [`stand_in`] one that replaces
//!   a library that is never called.
#![forbid(unsafe_code)]

mod error;
mod grow;
mod locations;
mod read;
mod rewrite;
pub mod run_path;
mod shim;
mod strings;
mod strip;
mod tables;
#[cfg(test)]
mod tests;

pub use error::ElfError;
pub use locations::{Locations, locations};
pub use read::{Elf, Kind, Machine, Symbols, VersionNeed, is_elf};
pub use rewrite::{Edits, rewrite};
pub use shim::{shim, stand_in};
pub use strip::strip;
