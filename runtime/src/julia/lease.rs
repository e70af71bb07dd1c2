//! Python objects that Julia keeps alive: the owners of shared array memory, and `Py` values.
//!
//! Julia releases them in finalizers, which may run on any thread and must not run Python code. A finalizer therefore only
//! appends the object to a list, and the next call that holds Python's lock drops the references in that list.
//!
//! # Arrays that come back to life
//!
//! A program often passes the same ndarray again, so [`find_shared`] returns the Julia array that was made from it before.
//! The table of recent arrays contains the address of that array, which does not keep the array alive. A collection may
//! find the array unreachable, and before the array's finalizer runs, `find_shared` may return the array once more: it is
//! resurrected. Whoever changes this code has to preserve these rules:
//!
//! 1. An address in the tables is valid. Julia frees an object that has a finalizer only after that finalizer has run, and
//!    the finalizer, [`release_array`], removes the array from the tables.
//! 2. `find_shared` sets the flag `again`, and `release_array` reads and clears it, under the same mutex. If the flag is
//!    set, the array may be in use: the finalizer keeps the array in the tables and registers itself again (TyPython's
//!    `renew_finalizer`). The next collection decides anew, so an array that was found again lives for at least one more
//!    collection.
//! 3. When another ndarray takes the entry of an array in the table of recent arrays, the flag moves to the array's
//!    [`Lease`]. The array can no longer be found, but may still be in use.
//! 4. The Julia code that calls `find_shared` roots the array before anything can start a collection.
//! 5. Nothing calls Julia while it holds the mutex. Otherwise Julia could run a finalizer in that thread, which would wait
//!    for the mutex forever.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::ffi::PyObject;

use crate::sys::libjulia::Value;

/// Knuth's multiplicative hash: one multiplication spreads addresses well enough.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (value >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

/// A table whose keys are addresses.
pub(crate) type ByAddress<V> = HashMap<usize, V, BuildHasherDefault<AddressHasher>>;

/// The memory of an array: its address, number of elements, and order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) data: usize,
    pub(crate) length: usize,
    pub(crate) c_order: bool,
}

/// A Julia array and the ndarray it was made from.
struct Lease {
    /// The ndarray, as an owned reference.
    owner: usize,
    memory: Memory,
    /// Whether the array was found again since its finalizer was registered.
    again: bool,
}

/// Arrays with more dimensions are not found again.
const MAX_RANK: usize = 4;
/// The size of the table of recent arrays: one entry for each value of a byte of the hash.
const RECENT: usize = 1 << u8::BITS;

/// The address of a shared ndarray, and the address of the Julia array that was made from it.
#[derive(Clone, Copy, Default)]
struct Recent {
    owner: usize,
    array: usize,
    memory: Memory,
    element: u8,
    rank: usize,
    lengths: [usize; MAX_RANK],
    again: bool,
}

struct Leases {
    arrays: ByAddress<Lease>,
    recent: Box<[Recent]>,
    returned: Vec<usize>,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            arrays: ByAddress::default(),
            recent: vec![Recent::default(); RECENT].into_boxed_slice(),
            returned: Vec::new(),
        }
    }
}

impl Leases {
    #[inline]
    fn recent(&mut self, owner: usize) -> &mut Recent {
        let mut hasher = AddressHasher::default();
        hasher.write_usize(owner);
        let hash = hasher.finish().to_ne_bytes();
        &mut self.recent[usize::from(hash[0])]
    }
}

static LEASES: Mutex<Option<Leases>> = Mutex::new(None);
static SOMETHING_RETURNED: AtomicBool = AtomicBool::new(false);

#[inline]
fn with<R>(work: impl FnOnce(&mut Leases) -> R) -> R {
    let mut leases = LEASES.lock().unwrap_or_else(PoisonError::into_inner);
    work(leases.get_or_insert_with(Leases::default))
}

/// Notes that the Julia array at `array`, made of `memory`, keeps `owner` alive. Takes over one reference.
pub(crate) fn register_share(
    array: *const Value,
    owner: *mut PyObject,
    memory: Memory,
    element: u8,
    lengths: &[usize],
) {
    let (array, owner) = (array.expose_provenance(), owner.expose_provenance());
    with(|leases| {
        leases.arrays.insert(array, Lease { owner, memory, again: false });
        if lengths.len() > MAX_RANK {
            return;
        }
        let mut recent = Recent { owner, array, memory, element, rank: lengths.len(), ..Recent::default() };
        recent.lengths[..lengths.len()].copy_from_slice(lengths);
        let before = std::mem::replace(leases.recent(owner), recent);
        if let Some(lease) = leases.arrays.get_mut(&before.array) {
            lease.again |= before.again;
        }
    });
}

