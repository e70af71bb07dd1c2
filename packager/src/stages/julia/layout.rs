//! Finds the parts of a Julia: asks the Julia itself, and then checks the files.
//!
//! The code does not distinguish Debian's layout (`lib/<multiarch>/libjulia.so.1`, `lib/<multiarch>/julia/sys.so`) from the
//! official one (`lib/libjulia.so.1.10`, `lib/julia/sys.so`). It only uses the answers of the Julia.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::formats::Version;
use crate::stages::julia::rules::rules;
use crate::stages::julia::{Julia, JuliaError, Origin, Run};
use jnumpy_base::process::ChildError;
use jnumpy_base::text::printable;

const QUESTION: &str = include_str!("../../../../runtime/python/jnumpy/probe.jl");
const MARK: &str = "jnumpy-julia ";

/// The parts of a Julia, as paths relative to its prefix. All of them exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The directory of the executable, `bin`.
    pub bindir: PathBuf,
    /// The file that holds libjulia (the loader since 1.6), symlinks resolved.
    pub libjulia: PathBuf,
    /// The directory of the libraries that only Julia uses.
    pub private_libdir: PathBuf,
    /// The system image it starts with.
    pub sysimage: PathBuf,
    /// The standard library's sources, `share/julia/stdlib/v1.X`.
    pub stdlib: PathBuf,
    /// `share/julia`.
    pub share_julia: PathBuf,
}

/// Starts `executable` and asks it for its version and its parts. A launcher such as juliaup's is resolved this way
/// to the Julia it starts.
pub(crate) fn ask(executable: &Path, origin: &Origin) -> Result<Julia, JuliaError> {
    let output =
        Run::executable(executable).args(["-e", QUESTION]).run_child(|_| ()).map_err(
            |error| match error {
                ChildError::Interrupted(stop) => JuliaError::Interrupted(stop),
                source => JuliaError::NotStarting {
                    executable: executable.into(),
                    origin: origin.clone(),
                    source: Box::new(source),
                },
            },
        )?;
    Answer::parse(executable, &output.stdout)?.julia(origin)
}

/// What the child printed, by key.
struct Answer<'a> {
    asked: &'a Path,
    values: BTreeMap<&'a str, &'a str>,
}

impl<'a> Answer<'a> {
    fn parse(asked: &'a Path, stdout: &'a str) -> Result<Self, JuliaError> {
        let values: BTreeMap<_, _> =
            stdout.lines().filter_map(|line| line.strip_prefix(MARK)?.split_once('=')).collect();
        if values.is_empty() {
            let answer = printable(stdout.lines().next().unwrap_or_default());
            return Err(JuliaError::NotJulia { executable: asked.into(), answer });
        }
        Ok(Self { asked, values })
    }

    fn julia(&self, origin: &Origin) -> Result<Julia, JuliaError> {
        let version: Version = self.value("version")?.parse()?;
        if rules().is_too_old(&version) {
            let executable = self.asked.into();
            return Err(JuliaError::TooOld { executable, version, oldest: &rules().oldest });
        }
        let executable = self.path("executable")?;
        let prefix = executable.ancestors().nth(2).unwrap_or(&executable).to_path_buf();
        let within = |part: &'static str| {
            let path = self.path(part)?;
            let relative = path.strip_prefix(&prefix).map(Path::to_path_buf);
            relative.map_err(|_| JuliaError::Scattered { part, path, prefix: prefix.clone() })
        };
        let layout = Layout {
            bindir: within("executable")?.parent().map(Path::to_path_buf).unwrap_or_default(),
            libjulia: within("libjulia")?,
            private_libdir: within("private_libdir")?,
            sysimage: within("sysimage")?,
            stdlib: within("stdlib")?,
            share_julia: within("share_julia")?,
        };
        let julia = Julia { prefix, executable, version, layout, origin: origin.clone() };
        if rules().has_compiler_library(&julia.version) && !has_compiler(&julia)? {
            return Err(JuliaError::NoCompiler {
                executable: julia.executable,
                library: &rules().compiler.library,
            });
        }
        Ok(julia)
    }

    fn value(&self, key: &str) -> Result<&'a str, JuliaError> {
        self.values.get(key).copied().ok_or_else(|| JuliaError::NotJulia {
            executable: self.asked.into(),
            answer: format!("nothing about `{key}`"),
        })
    }

    /// The part's path without symlinks, which says also that it is there.
    fn path(&self, key: &'static str) -> Result<PathBuf, JuliaError> {
        let path = PathBuf::from(self.value(key)?);
        fs_err::canonicalize(&path).map_err(|source| JuliaError::PartMissing {
            part: key,
            executable: self.asked.into(),
            source,
        })
    }
}

