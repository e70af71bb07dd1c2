//! The only place that declares foreign functions and the C layouts that cross the border.

pub(crate) mod dl;
pub(crate) mod imports;
pub(crate) mod libjulia;
pub(crate) mod memory;
mod object;
pub(crate) mod scope;
pub(crate) mod slot;
pub(crate) mod table;
pub(crate) mod task;
