//! Gives Julia other descriptors instead of 0 to 2 while it starts.
//!
//! Julia duplicates descriptors 0 to 2 and gives the duplicates to libuv. libuv makes them non-blocking, and this setting is
//! shared with the original descriptors, the rest of the process, and other programs. So Julia duplicates stand-ins instead.
//! What Julia writes to them before TyPython redirects its streams to Python, for example in the `__init__` of a module in the
//! image, is kept and written afterwards.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::sys::imports::Replaced;
use crate::sys::libjulia::LibJulia;

/// The stand-in of each of the three descriptors while Julia starts; -1 at any other time.
static STAND_INS: [AtomicI32; 3] = [const { AtomicI32::new(-1) }; 3];
/// `pthread_self` of the thread that starts Julia.
static STARTER: AtomicUsize = AtomicUsize::new(0);

/// The stand-ins for descriptors 0 to 2 while Julia starts.
pub(crate) struct StandIns {
    input: OwnedFd,
    outputs: [OwnedFd; 2],
    replaced: Replaced,
}

impl StandIns {
    /// From here on, Julia duplicates the stand-ins in this thread.
    pub(crate) fn place(libjulia: &LibJulia) -> std::io::Result<Self> {
        // If one of the three is closed, a file that Julia opens would get its number: the rest of the process would take
        // that file for a standard stream, and libuv would never close it. So the closed ones become the null device, which
        // other programs do not inherit.
        while (0..=2).any(|number| !is_open(number)) {
            let _ = null()?.into_raw_fd();
        }
        let input = null()?;
        let outputs = [memory()?, memory()?];
        for (stand_in, descriptor) in STAND_INS.iter().zip([&input, &outputs[0], &outputs[1]]) {
            stand_in.store(descriptor.as_raw_fd(), Ordering::Relaxed);
        }
        STARTER.store(this_thread(), Ordering::Relaxed);
        // SAFETY: the function may be called at any time.
        unsafe { libc::atexit(last_words) };
        let function: unsafe extern "C" fn(c_int, c_int, usize) -> c_int = duplicate;
        // SAFETY: the variable is in the library that imports the function. Julia passes at most one argument after the
        // command, and every command except one is passed on to libc unchanged.
        let replaced = unsafe {
            Replaced::new(libjulia.stdout.address(), &[c"fcntl", c"fcntl64"], function as *mut c_void)
        };
        Ok(Self { input, outputs, replaced })
    }

    /// Julia has started: its own C code writes to the standard descriptors, as C code does.
    pub(crate) fn remove(self, libjulia: &LibJulia) -> Early {
        for stand_in in &STAND_INS {
            stand_in.store(-1, Ordering::Relaxed);
        }
        self.replaced.undo();
        drop(self.input);
        for (number, variable) in [(1, &libjulia.stdout), (2, &libjulia.stderr)] {
            // Before Julia starts and after it ends, the variable contains the number of a descriptor instead of an address,
            // so all code that reads it can handle a number.
            variable.store(std::ptr::without_provenance_mut(number));
        }
        Early(self.outputs)
    }
}

/// What Julia wrote before TyPython redirected its streams to Python.
pub(crate) struct Early([OwnedFd; 2]);

impl Early {
    /// What was written to `stdout` and to `stderr`.
    pub(crate) fn read(&self) -> [Vec<u8>; 2] {
        [content(self.0[0].as_raw_fd()), content(self.0[1].as_raw_fd())]
    }
}

/// Prints what Julia wrote if the process ends while Julia starts. A Julia that cannot start, for example because a module in
/// the image throws in its `__init__`, prints the reason and ends the process.
extern "C" fn last_words() {
    for (number, stand_in) in (0..).zip(&STAND_INS) {
        let stand_in = stand_in.load(Ordering::Relaxed);
        if number > 0 && stand_in >= 0 {
            let text = content(stand_in);
            // SAFETY: writes that many bytes. A failure is ignored, because the process ends.
            unsafe { libc::write(number, text.as_ptr().cast(), text.len()) };
        }
    }
}

fn content(file: RawFd) -> Vec<u8> {
    let (mut content, mut block) = (Vec::new(), [0; 4096]);
    loop {
        let offset = libc::off_t::try_from(content.len()).unwrap_or(libc::off_t::MAX);
        // SAFETY: reads into an array of that length.
        let count = unsafe { libc::pread(file, block.as_mut_ptr().cast(), block.len(), offset) };
        match usize::try_from(count) {
            Ok(count @ 1..) => content.extend_from_slice(&block[..count]),
            _ => return content,
        }
    }
}

/// Julia's `fcntl` while it starts.
unsafe extern "C" fn duplicate(descriptor: c_int, command: c_int, argument: usize) -> c_int {
    let mut descriptor = descriptor;
    if command == libc::F_DUPFD_CLOEXEC && STARTER.load(Ordering::Relaxed) == this_thread() {
        let stand_in = usize::try_from(descriptor).ok().and_then(|number| STAND_INS.get(number));
        match stand_in.map(|stand_in| stand_in.load(Ordering::Relaxed)) {
            Some(other) if other >= 0 => descriptor = other,
            _ => {}
        }
    }
    // SAFETY: what Julia has asked for.
    unsafe { libc::fcntl(descriptor, command, argument) }
}

fn this_thread() -> usize {
    // SAFETY: `pthread_self` has no preconditions.
    #[expect(clippy::cast_possible_truncation, reason = "the address of a thread's descriptor")]
    let thread = unsafe { libc::pthread_self() } as usize;
    thread
}

/// Whether descriptor `number` is open.
fn is_open(number: RawFd) -> bool {
    // SAFETY: asks for flags.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// The null device, under the lowest free number.
fn null() -> std::io::Result<OwnedFd> {
    // SAFETY: opens a file; the result is checked and owned by nobody else.
    unsafe { owned(libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC)) }
}

/// An empty file in memory. If the system has no such files, the null device: then what Julia prints while it starts is lost.
fn memory() -> std::io::Result<OwnedFd> {
    // SAFETY: makes a file; the result is checked and owned by nobody else.
    let file = unsafe {
        // By its number, because glibc has a function for this call only since 2.27.
        let number = libc::syscall(libc::SYS_memfd_create, c"jnumpy".as_ptr(), libc::MFD_CLOEXEC);
        owned(c_int::try_from(number).unwrap_or(-1))
    };
    file.or_else(|_| null())
}

/// # Safety
/// The number is an open descriptor that nobody owns, or negative with `errno` set.
unsafe fn owned(number: c_int) -> std::io::Result<OwnedFd> {
    if number < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
