//! `jnumpy-pack audit`: checks a finished wheel.

use std::path::PathBuf;

use clap::Args;

use crate::packing::Error;
use crate::stages::audit::{Against, Finding};
use jnumpy_base::Report;

/// Check that a wheel is complete and relocatable, and that it matches its platform tag.
///
/// Checks the archive format, RECORD, the metadata, the run path, dependencies, and symbol versions of every library,
/// and that no file contains a path of the build machine. The exit status is 1 if a check fails.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Path of the wheel.
    wheel: PathBuf,
    /// Fail if a file in the wheel contains this path; the home directory is always checked. Can be repeated.
    #[arg(long, value_name = "DIRECTORY")]
    forbid: Vec<String>,
    /// Wheel with the Julia that a wheel packed with `--shared` requires.
    #[arg(long, value_name = "WHEEL")]
    julia_wheel: Option<PathBuf>,
    /// Print the findings as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let against =
        Against { forbidden_paths: &arguments.forbid, julia_wheel: arguments.julia_wheel.as_deref() };
    let audit = crate::stages::audit::audit(&arguments.wheel, &against, report)?;
    if arguments.json {
        report.data(serde_json::to_string_pretty(&audit).map_err(std::io::Error::from)?);
    } else {
        for line in Finding::lines(&audit.findings) {
            report.data(line);
        }
    }
    Ok(audit.verdict(&arguments.wheel)?)
}
