//! How many more descriptors and threads this process can get from the system.

use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use fs_err::File;

/// Whether `count` more descriptors can be open at a time.
pub(crate) fn can_open(count: usize) -> bool {
    let opened: Result<Vec<_>, _> = (0..count).map(|_| File::open("/dev/null")).collect();
    opened.is_ok()
}

/// How many more threads can run at a time, with stacks as large as those of Julia's threads. It tries at most `most`.
pub(crate) fn threads_left(most: usize) -> usize {
    let stack = default_stack();
    let mut held = Vec::new();
    let started: Vec<_> = (0..most)
        .map_while(|_| {
            let (end, wait) = mpsc::channel::<()>();
            held.push(end);
            // The thread ends when the other end of the channel is dropped.
            let thread = Builder::new().stack_size(stack).spawn(move || {
                let _ = wait.recv();
                // SAFETY: the call has no preconditions.
                unsafe { libc::syscall(libc::SYS_gettid) }
            });
            thread.ok()
        })
        .collect();
    let count = started.len();
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(1);
    for number in started.into_iter().filter_map(|thread| thread.join().ok()) {
        // The system still counts a thread for a moment after it was joined.
        let directory = format!("/proc/self/task/{number}");
        while Path::new(&directory).exists() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
    count
}

/// The default stack of a thread in bytes: that of `ulimit -s` when the program was started.
pub(crate) fn default_stack() -> usize {
    let (mut attributes, mut size) = (MaybeUninit::uninit(), 0);
    // SAFETY: the first call initializes the struct that the others use.
    unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_getstacksize(attributes.as_ptr(), &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
    size
}

/// How many processors this process may use.
pub(crate) fn processors() -> usize {
    // SAFETY: a set of numbers, which may be all zero; the system writes no more than its size.
    unsafe {
        let mut set = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) < 0 {
            return 1;
        }
        usize::try_from(libc::CPU_COUNT(&set)).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_can_be_had() {
        assert!(can_open(3));
        assert_eq!(threads_left(0), 0);
        assert_eq!(threads_left(3), 3);
        assert!(processors() >= 1);
        assert!(default_stack() >= 1 << 14);
    }
}
