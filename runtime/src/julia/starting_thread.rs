//! Which thread started Julia.

use std::cell::Cell;

thread_local! {
    /// Whether this thread did. A thread-local variable, because the system reuses the numbers of threads that have ended.
    static STARTED_JULIA: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread started Julia, and Julia is still running.
#[inline]
pub(crate) fn started_julia() -> bool {
    STARTED_JULIA.get()
}

/// Notes that this thread has started Julia, or that Julia has ended.
pub(crate) fn set_started_julia(started: bool) {
    STARTED_JULIA.set(started);
}
