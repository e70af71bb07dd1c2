//! The plan of a wheel: every path in it, and where its bytes come from. Nothing is written here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::binaries::{read_elf, starts_as_elf};
use super::bootstrap::with_bootstrap;
use super::description::{Description, ImagePart, JuliaPart, PlatformPart, ProjectPart, RelocationPart};
use super::explain::Explanations;
use super::inputs::BundleInputs;
use super::libraries::{self, Libraries};
use super::loader::Loader;
use super::packages::bundled_packages;
use super::provenance::{self, Provenance};
use super::shared::{self, Files};
use super::trees::Trees;
use super::{BundleError, Decisions, Prune};
use crate::formats::contract::{
    ARTIFACTS, BUNDLE, BUNDLE_FORMAT, DEPOT, DESCRIPTION, JULIA, RUNTIME, TYPYTHON, below, below_bundle,
};
use crate::formats::policy::{self, Demand};
use crate::stages::depot::manifest_entry;
use crate::stages::image::{PackageImage, StandardLibraries, load_script};
use crate::stages::julia_wheel::{CACHE_HEADER, Sharing};
use crate::stages::project::{Manifest, ProjectError, list_files};
use jnumpy_base::interrupt;
use jnumpy_elf::{Elf, Locations, VersionNeed, is_elf, locations};
use jnumpy_wheel::{Component, Content, Contents, Source as Bytes, Tag, WheelPath};

/// The oldest Python that the runtime's extension is built for.
const PYTHON: (u32, u32) = (3, 10);
/// The script that loads the package images, in [`BUNDLE`].
const LOAD_SCRIPT: &str = "packages.jl";

const BIN_README: &str = "\
Julia finds its libraries relative to this directory, so it must exist. Nothing in it is run.
";

/// Everything that goes into a wheel, except `.dist-info`.
#[derive(Debug)]
pub struct Bundle {
    /// The files, by their paths in the wheel.
    pub contents: Contents,
    /// Texts of licenses, by their paths below `.dist-info/licenses/`.
    pub licenses: Contents,
    /// What is bundled, for the bill of materials.
    pub components: Vec<Component>,
    /// What the wheel runs on.
    pub tag: Tag,
    /// What keeps it from running on an older system.
    pub because: Option<Demand>,
    /// Why things are in it, or are not.
    pub explanations: Explanations,
    /// Holds the files that packing has changed, until the wheel is written.
    pub scratch: TempDir,
}

