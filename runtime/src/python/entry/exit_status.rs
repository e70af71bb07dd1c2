//! The exit status with which Julia code in one of Julia's own threads wants to end the process.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

/// -1 if no exit is wanted.
static WANTED: AtomicI32 = AtomicI32::new(-1);

pub(super) fn set(status: c_int) {
    WANTED.store(status & 0xff, Ordering::Release);
}

/// The status that was requested last. It is returned once.
pub(super) fn take() -> Option<c_int> {
    let status = WANTED.swap(-1, Ordering::AcqRel);
    (status >= 0).then_some(status)
}
