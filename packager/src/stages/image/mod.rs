//! The system image: Julia's own code, TyPython, the project and its dependencies, compiled ahead of time.
//!
//! Steps: name the image by all that goes into it, look into the cache, stage the sources, record what a run of the
//! project compiles, build, publish.

mod build;
mod cache;
mod environment;
mod key;
mod stage;
mod statements;
mod target;
mod workload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use build::{Build, Linker, SCRIPT, SCRIPT_NAME, STATEMENTS_NAME};
pub use cache::{CachedImage, Hold, Limits, Pruned, list, prune};
use cache::{Entry, Record};
use environment::Environment;
use key::KeyBuilder;
use stage::{Stage, StagedFile};
pub use target::CpuTarget;
use workload::{Python, Recorded, Recording};

use crate::stages::depot::{DepotError, Resolution};
use crate::stages::julia::{Julia, JuliaError};
use crate::stages::project::{Project, ProjectError};
use crate::stages::runtime::Runtime;
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::process::{ChildError, LastLines};
use jnumpy_base::text::megabytes;
use jnumpy_base::{Hint, Report};

/// Raised whenever the same inputs make another image than before.
const FORMAT: u32 = 4;

/// A system image that holds the project.
#[derive(Debug)]
pub struct Image {
    /// The shared library, in the cache.
    pub path: PathBuf,
    /// Digest of all that went in: 64 hexadecimal digits.
    pub key: String,
    /// The processors it was compiled for.
    pub cpu_target: CpuTarget,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it was there already.
    pub cached: bool,
    /// The directory that its sources were in: what it says of their places begins with this.
    pub sources: String,
    /// Stubs of the modules that the project exports, by their paths in the package; a recorded run has told them.
    pub stubs: BTreeMap<String, String>,
    /// Keeps it in the cache.
    _hold: Hold,
}

/// What to make an image from.
#[derive(Debug)]
pub struct Request<'a> {
    /// The user's project.
    pub project: &'a Project,
    /// Its Julia dependencies.
    pub resolution: &'a Resolution,
    /// The Julia that compiles, and that the image is for.
    pub julia: &'a Julia,
    /// The wheel of which TyPython is a part.
    pub runtime: &'a Runtime,
    /// The processors to compile for.
    pub cpu_target: CpuTarget,
    /// The Python to record a run with, when the user names one.
    pub python: Option<&'a Path>,
    /// `JNUMPY_HOME`: has the cache and the logs.
    pub home: &'a Path,
}

impl Request<'_> {
    /// Takes the image from the cache, or builds it.
    pub fn obtain(self, report: &Report) -> Result<Image, ImageError> {
        let stage_line = report.stage("image");
        let linker = Linker::find()?;
        let python = match Python::find(self.python)? {
            Ok(python) => Some(python),
            Err(reason) => {
                report.warn(format_args!(
                    "no run is recorded, so the first calls will have to compile and there are no stubs: {reason}; \
                     name a Python with `--python`"
                ));
                None
            }
        };
        let mut environment = Environment::new(self.project, self.resolution, &self.runtime.typython())?;
        environment.files.insert(SCRIPT_NAME.into(), StagedFile::Text(SCRIPT.into()));
        let key = self.key(&environment, &linker, python.is_some())?;
        tracing::info!("image key {key}, linked by {}", linker.version);
        let entry = Entry::lock(&directory(self.home), &key)?;
        if let Some(record) = entry.read()? {
            stage_line.done(format_args!("cached, {:.1} MB", megabytes(record.size)));
            return self.image(&entry, key, record, true);
        }

        let logs = self.home.join("logs");
        fs_err::create_dir_all(&logs)?;
        let log = |step: &str| logs.join(format!("{step}-{}.log", &key[..16]));
        let (record_log, build_log) = (log("record"), log("build"));
        let stage = Stage::create(&key, &environment.files)?;
        let recording = Recording {
            project: self.project,
            julia: self.julia,
            runtime: self.runtime,
            stage: stage.path(),
            python: python.as_ref(),
            log: &record_log,
        };
        let Recorded { statements, stubs } = recording.run(|_| stage_line.progress("recording a run"))?;
        fs_err::write(stage.path().join(STATEMENTS_NAME), &statements)?;
        let count = statements.lines().count();

        let workspace = entry.workspace()?;
        let build = Build {
            julia: self.julia,
            target: &self.cpu_target,
            linker: &linker,
            stage: stage.path(),
            load: &environment.load,
            log: &build_log,
        };
        let object = build.compile(workspace.path(), |_| stage_line.progress("compiling"))?;
        stage_line.progress("linking");
        build.link(&object, &workspace.image())?;
        let record = workspace.publish(|size, sha256| Record {
            version: FORMAT,
            julia: self.julia.version.to_string(),
            cpu_target: self.cpu_target.to_string(),
            statements: count,
            stubs,
            size,
            sha256,
        })?;
        for log in [record_log, build_log] {
            // A recording that had nothing to do has none.
            let _ = fs_err::remove_file(log);
        }
        stage_line.done(format_args!(
            "{:.1} MB for `{}`, {count} precompile statements",
            megabytes(record.size),
            self.cpu_target
        ));
        self.image(&entry, key, record, false)
    }

    fn image(&self, entry: &Entry, key: String, record: Record, cached: bool) -> Result<Image, ImageError> {
        let Record { size, stubs, .. } = record;
        let (path, sources, cpu_target) = (entry.image(), stage::sources(&key), self.cpu_target.clone());
        Ok(Image { path, key, sources, cpu_target, size, cached, stubs, _hold: entry.hold()? })
    }

    /// The digest of everything that goes in. The statements are not part of it: they follow from the sources and the
    /// workloads, and a cached image must be found without recording.
    fn key(&self, environment: &Environment, linker: &Linker, recorded: bool) -> Result<String, ImageError> {
        let mut key = KeyBuilder::new();
        key.text("format", &FORMAT.to_string());
        key.text("julia", &self.julia.version.to_string());
        let layout = &self.julia.layout;
        key.file("libjulia", &self.julia.prefix.join(&layout.libjulia))?;
        key.file("sysimage", &self.julia.prefix.join(&layout.sysimage))?;
        key.text("target", &self.cpu_target.to_string());
        key.text("linker", &linker.version);
        key.text("recorded", if recorded { "python" } else { "no" });
        if let Some(writer) = self.runtime.files.get("_stubs.py").filter(|_| recorded) {
            key.file("stubs", writer)?;
        }
        for (name, file) in &environment.files {
            match file {
                StagedFile::Copy(path) => key.file(name, path)?,
                StagedFile::Text(text) | StagedFile::Link { content: text, .. } => key.text(name, text),
            }
        }
        for workload in &self.project.settings.precompile {
            key.file(&workload.to_string_lossy(), &self.project.root.join(workload))?;
        }
        Ok(key.finish())
    }
}

