//! Utilities that every part of `jnumpy-pack` uses. Independent of Julia, of wheels, and of any binary format.
#![forbid(unsafe_code)]

mod binary;
pub mod env_vars;
mod hint;
pub mod interrupt;
mod new_file;
pub mod path;
pub mod process;
mod report;
pub mod text;
pub mod topics;

pub use binary::Binary;
pub use hint::Hint;
pub use new_file::{NewFile, write_files};
pub use report::{Report, Stage, Transfer};
