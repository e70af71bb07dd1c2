//! Descriptors 0 to 2 while Julia starts. Julia duplicates them and gives the duplicates to libuv, which changes what they
//! share with the rest of the process and with other programs: whether reading and writing wait. So Julia gets others in
//! their place. What it writes there before its streams are Python's, in the `__init__` of a module of the image for
//! example, is kept and written when they are.

use std::ffi::{CStr, c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::sys::imports::Replaced;
use crate::sys::libjulia::LibJulia;

/// What stands for each of the three while Julia starts; -1 at any other time.
static STAND_INS: [AtomicI32; 3] = [const { AtomicI32::new(-1) }; 3];
/// `pthread_self` of the thread that starts Julia.
static STARTER: AtomicUsize = AtomicUsize::new(0);

/// What Julia has for descriptors 0 to 2 while it starts.
pub(crate) struct StandIns {
    input: OwnedFd,
    outputs: [OwnedFd; 2],
    /// For descriptors that are closed: whatever Julia opens for itself would get their numbers, and be taken for the
    /// standard streams by everybody else, libuv first.
    placeholders: Vec<OwnedFd>,
    replaced: Replaced,
}

impl StandIns {
    /// From here on Julia, in this thread, duplicates others.
    pub(crate) fn place(libjulia: &LibJulia) -> std::io::Result<Self> {
        let mut placeholders = Vec::new();
        for number in 0..=2 {
            if !is_open(number) {
                placeholders.push(null()?);
            }
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
        // SAFETY: the variable lies in the library that imports the function. Julia passes one argument at most after the
        // command, and all commands but one go to libc as they are.
        let replaced = unsafe {
            Replaced::new(std::ptr::from_ref(libjulia.stdout).cast(), &[c"fcntl", c"fcntl64"], function as *mut c_void)
        };
        Ok(Self { input, outputs, placeholders, replaced })
    }

    /// Julia has started: its own C code writes to the standard descriptors as C code does, if they are open.
    pub(crate) fn remove(self, libjulia: &LibJulia) -> Early {
        for stand_in in &STAND_INS {
            stand_in.store(-1, Ordering::Relaxed);
        }
        self.replaced.undo();
        keep_away(libjulia);
        drop(self.placeholders);
        drop(self.input);
        for (number, variable) in [(1, libjulia.stdout), (2, libjulia.stderr)] {
            if is_open(number) {
                // The number of a descriptor instead of an address is what the variable holds before Julia starts and after
                // it ends, so all that reads it knows that.
                let number = usize::try_from(number).unwrap_or_default();
                variable.store(std::ptr::without_provenance_mut(number), Ordering::Relaxed);
            }
        }
        Early(self.outputs)
    }
}

/// What Julia has written before its streams were Python's.
pub(crate) struct Early([OwnedFd; 2]);

impl Early {
    /// What was written to `stdout` and to `stderr`.
    pub(crate) fn read(&self) -> [Vec<u8>; 2] {
        [content(self.0[0].as_raw_fd()), content(self.0[1].as_raw_fd())]
    }
}

/// Called when the process ends. A Julia that cannot start, because a module of the image throws in its `__init__` for
/// example, says why and ends the process.
extern "C" fn last_words() {
    for (number, stand_in) in (0..).zip(&STAND_INS) {
        let stand_in = stand_in.load(Ordering::Relaxed);
        if number > 0 && stand_in >= 0 {
            let text = content(stand_in);
            // SAFETY: writes that many bytes; if they cannot be written, there is nobody left to tell.
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

/// libuv never closes numbers 0 to 2, and everybody takes them for the standard streams. In a process that has closed some
/// of those, libuv's pipes and sockets would get their numbers: from now on they get others.
fn keep_away(libjulia: &LibJulia) {
    let inside = std::ptr::from_ref(libjulia.stdout).cast();
    let pipe: unsafe extern "C" fn(*mut c_int) -> c_int = pipe;
    let pipe2: unsafe extern "C" fn(*mut c_int, c_int) -> c_int = pipe2;
    let socketpair: unsafe extern "C" fn(c_int, c_int, c_int, *mut c_int) -> c_int = socketpair;
    let socket: unsafe extern "C" fn(c_int, c_int, c_int) -> c_int = socket;
    let accept: unsafe extern "C" fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> c_int = accept;
    let accept4: unsafe extern "C" fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t, c_int) -> c_int = accept4;
    let functions: [(&[&CStr], *mut c_void); 6] = [
        (&[c"pipe"], pipe as *mut c_void),
        (&[c"pipe2"], pipe2 as *mut c_void),
        (&[c"socketpair"], socketpair as *mut c_void),
        (&[c"socket"], socket as *mut c_void),
        (&[c"accept"], accept as *mut c_void),
        (&[c"accept4"], accept4 as *mut c_void),
    ];
    for (names, function) in functions {
        // SAFETY: each does what libc's function does, and has its type; the variable lies in the library that has libuv.
        unsafe { Replaced::new(inside, names, function) };
    }
}

/// A descriptor with a number above 2 instead of this one.
fn moved(number: c_int) -> c_int {
    if !(0..=2).contains(&number) {
        return number;
    }
    // SAFETY: the descriptor was made just now, and nobody else knows it. What it becomes is closed on exec if it was.
    unsafe {
        let flags = libc::fcntl(number, libc::F_GETFD);
        let command = if flags & libc::FD_CLOEXEC == 0 { libc::F_DUPFD } else { libc::F_DUPFD_CLOEXEC };
        let other = libc::fcntl(number, command, 3);
        libc::close(number);
        other
    }
}

/// # Safety
/// `numbers` points to two descriptors if `status` is 0.
unsafe fn moved_pair(status: c_int, numbers: *mut c_int) -> c_int {
    if status == 0 {
        // SAFETY: the caller's promise.
        unsafe {
            *numbers = moved(*numbers);
            *numbers.add(1) = moved(*numbers.add(1));
        }
    }
    status
}

unsafe extern "C" fn pipe(numbers: *mut c_int) -> c_int {
    // SAFETY: libuv's own arguments.
    unsafe { moved_pair(libc::pipe(numbers), numbers) }
}

unsafe extern "C" fn pipe2(numbers: *mut c_int, flags: c_int) -> c_int {
    // SAFETY: libuv's own arguments.
    unsafe { moved_pair(libc::pipe2(numbers, flags), numbers) }
}

unsafe extern "C" fn socketpair(domain: c_int, kind: c_int, protocol: c_int, numbers: *mut c_int) -> c_int {
    // SAFETY: libuv's own arguments.
    unsafe { moved_pair(libc::socketpair(domain, kind, protocol, numbers), numbers) }
}

unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    // SAFETY: libuv's own arguments.
    moved(unsafe { libc::socket(domain, kind, protocol) })
}

unsafe extern "C" fn accept(socket: c_int, peer: *mut libc::sockaddr, length: *mut libc::socklen_t) -> c_int {
    // SAFETY: libuv's own arguments.
    moved(unsafe { libc::accept(socket, peer, length) })
}

unsafe extern "C" fn accept4(
    socket: c_int,
    peer: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: libuv's own arguments.
    moved(unsafe { libc::accept4(socket, peer, length, flags) })
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

/// An empty file in memory; where there is none, the null device: what modules print while Julia starts is lost then.
fn memory() -> std::io::Result<OwnedFd> {
    // SAFETY: makes a file; the result is checked and owned by nobody else.
    let file = unsafe {
        // By number, since the C library has a function for it only since 2.27.
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
