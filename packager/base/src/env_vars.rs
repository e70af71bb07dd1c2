//! Every environment variable the command reads, declared once.

/// Path of the Julia executable to use; looked at after `--julia` and before `PATH`.
pub const TYPY_JL_EXE: &str = "TYPY_JL_EXE";

/// Where `jnumpy-pack` keeps the Julias it installed; default: `.jnumpy` in the home directory.
pub const JNUMPY_HOME: &str = "JNUMPY_HOME";

/// Seconds since 1970: the time stamp of everything in a wheel, for reproducible builds.
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The user's home directory, which no file of a wheel may name.
pub const HOME: &str = "HOME";

/// Address or path of the index of official Julias; `--index` comes first.
pub const JNUMPY_JULIA_INDEX: &str = "JNUMPY_JULIA_INDEX";

/// A mirror of the official server, with the same paths; `--server` comes first.
pub const JNUMPY_JULIA_SERVER: &str = "JNUMPY_JULIA_SERVER";

/// As [`JNUMPY_JULIA_SERVER`], for juliaup; looked at after it.
pub const JULIAUP_SERVER: &str = "JULIAUP_SERVER";

/// Seconds to wait for a server that sends nothing; default: 30.
pub const JNUMPY_HTTP_TIMEOUT: &str = "JNUMPY_HTTP_TIMEOUT";

/// The directory that holds `juliaup/juliaup.json`; default: `.julia` in the home directory.
pub const JULIAUP_DEPOT_PATH: &str = "JULIAUP_DEPOT_PATH";

/// The channel that juliaup's launcher takes rather than the default one.
pub const JULIAUP_CHANNEL: &str = "JULIAUP_CHANNEL";

/// If set and not empty, text on a terminal is plain.
pub const NO_COLOR: &str = "NO_COLOR";

/// The maximum size of all cached images after packing: bytes, or a number with the suffix K, M, or G; default: 10G.
pub const JNUMPY_CACHE_LIMIT: &str = "JNUMPY_CACHE_LIMIT";
