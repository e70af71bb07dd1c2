//! What the environment says about Julias, and the directory of those that were installed by us.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::stages::julia::JuliaError;
use crate::stages::julia::record::Record;
use jnumpy_base::env_vars;

/// The parts of the process's environment that the search looks at.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The value of `TYPY_JL_EXE`; an empty one counts as none.
    pub chosen: Option<OsString>,
    /// The value of `PATH`.
    pub path: OsString,
    /// Holds one directory for each installed Julia: `JNUMPY_HOME/julia`.
    pub managed: PathBuf,
}

impl Surroundings {
    /// Reads the environment of this process.
    pub fn from_environment() -> Result<Self, JuliaError> {
        Ok(Self {
            chosen: value(env_vars::TYPY_JL_EXE),
            path: value("PATH").unwrap_or_default(),
            managed: home()?.join("julia"),
        })
    }
}

/// The directory that holds all we keep between runs: `JNUMPY_HOME`, else `.jnumpy` in the home directory.
pub fn home() -> Result<PathBuf, JuliaError> {
    let home = match value(env_vars::JNUMPY_HOME) {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()
            .filter(|home| !home.as_os_str().is_empty())
            .ok_or(JuliaError::NoHome)?
            .join(".jnumpy"),
    };
    Ok(std::path::absolute(home)?)
}

/// A variable of the environment; an empty one counts as none.
fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Name and prefix of every complete installation below `managed`, the newest Julia first.
///
/// Complete is what holds its record, which is written last; work in progress has a name with a leading dot.
pub(crate) fn installed(managed: &Path) -> Result<Vec<(String, PathBuf)>, JuliaError> {
    let entries = match fs_err::read_dir(managed) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if let (false, Some(record)) = (name.starts_with('.'), Record::read(&entry.path())?) {
            found.push((record.julia_version()?, name, entry.path()));
        }
    }
    found.sort_by(|one, two| two.0.cmp(&one.0).then_with(|| one.1.cmp(&two.1)));
    Ok(found.into_iter().map(|(_, name, prefix)| (name, prefix)).collect())
}
