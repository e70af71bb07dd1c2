//! Finds the Julia to use: the one that `--julia` names, otherwise the first one by the rules in `finder.json`.
//!
//! The runtime uses the same rules, in `_find.py`. `tests/support/julia_cases.json` contains cases that both must agree on.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::stages::julia::home::{self, Surroundings};
use crate::stages::julia::rules::{Location, rules};
use crate::stages::julia::{Julia, JuliaError, Origin, juliaup, layout};
use jnumpy_base::{Report, env_vars};

const COMMAND: &str = "julia";

/// What the user wants: the value of `--julia`.
#[derive(Debug, Clone, Default)]
pub enum Choice {
    /// No `--julia`: search for one.
    #[default]
    Search,
    /// `auto`: search, and install one when none is found.
    Auto,
    /// The Julia with this path or command.
    Given(PathBuf),
    /// This Julia, which was found before.
    Found(Box<Julia>),
}

impl Choice {
    /// The path that was given, if one was.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Given(path) => Some(path),
            Self::Search | Self::Auto | Self::Found(_) => None,
        }
    }
}

impl FromStr for Choice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "auto" { Self::Auto } else { Self::Given(text.into()) })
    }
}

/// A Julia in the result of [`list`], which may not work.
#[derive(Debug)]
pub struct Found {
    /// The executable as it was found, which may be a launcher.
    pub executable: PathBuf,
    /// Where it was found.
    pub origin: Origin,
    /// The Julia, or why it is of no use.
    pub julia: Result<Julia, JuliaError>,
}

/// Finds the Julia to use. With `given` (the value of `--julia`), no other is considered.
///
/// It is an error if a Julia that was named does not work. Any other Julia that does not work is skipped with a warning.
pub fn find(given: Option<&Path>, surroundings: &Surroundings, report: &Report) -> Result<Julia, JuliaError> {
    let julia = match given {
        Some(path) => ask(path, surroundings, &Origin::Flag)?,
        None => search(surroundings, report)?,
    };
    if rules().is_untried(&julia.version) {
        let newest = &rules().newest;
        report.warn(format_args!(
            "Julia {} is newer than {newest}, the newest version that JNumPy was tested with",
            julia.version
        ));
    }
    Ok(julia)
}