impl BundleInputs<'_> {
    /// Plans the wheel.
    pub fn plan(&self) -> Result<Bundle, BundleError> {
        let image_path = self
            .image
            .map_or_else(|| self.julia.prefix.join(&self.julia.layout.sysimage), |image| image.path.clone());
        let image_bytes = fs_err::read(&image_path)?;
        let settings = &self.project.settings;
        let unused = self.image.map_or(&[][..], |image| &image.unused);
        let stdlibs = self.stdlibs().cloned().unwrap_or_default();
        let prune = Prune::new(settings, self.dependencies, &image_bytes, unused, &stdlibs.left_out)?;
        let scratch = tempfile::Builder::new().prefix("jnumpy-pack-").tempdir()?;
        let layout = &self.julia.layout;
        let libdir = layout.libjulia.parent().unwrap_or(Path::new(""));
        let loader =
            Loader::new(&[&layout.private_libdir, libdir].map(|below| self.julia.prefix.join(below)))?;
        let inputs = libraries::LibraryInputs {
            julia: self.julia,
            image: &image_path,
            prune: &prune,
            root: &self.project.root,
            settings,
            scratch: scratch.path(),
            loader: &loader,
            loads_sources: self.image.is_none() || matches!(self.sharing, Sharing::Gives),
            packages: self.image.map_or(&[], |image| &image.packages),
            compiler: self.compiler,
            sharing: self.sharing,
            package: &self.project.package_name,
        };
        let mut inside = Inside { prune: &prune, decisions: Decisions::default(), files: BTreeMap::new() };
        let mut trees = self.trees(&mut inside)?;
        let libraries = Libraries::collect(&inputs, image_bytes, trees.wanted(), &mut inside.decisions)?;
        // Not earlier, because errors about missing libraries name files of this machine.
        trees.give_unique_names()?;
        let machine = libraries.image.machine;

        self.add_runtime(&mut inside)?;
        self.add_julia(&inputs, &libraries, &mut inside)?;
        for (location, content) in trees.contents(&inputs, &libraries)? {
            inside.add(&utf8(location)?, content, "a file of a package or an artifact")?;
        }

        let mut needs: Vec<(PathBuf, VersionNeed)> =
            libraries.closure.system_needs().map(|(path, need)| (path.to_owned(), need.clone())).collect();
        let of_the_image =
            libraries.image.requires.iter().filter(|need| policy::is_system_library(&need.library));
        needs.extend(trees.system_needs().map(|(path, need)| (path.to_owned(), need.clone())));
        needs.extend(of_the_image.map(|need| (image_path.clone(), need.clone())));
        needs.extend(libraries.package_needs.iter().cloned());
        for (name, path) in self.runtime.files.iter().filter(|(name, _)| is_shared_library(name)) {
            let elf = read_elf(path)?;
            needs.extend(elf.requires.into_iter().map(|need| (PathBuf::from(name), need)));
        }
        for (path, elf) in self.own_binaries()? {
            let of_the_system = |need: &VersionNeed| policy::is_system_library(&need.library);
            needs.extend(elf.requires.into_iter().filter(of_the_system).map(|need| (path.clone(), need)));
        }
        let needs = || needs.iter().map(|(path, need)| (path.as_path(), need));
        let floor = policy::floor(machine, needs())?;
        let platform = self.platform.unwrap_or(floor.platform);
        if platform.machine != machine {
            return Err(policy::PolicyError::OtherMachine { platform, machine }.into());
        }
        policy::check(platform, needs())?;
        let glibc = (platform.glibc.major, platform.glibc.minor);

        if let Some(shared) = self.sharing.wheel() {
            let bound = self.image.map(|_| in_julia(&layout.sysimage)).transpose()?;
            shared::leave_to(shared, bound.as_deref(), &mut inside.files)?;
            inside.decisions.left_out.retain(|path, _| !shared::is_given(path));
        }
        let mut description = self.description(&libraries, &inside, machine.to_string(), glibc)?;
        if let Some(shared) = self.sharing.wheel() {
            description = shared::description(shared, description)?;
        }
        let description = description.text().map_err(std::io::Error::from)?;
        inside.add(DESCRIPTION, Content::bytes(description), "says what is inside")?;

        let mut contents = Contents::new();
        self.add_package(&mut contents)?;
        let package: WheelPath = self.project.package_name.parse()?;
        let directory = package.join(BUNDLE)?;
        for (path, (content, _)) in &inside.files {
            contents.add(directory.join(path)?, content.clone())?;
        }
        prune.check_used(&inside.decisions)?;
        let Provenance { licenses, components } = provenance::collect(self, &libraries)?;
        let tag = match &self.project.abis {
            None => Tag::abi3(PYTHON, &platform.to_string()),
            Some(abis) => Tag::cpython(abis.iter().map(String::as_str), &platform.to_string()),
        }?;
        let brought = inside.files.into_iter().map(|(path, (_, by))| (path, by)).collect();
        let explanations =
            Explanations::new(self.julia, &libraries, &prune, inside.decisions, brought, stdlibs);
        Ok(Bundle { contents, licenses, components, tag, because: floor.because, explanations, scratch })
    }

    /// The user's own files (with the added line in `__init__.py`), a manifest with the locations in the wheel, and stubs.
    fn add_package(&self, contents: &mut Contents) -> Result<(), BundleError> {
        let package: WheelPath = self.project.package_name.parse()?;
        let named = self.project.julia.manifest.as_deref();
        for file in &self.project.files {
            let content = match file.name.as_str() {
                "__init__.py" => Content::bytes(with_bootstrap(&fs_err::read(&file.path)?)),
                // It names directories of this machine, and may be one of several.
                name if Manifest::is_name(name) || named == Some(&file.path) => continue,
                _ => Content::file(&file.path),
            };
            contents.add(package.join(&file.name)?, content.executable(file.executable))?;
        }
        for file in &self.project.others {
            contents.add(file.name.parse()?, Content::file(&file.path).executable(file.executable))?;
        }
        let located = self.resolution.located(&self.project.package_dir);
        let manifest: String = located
            .map(|located| manifest_entry(located.uuid, located.package, located.location.as_deref()))
            .collect();
        contents.add(package.join("Manifest.toml")?, Content::bytes(manifest))?;
        self.add_stubs(&package, contents)
    }

    /// Stubs, and `py.typed`, unless the project has its own.
    fn add_stubs(&self, package: &WheelPath, contents: &mut Contents) -> Result<(), BundleError> {
        let stubs = self.image.iter().flat_map(|image| &image.stubs);
        let mark = stubs.clone().next().map(|_| ("py.typed", ""));
        for (name, text) in stubs.map(|(name, text)| (name.as_str(), text.as_str())).chain(mark) {
            if !self.project.files.iter().any(|file| file.name == name) {
                contents.add(package.join(name)?, Content::bytes(text))?;
            }
        }
        Ok(())
    }

    /// Libraries and programs among the package's own files.
    fn own_binaries(&self) -> Result<Vec<(PathBuf, Elf)>, BundleError> {
        let mut found = Vec::new();
        for file in self.project.files.iter().chain(&self.project.others) {
            interrupt::check()?;
            if !starts_as_elf(&file.path)? {
                continue;
            }
            let wrong = |source| BundleError::Elf { path: file.path.clone(), source };
            let bytes = fs_err::read(&file.path)?;
            let module = file.name.rsplit('/').next().and_then(|name| name.strip_suffix(".so"));
            if let Some(module) = module.filter(|module| !module.contains('.'))
                && let Some(symbols) = Elf::symbols(&bytes).map_err(wrong)?
                && symbols.defined.contains(&format!("PyInit_{module}"))
            {
                return Err(ProjectError::ExtensionModule {
                    path: file.path.clone(),
                    reason: "its name does not say for which; CPython's own way is a name such as \
                             `helper.cpython-311-x86_64-linux-gnu.so` or, for any CPython 3, `helper.abi3.so`",
                }
                .into());
            }
            found.push((file.path.clone(), Elf::parse(&bytes).map_err(wrong)?));
        }
        Ok(found)
    }

    fn add_runtime(&self, inside: &mut Inside<'_>) -> Result<(), BundleError> {
        const BY: &str = "a part of the runtime";
        for (name, path) in &self.runtime.files {
            let location = format!("{RUNTIME}/{name}");
            if self.image.is_none() || below(&location, TYPYTHON).is_none() {
                inside.add(&location, Content::file(path), BY)?;
            }
        }
        inside.add("__init__.py", Content::file(&self.runtime.files["_bootstrap.py"]), BY)
    }

    /// Julia in its own layout.
    fn add_julia(
        &self,
        inputs: &libraries::LibraryInputs<'_>,
        libraries: &Libraries,
        inside: &mut Inside<'_>,
    ) -> Result<(), BundleError> {
        const BY: &str = "a part of Julia that no rule leaves out";
        let layout = &self.julia.layout;
        inside.add(&in_julia(&layout.bindir.join("README"))?, Content::bytes(BIN_README), BY)?;
        for (path, content) in &libraries.files {
            let by = if *path == layout.sysimage { "the image" } else { BY };
            inside.add(&in_julia(path)?, content.clone(), by)?;
        }
        if let Some(image) = self.image.filter(|image| !image.packages.is_empty()) {
            let packages: Vec<PackageImage> =
                image.packages.iter().map(|(package, _)| shared::placed(self.sharing, package)).collect();
            let directory = in_julia(&libraries::package_images(self.julia))?;
            if let Some(header) = &image.cache_header {
                let path = format!("{directory}/{CACHE_HEADER}");
                inside.add(&path, Content::file(header), "lets other wheels be compiled for this one")?;
            }
            let shared = matches!(self.sharing, Sharing::Takes(_));
            let script = load_script(&packages, &directory, self.project.uuid(), shared);
            inside.add(LOAD_SCRIPT, Content::bytes(script), "loads the package images")?;
        }
        let left_out = |below: &Path| self.stdlibs()?.named(below.strip_prefix(&layout.stdlib).ok()?);
        for file in list_files(&self.julia.prefix.join(&layout.share_julia))? {
            interrupt::check()?;
            let below = layout.share_julia.join(&file.name);
            let path = in_julia(&below)?;
            if inside.takes(&path, &file.path)? {
                inside.add(&path, libraries.other(inputs, &file.path, &below)?, BY)?;
            } else if let Some(name) = left_out(&below) {
                let text = StandardLibraries::refusal(name);
                inside.add(&path, Content::bytes(text), "says which standard library is not there")?;
            }
        }
        Ok(())
    }

    /// The depot: sources of packages, and artifacts.
    fn trees(&self, inside: &mut Inside<'_>) -> Result<Trees, BundleError> {
        let mut trees = Trees::default();
        let in_the_bundle = |location: &str| below_bundle(location).unwrap_or(location).to_owned();
        let mut takes = |location: &Path, source: &Path| inside.takes(&utf8(location)?, source);
        for located in self.resolution.located(&self.project.package_dir) {
            if let Some((location, directory)) = located.copied() {
                let may_leave = located.package.tree_hash.is_none();
                trees.add(&in_the_bundle(location), directory, may_leave, &mut takes)?;
                for (name, text) in &located.package.relocated {
                    trees.replace(&Path::new(&in_the_bundle(location)).join(name), text);
                }
            }
        }
        for (hash, artifact) in &self.resolution.artifacts {
            trees.add(&format!("{ARTIFACTS}/{hash}"), &artifact.directory, false, &mut takes)?;
        }
        Ok(trees)
    }

    fn description(
        &self,
        libraries: &Libraries,
        inside: &Inside<'_>,
        machine: String,
        glibc: (u32, u32),
    ) -> Result<Description, BundleError> {
        let mut files = BTreeMap::new();
        let opened = |path: &str| [JULIA, ARTIFACTS].iter().any(|directory| below(path, directory).is_some());
        for (path, (content, _)) in inside.files.iter().filter(|(path, _)| opened(path)) {
            let (size, elf) = match &content.source {
                Bytes::File(file) => (fs_err::metadata(file)?.len(), starts_as_elf(file)?),
                Bytes::Bytes(bytes) => (bytes.len() as u64, is_elf(bytes)),
            };
            if elf {
                files.insert(path.clone(), size);
            }
        }
        Ok(Description {
            format: BUNDLE_FORMAT,
            protocol: self.runtime.protocol,
            runtime: self.runtime.version.clone(),
            julia: JuliaPart {
                version: self.julia.version.to_string(),
                build: matches!(self.sharing, Sharing::Gives)
                    .then(|| shared::build(&inside.files))
                    .transpose()?,
                bindir: in_julia(&self.julia.layout.bindir)?,
                libjulia: in_julia(&libraries.libjulia)?,
                private_libdir: in_julia(&self.julia.layout.private_libdir)?,
                stdlib: in_julia(&self.julia.layout.stdlib)?,
            },
            image: ImagePart {
                path: in_julia(&self.julia.layout.sysimage)?,
                cpu_target: self.image.map(|image| image.cpu_target.to_string()),
                holds_project: self.image.is_some(),
                packages: self.image.filter(|image| !image.packages.is_empty()).map(|_| LOAD_SCRIPT.into()),
                relocation: self.relocation(libraries)?,
            },
            depot: DEPOT.into(),
            typython: self.image.is_none().then(|| TYPYTHON.into()),
            project: ProjectPart {
                name: self.project.julia.name.clone(),
                uuid: self.project.uuid().to_string(),
            },
            packages: bundled_packages(self.project, self.resolution)?,
            platform: PlatformPart { machine, glibc },
            shared: None,
            files,
        })
    }

    /// Where the image, as it is in the bundle, names the directory of its sources.
    fn relocation(&self, libraries: &Libraries) -> Result<Option<RelocationPart>, BundleError> {
        // A package image must not be changed, because Julia checks its checksum.
        let Some(image) = self.image.filter(|image| image.packages.is_empty()) else { return Ok(None) };
        let bytes = match &libraries.files[&self.julia.layout.sysimage].source {
            Bytes::File(path) => &fs_err::read(path)?,
            Bytes::Bytes(bytes) => bytes,
        };
        let Locations { writable, read_only } = locations(bytes, &image.sources)
            .map_err(|source| BundleError::Elf { path: image.path.clone(), source })?;
        Ok(Some(RelocationPart { length: image.sources.len(), writable, read_only }))
    }
}

