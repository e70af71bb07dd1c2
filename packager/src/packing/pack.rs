//! Packing from end to end. Each stage takes the result of the stage before it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::formats::Version;
use crate::formats::policy::Platform;
use crate::packing::Error;
use crate::packing::editable::require;
use crate::packing::finalize;
use crate::packing::prove::Proof;
use crate::stages::audit::Against;
use crate::stages::bundle::{self, Bundle, BundleError, BundleInputs, Explanations};
use crate::stages::depot::{self, Resolution};
use crate::stages::image::{self, CpuTarget, Image, Kind, Limits, PACKAGE_IMAGES_SINCE, Request};
use crate::stages::julia::{self, Choice, Julia, Surroundings, install};
use crate::stages::julia_wheel::{JuliaWheel, Sharing};
use crate::stages::project::{Project, Settings, Stdlibs};
use crate::stages::runtime_wheel::RuntimeWheel;
use jnumpy_base::Report;
use jnumpy_base::env_vars::JNUMPY_CACHE_LIMIT;
use jnumpy_base::text::{bytes, printable};
use jnumpy_wheel::{
    Component, ComponentKind, ComponentLicense, Compression, Contents, Epoch, Sbom, Tag, Wheel, WheelEntry,
    WheelError, Written,
};

/// What to pack, and how.
#[derive(Debug, Clone)]
pub struct PackRequest {
    /// The directory with `pyproject.toml`.
    pub project: PathBuf,
    /// Where the wheel goes; created when missing.
    pub out_dir: PathBuf,
    /// Which Julia.
    pub julia: Choice,
    /// The processors to compile for; the portable ones by default.
    pub cpu_target: Option<String>,
    /// What to compile ahead of time. The default depends on whether the wheel shares a Julia.
    pub image: Option<Compiled>,
    /// Whether the wheel contains Julia's compiler; default: the setting of the project.
    pub compiler: Option<bool>,
    /// Which standard libraries a full image contains; default: the setting of the project.
    pub stdlibs: Option<Stdlibs>,
    /// Whether the wheel shares a Julia; default: the setting of the project.
    pub share: Option<Share>,
    /// The wheel with the Julia of [`Share::Takes`]; the one in `out_dir` by default.
    pub julia_wheel: Option<PathBuf>,
    /// The Python that a run is recorded with; searched by default.
    pub python: Option<PathBuf>,
    /// The runtime wheel; searched by default.
    pub runtime: Option<PathBuf>,
    /// The platform on which the wheel must run; default: the oldest on which it does.
    pub platform: Option<String>,
    /// The compression level. `None` is [`Compression::Default`], or [`Compression::Best`] if only that brings the wheel below
    /// the limit of the Python index.
    pub compression: Option<Compression>,
}

/// How a wheel shares a Julia.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The wheel contains the Julia, and other wheels use it too.
    Gives,
    /// The wheel uses the Julia of a wheel that it requires.
    Takes,
}

/// What is compiled ahead of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compiled {
    /// One system image with everything in it, Julia's own code too.
    Full,
    /// One image for each package, on Julia's stock image; only changed packages are compiled again.
    Packages,
    /// Nothing: every process compiles at run time.
    None,
}

/// A wheel whose contents are complete, but not written.
#[derive(Debug)]
pub struct Plan {
    /// The Julia in it.
    pub julia: Julia,
    /// The image in it.
    pub image: Option<Image>,
    pub wheel: Wheel,
    /// The wheel's parts that are not files.
    pub bundle: Summary,
    /// How to prove that the wheel works; `None` if nothing can be missing.
    proof: Option<Proof>,
    /// Directories of this machine that the wheel must not name.
    forbidden_paths: Vec<String>,
    /// The wheel with the Julia, if that is another wheel.
    julia_wheel: Option<JuliaWheel>,
    /// Directories with files of the plan, kept until the wheel is written.
    _runtime: RuntimeWheel,
    _scratch: TempDir,
}

/// Facts about a bundle besides its files.
#[derive(Debug)]
pub struct Summary {
    /// The file and symbol that keep the wheel from running on an older system.
    pub because: Option<crate::formats::policy::Demand>,
    /// Why files are in the wheel or were left out.
    pub explanations: Explanations,
}

fn warn_of_other_tools(project: &Project, report: &Report) {
    let has = |name: &str| project.root.join(name).is_file();
    if has("setup.py") {
        report.warn(
            "`setup.py` is not run: the wheel's metadata comes from `[project]` of `pyproject.toml`, and modules that \
             `setup.py` compiles are packed if they lie in the package: `python setup.py build_ext --inplace`",
        );
    }
    let tables = project.pyproject.unread.iter().map(|table| format!("`[tool.{table}]`"));
    let unread: Vec<String> =
        has("MANIFEST.in").then(|| "`MANIFEST.in`".to_owned()).into_iter().chain(tables).collect();
    if !unread.is_empty() {
        report.warn(format_args!(
            "not read: {}; every file of the package is packed, and what `data` and `packages` of `[tool.jnumpy]` name",
            unread.join(", ")
        ));
    }
}