fn search(surroundings: &Surroundings, report: &Report) -> Result<Julia, JuliaError> {
    let mut searched = Vec::new();
    for location in &rules().locations {
        let candidates = match candidates(*location, surroundings) {
            Ok(candidates) => candidates,
            Err(error) if matches!(location, Location::Juliaup) => {
                report.warn(format_args!("skipped: {}", with_causes(&error)));
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        for (executable, origin) in candidates {
            match ask(&executable, surroundings, &origin) {
                Ok(julia) => return Ok(julia),
                Err(error) if origin.is_a_choice() || matches!(error, JuliaError::Interrupted(_)) => {
                    return Err(error);
                }
                Err(error) => {
                    report.warn(format_args!("skipped: {}", with_causes(&error)));
                    searched.push(format!("`{}` ({origin}, does not work)", executable.display()));
                }
            }
        }
        searched.extend(describe(*location, surroundings));
    }
    Err(JuliaError::NotFound { searched })
}

/// Every Julia that [`find`] could use, in its order, without duplicates.
pub fn list(surroundings: &Surroundings) -> Result<Vec<Found>, JuliaError> {
    let mut found: Vec<Found> = Vec::new();
    for (executable, origin) in
        rules().locations.iter().flat_map(|location| everything(*location, surroundings))
    {
        let julia = match executable {
            Ok(executable) => (ask(&executable, surroundings, &origin), executable),
            Err(error) => (Err(error), PathBuf::new()),
        };
        let known = |one: &Julia| {
            found
                .iter()
                .any(|other| other.julia.as_ref().is_ok_and(|other| other.executable == one.executable))
        };
        match julia {
            (Err(error @ JuliaError::Interrupted(_)), _) => return Err(error),
            (Ok(julia), _) if known(&julia) => {}
            (julia, executable) => found.push(Found { executable, origin, julia }),
        }
    }
    Ok(found)
}

/// The results of [`candidates`], with a failure as one more candidate.
fn everything(location: Location, surroundings: &Surroundings) -> Vec<(Result<PathBuf, JuliaError>, Origin)> {
    match candidates(location, surroundings) {
        Ok(found) => found.into_iter().map(|(executable, origin)| (Ok(executable), origin)).collect(),
        Err(error) => {
            let origin = match location {
                Location::Default => Origin::Default(String::new()),
                _ => Origin::Juliaup,
            };
            vec![(Err(error), origin)]
        }
    }
}

/// What is at one of the locations, in the order of preference.
fn candidates(location: Location, surroundings: &Surroundings) -> Result<Vec<(PathBuf, Origin)>, JuliaError> {
    let managed = &surroundings.managed;
    let executable = |prefix: &Path| prefix.join("bin").join(COMMAND);
    Ok(match location {
        Location::Variable => {
            surroundings.chosen.iter().map(|value| (PathBuf::from(value), Origin::Environment)).collect()
        }
        Location::Default => home::default(managed)?
            .map(|installed| (executable(&installed.prefix), Origin::Default(installed.id)))
            .into_iter()
            .collect(),
        Location::Path => on_path(OsStr::new(COMMAND), &surroundings.path)
            .map(|executable| (executable, Origin::Path))
            .collect(),
        Location::Installed => home::installed(managed)?
            .into_iter()
            .map(|installed| (executable(&installed.prefix), Origin::Managed(installed.id)))
            .collect(),
        Location::Juliaup => {
            let config = surroundings.juliaup.as_deref();
            let channel = surroundings.channel.as_deref();
            let found = config.map(|config| juliaup::default(config, channel)).transpose()?.flatten();
            found.map(|executable| (executable, Origin::Juliaup)).into_iter().collect()
        }
    })
}

/// The location, for the message that nothing was found.
fn describe(location: Location, surroundings: &Surroundings) -> Option<String> {
    match location {
        Location::Variable => Some(format!("`{}` (not set)", env_vars::TYPY_JL_EXE)),
        Location::Default => None,
        Location::Path => {
            Some(format!("`PATH` ({} directories)", std::env::split_paths(&surroundings.path).count()))
        }
        Location::Installed => Some(format!("`{}`", surroundings.managed.display())),
        Location::Juliaup => surroundings.juliaup.as_ref().map(|config| format!("`{}`", config.display())),
    }
}

/// Starts what a value names: a path, a command on `PATH`, or `julia +CHANNEL`.
fn ask(value: &Path, surroundings: &Surroundings, origin: &Origin) -> Result<Julia, JuliaError> {
    let executable = named(value, surroundings, origin)?;
    if executable.is_dir() {
        return Err(JuliaError::Directory { path: executable, origin: origin.clone() });
    }
    if !is_executable(&executable) {
        return Err(JuliaError::NotThere { path: value.into(), origin: origin.clone() });
    }
    layout::ask(&executable, origin)
}

fn named(value: &Path, surroundings: &Surroundings, origin: &Origin) -> Result<PathBuf, JuliaError> {
    if let (Some(channel), Some(config)) = (channel(value), &surroundings.juliaup) {
        return juliaup::channel(config, channel);
    }
    if value.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Ok(value.to_path_buf());
    }
    on_path(value.as_os_str(), &surroundings.path)
        .next()
        .ok_or_else(|| JuliaError::NotThere { path: value.into(), origin: origin.clone() })
}

/// The channel in `+1.10`, `julia +1.10` and `/path/to/julia +1.10`.
fn channel(value: &Path) -> Option<&str> {
    let (command, channel) = value.to_str()?.rsplit_once('+')?;
    let is_command =
        command.is_empty() || command.strip_suffix(' ').is_some_and(|path| path.ends_with(COMMAND));
    (is_command && !channel.is_empty() && !channel.contains(['/', ' '])).then_some(channel)
}

fn on_path(command: &OsStr, path: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(command))
        .filter(|file| is_executable(file))
        .collect::<Vec<_>>()
        .into_iter()
}

fn is_executable(file: &Path) -> bool {
    fs_err::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
