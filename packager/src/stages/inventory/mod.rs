//! The contents of a wheel, whether packed, unpacked, or installed.

mod chains;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::chains::Chains;
use self::source::{File, Files};
use crate::formats::contract::{self, ARTIFACTS, DEPOT, DESCRIPTION, JULIA, RUNTIME};
use crate::formats::policy;
use crate::stages::audit::{AuditError, Libraries};
use crate::stages::bundle::{Description, is_compiler, licensed_parts};
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::text::printable;
use jnumpy_base::{Hint, Report};
use jnumpy_elf::Elf;
use jnumpy_wheel::{ComponentKind, METADATA, ReadMetadata, SBOM_PATH, Sbom, WHEEL, WheelError, WheelPath};

/// Version of the JSON form.
const FORMAT: u32 = 1;
/// The prefix of the package URL of a Julia package.
const JULIA_PACKAGE: &str = "pkg:julia/";

/// The contents of a wheel. All lists are sorted.
#[derive(Debug, Serialize)]
pub struct Inventory {
    /// Version of this form.
    version: u32,
    /// The file name of the wheel; `None` for a directory.
    pub wheel: Option<String>,
    /// `None` for a directory without `.dist-info`.
    pub distribution: Option<Distribution>,
    /// `None` if Julia is not in it.
    pub bundle: Option<Bundle>,
    /// `None` if the wheel has no machine code, or if no platform provides the symbols that it needs.
    pub floor: Option<Floor>,
    /// In bytes; `None` for a directory.
    pub size: Option<u64>,
    /// In bytes.
    pub unpacked: u64,
    /// The files by what they are for, the largest part first.
    pub parts: Vec<Part>,
    /// Julia packages.
    pub packages: Vec<Package>,
    /// Artifacts of Julia packages.
    pub artifacts: Vec<Artifact>,
    /// ELF files.
    pub libraries: Vec<Library>,
    /// Texts of licenses.
    pub licenses: Vec<LicenseText>,
    /// All files.
    pub files: Vec<FileSize>,
}

/// What `.dist-info` says.
#[derive(Debug, Serialize)]
pub struct Distribution {
    pub name: String,
    pub version: String,
    pub summary: Option<String>,
    pub license: Option<String>,
    pub requires_python: Option<String>,
    pub requires: Vec<String>,
    pub tags: Vec<String>,
}

/// What `bundle.json` says.
#[derive(Debug, Serialize)]
pub struct Bundle {
    /// The directory of the Python package with the bundle, which is its import name.
    pub package: String,
    pub julia: String,
    /// What has the Julia, if that is another wheel: a requirement.
    pub shared: Option<String>,
    /// Whether Julia's compiler is in it.
    pub compiler: bool,
    pub image: ImageKind,
    /// None if the project is not compiled ahead of time.
    pub cpu_targets: Vec<String>,
    /// The version of jnumpy-runtime.
    pub runtime: String,
}

/// What is compiled ahead of time, as a value of `--image`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageKind {
    Full,
    Packages,
    None,
}

/// The oldest system that all files work on.
#[derive(Debug, Serialize)]
pub struct Floor {
    pub platform: String,
    /// The version of glibc.
    pub glibc: String,
    /// What asks for it; `None` on the oldest platform that there is.
    pub because: Option<Because>,
}

/// A file that asks a library of the system for a symbol version.
#[derive(Debug, Serialize)]
pub struct Because {
    pub file: String,
    pub library: String,
    pub symbol_version: String,
}

/// Files with one purpose.
#[derive(Debug, Serialize)]
pub struct Part {
    pub name: &'static str,
    pub files: usize,
    pub size: u64,
    /// `None` for a directory.
    pub compressed: Option<u64>,
}

/// A Julia package.
#[derive(Debug, Serialize)]
pub struct Package {
    pub name: String,
    pub uuid: String,
    /// `None` for a standard library, which goes with Julia.
    pub version: Option<String>,
    /// The chain of those that need it, nearest first.
    pub needed_by: Vec<String>,
}

/// An artifact of a Julia package.
#[derive(Debug, Serialize)]
pub struct Artifact {
    pub name: String,
    pub hash: String,
    pub package: Option<String>,
}

