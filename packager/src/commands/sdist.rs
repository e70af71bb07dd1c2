//! `jnumpy-pack sdist`: the project's sources in one file.

use std::path::PathBuf;

use clap::Args;

use crate::packing::{Error, sdist};
use crate::stages::project::Project;
use jnumpy_base::Report;

/// Put the project's sources into one `.tar.gz`, from which its wheel can be built.
///
/// What `.gitignore` names is left out, and so is what builds and environments leave behind. The path of the file is
/// printed on stdout.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory with `pyproject.toml`.
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Where the file goes.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out_dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let project = Project::load(&arguments.project)?;
    report.data(sdist::write(&project, &arguments.out_dir, report)?.display());
    Ok(())
}
