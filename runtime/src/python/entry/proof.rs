//! Which of a function's two C entries a call takes: the one that catches everything, or, where Julia has proven that
//! nothing can be thrown, the bare one, which costs about half.
//!
//! A proof is asked for once a function has been called often while no method was defined: it costs an inference. It
//! holds as long as Julia's world stands still; one definition, of whatever method, and calls catch again, until they
//! have gone on for as long in the new world.

use std::cell::Cell;

use crate::julia::start::Running;
use crate::python::exception::Root;
use crate::sys::slot::{Entry, Kind, Slot};

/// So many calls in one world are worth a proof.
const OFTEN: u32 = 1000;
/// No world has this number.
const NO_WORLD: usize = usize::MAX;

/// The entries of one function. Python's lock guards the cells.
pub(super) struct Entries {
    guarded: Entry,
    bare: Cell<Entry>,
    /// The root that holds the Julia function behind the bare entry, for ever.
    root: u64,
    /// The world in which `bare` is proven.
    proven: Cell<usize>,
    /// The world in which calls are counted.
    counted: Cell<usize>,
    calls: Cell<u32>,
}

impl Entries {
    /// `guarded` catches everything; `root` holds the function of the bare entry.
    pub(super) fn new(guarded: Entry, root: u64) -> Self {
        Self {
            guarded,
            bare: Cell::new(guarded),
            root,
            proven: Cell::new(NO_WORLD),
            counted: Cell::new(NO_WORLD),
            calls: Cell::new(0),
        }
    }

    /// Calls one of the entries.
    ///
    /// # Safety
    /// As for [`Running::enter`].
    #[inline]
    pub(super) unsafe fn call(&self, running: &Running, arguments: *const Slot, result: *mut Slot) {
        let world = running.world();
        if world.is_some_and(|world| world == self.proven.get()) {
            // SAFETY: the caller's promise. A proof is only looked for where no other thread can define a method, so
            // it still holds. Nothing is thrown, so control need not be said to be in Julia.
            unsafe { self.bare.get()(arguments, result) };
            return;
        }
        if let Some(world) = world {
            self.count(running, world);
        }
        // SAFETY: the caller's promise.
        unsafe { running.enter(self.guarded, arguments, result) };
    }

    fn count(&self, running: &Running, world: usize) {
        if self.counted.replace(world) != world {
            self.calls.set(0);
        }
        // A function without a proof is not asked for one again in the same world.
        let calls = self.calls.get().saturating_add(1);
        self.calls.set(calls);
        if calls == OFTEN {
            self.prove(running, world);
        }
    }

    #[cold]
    fn prove(&self, running: &Running, world: usize) {
        let argument = [Slot::unsigned(self.root)];
        let result = running.call(running.guest.bare_entry, &argument);
        match Kind::from_number(result.kind) {
            Some(Kind::UInt) if result.a != 0 => {
                let entry = std::ptr::with_exposed_provenance::<()>(super::write::address(result.a));
                // SAFETY: TyPython gives the address of a C function with the signature of every entry.
                self.bare.set(unsafe { std::mem::transmute::<*const (), Entry>(entry) });
                self.proven.set(world);
            }
            // Without a proof the function keeps its `try`; nobody wants to know why.
            Some(Kind::Exception) => drop(Root::new(result.a)),
            _ => {}
        }
    }
}
