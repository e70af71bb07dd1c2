//! The embedded runtime of JNumPy: Julia inside a Python process.
//!
//! Three layers, never skipped: `sys` declares what is foreign, `julia` is Julia made safe, `python` is what Python
//! sees.

#![deny(unsafe_code)]

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!(
    "the runtime needs Linux with glibc on x86_64 or aarch64; what another system needs goes into `src/sys`"
);

#[expect(unsafe_code, reason = "calls libjulia and keeps what it lends")]
mod julia;
mod python;
#[expect(unsafe_code, reason = "declares and finds foreign functions")]
mod sys;
