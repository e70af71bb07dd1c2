//! The embedded runtime of JNumPy: Julia inside a Python process.
//!
//! Three layers, never skipped: `sys` declares what is foreign, `julia` is Julia made safe, `python` is what Python
//! sees.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "calls libjulia and keeps what it lends")]
mod julia;
mod python;
#[expect(unsafe_code, reason = "declares and finds foreign functions")]
mod sys;
