//! `jnumpy-pack editable`: makes an editable wheel.

use std::path::PathBuf;

use clap::Args;

use crate::packing::finalize;
use crate::packing::{Error, editable};
use crate::stages::audit::Against;
use crate::stages::project::Project;
use jnumpy_base::Report;
use jnumpy_wheel::Compression;

/// Make an editable wheel, which lets Python import the project from its sources.
///
/// The wheel contains no Julia and needs `jnumpy-runtime` and an installed Julia. `pip install --editable` makes one if
/// `jnumpy_pack` is the project's build backend. Prints the path of the wheel on stdout.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory with `pyproject.toml`.
    #[arg(value_name = "PROJECT", default_value = ".")]
    project: PathBuf,
    /// Directory for the wheel.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out_dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let wheel = editable::wheel(&Project::load(&arguments.project)?)?;
    let written =
        finalize(&wheel, &arguments.out_dir, Some(Compression::default()), &Against::default(), report)?;
    report.data(written.path.display());
    Ok(())
}