/// Refuses a Julia without a compiler, which can neither pack nor develop a project.
fn has_compiler(julia: &Julia) -> Result<bool, JuliaError> {
    for entry in fs_err::read_dir(julia.prefix.join(&julia.layout.private_libdir))? {
        if entry?.file_name().as_encoded_bytes().starts_with(rules().compiler.library.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::julia::tests::FakeJulia;

    fn origin() -> Origin {
        Origin::Flag
    }

    #[test]
    fn ok_official_and_debian_layouts() {
        let directory = tempfile::tempdir().unwrap();
        for (name, libdir) in [("official", "lib"), ("debian", "lib/x86_64-linux-gnu")] {
            let fake = FakeJulia { libdir, ..FakeJulia::new("1.10.4") };
            let executable = fake.write(&directory.path().join(name));
            let julia = ask(&executable, &origin()).unwrap();
            assert_eq!(julia.prefix, fs_err::canonicalize(directory.path()).unwrap().join(name));
            assert_eq!(julia.version.to_string(), "1.10.4");
            let layout = Layout {
                bindir: "bin".into(),
                libjulia: Path::new(libdir).join("libjulia.so.1.10"),
                private_libdir: Path::new(libdir).join("julia"),
                sysimage: Path::new(libdir).join("julia/sys.so"),
                stdlib: "share/julia/stdlib/v1.10".into(),
                share_julia: "share/julia".into(),
            };
            assert_eq!(julia.layout, layout);
        }
    }

    #[test]
    fn ok_a_launcher_is_resolved_to_what_it_starts() {
        let directory = tempfile::tempdir().unwrap();
        let real = FakeJulia::new("1.11.2").write(&directory.path().join("channels/1.11"));
        let launcher = directory.path().join("launcher/julia");
        let script = format!("echo 'a greeting of the launcher'; exec '{}' \"$@\"", real.display());
        crate::stages::julia::tests::write_script(&launcher, &script);
        let julia = ask(&launcher, &origin()).unwrap();
        assert_eq!(julia.executable, fs_err::canonicalize(&real).unwrap());
    }

    #[test]
    fn err_too_old_is_said_with_version_and_location() {
        let directory = tempfile::tempdir().unwrap();
        let executable = FakeJulia::new("1.4.2").write(directory.path());
        let error = ask(&executable, &origin()).unwrap_err();
        let text =
            format!("`{}` is Julia 1.4.2, but the oldest supported version is 1.5.0", executable.display());
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn err_something_else_than_julia() {
        let error = ask(Path::new("/bin/echo"), &origin()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("`/bin/echo` is not a Julia executable, it printed: --startup-file=no -e"),
            "{text}"
        );
    }

    #[test]
    fn err_a_missing_part_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let executable = FakeJulia::new("1.10.4").write(directory.path());
        fs_err::remove_file(directory.path().join("lib/julia/sys.so")).unwrap();
        let error = ask(&executable, &origin()).unwrap_err();
        assert!(error.to_string().starts_with("the sysimage of `"), "{error}");
    }

    #[test]
    fn err_a_part_outside_the_prefix() {
        let directory = tempfile::tempdir().unwrap();
        let executable = FakeJulia::new("1.10.4").write(&directory.path().join("julia"));
        let (inside, outside) = (directory.path().join("julia/share"), directory.path().join("share"));
        fs_err::rename(&inside, &outside).unwrap();
        fs_err::os::unix::fs::symlink(&outside, &inside).unwrap();
        let error = ask(&executable, &origin()).unwrap_err();
        assert!(error.to_string().contains("lies outside its prefix"), "{error}");
    }
}
