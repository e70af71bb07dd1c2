//! stub
pub mod bootstrap;
pub mod prune;
