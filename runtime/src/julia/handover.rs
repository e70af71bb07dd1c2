//! Hands Julia's event loop over when a thread of Python comes back from Julia.
//!
//! Of the threads that wait in Julia, one runs the event loop, and the others sleep until they are woken. A thread of Julia's
//! own, when it has nothing more to do, looks whether the loop is free. A thread of Python goes back to Python instead, and
//! those that sleep would do so for ever. Nothing tells whether a call has run the loop, so a thread of the runtime wakes all
//! that wait a moment after a call has ended, while another thread is inside a call.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{Builder, Thread, park, sleep};
use std::time::Duration;

/// How long a thread may sleep while nobody runs the loop. Waking has a cost for threads that have nothing to do.
const MOMENT: Duration = Duration::from_millis(5);

/// How many calls run in threads other than the one that started Julia.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// A call has ended since threads were woken.
static ENDED: AtomicBool = AtomicBool::new(false);
static WAKER: OnceLock<Option<Thread>> = OnceLock::new();
/// Whether Julia has ended. Held while threads are woken.
static STOPPED: Mutex<bool> = Mutex::new(false);

/// Starts the thread that calls `wake`, which wakes all threads that wait in Julia. Does nothing when it runs already.
pub(crate) fn serve(wake: impl Fn() + Send + 'static) {
    WAKER.get_or_init(|| {
        // Without the thread, one that waits may wait for the next event of another.
        let started = Builder::new().name("jnumpy waker".into()).spawn(move || {
            loop {
                while !ENDED.load(Ordering::Acquire) {
                    park();
                }
                sleep(MOMENT);
                ENDED.store(false, Ordering::Release);
                let stopped = STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
                if *stopped {
                    return;
                }
                if INSIDE.load(Ordering::Relaxed) > 0 {
                    wake();
                }
            }
        });
        started.ok().map(|handle| handle.thread().clone())
    });
}

/// Julia is about to end: nobody is woken any more.
pub(crate) fn stop() {
    *STOPPED.lock().unwrap_or_else(PoisonError::into_inner) = true;
}

/// A call begins in a thread that has not started Julia.
pub(crate) fn begin() {
    INSIDE.fetch_add(1, Ordering::Relaxed);
}

/// It has ended. When the last one ends, Julia itself wakes the thread that started it.
pub(crate) fn end() {
    if INSIDE.fetch_sub(1, Ordering::Relaxed) > 1 {
        request();
    }
}

/// A call has ended in the thread that started Julia.
#[inline]
pub(crate) fn end_of_starting_thread() {
    if INSIDE.load(Ordering::Relaxed) > 0 {
        request();
    }
}

#[cold]
fn request() {
    if !ENDED.load(Ordering::Relaxed)
        && !ENDED.swap(true, Ordering::AcqRel)
        && let Some(Some(thread)) = WAKER.get()
    {
        thread.unpark();
    }
}
