//! Gives Python's lock to other threads while a call waits in Julia: in `sleep`, `take!`, `run`, or for a task.
//!
//! Julia does not tell the runtime that a task waits, but calls of two libc functions do. If all tasks of a thread wait, the
//! thread is in `epoll_wait` if it runs Julia's event loop, and in `pthread_cond_wait` otherwise. The runtime replaces both
//! functions, and releases Python's lock before they wait. They do not take the lock back, because the thread may hold a lock
//! of Julia for which the thread with Python's lock waits. Instead, the lock is taken back where Julia code needs Python
//! (`hold_lock` in TyPython's `border.jl`), and at the latest when the call ends.
//!
//! While the interpreter shuts down, no thread gets the lock anymore: Python ends a daemon thread that asks for it, by
//! `pthread_exit`. That would unwind Julia's frames, and run Julia's destructor of the thread after Julia has ended. So a thread
//! that has called Julia sleeps until the process ends, as Python's own threads do since Python 3.14.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;

use super::signals::{JULIA, RUNNING_IN};
use super::starting_thread::started_julia;
use crate::sys::imports::Replaced;
use crate::sys::libjulia::LibJulia;
use crate::sys::object;

/// The number of threads that have given the lock away and not taken it back. TyPython reads it; it is usually 0.
pub(crate) static GIVEN_AWAY: AtomicUsize = AtomicUsize::new(0);

/// The state of Python's lock in a thread that calls Julia.
struct Lock {
    /// The thread's Python thread state while the lock is given away; otherwise null.
    given_away: Cell<*mut ffi::PyThreadState>,
    /// The number of running functions with `nogil`. They hold the lock only where they have requested it themselves.
    without: Cell<usize>,
    /// Whether a call into Julia is running in the thread. For the thread that started Julia, `RUNNING_IN` tells this.
    inside: Cell<bool>,
    /// Whether the thread has ever called Julia.
    known: Cell<bool>,
}

thread_local! {
    static LOCK: Lock = const {
        Lock {
            given_away: Cell::new(std::ptr::null_mut()),
            without: Cell::new(0),
            inside: Cell::new(false),
            known: Cell::new(false),
        }
    };
}

/// The parts of libjulia that the functions below need.
struct Julia {
    gc_safe_enter: unsafe extern "C" fn() -> i8,
    gc_safe_leave: unsafe extern "C" fn(i8),
    /// The addresses of the library that imports the replaced functions.
    library: Range<usize>,
}

static OF_JULIA: OnceLock<Julia> = OnceLock::new();

/// Replaces the functions of libc with which Julia waits.
pub(crate) fn notice(libjulia: &LibJulia) {
    let inside = libjulia.stdout.address();
    let Some(library) = object::extent(inside) else { return };
    let julia =
        Julia { gc_safe_enter: libjulia.gc_safe_enter, gc_safe_leave: libjulia.gc_safe_leave, library };
    if OF_JULIA.set(julia).is_err() {
        return;
    }
    let epoll: EpollWait = epoll_wait;
    let masked: EpollPwait = epoll_pwait;
    let condition: CondWait = pthread_cond_wait;
    // SAFETY: the variable lies in the library that has libuv. The functions have the types of those they replace, and do
    // what they do.
    unsafe {
        Replaced::new(inside, &[c"epoll_wait"], epoll as *mut c_void);
        Replaced::new(inside, &[c"epoll_pwait"], masked as *mut c_void);
        Replaced::new(inside, &[c"pthread_cond_wait"], condition as *mut c_void);
        let exit: unsafe extern "C" fn(*mut c_void) -> ! = pthread_exit_of_python;
        Replaced::new(ffi::Py_GetVersion as *const c_void, &[c"pthread_exit"], exit as *mut c_void);
    }
}

/// Notes that a call begins in another thread than the one that started Julia. The result is for [`leave`].
pub(crate) fn enter() -> bool {
    LOCK.with(|lock| {
        lock.known.set(true);
        lock.inside.replace(true)
    })
}

/// Notes that the call has ended.
pub(crate) fn leave(before: bool) {
    LOCK.with(|lock| lock.inside.set(before));
}

/// Takes the lock back if this thread has given it away. Afterwards, a thread that calls Julia holds it, except in `nogil`.
#[inline]
pub(crate) fn hold() {
    if GIVEN_AWAY.load(Ordering::Relaxed) != 0 {
        take_back();
    }
}

