//! A start of Julia in a child process first, for options and variables at which some values make Julia end the process, and
//! only it knows which.

use std::io::Read;
use std::os::fd::AsRawFd;

/// The longest reason that is read.
const MOST_READ: u64 = 1 << 16;

/// Runs `start` in a child process. The error is the last line that Julia has printed there, if it did not come back.
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
    // SAFETY: waits for the child of this function. Somebody else may have waited for it; the status is 0 then.
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
