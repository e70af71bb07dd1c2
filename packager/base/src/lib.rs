//! What every part of `jnumpy-pack` stands on. Knows nothing of Julia, of wheels or of binary formats.
#![forbid(unsafe_code)]

pub mod env_vars;
mod hint;
pub mod interrupt;
pub mod path;
pub mod process;
mod report;
pub mod text;
pub mod topics;

pub use hint::Hint;
pub use report::{Report, Stage, Transfer};
