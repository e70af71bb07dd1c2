//! What goes into a wheel beside the user's own files.
//!
//! - [`Closure`] finds every library that a set of files needs, and says who needs it.
//! - [`policy`] knows what a manylinux wheel takes from the system, and which platform follows from that.

mod closure;
pub mod policy;

pub use closure::{Closure, ClosureError, Library, Missing, Opened, Origin, Search};
