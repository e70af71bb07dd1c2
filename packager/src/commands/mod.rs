//! The command line: one file per command. A command parses its arguments, calls the library, and prints the result.

mod about;
mod add;
mod audit;
mod cache;
mod doctor;
mod editable;
mod julia;
mod julia_wheel;
mod new;
mod sdist;
mod shell;
mod show;
mod smoke;
mod wheel;
mod wheelhouse;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use serde::Serialize;

use crate::packing::Error;
use jnumpy_base::text::printable;
use jnumpy_base::{Hint, Report, interrupt};

/// Version of the JSON form of errors.
const ERROR_FORMAT: u32 = 1;
/// The option for one JSON object on stdout. With it, even a usage error prints one.
const JSON: &str = "--json";

/// Position in the help of options that all commands have.
const LAST: usize = 900;

/// Pack a Python package with a Julia core into a self-contained wheel.
///
/// The wheel contains Julia, the project's Julia dependencies, and a prebuilt system image. Users install it with
/// `pip install` and need no Julia and no network.
#[derive(Debug, Parser)]
#[command(name = "jnumpy-pack", version, max_term_width = 100)]
struct Cli {
    /// Print only warnings and errors.
    #[arg(short, long, global = true, display_order = LAST)]
    quiet: bool,
    /// Trace decisions and child commands to stderr; -vv adds their inputs and environments.
    ///
    /// Each line starts with the seconds since the start.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet", display_order = LAST)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Arguments),
    Add(add::Arguments),
    Wheel(wheel::Arguments),
    JuliaWheel(julia_wheel::Arguments),
    Sdist(sdist::Arguments),
    Editable(editable::Arguments),
    Audit(audit::Arguments),
    Show(show::Arguments),
    Smoke(smoke::Arguments),
    Wheelhouse(wheelhouse::Arguments),
    Julia(julia::Arguments),
    Cache(cache::Arguments),
    Doctor(doctor::Arguments),
    About(about::Arguments),
    Completions(shell::CompletionsArguments),
    Man(shell::ManArguments),
}

impl Command {
    /// Whether stdout must contain one JSON object.
    fn json(&self) -> bool {
        match self {
            Self::Add(arguments) => arguments.json,
            Self::Wheel(arguments) => arguments.json,
            Self::JuliaWheel(arguments) => arguments.json,
            Self::Audit(arguments) => arguments.json,
            Self::Show(arguments) => arguments.json,
            Self::Smoke(arguments) => arguments.json,
            Self::Wheelhouse(arguments) => arguments.json,
            Self::Julia(arguments) => arguments.json(),
            Self::Cache(arguments) => arguments.json(),
            Self::Doctor(arguments) => arguments.json,
            Self::New(_)
            | Self::Sdist(_)
            | Self::Editable(_)
            | Self::About(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}

/// The JSON form of an error; keys in alphabetical order.
#[derive(Serialize)]
struct Failure {
    error: FailurePart,
    version: u32,
}

#[derive(Serialize)]
struct FailurePart {
    /// The causes, the nearest first.
    causes: Vec<String>,
    kind: &'static str,
    message: String,
    remedy: Option<String>,
}

impl Failure {
    fn of(error: &Error) -> Self {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let kind = if interrupt::check().is_err() { "interrupted" } else { error.kind() };
        let error = FailurePart {
            causes: causes.map(ToString::to_string).collect(),
            kind,
            message: error.to_string(),
            remedy: error.hint(),
        };
        Self { error, version: ERROR_FORMAT }
    }

    /// The error with the first paragraph of clap's message.
    fn of_usage(error: &clap::Error) -> Self {
        let said = error.to_string();
        let message = said.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        let error = FailurePart {
            causes: Vec::new(),
            kind: "usage",
            message: printable(&message.replace('\n', " ")),
            remedy: Some("`--help` lists the options".into()),
        };
        Self { error, version: ERROR_FORMAT }
    }

    fn print(&self, report: &Report) {
        // A map of strings cannot fail to become JSON.
        report.data(serde_json::to_string_pretty(self).unwrap_or_default());
    }
}

/// Parses the arguments, runs the command, and returns the exit status: 0 success, 1 a problem with the input or the
/// machine (explained on stderr), 2 wrong usage, 130 interrupted.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() && std::env::args_os().any(|argument| argument == JSON) {
                Failure::of_usage(&error).print(&Report::new(true));
            }
            // A failure to write to stderr cannot be reported.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    interrupt::install();
    let report = Report::new(cli.quiet).tracing(cli.verbose);
    let json = cli.command.json();
    match run(cli.command, &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If the command has already printed an object, such as an audit that failed, it stays the only one.
            if json && !report.has_data() {
                Failure::of(&error).print(&report);
            }
            report.error(&error);
            ExitCode::from(if interrupt::check().is_err() { 130 } else { 1 })
        }
    }
}

fn run(command: Command, report: &Report) -> Result<(), Error> {
    match command {
        Command::New(arguments) => new::run(&arguments, report),
        Command::Add(arguments) => add::run(&arguments, report),
        Command::Wheel(arguments) => wheel::run(arguments, report),
        Command::JuliaWheel(arguments) => julia_wheel::run(arguments, report),
        Command::Sdist(arguments) => sdist::run(&arguments, report),
        Command::Editable(arguments) => editable::run(&arguments, report),
        Command::Audit(arguments) => audit::run(&arguments, report),
        Command::Show(arguments) => show::run(&arguments, report),
        Command::Smoke(arguments) => smoke::run(arguments, report),
        Command::Wheelhouse(arguments) => wheelhouse::run(arguments, report),
        Command::Julia(arguments) => julia::run(arguments, report),
        Command::Cache(arguments) => cache::run(arguments, report),
        Command::Doctor(arguments) => doctor::run(&arguments, report),
        Command::About(arguments) => about::run(&arguments, report),
        Command::Completions(arguments) => {
            shell::completions(&arguments, Cli::command(), report);
            Ok(())
        }
        Command::Man(arguments) => shell::man(&arguments, Cli::command(), report),
    }
}
