//! Which thread has started Julia.

use std::cell::Cell;

thread_local! {
    /// Whether this one has. The system's numbers of threads are given out again when one ends.
    static STARTED_JULIA: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is the thread that started Julia, which still runs.
#[inline]
pub(crate) fn started_julia() -> bool {
    STARTED_JULIA.get()
}

/// Notes that this thread has started Julia, or that Julia does not run any more.
pub(crate) fn set_started_julia(started: bool) {
    STARTED_JULIA.set(started);
}
