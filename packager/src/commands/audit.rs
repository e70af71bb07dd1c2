//! `jnumpy-pack audit`: proves a finished wheel.

use std::path::PathBuf;

use clap::Args;

use crate::packing::Error;
use jnumpy_base::Report;

/// Re-open a wheel and prove that it can be published.
///
/// Checked are the archive's form, RECORD, the metadata, every library's run path, needs and symbol versions,
/// and that no directory of the build machine is named. The exit status is 1 when a check fails.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The wheel.
    wheel: PathBuf,
    /// A directory that must not be named in the wheel, beside the home directory; can be repeated.
    #[arg(long, value_name = "DIRECTORY")]
    forbid: Vec<String>,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let audit = crate::stages::audit::audit(&arguments.wheel, &arguments.forbid, report)?;
    if arguments.json {
        report.data(serde_json::to_string_pretty(&audit).map_err(std::io::Error::from)?);
    } else {
        for finding in &audit.findings {
            report.data(finding);
        }
    }
    Ok(audit.verdict(&arguments.wheel)?)
}
