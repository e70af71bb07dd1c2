//! Builds an image: a child Julia writes object code, and the system's linker makes a shared library from it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::ImageError;
use super::finding::{self, Finding};
use super::packages::named;
use super::target::CpuTarget;
use crate::formats::Uuid;
use crate::formats::Version;
use crate::formats::contract::{BUNDLE, SOURCES};
use crate::stages::julia::{Julia, JuliaError, Run};
use jnumpy_base::process::{self, ChildError};
use jnumpy_elf::run_path::entry_to;

/// The script that the child Julia runs, and what it includes, by their names in the staging directory.
pub(super) const SCRIPTS: [(&str, &str); 7] = [
    (SCRIPT_NAME, include_str!("build.jl")),
    ("prepare.jl", include_str!("prepare.jl")),
    ("inspect.jl", include_str!("inspect.jl")),
    ("methods.jl", include_str!("methods.jl")),
    ("start.jl", include_str!("start.jl")),
    ("unused.jl", include_str!("unused.jl")),
    ("interpreted.jl", include_str!("interpreted.jl")),
];
const SCRIPT_NAME: &str = "build.jl";
/// The name of the file with precompile statements in the build tree.
pub(super) const STATEMENTS_NAME: &str = "statements.jl";
/// The name of the file in the build tree that lists modules which need not be initialized: a rule and its modules on each line.
pub(super) const UNUSED_NAME: &str = "unused.tsv";

/// A compiler driver that can link.
#[derive(Debug, Clone)]
pub(super) struct Linker {
    program: &'static str,
    /// Its version text. It is part of the image key, because another linker makes another image.
    pub(super) version: String,
}

