//! The Julias that juliaup has installed, read from its configuration. No launcher runs, so nothing is updated or downloaded.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::stages::julia::JuliaError;

/// `juliaup.json`, as far as it concerns us.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    default: Option<String>,
    #[serde(default)]
    installed_versions: BTreeMap<String, Installed>,
    #[serde(default)]
    installed_channels: BTreeMap<String, Channel>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Installed {
    path: PathBuf,
}

/// A channel is a version, a directory of its own, a linked command, or another name of a channel.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Channel {
    version: Option<String>,
    path: Option<PathBuf>,
    command: Option<PathBuf>,
    target: Option<String>,
}

/// The executable behind a channel of the configuration file.
pub(super) fn channel(config: &Path, name: &str) -> Result<PathBuf, JuliaError> {
    match read(config)? {
        Some(read) => read.executable(config, name),
        None => Err(JuliaError::NoChannel { config: config.into(), channel: name.into(), known: Vec::new() }),
    }
}

/// The executable of the default channel, or of the one that `JULIAUP_CHANNEL` names; `None` without juliaup.
pub(super) fn default(config: &Path, channel: Option<&str>) -> Result<Option<PathBuf>, JuliaError> {
    let Some(read) = read(config)? else { return Ok(None) };
    let Some(name) = channel.or(read.default.as_deref()) else { return Ok(None) };
    read.executable(config, name).map(Some)
}

fn read(path: &Path) -> Result<Option<Config>, JuliaError> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let config = serde_json::from_slice(&bytes);
    config.map(Some).map_err(|source| JuliaError::Juliaup { config: path.into(), source })
}

impl Config {
    fn executable(&self, config: &Path, name: &str) -> Result<PathBuf, JuliaError> {
        let unknown = || JuliaError::NoChannel {
            config: config.into(),
            channel: name.into(),
            known: self.installed_channels.keys().cloned().collect(),
        };
        let mut channel = self.installed_channels.get(name).ok_or_else(unknown)?;
        // One step: juliaup allows no chains.
        if let Some(target) = &channel.target {
            channel = self.installed_channels.get(target.trim_start_matches('+')).ok_or_else(unknown)?;
        }
        if let Some(command) = &channel.command {
            return Ok(command.clone());
        }
        let version = channel.version.as_ref().and_then(|version| self.installed_versions.get(version));
        let path = version.map(|installed| &installed.path).or(channel.path.as_ref()).ok_or_else(unknown)?;
        Ok(config.parent().unwrap_or(Path::new("")).join(path).join("bin/julia"))
    }
}
