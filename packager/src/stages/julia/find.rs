//! Which Julia to use: the one that is named, else `TYPY_JL_EXE`, else `julia` on `PATH`, else an installed one.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::stages::julia::home::{self, Surroundings};
use crate::stages::julia::{Julia, JuliaError, Origin, layout};
use jnumpy_base::Report;

const COMMAND: &str = "julia";

/// What the user wants: the value of `--julia`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// Nothing was said: search.
    #[default]
    Search,
    /// `auto`: search, and install one when none is found.
    Auto,
    /// This one.
    Given(PathBuf),
}

impl Choice {
    /// The path that was given, if one was.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Given(path) => Some(path),
            Self::Search | Self::Auto => None,
        }
    }
}

impl FromStr for Choice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "auto" { Self::Auto } else { Self::Given(text.into()) })
    }
}

/// A Julia that was come across by [`list`]; perhaps one that does not work.
#[derive(Debug)]
pub struct Found {
    /// The executable as it was found, perhaps a launcher.
    pub executable: PathBuf,
    /// Where it was found.
    pub origin: Origin,
    /// The Julia, or why it is of no use.
    pub julia: Result<Julia, JuliaError>,
}

/// Finds the Julia to use. With `given` (the value of `--julia`) no other is looked at.
///
/// A Julia that was named and does not work is an error; one that is only come across is passed over with a warning.
pub fn find(given: Option<&Path>, surroundings: &Surroundings, report: &Report) -> Result<Julia, JuliaError> {
    if let Some(path) = given {
        return named(path, surroundings, &Origin::Flag);
    }
    if let Some(path) = &surroundings.chosen {
        return named(Path::new(path), surroundings, &Origin::Environment);
    }
    let mut searched = vec![format!("`{}` (not set)", jnumpy_base::env_vars::TYPY_JL_EXE)];
    for (executable, origin) in candidates(surroundings)? {
        match layout::ask(&executable, &origin) {
            Ok(julia) => return Ok(julia),
            Err(error @ JuliaError::Interrupted(_)) => return Err(error),
            Err(error) => {
                report.warn(format_args!("passed over: {}", with_causes(&error)));
                searched.push(format!("`{}` ({origin}, does not work)", executable.display()));
            }
        }
    }
    searched.push(format!("`PATH` ({} directories)", std::env::split_paths(&surroundings.path).count()));
    searched.push(format!("`{}`", surroundings.managed.display()));
    Err(JuliaError::NotFound { searched })
}

/// Everything that [`find`] could take, in its order; each Julia once.
pub fn list(surroundings: &Surroundings) -> Result<Vec<Found>, JuliaError> {
    let chosen = surroundings.chosen.iter().map(|path| (PathBuf::from(path), Origin::Environment));
    let mut found: Vec<Found> = Vec::new();
    for (executable, origin) in chosen.chain(candidates(surroundings)?) {
        let julia = match &origin {
            Origin::Environment => named(&executable, surroundings, &origin),
            _ => layout::ask(&executable, &origin),
        };
        let known = |one: &Julia| {
            found
                .iter()
                .any(|other| other.julia.as_ref().is_ok_and(|other| other.executable == one.executable))
        };
        match julia {
            Err(error @ JuliaError::Interrupted(_)) => return Err(error),
            Ok(julia) if known(&julia) => {}
            julia => found.push(Found { executable, origin, julia }),
        }
    }
    Ok(found)
}

/// The Julia that the user named; without a slash it is a command's name, as for a shell.
fn named(path: &Path, surroundings: &Surroundings, origin: &Origin) -> Result<Julia, JuliaError> {
    let executable = if path.as_os_str().as_encoded_bytes().contains(&b'/') {
        Some(path.to_path_buf()).filter(|path| path.is_file())
    } else {
        on_path(path.as_os_str(), &surroundings.path).next()
    };
    let not_there = || JuliaError::NotThere { path: path.into(), origin: origin.clone() };
    layout::ask(&executable.ok_or_else(not_there)?, origin)
}

/// What is on `PATH`, then what was installed.
fn candidates(surroundings: &Surroundings) -> Result<Vec<(PathBuf, Origin)>, JuliaError> {
    let mut found: Vec<_> = on_path(OsStr::new(COMMAND), &surroundings.path)
        .map(|executable| (executable, Origin::Path))
        .collect();
    for (id, prefix) in home::installed(&surroundings.managed)? {
        found.push((prefix.join("bin").join(COMMAND), Origin::Managed(id)));
    }
    Ok(found)
}

