//! `jnumpy-julia.json`: what an installed prefix is made of. Written last, it also says that the prefix is complete.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::formats::Version;
use crate::stages::julia::JuliaError;
use crate::stages::julia::install::InstallError;

const FILE_NAME: &str = "jnumpy-julia.json";
const FORMAT: u32 = 1;

/// Where an installed Julia and each of its libraries come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Format of this file.
    pub version: u32,
    /// The kind of source, `debian`.
    pub source: String,
    /// The source's release, as `bullseye`.
    pub suite: String,
    /// Julia's version.
    pub julia: String,
    /// The packages of which something is in the prefix, by name.
    pub packages: BTreeMap<String, Package>,
    /// Every program and library in the prefix (path relative to it, `/` between) → name of its package.
    pub files: BTreeMap<String, String>,
}

/// A package of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Version in the source's own notation.
    pub version: String,
    /// Architecture in the source's own notation.
    pub architecture: String,
    /// Its copyright and licence text, relative to the prefix.
    pub license: String,
}

impl Record {
    pub(crate) fn new(source: &str, suite: &str, julia: &Version) -> Self {
        Self {
            version: FORMAT,
            source: source.into(),
            suite: suite.into(),
            julia: julia.to_string(),
            packages: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// Reads the record of `prefix`; `None` when there is none, as in a Julia that we did not install.
    pub fn read(prefix: &Path) -> Result<Option<Self>, JuliaError> {
        let path = prefix.join(FILE_NAME);
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
        let path = prefix.join(FILE_NAME);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|source| InstallError::Record { path: path.clone(), source })?;
        text.push('\n');
        Ok(fs_err::write(path, text)?)
    }
}
