//! Lets Julia's profiler (`Profile.@profile`) signal only the thread that waits for signals.
//!
//! The profiler's timer sends SIGUSR1 to the process. In a Julia program, every thread blocks that signal except the one that
//! waits for signals. Python's threads do not block it, so one of them could receive it, and the default action ends the
//! process. The timer is therefore created so that it signals the waiting thread.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use crate::sys::imports::Replaced;
use crate::sys::libjulia::LibJulia;

/// The kernel's numbers of the threads of this process at one moment.
pub(crate) struct ThreadIds(Vec<c_int>);

impl ThreadIds {
    pub(crate) fn now() -> Self {
        let entries = fs_err::read_dir("/proc/self/task").into_iter().flatten().flatten();
        Self(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    /// The threads that were started since `before`.
    fn since(before: &Self) -> Self {
        let mut threads = Self::now();
        threads.0.retain(|thread| !before.0.contains(thread));
        threads
    }

    /// The thread that waits for signals.
    fn waiting_for_signals(&self) -> Option<c_int> {
        self.0.iter().copied().find(|thread| {
            // The file begins with the number of the system call in which the thread is.
            let call =
                fs_err::read_to_string(format!("/proc/self/task/{thread}/syscall")).unwrap_or_default();
            let number = call.split_whitespace().next().and_then(|number| number.parse().ok());
            number == Some(libc::SYS_rt_sigtimedwait)
        })
    }
}

/// The threads that Julia started when it started.
static JULIAS: OnceLock<ThreadIds> = OnceLock::new();

/// Redirects Julia's calls of `timer_create` to this module. `before`: the threads from before Julia's start. `handling`:
/// whether Julia has signal handlers, which its profiler needs to stop threads.
pub(crate) fn prepare(before: &ThreadIds, handling: bool, libjulia: &LibJulia) {
    let started = if handling { ThreadIds::since(before) } else { ThreadIds(Vec::new()) };
    if JULIAS.set(started).is_ok() {
        let function: TimerCreate = create_timer;
        // SAFETY: does what libc's function does, for another thread; the variable lies in the library that has the profiler.
        unsafe { Replaced::new(libjulia.stdout.address(), &[c"timer_create"], function as *mut c_void) };
    }
}

type TimerCreate = unsafe extern "C" fn(libc::clockid_t, *mut libc::sigevent, *mut libc::timer_t) -> c_int;

/// `timer_create` as Julia calls it. If Julia has no handlers, this fails and Julia throws an exception.
///
/// # Safety
/// As for `timer_create`.
unsafe extern "C" fn create_timer(
    clock: libc::clockid_t,
    event: *mut libc::sigevent,
    timer: *mut libc::timer_t,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(thread) = JULIAS.get().and_then(ThreadIds::waiting_for_signals) else {
            *libc::__errno_location() = libc::ENOTSUP;
            return -1;
        };
        if let Some(event) = event.as_mut() {
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_notify_thread_id = thread;
        }
        libc::timer_create(clock, event, timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_for_signals_is_found_among_others() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let before = ThreadIds::now();
        for waits in [false, true] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                // SAFETY: asks for a number, and waits with a set that is filled first.
                unsafe {
                    sender.send((waits, libc::gettid())).unwrap();
                    if waits {
                        let mut set = std::mem::zeroed();
                        libc::sigemptyset(&raw mut set);
                        libc::sigaddset(&raw mut set, libc::SIGUSR1);
                        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
                        libc::sigwaitinfo(&raw const set, std::ptr::null_mut());
                    }
                }
                std::thread::park();
            });
        }
        let mut started = [receiver.recv().unwrap(), receiver.recv().unwrap()];
        started.sort_unstable();
        let wanted = started[1].1;
        let threads = ThreadIds::since(&before);
        // The thread sends its number before it waits.
        while threads.waiting_for_signals() != Some(wanted) {
            std::thread::yield_now();
        }
    }
}
