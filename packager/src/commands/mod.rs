//! The command line: one thin file per command. Flags only say what to do; the library does it.

mod about;
mod audit;
mod cache;
mod editable;
mod julia;
mod new;
mod sdist;
mod wheel;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::packing::Error;
use jnumpy_base::{Report, interrupt};

/// Pack a Python package with a Julia core into a self-contained wheel.
///
/// The wheel holds Julia, the project's dependencies and a prebuilt system image: `pip install` is all a user needs,
/// on a machine with no Julia and no network.
#[derive(Debug, Parser)]
#[command(name = "jnumpy-pack", version, max_term_width = 100)]
struct Cli {
    /// Say only warnings and errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Arguments),
    Wheel(wheel::Arguments),
    Sdist(sdist::Arguments),
    Editable(editable::Arguments),
    Audit(audit::Arguments),
    Julia(julia::Arguments),
    Cache(cache::Arguments),
    About(about::Arguments),
}

/// Parses the arguments, runs the command and returns the exit status:
/// 0 done, 1 something is wrong with the input or the machine (said on stderr), 2 bad usage, 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    interrupt::install();
    let report = Report::new(cli.quiet);
    match run(cli.command, &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            ExitCode::from(if interrupt::check().is_err() { 130 } else { 1 })
        }
    }
}

fn run(command: Command, report: &Report) -> Result<(), Error> {
    match command {
        Command::New(arguments) => new::run(&arguments, report),
        Command::Wheel(arguments) => wheel::run(arguments, report),
        Command::Sdist(arguments) => sdist::run(&arguments, report),
        Command::Editable(arguments) => editable::run(&arguments, report),
        Command::Audit(arguments) => audit::run(&arguments, report),
        Command::Julia(arguments) => julia::run(arguments, report),
        Command::Cache(arguments) => cache::run(arguments, report),
        Command::About(arguments) => about::run(&arguments, report),
    }
}
