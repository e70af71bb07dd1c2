//! `jnumpy-pack smoke`: tries a wheel in a new environment.

use std::path::PathBuf;

use clap::Args;

use super::wheel::program;
use crate::packing::Error;
use crate::packing::smoke::{Smoke, SmokeRequest};
use jnumpy_base::Report;
use jnumpy_base::text::megabytes;

/// Install a wheel in a new environment and import it.
///
/// The path of the environment contains a space and non-ASCII letters, pip uses no index, and the network is cut off if the
/// system permits it. Nothing is left behind.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Path of the wheel.
    wheel: PathBuf,
    /// Python that creates the environment and provides the packages that the wheel requires. Default: the active
    /// environment's.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Directory with wheels of the packages that the wheel requires. Can be repeated.
    #[arg(long, value_name = "DIR")]
    find_links: Vec<PathBuf>,
    /// Python script to run after the import. Can be repeated.
    #[arg(long, value_name = "SCRIPT")]
    run: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: Arguments, report: &Report) -> Result<(), Error> {
    let request = SmokeRequest {
        wheel: arguments.wheel,
        python: arguments.python.map(program).transpose()?,
        find_links: arguments.find_links,
        scripts: arguments.run,
    };
    let smoke = request.run(report)?;
    if !smoke.network_cut {
        report.warn("the network was not cut off: `unshare --net` is not permitted here");
    }
    if arguments.json {
        report.data(serde_json::to_string_pretty(&smoke).map_err(std::io::Error::from)?);
    } else {
        print(&smoke, report);
    }
    Ok(())
}

fn print(smoke: &Smoke, report: &Report) {
    let line = |name: &str, value: String| report.data(format_args!("{name:<10} {value}"));
    line("python", smoke.python.clone());
    line("network", if smoke.network_cut { "cut off" } else { "not cut off" }.into());
    if !smoke.dependencies.is_empty() {
        line("with", smoke.dependencies.join(", "));
    }
    line("install", format!("{:.1} s", smoke.install_seconds));
    let (first, again) = (smoke.first_import_seconds, smoke.import_seconds);
    line("import", format!("{}: {again:.2} s, {first:.2} s the first time", smoke.package));
    line("memory", format!("{:.0} MB at most during the import", megabytes(smoke.peak_memory)));
    for run in &smoke.runs {
        line("run", format!("{}: {:.2} s", run.script.display(), run.seconds));
    }
}
