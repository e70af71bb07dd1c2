//! The data about Debian's Julia: which packages, which of their files, and what stays the machine's own.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::formats::Version;
use crate::stages::julia::install::InstallError;

const DEBIAN: &str = include_str!("../../../../../manifests/julia/debian-1.5.toml");
const MULTIARCH: &str = "{multiarch}";

/// `manifests/julia/debian-*.toml`; the file says what each field is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    #[serde(deserialize_with = "version")]
    pub(super) version: Version,
    pub(super) suite: String,
    pub(super) origin: String,
    pub(super) package: String,
    pub(super) own: Vec<String>,
    pub(super) releases: Vec<String>,
    pub(super) space_megabytes: u64,
    pub(super) architectures: BTreeMap<String, String>,
    pub(super) place: Vec<Place>,
    pub(super) drop: Vec<Dropped>,
    pub(super) host: Vec<Host>,
    pub(super) search: Vec<Search>,
}

/// A part of a package and where it goes in the prefix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) from: String,
    pub(super) to: String,
}

/// A part of the prefix that is left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dropped {
    pub(super) path: String,
    #[serde(rename = "reason")]
    _reason: String,
}

/// A package whose libraries are the machine's, or that only apt wants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    pub(super) package: String,
    pub(super) libraries: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
}

/// A file that opens libraries by name, and so needs a run path to directories beyond those of its needed libraries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    pub(super) file: String,
    pub(super) directories: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
}

impl Manifest {
    /// The one for Debian's Julia.
    pub(super) fn debian() -> Result<Self, InstallError> {
        Ok(toml::from_str(DEBIAN)?)
    }

    /// Puts the library directory of `architecture` (Debian's name) into all paths.
    pub(super) fn resolve(mut self, architecture: &str) -> Result<Self, InstallError> {
        let multiarch = self.architectures.get(architecture).ok_or_else(|| InstallError::Architecture {
            found: architecture.into(),
            known: self.architectures.keys().cloned().collect(),
        })?;
        let place = self.place.iter_mut().flat_map(|place| [&mut place.from, &mut place.to]);
        let drop = self.drop.iter_mut().map(|drop| &mut drop.path);
        let search = self
            .search
            .iter_mut()
            .flat_map(|search| std::iter::once(&mut search.file).chain(&mut search.directories));
        for path in place.chain(drop).chain(search) {
            *path = path.replace(MULTIARCH, multiarch);
        }
        Ok(self)
    }

    /// Whether the machine has this library, as `DT_NEEDED` names it.
    pub(super) fn is_host_library(&self, name: &str) -> bool {
        self.host.iter().any(|host| host.libraries.iter().any(|library| library == name))
    }
}

fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_the_file_is_whole() {
        let manifest = Manifest::debian().unwrap().resolve("amd64").unwrap();
        assert!(manifest.own.contains(&manifest.package));
        assert!(manifest.releases.contains(&manifest.suite));
        let paths = manifest.place.iter().flat_map(|place| [&place.from, &place.to]);
        let paths = paths.chain(manifest.drop.iter().map(|drop| &drop.path));
        for path in paths.chain(manifest.search.iter().flat_map(|search| &search.directories)) {
            assert!(!path.contains('{') && !path.starts_with('/') && !path.contains(".."), "{path}");
        }
    }

    #[test]
    fn err_another_architecture() {
        let error = Manifest::debian().unwrap().resolve("s390x").unwrap_err();
        let text = "the source `debian` has no Julia for the architecture `s390x`, only for: amd64";
        assert_eq!(error.to_string(), text);
    }
}
