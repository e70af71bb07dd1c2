//! Roots: numbered slots in memory that Julia's garbage collector sees. A value in a slot lives until the number of the slot is
//! given back. Julia stores the values, and Rust hands out the numbers. Giving a number back neither calls Julia nor
//! allocates, so a Python deallocator may do it in any thread.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::sys::libjulia::Value;
use crate::sys::table::ROOT_BLOCK;

struct Blocks {
    blocks: Vec<*mut *mut Value>,
    free: Vec<u64>,
}

// SAFETY: the pointers name memory that Julia never moves or frees; all access goes through the mutex.
unsafe impl Send for Blocks {}

static ROOTS: Mutex<Blocks> = Mutex::new(Blocks { blocks: Vec::new(), free: Vec::new() });
static NOTHING: AtomicPtr<Value> = AtomicPtr::new(std::ptr::null_mut());

/// The number of a free root, if there is one.
pub(crate) fn take() -> Option<u64> {
    ROOTS.lock().unwrap_or_else(PoisonError::into_inner).free.pop()
}

/// Adds a block of roots.
///
/// # Safety
/// `block` is the data of a Julia `Vector{Any}` of [`ROOT_BLOCK`] elements, all `nothing`, that is never resized
/// and never collected.
pub(crate) unsafe fn add_block(block: *mut *mut Value) {
    let mut roots = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the block has at least one element (the caller's promise).
    NOTHING.store(unsafe { *block }, Ordering::Relaxed);
    let first = roots.blocks.len() * ROOT_BLOCK;
    roots.blocks.push(block);
    // Reserves space for every number, because `give_back` must not allocate.
    let total = first + ROOT_BLOCK;
    let room = total - roots.free.len();
    roots.free.reserve(room);
    roots.free.extend((first..total).rev().map(|number| number as u64));
}

/// Empties a root and makes its number free again.
pub(crate) fn give_back(number: u64) {
    let mut roots = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(index) = usize::try_from(number) else { return };
    let Some(&block) = roots.blocks.get(index / ROOT_BLOCK) else { return };
    // SAFETY: the slot is inside its block, which is never moved. `nothing` is always alive, so storing it needs no write
    // barrier. The store is atomic, so a garbage collector that marks at the same time reads the old value or the new one.
    unsafe {
        AtomicPtr::from_ptr(block.add(index % ROOT_BLOCK))
            .store(NOTHING.load(Ordering::Relaxed), Ordering::Release);
    }
    roots.free.push(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_given_back_is_empty_and_free_again() {
        let mut nothing = 0_u8;
        let mut value = 1_u8;
        let nothing = (&raw mut nothing).cast::<Value>();
        let block = Box::leak(Box::new([nothing; ROOT_BLOCK]));
        assert_eq!(take(), None);
        // SAFETY: a leaked block of the right size.
        unsafe { add_block(block.as_mut_ptr()) };
        let number = take().unwrap();
        assert_eq!(number, 0);
        block[0] = (&raw mut value).cast();
        give_back(number);
        assert_eq!(block[0], nothing);
        assert_eq!(take(), Some(0));
    }
}
