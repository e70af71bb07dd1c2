//! All errors of the commands. Each module has its own error type, and this type contains them.

use std::path::PathBuf;

use crate::packing::add::AddError;
use crate::packing::scaffold::ScaffoldError;
use crate::packing::sdist::SdistError;
use crate::packing::smoke::SmokeError;
use crate::packing::wheelhouse::WheelhouseError;
use crate::stages::audit::AuditError;
use crate::stages::bundle::BundleError;
use crate::stages::depot::DepotError;
use crate::stages::image::ImageError;
use crate::stages::inventory::InventoryError;
use crate::stages::julia::JuliaError;
use crate::stages::julia_wheel::JuliaWheelError;
use crate::stages::project::ProjectError;
use crate::stages::runtime_wheel::RuntimeWheelError;
use jnumpy_base::Hint;
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::process::LastLines;
use jnumpy_base::text::printable;
use jnumpy_base::topics::UnknownTopic;
use jnumpy_wheel::WheelError;

/// Any failure of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file system operation failed; `fs_err` has put the path into the message.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The output directory cannot be used.
    #[error("the wheel cannot be written to `{}`", path.display())]
    OutDir { path: PathBuf, source: std::io::Error },
    /// A wheel without the compiler needs a full image.
    #[error("a wheel without the compiler needs the image `full`")]
    NeedsCompiler,
    /// Package images use Julia's stock image, which contains all standard libraries.
    #[error("a wheel with only the used standard libraries needs the image `full`")]
    NeedsStdlibs,
    /// An option cannot be used with a shared Julia.
    #[error("a wheel that shares Julia always uses that Julia's image, compiler, and standard libraries")]
    NeedsOwnJulia,
    /// The wheel with the Julia cannot be used.
    #[error(transparent)]
    JuliaWheel(#[from] JuliaWheelError),
    /// The workload fails with the files of the wheel.
    #[error("`{package}` does not run with the files of the wheel{}; the whole log is `{}`", listed(missing), log.display())]
    Proof {
        /// The import package.
        package: String,
        /// Everything the run said.
        log: PathBuf,
        /// Functions that are not in the image.
        missing: Vec<String>,
        /// The end of what it said.
        source: LastLines,
    },
    /// A new project cannot be made.
    #[error(transparent)]
    Scaffold(#[from] ScaffoldError),
    /// A dependency cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The project is not one that can be packed.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A Julia could not be found, run or installed.
    #[error(transparent)]
    Julia(#[from] JuliaError),
    /// The runtime wheel is missing or damaged.
    #[error(transparent)]
    RuntimeWheel(#[from] RuntimeWheelError),
    /// A Julia dependency cannot be packed.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The image cannot be built.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The wheel cannot be planned.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The wheel cannot be written.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// The source distribution cannot be written.
    #[error(transparent)]
    Sdist(#[from] SdistError),
    /// The wheel cannot be audited, or fails.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A wheel cannot be shown.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A wheel does not work in a new environment.
    #[error(transparent)]
    Smoke(#[from] SmokeError),
    /// Wheels cannot be collected.
    #[error(transparent)]
    Wheelhouse(#[from] WheelhouseError),
    /// There is no such command.
    #[error("there is no command `{}`", printable(name))]
    NoCommand { name: String },
    /// An environment variable has an invalid value.
    #[error("`{name}` is `{}`: {reason}", printable(value))]
    Variable { name: &'static str, value: String, reason: String },
    /// The machine lacks something that packing needs.
    #[error("this machine lacks something that packing needs: {}", missing.join(", "))]
    Lacking {
        /// The names of the checks that failed.
        missing: Vec<&'static str>,
    },
    /// There is no such help topic.
    #[error(transparent)]
    Topic(#[from] UnknownTopic),
    /// The user, or a signal, asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Error {
    /// The kind of the error for scripts. These words never change.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if is_disk_full(self) {
            return "disk-full";
        }
        match self {
            Self::Io(_) => "io",
            Self::OutDir { .. } => "output-directory",
            Self::NeedsCompiler
            | Self::NeedsStdlibs
            | Self::NeedsOwnJulia
            | Self::NoCommand { .. }
            | Self::Topic(_) => "usage",
            Self::Variable { .. } => "environment",
            Self::Proof { .. } => "proof",
            Self::Scaffold(_) => "new-project",
            Self::Add(_) => "add",
            Self::Project(_) => "project",
            Self::Julia(_) => "julia",
            Self::RuntimeWheel(_) => "runtime",
            Self::JuliaWheel(_) => "julia-wheel",
            Self::Depot(_) => "julia-packages",
            Self::Image(_) => "image",
            Self::Bundle(_) => "bundle",
            Self::Wheel(_) => "write-wheel",
            Self::Sdist(_) => "sdist",
            Self::Audit(_) => "audit",
            Self::Inventory(_) => "read-wheel",
            Self::Smoke(_) => "smoke",
            Self::Wheelhouse(_) => "wheelhouse",
            Self::Lacking { .. } => "machine",
            Self::Interrupted(_) => "interrupted",
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        if is_disk_full(self) {
            return Some(
                "free disk space, or set `--out-dir`, `TMPDIR`, or `JNUMPY_HOME` to a directory on a larger disk".into(),
            );
        }
        match self {
            Self::Scaffold(error) => error.hint(),
            Self::Add(error) => error.hint(),
            Self::Project(error) => error.hint(),
            Self::Julia(error) => error.hint(),
            Self::RuntimeWheel(error) => error.hint(),
            Self::JuliaWheel(error) => error.hint(),
            Self::Depot(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::Wheel(error) => error.hint(),
            Self::Sdist(error) => error.hint(),
            Self::Audit(error) => error.hint(),
            Self::Inventory(error) => error.hint(),
            Self::Smoke(error) => error.hint(),
            Self::Wheelhouse(error) => error.hint(),
            Self::NoCommand { .. } => Some("`jnumpy-pack --help` lists the commands".into()),
            Self::Variable { name, .. } => Some(format!("unset `{name}`, or correct it")),
            Self::Topic(error) => error.hint(),
            Self::OutDir { .. } => Some("name a directory you may write to: `--out-dir DIR`".into()),
            Self::Proof { .. } => Some(
                "call such a function in a script of `precompile` to compile it into the image; if the code needs a compiler at \
                 run time, set `compiler = true` in `[tool.jnumpy]`; more: `jnumpy-pack about no-compiler`"
                    .into(),
            ),
            Self::NeedsCompiler => {
                Some("omit `--image`, or keep the compiler: `compiler = true` in `[tool.jnumpy]`".into())
            }
            Self::NeedsStdlibs => {
                Some("omit `--image`, or keep all standard libraries: `--stdlibs all`".into())
            }
            Self::NeedsOwnJulia => Some(
                "leave out `--image full`, `--no-compiler`, and `--stdlibs used`, or pack a self-contained wheel: \
                 `shared = false` in `[tool.jnumpy]`"
                    .into(),
            ),
            Self::Lacking { .. } | Self::Io(_) | Self::Interrupted(_) => None,
        }
    }
}

fn listed(functions: &[String]) -> String {
    if functions.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = functions.iter().take(5).map(|name| format!("`{}`", printable(name))).collect();
    format!(", because these functions are not compiled: {}", shown.join(", "))
}

/// Whether the error, or one that caused it, is a full disk.
fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::StorageFull)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_a_full_disk_is_seen_through_any_topic() {
        // `fs_err` wraps the error of the system.
        let full = || fs_err::write("/dev/full", "x").unwrap_err();
        for error in [
            Error::Io(full()),
            Error::Image(ImageError::Io(full())),
            Error::Wheel(WheelError::Write(full())),
            Error::Julia(JuliaError::Io(full())),
        ] {
            assert!(error.hint().is_some_and(|hint| hint.starts_with("free disk space")), "{error}");
        }
        assert_eq!(Error::Io(fs_err::read("/no/such").unwrap_err()).hint(), None);
    }
}
