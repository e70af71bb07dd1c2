//! `jnumpy-pack add`: adds Julia dependencies to a project.

use std::path::PathBuf;

use clap::Args;

use crate::packing::Error;
use crate::packing::add::{self, Added, Kind};
use crate::stages::julia::install;
use crate::stages::julia::{Choice, Surroundings};
use crate::stages::project::Project;
use jnumpy_base::Report;

/// Add Julia packages to a project's dependencies.
///
/// A standard library is added as a line in `Project.toml`, which needs neither a registry nor a network. For a directory
/// or a registered package, Pkg of the Julia in use also writes `Manifest.toml`. The rest of `Project.toml` stays
/// as it is. Prints each new dependency on stdout: name, version, and where it comes from.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Names of packages, for example `LinearAlgebra`, or directories of packages with a `/`, for example `../Helper`.
    ///
    /// Without names, the command downloads the packages that `Manifest.toml` lists.
    #[arg(value_name = "NAME|DIR")]
    packages: Vec<String>,
    /// Directory with `pyproject.toml`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// Julia to use; `auto` installs one if none is found.
    #[arg(long, value_name = "PATH|auto")]
    julia: Option<Choice>,
    /// Change no file of the project. Pkg still downloads what it would add.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    let project = Project::load(&arguments.project)?;
    let choice = arguments.julia.clone().unwrap_or_default();
    let julia = install::provide(&choice, &Surroundings::from_environment()?, report)?;
    let added = add::add(&project, &julia, &arguments.packages, arguments.dry_run, report)?;
    if arguments.json {
        report.data(serde_json::to_string_pretty(&added).map_err(std::io::Error::from)?);
    } else {
        print(&added, report);
    }
    if arguments.packages.is_empty() {
        report.say("the project's packages are in the depot");
    } else {
        say_next(&project, &added, report);
    }
    Ok(())
}

fn print(added: &Added, report: &Report) {
    for one in &added.added {
        let origin = match (one.kind, &one.path) {
            (Kind::StandardLibrary, _) => "standard library".into(),
            (_, Some(path)) => path.display().to_string(),
            (_, None) => "registry".into(),
        };
        report.data(format_args!("{}\t{}\t{origin}", one.name, one.version.as_deref().unwrap_or_default()));
    }
}

fn say_next(project: &Project, added: &Added, report: &Report) {
    if added.added.is_empty() {
        report.say("nothing to add");
        return;
    }
    let short = |path: &PathBuf| path.strip_prefix(&project.root).unwrap_or(path).display().to_string();
    let files: Vec<String> = added.files.iter().map(|path| format!("`{}`", short(path))).collect();
    let files = files.join(" and ");
    if added.dry_run {
        report.say(format_args!("nothing is changed; without `--dry-run`: {files}"));
        return;
    }
    let names: Vec<&str> = added.added.iter().map(|one| one.name.as_str()).collect();
    report.say(format_args!(
        "changed {files}; next: `using {}` in `{}/src/{}.jl`",
        names.join(", "),
        short(&project.package_dir),
        project.julia.name
    ));
}