/// The files of `_jnumpy`.
struct Inside<'a> {
    prune: &'a Prune,
    decisions: Decisions,
    files: Files,
}

impl Inside<'_> {
    /// Whether the rules let the file `source` in at `path`.
    fn takes(&mut self, path: &str, source: &Path) -> Result<bool, BundleError> {
        Ok(self.decisions.takes(self.prune, path, || Ok(fs_err::metadata(source)?.len()))?)
    }

    fn add(&mut self, path: &str, content: Content, by: &'static str) -> Result<(), BundleError> {
        match self.files.entry(path.to_owned()) {
            std::collections::btree_map::Entry::Vacant(location) => {
                location.insert((content, by));
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(taken) => Err(BundleError::Twice {
                path: path.to_owned(),
                first: taken.get().0.source.to_string(),
                second: content.source.to_string(),
            }),
        }
    }
}

/// A path below Julia's prefix as a path in `_jnumpy`.
fn in_julia(path: &Path) -> Result<String, BundleError> {
    Ok(format!("{JULIA}/{}", utf8(path)?))
}

fn utf8(path: &Path) -> Result<String, BundleError> {
    let text = path.to_str().ok_or_else(|| BundleError::Name { path: path.to_owned() })?;
    Ok(text.to_owned())
}

fn is_shared_library(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "so")
}
