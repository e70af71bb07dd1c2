//! `jnumpy-pack show`: what a wheel consists of.

mod page;
mod text;

use std::path::PathBuf;

use clap::Args;

use crate::packing::Error;
use crate::stages::inventory::inventory;
use jnumpy_base::Report;

/// Show what a wheel consists of.
///
/// Lists the Julia and its image, packages with their versions, libraries with the chain of what needs them, licenses,
/// the oldest system that the wheel works on and the symbol that sets it, and what takes how much space. The bill of
/// materials in the wheel, `bundle.json`, and the ELF files are read; nothing is run.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A wheel, the directory of an installed package, or the directory that a wheel was unpacked in.
    #[arg(value_name = "WHEEL|DIR")]
    path: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
    /// Also write a page for a browser: one file with a map of sizes, which needs no network.
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
