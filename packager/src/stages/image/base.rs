//! Base images: Julia's own code with some of its standard libraries. A full image with fewer standard libraries is built on such
//! an image. It is made from the sources in the Julia installation, in the same two steps in which Julia's own build makes the
//! stock image.
//!
//! The sources are copied into a build tree, so that the image contains no directory of this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::ImageError;
use super::build::{Linker, options};
use super::build_tree::{BuildTree, TreeFile};
use super::cache::{Entry, Hold, IMAGE, Record};
use super::key::{KeyBuilder, add_files};
use super::kind::BASE_IMAGES;
use super::stdlibs::StandardLibraries;
use crate::stages::julia::{Julia, JuliaError, Run};
use crate::stages::project::list_files;
use jnumpy_base::process::ChildError;

/// Incremented whenever the same inputs make a different base image.
const FORMAT: u32 = 1;
/// What the first step compiles: type inference, and what it needs.
const COMPILER: &str = "compiler/compiler.jl";
/// What the second step compiles.
const SYSIMG: &str = "sysimg.jl";

/// A base image that may have to be made.
pub(super) struct Base<'a> {
    julia: &'a Julia,
    target: &'a str,
    linker: &'a Linker,
    files: BTreeMap<String, TreeFile>,
    /// Digest of all that goes in.
    pub(super) key: String,
}

/// A base image in the cache.
pub(super) struct BaseImage {
    pub(super) path: PathBuf,
    /// Keeps it there.
    _hold: Hold,
}

impl<'a> Base<'a> {
    /// The base image with these standard libraries. `target` is this machine's processor: the base image only runs here, to
    /// build images.
    pub(super) fn new(
        julia: &'a Julia,
        stdlibs: &StandardLibraries,
        target: &'a str,
        linker: &'a Linker,
    ) -> Result<Self, ImageError> {
        let files = sources(julia, stdlibs)?;
        let mut key = KeyBuilder::new();
        key.text("format", &FORMAT.to_string());
        key.text("kind", "base");
        key.text("julia", &julia.version.to_string());
        key.file("libjulia", &julia.prefix.join(&julia.layout.libjulia))?;
        key.file("sysimage", &julia.prefix.join(&julia.layout.sysimage))?;
        key.text("target", target);
        key.text("linker", &linker.version);
        key.text("options", &options(&julia.version, false).join(" "));
        add_files(&mut key, files.iter())?;
        let key = key.finish();
        tracing::info!("base image key {key}");
        Ok(Self { julia, target, linker, files, key })
    }

    /// Takes it from the cache in `images`, or makes it.
    pub(super) fn obtain(
        &self,
        images: &Path,
        logs: &Path,
        progress: impl Fn(&str),
    ) -> Result<BaseImage, ImageError> {
        let entry = Entry::lock(images, &self.key)?;
        if entry.read()?.is_none() {
            self.make(&entry, &logs.join(format!("base-{}.log", &self.key[..16])), progress)?;
        }
        Ok(BaseImage { path: entry.path().join(IMAGE), _hold: entry.hold()? })
    }

    fn make(&self, entry: &Entry, log: &Path, progress: impl Fn(&str)) -> Result<(), ImageError> {
        let tree = BuildTree::create(&self.key, &self.files)?;
        // Julia looks for its standard libraries in `bin/../share`.
        fs_err::create_dir(tree.path().join(&self.julia.layout.bindir))?;
        let workspace = entry.workspace()?;
        let (compiler, object) = (workspace.path().join("compiler.ji"), workspace.path().join("base.a"));
        let run = |run: Run, what: &str| self.run(run, tree.path(), log, || progress(what));

        // This code runs once, so optimizing it would take longer than it saves.
        let first = Run::new(self.julia)
            .args(["-O0", "-g0", "--cpu-target", self.target])
            .arg(format!("--output-ji={}", compiler.display()))
            .arg(COMPILER);
        run(first, "compiling Julia's compiler")?;
        let second = Run::new(self.julia)
            .args(options(&self.julia.version, false))
            .args(["--cpu-target", self.target])
            .arg(format!("--sysimage={}", compiler.display()))
            .arg(format!("--output-o={}", object.display()))
            .arg(SYSIMG);
        run(second, "compiling Julia's base")?;
        fs_err::remove_file(&compiler)?;
        progress("linking");
        self.linker.link(self.julia, &object, &workspace.path().join(IMAGE))?;
        workspace.store([IMAGE.to_owned()], |files| Record {
            version: FORMAT,
            julia: self.julia.version.to_string(),
            cpu_target: self.target.to_owned(),
            statements: 0,
            stubs: BTreeMap::new(),
            warnings: Vec::new(),
            unused: Vec::new(),
            packages: Vec::new(),
            files,
        })?;
        // The log is needed only after a failure.
        let _ = fs_err::remove_file(log);
        Ok(())
    }

