//! `jnumpy-julia.json`: the origin of an installed prefix. It is written last, so it also marks the prefix as complete.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::formats::Version;
use crate::stages::julia::JuliaError;
use crate::stages::julia::install::InstallError;
use crate::stages::julia::rules::rules;

/// Where an installed Julia and each of its libraries come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Format of this file.
    pub version: u32,
    /// The kind of source, `official` or `debian`.
    pub source: String,
    /// The release of Debian, as `bullseye`; empty for an official Julia.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suite: String,
    /// Julia's version.
    pub julia: String,
    /// The official archive that the prefix was unpacked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Download>,
    /// The packages of Debian of which something is in the prefix, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, Package>,
    /// Every program and library of these packages (path relative to it, `/` between) → name of its package.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// A file that was downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// Where it came from, without user name, password and query.
    pub url: String,
    /// Its hash, in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A package of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Version in the source's own notation.
    pub version: String,
    /// Architecture in the source's own notation.
    pub architecture: String,
    /// Its copyright and license text, relative to the prefix.
    pub license: String,
}

impl Record {
    /// The record of a Julia made of Debian's packages, which are yet to be added.
    pub(crate) fn debian(suite: &str, julia: &Version) -> Self {
        Self { suite: suite.into(), ..Self::new("debian", julia) }
    }

    /// The record of a Julia unpacked from an official archive.
    pub(crate) fn official(julia: &Version, archive: Download) -> Self {
        Self { archive: Some(archive), ..Self::new("official", julia) }
    }

    fn new(source: &str, julia: &Version) -> Self {
        Self {
            version: rules().installed.format,
            source: source.into(),
            suite: String::new(),
            julia: julia.to_string(),
            archive: None,
            packages: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// Reads the record of `prefix`; `None` when there is none, as in a Julia that we did not install.
    pub fn read(prefix: &Path) -> Result<Option<Self>, JuliaError> {
        let path = prefix.join(&rules().installed.record);
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let record = serde_json::from_slice(&bytes);
        Ok(Some(record.map_err(|source| InstallError::Record { path, source })?))
    }

    /// The version of the Julia in the prefix.
    pub fn julia_version(&self) -> Result<Version, JuliaError> {
        Ok(self.julia.parse()?)
    }

    pub(crate) fn write(&self, prefix: &Path) -> Result<(), InstallError> {
        let path = prefix.join(&rules().installed.record);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|source| InstallError::Record { path: path.clone(), source })?;
        text.push('\n');
        Ok(fs_err::write(path, text)?)
    }
}