/// Where the images are below `JNUMPY_HOME`.
#[must_use]
pub fn directory(home: &Path) -> PathBuf {
    home.join("images")
}

/// The compiler driver that links images, as it describes itself.
pub fn linker() -> Result<String, ImageError> {
    Linker::find().map(|linker| linker.version)
}

/// The Python that runs workloads, or why none can be used.
pub fn python() -> Result<Result<PathBuf, String>, ImageError> {
    Ok(Python::find(None)?.map(Python::into_path))
}

/// What can go wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The target is not in Julia's notation.
    #[error("not a CPU target: `{target}`")]
    Target {
        /// The target asked for.
        target: String,
    },
    /// The image would run on this machine only.
    #[error("a wheel cannot hold an image for this machine's processor alone: `{target}`")]
    NativeTarget {
        /// The target asked for.
        target: String,
    },
    /// No portable target is known.
    #[error("no portable CPU target is known for `{architecture}`")]
    NoPreset {
        /// This machine's architecture.
        architecture: &'static str,
    },
    /// The Python named cannot run the project.
    #[error("the Python `{}` {reason}", path.display())]
    Python {
        /// What `--python` named.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No compiler driver was found to link with.
    #[error("no C compiler to link the image with, tried: `{tried}`")]
    NoLinker {
        /// The programs.
        tried: String,
    },
    /// The staging directory cannot be made.
    #[error("cannot make the staging directory `{}`", directory.display())]
    Stage {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else's directory is where ours should be.
    #[error("the staging directory `{}` is there already and is not this user's alone", directory.display())]
    ForeignStage {
        /// The directory.
        directory: PathBuf,
    },
    /// The recorded run failed.
    #[error("`{package}` cannot be imported, or a `precompile` script failed; the whole log is `{}`", log.display())]
    Workload {
        /// The import package.
        package: String,
        /// Everything the run said.
        log: PathBuf,
        /// The end of it.
        source: LastLines,
    },
    /// Julia could not compile the project.
    #[error("the project does not compile: Julia ended with {status}; the whole log is `{}`", log.display())]
    Compile {
        /// Exit status or signal.
        status: std::process::ExitStatus,
        /// Everything Julia said.
        log: PathBuf,
        /// The end of it.
        source: LastLines,
    },
    /// The linker failed.
    #[error("the image cannot be linked")]
    Link {
        /// What it said.
        source: LastLines,
    },
    /// A package's files cannot be staged.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A dependency's files cannot be staged.
    #[error(transparent)]
    Depot(Box<DepotError>),
    /// Julia failed.
    #[error(transparent)]
    Julia(#[from] JuliaError),
    /// Another program failed.
    #[error(transparent)]
    Child(ChildError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<ChildError> for ImageError {
    fn from(error: ChildError) -> Self {
        match error {
            ChildError::Interrupted(stop) => Self::Interrupted(stop),
            error => Self::Child(error),
        }
    }
}

impl From<DepotError> for ImageError {
    fn from(error: DepotError) -> Self {
        Self::Depot(error.into())
    }
}

impl Hint for ImageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Target { .. } => Some("the notation is that of `julia --cpu-target`, as in `generic;haswell`".into()),
            Self::NativeTarget { .. } => {
                Some("leave `--cpu-target` out for an image that runs anywhere, with variants for newer processors".into())
            }
            Self::NoPreset { .. } => Some("name one: `--cpu-target generic`".into()),
            Self::Python { .. } => Some("name a Python 3.10 or newer with NumPy, or leave `--python` out".into()),
            Self::Workload { .. } => {
                Some("where a module is missing, name a Python that has it: `--python PATH`; more: `jnumpy-pack about workload`".into())
            }
            Self::NoLinker { .. } => Some("install a C compiler, such as the package `gcc`".into()),
            Self::ForeignStage { .. } => Some("have it removed: a killed run of another user may have left it".into()),
            Self::Project(error) => error.hint(),
            Self::Depot(error) => error.hint(),
            Self::Julia(error) => error.hint(),
            _ => None,
        }
    }
}
