//! Python objects that Julia holds on to: the owners of shared array memory, and `Py` values. Julia lets go of
//! them in finalizers, which may run on any thread and must not run Python code: they only put the object on a
//! list, and the next call that holds Python's lock lets go of what is there.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::ffi::PyObject;

use crate::sys::libjulia::Value;

/// Addresses are spread well enough by one multiplication (Knuth's multiplicative hash).
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

/// The memory of an array: where it is, how many elements it has, and their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) data: usize,
    pub(crate) length: usize,
    pub(crate) c_order: bool,
}

/// A Julia array and the ndarray it was made from.
struct Lease {
    /// The ndarray, a reference of ours.
    owner: usize,
    memory: Memory,
    /// Found again since the array's finalizer was registered: see [`release_array`].
    again: bool,
}

/// Arrays of more dimensions are not found again.
const MAX_RANK: usize = 4;
/// How many ndarrays are found again: one for each value of a byte of the hash.
const RECENT: usize = 1 << u8::BITS;

/// A shared ndarray, by its address, and the Julia array that was made from it. The array is alive as long
/// as it stands here: its finalizer takes it out.
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

/// The Julia array at `array`, made of `memory`, keeps `owner` alive: takes over one reference.
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

/// The Julia array that was made from the ndarray `owner`, if it has not been collected and the ndarray is as it was.
/// The caller is Julia, and roots it before anything else can be collected.
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

/// The ndarray that the Julia array at `array` was made from (borrowed), if that still has the same memory: an
/// array that Julia has resized has not.
#[inline]
pub(crate) fn owner_of(array: *const Value, memory: Memory) -> Option<*mut PyObject> {
    with(|leases| {
        leases.arrays.get(&array.addr()).filter(|lease| lease.memory == memory).map(|lease| lease.owner)
    })
    .map(std::ptr::with_exposed_provenance_mut)
}

/// Whether a Julia array whose finalizer runs is really gone, and so its owner returned. It may not be: between the
/// collection that saw it unreachable and this finalizer it may have been found again, and be in use. Then the
/// finalizer has to be registered again, and decides when it runs next. Any thread.
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

/// Julia gives a reference back. Any thread.
pub(crate) fn release_object(object: *mut PyObject) {
    with(|leases| leases.returned.push(object.expose_provenance()));
    SOMETHING_RETURNED.store(true, Ordering::Release);
}

/// The references that Julia has given back since the last time, for the caller, who holds Python's lock, to drop.
#[inline]
pub(crate) fn take_returned() -> Option<Vec<*mut PyObject>> {
    // One load is all that most calls pay.
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

        // Found again, it is only gone when its finalizer runs a second time.
        register_share(array, object, memory, 11, &[3]);
        assert_eq!(find_shared(object, memory, 11, &[1, 3]), None);
        assert_eq!(find_shared(object, memory, 10, &[3]), None);
        assert_eq!(find_shared(object, Memory { data: 0x5000, ..memory }, 11, &[3]), None);
        assert_eq!(find_shared(object, memory, 11, &[3]), Some(array));
        // The ndarray was reshaped: its place is taken by another array, and the first one is not forgotten.
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
