//! Runs child Julias. All of them are started here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::stages::julia::{Julia, JuliaError};
use jnumpy_base::process::{self, ChildError, Output};

/// A Julia to be run: arguments, environment, log. Consumed by [`Run::run`].
///
/// The child does not get the `JULIA_*` and `LD_*` variables of this process, because a depot, a project, or a preloaded library
/// could end up in the wheel. Variables that it needs are set with [`Run::env`].
#[derive(Debug)]
#[must_use]
pub struct Run {
    executable: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    directory: Option<PathBuf>,
    log: Option<PathBuf>,
}

impl Run {
    /// Prepares to run `julia` without its startup file.
    pub fn new(julia: &Julia) -> Self {
        Self::executable(&julia.executable)
    }

    /// As [`Run::new`], for an executable about which nothing else is known yet.
    pub(crate) fn executable(executable: &Path) -> Self {
        Self {
            executable: executable.into(),
            arguments: vec!["--startup-file=no".into()],
            environment: BTreeMap::new(),
            directory: None,
            log: None,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().into()));
        self
    }

    /// Sets a variable of the child's environment; `JULIA_*` is allowed here.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().into(), value.as_ref().into());
        self
    }

    /// Runs it in `directory` rather than in the current one.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Writes the command line and all output to this file, as it comes.
    pub fn log(mut self, file: impl Into<PathBuf>) -> Self {
        self.log = Some(file.into());
        self
    }

    /// Runs Julia to its end, with nothing on stdin and both streams captured.
    ///
    /// `progress` is called about twenty times a second with the time since the start. On Ctrl-C the child and all it
    /// started are killed and the result is [`JuliaError::Interrupted`]; another exit status than zero is
    /// [`JuliaError::Child`], with the end of stderr as its cause.
    pub fn run(self, progress: impl FnMut(Duration)) -> Result<Output, JuliaError> {
        Ok(self.run_child(progress)?)
    }

    pub(crate) fn run_child(self, progress: impl FnMut(Duration)) -> Result<Output, ChildError> {
        let mut command = Command::new(&self.executable);
        command.args(&self.arguments);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_surprise(name)) {
            command.env_remove(name);
        }
        command.envs(&self.environment);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        process::run(command, self.log.as_deref(), progress)
    }
}

fn is_surprise(name: &OsStr) -> bool {
    [b"JULIA_".as_slice(), b"LD_"].iter().any(|prefix| name.as_bytes().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_which_variables_are_surprises() {
        for name in ["JULIA_DEPOT_PATH", "JULIA_NUM_THREADS", "LD_LIBRARY_PATH", "LD_PRELOAD"] {
            assert!(is_surprise(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "JULIAUP_CHANNEL", "HOME", "OLD_JULIA_X", "TYPY_JL_EXE"] {
            assert!(!is_surprise(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn ok_arguments_environment_and_directory_arrive() {
        let directory = tempfile::tempdir().unwrap();
        let run = Run::executable(Path::new("/bin/echo")).arg("one").args(["two", "three"]);
        assert_eq!(run.run(|_| ()).unwrap().stdout, "--startup-file=no one two three\n");

        let script = directory.path().join("script.sh");
        fs_err::write(&script, "echo $JULIA_DEPOT_PATH; pwd -P").unwrap();
        // `sh` would treat the first argument as an unknown option, so it is run by `env`.
        let output = Run { arguments: vec![], ..Run::executable(Path::new("/usr/bin/env")) }
            .args([OsStr::new("sh"), script.as_os_str()])
            .env("JULIA_DEPOT_PATH", "depot")
            .directory(directory.path())
            .run(|_| ())
            .unwrap();
        let location = fs_err::canonicalize(directory.path()).unwrap();
        assert_eq!(output.stdout, format!("depot\n{}\n", location.display()));
    }
}