/// The choice of the image, from the command line and the project's settings.
struct Chosen {
    kind: Option<Kind>,
    compiler: bool,
    stdlibs: Stdlibs,
}

impl PackRequest {
    fn choose(&self, settings: &Settings, julia: &Version, sharing: Sharing<'_>) -> Result<Chosen, Error> {
        let image = self.image.unwrap_or(match sharing {
            Sharing::Takes(wheel) if !wheel.has_package_image() => Compiled::None,
            Sharing::Alone => Compiled::Full,
            Sharing::Gives if julia.minor < PACKAGE_IMAGES_SINCE => Compiled::Full,
            Sharing::Gives | Sharing::Takes(_) => Compiled::Packages,
        });
        let compiler = self.compiler.or(settings.compiler).unwrap_or(true);
        let stdlibs = self.stdlibs.or(settings.stdlibs).unwrap_or_default();
        let is_own = compiler && stdlibs == Stdlibs::All && image != Compiled::Full;
        if !is_own && matches!(sharing, Sharing::Takes(_)) {
            return Err(Error::NeedsOwnJulia);
        }
        if !compiler && image != Compiled::Full {
            return Err(Error::NeedsCompiler);
        }
        if stdlibs == Stdlibs::Used && image != Compiled::Full {
            return Err(Error::NeedsStdlibs);
        }
        let kind = match image {
            Compiled::Full => Some(Kind::Full { compiler }),
            Compiled::Packages => Some(Kind::Packages),
            Compiled::None => None,
        };
        Ok(Chosen { kind, compiler, stdlibs })
    }

    /// Does everything except write the wheel.
    pub fn plan(&self, report: &Report) -> Result<Plan, Error> {
        // These checks come before the work that takes minutes.
        let cpu_target = CpuTarget::choose(self.cpu_target.as_deref())?;
        let platform = self.platform.as_deref().map(Platform::demanded).transpose();
        let platform = platform.map_err(BundleError::from)?;
        let stage = report.stage("project");
        let mut project = Project::load(&self.project)?;
        let runtime = RuntimeWheel::open(self.runtime.as_deref())?;
        stage.done(format_args!("{} with the Julia module {}", project.package_name, project.julia.name));
        warn_of_other_tools(&project, report);
        tracing::info!("runtime wheel {}", runtime.wheel.display());
        let stage = report.stage("julia");
        let julia = install::provide(&self.julia, &Surroundings::from_environment()?, report)?;
        project.julia.drop_weak_deps(&julia.version);
        let depots = depot::user_depots(&julia);
        let resolution = depot::resolve(&project, &runtime.typython(), &julia, &depots)?;
        stage.done(format_args!(
            "Julia {} ({}), {} packages",
            julia.version,
            julia.origin,
            resolution.packages.len()
        ));
        tracing::info!("Julia {} in {}", julia.version, julia.prefix.display());
        tell(&resolution, report);
        let share = self.share.or(project.settings.shared.unwrap_or(false).then_some(Share::Takes));
        let julia_wheel = (share == Some(Share::Takes))
            .then(|| JuliaWheel::open(self.julia_wheel.as_deref(), &self.out_dir, &julia.version, &runtime))
            .transpose()?;
        let sharing = match &julia_wheel {
            Some(wheel) => Sharing::Takes(wheel),
            None if share.is_some() => Sharing::Gives,
            None => Sharing::Alone,
        };
        if share.is_some() {
            // It is not known which of Julia's libraries other wheels will need.
            project.settings.include.push("downloads".into());
        }

        let dependencies = resolution.needed(project.julia.deps.values());
        let home = julia::home()?;
        let Chosen { kind, compiler, stdlibs } = self.choose(&project.settings, &julia.version, sharing)?;
        let obtain = |kind| -> Result<Image, Error> {
            let request = Request {
                kind,
                project: &project,
                resolution: &resolution,
                julia: &julia,
                runtime: &runtime,
                unused: &bundle::unused(&project.settings, &dependencies)?,
                stdlibs,
                sharing,
                cpu_target,
                python: self.python.as_deref(),
                home: &home,
            };
            Ok(request.obtain(report)?)
        };
        let image = kind.map(obtain).transpose()?;

        let stage = report.stage("bundle");
        let inputs = BundleInputs {
            project: &project,
            resolution: &resolution,
            dependencies: &dependencies,
            julia: &julia,
            runtime: &runtime,
            image: image.as_ref(),
            compiler,
            sharing,
            platform,
        };
        let Bundle { contents, licenses, components, tag, because, explanations, scratch } = inputs.plan()?;
        let reason = because.as_ref().map(|demand| {
            let file = demand.file.file_name().unwrap_or_default().to_string_lossy();
            format!(": {file} needs {} of {}", demand.need.version, demand.need.library)
        });
        stage.done(format_args!(
            "{} files for {}{}",
            contents.len(),
            tag.platform(),
            reason.unwrap_or_default()
        ));

        for (path, content) in &contents {
            tracing::debug!("file {path}: {}", content.source);
        }
        let wheel = describe(&project, licenses, components, tag, contents, julia_wheel.as_ref())?;
        let forbidden_paths = forbidden_paths(&[&project.root, &julia.prefix, &home]);
        let bundle = Summary { because, explanations };
        // A full image with the compiler and all standard libraries lacks nothing that the recorded run had.
        let is_whole = kind == Some(Kind::Full { compiler: true }) && stdlibs == Stdlibs::All;
        let unproven = image.as_ref().filter(|_| !is_whole);
        let proof = unproven.and_then(|image| Proof::of(&project, image, kind, &home));
        Ok(Plan {
            julia,
            image,
            wheel,
            bundle,
            proof,
            forbidden_paths,
            julia_wheel,
            _runtime: runtime,
            _scratch: scratch,
        })
    }

