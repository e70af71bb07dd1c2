//! Tries a finished wheel as a user would: a new environment in a directory with an unusual name, pip without an index,
//! no network if the system permits that, and the import.

mod error;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

pub use error::SmokeError;

use crate::packing::{Error, python};
use crate::stages::image;
use crate::stages::inventory::{Identity, identify};
use jnumpy_base::path::file_name;
use jnumpy_base::process::{self, LastLines, Output};
use jnumpy_base::{Report, Stage};

/// Version of the JSON form.
const FORMAT: u32 = 1;
/// The name of the directory: a space and non-ASCII letters, as in the paths of users.
const AWKWARD: &str = "jnumpy smoke größe ";
/// Links the distributions that the wheel requires, directly or indirectly, from the environment of this Python into a
/// directory, and prints their names. pip reports those that are missing.
const LINK: &str = r#"
import importlib.metadata, os, re, sys
directory, *waiting = sys.argv[1:]
known = set()
while waiting:
    requirement = waiting.pop()
    name = re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()
    if name in known or re.search(r"\bextra\s*==", requirement):
        continue
    known.add(name)
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        continue
    waiting += distribution.requires or []
    tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "/", "__pycache__")}
    for top in tops:
        link = os.path.join(directory, top)
        if not os.path.lexists(link):
            os.symlink(os.path.abspath(distribution.locate_file(top)), link)
    print(distribution.metadata["Name"], distribution.version)
"#;
/// Imports a package, runs scripts, and writes how long that took and how much memory the import.
const IMPORT: &str = r#"
import importlib, json, runpy, sys, time
result, package, *scripts = sys.argv[1:]
start = time.perf_counter()
module = importlib.import_module(package)
seconds = time.perf_counter() - start
with open("/proc/self/status") as status:
    peak = next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
runs = []
for script in scripts:
    start = time.perf_counter()
    runpy.run_path(script, run_name="__main__")
    runs.append({"script": script, "seconds": time.perf_counter() - start})
with open(result, "w") as file:
    json.dump({"seconds": seconds, "peak_memory": peak, "runs": runs, "python": sys.version.split()[0]}, file)
"#;

/// What to try, and with what.
#[derive(Debug, Clone)]
pub struct SmokeRequest {
    pub wheel: PathBuf,
    /// The Python to make the environment with; by default the one that packing would use.
    pub python: Option<PathBuf>,
    /// Directories in which pip finds what the wheel requires; without any, it is taken from the environment of `python`.
    pub find_links: Vec<PathBuf>,
    /// Python scripts to run after the import.
    pub scripts: Vec<PathBuf>,
}

/// What was seen.
#[derive(Debug, Serialize)]
pub struct Smoke {
    /// Version of this form.
    version: u32,
    /// The file name of the wheel.
    pub wheel: String,
    /// The package that was imported.
    pub package: String,
    pub python: String,
    /// Whether the environment had no network.
    pub network_cut: bool,
    /// What the wheel requires, with versions, as far as it came from the environment of the Python.
    pub dependencies: Vec<String>,
    pub install_seconds: f64,
    /// The first import after the installation.
    pub first_import_seconds: f64,
    /// The second one, in another process.
    pub import_seconds: f64,
    /// In bytes: the most that the first process had in memory when the import was done.
    pub peak_memory: u64,
    pub runs: Vec<ScriptRun>,
}

/// A script that has run to its end.
#[derive(Debug, Serialize, Deserialize)]
pub struct ScriptRun {
    pub script: PathBuf,
    pub seconds: f64,
}

/// What [`IMPORT`] writes.
#[derive(Deserialize)]
struct Imported {
    seconds: f64,
    peak_memory: u64,
    runs: Vec<ScriptRun>,
    python: String,
}

