//! `jnumpy-pack editable`: a wheel that installs a path.

use std::path::PathBuf;

use clap::Args;

use crate::packing::publish;
use crate::packing::{Error, editable};
use crate::stages::project::Project;
use jnumpy_base::Report;
use jnumpy_wheel::Compression;

/// Make a wheel that has Python import the project from where it is edited.
///
/// It has no Julia in it: it needs `jnumpy-runtime` and an installed Julia. `pip install --editable` makes one where
/// `jnumpy-pack` is the project's build backend. The path of the wheel is printed on stdout.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory with `pyproject.toml`.
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Where the wheel goes.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out_dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let wheel = editable::wheel(&Project::load(&arguments.project)?)?;
    let written = publish(&wheel, &arguments.out_dir, Compression::default(), &[], report)?;
    report.data(written.path.display());
    Ok(())
}
