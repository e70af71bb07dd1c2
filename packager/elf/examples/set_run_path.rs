//! Gives an ELF file a run path, to hold the rewriter against other tools: `set_run_path RUN_PATH INPUT OUTPUT`.

use std::error::Error;

use jnumpy_elf::{Edits, rewrite};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run_path, input, output] = &arguments[..] else {
        return Err("usage: set_run_path RUN_PATH INPUT OUTPUT".into());
    };
    let edits = Edits { run_path: Some(run_path.clone()), ..Edits::default() };
    fs_err::write(output, rewrite(fs_err::read(input)?, &edits)?)?;
    Ok(())
}