impl SmokeRequest {
    /// Tries the wheel, and removes the environment.
    pub fn run(&self, report: &Report) -> Result<Smoke, Error> {
        let wheel = std::path::absolute(&self.wheel)?;
        let name = file_name(&wheel);
        let Identity { package: Some(package), distribution: Some(distribution) } = identify(&wheel)? else {
            return Err(SmokeError::NoBundle { path: self.wheel.clone() }.into());
        };
        let python = match &self.python {
            Some(python) => python.clone(),
            None => image::python()?.map_err(|reason| SmokeError::Python { reason })?,
        };
        let scripts = self
            .scripts
            .iter()
            .map(fs_err::canonicalize)
            .collect::<Result<Vec<PathBuf>, std::io::Error>>()?;

        let stage = report.stage("smoke");
        let scratch = tempfile::Builder::new().prefix(AWKWARD).tempdir()?;
        let trial = Trial::new(scratch.path())?;
        stage.progress("creating an environment");
        let mut command = trial.command(&python);
        command.args(["-m", "venv"]).arg(&trial.environment);
        run(command, &stage, |source| SmokeError::Environment { python: python.clone(), source })?;
        let inside = trial.environment.join("bin/python");
        let dependencies = if self.find_links.is_empty() {
            let mut command = trial.command(&python);
            command.args(["-c", LINK]).arg(trial.link_site(&inside, &stage)?).args(&distribution.requires);
            let linked =
                run(command, &stage, |source| SmokeError::Environment { python: python.clone(), source })?;
            linked.stdout.lines().map(str::to_owned).collect()
        } else {
            Vec::new()
        };

        let mut command = trial.confined(&inside);
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-cache-dir",
            "--disable-pip-version-check",
        ]);
        for directory in &self.find_links {
            command.arg("--find-links").arg(std::path::absolute(directory)?);
        }
        command.arg(&wheel);
        let install = run(command, &stage, |source| SmokeError::Install { wheel: name.clone(), source })?;
        let fails = |source| SmokeError::Import { package: package.clone(), source };
        let first = trial.import(&inside, &package, &[], &stage, fails)?;
        let again = trial.import(&inside, &package, &[], &stage, fails)?;
        let fails = |source| SmokeError::Script { package: package.clone(), source };
        let runs = if scripts.is_empty() {
            Vec::new()
        } else {
            trial.import(&inside, &package, &scripts, &stage, fails)?.runs
        };
        Ok(Smoke {
            version: FORMAT,
            wheel: name,
            package,
            python: first.python,
            network_cut: !trial.prefix.is_empty(),
            dependencies,
            install_seconds: install.elapsed.as_secs_f64(),
            first_import_seconds: first.seconds,
            import_seconds: again.seconds,
            peak_memory: first.peak_memory,
            runs,
        })
    }
}

/// The directories and the surroundings of one trial.
struct Trial {
    environment: PathBuf,
    home: PathBuf,
    result: PathBuf,
    /// The first words of a command without a network; empty if the system does not permit that.
    prefix: &'static [&'static str],
}

impl Trial {
    fn new(scratch: &Path) -> Result<Self, Error> {
        let home = scratch.join("home");
        fs_err::create_dir(&home)?;
        let mut trial =
            Self { environment: scratch.join("env"), home, result: scratch.join("result.json"), prefix: &[] };
        // The second form is for users other than root.
        for prefix in [&["unshare", "--net"][..], &["unshare", "--net", "--map-root-user"]] {
            trial.prefix = prefix;
            if process::run(trial.confined(Path::new("true")), None, |_| ()).is_ok() {
                return Ok(trial);
            }
        }
        trial.prefix = &[];
        Ok(trial)
    }

    /// A command with its own home directory and, of the user's environment, only the paths of programs and libraries.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.home).env("LANG", "C.UTF-8").current_dir(&self.home);
        for name in ["PATH", "LD_LIBRARY_PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// The same, without a network if possible.
    fn confined(&self, program: &Path) -> Command {
        match self.prefix {
            [unshare, options @ ..] => {
                let mut command = self.command(Path::new(unshare));
                command.args(options).arg(program);
                command
            }
            [] => self.command(program),
        }
    }

    /// Makes a directory from which the environment imports, too.
    fn link_site(&self, inside: &Path, stage: &Stage<'_>) -> Result<PathBuf, Error> {
        const SITE: &str = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let mut command = self.command(inside);
        command.args(["-c", SITE]);
        let said = run(command, stage, |source| SmokeError::Environment { python: inside.into(), source })?;
        let linked = self.home.with_file_name("linked");
        fs_err::create_dir(&linked)?;
        fs_err::write(
            Path::new(said.stdout.trim()).join("linked.pth"),
            linked.as_os_str().as_encoded_bytes(),
        )?;
        Ok(linked)
    }

    fn import(
        &self,
        inside: &Path,
        package: &str,
        scripts: &[PathBuf],
        stage: &Stage<'_>,
        fails: impl FnOnce(LastLines) -> SmokeError,
    ) -> Result<Imported, Error> {
        let mut command = self.confined(inside);
        command.args(["-c", IMPORT]).arg(&self.result).arg(package).args(scripts);
        run(command, stage, fails)?;
        Ok(serde_json::from_slice(&fs_err::read(&self.result)?).map_err(std::io::Error::from)?)
    }
}

/// Runs a command that has to succeed; `fails` makes the error of what it said otherwise.
fn run(
    command: Command,
    stage: &Stage<'_>,
    fails: impl FnOnce(LastLines) -> SmokeError,
) -> Result<Output, Error> {
    let ran = python::run(command, stage, |reason| SmokeError::Python { reason }.into())?;
    Ok(ran.map_err(fails)?)
}
