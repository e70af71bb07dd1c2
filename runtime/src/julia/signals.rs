//! Signals belong to Python. Julia needs two things of them: with several threads its collector stops the others by
//! a fault on a protected page, and an overflow of the stack becomes an exception. Both are SIGSEGV, which therefore
//! comes here first; every other handler is put back as it was when Julia has started. While Julia waits for a child
//! process, SIGCHLD is both Julia's and Python's. Python may install its handlers at any time: it calls our `sigaction`.
//! The timer of Julia's profiler signals one thread of Julia's only: see `profiler`.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use pyo3::ffi;

use crate::julia::profiler::{self, ThreadIds};
use crate::sys::imports::Replaced;
use crate::sys::libjulia::{LibJulia, Value};
use crate::sys::machine::{call_instead, stack_pointer};

/// What the thread that started Julia runs in. TyPython reads it, and sets it around calls into Python.
pub(crate) static RUNNING_IN: AtomicU8 = AtomicU8::new(PYTHON);
/// In Python, or in Rust for it: an exception of Julia would jump over frames that are not its own.
pub(crate) const PYTHON: u8 = 0;
/// In Julia, under the `try` of an entry.
pub(crate) const JULIA: u8 = 1;
/// In Julia, with no `try` of an entry to catch an exception.
pub(crate) const UNPROTECTED: u8 = 2;

/// The signals whose handlers are put back after the start: all that a handler may have, but for SIGSEGV.
fn pythons() -> impl Iterator<Item = c_int> {
    (1..32).filter(|signal| !matches!(*signal, libc::SIGKILL | libc::SIGSTOP | libc::SIGSEGV))
}

/// A fault this near to the stack pointer is one of the stack.
const NEAR: u64 = 1 << 20;
/// Where an exception is thrown from when the stack is used up, and where the handler runs.
const SPARE_STACK: usize = 1 << 18;

/// Python's signal mask and handlers over Julia's start.
pub(crate) struct SignalGuard {
    mask: libc::sigset_t,
    actions: Vec<(c_int, libc::sigaction)>,
    fault: libc::sigaction,
    threads: ThreadIds,
}

impl SignalGuard {
    pub(crate) fn save() -> Self {
        // SAFETY: plain C structs for which all zero bytes are valid, filled by the calls below.
        unsafe {
            let mut mask = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut mask);
            Self {
                mask,
                actions: pythons().map(|signal| (signal, action(signal))).collect(),
                fault: action(libc::SIGSEGV),
                threads: ThreadIds::now(),
            }
        }
    }

    /// Puts everything back, and takes SIGSEGV. `handling`: Julia has handlers.
    pub(crate) fn restore(self, libjulia: &LibJulia, handling: bool) {
        // SAFETY: the values came from the same calls in `save`; the variable is set since Julia runs.
        unsafe {
            let suspend = action(libc::SIGUSR2);
            for (signal, action) in &self.actions {
                libc::sigaction(*signal, action, std::ptr::null_mut());
            }
            if handling {
                share(&suspend, libjulia);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, std::ptr::null_mut());
            profiler::prepare(&self.threads, handling, libjulia);
            let faults = Faults {
                thread: libc::pthread_self(),
                julia: handling.then(|| action(libc::SIGSEGV)),
                throw: libjulia.throw,
                stack_overflow: *libjulia.stack_overflow.load(Ordering::Relaxed),
                spare_stack: vec![0_u8; SPARE_STACK].leak().as_mut_ptr_range().end.expose_provenance(),
            };
            if FAULTS.set(faults).is_err() {
                return;
            }
            remember(&PYTHONS_FAULT, &self.fault);
            // The handler of an overflow needs a stack of its own; Julia and faulthandler each bring one.
            let mut stack: libc::stack_t = std::mem::zeroed();
            if libc::sigaltstack(std::ptr::null(), &raw mut stack) == 0
                && stack.ss_flags & libc::SS_DISABLE != 0
            {
                stack.ss_sp = vec![0_u8; SPARE_STACK].leak().as_mut_ptr().cast();
                stack.ss_size = SPARE_STACK;
                stack.ss_flags = 0;
                libc::sigaltstack(&raw const stack, std::ptr::null_mut());
            }
            let mut ours: libc::sigaction = std::mem::zeroed();
            ours.sa_sigaction = on_fault as *const () as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(libc::SIGSEGV, &raw const ours, std::ptr::null_mut());
            // For good: nobody else could put them back later.
            let function: SigAction = sigaction_of_python;
            Replaced::new(ffi::Py_GetVersion as *const c_void, &[c"sigaction"], function as *mut c_void);
            let function: SigAction = sigaction_of_julia;
            Replaced::new(libjulia.stdout.address(), &[c"sigaction"], function as *mut c_void);
            let function: unsafe extern "C" fn(libc::pid_t, *mut c_int, c_int) -> libc::pid_t =
                waitpid_of_julia;
            Replaced::new(libjulia.stdout.address(), &[c"waitpid"], function as *mut c_void);
        }
    }
}

