//! `jnumpy-pack sdist`: makes a source distribution.

use std::path::PathBuf;

use clap::Args;

use crate::packing::{Error, sdist};
use crate::stages::project::Project;
use jnumpy_base::Report;

/// Make a source distribution (`.tar.gz`), from which pip can build the wheel.
///
/// Leaves out files that `.gitignore` matches, build results, and virtual environments. Prints the path of the file on
/// stdout.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory with `pyproject.toml`.
    #[arg(value_name = "PROJECT", default_value = ".")]
    project: PathBuf,
    /// Directory for the file.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out_dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let project = Project::load(&arguments.project)?;
    report.data(sdist::write(&project, &arguments.out_dir, report)?.display());
    Ok(())
}
