//! `jnumpy-pack wheelhouse`: collects wheels and what they require.

use std::path::PathBuf;

use clap::Args;

use super::wheel::program;
use crate::packing::Error;
use crate::packing::wheelhouse::WheelhouseRequest;
use jnumpy_base::Report;

/// Collect wheels and everything that they require in a directory, for machines without a network.
///
/// pip downloads what is missing, for each version of Python. The directory also gets `requirements.txt` with the hash of
/// each wheel, and a simple index (`simple`) for a web server. Install from it, in the directory, with
/// `pip install --no-index --find-links . --require-hashes --requirement requirements.txt`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Paths of the wheels.
    #[arg(required = true, value_name = "WHEEL")]
    wheels: Vec<PathBuf>,
    /// Directory to create; it must not exist or must be empty.
    #[arg(long, value_name = "DIR", default_value = "wheelhouse")]
    out_dir: PathBuf,
    /// Version of CPython that installs from the directory, such as 3.13. Can be repeated. Default: the version of
    /// `--python`.
    #[arg(long, value_name = "X.Y")]
    python_version: Vec<String>,
    /// Oldest system that installs from the directory. Default: the oldest on which the wheels run.
    #[arg(long, value_name = "manylinux_X_Y")]
    platform: Option<String>,
    /// Python whose pip downloads. Default: `python3`.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Directory with more wheels, for pip. Can be repeated.
    #[arg(long, value_name = "DIR")]
    find_links: Vec<PathBuf>,
    /// Take wheels from `--find-links` only.
    #[arg(long, requires = "find_links")]
    no_index: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: Arguments, report: &Report) -> Result<(), Error> {
    let json = arguments.json;
    let request = WheelhouseRequest {
        wheels: arguments.wheels,
        out_dir: arguments.out_dir,
        python_versions: arguments.python_version,
        platform: arguments.platform,
        python: arguments.python.map(program).transpose()?,
        find_links: arguments.find_links,
        no_index: arguments.no_index,
    };
    let wheelhouse = request.run(report)?;
    if json {
        report.data(serde_json::to_string_pretty(&wheelhouse).map_err(std::io::Error::from)?);
    } else {
        report.data(wheelhouse.directory.display());
    }
    Ok(())
}