/// An ELF file.
#[derive(Debug, Serialize)]
pub struct Library {
    pub path: String,
    pub soname: Option<String>,
    pub size: u64,
    /// `None` for a directory.
    pub compressed: Option<u64>,
    /// The chain of what needs it, nearest first; empty if nothing is linked to it.
    pub needed_by: Vec<String>,
    /// The libraries that it takes from the user's system.
    pub system: Vec<String>,
    /// The package of the distribution that it comes from.
    pub from: Option<String>,
}

/// The text of a license.
#[derive(Debug, Serialize)]
pub struct LicenseText {
    pub path: String,
    /// What it is the license of; empty if it is that of the distribution itself.
    pub of: Vec<String>,
}

/// The size of a file in bytes.
#[derive(Debug, Serialize)]
pub struct FileSize {
    pub path: String,
    pub size: u64,
    /// `None` for a directory.
    pub compressed: Option<u64>,
}

/// Something cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// There is no wheel to be seen.
    #[error("`{}` is neither a wheel nor a directory with the files of one", path.display())]
    NoWheel { path: PathBuf },
    /// Several packages are in one directory.
    #[error("`{}` has several packages with a bundle: {}", path.display(), packages.join(", "))]
    Several { path: PathBuf, packages: Vec<String> },
    /// A file that describes the others cannot be read.
    #[error("`{file}` cannot be read: {reason}")]
    File { file: String, reason: String },
    /// The archive is damaged.
    #[error(transparent)]
    Archive(#[from] AuditError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Hint for InventoryError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoWheel { .. } => {
                "name a wheel, the directory of an installed package, or the directory that a wheel was unpacked in"
                    .into()
            }
            Self::Several { .. } => "name the directory of one package".into(),
            Self::File { .. } => "`jnumpy-pack audit` says what else is wrong with the wheel".into(),
            Self::Archive(error) => return error.hint(),
            Self::Io(_) | Self::Interrupted(_) => return None,
        })
    }
}

/// What a wheel is called.
#[derive(Debug)]
pub struct Identity {
    /// The package with the bundle, as Python imports it; `None` without a bundle.
    pub package: Option<String>,
    /// What the metadata says.
    pub distribution: Option<Distribution>,
}

/// Reads the description of a wheel, and none of its other files.
pub fn identify(wheel: &Path) -> Result<Identity, InventoryError> {
    let files = Files::read_descriptions(wheel)?;
    Ok(Identity { package: files.package(), distribution: files.distribution()? })
}

/// Reads what is at `path`: a wheel, the directory that one was unpacked in, or an installed package.
pub fn inventory(path: &Path, report: &Report) -> Result<Inventory, InventoryError> {
    let stage = report.stage("read");
    let files = Files::read(path, |done| stage.progress(format_args!("{done} files")))?;
    let described =
        files.bundle.as_ref().and_then(|directory| files.by_path.get(&directory.join(DESCRIPTION).ok()?));
    let description = described.map(|file| parsed(file, Description::read)).transpose()?;
    let distribution = files.distribution()?;
    let sbom = files
        .inside(SBOM_PATH)
        .map(|file| parsed(file, |bytes| Sbom::read(bytes).map_err(said)))
        .transpose()?;

    let elves = files.by_path.iter().filter_map(|(path, file)| Some((path, file.elf.as_ref()?)));
    let libraries = Libraries::new(elves);
    let chains = Chains::new(&libraries, files.bundle.as_ref(), description.as_ref(), sbom.as_ref());
    let inventory = Inventory {
        version: FORMAT,
        wheel: path.is_file().then(|| printable(&jnumpy_base::path::file_name(path))),
        floor: floor(&libraries),
        size: path.is_file().then(|| fs_err::metadata(path).map(|metadata| metadata.len())).transpose()?,
        unpacked: files.by_path.values().map(|file| file.size).sum(),
        parts: parts(&files, description.as_ref()),
        packages: packages(description.as_ref(), sbom.as_ref(), &chains),
        artifacts: artifacts(sbom.as_ref()),
        libraries: libraries
            .files
            .iter()
            .filter_map(|(path, elf)| {
                Some(library(path, elf, files.by_path.get(&path.parse::<WheelPath>().ok()?)?, &chains))
            })
            .collect(),
        licenses: licenses(&files, sbom.as_ref()),
        bundle: description.map(|description| bundle(&files, &description)),
        distribution,
        files: files
            .by_path
            .iter()
            .map(|(path, file)| FileSize {
                path: path.to_string(),
                size: file.size,
                compressed: file.compressed,
            })
            .collect(),
    };
    drop(stage);
    Ok(inventory)
}

