//! The Julia packages of a bundle, as `bundle.json` lists them: what a bundle that joins another one has to agree with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BundleError;
use crate::stages::depot::{Resolution, Source};
use crate::stages::project::{Project, list_files};

/// One package. Two bundles agree on it when all of this is equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BundledPackage {
    pub(crate) name: String,
    /// Empty when the package has none.
    pub(crate) version: String,
    /// What tells its sources from others: the tree hash that the manifest pins, or else a hash of its Julia files.
    sources: String,
}

/// The packages in a bundle by UUID, the project among them. Julia's own packages go with its version, TyPython with
/// the runtime.
pub(super) fn bundled_packages(
    project: &Project,
    resolution: &Resolution,
) -> Result<BTreeMap<String, BundledPackage>, BundleError> {
    let own = project.files.iter().map(|file| (file.name.clone(), file.path.clone()));
    let mut packages = BTreeMap::from([(
        project.uuid().to_string(),
        BundledPackage {
            name: project.julia.name.clone(),
            version: project.julia.version.clone().unwrap_or_default(),
            sources: hash(own.collect())?,
        },
    )]);
    for (uuid, package) in &resolution.packages {
        let Source::Directory(directory) = &package.source else { continue };
        let sources = match &package.tree_hash {
            Some(hash) => hash.clone(),
            None => hash(list_files(directory)?.into_iter().map(|file| (file.name, file.path)).collect())?,
        };
        let version = package.version.clone().unwrap_or_default();
        packages.insert(uuid.to_string(), BundledPackage { name: package.name.clone(), version, sources });
    }
    Ok(packages)
}

/// A hash of the code among the files of a package: the same wherever the package lies, and whatever lies beside it.
fn hash(files: Vec<(String, PathBuf)>) -> Result<String, BundleError> {
    let code: BTreeMap<_, _> =
        files.into_iter().filter(|(name, _)| name == "Project.toml" || name.starts_with("src/")).collect();
    let mut hash = Sha256::new();
    for (name, path) in code {
        let bytes = fs_err::read(path)?;
        hash.update(format!("{name}\0{}\0", bytes.len()));
        hash.update(bytes);
    }
    Ok(hex::encode(hash.finalize()))
}
