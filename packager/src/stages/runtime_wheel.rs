//! The runtime wheel, which contains the Python and Julia parts of JNumPy. Every bundle contains its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::formats::contract::{RUNTIME, TYPYTHON, below};
use crate::stages::unpack::{UnpackError, unpack};
use jnumpy_base::Hint;
use jnumpy_base::text::printable;

/// The name of the runtime's distribution.
pub const DISTRIBUTION: &str = "jnumpy-runtime";
/// Version of the runtime that this packager goes with: both are built from one workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The largest size of an unpacked runtime wheel in bytes. No more is read from a wheel.
const LARGEST: u64 = 256 << 20;

/// An unpacked runtime wheel. The directory goes away with the value.
#[derive(Debug)]
pub struct RuntimeWheel {
    /// The wheel it came from.
    pub wheel: PathBuf,
    pub version: String,
    /// The number that says which bundles and runtimes fit together.
    pub protocol: u32,
    /// The files of the import package `jnumpy`, by their path inside it.
    pub files: BTreeMap<String, PathBuf>,
    /// Texts of its licenses, by their path below `.dist-info/licenses`.
    pub licenses: BTreeMap<String, PathBuf>,
    directory: tempfile::TempDir,
}

impl RuntimeWheel {
    /// Opens the wheel named, or the one that was installed with this program.
    pub fn open(named: Option<&Path>) -> Result<Self, RuntimeWheelError> {
        let wheel = match named {
            Some(path) => path.to_owned(),
            None => find()?,
        };
        let directory = tempfile::Builder::new().prefix("jnumpy-runtime-").tempdir()?;
        let all = unpack(&wheel, directory.path(), LARGEST)?;
        let mut files = BTreeMap::new();
        let mut licenses = BTreeMap::new();
        let mut version = String::new();
        for (name, path) in all {
            if let Some(name) = below(&name, RUNTIME) {
                files.insert(name.to_owned(), path);
            } else if let Some((distribution, name)) = name.split_once(".dist-info/") {
                if let Some((_, named)) = distribution.split_once('-') {
                    named.clone_into(&mut version);
                }
                if let Some(name) = name.strip_prefix("licenses/") {
                    licenses.insert(name.to_owned(), path);
                }
            }
        }
        for required in ["__init__.py", "_bootstrap.py", "protocol", "julia/TyPython/Project.toml"] {
            if !files.contains_key(required) {
                return Err(RuntimeWheelError::Incomplete { wheel, missing: required });
            }
        }
        let text = fs_err::read_to_string(&files["protocol"])?;
        let protocol =
            text.trim().parse().map_err(|_| RuntimeWheelError::Protocol { wheel: wheel.clone(), text })?;
        Ok(Self { wheel, version, protocol, files, licenses, directory })
    }

    /// The directory to put on `PYTHONPATH`: it holds `jnumpy`.
    #[must_use]
    pub fn python_path(&self) -> &Path {
        self.directory.path()
    }

    /// The Julia package TyPython.
    #[must_use]
    pub fn typython(&self) -> PathBuf {
        self.directory.path().join(TYPYTHON)
    }
}

/// Errors about the runtime wheel.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeWheelError {
    /// There is none.
    #[error(
        "no runtime wheel `jnumpy_runtime-{VERSION}-*.whl`, looked in: {}",
        searched.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
    )]
    NotFound {
        /// The directories looked in.
        searched: Vec<PathBuf>,
    },
    /// It cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It is some other wheel.
    #[error("the runtime wheel `{}` has no `jnumpy/{missing}`", wheel.display())]
    Incomplete {
        wheel: PathBuf,
        /// What every runtime wheel has.
        missing: &'static str,
    },
    /// The protocol number is none.
    #[error("`jnumpy/protocol` of the runtime wheel `{}` is not a number: `{}`", wheel.display(), printable(text))]
    Protocol {
        wheel: PathBuf,
        /// What the file says.
        text: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hint for RuntimeWheelError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => {
                Some("put the runtime wheel beside this program, or name it: `--runtime WHEEL`".into())
            }
            Self::Unpack(UnpackError::Unreadable { .. } | UnpackError::TooLarge { .. })
            | Self::Incomplete { .. }
            | Self::Protocol { .. } => {
                Some(format!("name a wheel of `jnumpy-runtime` {VERSION}: `--runtime WHEEL`"))
            }
            Self::Unpack(_) | Self::Io(_) => None,
        }
    }
}

