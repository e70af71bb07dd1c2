//! The embedded runtime of JNumPy: Julia inside a Python process.
//!
//! Three layers, never skipped: `sys` declares what is foreign, `julia` is Julia made safe, `python` is what Python
//! sees.

mod julia;
mod python;
mod sys;
