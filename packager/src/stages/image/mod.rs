//! Images: TyPython, the project and its dependencies, compiled ahead of time. A full image holds Julia's own code too;
//! package images (Julia 1.9 and later) go with Julia's stock image.
//!
//! Steps: compute the key of the image from all its inputs, look it up in the cache, write the build tree, record what a run of
//! the project compiles, build the image, and store it.

mod base;
mod build;
mod build_tree;
mod cache;
mod environment;
mod error;
mod finding;
mod key;
mod kind;
mod packages;
mod statements;
mod stdlibs;
mod target;
mod workload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::Base;
use build::{Build, Linker, SCRIPTS, STATEMENTS_NAME, UNUSED_NAME, starts_with_one_variant};
use build_tree::{BuildTree, TreeFile};
pub use cache::{CachedImage, Hold, Limits, Pruned, list, prune};
use cache::{Entry, IMAGE, Record, Workspace};
use environment::Environment;
pub use error::ImageError;
use finding::Finding;
use key::{KeyBuilder, add_files};
pub use kind::Kind;
pub use kind::PACKAGE_IMAGES_SINCE;
use packages::{CALLS_LOCATION, CALLS_NAME, Compiler, Loaded, calls_uuid, named};
pub use packages::{PackageImage, load_script};
pub use stdlibs::StandardLibraries;
pub use target::CpuTarget;
use workload::{EVERYDAY, Python, Recorded, Recording};

use crate::formats::Uuid;
use crate::stages::depot::Resolution;
use crate::stages::julia::Julia;
use crate::stages::julia_wheel::{CACHE_HEADER, JuliaWheel, Sharing};
use crate::stages::project::{Project, Stdlibs, list_files};
use crate::stages::runtime_wheel::RuntimeWheel;
use jnumpy_base::text::megabytes;
use jnumpy_base::{Report, Stage};

/// Incremented whenever the same inputs make a different image.
const FORMAT: u32 = 9;

/// Standard libraries that the project does not use, and that a wheel without them does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// The rule by which their files stay out of the wheel.
    pub rule: String,
    /// Their names.
    pub modules: Vec<String>,
}

/// The image, or images, that hold the project.
#[derive(Debug)]
pub struct Image {
    /// The system image: one in the cache, or Julia's own.
    pub path: PathBuf,
    /// The package images, in the order in which Julia loads them, each with its file in the cache. None in a full image.
    pub packages: Vec<(PackageImage, PathBuf)>,
    /// Digest of all inputs: 64 hexadecimal digits.
    pub key: String,
    /// The processors it was compiled for.
    pub cpu_target: CpuTarget,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it was there already.
    pub cached: bool,
    /// The directory that its sources were in; source paths in the image start with it.
    pub sources: String,
    /// Stubs of the modules that the project exports, by their paths in the package; a recorded run has told them.
    pub stubs: BTreeMap<String, String>,
    /// What the user should know of globals that do not live on in the image.
    pub warnings: Vec<String>,
    /// The rules of [`Request::unused`] whose standard libraries the image does not start.
    pub unused: Vec<String>,
    /// The standard libraries that were chosen for it; none when it has those of Julia's own.
    pub stdlibs: Option<StandardLibraries>,
    /// The Python that the run was, or would be, recorded with.
    pub python: Option<PathBuf>,
    /// What Julia's search for caches reads of the package image of TyPython, when the image is for others to build on.
    pub cache_header: Option<PathBuf>,
    /// Keeps it in the cache.
    _hold: Hold,
}

/// What to make an image from.
#[derive(Debug)]
pub struct Request<'a> {
    /// The user's project.
    pub project: &'a Project,
    /// Its Julia dependencies.
    pub resolution: &'a Resolution,
    /// What to compile.
    pub kind: Kind,
    /// The Julia that compiles, and that the image is for.
    pub julia: &'a Julia,
    /// The wheel of which TyPython is a part.
    pub runtime: &'a RuntimeWheel,
    /// What an image without the compiler need not start: such a wheel runs nothing but what is known now.
    pub unused: &'a [Unused],
    /// Which standard libraries a full image has.
    pub stdlibs: Stdlibs,
    /// Whether others build on it, or it builds on that of another wheel.
    pub sharing: Sharing<'a>,
    /// The processors to compile for.
    pub cpu_target: CpuTarget,
    /// The Python to record a run with, when the user names one.
    pub python: Option<&'a Path>,
    /// `JNUMPY_HOME`: has the cache and the logs.
    pub home: &'a Path,
}

