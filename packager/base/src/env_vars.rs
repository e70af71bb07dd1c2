//! Every environment variable the command reads, in one place.

/// Path of the Julia executable to use; looked at after `--julia` and before `PATH`.
pub const TYPY_JL_EXE: &str = "TYPY_JL_EXE";

/// Where `jnumpy-pack` keeps the Julias it installed; default: `.jnumpy` in the home directory.
pub const JNUMPY_HOME: &str = "JNUMPY_HOME";

/// Seconds since 1970: the time stamp of everything in a wheel, for reproducible builds.
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The user's home directory, which no file of a wheel may name.
pub const HOME: &str = "HOME";