type SigAction = unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;

/// What Python wants to happen at SIGSEGV and at SIGCHLD while the kernel knows of our handlers only, else null.
static PYTHONS_FAULT: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
static PYTHONS_CHILD: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
/// As above, for SIGUSR2, if Julia has handlers.
static PYTHONS_USER2: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
/// Julia's handler of SIGUSR2, by which one of its threads stops another, and how many of them are on their way.
static JULIAS_SUSPEND: AtomicUsize = AtomicUsize::new(0);
static SUSPENDING: AtomicUsize = AtomicUsize::new(0);
/// libuv's handler of SIGCHLD while it waits for a child, else 0.
static JULIAS_CHILD: AtomicUsize = AtomicUsize::new(0);
/// Held while handlers are changed; a handler itself reads only atomics.
static CHANGING: Mutex<()> = Mutex::new(());

/// Notes an action where a handler can read it at any time. The old one is not freed, for that reason.
fn remember(place: &AtomicPtr<libc::sigaction>, action: &libc::sigaction) {
    if let Some(known) = remembered(place)
        && (known.sa_sigaction, known.sa_flags) == (action.sa_sigaction, action.sa_flags)
    {
        return;
    }
    place.store(Box::leak(Box::new(*action)), Ordering::Release);
}

fn remembered(place: &AtomicPtr<libc::sigaction>) -> Option<&'static libc::sigaction> {
    // SAFETY: null, or an action that is never freed nor changed.
    unsafe { place.load(Ordering::Acquire).as_ref() }
}

/// `sigaction` as Python's interpreter calls it.
///
/// # Safety
/// As for `sigaction`.
unsafe extern "C" fn sigaction_of_python(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: the caller's promise; what is remembered is an action that the kernel or the caller has given.
    unsafe {
        let place = match signal {
            libc::SIGSEGV => &PYTHONS_FAULT,
            libc::SIGCHLD if JULIAS_CHILD.load(Ordering::Relaxed) != 0 => &PYTHONS_CHILD,
            libc::SIGUSR2 if JULIAS_SUSPEND.load(Ordering::Relaxed) != 0 => &PYTHONS_USER2,
            _ => return libc::sigaction(signal, new, old),
        };
        let _guard = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have put a handler over ours.
        if !is_ours(action(signal).sa_sigaction) {
            return libc::sigaction(signal, new, old);
        }
        // The two may be the same.
        let wanted = new.as_ref().copied();
        if let (Some(old), Some(known)) = (old.as_mut(), remembered(place)) {
            *old = *known;
        }
        if let Some(wanted) = wanted {
            remember(place, &wanted);
            match signal {
                libc::SIGCHLD => install(signal, on_child, &wanted),
                libc::SIGUSR2 => install(signal, on_suspend, &wanted),
                _ => {}
            }
        }
    }
    0
}

/// `sigaction` as libuv in Julia calls it, when it begins to wait for a child process and when it has no more.
///
/// # Safety
/// As for `sigaction`.
unsafe extern "C" fn sigaction_of_julia(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(wanted) = new.as_ref().filter(|_| signal == libc::SIGCHLD) else {
            return libc::sigaction(signal, new, old);
        };
        let _guard = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let present = action(signal);
        if matches!(wanted.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
            JULIAS_CHILD.store(0, Ordering::Release);
            if let Some(python) = remembered(&PYTHONS_CHILD).filter(|_| is_ours(present.sa_sigaction)) {
                libc::sigaction(signal, python, std::ptr::null_mut());
            }
        } else {
            JULIAS_CHILD.store(wanted.sa_sigaction, Ordering::Release);
            if !is_ours(present.sa_sigaction) {
                remember(&PYTHONS_CHILD, &present);
                install(libc::SIGCHLD, on_child, &present);
            }
        }
    }
    0
}

