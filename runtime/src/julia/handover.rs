//! Hands Julia's event loop over when a thread of Python comes back from Julia.
//!
//! Of the threads that wait in Julia, one runs the event loop, and the others sleep until they are woken. A thread of Julia's
//! own, when it has nothing more to do, looks whether the loop is free. A thread of Python goes back to Python instead, and
//! those that sleep would do so for ever. Nothing tells whether a call has run the loop, so a thread of the runtime wakes all
//! that wait a moment after a call has ended, while another thread is inside a call.
//!
//! That any thread may run the loop is Julia's *threaded region*. Leaving it costs as much as a call, so it is left when the
//! thread that started Julia needs the loop for itself: when that thread calls Julia, or waits inside a call.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{Builder, Thread, park, sleep};
use std::time::Duration;

use super::signals::{PYTHON, RUNNING_IN};
use crate::sys::libjulia::LibJulia;

/// How long a thread may sleep while nobody runs the loop. Waking has a cost for threads that have nothing to do.
const MOMENT: Duration = Duration::from_millis(5);

/// How many calls run in threads other than the one that started Julia; and [`REGION`].
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// Julia is in a threaded region.
const REGION: usize = 1 << (usize::BITS - 1);
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
                if INSIDE.load(Ordering::Relaxed) & !REGION > 0 {
                    wake();
                }
            }
        });
        started.ok().map(|handle| handle.thread().clone())
    });
}

/// Julia is about to end: nobody is woken any more.
pub(crate) fn stop(libjulia: &LibJulia) {
    *STOPPED.lock().unwrap_or_else(PoisonError::into_inner) = true;
    leave_region(libjulia);
}

/// A call begins in a thread that has not started Julia.
pub(crate) fn begin(libjulia: &LibJulia) {
    if INSIDE.fetch_add(1, Ordering::AcqRel) & REGION == 0 {
        // SAFETY: counts regions. Where another thread has entered meanwhile, its region goes on, so that leaving this one
        // only counts. No thread leaves the last one while a call is inside.
        unsafe {
            (libjulia.enter_threaded_region)();
            if INSIDE.fetch_or(REGION, Ordering::AcqRel) & REGION != 0 {
                (libjulia.exit_threaded_region)();
            }
        }
    }
}

/// It has ended.
pub(crate) fn end(libjulia: &LibJulia) {
    if INSIDE.fetch_sub(1, Ordering::AcqRel) & !REGION > 1 {
        request();
    } else if RUNNING_IN.load(Ordering::Relaxed) != PYTHON {
        leave_region(libjulia);
    }
}

/// A call begins in the thread that started Julia.
#[inline]
pub(crate) fn begin_in_starting_thread(libjulia: &LibJulia) {
    if INSIDE.load(Ordering::Relaxed) == REGION {
        leave_region(libjulia);
    }
}

/// It has ended.
#[inline]
pub(crate) fn end_in_starting_thread() {
    if INSIDE.load(Ordering::Relaxed) & !REGION > 0 {
        request();
    }
}

/// Leaves the region unless a call is inside. Julia wakes the thread that started it, which then runs the loop.
#[cold]
fn leave_region(libjulia: &LibJulia) {
    if INSIDE.compare_exchange(REGION, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        // SAFETY: this thread has called Julia, and is in Python, so in a GC-safe region. Leaving may run finalizers, which
        // may not run there.
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
