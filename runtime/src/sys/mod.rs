//! Foreign functions and the C layouts that cross the border. They are declared here and nowhere else.

pub(crate) mod dl;
pub(crate) mod imports;
pub(crate) mod libjulia;
pub(crate) mod limits;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod object;
mod own_libraries;
pub(crate) mod scope;
pub(crate) mod slot;
pub(crate) mod table;
pub(crate) mod task;
mod unwind;
