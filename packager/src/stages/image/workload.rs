//! Records a run: runs the project once, as a user would, and notes what Julia compiled and what the project exports.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::ImageError;
use super::statements;
use crate::formats::contract::{DEPOT, RUNTIME, SOURCES, TYPYTHON, in_bundle};
use crate::stages::julia::{Julia, JuliaError, Run};
use crate::stages::project::Project;
use crate::stages::runtime_wheel::RuntimeWheel;
use jnumpy_base::process;

/// The oldest Python the runtime works with.
const OLDEST_PYTHON: (u32, u32) = (3, 10);

/// The script that is run besides the project on a base image, for functions of Julia that most programs call.
pub(super) const EVERYDAY: &str = include_str!("everyday.jl");

/// A Python that can run the project: new enough, and with NumPy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Python(PathBuf);

impl Python {
    /// The program.
    pub(super) fn into_path(self) -> PathBuf {
        self.0
    }

    /// Takes the Python named; else the one of the active virtual environment, else `python3` of `PATH`.
    ///
    /// `Ok(Err(reason))` says why no Python can be used although none was asked for by name.
    pub(super) fn find(named: Option<&Path>) -> Result<Result<Self, String>, ImageError> {
        if let Some(path) = named {
            return match Self::probe(path)? {
                Ok(python) => Ok(Ok(python)),
                Err(reason) => Err(ImageError::Python { path: path.to_owned(), reason }),
            };
        }
        let environment = std::env::var_os("VIRTUAL_ENV").map(|path| PathBuf::from(path).join("bin/python"));
        let mut reasons = Vec::new();
        for candidate in environment.into_iter().chain([PathBuf::from("python3")]) {
            match Self::probe(&candidate)? {
                Ok(python) => return Ok(Ok(python)),
                Err(reason) => reasons.push(format!("`{}` {reason}", candidate.display())),
            }
        }
        Ok(Err(reasons.join(", ")))
    }

    fn probe(path: &Path) -> Result<Result<Self, String>, ImageError> {
        const QUESTION: &str = "import sys; print(*sys.version_info[:2]); import numpy";
        let mut command = Command::new(path);
        command.args(["-c", QUESTION]);
        let (output, whole) = match process::run(command, None, |_| ()) {
            Ok(output) => (output.stdout, true),
            Err(process::ChildError::Failed { .. }) => (String::new(), false),
            Err(process::ChildError::Spawn { source, .. }) => {
                return Ok(Err(format!("cannot be started: {source}")));
            }
            Err(error) => return Err(error.into()),
        };
        let version: Vec<u32> = output.split_whitespace().filter_map(|part| part.parse().ok()).collect();
        Ok(match version[..] {
            [major, minor] if (major, minor) < OLDEST_PYTHON => {
                Err(format!("is Python {major}.{minor}, older than {}.{}", OLDEST_PYTHON.0, OLDEST_PYTHON.1))
            }
            [_, _] if whole => Ok(Self(path.to_owned())),
            _ => Err("does not run, or has no NumPy".to_owned()),
        })
    }
}

/// What a run of the project told.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Precompile statements to replay, one a line.
    pub(super) statements: String,
    /// Stubs of the exported modules, by their paths in the package.
    pub(super) stubs: BTreeMap<String, String>,
}

/// Everything a recording needs.
pub(super) struct Recording<'a> {
    pub(super) project: &'a Project,
    pub(super) julia: &'a Julia,
    pub(super) runtime: &'a RuntimeWheel,
    /// The build tree. Julia finds packages by the environment in it.
    pub(super) build_tree: &'a Path,
    /// Runs the import and the Python workloads; without one, only Julia workloads are run.
    pub(super) python: Option<&'a Python>,
    /// The image to run on, when it is not Julia's own.
    pub(super) base: Option<&'a Path>,
    /// Depots with package images to run on; without any, everything is compiled anew.
    pub(super) compiled: &'a [PathBuf],
    pub(super) log: &'a Path,
}

