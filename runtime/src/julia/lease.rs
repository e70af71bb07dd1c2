//! Python objects that Julia holds on to: the owners of shared array memory, and `Py` values. Julia lets go of
//! them in finalisers, which may run on any thread and must not run Python code: they only put the object on a
//! list, and the next call that holds Python's lock lets go of what is there.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::ffi::PyObject;

use crate::sys::libjulia::Value;

/// Addresses are spread well enough by one multiplication (Knuth's multiplicative hash).
#[derive(Default)]
struct AddressHasher(u64);

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

/// The memory of an array: where it is, how many elements it has, and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) data: usize,
    pub(crate) length: usize,
    pub(crate) c_order: bool,
}

#[derive(Default)]
struct Leases {
    owners: HashMap<usize, (usize, Memory), BuildHasherDefault<AddressHasher>>,
    returned: Vec<usize>,
}

static LEASES: Mutex<Option<Leases>> = Mutex::new(None);
static SOMETHING_RETURNED: AtomicBool = AtomicBool::new(false);

fn with<R>(work: impl FnOnce(&mut Leases) -> R) -> R {
    let mut leases = LEASES.lock().unwrap_or_else(PoisonError::into_inner);
    work(leases.get_or_insert_with(Leases::default))
}

/// The Julia array at `array`, made of `memory`, keeps `owner` alive: takes over one reference.
pub(crate) fn adopt(array: *const Value, owner: *mut PyObject, memory: Memory) {
    let owner = owner.expose_provenance();
    with(|leases| leases.owners.insert(array.addr(), (owner, memory)));
}

/// The ndarray that the Julia array at `array` was made from (borrowed), if that still has the same memory: an
/// array that Julia has resized has not.
pub(crate) fn owner_of(array: *const Value, memory: Memory) -> Option<*mut PyObject> {
    with(|leases| leases.owners.get(&array.addr()).copied())
        .filter(|(_, lent)| *lent == memory)
        .map(|(owner, _)| std::ptr::with_exposed_provenance_mut(owner))
}

/// A Julia array was collected: its owner is returned. Any thread.
pub(crate) fn release_array(array: *const Value) {
    with(|leases| {
        if let Some((owner, _)) = leases.owners.remove(&array.addr()) {
            leases.returned.push(owner);
        }
    });
    SOMETHING_RETURNED.store(true, Ordering::Release);
}

/// Julia gives a reference back. Any thread.
pub(crate) fn release_object(object: *mut PyObject) {
    with(|leases| leases.returned.push(object.expose_provenance()));
    SOMETHING_RETURNED.store(true, Ordering::Release);
}

/// The references that Julia has given back since the last time, for the caller, who holds Python's lock, to drop.
pub(crate) fn take_returned() -> Vec<*mut PyObject> {
    if !SOMETHING_RETURNED.load(Ordering::Relaxed) || !SOMETHING_RETURNED.swap(false, Ordering::Acquire) {
        return Vec::new();
    }
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
        adopt(array, object, memory);
        assert_eq!(owner_of(array, memory), Some(object));
        assert_eq!(owner_of(array, Memory { c_order: false, ..memory }), None);
        assert_eq!(owner_of(array, Memory { length: 2, ..memory }), None);
        release_array(array);
        release_array(array);
        assert_eq!(owner_of(array, memory), None);
        release_object(0x3000 as *mut PyObject);
        assert_eq!(take_returned(), [object, 0x3000 as *mut PyObject]);
        assert!(take_returned().is_empty());
    }
}