#[cold]
pub(crate) extern "C" fn take_back() {
    let Some(julia) = OF_JULIA.get() else { return };
    LOCK.with(|lock| {
        let state = lock.given_away.replace(std::ptr::null_mut());
        if !state.is_null() {
            // SAFETY: the state is this thread's, from `PyEval_SaveThread`. A collection does not wait for this thread meanwhile.
            unsafe {
                let region = (julia.gc_safe_enter)();
                ffi::PyEval_RestoreThread(state);
                (julia.gc_safe_leave)(region);
            }
            GIVEN_AWAY.fetch_sub(1, Ordering::Relaxed);
        }
    });
}

#[cold]
fn give_away() {
    LOCK.with(|lock| {
        let inside =
            if started_julia() { RUNNING_IN.load(Ordering::Relaxed) == JULIA } else { lock.inside.get() };
        if inside && lock.without.get() == 0 && lock.given_away.get().is_null() {
            GIVEN_AWAY.fetch_add(1, Ordering::Relaxed);
            // SAFETY: this thread has called Julia with the lock, and has not given it away since.
            lock.given_away.set(unsafe { ffi::PyEval_SaveThread() });
        }
    });
}

/// Begins a function with `nogil`. The result is for [`end_without_lock`].
///
/// # Safety
/// This thread holds the lock. Until the end, it calls Python functions only between `PyGILState_Ensure` and
/// `PyGILState_Release`.
pub(crate) unsafe extern "C" fn begin_without_lock() -> *mut c_void {
    LOCK.with(|lock| lock.without.set(lock.without.get() + 1));
    // SAFETY: the caller's promise.
    unsafe { ffi::PyEval_SaveThread() }.cast()
}

/// Ends a function with `nogil`, and takes the lock.
///
/// # Safety
/// `state` is the result of [`begin_without_lock`].
pub(crate) unsafe extern "C" fn end_without_lock(state: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { ffi::PyEval_RestoreThread(state.cast()) };
    LOCK.with(|lock| lock.without.set(lock.without.get() - 1));
}

/// `pthread_exit` as Python's interpreter calls it, for a thread that requests the lock during shutdown.
unsafe extern "C" fn pthread_exit_of_python(result: *mut c_void) -> ! {
    if LOCK.with(|lock| lock.known.get()) || started_julia() {
        loop {
            // SAFETY: waits for a signal; handlers return here.
            unsafe { libc::pause() };
        }
    }
    // SAFETY: Python's own argument.
    unsafe { libc::pthread_exit(result) }
}

type EpollWait = unsafe extern "C" fn(c_int, *mut libc::epoll_event, c_int, c_int) -> c_int;
type EpollPwait =
    unsafe extern "C" fn(c_int, *mut libc::epoll_event, c_int, c_int, *const libc::sigset_t) -> c_int;
type CondWait = unsafe extern "C" fn(*mut libc::pthread_cond_t, *mut libc::pthread_mutex_t) -> c_int;

unsafe extern "C" fn epoll_wait(
    descriptor: c_int,
    events: *mut libc::epoll_event,
    count: c_int,
    timeout: c_int,
) -> c_int {
    // Between two tasks, Julia looks for events without waiting (timeout 0).
    if timeout != 0 {
        give_away();
    }
    // SAFETY: libuv's own arguments.
    unsafe { libc::epoll_wait(descriptor, events, count, timeout) }
}

unsafe extern "C" fn epoll_pwait(
    descriptor: c_int,
    events: *mut libc::epoll_event,
    count: c_int,
    timeout: c_int,
    mask: *const libc::sigset_t,
) -> c_int {
    if timeout != 0 {
        give_away();
    }
    // SAFETY: libuv's own arguments.
    unsafe { libc::epoll_pwait(descriptor, events, count, timeout, mask) }
}

unsafe extern "C" fn pthread_cond_wait(
    condition: *mut libc::pthread_cond_t,
    mutex: *mut libc::pthread_mutex_t,
) -> c_int {
    // A thread sleeps on a condition variable in memory that belongs to the thread. Condition variables in the library
    // itself are for threads that wait for a garbage collection, which may happen anywhere.
    if OF_JULIA.get().is_some_and(|julia| !julia.library.contains(&condition.addr())) {
        give_away();
    }
    // SAFETY: Julia's own arguments.
    unsafe { libc::pthread_cond_wait(condition, mutex) }
}
