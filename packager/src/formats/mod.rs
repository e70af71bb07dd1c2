//! What platforms, versions and names are made of; the formats of files are crates of their own.

pub mod contract;
pub mod policy;
mod uuid;
mod version;

pub use uuid::{InvalidUuid, Uuid};
pub use version::{InvalidVersion, Version};