/// The Julia array that was made from the ndarray `owner`, if the array was not collected and the ndarray did not change.
/// The caller, Julia code, has to root the array before anything can start a collection.
#[inline]
pub(crate) fn find_shared(
    owner: *mut PyObject,
    memory: Memory,
    element: u8,
    lengths: &[usize],
) -> Option<*const Value> {
    let owner = owner.addr();
    with(|leases| {
        let recent = leases.recent(owner);
        let same = recent.owner == owner
            && recent.memory == memory
            && recent.element == element
            && recent.rank == lengths.len()
            && recent.lengths.iter().zip(lengths).all(|(a, b)| a == b);
        if !same {
            return None;
        }
        recent.again = true;
        Some(std::ptr::with_exposed_provenance(recent.array))
    })
}

/// The ndarray from which the Julia array at `array` was made (borrowed), unless Julia has moved the memory of the array, as
/// when it was resized.
#[inline]
pub(crate) fn owner_of(array: *const Value, memory: Memory) -> Option<*mut PyObject> {
    with(|leases| {
        leases.arrays.get(&array.addr()).filter(|lease| lease.memory == memory).map(|lease| lease.owner)
    })
    .map(std::ptr::with_exposed_provenance_mut)
}

/// Called by the finalizer of a Julia array, in any thread. `true`: the array is gone, and its owner is on the list of
/// returned objects. `false`: the array was found again and may be in use, so the caller has to register the finalizer
/// again.
pub(crate) fn release_array(array: *const Value) -> bool {
    let array = array.addr();
    with(|leases| {
        let Some(lease) = leases.arrays.get_mut(&array) else { return true };
        let (owner, mut again) = (lease.owner, std::mem::take(&mut lease.again));
        let recent = leases.recent(owner);
        if recent.array == array {
            again |= std::mem::take(&mut recent.again);
            if !again {
                *recent = Recent::default();
            }
        }
        if again {
            return false;
        }
        leases.arrays.remove(&array);
        leases.returned.push(owner);
        SOMETHING_RETURNED.store(true, Ordering::Release);
        true
    })
}

/// Takes back a reference that Julia has owned. Any thread.
pub(crate) fn release_object(object: *mut PyObject) {
    with(|leases| leases.returned.push(object.expose_provenance()));
    SOMETHING_RETURNED.store(true, Ordering::Release);
}

/// The references that Julia has given back since the last call. The caller holds Python's lock and drops them.
#[inline]
pub(crate) fn take_returned() -> Option<Vec<*mut PyObject>> {
    // Most calls pay for this load only.
    SOMETHING_RETURNED.load(Ordering::Relaxed).then(take_all)
}

#[cold]
fn take_all() -> Vec<*mut PyObject> {
    SOMETHING_RETURNED.store(false, Ordering::Relaxed);
    let returned = with(|leases| std::mem::take(&mut leases.returned));
    returned.into_iter().map(std::ptr::with_exposed_provenance_mut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_comes_back_once_its_array_is_gone() {
        let (array, object) = (0x1000 as *const Value, 0x2000 as *mut PyObject);
        let memory = Memory { data: 0x4000, length: 3, c_order: true };
        register_share(array, object, memory, 11, &[3]);
        assert_eq!(owner_of(array, memory), Some(object));
        assert_eq!(owner_of(array, Memory { c_order: false, ..memory }), None);
        assert_eq!(owner_of(array, Memory { length: 2, ..memory }), None);
        assert!(release_array(array));
        assert!(release_array(array));
        assert_eq!(owner_of(array, memory), None);
        assert_eq!(find_shared(object, memory, 11, &[3]), None);
        release_object(0x3000 as *mut PyObject);

        // An array that was found again is gone only when its finalizer runs a second time.
        register_share(array, object, memory, 11, &[3]);
        assert_eq!(find_shared(object, memory, 11, &[1, 3]), None);
        assert_eq!(find_shared(object, memory, 10, &[3]), None);
        assert_eq!(find_shared(object, Memory { data: 0x5000, ..memory }, 11, &[3]), None);
        assert_eq!(find_shared(object, memory, 11, &[3]), Some(array));
        // The ndarray was reshaped: another array takes its entry, and the flag of the first array is kept.
        let reshaped = 0x6000 as *const Value;
        register_share(reshaped, object, memory, 11, &[3, 1]);
        assert_eq!(find_shared(object, memory, 11, &[3]), None);
        assert!(!release_array(array));
        assert_eq!(owner_of(array, memory), Some(object));
        assert!(release_array(array));
        assert_eq!(find_shared(object, memory, 11, &[3, 1]), Some(reshaped));
        assert!(!release_array(reshaped));
        assert_eq!(find_shared(object, memory, 11, &[3, 1]), Some(reshaped));
        assert!(!release_array(reshaped));
        assert!(release_array(reshaped));

        assert_eq!(take_returned().unwrap(), [object, 0x3000 as *mut PyObject, object, object]);
        assert!(take_returned().is_none());
    }
}