impl Request<'_> {
    /// Takes the image from the cache, or builds it.
    pub fn obtain(mut self, report: &Report) -> Result<Image, ImageError> {
        let stage = report.stage("image");
        if self.kind != (Kind::Full { compiler: true }) && self.julia.version.minor < PACKAGE_IMAGES_SINCE {
            return Err(ImageError::TooOld { kind: self.kind, julia: self.julia.version.to_string() });
        }
        if self.kind == Kind::Packages && starts_with_one_variant(&self.julia.version) {
            self.cpu_target = self.cpu_target.first();
        }
        let python = match Python::find(self.python)? {
            Ok(python) => Some(python),
            Err(reason) if self.kind == (Kind::Full { compiler: false }) => {
                return Err(ImageError::Unproven { reason });
            }
            Err(reason) => {
                report.warn(format_args!(
                    "no run is recorded, so the first calls will have to compile and there are no stubs: {reason}; \
                     name a Python with `--python`"
                ));
                None
            }
        };
        let mut environment = Environment::new(self.project, self.resolution, &self.runtime.typython())?;
        let stdlibs = (self.stdlibs == Stdlibs::Used)
            .then(|| StandardLibraries::used(self.project, self.resolution, self.julia))
            .transpose()?;
        let mut image = match self.kind {
            Kind::Full { compiler } => {
                self.system_image(environment, python.as_ref(), compiler, stdlibs.as_ref(), stage)
            }
            Kind::Packages => {
                environment.add_calls(calls_uuid(self.project.uuid()), self.sharing.wheel().is_some());
                self.package_images(&environment, python.as_ref(), stage)
            }
        }?;
        image.stdlibs = stdlibs;
        image.python = python.map(Python::into_path);
        image.warnings.iter().for_each(|warning| report.warn(warning));
        Ok(image)
    }

    /// One image with everything.
    fn system_image(
        &self,
        mut environment: Environment,
        python: Option<&Python>,
        compiler: bool,
        stdlibs: Option<&StandardLibraries>,
        stage: Stage<'_>,
    ) -> Result<Image, ImageError> {
        let linker = Linker::find()?;
        let base = stdlibs
            .map(|stdlibs| Base::new(self.julia, stdlibs, self.cpu_target.base(), &linker))
            .transpose()?;
        for (name, text) in SCRIPTS {
            environment.files.insert(name.into(), TreeFile::Text(text.into()));
        }
        environment.link_standard_library(self.julia);
        if !compiler {
            let lines =
                self.unused.iter().map(|unused| format!("{}\t{}\n", unused.rule, unused.modules.join(" ")));
            environment.files.insert(UNUSED_NAME.into(), TreeFile::Text(lines.collect()));
        }
        let mut key = self.key()?;
        self.add_recorded(&mut key, python.is_some())?;
        if let Some(base) = &base {
            key.text("base", &base.key);
            key.text("everyday", EVERYDAY);
        }
        key.text("linker", &linker.version);
        key.text("options", &build::options(&self.julia.version, !compiler).join(" "));
        add_files(&mut key, environment.files.iter())?;
        let key = key.finish();
        tracing::info!("image key {key}, linked by {}", linker.version);
        let entry = Entry::lock(&directory(self.home), &key)?;
        if let Some(record) = entry.read()? {
            stage.done(format_args!("cached, {:.1} MB", megabytes(record.size())));
            return self.image(&entry, &key, &key, record, true);
        }
        let (record_log, build_log) = self.logs(&key)?;
        let build_tree = BuildTree::create(&key, &environment.files)?;
        let stock = self.julia.prefix.join(&self.julia.layout.sysimage);
        let obtain = |base: Base<'_>| {
            base.obtain(&directory(self.home), &self.home.join("logs"), |what| stage.progress(what))
        };
        let base = base.map(obtain).transpose()?;
        let base = base.as_ref().map(|base| base.path.as_path());
        let recorded = self.record(build_tree.path(), python, base, &[], &record_log, &stage)?;
        fs_err::write(build_tree.path().join(STATEMENTS_NAME), &recorded.statements)?;

        let workspace = entry.workspace()?;
        let build = Build {
            julia: self.julia,
            target: &self.cpu_target,
            base: base.unwrap_or(&stock),
            tree: build_tree.path(),
            load: &environment.load,
            stripped: !compiler,
            log: &build_log,
        };
        let (object, findings) = build.compile(workspace.path(), |_| stage.progress("compiling"))?;
        stage.progress("linking");
        linker.link(self.julia, &object, &workspace.path().join(IMAGE))?;
        let record = self.store(workspace, [IMAGE.to_owned()], Vec::new(), recorded, &findings)?;
        self.finish(&record, [record_log, build_log], stage);
        self.image(&entry, &key, &key, record, false)
    }

    /// One image for each package. What the project depends on is compiled once, and kept in an entry of its own.
    fn package_images(
        &self,
        environment: &Environment,
        python: Option<&Python>,
        stage: Stage<'_>,
    ) -> Result<Image, ImageError> {
        let mut key = self.key()?;
        add_files(&mut key, environment.files.iter().filter(|(name, _)| !Environment::is_own(name)))?;
        let dependencies_key = key.finish();
        let mut key = self.key()?;
        self.add_recorded(&mut key, python.is_some())?;
        add_files(&mut key, environment.files.iter())?;
        let key = key.finish();
        let entry = Entry::lock(&directory(self.home), &key)?;
        let shared = self.sharing.wheel();
        let tree_name = shared.map_or(Ok(dependencies_key.clone()), JuliaWheel::build_tree)?;
        if let Some(record) = entry.read()? {
            stage.done(format_args!("cached, {:.1} MB", megabytes(record.size())));
            return self.image(&entry, &key, &tree_name, record, true);
        }
        let (record_log, build_log) = self.logs(&key)?;
        // The same path for every state of the project, so that its dependencies need not be compiled again.
        let build_tree = BuildTree::create(&tree_name, &environment.files)?;
        let compiler = Compiler {
            julia: self.julia,
            target: &self.cpu_target,
            tree: build_tree.path(),
            log: &build_log,
        };
        // The packages in the other wheel are not compiled again, because images only work with the images on which they were
        // built.
        let given = tempfile::Builder::new().prefix("jnumpy-depot-").tempdir()?;
        if let Some(shared) = shared {
            shared.store_package_image(self.julia, given.path())?;
        }
        let dependencies = Entry::lock(&directory(self.home), &dependencies_key)?;
        if dependencies.read()?.is_none() {
            let workspace = dependencies.workspace()?;
            let packages: Vec<String> = environment.dependencies.iter().map(named).collect();
            let depots = [workspace.path(), given.path()].map(Path::to_owned);
            compiler.load(&depots, &packages, |_| stage.progress("compiling what the project depends on"))?;
            let files: Vec<String> =
                list_files(workspace.path())?.into_iter().map(|file| file.name).collect();
            self.store(workspace, files, Vec::new(), Recorded::default(), &[])?;
        }
        let _hold = dependencies.hold()?;

        let workspace = entry.workspace()?;
        let depots =
            [workspace.path().join("depot"), dependencies.path().to_owned(), given.path().to_owned()];
        let mut packages: Vec<String> = environment.load.iter().map(named).collect();
        compiler.load(&depots, &packages, |_| stage.progress("compiling the project"))?;
        let recorded = self.record(build_tree.path(), python, None, &depots, &record_log, &stage)?;
        let statements = build_tree.path().join(CALLS_LOCATION).join("src").join(STATEMENTS_NAME);
        fs_err::write(statements, &recorded.statements)?;
        packages.push(format!("{} {CALLS_NAME}", calls_uuid(self.project.uuid())));
        let loaded = compiler.load(&depots, &packages, |_| stage.progress("compiling the recorded calls"))?;
        let (mut made, mut files) = (Vec::new(), Vec::new());
        for Loaded { image, package } in loaded.into_iter().filter(|one| !one.image.starts_with(&depots[2])) {
            if matches!(self.sharing, Sharing::Gives) && package.uuid() == Uuid::TYPYTHON.to_string() {
                fs_err::copy(image.with_extension("ji"), workspace.path().join(CACHE_HEADER))?;
                files.push(CACHE_HEADER.to_owned());
            }
            fs_err::copy(image, workspace.path().join(&package.file))?;
            files.push(package.file.clone());
            made.push(package);
        }
        fs_err::remove_dir_all(&depots[0])?;
        let record = self.store(workspace, files, made, recorded, &[])?;
        self.finish(&record, [record_log, build_log], stage);
        self.image(&entry, &key, &tree_name, record, false)
    }

    fn logs(&self, key: &str) -> Result<(PathBuf, PathBuf), ImageError> {
        let logs = self.home.join("logs");
        fs_err::create_dir_all(&logs)?;
        let log = |step: &str| logs.join(format!("{step}-{}.log", &key[..16]));
        Ok((log("record"), log("build")))
    }

    fn record(
        &self,
        build_tree: &Path,
        python: Option<&Python>,
        base: Option<&Path>,
        compiled: &[PathBuf],
        log: &Path,
        stage: &Stage<'_>,
    ) -> Result<Recorded, ImageError> {
        let recording = Recording {
            project: self.project,
            julia: self.julia,
            runtime: self.runtime,
            build_tree,
            python,
            base,
            compiled,
            log,
        };
        recording.run(|_| stage.progress("recording a run"))
    }

    fn store(
        &self,
        workspace: Workspace<'_>,
        files: impl IntoIterator<Item = String>,
        packages: Vec<PackageImage>,
        recorded: Recorded,
        findings: &[Finding],
    ) -> Result<Record, ImageError> {
        let Recorded { statements, stubs } = recorded;
        workspace.store(files, |files| Record {
            version: FORMAT,
            julia: self.julia.version.to_string(),
            cpu_target: self.cpu_target.to_string(),
            statements: statements.lines().count(),
            stubs,
            warnings: finding::warnings(findings),
            unused: finding::unused(findings),
            packages,
            files,
        })
    }

    fn finish(&self, record: &Record, logs: [PathBuf; 2], stage: Stage<'_>) {
        for log in logs {
            // A run without anything to compile records no statements.
            let _ = fs_err::remove_file(log);
        }
        stage.done(format_args!(
            "{:.1} MB for `{}`, {} precompile statements",
            megabytes(record.size()),
            self.cpu_target,
            record.statements
        ));
    }

    /// `tree_name` is the key that names the build tree.
    fn image(
        &self,
        entry: &Entry,
        key: &str,
        tree_name: &str,
        record: Record,
        cached: bool,
    ) -> Result<Image, ImageError> {
        let size = record.size();
        let Record { stubs, warnings, unused, packages, .. } = record;
        let path = match self.kind {
            Kind::Full { .. } => entry.path().join(IMAGE),
            Kind::Packages => self.julia.prefix.join(&self.julia.layout.sysimage),
        };
        let packages = packages.into_iter().map(|package| {
            let file = entry.path().join(&package.file);
            (package, file)
        });
        let (sources, cpu_target) = (build_tree::sources(tree_name), self.cpu_target.clone());
        let packages = packages.collect();
        let header = entry.path().join(CACHE_HEADER);
        let hold = entry.hold()?;
        Ok(Image {
            path,
            packages,
            key: key.to_owned(),
            sources,
            cpu_target,
            size,
            cached,
            stubs,
            warnings,
            unused,
            stdlibs: None,
            python: None,
            cache_header: matches!(self.sharing, Sharing::Gives)
                .then_some(header)
                .filter(|path| path.is_file()),
            _hold: hold,
        })
    }

    /// The digest of what goes into any image. The statements are no part of it: they follow from the sources and the
    /// workloads, and a cached image must be found without recording.
    fn key(&self) -> Result<KeyBuilder, ImageError> {
        let mut key = KeyBuilder::new();
        key.text("format", &FORMAT.to_string());
        key.text("kind", &format!("{:?}", self.kind));
        key.text("julia", &self.julia.version.to_string());
        let layout = &self.julia.layout;
        key.file("libjulia", &self.julia.prefix.join(&layout.libjulia))?;
        key.file("sysimage", &self.julia.prefix.join(&layout.sysimage))?;
        key.text("target", &self.cpu_target.to_string());
        match self.sharing {
            Sharing::Alone => {}
            Sharing::Gives => key.text("gives", ""),
            Sharing::Takes(wheel) => key.text("takes", &wheel.build),
        }
        Ok(key)
    }

    /// Adds what a recorded run follows from.
    fn add_recorded(&self, key: &mut KeyBuilder, python: bool) -> Result<(), ImageError> {
        key.text("recorded", if python { "python" } else { "no" });
        if let Some(writer) = self.runtime.files.get("_stubs.py").filter(|_| python) {
            key.file("stubs", writer)?;
        }
        for workload in &self.project.settings.precompile {
            key.file(&workload.to_string_lossy(), &self.project.root.join(workload))?;
        }
        Ok(())
    }
}

/// Where the images are below `JNUMPY_HOME`.
#[must_use]
pub fn directory(home: &Path) -> PathBuf {
    home.join("images")
}

/// The compiler driver that links images, as it describes itself.
pub fn linker() -> Result<String, ImageError> {
    Linker::find().map(|linker| linker.version)
}

/// The Python that runs workloads, or why none can be used.
pub fn python() -> Result<Result<PathBuf, String>, ImageError> {
    Ok(Python::find(None)?.map(Python::into_path))
}
