//! Platform tags, versions, and UUIDs. The formats of files are separate crates.

pub mod contract;
pub mod policy;
mod uuid;
mod version;

pub use uuid::{InvalidUuid, Uuid};
pub use version::{InvalidVersion, Version};
