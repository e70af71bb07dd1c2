//! Plans what goes into a wheel besides the user's own files.
//!
//! - [`Closure`] finds every library that a set of files needs, and says who needs it.
//! - [`Prune`] has the rules about files of Julia that a wheel does not need.
//! - [`bootstrap`] makes the change to the user's `__init__.py`.
//! - [`Explanations`] says why something is in the bundle, or is not.
//! - [`BundleInputs::plan`] makes the plan, which says for every path where its bytes come from.

mod binaries;
pub mod bootstrap;
mod closure;
mod description;
mod error;
mod explain;
mod inputs;
mod libraries;
mod loader;
mod names;
mod packages;
mod plan;
mod provenance;
mod prune;
mod shared;
mod trees;
mod unique_names;

pub(crate) use binaries::starts_as_elf;
pub use closure::{Closure, ClosureError, Library, Missing, Opened, Origin, Search};
pub(crate) use description::{Description, JuliaPart};
pub use error::BundleError;
pub use explain::Explanations;
pub use inputs::BundleInputs;
pub(crate) use libraries::is_compiler;
pub use plan::Bundle;
pub(crate) use provenance::licensed_parts;
pub use prune::{Decisions, LeftOut, Prune, Verdict, unused};
