//! Package images (Julia 1.9 and later): each package compiled into a library of its own, for Julia's stock image.
//!
//! What the project depends on is compiled once and kept; an edit of the project compiles the project again and the calls
//! of a recorded run. The bundle loads the images in the order in which they were made, without Julia's own search for
//! caches, which compares times of sources and absolute paths.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ImageError;
use super::target::CpuTarget;
use crate::formats::Uuid;
use crate::formats::contract::{BUNDLE, DEPOT, JULIA, SOURCES, in_bundle};
use crate::stages::julia::{Julia, JuliaError, Run};
use jnumpy_base::process::ChildError;

const SCRIPT: &str = include_str!("packages.jl");
const MARK: &str = "jnumpy-image ";

/// The package of the calls of a recorded run.
pub(super) const CALLS: &str = include_str!("calls.jl");
/// Its name.
pub(super) const CALLS_NAME: &str = "JNumPyCalls";
/// Its directory in the build tree.
pub(super) const CALLS_LOCATION: &str = "calls";

/// A package image in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageImage {
    /// UUID and name of the package, with `/` between them.
    pub id: String,
    /// The file, in the directory of the cache's entry.
    pub file: String,
    /// Its source file, relative to `_jnumpy` of the bundle; none when the bundle has none.
    pub source: Option<String>,
    /// The modules that must be loaded before, in this order, named like `id`.
    pub needs: Vec<String>,
}

impl PackageImage {
    /// The package's UUID; `-` when it has none.
    pub(super) fn uuid(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// The package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or_default()
    }
}

/// A child Julia that compiles packages.
pub(super) struct Compiler<'a> {
    pub(super) julia: &'a Julia,
    pub(super) target: &'a CpuTarget,
    pub(super) tree: &'a Path,
    pub(super) log: &'a Path,
}

/// What a child has loaded: the image is where it was found.
pub(super) struct Loaded {
    pub(super) image: PathBuf,
    pub(super) package: PackageImage,
}

impl Compiler<'_> {
    /// Loads packages; what no depot has compiled goes into the first one of `depots`.
    pub(super) fn load(
        &self,
        depots: &[PathBuf],
        packages: &[String],
        progress: impl FnMut(Duration),
    ) -> Result<Vec<Loaded>, ImageError> {
        let own = self.julia.prefix.join(&self.julia.layout.share_julia);
        let sources = self.tree.join(SOURCES).join(in_bundle(DEPOT));
        let depots = depots.iter().cloned().chain([sources, own]);
        let run = Run::new(self.julia)
            .args(["--color=no", "--history-file=no", "-e", SCRIPT])
            .args(packages)
            .env("JULIA_CPU_TARGET", self.target.to_string())
            .env("JULIA_DEPOT_PATH", std::env::join_paths(depots).map_err(std::io::Error::other)?)
            .env("JULIA_LOAD_PATH", format!("{}:@stdlib", self.tree.join("environment").display()))
            .directory(self.tree)
            .log(self.log);
        let output = run.run(progress).map_err(|error| match error {
            JuliaError::Child(ChildError::Failed { status, said, .. }) => {
                ImageError::Compile { status, log: self.log.to_owned(), source: said }
            }
            error => error.into(),
        })?;
        Ok(output.stdout.lines().filter_map(|line| self.parse(line)).collect())
    }

    fn parse(&self, line: &str) -> Option<Loaded> {
        let mut words = line.strip_prefix(MARK)?.split(' ');
        let id = words.next()?.to_owned();
        let path = |digits: &str| -> Option<PathBuf> {
            crate::stages::depot::hexadecimal_text(digits).map(PathBuf::from)
        };
        let image = path(words.next()?)?;
        let source = self.location(&path(words.next()?)?);
        let needs = words.map(str::to_owned).collect();
        let file = format!("{}.so", id.rsplit('/').next()?);
        Some(Loaded { image, package: PackageImage { id, file, source, needs } })
    }

    /// Where a source file lies in the bundle, relative to `_jnumpy`.
    fn location(&self, source: &Path) -> Option<String> {
        let below = |root: &Path| source.strip_prefix(root).ok()?.to_str();
        let sources = self.tree.join(SOURCES);
        below(&sources.join(BUNDLE))
            .map(str::to_owned)
            .or_else(|| below(&sources).map(|rest| format!("../{rest}")))
            .or_else(|| below(&self.julia.prefix).map(|rest| format!("{JULIA}/{rest}")))
    }
}

/// A package as the scripts take it.
pub(super) fn named(package: &(Uuid, String)) -> String {
    format!("{} {}", package.0, package.1)
}

/// The UUID of the package of calls: another one for each project, since a process can have those of several wheels.
pub(super) fn calls_uuid(project: Uuid) -> Uuid {
    Uuid::from_hash((project.value() ^ u128::from_be_bytes(*b"jnumpy-pack call")).to_be_bytes())
}

/// What the environment's manifest says of the package of calls.
pub(super) fn calls_entry(uuid: Uuid) -> String {
    format!("[[{CALLS_NAME}]]\nuuid = \"{uuid}\"\npath = \"../{CALLS_LOCATION}\"\n    [{CALLS_NAME}.deps]\n")
}

/// The script with which the bundle of a project loads its package images, which are in a directory: what to load, and how.
/// On a shared Julia, another bundle may have loaded a package that these were not made for; then the rest is left to be
/// loaded from sources.
#[must_use]
pub fn load_script(packages: &[PackageImage], directory: &str, project: Uuid, shared: bool) -> String {
    let mut ids: Vec<&str> = Vec::new();
    let mut rows = String::new();
    for package in packages {
        let mut needs = Vec::new();
        for need in &package.needs {
            let at = ids.iter().position(|id| id == need).unwrap_or_else(|| {
                ids.push(need);
                ids.len() - 1
            });
            needs.push((at + 1).to_string());
        }
        // Names of packages and of files of a bundle hold no quotes, backslashes or dollar signs.
        let source = package.source.as_ref().map_or("nothing".into(), |source| format!("\"{source}\""));
        let (id, file, needs) = (identity(&package.id), &package.file, needs.join(", "));
        let _ = writeln!(rows, "        Any[{id}, \"{directory}/{file}\", {source}, Any[{needs}]],");
    }
    let ids: Vec<String> = ids.into_iter().map(|id| format!("        {},", identity(id))).collect();
    // The scripts of several bundles are run in one process.
    let module = format!("JNumPyPackages_{:032x}", project.value());
    let script = include_str!("load.jl").replace("{module}", &module);
    let script = script.replace("{misfit}", if shared { "break" } else { "throw(found)" });
    script.replace("{ids}", &ids.join("\n")).replace("{rows}", rows.trim_end())
}

/// A package's identity, as Julia code.
fn identity(id: &str) -> String {
    match id.split_once('/') {
        Some(("-", name)) => format!("Base.PkgId(\"{name}\")"),
        Some((uuid, name)) => format!("Base.PkgId(Base.UUID(\"{uuid}\"), \"{name}\")"),
        None => format!("Base.PkgId(\"{id}\")"),
    }
}
