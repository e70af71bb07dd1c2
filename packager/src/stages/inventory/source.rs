//! The files of a wheel, wherever they are: in the archive, unpacked, or installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::InventoryError;
use crate::formats::contract::{BUNDLE, DESCRIPTION};
use crate::stages::audit::{Archive, AuditError, Entry};
use crate::stages::bundle::starts_as_elf;
use jnumpy_base::interrupt;
use jnumpy_base::path::file_name;
use jnumpy_elf::Elf;
use jnumpy_wheel::{METADATA, RECORD, SBOM_PATH, WHEEL, WheelPath, record};

/// A file, of which only what is needed stays in memory.
#[derive(Debug)]
pub(super) struct File {
    pub(super) size: u64,
    /// `None` outside an archive.
    pub(super) compressed: Option<u64>,
    pub(super) elf: Option<Elf>,
    /// Name and bytes of a file that describes others.
    kept: Option<(String, Vec<u8>)>,
}

/// The files of one distribution.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) by_path: BTreeMap<WheelPath, File>,
    /// The `.dist-info` directory.
    pub(super) dist_info: Option<WheelPath>,
    /// The `_jnumpy` directory.
    pub(super) bundle: Option<WheelPath>,
}

impl File {
    /// Name and bytes of a file that describes others, which nobody else asks for.
    pub(super) fn kept(&self) -> (&str, &[u8]) {
        self.kept.as_ref().map_or(("", &[]), |(name, bytes)| (name, bytes))
    }

    fn unread(size: u64, compressed: Option<u64>) -> Self {
        Self { size, compressed, elf: None, kept: None }
    }

    fn of(path: &WheelPath, bytes: Vec<u8>, compressed: Option<u64>) -> Self {
        Self {
            size: bytes.len() as u64,
            compressed,
            elf: Elf::parse(&bytes).ok(),
            kept: describes(path).then(|| (path.to_string(), bytes)),
        }
    }
}

/// Whether a file says something about others.
fn describes(path: &WheelPath) -> bool {
    let text = path.as_str();
    let in_dist_info =
        [METADATA, WHEEL, SBOM_PATH].iter().any(|name| text.ends_with(&format!(".dist-info/{name}")));
    in_dist_info || is_description(text)
}

fn is_description(path: &str) -> bool {
    path.ends_with(&format!("/{BUNDLE}/{DESCRIPTION}"))
}

impl Files {
    /// Reads all files at `path`. `progress` is called with their number.
    pub(super) fn read(path: &Path, progress: impl FnMut(usize)) -> Result<Self, InventoryError> {
        if path.is_dir() {
            Self::in_directory(path, progress)
        } else {
            Self::in_archive(path, |_| true, progress)
        }
    }

    /// Reads the files of a wheel that describe others, and notes the sizes of the rest.
    pub(super) fn read_descriptions(wheel: &Path) -> Result<Self, InventoryError> {
        Self::in_archive(wheel, describes, |_| ())
    }

