//! Entry point of `jnumpy-pack`: everything is in the library.
use std::process::ExitCode;

fn main() -> ExitCode {
    jnumpy_pack::commands::main()
}
