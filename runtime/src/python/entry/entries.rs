//! Chooses the C entry of a function for each call: the guarded entry, which catches every exception, or the unguarded entry,
//! which takes about half the time. The unguarded entry is called only if TyPython has proven that the function does not throw.
//!
//! A proof requires type inference, so TyPython tries it only after many calls without a new method definition. The proof is
//! valid as long as Julia's world age does not change. After the next definition of any method, calls are guarded again until
//! there were enough calls in the new world.
//!
//! At the same time, both entries are compiled again. On Julia 1.9 and later, an entry from an image looks up its function at
//! each call, and a newly compiled one does not.

use std::cell::Cell;

use crate::julia::start::Running;
use crate::python::exception::Root;
use crate::sys::slot::{Entry, Kind, Slot};

/// The number of calls in one world after which a proof and a compilation are worth their cost. It doubles each time, for
/// programs that keep defining methods.
const OFTEN: u32 = 1000;
/// World ages that do not occur.
const NO_WORLD: usize = usize::MAX;
/// Used if the world age does not matter, because entries are never proven.
const ANY_WORLD: usize = usize::MAX - 1;

/// The entries of one function. Python's lock guards the cells.
pub(super) struct Entries {
    guarded: Cell<Entry>,
    unguarded: Cell<Entry>,
    /// The root with the Julia functions of both entries. It is never released.
    root: u64,
    /// The world age in which `unguarded` is proven.
    proven: Cell<usize>,
    calls: Calls,
}

/// Counts guarded calls, and tells when there were many in one world.
struct Calls {
    world: Cell<usize>,
    /// The number of calls in this world.
    count: Cell<u32>,
    /// The number of calls that count as many.
    many: Cell<u32>,
}

impl Calls {
    fn new() -> Self {
        Self { world: Cell::new(NO_WORLD), count: Cell::new(0), many: Cell::new(OFTEN) }
    }

    /// Counts a call. `true` at most once in a world, and the next time after twice as many calls.
    #[inline]
    fn are_many(&self, world: usize) -> bool {
        let before = if self.world.replace(world) == world { self.count.get() } else { 0 };
        let count = before.saturating_add(1);
        self.count.set(count);
        let are_many = count == self.many.get();
        if are_many {
            self.many.set(count.saturating_mul(2));
        }
        are_many
    }
}

impl Entries {
    /// `root` holds the Julia functions of both entries.
    pub(super) fn new(guarded: Entry, root: u64) -> Self {
        Self {
            guarded: Cell::new(guarded),
            unguarded: Cell::new(guarded),
            root,
            proven: Cell::new(NO_WORLD),
            calls: Calls::new(),
        }
    }

    /// Calls one of the entries.
    ///
    /// # Safety
    /// As for [`Running::enter`].
    #[inline]
    pub(super) unsafe fn call(&self, running: &Running, arguments: *const Slot, result: *mut Slot) {
        let world = running.world().unwrap_or(ANY_WORLD);
        if world == self.proven.get() {
            // SAFETY: the caller's promise. Proofs are used only if no other thread can define a method, so the proof is still
            // valid. Nothing is thrown, so `RUNNING_IN` need not change.
            unsafe { self.unguarded.get()(arguments, result) };
            return;
        }
        if self.calls.are_many(world) {
            self.improve(running, world);
        }
        // SAFETY: the caller's promise.
        unsafe { running.enter(self.guarded.get(), arguments, result) };
    }

    #[cold]
    fn improve(&self, running: &Running, world: usize) {
        if let Some(guarded) = self.ask(running, true) {
            self.guarded.set(guarded);
        }
        if world != ANY_WORLD
            && let Some(unguarded) = self.ask(running, false)
        {
            self.unguarded.set(unguarded);
            self.proven.set(world);
        }
    }

    /// A better entry, if there is one.
    fn ask(&self, running: &Running, guarded: bool) -> Option<Entry> {
        let arguments = [Slot::unsigned(self.root), Slot::boolean(guarded)];
        let result = running.call(running.julia_functions.often_called_entry, &arguments);
        match Kind::from_number(result.kind) {
            Some(Kind::UInt) if result.a != 0 => {
                let entry = std::ptr::with_exposed_provenance::<()>(super::write::address(result.a));
                // SAFETY: TyPython gives the address of a C function with the signature of every entry.
                Some(unsafe { std::mem::transmute::<*const (), Entry>(entry) })
            }
            // The function keeps its entry. The reason for the failure does not matter.
            Some(Kind::Exception) => {
                drop(Root::new(result.a));
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_many_once_in_a_world_and_then_after_twice_as_many() {
        let calls = Calls::new();
        let turns = |world, count| (1..=count).filter(|_| calls.are_many(world)).count();
        assert_eq!(turns(1, OFTEN - 1), 0);
        assert_eq!(turns(2, OFTEN - 1), 0, "those of another world do not count");
        assert_eq!(turns(2, 1), 1);
        assert_eq!(turns(3, 2 * OFTEN - 1), 0);
        assert_eq!(turns(3, 1), 1);
    }
}
