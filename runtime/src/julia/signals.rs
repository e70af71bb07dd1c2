//! Signal handlers belong to Python. When Julia has started, every handler is restored, except where Julia needs the signal:
//!
//! | signal | why Julia needs it | our handler |
//! |---|---|---|
//! | SIGSEGV | With several threads, Julia's garbage collector stops the others by faults on a protected page. A stack overflow becomes an exception. | [`on_fault`] forwards each fault to Julia or to Python |
//! | SIGCHLD | libuv waits for child processes | [`on_child`] calls Python's handler and libuv's, while Julia waits |
//! | SIGUSR2 | Julia stops one of its threads, for its profiler and to throw an interrupt | [`on_suspend`] forwards each signal to Julia or to Python |
//!
//! Python may install handlers at any time: its calls of `sigaction` go to [`sigaction_of_python`]. The timer of Julia's
//! profiler signals one of Julia's threads: see `profiler`.
//!
//! # A stack overflow without Julia's handlers
//!
//! Before Julia 1.9, a Julia with one thread is started without signal handlers, so [`on_fault`] itself has to turn a stack
//! overflow into an exception. It does so as Julia's own handler does: it changes the saved registers of the interrupted
//! thread, so that the thread continues in `jl_throw`, as if it had called `jl_throw` with the exception
//! ([`call_instead`]). Whoever changes this code has to preserve these rules:
//!
//! 1. The handler returns, and does not call `jl_throw` itself. Only the return restores the signal mask and leaves the
//!    alternate stack. After a jump out of the handler, SIGSEGV would stay blocked, and the next fault would end the process.
//! 2. The stack of the thread is used up, so `jl_throw` runs on a spare stack until it jumps to the frame of the innermost
//!    `try`. One spare stack is enough, because only the thread that started Julia gets there.
//! 3. `jl_throw` never returns, so it needs no return address. At its first instruction, the stack pointer still must have
//!    the alignment that the ABI requires after a call.
//! 4. The jump must not skip frames of Rust, C, or Python. [`RUNNING_IN`] says whether the next `try` is that of an entry
//!    and only Julia code runs above it ([`JULIA`]). In any other state, the fault goes to Python's handler, and by default
//!    ends the process.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use pyo3::ffi;

use crate::julia::profiler::{self, ThreadIds};
use crate::sys::imports::Replaced;
use crate::sys::libjulia::{LibJulia, Value};
use crate::sys::machine::{call_instead, stack_pointer};

/// Which code the thread that started Julia runs. TyPython reads this, and sets it around calls into Python.
pub(crate) static RUNNING_IN: AtomicU8 = AtomicU8::new(PYTHON);
/// Python, or Rust on its behalf: an exception of Julia would jump over their frames.
pub(crate) const PYTHON: u8 = 0;
/// Julia, inside the `try` of an entry.
pub(crate) const JULIA: u8 = 1;
/// Julia, outside the `try` of an entry: nothing would catch an exception.
pub(crate) const UNPROTECTED: u8 = 2;

/// The signals whose handlers are restored after the start: all that can have a handler, except SIGSEGV.
fn pythons() -> impl Iterator<Item = c_int> {
    (1..32).filter(|signal| !matches!(*signal, libc::SIGKILL | libc::SIGSTOP | libc::SIGSEGV))
}

/// A fault at most this far from the stack pointer is a stack overflow.
const NEAR: u64 = 1 << 20;
/// The size of the stack on which an exception is thrown when the stack is used up, and of the handler's stack.
const SPARE_STACK: usize = 1 << 18;

/// Python's signal mask and handlers, saved while Julia starts.
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

    /// Restores everything, and installs our handlers. `handling`: Julia has signal handlers.
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
            // The handler of an overflow needs an alternate stack. Julia or faulthandler may have installed one.
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
            // These are never restored.
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

