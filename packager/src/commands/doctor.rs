//! `jnumpy-pack doctor`: whether this machine has what packing and development need.

use std::path::{Path, PathBuf};

use clap::Args;
use nix::sys::resource::{Resource, getrlimit, rlim_t};
use nix::sys::statvfs::statvfs;
use serde::Serialize;

use super::wheel::grouped;
use crate::packing::Error;
use crate::stages::image;
use crate::stages::julia::{self, Surroundings};
use crate::stages::runtime_wheel::RuntimeWheel;
use jnumpy_base::{Hint, Report, interrupt};

/// Disk space for building an image: an archive, the image, and a copy in the cache.
const SPACE: u64 = 2_000_000_000;
/// Address space. Julia reserves it for its heap and its code long before it uses it.
const ADDRESSES: u64 = 16_000_000_000;

/// Check what packing and development need on this machine.
///
/// Each line contains the result of one check, its name, what was found, and what to do. The exit status is 1 if a required
/// check fails; an optional check that fails gives a warning.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print JSON rather than text.
    #[arg(long)]
    pub(super) json: bool,
}

/// JSON output; keys in alphabetical order.
#[derive(Serialize)]
struct Findings {
    checks: Vec<Check>,
    ready: bool,
    version: u32,
}

#[derive(Serialize)]
struct Check {
    found: String,
    name: &'static str,
    remedy: Option<String>,
    result: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warning,
    Failed,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { found: found.into(), name, remedy: None, result: Outcome::Ok }
    }

    fn failed<E: std::error::Error + Hint>(name: &'static str, error: &E) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let found = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
        Self { found, name, remedy: error.hint(), result: Outcome::Failed }
    }

    fn warning(name: &'static str, found: String, remedy: &str) -> Self {
        Self { found, name, remedy: Some(remedy.into()), result: Outcome::Warning }
    }
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let mut checks = vec![julia(report)?];
    interrupt::check()?;
    checks.push(linker());
    checks.push(python()?);
    checks.push(runtime());
    checks.push(cache()?);
    checks.push(space("space-home", &julia::home()?, "set `JNUMPY_HOME` to a directory on a larger disk")?);
    checks.push(space(
        "space-temporary",
        &std::env::temp_dir(),
        "set `TMPDIR` to a directory on a larger disk",
    )?);
    checks.push(addresses()?);

    let missing: Vec<_> =
        checks.iter().filter(|check| check.result == Outcome::Failed).map(|check| check.name).collect();
    if arguments.json {
        let findings = Findings { checks, ready: missing.is_empty(), version: 1 };
        report.data(serde_json::to_string_pretty(&findings).map_err(std::io::Error::from)?);
    } else {
        for check in &checks {
            let result = match check.result {
                Outcome::Ok => "ok",
                Outcome::Warning => "warning",
                Outcome::Failed => "failed",
            };
            let remedy = check.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            // One line each, also where an error has several.
            let found = format!("{}{remedy}", check.found).replace('\n', " ");
            report.data(format_args!("{result:<8} {:<16} {found}", check.name));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Lacking { missing }) }
}

fn julia(report: &Report) -> Result<Check, Error> {
    const NAME: &str = "julia";
    match julia::find(None, &Surroundings::from_environment()?, report) {
        Ok(julia) => {
            let found = format!("{} at {} ({})", julia.version, julia.executable.display(), julia.origin);
            Ok(Check::ok(NAME, found))
        }
        Err(error) => Ok(Check::failed(NAME, &error)),
    }
}

fn linker() -> Check {
    const NAME: &str = "linker";
    image::linker().map_or_else(|error| Check::failed(NAME, &error), |version| Check::ok(NAME, version))
}

fn python() -> Result<Check, Error> {
    const NAME: &str = "python";
    Ok(match image::python()? {
        Ok(path) => Check::ok(NAME, path.display().to_string()),
        Err(reason) => Check::warning(
            NAME,
            format!("no Python can run the project while packing, so first calls compile: {reason}"),
            "install NumPy for that Python, or name one with `--python PATH`",
        ),
    })
}

fn runtime() -> Check {
    const NAME: &str = "runtime";
    RuntimeWheel::open(None).map_or_else(
        |error| Check::failed(NAME, &error),
        |runtime| Check::ok(NAME, format!("{} in {}", runtime.version, runtime.wheel.display())),
    )
}

fn cache() -> Result<Check, Error> {
    let directory = image::directory(&julia::home()?);
    let images = image::list(&directory)?;
    let size = images.iter().map(|image| image.size).sum();
    Ok(Check::ok(
        "cache",
        format!("{} bytes in {} images in {}", grouped(size), images.len(), directory.display()),
    ))
}

/// The free space where `path` is, or will be.
fn space(name: &'static str, path: &Path, remedy: &str) -> Result<Check, Error> {
    let there: PathBuf = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).into();
    let status = statvfs(&there).map_err(std::io::Error::from)?;
    let free = status.blocks_available() * status.fragment_size();
    let found = format!("{} bytes free in {}", grouped(free), there.display());
    Ok(if free < SPACE { Check::warning(name, found, remedy) } else { Check::ok(name, found) })
}

fn addresses() -> Result<Check, Error> {
    const NAME: &str = "address-space";
    let (limit, _) = getrlimit(Resource::RLIMIT_AS).map_err(std::io::Error::from)?;
    Ok(if limit == rlim_t::MAX {
        Check::ok(NAME, "not limited")
    } else if limit < ADDRESSES {
        let found = format!("limited to {} bytes; Julia reserves more", grouped(limit));
        Check::warning(NAME, found, "raise the limit with `ulimit -v`, or ask for more memory")
    } else {
        Check::ok(NAME, format!("limited to {} bytes", grouped(limit)))
    })
}
