//! The embedded runtime of JNumPy.