impl Recording<'_> {
    /// Runs the project's workloads.
    pub(super) fn run(&self, mut progress: impl FnMut(Duration)) -> Result<Recorded, ImageError> {
        let scratch = tempfile::Builder::new().prefix("jnumpy-record-").tempdir()?;
        let mut recorded = String::new();
        let mut stubs = BTreeMap::new();
        let (python, mut julia): (Vec<_>, Vec<_>) = self
            .project
            .settings
            .precompile
            .iter()
            .map(|name| self.project.root.join(name))
            .partition(|path| path.extension().is_some_and(|extension| extension == "py"));
        if self.base.is_some() {
            let everyday = scratch.path().join("everyday.jl");
            fs_err::write(&everyday, EVERYDAY)?;
            julia.push(everyday);
        }
        if let Some(interpreter) = self.python {
            let trace = scratch.path().join("python.trace");
            stubs = self.run_python(interpreter, scratch.path(), &trace, &python, &mut progress)?;
            recorded.push_str(&read_trace(&trace)?);
        }
        for (number, workload) in julia.iter().enumerate() {
            let trace = scratch.path().join(format!("julia-{number}.trace"));
            self.run_julia(scratch.path(), &trace, workload, &mut progress)?;
            recorded.push_str(&read_trace(&trace)?);
        }
        Ok(Recorded { statements: statements::clean(&recorded), stubs })
    }

    /// Imports a copy of the package, so that nothing is written beside the user's, and runs the scripts after it.
    /// Returns the stubs of what the package exports.
    fn run_python(
        &self,
        interpreter: &Python,
        scratch: &Path,
        trace: &Path,
        workloads: &[PathBuf],
        progress: impl FnMut(Duration),
    ) -> Result<BTreeMap<String, String>, ImageError> {
        const SCRIPT: &str = "import importlib, json, runpy, sys; package, stubs, *workloads = sys.argv[1:]; \
                              module = importlib.import_module(package); \
                              [runpy.run_path(path, run_name='__main__') for path in workloads]; \
                              from jnumpy import _stubs; \
                              json.dump(_stubs.render(module), open(stubs, 'w', encoding='utf-8'))";
        let copy = scratch.join("python");
        let stubs = scratch.join("stubs.json");
        let own = self
            .project
            .files
            .iter()
            .map(|file| (Path::new(&self.project.package_name).join(&file.name), file));
        let others = self.project.others.iter().map(|file| (PathBuf::from(&file.name), file));
        for (name, file) in own.chain(others) {
            let target = copy.join(name);
            if let Some(parent) = target.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::copy(&file.path, target)?;
        }
        let runtime = scratch.join("runtime");
        self.link_runtime(&runtime)?;
        let path = std::env::join_paths([&runtime, &copy]).map_err(std::io::Error::other)?;
        let mut command = Command::new(&interpreter.0);
        command
            .args(["-c", SCRIPT, &self.project.package_name])
            .arg(&stubs)
            .args(workloads)
            .current_dir(scratch)
            .env("PYTHONPATH", path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONHASHSEED", "0")
            .env("TYPY_JL_EXE", &self.julia.executable)
            .env(
                "TYPY_JL_OPTS",
                format!(
                    "--startup-file=no {} --trace-compile={}{}",
                    self.compiled_modules(),
                    quoted(trace),
                    self.base.map(|base| format!(" --sysimage={}", quoted(base))).unwrap_or_default()
                ),
            )
            .env("JULIA_DEPOT_PATH", self.depot_path(scratch)?)
            .env("JULIA_LOAD_PATH", self.load_path())
            .env_remove("JULIA_PROJECT");
        process::run(command, Some(self.log), progress).map_err(|error| self.failed(error))?;
        Ok(serde_json::from_slice(&fs_err::read(stubs)?).map_err(std::io::Error::from)?)
    }

    fn run_julia(
        &self,
        scratch: &Path,
        trace: &Path,
        workload: &Path,
        progress: impl FnMut(Duration),
    ) -> Result<(), ImageError> {
        Run::new(self.julia)
            .arg(self.compiled_modules())
            .args(self.base.map(|base| format!("--sysimage={}", base.display())))
            .arg(format!("--trace-compile={}", trace.display()))
            .arg(workload)
            .env("JULIA_DEPOT_PATH", self.depot_path(scratch)?)
            .env("JULIA_LOAD_PATH", self.load_path())
            .directory(scratch)
            .log(self.log)
            .run(progress)
            .map_err(|error| match error {
                JuliaError::Child(error) => self.failed(error),
                error => error.into(),
            })?;
        Ok(())
    }

    /// A writable directory, the artifacts, and Julia's own depots; nothing of the user's.
    fn depot_path(&self, scratch: &Path) -> std::io::Result<OsString> {
        let own = self.julia.prefix.join(&self.julia.layout.share_julia);
        let sources = self.build_tree.join(SOURCES).join(in_bundle(DEPOT));
        let compiled = self.compiled.iter().cloned();
        let depots = std::iter::once(scratch.join("depot")).chain(compiled).chain([sources, own]);
        std::env::join_paths(depots).map_err(std::io::Error::other)
    }

    fn compiled_modules(&self) -> &'static str {
        if self.compiled.is_empty() { "--compiled-modules=no" } else { "--compiled-modules=yes" }
    }

    /// The runtime, with the staged TyPython in it: Julia takes a package image only for the very file it was made from.
    fn link_runtime(&self, directory: &Path) -> std::io::Result<()> {
        let (from, to) = (self.runtime.python_path().join(RUNTIME), directory.join(RUNTIME));
        let typython = directory.join(TYPYTHON);
        fs_err::create_dir_all(typython.parent().unwrap_or(&to))?;
        for entry in fs_err::read_dir(from)? {
            let entry = entry?;
            let location = to.join(entry.file_name());
            if !location.exists() {
                fs_err::os::unix::fs::symlink(entry.path(), location)?;
            }
        }
        fs_err::os::unix::fs::symlink(self.build_tree.join(SOURCES).join(in_bundle(TYPYTHON)), typython)
    }

    fn load_path(&self) -> String {
        format!("{}:@stdlib", self.build_tree.join("environment").display())
    }

    fn failed(&self, error: process::ChildError) -> ImageError {
        match error {
            process::ChildError::Failed { said, .. } => ImageError::Workload {
                package: self.project.package_name.clone(),
                log: self.log.to_owned(),
                source: said,
            },
            error => error.into(),
        }
    }
}

