//! What a command does as a whole: pack and publish a wheel, make an editable one, a source distribution, a project.

pub mod editable;
mod error;
pub mod pack;
mod prove;
mod publish;
pub mod scaffold;
pub mod sdist;

pub use error::Error;
pub(crate) use publish::publish;
