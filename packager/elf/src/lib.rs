//! ELF files: what a library needs and provides, the few edits that make it relocatable, and forwarding shims.
//!
//! Independent of Julia and of wheels. Reads and writes no files: all functions work on bytes.
//!
//! - [`Elf::parse`] reads any class and byte order; foreign bytes lead to an error, never to a panic.
//!   The questions that packing asks of every format go through [`jnumpy_base::Binary`].
//! - [`rewrite`] changes the run path, the SONAME, names of needed libraries, and the stack flag, and proves the result.
//! - [`run_path`] reads and writes `$ORIGIN`.
//! - [`strip`] removes sections that no loader reads.
//! - [`locations`] finds where a text will be in memory.
//! - [`shim`] makes a library that only needs another library, and [`StandIn`] makes one that replaces a library that is
//!   never called.
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
pub use read::{Elf, Kind, Machine, Symbols, VersionNeed};
pub use rewrite::{Edits, rewrite};
pub use shim::{Answer, StandIn, shim};
pub use strip::strip;
pub use tables::is_elf;