    fn in_archive(
        path: &Path,
        is_read: impl Fn(&WheelPath) -> bool + Sync,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, InventoryError> {
        // Errors that do not prevent reading the rest are left to the audit.
        let archive = Archive::open(path, &mut Vec::new()).map_err(|error| match error {
            AuditError::Broken { path, .. }
                if path.extension().is_none_or(|extension| extension != "whl") =>
            {
                InventoryError::NoWheel { path }
            }
            error => error.into(),
        })?;
        let look = |entry: &Entry| {
            if !is_read(&entry.path) {
                return Ok(Ok(File::unread(entry.size, Some(entry.compressed()))));
            }
            let bytes = archive.read(entry)?;
            Ok(bytes.map(|bytes| File::of(&entry.path, bytes, Some(entry.compressed()))))
        };
        let mut files = BTreeMap::new();
        let mut damaged = None;
        archive.look_at_all(look, |entry, looked| {
            match looked {
                Ok(file) => drop(files.insert(entry.path.clone(), file)),
                Err(reason) => damaged = Some((entry.path.to_string(), reason)),
            }
            progress(files.len());
        })?;
        match damaged {
            Some((file, reason)) => Err(InventoryError::File { file, reason: reason.into() }),
            None => Self::of(path, files),
        }
    }

    fn in_directory(path: &Path, mut progress: impl FnMut(usize)) -> Result<Self, InventoryError> {
        // Without links, and with a name even for `.`.
        let path = fs_err::canonicalize(path)?;
        let package = if path.join(BUNDLE).join(DESCRIPTION).is_file() {
            Some(path.as_path())
        } else if file_name(&path) == BUNDLE && path.join(DESCRIPTION).is_file() {
            path.parent()
        } else {
            None
        };
        let names = match package {
            Some(package) => installed(package.parent().unwrap_or(package), package)?,
            None => below(&path, &path)?,
        };
        let mut files = BTreeMap::new();
        for (name, location) in names {
            interrupt::check()?;
            let file = if describes(&name) || starts_as_elf(&location)? {
                File::of(&name, fs_err::read(&location)?, None)
            } else {
                File::unread(fs_err::metadata(&location)?.len(), None)
            };
            files.insert(name, file);
            progress(files.len());
        }
        Self::of(&path, files)
    }

    fn of(path: &Path, files: BTreeMap<WheelPath, File>) -> Result<Self, InventoryError> {
        let mut bundles: Vec<WheelPath> =
            files.keys().filter(|path| is_description(path.as_str())).filter_map(WheelPath::parent).collect();
        let wheel = format!(".dist-info/{WHEEL}");
        let mut descriptions =
            files.keys().filter(|path| path.as_str().ends_with(&wheel)).filter_map(WheelPath::parent);
        let dist_info = descriptions.next();
        if bundles.len() > 1 {
            let packages =
                bundles.iter().filter_map(WheelPath::parent).map(|package| package.to_string()).collect();
            return Err(InventoryError::Several { path: path.to_owned(), packages });
        }
        let bundle = bundles.pop();
        if bundle.is_none() && (dist_info.is_none() || descriptions.next().is_some()) {
            return Err(InventoryError::NoWheel { path: path.to_owned() });
        }
        drop(descriptions);
        Ok(Self { by_path: files, dist_info, bundle })
    }
}

/// All files below a directory, by their paths below `root`. Names that no wheel can have are not of a wheel.
fn below(root: &Path, directory: &Path) -> Result<Vec<(WheelPath, PathBuf)>, InventoryError> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(directory) {
        let entry = entry.map_err(std::io::Error::from)?;
        let name = entry.path().strip_prefix(root).ok().and_then(|name| name.to_str()?.parse().ok());
        if let Some(name) = name.filter(|_| entry.file_type().is_file()) {
            found.push((name, entry.into_path()));
        }
    }
    Ok(found)
}

/// The files of an installed package: those that the RECORD with its bundle lists, or else all in its directory.
fn installed(root: &Path, package: &Path) -> Result<Vec<(WheelPath, PathBuf)>, InventoryError> {
    let description = format!("{}/{BUNDLE}/{DESCRIPTION}", file_name(package));
    for entry in fs_err::read_dir(root)? {
        let list = entry?.path().join(RECORD);
        if list.parent().and_then(Path::extension).is_none_or(|extension| extension != "dist-info")
            || !list.is_file()
        {
            continue;
        }
        let rows = record::read(&fs_err::read(&list)?).map_err(|error| InventoryError::File {
            file: list.display().to_string(),
            reason: error.to_string(),
        })?;
        if rows.iter().any(|row| row.path == description) {
            let listed = rows.iter().filter_map(|row| row.path.parse::<WheelPath>().ok());
            let located = listed.map(|name| (name.clone(), root.join(name.as_str())));
            return Ok(located.filter(|(_, location)| location.is_file()).collect());
        }
    }
    below(root, package)
}
