use std::path::PathBuf;

use super::kind::{BASE_IMAGES, Kind, PACKAGE_IMAGES_SINCE};
use crate::stages::depot::DepotError;
use crate::stages::julia::JuliaError;
use crate::stages::julia_wheel::JuliaWheelError;
use crate::stages::project::ProjectError;
use jnumpy_base::Hint;
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::process::{ChildError, LastLines};

/// What can go wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The target is not in Julia's notation.
    #[error("not a CPU target: `{target}`")]
    Target { target: String },
    /// The image would run on this machine only.
    #[error("a wheel cannot contain an image for this machine's processor only: `{target}`")]
    NativeTarget { target: String },
    /// This Julia has no such image.
    #[error("{kind} needs Julia 1.{PACKAGE_IMAGES_SINCE} or later, the Julia in use is {julia}")]
    TooOld {
        /// What was asked for.
        kind: Kind,
        julia: String,
    },
    /// Without a Python, the wheel cannot be tested without the compiler.
    #[error("a wheel without the compiler needs a Python that runs the project: {reason}")]
    Unproven {
        /// Why there is none.
        reason: String,
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
        reason: String,
    },
    /// No compiler driver was found to link with.
    #[error("no C compiler to link the image with, tried: `{tried}`")]
    NoLinker {
        /// The programs.
        tried: String,
    },
    /// The build tree cannot be created.
    #[error("cannot create the build tree `{}`", directory.display())]
    BuildTree { directory: PathBuf, source: std::io::Error },
    /// The directory of the build tree belongs to another user, or is not private.
    #[error("the build tree `{}` already exists, and it belongs to another user or others have access to it", directory.display())]
    ForeignBuildTree { directory: PathBuf },
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
    /// A module calls Python, or has a global that cannot be in an image.
    #[error("the project does not compile: {what}")]
    Global {
        /// Which module's global, or where.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Base images were not tried with this Julia.
    #[error("a base image with fewer standard libraries cannot be built from Julia {julia}")]
    BaseVersion { julia: String },
    /// This Julia brings no sources of its base.
    #[error("a base image cannot be built: Julia {julia} was installed without its sources, there is no `{file}` in `{}`", directory.display())]
    NoBaseSources {
        julia: String,
        /// Where they would be.
        directory: PathBuf,
        /// The file that was looked for.
        file: &'static str,
    },
    /// Julia could not compile its base.
    #[error("the base image does not compile: Julia ended with {status}; the whole log is `{}`", log.display())]
    Base {
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
    /// Nothing can be compiled for the wheel of Julia.
    #[error(transparent)]
    JuliaWheel(#[from] JuliaWheelError),
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
            Self::Target { .. } => Some("use the notation of `julia --cpu-target`, for example `generic;haswell`".into()),
            Self::NativeTarget { .. } => {
                Some("omit `--cpu-target` for an image that runs on every processor and contains variants for newer ones".into())
            }
            Self::NoPreset { .. } => Some("name one: `--cpu-target generic`".into()),
            Self::TooOld { .. } => Some("use a newer Julia (`--julia PATH`), or omit the option".into()),
            Self::BaseVersion { .. } => Some(format!(
                "use Julia 1.{} to 1.{} (`--julia PATH`), or pack with all standard libraries: `--stdlibs all`",
                BASE_IMAGES.start(),
                BASE_IMAGES.end()
            )),
            Self::NoBaseSources { .. } => Some(
                "install the package that contains them (Debian: `julia-common`) or an official Julia, or pack with all \
                 standard libraries: `--stdlibs all`"
                    .into(),
            ),
            Self::Base { .. } => Some("pack with all standard libraries: `--stdlibs all`".into()),
            Self::Unproven { .. } => Some("name a Python: `--python PATH`".into()),
            Self::Python { .. } => Some("name a Python 3.10 or later with NumPy, or omit `--python`".into()),
            Self::Workload { .. } => {
                Some("if a module is missing, name a Python that has it: `--python PATH`; more: `jnumpy-pack about workload`".into())
            }
            Self::Global { remedy, .. } => Some((*remedy).into()),
            Self::NoLinker { .. } => Some("install a C compiler, such as the package `gcc`".into()),
            Self::ForeignBuildTree { .. } => Some("ask its owner to remove it: a run of another user that was killed may have left it".into()),
            Self::Project(error) => error.hint(),
            Self::Depot(error) => error.hint(),
            Self::Julia(error) => error.hint(),
            Self::JuliaWheel(error) => error.hint(),
            _ => None,
        }
    }
}