/// Python's actions for SIGSEGV and SIGCHLD while our handlers are installed; otherwise null.
static PYTHONS_FAULT: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
static PYTHONS_CHILD: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
/// The same for SIGUSR2, if Julia has handlers.
static PYTHONS_USER2: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
/// Julia's handler of SIGUSR2, with which one of its threads stops another, and the number of such signals that were sent and
/// not yet handled.
static JULIAS_SUSPEND: AtomicUsize = AtomicUsize::new(0);
static SUSPENDING: AtomicUsize = AtomicUsize::new(0);
/// libuv's handler of SIGCHLD while it waits for a child; otherwise 0.
static JULIAS_CHILD: AtomicUsize = AtomicUsize::new(0);
/// Held while handlers are changed. Signal handlers themselves only read atomics.
static CHANGING: Mutex<()> = Mutex::new(());

/// Stores an action where a signal handler can read it at any time. The old action is leaked, because a handler may still
/// read it.
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
        // Another library may have replaced our handler.
        if !is_ours(action(signal).sa_sigaction) {
            return libc::sigaction(signal, new, old);
        }
        // `new` and `old` may be the same struct.
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

/// `sigaction` as libuv in Julia calls it: when it begins to wait for child processes, and when none is left.
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

/// The exit status that is reported for a child whose status other code has collected; `asyncio` uses the same.
const UNKNOWN_STATUS: c_int = 255;

/// `waitpid` as libuv in Julia calls it. Python's handlers and event loops may wait for all children of the process. Without
/// this function, libuv would wait forever for a child whose status they have collected.
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

/// Installs our handler instead of `python`, with the same flags, because Python relies on system calls being interrupted.
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

/// Shares SIGUSR2: it belongs to Python, except for the signals with which Julia stops one of its threads, for its profiler
/// and to throw an interrupt.
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
    // Python's handler runs first, because libuv's handler wakes the code that waits for the child, and the code after that
    // may rely on Python's handler having run. The default action is to do nothing.
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

/// Sends a signal on to the main thread of the process, in which Python's handlers run; `false` if this is the main thread.
/// libuv blocks signals in the main thread while it starts a child. A signal that arrives meanwhile is delivered to another
/// thread. Python's handler would only note it there, and Python would look at that note much later.
fn sent_on(signal: c_int) -> bool {
    // SAFETY: asks for numbers, and sends a signal that has a handler.
    unsafe {
        let process = libc::getpid();
        libc::syscall(libc::SYS_gettid) != libc::c_long::from(process)
            && libc::syscall(libc::SYS_tgkill, process, process, signal) == 0
    }
}

/// Installs our handler of SIGCHLD again if another library has replaced it, because libuv would wait forever without it.
/// Called from time to time while Julia waits.
pub(crate) extern "C" fn mind_children() {
    let julia = JULIAS_CHILD.load(Ordering::Acquire);
    if julia == 0 {
        return;
    }
    let _guard = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: asks for an action, and lets libuv look for children that have ended, as its handler would. All signals are
    // blocked meanwhile, because libuv's handler takes a lock.
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

/// What the handler of SIGSEGV reads.
struct Faults {
    /// The thread that started Julia.
    thread: libc::pthread_t,
    /// Julia's action for SIGSEGV, if it has one.
    julia: Option<libc::sigaction>,
    throw: unsafe extern "C" fn(*mut Value) -> !,
    stack_overflow: *mut Value,
    /// The upper end of the spare stack.
    spare_stack: usize,
}

// SAFETY: the pointers name functions and an object of libjulia, which are never freed.
unsafe impl Send for Faults {}
// SAFETY: as above; nothing changes after it was set.
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
            // In the thread that started Julia, only Julia code accesses the pages with which the garbage collector stops
            // threads.
            Some(julia) if !started_julia || running_in == JULIA || (!overflow && running_in != PYTHON) => {
                forward(julia, signal, info, context);
            }
            None if overflow && running_in == JULIA => {
                // See "A stack overflow without Julia's handlers" at the top of this file.
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

/// Does what the handler of `action` would have done.
///
/// # Safety
/// `action` is one that `sigaction` returned, the rest the arguments of a handler.
unsafe fn forward(action: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the caller's promise; the flags say which of the two kinds of handler it is.
    unsafe {
        match action.sa_sigaction {
            libc::SIG_IGN => {}
            libc::SIG_DFL => {
                // A fault happens again when the handler returns. A signal that was sent has to be sent again.
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