#[expect(clippy::needless_pass_by_value, reason = "the form `map_err` asks for")]
fn said(error: WheelError) -> String {
    error.to_string()
}

/// What a kept file says.
fn parsed<T>(file: &File, parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, InventoryError> {
    let (name, bytes) = file.kept();
    parse(bytes).map_err(|reason| InventoryError::File { file: name.to_owned(), reason: printable(&reason) })
}

impl Files {
    /// A file of `.dist-info`.
    fn inside(&self, name: &str) -> Option<&File> {
        self.by_path.get(&self.dist_info.as_ref()?.join(name).ok()?)
    }

    fn distribution(&self) -> Result<Option<Distribution>, InventoryError> {
        self.inside(METADATA).map(|file| distribution(file, self.inside(WHEEL))).transpose()
    }

    /// The package with the bundle, as Python imports it.
    fn package(&self) -> Option<String> {
        Some(self.bundle.as_ref()?.parent()?.as_str().replace('/', "."))
    }
}

fn distribution(metadata: &File, wheel: Option<&File>) -> Result<Distribution, InventoryError> {
    let read = |file: &File| parsed(file, |bytes| ReadMetadata::read(bytes).map_err(said));
    let fields = read(metadata)?;
    let tags = wheel.map(read).transpose()?;
    let one = |name: &str| fields.all(name).next().map(printable);
    let must = |name: &str| parsed(metadata, |_| fields.one(name).map(printable).map_err(said));
    Ok(Distribution {
        name: must("Name")?,
        version: must("Version")?,
        summary: one("Summary"),
        license: one("License-Expression").or_else(|| one("License")),
        requires_python: one("Requires-Python"),
        requires: fields.all("Requires-Dist").map(printable).collect(),
        tags: tags.iter().flat_map(|tags| tags.all("Tag")).map(printable).collect(),
    })
}

fn bundle(files: &Files, description: &Description) -> Bundle {
    let image = &description.image;
    Bundle {
        package: files.package().unwrap_or_default(),
        julia: printable(&description.julia.version),
        shared: description.shared.as_ref().map(|shared| printable(&shared.requirement)),
        compiler: description
            .files
            .keys()
            .any(|path| is_compiler(path.rsplit('/').next().unwrap_or_default())),
        image: match (&image.packages, image.holds_project) {
            (Some(_), _) => ImageKind::Packages,
            (None, true) => ImageKind::Full,
            (None, false) => ImageKind::None,
        },
        cpu_targets: image.cpu_target.iter().flat_map(|targets| targets.split(';')).map(printable).collect(),
        runtime: printable(&description.runtime),
    }
}

fn floor(libraries: &Libraries<'_>) -> Option<Floor> {
    let machine = libraries.files.values().next()?.machine;
    let floor = policy::floor(machine, libraries.asked_of_system()).ok()?;
    Some(Floor {
        platform: floor.platform.to_string(),
        glibc: floor.platform.glibc.to_string().replace('_', "."),
        because: floor.because.map(|demand| Because {
            file: demand.file.to_string_lossy().into_owned(),
            library: printable(&demand.need.library),
            symbol_version: printable(&demand.need.version),
        }),
    })
}

/// The files by what they are for.
fn parts(files: &Files, description: Option<&Description>) -> Vec<Part> {
    let mut parts: BTreeMap<&'static str, Part> = BTreeMap::new();
    for (path, file) in &files.by_path {
        let name = part_of(path, file, files, description);
        let part = parts.entry(name).or_insert(Part { name, files: 0, size: 0, compressed: Some(0) });
        part.files += 1;
        part.size += file.size;
        part.compressed = part.compressed.zip(file.compressed).map(|(sum, size)| sum + size);
    }
    let mut parts: Vec<Part> = parts.into_values().collect();
    parts.sort_by_key(|part| (std::cmp::Reverse(part.compressed.unwrap_or(part.size)), part.name));
    parts
}

fn part_of(path: &WheelPath, file: &File, files: &Files, description: Option<&Description>) -> &'static str {
    if files.dist_info.as_ref().is_some_and(|directory| path.is_below(directory)) {
        return "metadata and licenses";
    }
    let below = files
        .bundle
        .as_ref()
        .and_then(|bundle| path.as_str().strip_prefix(bundle.as_str())?.strip_prefix('/'));
    let (Some(below), Some(description)) = (below, description) else {
        return "Python package";
    };
    let is_in = |directory| contract::below(below, directory).is_some();
    if below == description.image.path {
        "system image"
    } else if is_in(RUNTIME) {
        "runtime"
    } else if is_in(ARTIFACTS) {
        "artifacts"
    } else if is_in(DEPOT) {
        "Julia packages"
    } else if is_in(JULIA) && file.elf.is_some() {
        "libraries"
    } else if is_in(JULIA) {
        "other files of Julia"
    } else {
        "description of the bundle"
    }
}

