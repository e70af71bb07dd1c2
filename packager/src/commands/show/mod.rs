//! `jnumpy-pack show`: the contents of a wheel.

mod page;
mod text;

use std::path::PathBuf;

use clap::Args;

use crate::packing::Error;
use crate::stages::inventory::inventory;
use jnumpy_base::Report;

/// Show the contents of a wheel.
///
/// Lists Julia and its image, the packages with their versions, the libraries with the files that need them, licenses, the
/// oldest system on which the wheel works and the symbol that requires it, and sizes. Reads the bill of materials in the
/// wheel, `bundle.json`, and the ELF files, and runs nothing.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Wheel, directory of an installed package, or directory of an unpacked wheel.
    #[arg(value_name = "WHEEL|DIR")]
    path: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
    /// Also write an HTML page with a map of sizes: one file, which needs no network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let inventory = inventory(&arguments.path, report)?;
    if let Some(path) = &arguments.html {
        page::write(&inventory, path)?;
        report.say(format_args!("page: {}", path.display()));
    }
    if arguments.json {
        report.data(serde_json::to_string_pretty(&inventory).map_err(std::io::Error::from)?);
    } else {
        text::print(&inventory, report);
    }
    Ok(())
}
