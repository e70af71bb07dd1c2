//! The stages of packing: a module for each. A stage uses only the stages before it.

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