/// The exit status of a child that somebody else has waited for, as `asyncio` reports it.
const UNKNOWN_STATUS: c_int = 255;

/// `waitpid` as libuv in Julia calls it. Handlers of Python's, and event loops, wait for all children of the process; libuv
/// would wait for ever for one that has been taken from it.
///
/// # Safety
/// As for `waitpid`.
unsafe extern "C" fn waitpid_of_julia(child: libc::pid_t, status: *mut c_int, options: c_int) -> libc::pid_t {
    // SAFETY: the caller's promise.
    unsafe {
        let found = libc::waitpid(child, status, options);
        let taken = found < 0 && child > 0 && *libc::__errno_location() == libc::ECHILD;
        let Some(status) = status.as_mut().filter(|_| taken) else { return found };
        *status = UNKNOWN_STATUS << 8;
        child
    }
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Puts our handler in the place of `python`, with its flags: whether a system call is interrupted matters to Python.
fn install(signal: c_int, handler: Handler, python: &libc::sigaction) {
    let mut ours = *python;
    ours.sa_sigaction = handler as *const () as usize;
    ours.sa_flags |= libc::SA_SIGINFO;
    if matches!(python.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        ours.sa_flags |= libc::SA_RESTART;
    }
    // SAFETY: the handler has the type that the flag says.
    unsafe { libc::sigaction(signal, &raw const ours, std::ptr::null_mut()) };
}

/// SIGUSR2 is Python's, but for those by which Julia stops a thread of its own: for its profiler, and to throw an interrupt.
fn share(suspend: &libc::sigaction, libjulia: &LibJulia) {
    JULIAS_SUSPEND.store(suspend.sa_sigaction, Ordering::Release);
    // SAFETY: the signal is a valid one.
    let python = unsafe { action(libc::SIGUSR2) };
    remember(&PYTHONS_USER2, &python);
    install(libc::SIGUSR2, on_suspend, &python);
    let function: unsafe extern "C" fn(libc::pthread_t, c_int) -> c_int = send_to_thread;
    // SAFETY: does what libc's function does, and has its type; the variable lies in the library that sends the signal.
    unsafe {
        let inside = libjulia.stdout.address();
        Replaced::new(inside, &[c"pthread_kill"], function as *mut c_void);
    }
}

/// `pthread_kill` as Julia calls it.
unsafe extern "C" fn send_to_thread(thread: libc::pthread_t, signal: c_int) -> c_int {
    if signal == libc::SIGUSR2 {
        SUSPENDING.fetch_add(1, Ordering::AcqRel);
    }
    // SAFETY: Julia's own arguments.
    unsafe { libc::pthread_kill(thread, signal) }
}

extern "C" fn on_suspend(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the struct.
    let code = unsafe { (*info).si_code };
    let julias = code == libc::SI_TKILL
        && SUSPENDING.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_sub(1)).is_ok();
    if julias {
        // SAFETY: Julia has installed its handler with this type.
        let handler: Handler = unsafe { std::mem::transmute(JULIAS_SUSPEND.load(Ordering::Acquire)) };
        handler(signal, info, context);
    } else {
        forward_to_python(&PYTHONS_USER2, signal, info, context);
    }
}

fn forward_to_python(
    place: &AtomicPtr<libc::sigaction>,
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    if let Some(python) = remembered(place) {
        // SAFETY: Python's own action, and what the kernel has passed.
        unsafe { forward(python, signal, info, context) };
    }
}

fn is_ours(handler: libc::sighandler_t) -> bool {
    [on_child as Handler, on_fault, on_suspend].into_iter().any(|ours| handler == ours as *const () as usize)
}

extern "C" fn on_child(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // By default nothing happens. Python first: libuv's handler wakes the code that waits for the child, and Python's has to
    // run before what comes after that code.
    if remembered(&PYTHONS_CHILD).is_some_and(|python| python.sa_sigaction != libc::SIG_DFL)
        && !sent_on(signal)
    {
        forward_to_python(&PYTHONS_CHILD, signal, info, context);
    }
    let julia = JULIAS_CHILD.load(Ordering::Acquire);
    if julia != 0 {
        // SAFETY: libuv has installed this handler, which takes the signal only.
        let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(julia) };
        handler(signal);
    }
}

