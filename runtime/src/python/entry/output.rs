//! Julia's standard streams. Julia writes to the objects that are `sys.stdout` and `sys.stderr` at that moment, and reads from
//! `sys.stdin`. A thread without Python's lock must not wait for the lock, because the thread that holds the lock may wait for
//! it. So its text is queued, and the next thread that holds the lock writes the text.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyBytes, PyString, PyType};
use pyo3::{ffi, intern};

use super::guard;
use crate::sys::dl;

/// A stream that Julia writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout = 1,
    Stderr = 2,
    /// Records for Python's `logging`, one in each call.
    Records = 3,
}

impl Stream {
    /// The stream with this descriptor.
    pub(super) fn from_number(number: c_int) -> Option<Self> {
        [Self::Stdout, Self::Stderr, Self::Records].into_iter().find(|stream| *stream as c_int == number)
    }

    /// The object to which Python writes now; `None` if the process has no such stream.
    fn object(self, py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
        let sys = py.import(intern!(py, "sys"))?;
        let object = match self {
            Self::Stdout => sys.getattr(intern!(py, "stdout")),
            Self::Stderr | Self::Records => sys.getattr(intern!(py, "stderr")),
        }?;
        Ok((!object.is_none()).then_some(object))
    }
}

// --- the queue for threads without Python's lock

struct Queue {
    waiting: VecDeque<(Stream, Vec<u8>)>,
    /// Whether the thread that writes the queue was started.
    started: bool,
    /// Whether that thread holds Python's lock or waits for it.
    delivering: bool,
    /// Whether Python is shutting down, so that no thread may wait for its lock anymore.
    closed: bool,
}

static QUEUE: Mutex<Queue> =
    Mutex::new(Queue { waiting: VecDeque::new(), started: false, delivering: false, closed: false });
static CHANGED: Condvar = Condvar::new();
/// Whether the queue contains something, to be read without the mutex.
static QUEUED: AtomicBool = AtomicBool::new(false);

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn enqueue(stream: Stream, text: &[u8]) {
    let mut queue = queue();
    if queue.closed {
        drop(queue);
        write_descriptor(stream, text);
        return;
    }
    match queue.waiting.back_mut() {
        Some((last, content)) if *last == stream && stream != Stream::Records => {
            content.extend_from_slice(text);
        }
        _ => queue.waiting.push_back((stream, text.to_vec())),
    }
    QUEUED.store(true, Ordering::Release);
    if !queue.started {
        // If the thread cannot be started, the next call of Julia writes the text.
        queue.started = std::thread::Builder::new().name("jnumpy output".into()).spawn(serve).is_ok();
    }
    CHANGED.notify_all();
}