impl Linker {
    const NAMES: [&'static str; 3] = ["cc", "gcc", "clang"];

    pub(super) fn find() -> Result<Self, ImageError> {
        for program in Self::NAMES {
            let mut command = Command::new(program);
            command.arg("--version");
            match process::run(command, None, |_| ()) {
                Ok(output) => {
                    let version = output.stdout.lines().next().unwrap_or_default().to_owned();
                    return Ok(Self { program, version });
                }
                Err(ChildError::Interrupted(stop)) => return Err(stop.into()),
                Err(_) => {}
            }
        }
        Err(ImageError::NoLinker { tried: Self::NAMES.join("`, `") })
    }

    /// Links the object code, and removes it.
    pub(super) fn link(&self, julia: &Julia, object: &Path, image: &Path) -> Result<(), ImageError> {
        let libjulia = julia.prefix.join(&julia.layout.libjulia);
        let mut command = Command::new(self.program);
        // The image is not linked to this machine's C library, and so has no symbol versions of it. Its symbols are resolved
        // through libjulia, so the image needs no newer libc than Julia itself.
        command.args(["-shared", "-nostdlib", "-Wl,--build-id=none", "-Wl,-z,noexecstack"]);
        command.args(["-Wl,--disable-new-dtags", "-Wl,-rpath"]);
        command.arg(format!("-Wl,{}", path_to_libjulia(julia)));
        command.arg("-o").arg(image);
        command.arg("-Wl,--whole-archive").arg(object).arg("-Wl,--no-whole-archive");
        command.arg(&libjulia).args(internal_library(julia));
        match process::run(command, None, |_| ()) {
            Ok(_) => Ok(fs_err::remove_file(object)?),
            Err(ChildError::Failed { said, .. }) => Err(ImageError::Link { source: said }),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where an image in the private library directory finds libjulia.
fn path_to_libjulia(julia: &Julia) -> String {
    let layout = &julia.layout;
    entry_to(&layout.private_libdir, layout.libjulia.parent().unwrap_or(Path::new("")))
}

/// Since 1.6 libjulia only loads the library that has the code.
fn internal_library(julia: &Julia) -> Option<PathBuf> {
    let version = &julia.version;
    let name = format!("libjulia-internal.so.{}.{}", version.major, version.minor);
    let path = julia.prefix.join(&julia.layout.private_libdir).join(name);
    path.exists().then_some(path)
}

/// One image to be built.
pub(super) struct Build<'a> {
    pub(super) julia: &'a Julia,
    pub(super) target: &'a CpuTarget,
    /// The image to build on: Julia's own, or a base image.
    pub(super) base: &'a Path,
    /// The build tree, with the script and the statements.
    pub(super) tree: &'a Path,
    /// The packages to load: UUID and name.
    pub(super) load: &'a [(Uuid, String)],
    /// Whether parts that only the compiler needs are left out.
    pub(super) stripped: bool,
    pub(super) log: &'a Path,
}

impl Build<'_> {
    /// Compiles, in the directory `workspace`; returns the object code, and what was found in the modules' globals.
    pub(super) fn compile(
        &self,
        workspace: &Path,
        mut progress: impl FnMut(Duration),
    ) -> Result<(PathBuf, Vec<Finding>), ImageError> {
        // Relative, so that the command line is the same whatever the directory is called.
        let (heap, object) = ("heap.ji", "image.a");
        if self.target.variants() > 1 && starts_with_one_variant(&self.julia.version) {
            // Started from an image without native code, Julia has no target yet, and compiles for all of them.
            // What is compiled from has to have its code, whatever stays out of the result.
            let run = self.julia(self.base, self.target.base(), false, &format!("--output-ji={heap}"));
            self.run(self.with_script(run), workspace, &mut progress)?;
            let target = self.target.to_string();
            let run = self.julia(Path::new(heap), &target, self.stripped, &format!("--output-o={object}"));
            self.run(run.args(["-e", "nothing"]), workspace, progress)?;
            fs_err::remove_file(workspace.join(heap))?;
        } else {
            let target = self.target.to_string();
            let run = self.julia(self.base, &target, self.stripped, &format!("--output-o={object}"));
            self.run(self.with_script(run), workspace, progress)?;
        }
        Ok((workspace.join(object), finding::read(workspace)?))
    }

    fn julia(&self, sysimage: &Path, target: &str, stripped: bool, output: &str) -> Run {
        Run::new(self.julia)
            .args(options(&self.julia.version, stripped))
            .arg(output)
            .arg(format!("--sysimage={}", sysimage.display()))
            .arg(format!("--cpu-target={target}"))
    }

    /// Loads the packages and replays the statements.
    fn with_script(&self, run: Run) -> Run {
        run.arg(self.tree.join(SCRIPT_NAME))
            .arg(self.tree)
            .arg(self.tree.join(STATEMENTS_NAME))
            .arg(self.tree.join(SOURCES))
            .arg(Path::new(BUNDLE).join("julia").join(&self.julia.layout.private_libdir))
            .arg(if self.stripped { "stripped" } else { "whole" })
            .args(self.load.iter().map(named))
    }

    fn run(&self, run: Run, workspace: &Path, progress: impl FnMut(Duration)) -> Result<(), ImageError> {
        match run.directory(workspace).log(self.log).run(progress) {
            Ok(_) => Ok(()),
            Err(JuliaError::Child(ChildError::Failed { status, said, .. })) => {
                Err(match finding::refusal(&finding::read(workspace)?) {
                    Some((what, remedy)) => ImageError::Global { what, remedy },
                    None => ImageError::Compile { status, log: self.log.to_owned(), source: said },
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether this version of Julia, after it has loaded an image with native code, silently compiles only for the first variant.
/// This was seen on 1.5, 1.6, and 1.10, but not on 1.12; 1.11 was not tried.
pub(super) fn starts_with_one_variant(version: &Version) -> bool {
    (version.major, version.minor) < (1, 12)
}

/// The options with which a version of Julia writes an image.
pub(super) fn options(version: &Version, stripped: bool) -> Vec<&'static str> {
    let mut options = vec!["--color=no", "--history-file=no", "--compiled-modules=no", "--threads=1", "-O2"];
    if (version.major, version.minor) >= (1, 9) {
        options.push("--pkgimages=no");
    }
    if stripped {
        // Without the compiler, Julia looks up no lines of compiled code.
        options.extend(["--strip-ir", "--strip-metadata", "-g0"]);
    }
    options
}