/// A run in which nothing had to be compiled writes no file.
fn read_trace(path: &Path) -> std::io::Result<String> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// A word for a variable that is split as a shell splits.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_and_err_pythons() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("python");
        let probe = |script: &str| {
            crate::stages::julia::tests::write_script(&path, script);
            Python::find(Some(&path))
                .map(|found| found.unwrap().0)
                .map_err(|error| error.to_string().replace(directory.path().to_str().unwrap(), "<d>"))
        };
        assert_eq!(probe("echo 3 11"), Ok(directory.path().join("python")));
        for (script, reason) in [
            ("echo 3 9", "is Python 3.9, older than 3.10"),
            ("echo 3 11; exit 1", "does not run, or has no NumPy"),
            ("echo hello", "does not run, or has no NumPy"),
        ] {
            assert_eq!(probe(script), Err(format!("the Python `<d>/python` {reason}")));
        }
        fs_err::remove_file(directory.path().join("python")).unwrap();
        let error = Python::find(Some(&directory.path().join("python"))).unwrap_err().to_string();
        assert!(error.contains("cannot be started: No such file"), "{error}");
    }

    #[test]
    fn ok_quoted() {
        assert_eq!(quoted(Path::new("/tmp/a b")), "'/tmp/a b'");
        assert_eq!(quoted(Path::new("/tmp/it's")), r"'/tmp/it'\''s'");
    }
}
