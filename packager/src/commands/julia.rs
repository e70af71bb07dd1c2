//! `jnumpy-pack julia`: which Julia is used, and installing one.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::packing::Error;
use crate::stages::julia::{self, Choice, Found, Julia, JuliaError, Surroundings, install};
use jnumpy_base::Report;

/// Find or install the Julia that wheels are built with.
///
/// Looked at in this order: `--julia`, the environment variable `TYPY_JL_EXE`, `julia` on `PATH`, and those installed
/// below `JNUMPY_HOME` (default: `~/.jnumpy`), the newest first.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the path of the Julia that is used.
    Find {
        /// Use this Julia; `auto` installs one when none is found.
        #[arg(long, value_name = "PATH|auto")]
        julia: Option<Choice>,
        #[command(flatten)]
        format: Format,
    },
    /// Print every Julia that could be used.
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Install a Julia for packing; says so when it is there already.
    Install {
        /// Where it comes from.
        #[arg(long, value_name = "SOURCE", default_value = "debian")]
        from: Source,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Args)]
struct Format {
    /// Print JSON rather than paths.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    /// Julia 1.5 from the Debian mirror that this machine's apt uses.
    Debian,
}

pub(super) fn run(arguments: Arguments, report: &Report) -> Result<(), Error> {
    let surroundings = Surroundings::from_environment()?;
    match arguments.command {
        Command::Find { julia: choice, format } => {
            let julia = install::provide(&choice.unwrap_or_default(), &surroundings, report)?;
            report.say(format_args!("Julia {} ({})", julia.version, julia.origin));
            show(&julia, &format, report);
        }
        Command::List { format } => {
            let found = julia::list(&surroundings)?;
            if format.json {
                json(&List { version: FORMAT, julias: found.iter().map(Row::of).collect() }, report);
            } else {
                for one in &found {
                    line(one, report);
                }
            }
        }
        Command::Install { from: Source::Debian, format } => {
            let installed = install::install(install::Source::Debian, &surroundings, report)?;
            let what = if installed.fresh { "installed" } else { "already installed, nothing to do" };
            report.say(format_args!("Julia {}: {what}", installed.julia.version));
            show(&installed.julia, &format, report);
        }
    }
    Ok(())
}

const FORMAT: u32 = 1;

#[derive(Serialize)]
struct List {
    julias: Vec<Row>,
    version: u32,
}

#[derive(Serialize)]
struct One {
    julia: Row,
    version: u32,
}

/// A Julia in JSON; keys in alphabetical order.
#[derive(Serialize)]
struct Row {
    executable: String,
    julia_version: Option<String>,
    libjulia: Option<String>,
    origin: String,
    prefix: Option<String>,
    problem: Option<String>,
}

impl Row {
    fn good(julia: &Julia) -> Self {
        Self {
            executable: julia.executable.display().to_string(),
            julia_version: Some(julia.version.to_string()),
            libjulia: Some(julia.prefix.join(&julia.layout.libjulia).display().to_string()),
            origin: julia.origin.to_string(),
            prefix: Some(julia.prefix.display().to_string()),
            problem: None,
        }
    }

    fn of(found: &Found) -> Self {
        let bad = |error: &JuliaError| Self {
            executable: found.executable.display().to_string(),
            julia_version: None,
            libjulia: None,
            origin: found.origin.to_string(),
            prefix: None,
            problem: Some(error.to_string()),
        };
        found.julia.as_ref().map_or_else(bad, Self::good)
    }
}

fn show(julia: &Julia, format: &Format, report: &Report) {
    if format.json {
        json(&One { julia: Row::good(julia), version: FORMAT }, report);
    } else {
        report.data(julia.executable.display());
    }
}

fn line(found: &Found, report: &Report) {
    match &found.julia {
        Ok(julia) => {
            report.data(format_args!("{}\t{}\t{}", julia.version, julia.executable.display(), julia.origin));
        }
        Err(error) => report.warn(error),
    }
}

fn json(value: &impl Serialize, report: &Report) {
    // These are strings and numbers only: nothing that JSON cannot say.
    if let Ok(text) = serde_json::to_string_pretty(value) {
        report.data(text);
    }
}
