//! Signals belong to Python. Julia needs two things of them: with several threads its collector stops the others by
//! a fault on a protected page, and an overflow of the stack becomes an exception. Both are SIGSEGV, which therefore
//! comes here first; every other handler is put back as it was when Julia has started.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::sys::libjulia::{LibJulia, Value};

/// Where control is, on the thread that Julia serves. TyPython reads it, and sets it around calls of Python.
pub(crate) static CONTROL: AtomicU8 = AtomicU8::new(PYTHON);
/// In Python, or in Rust for it: an exception of Julia would jump over frames that are not its own.
pub(crate) const PYTHON: u8 = 0;
/// In Julia, under the `try` of an entry. TyPython has a third state, for Julia code that no `try` protects any more.
pub(crate) const JULIA: u8 = 1;

/// Handlers that Julia replaces and that are Python's again after the start; SIGUSR2 is Julia's own.
const PYTHONS: [c_int; 8] = [
    libc::SIGINT,
    libc::SIGPIPE,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGTRAP,
];

/// A fault this near to the stack pointer is one of the stack.
const NEAR: u64 = 1 << 20;
/// Where an exception is thrown from when the stack is used up, and where the handler runs.
const SPARE_STACK: usize = 1 << 18;

/// Python's signal mask and handlers over Julia's start.
pub(crate) struct SignalGuard {
    mask: libc::sigset_t,
    actions: [(c_int, libc::sigaction); PYTHONS.len()],
    fault: libc::sigaction,
}

impl SignalGuard {
    pub(crate) fn save() -> Self {
        // SAFETY: plain C structs for which all zero bytes are valid, filled by the calls below.
        unsafe {
            let mut mask = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut mask);
            Self {
                mask,
                actions: PYTHONS.map(|signal| (signal, action(signal))),
                fault: action(libc::SIGSEGV),
            }
        }
    }

    /// Puts everything back, and takes SIGSEGV. `handling`: Julia has handlers.
    pub(crate) fn restore(self, libjulia: &LibJulia, handling: bool) {
        // SAFETY: the values came from the same calls in `save`; the variable is set since Julia runs.
        unsafe {
            for (signal, action) in &self.actions {
                libc::sigaction(*signal, action, std::ptr::null_mut());
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, std::ptr::null_mut());
            let faults = Faults {
                thread: libc::pthread_self(),
                python: self.fault,
                julia: handling.then(|| action(libc::SIGSEGV)),
                throw: libjulia.throw,
                stack_overflow: *libjulia.stack_overflow.load(Ordering::Relaxed),
                spare_stack: vec![0_u8; SPARE_STACK].leak().as_mut_ptr_range().end.expose_provenance(),
            };
            if FAULTS.set(faults).is_err() {
                return;
            }
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
        }
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
    /// The thread that Julia serves.
    thread: libc::pthread_t,
    /// The handler before Julia's start, such as faulthandler's.
    python: libc::sigaction,
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
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let address = (*info).si_addr().addr() as u64;
        let stack = registers[RSP];
        let overflow = (*info).si_code > 0
            && address.abs_diff(stack.cast_unsigned()) < NEAR
            && libc::pthread_self() == faults.thread;
        let in_julia = CONTROL.load(Ordering::Relaxed) == JULIA;
        match &faults.julia {
            Some(julia) if !overflow || in_julia => forward(julia, signal, info, context),
            None if overflow && in_julia => {
                // As Julia does it where it has handlers: the thread goes on in `jl_throw`, on a stack that has room,
                // as if it had been called there with the exception.
                registers[RSP] = word(faults.spare_stack & !15) - 8;
                registers[RDI] = word(faults.stack_overflow.expose_provenance());
                registers[RIP] = word(faults.throw as *const () as usize);
            }
            _ => forward(&faults.python, signal, info, context),
        }
    }
}

const RSP: usize = libc::REG_RSP.unsigned_abs() as usize;
const RDI: usize = libc::REG_RDI.unsigned_abs() as usize;
const RIP: usize = libc::REG_RIP.unsigned_abs() as usize;

/// The content of a register.
const fn word(address: usize) -> i64 {
    (address as u64).cast_signed()
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
