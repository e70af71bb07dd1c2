//! The command line: one file per command. A command parses its arguments, calls the library, and prints the result.

mod about;
mod audit;
mod cache;
mod doctor;
mod editable;
mod julia;
mod new;
mod sdist;
mod show;
mod wheel;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::packing::Error;
use jnumpy_base::{Report, interrupt};

/// Pack a Python package with a Julia core into a self-contained wheel.
///
/// The wheel contains Julia, the project's Julia dependencies, and a prebuilt system image. Users install it with
/// `pip install` and need no Julia and no network.
#[derive(Debug, Parser)]
#[command(name = "jnumpy-pack", version, max_term_width = 100)]
struct Cli {
    /// Print only warnings and errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Trace decisions and child commands to stderr; -vv adds their inputs and environments.
    ///
    /// Each line starts with the seconds since the start.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
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
    Show(show::Arguments),
    Julia(julia::Arguments),
    Cache(cache::Arguments),
    Doctor(doctor::Arguments),
    About(about::Arguments),
}

/// Parses the arguments, runs the command, and returns the exit status: 0 success, 1 a problem with the input or the
/// machine (explained on stderr), 2 wrong usage, 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    interrupt::install();
    let report = Report::new(cli.quiet).tracing(cli.verbose);
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
        Command::Show(arguments) => show::run(&arguments, report),
        Command::Julia(arguments) => julia::run(arguments, report),
        Command::Cache(arguments) => cache::run(arguments, report),
        Command::Doctor(arguments) => doctor::run(&arguments, report),
        Command::About(arguments) => about::run(&arguments, report),
    }
}