/// Sends a signal on to the process's first thread, where Python's handlers run, unless this is it. libuv blocks signals
/// there while it starts a child. One that comes meanwhile arrives in another thread, where Python takes note of it but
/// does not look until much later.
fn sent_on(signal: c_int) -> bool {
    // SAFETY: asks for numbers, and sends a signal that has a handler.
    unsafe {
        let process = libc::getpid();
        libc::syscall(libc::SYS_gettid) != libc::c_long::from(process)
            && libc::syscall(libc::SYS_tgkill, process, process, signal) == 0
    }
}

/// Another library of the process may have put its handler of SIGCHLD over ours, or one in the place that we gave back:
/// then libuv would wait for ever. Called from time to time while Julia waits.
pub(crate) extern "C" fn mind_children() {
    let julia = JULIAS_CHILD.load(Ordering::Acquire);
    if julia == 0 {
        return;
    }
    let _guard = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: asks for an action, and lets libuv look for children that have ended, as its handler would. No signal may
    // come meanwhile, because the handler takes a lock.
    unsafe {
        let present = action(libc::SIGCHLD);
        if is_ours(present.sa_sigaction) {
            return;
        }
        remember(&PYTHONS_CHILD, &present);
        install(libc::SIGCHLD, on_child, &present);
        let (mut all, mut before) = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let handler: extern "C" fn(c_int) = std::mem::transmute(julia);
        handler(libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
    }
}

/// # Safety
/// None: the signal is a valid one.
unsafe fn action(signal: c_int) -> libc::sigaction {
    let mut action = MaybeUninit::zeroed();
    // SAFETY: the call fills the struct, for which all zero bytes are valid too.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    }
}

/// What the handler of SIGSEGV needs.
struct Faults {
    /// The thread that started Julia.
    thread: libc::pthread_t,
    /// Julia's, if it has one.
    julia: Option<libc::sigaction>,
    throw: unsafe extern "C" fn(*mut Value) -> !,
    stack_overflow: *mut Value,
    /// The upper end of a stack.
    spare_stack: usize,
}

// SAFETY: the pointers name functions and an object of libjulia that live for ever.
unsafe impl Send for Faults {}
// SAFETY: as above; nothing is changed after it was set.
unsafe impl Sync for Faults {}

static FAULTS: OnceLock<Faults> = OnceLock::new();

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(faults) = FAULTS.get() else { return };
    // SAFETY: the kernel passes both structs.
    unsafe {
        let interrupted = &mut *context.cast::<libc::ucontext_t>();
        let address = (*info).si_addr().addr() as u64;
        let stack = stack_pointer(interrupted);
        let started_julia = libc::pthread_self() == faults.thread;
        let overflow = (*info).si_code > 0 && address.abs_diff(stack) < NEAR && started_julia;
        let running_in = RUNNING_IN.load(Ordering::Relaxed);
        match &faults.julia {
            // On this thread only Julia's own code meets the pages by which its collector stops threads.
            Some(julia) if !started_julia || running_in == JULIA || (!overflow && running_in != PYTHON) => {
                forward(julia, signal, info, context);
            }
            None if overflow && running_in == JULIA => {
                // As Julia does it where it has handlers: the thread goes on in `jl_throw`, on a stack that has room,
                // as if it had been called there with the exception.
                let throw = faults.throw as *const () as usize;
                call_instead(
                    interrupted,
                    throw,
                    faults.stack_overflow.expose_provenance(),
                    faults.spare_stack,
                );
            }
            _ => forward_to_python(&PYTHONS_FAULT, signal, info, context),
        }
    }
}

/// Does what another handler would have done.
///
/// # Safety
/// `action` is one that `sigaction` returned, the rest the arguments of a handler.
unsafe fn forward(action: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the caller's promise; the flags say which of the two kinds of handler it is.
    unsafe {
        match action.sa_sigaction {
            libc::SIG_IGN => {}
            libc::SIG_DFL => {
                // The fault happens again when the handler returns; a signal that was sent has to be sent again.
                libc::sigaction(signal, action, std::ptr::null_mut());
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            }
            handler if action.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            }
            handler => {
                let handler: extern "C" fn(c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        }
    }
}
