//! The user's project: what is written in it, checked, and never changed.

mod pyproject;

pub use pyproject::{Pyproject, PyprojectError};