    /// Checks that a wheel can be written to the output directory, which need not exist yet, and that the limit of the cache is
    /// valid.
    pub fn check_surroundings(&self) -> Result<(), Error> {
        cache_limit()?;
        let directory = std::path::absolute(&self.out_dir)?;
        let existing = directory.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
        tempfile::tempfile_in(existing)
            .map_err(|source| Error::OutDir { path: self.out_dir.clone(), source })?;
        Ok(())
    }
}

/// Directories of this machine that a wheel must not name.
fn forbidden_paths(directories: &[&Path]) -> Vec<String> {
    // A prefix such as `/usr` is not specific to a machine.
    let own = directories.iter().filter(|path| path.components().count() > 2);
    own.map(|path| path.to_string_lossy().into_owned()).collect()
}

/// The wheel with these contents. If its Julia is in another wheel, it requires that wheel.
fn describe(
    project: &Project,
    licenses: Contents,
    components: Vec<Component>,
    tag: Tag,
    contents: Contents,
    julia_wheel: Option<&JuliaWheel>,
) -> Result<Wheel, WheelError> {
    let mut metadata = project.pyproject.metadata.clone();
    if let Some(wheel) = julia_wheel {
        require(&mut metadata, &wheel.requirement())?;
    }
    let subject = Component {
        version: Some(metadata.version.to_string()),
        purl: Some(format!("pkg:pypi/{}@{}", metadata.distribution()?, metadata.version)),
        license: metadata.license.as_ref().map(ComponentLicense::from),
        ..Component::new(ComponentKind::Application, metadata.name.clone())
    };
    Ok(Wheel {
        tag,
        metadata,
        entry_points: project.pyproject.entry_points.clone(),
        licenses,
        sbom: Some(Sbom { subject, components }),
        contents,
    })
}

impl Plan {
    /// The files that the wheel would contain.
    pub fn list(&self) -> Result<Vec<WheelEntry>, Error> {
        Ok(self.wheel.list(Epoch::from_environment()?)?)
    }

    /// Proves that the wheel works, and writes it.
    pub fn write(&self, request: &PackRequest, report: &Report) -> Result<Written, Error> {
        if let Some(proof) = &self.proof {
            for function in proof.run(&self.wheel.contents, self.julia_wheel.as_ref(), report)? {
                let line = format!("not compiled before the workload ran: {}", printable(&function));
                // Missing functions only cost time here: they are compiled at run time.
                if proof.compiles { tracing::info!("{line}") } else { report.remark(line) }
            }
        }
        let audited = Against {
            forbidden_paths: &self.forbidden_paths,
            julia_wheel: self.julia_wheel.as_ref().map(|wheel| wheel.wheel.as_path()),
        };
        let written = finalize(&self.wheel, &request.out_dir, request.compression, &audited, report)?;
        if self.image.is_some() {
            // The wheel is complete, so a failure here is only a warning.
            if let Err(error) = bound_cache() {
                report.warn(format_args!("old images stay in the cache: {error}"));
            }
        }
        Ok(written)
    }
}

/// How large the cached images may be together, in bytes.
pub fn cache_limit() -> Result<u64, Error> {
    const DEFAULT: u64 = 10 << 30;
    let Some(value) = std::env::var_os(JNUMPY_CACHE_LIMIT) else { return Ok(DEFAULT) };
    let value = value.to_string_lossy();
    bytes(&value).map_err(|reason| Error::Variable {
        name: JNUMPY_CACHE_LIMIT,
        value: value.into_owned(),
        reason,
    })
}

/// Removes the least recently used images, except those in use, such as the image of this run.
fn bound_cache() -> Result<(), Error> {
    let limits = Limits { age: None, size: Some(cache_limit()?) };
    for image in image::prune(&image::directory(&julia::home()?), limits)?.removed {
        tracing::info!(
            "removed from the cache: {} bytes for Julia {}, {}",
            image.size,
            image.julia,
            image.key
        );
    }
    Ok(())
}

/// Reports the packages and the notes about them.
fn tell(resolution: &Resolution, report: &Report) {
    for (uuid, package) in &resolution.packages {
        tracing::debug!("package {} {uuid}: {:?}", package.name, package.source);
    }
    for note in &resolution.notes {
        report.warn(note);
    }
}
