//! `jnumpy-pack new`: creates a project.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::packing::Error;
use crate::packing::scaffold::{self, Names};
use jnumpy_base::{Report, process};

/// Create a project with an exported function, a test, and a workload.
///
/// Changes no existing file. Prints the directory of the project on stdout.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Distribution name, for example `my-solver`. The Python package is then `my_solver` and the Julia module
    /// `MySolver`. With `.`, the project is created in the current directory and takes its name.
    name: String,
    /// Parent directory of the new project.
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let root = if arguments.name == "." {
        let root = std::path::absolute(&arguments.directory)?;
        let name = root.file_name().map(|name| name.to_string_lossy().into_owned());
        scaffold::create_in(&Names::new(&name.unwrap_or_default())?, &root, author().as_deref())?;
        root
    } else {
        scaffold::create(&Names::new(&arguments.name)?, &arguments.directory, author().as_deref())?
    };
    report.say(format_args!(
        "next steps in `{}`: `python -m pytest` tests the project from source, `jnumpy-pack wheel .` packs it",
        root.display()
    ));
    report.data(root.display());
    Ok(())
}

/// The user's name in git's configuration.
fn author() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["config", "user.name"]);
    let said = process::run(git, None, |_| ()).ok()?;
    Some(said.stdout.trim().to_owned()).filter(|name| !name.is_empty())
}
