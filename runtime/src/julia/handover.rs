//! Hands Julia's event loop over when a Python thread returns from Julia.
//!
//! Of the threads that wait in Julia, one runs the event loop, and the others sleep until they are woken. When one of Julia's
//! own threads becomes idle, it takes over the event loop if no thread runs it. A Python thread returns to Python instead, so
//! the sleeping threads would sleep forever. Julia does not tell whether a call has run the loop. Therefore, a moment after a
//! call has ended, a thread of the runtime wakes all waiting threads if another call is still running.
//!
//! While Julia is in its *threaded region*, any thread may run the event loop. Leaving the region costs as much as a call.
//! So the region is left only when the thread that started Julia needs the loop: when it calls Julia, or waits inside a call.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{Builder, Thread, park, sleep};
use std::time::Duration;

use super::signals::{PYTHON, RUNNING_IN};
use crate::sys::libjulia::LibJulia;

/// How long a thread may sleep while no thread runs the loop. A shorter time would wake threads in vain more often.
const MOMENT: Duration = Duration::from_millis(5);

/// The number of calls that run in threads other than the one that started Julia, and the bit [`REGION`].
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// Set while Julia is in a threaded region.
const REGION: usize = 1 << (usize::BITS - 1);
/// Whether a call has ended since threads were woken.
static ENDED: AtomicBool = AtomicBool::new(false);
static WAKER: OnceLock<Option<Thread>> = OnceLock::new();
/// Whether Julia has ended. Held while threads are woken.
static STOPPED: Mutex<bool> = Mutex::new(false);

/// Starts the thread that calls `wake`, which wakes all threads that wait in Julia. Does nothing if it is already running.
pub(crate) fn serve(wake: impl Fn() + Send + 'static) {
    WAKER.get_or_init(|| {
        // If the thread cannot be started, a waiting thread may wait until another thread gets an event.
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
                if INSIDE.load(Ordering::Relaxed) & !REGION > 0 {
                    wake();
                }
            }
        });
        started.ok().map(|handle| handle.thread().clone())
    });
}

/// Called when Julia is about to end: no thread is woken anymore.
pub(crate) fn stop(libjulia: &LibJulia) {
    *STOPPED.lock().unwrap_or_else(PoisonError::into_inner) = true;
    leave_region(libjulia);
}

/// Called when a call begins in another thread than the one that started Julia.
pub(crate) fn begin(libjulia: &LibJulia) {
    if INSIDE.fetch_add(1, Ordering::AcqRel) & REGION == 0 {
        // SAFETY: Julia counts regions. If another thread has entered one meanwhile, leaving this one only decrements the
        // count. No thread leaves the last region while a call is running.
        unsafe {
            (libjulia.enter_threaded_region)();
            if INSIDE.fetch_or(REGION, Ordering::AcqRel) & REGION != 0 {
                (libjulia.exit_threaded_region)();
            }
        }
    }
}

/// Called when such a call has ended.
pub(crate) fn end(libjulia: &LibJulia) {
    if INSIDE.fetch_sub(1, Ordering::AcqRel) & !REGION > 1 {
        request();
    } else if RUNNING_IN.load(Ordering::Relaxed) != PYTHON {
        leave_region(libjulia);
    }
}

/// Called when a call begins in the thread that started Julia.
#[inline]
pub(crate) fn begin_in_starting_thread(libjulia: &LibJulia) {
    if INSIDE.load(Ordering::Relaxed) == REGION {
        leave_region(libjulia);
    }
}

/// Called when such a call has ended.
#[inline]
pub(crate) fn end_in_starting_thread() {
    if INSIDE.load(Ordering::Relaxed) & !REGION > 0 {
        request();
    }
}

/// Leaves the region unless a call is running. Julia then wakes the thread that started it, which runs the loop.
#[cold]
fn leave_region(libjulia: &LibJulia) {
    if INSIDE.compare_exchange(REGION, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        // SAFETY: this thread has called Julia and is back in Python, so it is in a GC-safe region. Leaving the threaded region
        // may run finalizers, which must not run in a GC-safe region.
        unsafe {
            (libjulia.gc_unsafe_enter)();
            (libjulia.exit_threaded_region)();
            (libjulia.gc_safe_enter)();
        }
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