/// Looks beside the program and in the directory where packages keep data.
fn find() -> Result<PathBuf, RuntimeWheelError> {
    let program = fs_err::canonicalize(std::env::current_exe()?)?;
    let beside = program.parent().unwrap_or(Path::new("/")).to_owned();
    let shared = beside.join("../share/jnumpy");
    let searched = vec![beside, shared];
    let prefix = format!("jnumpy_runtime-{VERSION}-");
    for directory in &searched {
        let Ok(entries) = fs_err::read_dir(directory) else { continue };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&prefix) && Path::new(name.as_ref()).extension().is_some_and(|e| e == "whl") {
                found.push(directory.join(name.as_ref()));
            }
        }
        // Several can only differ in their platform tag; the last one asks for the newest libc.
        if let Some(wheel) = found.into_iter().min() {
            return Ok(wheel);
        }
    }
    Err(RuntimeWheelError::NotFound { searched })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A wheel with these files, in a temporary directory.
    fn wheel(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.whl");
        let mut archive = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
        for (name, text) in files {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        (directory, path)
    }

    const WHOLE: [(&str, &str); 5] = [
        ("jnumpy/__init__.py", ""),
        ("jnumpy/_bootstrap.py", "import os"),
        ("jnumpy/protocol", "7\n"),
        ("jnumpy/julia/TyPython/Project.toml", "name = \"TyPython\"\n"),
        ("jnumpy_runtime-0.1.0.dist-info/licenses/LICENSE-MIT", "MIT"),
    ];

    fn error(files: &[(&str, &str)]) -> String {
        let (directory, path) = wheel(files);
        let error = RuntimeWheel::open(Some(&path)).unwrap_err().to_string();
        error.replace(directory.path().to_str().unwrap(), "<d>")
    }

    #[test]
    fn ok_unpacks_and_goes_away() {
        let (_directory, path) = wheel(&WHOLE);
        let runtime = RuntimeWheel::open(Some(&path)).unwrap();
        assert_eq!(runtime.protocol, 7);
        assert_eq!(runtime.version, "0.1.0");
        assert_eq!(fs_err::read_to_string(&runtime.files["_bootstrap.py"]).unwrap(), "import os");
        assert_eq!(runtime.licenses.keys().collect::<Vec<_>>(), ["LICENSE-MIT"]);
        assert!(runtime.typython().join("Project.toml").is_file());
        let location = runtime.python_path().to_owned();
        drop(runtime);
        assert!(!location.exists());
    }

    #[test]
    fn err_wording() {
        assert_eq!(error(&WHOLE[..2]), "the runtime wheel `<d>/r.whl` has no `jnumpy/protocol`");
        assert_eq!(
            error(&[("jnumpy/../../x", "")]),
            "the wheel `<d>/r.whl` contains a file with an unsafe name: `jnumpy/../../x`"
        );
        let mut files = WHOLE;
        files[2].1 = "seven";
        assert_eq!(
            error(&files),
            "`jnumpy/protocol` of the runtime wheel `<d>/r.whl` is not a number: `seven`"
        );
    }

    #[test]
    fn err_more_than_it_may_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bomb.whl");
        let mut archive = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
        let zeros = vec![0; 64 << 20];
        for number in 0..5 {
            archive.start_file(format!("jnumpy/{number}"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(&zeros).unwrap();
        }
        archive.finish().unwrap();
        assert!(fs_err::metadata(&path).unwrap().len() < 1 << 20);
        assert!(matches!(
            RuntimeWheel::open(Some(&path)),
            Err(RuntimeWheelError::Unpack(UnpackError::TooLarge { .. }))
        ));
    }

    #[test]
    fn err_cut_off_anywhere() {
        let (directory, path) = wheel(&WHOLE);
        let bytes = fs_err::read(&path).unwrap();
        let cut = directory.path().join("cut.whl");
        for length in (0..bytes.len()).step_by(7) {
            fs_err::write(&cut, &bytes[..length]).unwrap();
            assert!(RuntimeWheel::open(Some(&cut)).is_err(), "{length}");
        }
    }
}
