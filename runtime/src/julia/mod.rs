//! Safe Julia: its life cycle in this process, the values it lends and borrows, and calls into it.

pub(crate) mod c_state;
pub(crate) mod descriptors;
pub(crate) mod frames;
pub(crate) mod handover;
pub(crate) mod lease;
pub(crate) mod options;
pub(crate) mod profiler;
pub(crate) mod rehearsal;
pub(crate) mod relocation;
pub(crate) mod roots;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod starting_thread;
pub(crate) mod waiting;
