//! Source distributions: the project's own files and PKG-INFO in one `.tar.gz`, from which the wheel can be built.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::stages::project::{PackageFile, Project, ProjectError};
use jnumpy_base::interrupt::{self, Interrupted};
use jnumpy_base::{Hint, NewFile, Report};
use jnumpy_wheel::{Epoch, WheelError};

/// What can keep a source distribution from being written.
#[derive(Debug, thiserror::Error)]
pub enum SdistError {
    /// The project's files cannot be listed.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Name or metadata are wrong, or `SOURCE_DATE_EPOCH` is.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Hint for SdistError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.hint(),
            Self::Wheel(error) => error.hint(),
            Self::Io(_) | Self::Interrupted(_) => None,
        }
    }
}

/// Writes the source distribution of `project` into `out_dir`, which is created if it is missing; returns its path. The
/// same files give the same bytes. An error leaves no file behind.
pub fn write(project: &Project, out_dir: &Path, report: &Report) -> Result<PathBuf, SdistError> {
    let stage = report.stage("sdist");
    let pyproject = &project.pyproject;
    let distribution = pyproject.metadata.distribution()?;
    let name = format!("{}-{}", distribution.as_dist_info_name(), pyproject.metadata.version);
    let epoch = Epoch::from_environment()?;
    let metadata = pyproject.metadata.write(pyproject.licenses.iter().map(|(path, _)| path))?;
    let files = project.sources()?;

    fs_err::create_dir_all(out_dir)?;
    let path = out_dir.join(format!("{name}.tar.gz"));
    let compressed = GzEncoder::new(NewFile::create(&path)?, flate2::Compression::best());
    let mut archive = Archive { tar: Builder::new(compressed), top: name.clone(), epoch };
    archive.add("PKG-INFO", false, metadata.len() as u64, metadata.as_slice())?;
    for PackageFile { name, path, executable } in &files {
        interrupt::check()?;
        let file = fs_err::File::open(path)?;
        let size = file.metadata()?.len();
        archive.add(name, *executable, size, file)?;
    }
    archive.tar.into_inner()?.finish()?.finish()?;
    stage.done(format_args!("{} files", files.len() + 1));
    Ok(path)
}

struct Archive<W: Write> {
    tar: Builder<W>,
    /// The directory that everything is in.
    top: String,
    epoch: Option<Epoch>,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, name: &str, executable: bool, size: u64, content: impl Read) -> std::io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_size(size);
        header.set_mtime(self.epoch.map_or(0, Epoch::seconds));
        self.tar.append_data(&mut header, format!("{}/{name}", self.top), content)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flate2::read::GzDecoder;

    use super::*;

    fn project(root: &Path) -> Project {
        for (name, text) in [
            (
                "pyproject.toml",
                "[project]\nname = \"Jl.A\"\nversion = \"1.0\"\nlicense-files = [\"LICENSE\"]\n",
            ),
            ("LICENSE", "MIT"),
            (".gitignore", "*.log\n/secret\n"),
            ("secret/key", "?"),
            ("run.log", "?"),
            ("dist/old.whl", "?"),
            ("environment/pyvenv.cfg", "?"),
            (".git/config", "?"),
            ("jl_a/__pycache__/x.pyc", "?"),
            ("jl_a/__init__.py", ""),
            ("jl_a/Project.toml", "name = \"A\"\n"),
            ("jl_a/src/A.jl", "module A end\n"),
            ("tests/dist/test_a.py", ""),
        ] {
            let path = root.join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        Project::load(root).unwrap()
    }

    #[test]
    fn ok_the_projects_files_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let project = project(directory.path());
        let out = tempfile::tempdir().unwrap();
        let path = write(&project, out.path(), &Report::new(true)).unwrap();
        assert_eq!(path.file_name().unwrap(), "jl_a-1.0.tar.gz");
        let bytes = fs_err::read(&path).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
        let files: BTreeMap<String, String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().to_str().unwrap().to_owned(), text)
            })
            .collect();
        let names: Vec<&str> = files.keys().filter_map(|name| name.strip_prefix("jl_a-1.0/")).collect();
        assert_eq!(
            names,
            [
                ".gitignore",
                "LICENSE",
                "PKG-INFO",
                "jl_a/Project.toml",
                "jl_a/__init__.py",
                "jl_a/src/A.jl",
                "pyproject.toml",
                "tests/dist/test_a.py",
            ]
        );
        assert!(files["jl_a-1.0/PKG-INFO"].contains("\nName: Jl.A\nVersion: 1.0\n"));
        assert!(files["jl_a-1.0/PKG-INFO"].contains("\nLicense-File: LICENSE\n"));

        // The same bytes again, and nothing else in the directory.
        write(&project, out.path(), &Report::new(true)).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), bytes);
        assert_eq!(fs_err::read_dir(out.path()).unwrap().count(), 1);
    }
}