fn packages(description: Option<&Description>, sbom: Option<&Sbom>, chains: &Chains<'_>) -> Vec<Package> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for (uuid, package) in description.iter().flat_map(|description| &description.packages) {
        let version = Some(printable(&package.version)).filter(|version| !version.is_empty());
        let package =
            Package { name: printable(&package.name), uuid: printable(uuid), version, needed_by: Vec::new() };
        packages.insert(uuid.clone(), package);
    }
    for component in sbom.iter().flat_map(|sbom| &sbom.components) {
        let Some(purl) = component.purl.as_ref().filter(|purl| purl.starts_with(JULIA_PACKAGE)) else {
            continue;
        };
        let uuid = purl.split_once("?uuid=").map_or("", |(_, uuid)| uuid);
        let package = Package {
            name: printable(&component.name),
            uuid: printable(uuid),
            version: component.version.as_deref().map(printable),
            needed_by: chains.of_component(component),
        };
        packages.insert(uuid.to_owned(), package);
    }
    let mut packages: Vec<Package> = packages.into_values().collect();
    packages.sort_by(|one, two| (&one.name, &one.uuid).cmp(&(&two.name, &two.uuid)));
    packages
}

fn artifacts(sbom: Option<&Sbom>) -> Vec<Artifact> {
    let components = sbom.into_iter().flat_map(|sbom| &sbom.components);
    components
        .filter(|component| component.kind == ComponentKind::Data)
        .map(|component| Artifact {
            name: printable(&component.name),
            hash: component.hashes.first().map(|hash| printable(&hash.content)).unwrap_or_default(),
            package: component.properties.get("julia:package").map(|name| printable(name)),
        })
        .collect()
}

fn library(path: &str, elf: &Elf, file: &File, chains: &Chains<'_>) -> Library {
    Library {
        path: path.to_owned(),
        soname: elf.soname.as_deref().map(printable),
        size: file.size,
        compressed: file.compressed,
        needed_by: chains.of_file(path),
        system: elf
            .needed
            .iter()
            .filter(|name| policy::is_system_library(name))
            .map(|name| printable(name))
            .collect(),
        from: chains.provider(path),
    }
}

fn licenses(files: &Files, sbom: Option<&Sbom>) -> Vec<LicenseText> {
    let Some(directory) = files.dist_info.as_ref().and_then(|directory| directory.join("licenses").ok())
    else {
        return Vec::new();
    };
    let artifact = |hash: &str| {
        let mut components = sbom.iter().flat_map(|sbom| &sbom.components);
        components.find(|component| component.hashes.iter().any(|known| known.content == hash))
    };
    let below = files.by_path.keys().filter(|path| path.is_below(&directory));
    below
        .map(|path| {
            let of = licensed_parts(&path.as_str()[directory.as_str().len() + 1..]);
            let name = |part: String| artifact(&part).map_or(part, |component| printable(&component.name));
            LicenseText { path: path.to_string(), of: of.into_iter().map(name).collect() }
        })
        .collect()
}
