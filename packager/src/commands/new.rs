//! `jnumpy-pack new`: a project to start from.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::packing::Error;
use crate::packing::scaffold::{self, Names};
use jnumpy_base::{Report, process};

/// Make a new project that packs and passes its own test.
///
/// Nothing that exists is changed. The directory of the project is printed on stdout.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The name to install the package by, for example `my-solver`; the Python package is then `my_solver`, the
    /// Julia module `MySolver`.
    name: String,
    /// Where to make the project's directory.
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let names = Names::new(&arguments.name)?;
    let root = scaffold::create(&names, &arguments.directory, author().as_deref())?;
    report.say(format_args!(
        "next, in `{}`: `python -m pytest` tries it from its sources, `jnumpy-pack wheel .` packs it",
        root.display()
    ));
    report.data(root.display());
    Ok(())
}

/// The name that git knows the user by, if it does.
fn author() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["config", "user.name"]);
    let said = process::run(git, None, |_| ()).ok()?;
    Some(said.stdout.trim().to_owned()).filter(|name| !name.is_empty())
}
