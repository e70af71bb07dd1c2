//! `jnumpy-pack`: packs a Python package whose core is Julia into one self-contained, relocatable wheel.
//!
//! Four floors on a base. A file uses only lower floors and its own, never a higher one:
//!
//! | floor | what it does | where |
//! |---|---|---|
//! | commands | parse, call, print | [`commands`], a file for each verb |
//! | packing | from a project to a finalized wheel | [`packing`] |
//! | stages | project → runtime wheel → julia → julia wheel → depot → image → bundle → audit → inventory; a stage uses only those before it | [`stages`] |
//! | formats | ELF, wheels, platform policy, versions: independent of Julia and of each other | [`formats`], `jnumpy_elf`, `jnumpy_wheel` |
//! | base | hints, the trait for binary formats, text, child processes, interrupts, reports, environment variables | `jnumpy_base` |
#![forbid(unsafe_code)]

pub mod commands;
#[cfg(test)]
mod floors;
pub mod formats;
pub mod packing;
pub mod stages;
