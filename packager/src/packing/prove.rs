//! Proves that a planned wheel works: lays out its files as an installer does, and runs the workload again with them and only
//! with the Julia of the wheel.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::formats::contract::BUNDLE;
use crate::packing::Error;
use crate::stages::image::{Image, Kind};
use crate::stages::julia_wheel::JuliaWheel;
use crate::stages::project::Project;
use jnumpy_base::Report;
use jnumpy_base::process::{self, ChildError};
use jnumpy_wheel::{Contents, Source};

/// libjulia's message about a function for which it has neither compiled code nor source.
const NOT_AVAILABLE: &str = "source not available for ";

/// The run to be made.
#[derive(Debug)]
pub(super) struct Proof {
    /// The Python to run.
    pub(super) python: PathBuf,
    /// The name that the package is imported by.
    pub(super) package: String,
    /// Python scripts to run after the import.
    pub(super) workloads: Vec<PathBuf>,
    /// Whether the wheel contains the compiler.
    pub(super) compiles: bool,
    /// Where the output of the run is kept if it fails.
    pub(super) log: PathBuf,
}

impl Proof {
    /// The run of this project, if there is a Python for it.
    pub(super) fn of(project: &Project, image: &Image, kind: Option<Kind>, home: &Path) -> Option<Self> {
        let is_python = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "py");
        let workloads = project.settings.precompile.iter().filter(is_python);
        Some(Self {
            python: image.python.clone()?,
            package: project.package_name.clone(),
            workloads: workloads.map(|name| project.root.join(name)).collect(),
            compiles: kind != Some(Kind::Full { compiler: false }),
            log: home.join("logs").join(format!("proof-{}.log", &image.key[..16])),
        })
    }

    /// Runs the workload. Returns the functions that were not in the image, as in precompile statements.
    pub(super) fn run(
        &self,
        contents: &Contents,
        julia_wheel: Option<&JuliaWheel>,
        report: &Report,
    ) -> Result<Vec<String>, Error> {
        const SCRIPT: &str = "import importlib, runpy, sys; package, *workloads = sys.argv[1:]; \
                              importlib.import_module(package); \
                              [runpy.run_path(path, run_name='__main__') for path in workloads]";
        let stage = report.stage("proof");
        let scratch = tempfile::Builder::new().prefix("jnumpy-proof-").tempdir()?;
        let site = scratch.path().join("site");
        lay_out(contents, &site)?;
        let trace = scratch.path().join("trace");
        if let Some(wheel) = julia_wheel {
            let package = wheel.site().join(&wheel.package);
            fs_err::os::unix::fs::symlink(package, site.join(&wheel.package))?;
        }
        let has_runtime = julia_wheel.map_or(&self.package, |wheel| &wheel.package);
        let vendored = site.join(has_runtime).join(BUNDLE);
        let path = std::env::join_paths([&vendored, &site]).map_err(std::io::Error::other)?;
        let mut command = Command::new(&self.python);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JULIA_"))
        {
            command.env_remove(name);
        }
        command
            .args(["-c", SCRIPT, &self.package])
            .args(&self.workloads)
            .current_dir(scratch.path())
            .env("PYTHONPATH", path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TYPY_JL_OPTS", format!("--trace-compile='{}'", trace.display()));
        if let Some(logs) = self.log.parent() {
            fs_err::create_dir_all(logs)?;
        }
        let run =
            process::run(command, Some(&self.log), |_| stage.progress("running the workload in the wheel"));
        let said = fs_err::read(&self.log).unwrap_or_default();
        let missing = functions(&String::from_utf8_lossy(&said), NOT_AVAILABLE);
        match run {
            Ok(_) => {}
            Err(ChildError::Failed { said, .. }) => {
                return Err(Error::Proof {
                    package: self.package.clone(),
                    log: self.log.clone(),
                    missing,
                    source: said,
                });
            }
            Err(ChildError::Interrupted(stop)) => return Err(stop.into()),
            Err(error) => return Err(std::io::Error::other(error).into()),
        }
        let _ = fs_err::remove_file(&self.log);
        let traced = fs_err::read(&trace).unwrap_or_default();
        let mut found = functions(&String::from_utf8_lossy(&traced), "precompile(");
        found.extend(missing);
        stage.done(format_args!(
            "the workload runs in the wheel, {} functions not compiled before{}",
            found.len(),
            if self.compiles && !found.is_empty() { ": `-v` lists them" } else { "" }
        ));
        Ok(found)
    }
}

/// The texts after `mark` in the lines that contain it, without duplicates.
fn functions(text: &str, mark: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let rest = line.split_once(mark)?.1;
            Some(rest.strip_suffix(')').filter(|_| mark.ends_with('(')).unwrap_or(rest).to_owned())
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Puts the files of a wheel where an installer would.
fn lay_out(contents: &Contents, site: &Path) -> std::io::Result<()> {
    for (path, content) in contents {
        let location = site.join(path.as_str());
        if let Some(parent) = location.parent() {
            fs_err::create_dir_all(parent)?;
        }
        match &content.source {
            Source::Bytes(bytes) => fs_err::write(location, bytes)?,
            Source::File(file) => {
                let file = fs_err::canonicalize(file)?;
                // The directory may be on another disk.
                if fs_err::hard_link(&file, &location).is_err() {
                    fs_err::copy(file, location)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_functions_each_once() {
        let trace = "precompile(Tuple{typeof(A.f), Int64})\nprecompile(Tuple{typeof(A.f), Int64})\nother\n";
        assert_eq!(functions(trace, "precompile("), ["Tuple{typeof(A.f), Int64}"]);
        assert_eq!(functions("source not available for A.g(Int64)\n", NOT_AVAILABLE), ["A.g(Int64)"]);
    }
}
