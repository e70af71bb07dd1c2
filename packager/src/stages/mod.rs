//! The stages of packing, each a type in a module of its name. A stage takes from those before it.

pub mod audit;
pub mod bundle;
pub mod depot;
pub mod image;
pub mod inventory;
pub mod julia;
pub mod julia_wheel;
pub mod project;
pub mod runtime_wheel;
pub mod unpack;