    /// Runs a step in the build tree, which Julia uses as its own prefix.
    fn run(&self, run: Run, tree: &Path, log: &Path, progress: impl Fn()) -> Result<(), ImageError> {
        let layout = &self.julia.layout;
        let run = run
            .env("JULIA_BINDIR", tree.join(&layout.bindir))
            .env("JULIA_LOAD_PATH", "@stdlib")
            .env("JULIA_DEPOT_PATH", tree.join("depot"))
            .directory(tree.join(&layout.share_julia).join("base"))
            .log(log);
        match run.run(|_| progress()) {
            Ok(_) => Ok(()),
            Err(JuliaError::Child(ChildError::Failed { status, said, .. })) => {
                Err(ImageError::Base { status, log: log.to_owned(), source: said })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The build tree: `share/julia/base`, and beside it the standard libraries that go in.
fn sources(julia: &Julia, stdlibs: &StandardLibraries) -> Result<BTreeMap<String, TreeFile>, ImageError> {
    let Julia { prefix, layout, version, .. } = julia;
    if !BASE_IMAGES.contains(&version.minor) {
        return Err(ImageError::BaseVersion { julia: version.to_string() });
    }
    let base = layout.share_julia.join("base");
    for name in [COMPILER, SYSIMG] {
        if !prefix.join(&base).join(name).is_file() {
            let directory = prefix.join(base);
            return Err(ImageError::NoBaseSources { julia: version.to_string(), directory, file: name });
        }
    }
    let mut files = BTreeMap::new();
    let mut add = |below: &Path, takes: &dyn Fn(&str) -> bool| -> Result<(), ImageError> {
        for file in list_files(&prefix.join(below))?.into_iter().filter(|file| takes(&file.name)) {
            let name = below.join(&file.name).to_string_lossy().into_owned();
            files.insert(name, TreeFile::Copy(file.path));
        }
        Ok(())
    };
    // Additions to a custom build of Julia.
    add(&base, &|name| name != "userimg.jl")?;
    for name in stdlibs.inside.keys() {
        add(&layout.stdlib.join(name), &|name| name == "Project.toml" || name.starts_with("src/"))?;
    }
    let text = fs_err::read_to_string(prefix.join(&base).join(SYSIMG))?;
    let text = with_libraries(&text, |name| stdlibs.inside.contains_key(name))
        .ok_or_else(|| ImageError::BaseVersion { julia: version.to_string() })?;
    files.insert(base.join(SYSIMG).to_string_lossy().into_owned(), TreeFile::Text(text));
    Ok(files)
}

/// `sysimg.jl` with only those standard libraries in its list that are wanted, in the same order; `None` when it has no
/// such list.
fn with_libraries(text: &str, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
    const START: &str = "stdlibs = [";
    let start = text.find(START)? + START.len();
    let end = start + text[start..].find(']')?;
    let names = text[start..end].lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = names.flat_map(|line| line.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<&str> = names.map(|name| name.strip_prefix(':')).collect::<Option<_>>()?;
    let wanted: Vec<String> =
        names.into_iter().filter(|name| is_wanted(name)).map(|name| format!(":{name}")).collect();
    Some(format!("{}stdlibs = Symbol[{}{}", &text[..start - START.len()], wanted.join(", "), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::julia::{Layout, Origin};
    use jnumpy_base::Hint;

    fn julia(prefix: &Path, version: &str) -> Julia {
        let layout = Layout {
            bindir: "bin".into(),
            libjulia: "lib/libjulia.so.1".into(),
            private_libdir: "lib/julia".into(),
            sysimage: "lib/julia/sys.so".into(),
            stdlib: "share/julia/stdlib/v1.9".into(),
            share_julia: "share/julia".into(),
        };
        let (prefix, executable) = (prefix.to_owned(), prefix.join("bin/julia"));
        Julia { prefix, executable, version: version.parse().unwrap(), layout, origin: Origin::Flag }
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join("share/julia").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    #[test]
    fn ok_the_sources_and_only_libraries_that_go_in() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "base/compiler/compiler.jl", "");
        write(root, "base/sysimg.jl", TEXT);
        write(root, "base/userimg.jl", "");
        for name in
            ["Dates/Project.toml", "Dates/src/Dates.jl", "Dates/test/runtests.jl", "Base64/src/Base64.jl"]
        {
            write(root, &format!("stdlib/v1.9/{name}"), "");
        }
        let inside = [("Dates".to_owned(), String::new())].into();
        let stdlibs = StandardLibraries { inside, ..StandardLibraries::default() };
        let files = sources(&julia(root, "1.9.4"), &stdlibs).unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "share/julia/base/compiler/compiler.jl",
                "share/julia/base/sysimg.jl",
                "share/julia/stdlib/v1.9/Dates/Project.toml",
                "share/julia/stdlib/v1.9/Dates/src/Dates.jl",
            ]
        );
        let TreeFile::Text(text) = &files["share/julia/base/sysimg.jl"] else { panic!() };
        assert!(text.contains("stdlibs = Symbol[:Dates]"), "{text}");
    }

    #[test]
    fn err_no_sources_and_versions_that_are_built_in_another_way() {
        let root = tempfile::tempdir().unwrap();
        let refused = |version: &str| {
            let error = sources(&julia(root.path(), version), &StandardLibraries::default()).unwrap_err();
            assert!(error.hint().is_some_and(|hint| hint.ends_with("`--stdlibs all`")), "{error}");
            error.to_string().replace(&root.path().display().to_string(), "<root>")
        };
        let text = "a base image cannot be built: Julia 1.9.4 was installed without its sources, there is no `compiler/compiler.jl` in \
                    `<root>/share/julia/base`";
        assert_eq!(refused("1.9.4"), text);
        let text = "a base image with fewer standard libraries cannot be built from Julia";
        assert_eq!(refused("1.12.0"), format!("{text} 1.12.0"));
        write(root.path(), "base/compiler/compiler.jl", "");
        write(root.path(), "base/sysimg.jl", "");
        assert_eq!(refused("1.9.4"), format!("{text} 1.9.4"));
    }

    const TEXT: &str = "let\n    stdlibs = [\n        # No deps\n        :Base64,\n        :CRC32c, # sums\n\n        :Dates,\n    ]\n    \
                        f([1])\nend\n";

    #[test]
    fn ok_the_list_of_standard_libraries() {
        let with = |names: &[&str]| with_libraries(TEXT, |name| names.contains(&name)).unwrap();
        assert_eq!(
            with(&["Dates", "Base64"]),
            "let\n    stdlibs = Symbol[:Base64, :Dates]\n    f([1])\nend\n"
        );
        assert_eq!(with(&["Printf"]), "let\n    stdlibs = Symbol[]\n    f([1])\nend\n");
    }

    #[test]
    fn err_no_such_list() {
        for text in ["", "stdlibs = [:Base64", "stdlibs = [f(x)]", "stdlib = [:Base64]"] {
            assert_eq!(with_libraries(text, |_| true), None, "{text}");
        }
    }
}
