//! The environment variables about Julia, and the directory of Julias that this command has installed.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::formats::Version;
use crate::stages::julia::JuliaError;
use crate::stages::julia::record::Record;
use crate::stages::julia::rules::rules;
use crate::stages::julia::wanted::Wanted;
use jnumpy_base::text::printable;
use jnumpy_base::{env_vars, write_files};

/// The parts of the process's environment that the search looks at.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The value of `TYPY_JL_EXE`; `None` if it is empty.
    pub chosen: Option<OsString>,
    /// The value of `PATH`.
    pub path: OsString,
    /// Holds one directory for each installed Julia: `JNUMPY_HOME/julia`.
    pub managed: PathBuf,
    /// The path that juliaup's configuration has, whether it is there or not; `None` when no home directory is known.
    pub juliaup: Option<PathBuf>,
    /// The value of `JULIAUP_CHANNEL`.
    pub channel: Option<String>,
}

impl Surroundings {
    /// Reads the environment of this process.
    pub fn from_environment() -> Result<Self, JuliaError> {
        Ok(Self {
            chosen: value(env_vars::TYPY_JL_EXE),
            path: value("PATH").unwrap_or_default(),
            managed: home()?.join("julia"),
            juliaup: juliaup(),
            channel: value(env_vars::JULIAUP_CHANNEL).and_then(|channel| channel.into_string().ok()),
        })
    }
}

/// The directory of everything that is kept between runs: `JNUMPY_HOME`, otherwise `.jnumpy` in the home directory.
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

fn juliaup() -> Option<PathBuf> {
    let rules = &rules().juliaup;
    let depot = match value(env_vars::JULIAUP_DEPOT_PATH) {
        Some(depot) => PathBuf::from(depot),
        None => std::env::home_dir().filter(|home| !home.as_os_str().is_empty())?.join(&rules.depot),
    };
    Some(depot.join(&rules.config))
}

/// An environment variable; `None` if it is empty.
fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A complete installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The name of its directory, as `official-1.10.8`.
    pub id: String,
    /// Julia's version.
    pub version: Version,
    /// The directory.
    pub prefix: PathBuf,
}

/// Every complete installation below `managed`, the newest Julia first.
///
/// An installation is complete if it has its record, which is written last. Names of incomplete ones begin with a dot.
pub fn installed(managed: &Path) -> Result<Vec<Installed>, JuliaError> {
    let entries = match fs_err::read_dir(managed) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(id) = entry.file_name().into_string() else { continue };
        if id.starts_with('.') {
            continue;
        }
        // A directory whose record cannot be read was not installed by this command, or is damaged.
        let Ok(Some(record)) = Record::read(&entry.path()) else { continue };
        let (Ok(version), true) = (record.julia.parse(), record.version == rules().installed.format) else {
            continue;
        };
        found.push(Installed { id, version, prefix: entry.path() });
    }
    found.sort_by(|one, two| two.version.cmp(&one.version).then_with(|| one.id.cmp(&two.id)));
    Ok(found)
}

/// The installation that `julia use` has chosen. One that was chosen and is gone is an error.
pub(super) fn default(managed: &Path) -> Result<Option<Installed>, JuliaError> {
    let path = managed.join(&rules().installed.default);
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let id = text.trim();
    let found = installed(managed)?.into_iter().find(|installed| installed.id == id);
    found.map(Some).ok_or_else(|| JuliaError::DefaultGone { id: printable(id), file: path })
}

/// Chooses the installation of that name, or none.
pub(super) fn set_default(managed: &Path, id: Option<&str>) -> Result<(), JuliaError> {
    let path = managed.join(&rules().installed.default);
    let Some(id) = id else {
        return match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        };
    };
    Ok(write_files([(path, format!("{id}\n"))])?)
}

/// The installations that `text` names: an id, a version, or a series such as `1.10`. The newest first.
pub(super) fn matching(managed: &Path, text: &str) -> Result<Vec<Installed>, JuliaError> {
    let all = installed(managed)?;
    if let Some(exact) = all.iter().find(|installed| installed.id == text) {
        return Ok(vec![exact.clone()]);
    }
    let wanted =
        text.parse::<Wanted>().ok().filter(|wanted| !matches!(wanted, Wanted::Lts | Wanted::Release));
    let ids = all.iter().map(|installed| installed.id.clone()).collect();
    let found: Vec<_> = all
        .into_iter()
        .filter(|one| wanted.as_ref().is_some_and(|wanted| wanted.matches(&one.version)))
        .collect();
    if found.is_empty() {
        return Err(JuliaError::NotInstalled { wanted: printable(text), installed: ids });
    }
    Ok(found)
}
