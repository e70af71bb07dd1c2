//! `jnumpy-pack`: packs a Python package whose core is Julia into one self-contained, relocatable wheel.
//!
//! Data walks down this list and never back up:
//! project → julia → depot → image → bundle (closure, plan) → wheel → audit; `elf` serves them all and knows none of them.
#![forbid(unsafe_code)]

pub mod audit;
pub mod bundle;
pub mod commands;
pub mod depot;
pub mod editable;
pub mod elf;
mod env_vars;
mod error;
pub mod image;
mod interrupt;
pub mod julia;
pub mod pack;
mod process;
pub mod project;
mod publish;
mod report;
pub mod runtime;
pub mod scaffold;
pub mod sdist;
pub mod topics;
pub mod wheel;

pub use error::{Error, Hint};
pub use report::Report;
