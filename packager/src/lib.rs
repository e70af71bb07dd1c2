//! `jnumpy-pack`: packs a Python package whose core is Julia into one self-contained, relocatable wheel.
//!
//! Data walks down this list and never back up:
//! project → julia → image → bundle (closure, plan) → wheel → audit; `elf` serves them all and knows none of them.
#![forbid(unsafe_code)]

pub mod commands;
pub mod elf;
mod env_vars;
mod error;
mod interrupt;
pub mod julia;
mod report;
pub mod wheel;

pub use error::{Error, Hint};
pub use report::Report;
