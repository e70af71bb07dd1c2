//! Ctrl-C as a value: the handler only sets a flag, long loops look at it, and every temporary file is
//! removed by its owner's `Drop` on the way out.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// The user pressed Ctrl-C, or the process was asked to end.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("interrupted; no partly written files were left")]
pub struct Interrupted;

/// Installs the handler for SIGINT, SIGTERM and SIGHUP. Called once by `main`.
pub fn install() {
    // A process that cannot have a handler (one is installed already) still works: it ends at once instead.
    let _ = ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed));
}

/// Returns early from a long piece of work when a stop was asked for.
pub fn check() -> Result<(), Interrupted> {
    if STOP.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
}
