//! Ctrl-C as an error: the signal handler only sets a flag, long loops check it, and owners remove their temporary files when
//! they are dropped.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// The user pressed Ctrl-C, or the process was asked to end.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("interrupted; no partly written files were left")]
pub struct Interrupted;

/// Installs the handler for SIGINT, SIGTERM and SIGHUP. Called once by `main`.
pub fn install() {
    // If no handler can be installed, the process ends at once on a signal.
    let _ = ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed));
}

/// An error if the process was asked to stop.
pub fn check() -> Result<(), Interrupted> {
    if STOP.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
}
