//! Leaves the state of the C library alone that the whole process shares: its locale and its random numbers.
//!
//! At its start, Julia sets the locale of the environment and seeds `rand`. Python has a locale of its own, on which `strftime`
//! and the order of texts depend, and an extension may have seeded `rand` to get the same numbers in each run.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::imports::Replaced;
use crate::sys::libjulia::LibJulia;

/// `RAND_MAX` of Linux, a prime number.
const LARGEST: u64 = 0x7fff_ffff;

/// The random number that Julia drew last by `rand`.
static RANDOM: AtomicU32 = AtomicU32::new(1);

/// From now on, Julia's own code changes neither. Julia code that calls `setlocale` or `srand` by `ccall` does.
pub(crate) fn leave_alone(libjulia: &LibJulia) {
    let inside = libjulia.stdout.address();
    let locale: unsafe extern "C" fn(c_int, *const c_char) -> *mut c_char = setlocale;
    let draw: extern "C" fn() -> c_int = rand;
    let seed: extern "C" fn(c_uint) = srand;
    // SAFETY: the functions have the types of those that they replace. Julia ignores what `setlocale` returns, and draws random
    // numbers to distribute work, for which any will do.
    unsafe {
        Replaced::new(inside, &[c"setlocale"], locale as *mut c_void);
        Replaced::new(inside, &[c"rand"], draw as *mut c_void);
        Replaced::new(inside, &[c"srand"], seed as *mut c_void);
    }
}

/// `setlocale` as Julia calls it: returns the present locale.
unsafe extern "C" fn setlocale(category: c_int, _wanted: *const c_char) -> *mut c_char {
    // SAFETY: without a name, the call changes nothing.
    unsafe { libc::setlocale(category, std::ptr::null()) }
}

/// `rand` as Julia calls it: the minimal standard generator of Park and Miller, with their later multiplier.
extern "C" fn rand() -> c_int {
    let last = u64::from(RANDOM.load(Ordering::Relaxed));
    let number = (last * 48_271 % LARGEST) as u32;
    // Two threads may draw the same number, as with C's `rand`.
    RANDOM.store(number, Ordering::Relaxed);
    number.cast_signed()
}

/// `srand` as Julia calls it.
extern "C" fn srand(seed: c_uint) {
    // 0 would be followed by 0.
    RANDOM.store((u64::from(seed) % LARGEST).max(1) as u32, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C++ standard gives this number for `minstd_rand`, which is the same generator.
    #[test]
    fn the_ten_thousandth_number_after_1_is_known() {
        srand(1);
        let numbers: Vec<c_int> = std::iter::repeat_with(|| rand()).take(10_000).collect();
        assert_eq!(numbers[9_999], 399_268_537);
        srand(0);
        assert_ne!(rand(), 0);
    }
}
