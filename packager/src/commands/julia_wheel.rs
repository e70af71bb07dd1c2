//! `jnumpy-pack julia-wheel`: packs Julia alone.

use std::path::PathBuf;

use clap::Args;

use super::wheel::{Compress, finish, program};
use crate::packing::pack::Compiled;
use crate::packing::{Error, julia_wheel};
use crate::stages::julia::Choice;
use jnumpy_base::Report;
use jnumpy_wheel::Compression;

/// Pack Julia into a wheel of its own, for packages that share it.
///
/// `jnumpy-pack wheel --shared` packs projects that require it. The name contains the version of Julia, so that an
/// environment can hold several. Prints the path of the wheel on stdout.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory for the wheel.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out_dir: PathBuf,
    /// Julia to pack; `auto` installs one if none is found.
    #[arg(long, value_name = "PATH|auto")]
    julia: Option<Choice>,
    /// CPU targets of the runtime's Julia code, as for `julia --cpu-target`.
    #[arg(long, value_name = "TARGET")]
    cpu_target: Option<String>,
    /// How to compile the runtime's Julia code; default: `packages`, or `full` with Julia before 1.9.
    #[arg(long, value_name = "KIND", value_enum)]
    image: Option<Compiled>,
    /// Python with NumPy that runs the workload; default: the active environment's.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Runtime wheel to bundle; default: the one installed with this command.
    #[arg(long, value_name = "WHEEL")]
    runtime: Option<PathBuf>,
    /// Fail unless the wheel runs on this platform, for example `manylinux_2_28`; default: the oldest tag that its files
    /// allow.
    #[arg(long, value_name = "TAG")]
    platform: Option<String>,
    /// Compression level; default: `default`, or `best` if only `best` brings the wheel below the size limit of the Python
    /// index.
    #[arg(long, value_name = "HOW", value_enum)]
    compress: Option<Compress>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: Arguments, report: &Report) -> Result<(), Error> {
    let project = tempfile::Builder::new().prefix("jnumpy-project-").tempdir()?;
    let mut request = julia_wheel::request(&arguments.julia.unwrap_or_default(), project.path(), report)?;
    request.out_dir = arguments.out_dir;
    request.cpu_target = arguments.cpu_target;
    request.image = arguments.image;
    request.python = arguments.python.map(program).transpose()?;
    request.runtime = arguments.runtime;
    request.platform = arguments.platform;
    request.compression = arguments.compress.map(Compression::from);
    request.check_surroundings()?;
    let plan = request.plan(report)?;
    finish(&request, &plan, true, arguments.json, report)
}
