//! Tries a start of Julia in a child process. With some values of options and environment variables, Julia ends the process,
//! and only Julia knows these values.

use std::io::Read;
use std::os::fd::AsRawFd;

/// The number of bytes that are read of what Julia prints.
const MOST_READ: u64 = 1 << 16;

/// Runs `start` in a child process. If `start` does not return `true`, the error is the last line that Julia printed.
pub(crate) fn rehearse(start: impl FnOnce() -> bool) -> Result<(), String> {
    let Ok((reader, writer)) = std::io::pipe() else { return Ok(()) };
    // SAFETY: the child starts Julia, as this process is about to do, and ends without running any of Python's code.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Ok(());
    }
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            libc::dup2(writer.as_raw_fd(), 1);
            libc::dup2(writer.as_raw_fd(), 2);
            libc::_exit(i32::from(!start()));
        }
    }
    drop(writer);
    let mut said = Vec::new();
    let _ = reader.take(MOST_READ).read_to_end(&mut said);
    let mut status = 0;
    // SAFETY: waits for the child of this function. If other code has already collected its status, `status` stays 0.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0
        && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    {}
    if status == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(line
        .map_or_else(|| "it ends the process".into(), |line| line.trim_start_matches("ERROR: ").to_owned()))
}
