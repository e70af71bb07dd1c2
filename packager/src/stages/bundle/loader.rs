//! The system's dynamic loader, asked whether it takes a file that was changed: it maps and relocates the file in a
//! child process, as `ldd -r` does, and runs nothing of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::BundleError;
use super::binaries::read_elf;
use jnumpy_base::process::{self, ChildError};

/// The loader that started this program.
#[derive(Debug)]
pub(super) struct Loader {
    /// `None` when this program needs none.
    program: Option<PathBuf>,
    /// Where needed libraries are looked for, colon-separated.
    directories: String,
}

impl Loader {
    /// The loader, for libraries that need others from these directories.
    pub(super) fn new(directories: &[PathBuf]) -> Result<Self, BundleError> {
        let elf = read_elf(&std::env::current_exe()?)?;
        let directories: Vec<_> = directories.iter().map(|directory| directory.to_string_lossy()).collect();
        Ok(Self { program: elf.interpreter.map(PathBuf::from), directories: directories.join(":") })
    }

    /// An error when the loader took the original and does not take what became of it.
    pub(super) fn check(&self, original: &Path, changed: &Path) -> Result<(), BundleError> {
        let Some(program) = &self.program else { return Ok(()) };
        let opens = |path: &Path| {
            let mut command = Command::new(program);
            command.arg("--library-path").arg(self.beside(original)).arg(path);
            // The loader's own switches: list what is loaded, relocate it too, and all of it.
            for name in ["LD_TRACE_LOADED_OBJECTS", "LD_WARN", "LD_BIND_NOW"] {
                command.env(name, "1");
            }
            process::run(command, None, |_| ())
        };
        match opens(changed) {
            Err(source @ ChildError::Failed { .. }) => match opens(original) {
                Ok(_) => Err(BundleError::Unloadable { path: original.to_owned(), source: source.into() }),
                // It wants what this machine does not have.
                Err(ChildError::Failed { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// The directories, and the original's own.
    fn beside(&self, original: &Path) -> String {
        let own = original.parent().unwrap_or(Path::new("/")).to_string_lossy();
        format!("{}:{own}", self.directories)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jnumpy_elf::{Edits, rewrite};

    fn compile(directory: &Path, name: &str, arguments: &[&str]) -> PathBuf {
        let (source, library) = (directory.join("source.c"), directory.join(name));
        fs_err::write(&source, "int one(void); int two(void) { return one(); }").unwrap();
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC"]).arg(&source).arg("-o").arg(&library).args(arguments);
        assert!(command.status().unwrap().success());
        library
    }

    #[test]
    fn err_what_opened_no_longer_does() {
        let directory = tempfile::tempdir().unwrap();
        let loader = Loader::new(&[]).unwrap();
        let original = compile(directory.path(), "libtwo.so", &[]);
        let changed = directory.path().join("changed/libtwo.so");
        fs_err::create_dir(changed.parent().unwrap()).unwrap();
        let edits = Edits { run_path: Some("$ORIGIN/../a/run/path/of/its/own".into()), ..Edits::default() };
        let bytes = rewrite(fs_err::read(&original).unwrap(), &edits).unwrap();
        fs_err::write(&changed, &bytes).unwrap();
        loader.check(&original, &changed).unwrap();
        // The loader runs into the end of the file.
        fs_err::write(&changed, &bytes[..4096]).unwrap();
        let error = loader.check(&original, &changed).unwrap_err();
        assert!(matches!(error, BundleError::Unloadable { .. }), "{error:?}");
        // What never opened is not held against the change.
        fs_err::write(&original, &bytes[..4096]).unwrap();
        loader.check(&original, &changed).unwrap();
    }

    #[test]
    fn ok_needed_libraries_are_found_beside_the_original() {
        let directory = tempfile::tempdir().unwrap();
        let loader = Loader::new(&[]).unwrap();
        compile(directory.path(), "libone.so", &["-Wl,-soname,libone.so"]);
        let location = directory.path().to_str().unwrap();
        let original =
            compile(directory.path(), "libtwo.so", &["-L", location, "-Wl,--no-as-needed", "-lone"]);
        let changed = directory.path().join("elsewhere/libtwo.so");
        fs_err::create_dir(changed.parent().unwrap()).unwrap();
        fs_err::copy(&original, &changed).unwrap();
        loader.check(&original, &changed).unwrap();
        fs_err::write(&changed, &fs_err::read(&original).unwrap()[..4096]).unwrap();
        assert!(loader.check(&original, &changed).is_err());
    }
}
