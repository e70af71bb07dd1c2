//! How many descriptors and threads the system lets this process have, beside those that it has.

use std::sync::mpsc;
use std::thread::Builder;

use fs_err::File;

/// Whether `count` more descriptors can be open at a time.
pub(crate) fn can_open(count: usize) -> bool {
    let opened: Result<Vec<_>, _> = (0..count).map(|_| File::open("/dev/null")).collect();
    opened.is_ok()
}

/// Whether `count` more threads can run at a time.
pub(crate) fn can_start_threads(count: usize) -> bool {
    const STACK: usize = 1 << 16;
    let mut held = Vec::new();
    let started: Result<Vec<_>, _> = (0..count)
        .map(|_| {
            let (end, wait) = mpsc::channel::<()>();
            held.push(end);
            // It ends when the other end of the channel is dropped.
            Builder::new().stack_size(STACK).spawn(move || {
                let _ = wait.recv();
            })
        })
        .collect();
    drop(held);
    started.is_ok_and(|threads| threads.into_iter().all(|thread| thread.join().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_can_be_had() {
        assert!(can_open(3));
        assert!(can_start_threads(0));
        assert!(can_start_threads(3));
    }
}
