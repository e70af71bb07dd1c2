//! Which of a function's two C entries a call takes: the guarded one, which catches every exception, or the unguarded one,
//! which costs about half. The unguarded entry is called only where TyPython has proven that nothing is thrown.
//!
//! A proof costs a type inference, so a function is proven only after many calls without a new method definition. The proof
//! holds as long as Julia's world counter does not change. After the next definition of any method, calls are guarded again,
//! until there were as many calls in the new world.

use std::cell::Cell;

use crate::julia::start::Running;
use crate::python::exception::Root;
use crate::sys::slot::{Entry, Kind, Slot};

/// After this many calls in one world, a proof is worth its cost.
const OFTEN: u32 = 1000;
/// No world has this number.
const NO_WORLD: usize = usize::MAX;

/// The entries of one function. Python's lock guards the cells.
pub(super) struct Entries {
    guarded: Entry,
    unguarded: Cell<Entry>,
    /// The root that holds the Julia function of the unguarded entry. It is never released.
    root: u64,
    /// The world in which `unguarded` is proven.
    proven: Cell<usize>,
    /// The world in which calls are counted.
    counted: Cell<usize>,
    calls: Cell<u32>,
}

impl Entries {
    /// `root` holds the Julia function of the unguarded entry.
    pub(super) fn new(guarded: Entry, root: u64) -> Self {
        Self {
            guarded,
            unguarded: Cell::new(guarded),
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
            // it still holds. Nothing is thrown, so `RUNNING_IN` need not change.
            unsafe { self.unguarded.get()(arguments, result) };
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
        let result = running.call(running.julia_functions.unguarded_entry, &argument);
        match Kind::from_number(result.kind) {
            Some(Kind::UInt) if result.a != 0 => {
                let entry = std::ptr::with_exposed_provenance::<()>(super::write::address(result.a));
                // SAFETY: TyPython gives the address of a C function with the signature of every entry.
                self.unguarded.set(unsafe { std::mem::transmute::<*const (), Entry>(entry) });
                self.proven.set(world);
            }
            // The function keeps its guarded entry; the reason does not matter.
            Some(Kind::Exception) => drop(Root::new(result.a)),
            _ => {}
        }
    }
}
