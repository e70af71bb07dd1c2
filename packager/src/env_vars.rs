//! Every environment variable the command reads, in one place.

/// Path of the Julia executable to use; looked at after `--julia` and before `PATH`.
pub(crate) const TYPY_JL_EXE: &str = "TYPY_JL_EXE";

/// Where `jnumpy-pack` keeps the Julias it installed; default: `.jnumpy` in the home directory.
pub(crate) const JNUMPY_HOME: &str = "JNUMPY_HOME";