/// The body of the thread that writes the queue while no call into Julia does so.
fn serve() {
    let mut guard = queue();
    loop {
        while guard.waiting.is_empty() && !guard.closed {
            guard = CHANGED.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        if guard.closed {
            return;
        }
        guard.delivering = true;
        drop(guard);
        Python::attach(write_queued);
        guard = queue();
        guard.delivering = false;
        CHANGED.notify_all();
    }
}

/// Writes what other threads have queued, if anything.
#[inline]
pub(crate) fn write_pending() {
    if QUEUED.load(Ordering::Relaxed) {
        write_pending_now();
    }
}

#[cold]
fn write_pending_now() {
    if holds_lock() {
        // SAFETY: this thread holds Python's lock.
        write_queued(unsafe { Python::assume_attached() });
    }
}

fn write_queued(py: Python<'_>) {
    loop {
        let Some((stream, text)) = ({
            let mut queue = queue();
            let next = queue.waiting.pop_front();
            QUEUED.store(!queue.waiting.is_empty(), Ordering::Release);
            next
        }) else {
            return;
        };
        aside(py, |py| {
            if let Err(error) = write(py, stream, &text) {
                error.write_unraisable(py, None);
            }
            Ok(())
        });
    }
}

/// Writes the queue. Because the interpreter ends, threads without Python's lock write to the descriptors from now on.
pub(crate) fn close(py: Python<'_>) {
    write_queued(py);
    let mut guard = queue();
    guard.closed = true;
    CHANGED.notify_all();
    if guard.delivering {
        drop(guard);
        py.detach(|| {
            let mut guard = queue();
            while guard.delivering {
                guard = CHANGED.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
        });
    }
}

fn write_descriptor(stream: Stream, text: &[u8]) {
    // `logging` does not work while the interpreter ends, so only the message of a record is written.
    let (descriptor, mut text) = match stream {
        Stream::Records => {
            (Stream::Stderr as c_int, text.rsplit(|byte| *byte == 0).next().unwrap_or_default())
        }
        other => (other as c_int, text),
    };
    while !text.is_empty() {
        // SAFETY: writes that many bytes of `text`.
        let count = unsafe { libc::write(descriptor, text.as_ptr().cast(), text.len()) };
        match usize::try_from(count) {
            Ok(count) => text = &text[count..],
            Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Whether this thread holds Python's lock. The function is not in the stable ABI, but every interpreter has it.
pub(super) fn holds_lock() -> bool {
    static CHECK: OnceLock<Option<unsafe extern "C" fn() -> c_int>> = OnceLock::new();
    let check = CHECK.get_or_init(|| {
        dl::find_anywhere(c"PyGILState_Check").map(|address| {
            // SAFETY: CPython's function of that name has this type since 3.4.
            unsafe {
                std::mem::transmute::<*mut std::ffi::c_void, unsafe extern "C" fn() -> c_int>(
                    address.as_ptr(),
                )
            }
        })
    });
    // When the interpreter is gone, the check says yes to every thread, and one of Julia's own may still run.
    // SAFETY: may be called in any thread at any time.
    check.is_some_and(|check| unsafe { check() == 1 && ffi::Py_IsInitialized() != 0 })
}

/// Runs `task` with no exception set, and restores the exception that was set before: Julia may print while an exception is
/// set, for example in a finalizer. Returns -1 with an exception set if `task` fails and none was set before.
fn aside(py: Python<'_>, task: impl FnOnce(Python<'_>) -> PyResult<()>) -> c_int {
    // SAFETY: Python's lock is held.
    let set = unsafe { !ffi::PyErr_Occurred().is_null() };
    let before = if set { PyErr::take(py) } else { None };
    match (task(py), before) {
        (Ok(()), None) => 0,
        (Err(error), None) => {
            error.restore(py);
            -1
        }
        (outcome, Some(before)) => {
            if let Err(error) = outcome {
                error.write_unraisable(py, None);
            }
            before.restore(py);
            0
        }
    }
}

// --- writing

/// For each stream, the first bytes of a character whose other bytes were not written yet.
static PARTIAL: Mutex<[Vec<u8>; 2]> = Mutex::new([Vec::new(), Vec::new()]);

fn partial(stream: Stream) -> Vec<u8> {
    let mut partial = PARTIAL.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut partial[stream as usize - 1])
}

/// Writes text as Python's `print` does. Bytes that are not UTF-8 are written unchanged if the stream accepts bytes.
pub(crate) fn write(py: Python<'_>, stream: Stream, text: &[u8]) -> PyResult<()> {
    if stream == Stream::Records {
        py.import(intern!(py, "jnumpy._logs"))?
            .call_method1(intern!(py, "record"), (PyBytes::new(py, text),))?;
        return Ok(());
    }
    let mut bytes = partial(stream);
    let text = if bytes.is_empty() {
        text
    } else {
        bytes.extend_from_slice(text);
        bytes.as_slice()
    };
    let (complete, rest) = match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => text.split_at(error.valid_up_to()),
        _ => (text, &[][..]),
    };
    let Some(object) = stream.object(py)? else { return Ok(()) };
    if !complete.is_empty() {
        match std::str::from_utf8(complete) {
            Ok(text) => write_text(py, &object, text)?,
            Err(_) => write_bytes(py, &object, complete)?,
        }
    }
    if !rest.is_empty() {
        let mut partial = PARTIAL.lock().unwrap_or_else(PoisonError::into_inner);
        partial[stream as usize - 1] = rest.to_vec();
    }
    Ok(())
}

fn write_text(py: Python<'_>, object: &Bound<'_, PyAny>, text: &str) -> PyResult<()> {
    let write = object.getattr(intern!(py, "write"))?;
    let text = PyString::new(py, text);
    match write.call1((&text,)) {
        Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(py) => {
            let encoding = object.getattr(intern!(py, "encoding"))?;
            let bytes = text.call_method1(intern!(py, "encode"), (&encoding, "backslashreplace"))?;
            write.call1((bytes.call_method1(intern!(py, "decode"), (encoding,))?,))?;
        }
        outcome => {
            outcome?;
        }
    }
    settle(py, object)
}

fn write_bytes(py: Python<'_>, object: &Bound<'_, PyAny>, bytes: &[u8]) -> PyResult<()> {
    match object.getattr(intern!(py, "buffer")) {
        Ok(buffer) => {
            object.call_method0(intern!(py, "flush"))?;
            buffer.call_method1(intern!(py, "write"), (PyBytes::new(py, bytes),))?;
            settle(py, object)
        }
        Err(_) => write_text(py, object, &String::from_utf8_lossy(bytes)),
    }
}

/// Flushes a stream with a descriptor, as Julia does, so that the output of child processes and C code comes after it. Other
/// streams, such as those of notebooks, flush as they need.
fn settle(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<()> {
    static WRAPPER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let wrapper = WRAPPER.import(py, "io", "TextIOWrapper")?;
    if object.is_instance(wrapper)? {
        object.call_method0(intern!(py, "flush"))?;
    }
    Ok(())
}

pub(super) unsafe extern "C" fn write_output(stream: c_int, text: *const u8, length: usize) -> c_int {
    let Some(stream) = Stream::from_number(stream) else { return 0 };
    // SAFETY: Julia preserves the text, whose length it says.
    let text = unsafe { std::slice::from_raw_parts(text, length) };
    if !holds_lock() {
        guard::anywhere((), || enqueue(stream, text));
        return 0;
    }
    guard::anywhere(0, || {
        write_pending();
        // SAFETY: this thread holds Python's lock.
        aside(unsafe { Python::assume_attached() }, |py| write(py, stream, text))
    })
}

pub(super) unsafe extern "C" fn flush_output(stream: c_int) -> c_int {
    let Some(stream) = Stream::from_number(stream).filter(|_| holds_lock()) else { return 0 };
    guard::anywhere(0, || {
        write_pending();
        // SAFETY: this thread holds Python's lock.
        aside(unsafe { Python::assume_attached() }, |py| {
            if let Some(object) = stream.object(py)? {
                object.call_method0(intern!(py, "flush"))?;
            }
            Ok(())
        })
    })
}

// --- reading

pub(super) unsafe extern "C" fn read_input(buffer: *mut u8, size: usize) -> isize {
    if !holds_lock() {
        loop {
            // SAFETY: Julia passes memory of that size.
            let count = unsafe { libc::read(0, buffer.cast(), size) };
            if count >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                return count.max(0);
            }
        }
    }
    // SAFETY: this thread holds Python's lock, and Julia passes memory of that size.
    unsafe {
        guard::value(-1, |py| {
            let Some(line) = read_line(py, size)? else { return Ok(0) };
            let length = line.as_bytes().len().min(size);
            std::ptr::copy_nonoverlapping(line.as_bytes().as_ptr(), buffer, length);
            Ok(length.cast_signed())
        })
    }
}

/// The next line of `sys.stdin`, or the next `size` bytes of a longer one; `None` without input.
fn read_line(py: Python<'_>, size: usize) -> PyResult<Option<Bound<'_, PyBytes>>> {
    let stdin = py.import(intern!(py, "sys"))?.getattr(intern!(py, "stdin"))?;
    if stdin.is_none() {
        return Ok(None);
    }
    // Reads bytes, unless Python has already read text: it reads blocks, so the next lines may be in its decoder.
    let untouched = stdin
        .getattr(intern!(py, "errors"))
        .and_then(|errors| {
            let keywords = [("errors", errors)].into_py_dict(py)?;
            stdin.call_method(intern!(py, "reconfigure"), (), Some(&keywords))
        })
        .is_ok();
    let readline = intern!(py, "readline");
    let line = match stdin.getattr(intern!(py, "buffer")) {
        Ok(buffer) if untouched => buffer.call_method1(readline, (size,))?,
        // A character has at most four bytes.
        _ => stdin.call_method1(readline, (size / 4,))?,
    };
    if let Ok(bytes) = line.cast::<PyBytes>() {
        return Ok(Some(bytes.clone()));
    }
    let encode = intern!(py, "encode");
    let bytes = line.call_method1(encode, ("utf-8", "surrogateescape"))?;
    Ok(Some(bytes.cast_into::<PyBytes>().map_err(PyErr::from)?))
}

// --- terminals

pub(super) unsafe extern "C" fn terminal(stream: c_int, size: *mut c_int) -> c_int {
    let Some(stream) = Stream::from_number(stream) else { return 0 };
    let descriptor = if holds_lock() {
        guard::anywhere(-1, || {
            let mut found = -1;
            // SAFETY: this thread holds Python's lock.
            aside(unsafe { Python::assume_attached() }, |py| {
                // A stream without a descriptor raises an exception. It is not a terminal.
                found = descriptor_of(py, stream).unwrap_or(-1);
                Ok(())
            });
            found
        })
    } else {
        stream as c_int
    };
    // SAFETY: asks about a descriptor; Julia passes two numbers to be filled.
    unsafe {
        if descriptor < 0 || libc::isatty(descriptor) == 0 {
            return 0;
        }
        let mut window: libc::winsize = std::mem::zeroed();
        if libc::ioctl(descriptor, libc::TIOCGWINSZ, &raw mut window) == 0 {
            *size = window.ws_row.into();
            *size.add(1) = window.ws_col.into();
        }
    }
    1
}

fn descriptor_of(py: Python<'_>, stream: Stream) -> PyResult<c_int> {
    match stream.object(py)? {
        Some(object) if object.call_method0(intern!(py, "isatty"))?.is_truthy()? => {
            object.call_method0(intern!(py, "fileno"))?.extract()
        }
        _ => Ok(-1),
    }
}