fn on_path(command: &OsStr, path: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(command))
        .filter(|file| {
            fs_err::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
        .collect::<Vec<_>>()
        .into_iter()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::julia::record::Record;
    use crate::stages::julia::tests::{FakeJulia, write_script};

    struct Machine {
        directory: tempfile::TempDir,
        surroundings: Surroundings,
    }

    /// A machine with no Julia, whose `PATH` has the directories `one` and `two`.
    fn machine() -> Machine {
        let directory = tempfile::tempdir().unwrap();
        let place = fs_err::canonicalize(directory.path()).unwrap();
        let path = std::env::join_paths([place.join("one"), place.join("two")]).unwrap();
        let surroundings = Surroundings { chosen: None, path, managed: place.join("home/julia") };
        Machine { directory, surroundings }
    }

    impl Machine {
        fn place(&self, name: &str) -> PathBuf {
            fs_err::canonicalize(self.directory.path()).unwrap().join(name)
        }

        fn launcher(&self, directory: &str, version: &str) {
            let real = FakeJulia::new(version).write(&self.place(&format!("real/{version}")));
            let script = format!("exec '{}' \"$@\"", real.display());
            write_script(&self.place(directory).join("julia"), &script);
        }

        fn managed(&self, id: &str, version: &str) {
            let prefix = self.surroundings.managed.join(id);
            FakeJulia::new(version).write(&prefix);
            Record::new("debian", "bullseye", &version.parse().unwrap()).write(&prefix).unwrap();
        }

        fn find(&self, given: Option<&Path>) -> Result<Julia, JuliaError> {
            find(given, &self.surroundings, &Report::new(true))
        }
    }

    #[test]
    fn ok_order_of_the_places() {
        let mut machine = machine();
        let version = |machine: &Machine, given: Option<&Path>| {
            let julia = machine.find(given).unwrap();
            (julia.version.to_string(), julia.origin)
        };
        machine.managed("old", "1.5.3");
        machine.managed("new", "1.10.0");
        assert_eq!(version(&machine, None), ("1.10.0".into(), Origin::Managed("new".into())));
        machine.launcher("two", "1.6.2");
        assert_eq!(version(&machine, None), ("1.6.2".into(), Origin::Path));
        machine.launcher("one", "1.6.1");
        assert_eq!(version(&machine, None), ("1.6.1".into(), Origin::Path));
        machine.surroundings.chosen = Some(machine.place("two/julia").into());
        assert_eq!(version(&machine, None), ("1.6.2".into(), Origin::Environment));
        let given = FakeJulia::new("1.7.3").write(&machine.place("given"));
        assert_eq!(version(&machine, Some(&given)), ("1.7.3".into(), Origin::Flag));
        // A name without a slash is looked up as a shell does.
        assert_eq!(version(&machine, Some(Path::new("julia"))), ("1.6.1".into(), Origin::Flag));
    }

    #[test]
    fn ok_work_in_progress_is_not_found() {
        let machine = machine();
        machine.managed(".tmp-abc", "1.10.0");
        FakeJulia::new("1.9.0").write(&machine.surroundings.managed.join("no-record"));
        assert!(matches!(machine.find(None), Err(JuliaError::NotFound { .. })));
        assert!(list(&machine.surroundings).unwrap().is_empty());
    }

    #[test]
    fn err_not_found_names_every_place_and_the_way_out() {
        use jnumpy_base::Hint;
        let machine = machine();
        write_script(&machine.place("one/julia"), "echo broken >&2; exit 3");
        let error = machine.find(None).unwrap_err();
        let expected = format!(
            "no Julia found, looked in: `TYPY_JL_EXE` (not set); `{}` (PATH, does not work); `PATH` (2 directories); `{}`",
            machine.place("one/julia").display(),
            machine.surroundings.managed.display(),
        );
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().contains("`jnumpy-pack julia install`"));
    }

    #[test]
    fn err_a_named_julia_that_fails_is_not_passed_over() {
        let mut machine = machine();
        machine.managed("good", "1.10.0");
        let bad = machine.place("bad/julia");
        write_script(&bad, "echo 'cannot open libjulia' >&2; exit 3");
        machine.surroundings.chosen = Some(bad.clone().into());
        let error = machine.find(None).unwrap_err();
        assert_eq!(error.to_string(), format!("the Julia `{}` (TYPY_JL_EXE) does not start", bad.display()));
        let causes = with_causes(&error);
        assert!(causes.contains("exit status: 3: cannot open libjulia"), "{causes}");
    }

    #[test]
    fn err_a_named_julia_that_is_not_there() {
        let machine = machine();
        let error = machine.find(Some(Path::new("/no/julia"))).unwrap_err();
        assert_eq!(error.to_string(), "there is no Julia at `/no/julia`, which --julia names");
        let error = machine.find(Some(Path::new("julia-nightly"))).unwrap_err();
        assert!(matches!(error, JuliaError::NotThere { .. }));
    }

    #[test]
    fn ok_list_has_each_julia_once_and_the_broken_ones() {
        let mut machine = machine();
        machine.launcher("one", "1.6.1");
        machine.surroundings.chosen = Some(machine.place("one/julia").into());
        write_script(&machine.place("two/julia"), "exit 1");
        machine.managed("new", "1.10.0");
        let found = list(&machine.surroundings).unwrap();
        let origins: Vec<_> = found.iter().map(|one| (one.origin.to_string(), one.julia.is_ok())).collect();
        let expected = [("TYPY_JL_EXE", true), ("PATH", false), ("installed as new", true)]
            .map(|(o, ok)| (o.to_owned(), ok));
        assert_eq!(origins, expected);
    }
}
