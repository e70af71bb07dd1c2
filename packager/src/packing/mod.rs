//! The operations behind the commands: pack, finalize, and try a wheel, collect wheels, make an editable wheel, a source
//! distribution, or a project, and add dependencies to a project.

pub mod add;
pub mod editable;
mod error;
pub mod finalize;
pub mod julia_wheel;
pub mod pack;
mod prove;
mod python;
pub mod scaffold;
pub mod sdist;
pub mod smoke;
pub mod wheelhouse;

pub use error::Error;
pub(crate) use finalize::finalize;
