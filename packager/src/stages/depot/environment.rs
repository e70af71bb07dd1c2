//! The locations of dependencies below the Python package, and the manifest with these locations.
//!
//! The tree is the same while an image is built and in the wheel: the project at its root, TyPython in the runtime,
//! all else in a depot.

use std::fmt::Write;
use std::path::Path;

use super::{Package, Resolution, Source, slug};
use crate::formats::Uuid;
use crate::formats::contract::{PACKAGES, TYPYTHON, below, below_bundle, in_bundle};
use crate::stages::project::TreeHash;

/// A dependency and where it lies below the Python package.
#[derive(Debug)]
pub struct Located<'a> {
    /// The package's UUID.
    pub uuid: Uuid,
    pub package: &'a Package,
    /// Its directory, with `/` between the parts; none for what Julia brings.
    pub location: Option<String>,
}

impl<'a> Located<'a> {
    /// The directory whose files must be copied to the location; none if they are there already.
    #[must_use]
    pub fn copied(&self) -> Option<(&str, &'a Path)> {
        let location = self.location.as_deref()?;
        below(below_bundle(location)?, PACKAGES)?;
        if let Source::Directory(directory) = &self.package.source {
            Some((location, directory))
        } else {
            None
        }
    }
}

impl Resolution {
    /// Every dependency with its location, for the Python package at `package_dir`.
    pub fn located<'a>(&'a self, package_dir: &'a Path) -> impl Iterator<Item = Located<'a>> {
        self.packages.iter().map(|(uuid, package)| {
            let location = match &package.source {
                Source::StandardLibrary => None,
                Source::RuntimeWheel => Some(in_bundle(TYPYTHON)),
                Source::Directory(directory) => Some(location(*uuid, package, directory, package_dir)),
            };
            Located { uuid: *uuid, package, location }
        })
    }
}

fn location(uuid: Uuid, package: &Package, directory: &Path, package_dir: &Path) -> String {
    let name = &package.name;
    if let Some(hash) = package.tree_hash.as_deref().and_then(|hash| hash.parse::<TreeHash>().ok()) {
        return in_bundle(&format!("{PACKAGES}/{name}/{}", slug(uuid, &hash, 5)));
    }
    match directory.strip_prefix(package_dir).ok().and_then(Path::to_str) {
        Some(inside) if !inside.is_empty() => inside.to_owned(),
        _ => in_bundle(&format!("{PACKAGES}/{name}/local")),
    }
}

/// One package of a manifest. Every Julia reads the first format, and it names no version of Julia.
pub(crate) fn manifest_entry(uuid: Uuid, package: &Package, path: Option<&str>) -> String {
    let name = &package.name;
    let mut text = format!("[[{name}]]\nuuid = \"{uuid}\"\n");
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key} = {}", toml::Value::String(value.to_owned()));
    };
    if let Some(version) = &package.version {
        line("version", version);
    }
    if let Some(hash) = &package.tree_hash {
        line("git-tree-sha1", hash);
    }
    if let Some(path) = path {
        line("path", path);
    }
    for (table, deps) in [("deps", &package.deps), ("weakdeps", &package.weak_deps)] {
        // Julia treats the dependencies of a package without `deps` as unknown.
        if table == "deps" || !deps.is_empty() {
            let _ = writeln!(text, "    [{name}.{table}]");
        }
        for (dep, uuid) in deps {
            let _ = writeln!(text, "    {dep} = \"{uuid}\"");
        }
    }
    if !package.extensions.is_empty() {
        let _ = writeln!(text, "    [{name}.extensions]");
    }
    for (extension, triggers) in &package.extensions {
        let _ = writeln!(text, "    {extension} = {triggers:?}");
    }
    text
}
