//! Audits a finished wheel: reads the file from disk, and uses no knowledge from packing it.

mod archive;
mod description;
mod finding;
mod forbidden_paths;
mod libraries;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

pub(crate) use self::archive::{Archive, Entry};
pub use self::finding::{Check, Finding, Level};
use self::forbidden_paths::ForbiddenPaths;
pub(crate) use self::libraries::Libraries;
use crate::formats::contract::BUILD_TREE;
use jnumpy_base::interrupt::Interrupted;
use jnumpy_base::{Hint, Report};
use jnumpy_elf::Elf;
use jnumpy_wheel::{METADATA, RECORD, WHEEL, WheelName, WheelPath};

/// Equal files below this many bytes are not reported, because packages of one generator share many small files.
const SMALL: u64 = 1 << 18;

/// What an audit found.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// Version of this report's form.
    version: u32,
    /// Name of the wheel's file, fit for printing.
    pub wheel: String,
    /// Whether it may be published.
    pub passed: bool,
    /// Number of files in it.
    pub files: usize,
    /// Number of ELF files among them.
    pub libraries: usize,
    /// Their sizes together, in bytes.
    pub size: u64,
    /// Everything found, failures first.
    pub findings: Vec<Finding>,
}

/// A wheel could not be audited, or failed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// It is too damaged to be read.
    #[error("`{}` cannot be read as a wheel: {reason}", path.display())]
    Broken { path: PathBuf, reason: String },
    /// It breaks rules; the findings have been reported.
    #[error("`{}` failed the audit and must not be published, failures: {failures}", path.display())]
    Failed {
        path: PathBuf,
        /// How many findings there are for each rule.
        failures: usize,
    },
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The user, or a signal, asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Hint for AuditError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Broken { .. } => Some("build or download it again".into()),
            Self::Failed { .. } | Self::Io(_) | Self::Interrupted(_) => None,
        }
    }
}

impl Audit {
    /// An error when the wheel must not be published.
    pub fn verdict(&self, path: &Path) -> Result<(), AuditError> {
        if self.passed {
            return Ok(());
        }
        let failures = self.findings.iter().filter(|finding| finding.level == Level::Failure).count();
        Err(AuditError::Failed { path: path.to_owned(), failures })
    }
}

/// The facts from reading a file once.
struct Examined {
    size: u64,
    sha256: [u8; 32],
    elf: Option<Elf>,
    /// The bytes of METADATA, WHEEL and RECORD.
    description: Option<Vec<u8>>,
}

/// What a wheel is audited against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Against<'a> {
    /// Directories of the build machine that it must not name.
    pub forbidden_paths: &'a [String],
    /// The wheel with its Julia, when that is another one.
    pub julia_wheel: Option<&'a Path>,
}

/// Audits a wheel.
pub fn audit(path: &Path, against: &Against<'_>, report: &Report) -> Result<Audit, AuditError> {
    let stage = report.stage("audit");
    let mut findings = Vec::new();
    let archive = Archive::open(path, &mut findings)?;
    let forbidden = ForbiddenPaths::new(against.forbidden_paths);
    let mut files = BTreeMap::new();
    let look = |entry: &Entry| examine(&archive, entry, &forbidden);
    archive.look_at_all(look, |entry, (examined, found)| {
        findings.extend(found);
        files.extend(examined.map(|examined| (entry.path.clone(), examined)));
        stage.progress(format_args!("{} of {} files", files.len(), archive.entries.len()));
    })?;
    let wheel = path.file_name().unwrap_or_default().to_string_lossy();
    match wheel.parse::<WheelName>() {
        Ok(name) => {
            description::check(&name, &files, &mut findings);
            let given = shared::check(&archive, &files, against.julia_wheel, &mut findings)?;
            libraries::check(name.tag(), &files, &given, &mut findings);
        }
        Err(error) => findings.push(Check::Name.failure(None, error.to_string())),
    }
    find_duplicates(&files, &mut findings);
    findings.sort();
    findings.dedup();
    let audit = Audit {
        version: 1,
        wheel: jnumpy_base::text::printable(&wheel),
        passed: findings.iter().all(|finding| finding.level != Level::Failure),
        files: archive.entries.len(),
        libraries: files.values().filter(|examined| examined.elf.is_some()).count(),
        size: files.values().map(|examined| examined.size).sum(),
        findings,
    };
    let verdict = if audit.passed { "passed" } else { "failed" };
    stage.done(format_args!("{verdict}: {} files, {} of them ELF", audit.files, audit.libraries));
    Ok(audit)
}

/// A file's facts, unless it could not be read, and what is wrong with it.
type Looked = (Option<Examined>, Vec<Finding>);

fn examine(archive: &Archive, entry: &Entry, forbidden: &ForbiddenPaths) -> std::io::Result<Looked> {
    let name = entry.path.as_str();
    let bytes = match archive.read(entry)? {
        Ok(bytes) => bytes,
        Err(what) => return Ok((None, vec![Check::Zip.failure(Some(name), what)])),
    };
    let mut findings = Vec::new();
    let is_binary = memchr::memchr(0, &bytes).is_some();
    for (path, count) in forbidden.count(&bytes) {
        // An image contains the path of its build tree. The path depends only on the content, and the runtime overwrites it.
        if is_binary && BUILD_TREE.starts_with(path.as_str()) {
            continue;
        }
        let what = format!("it names `{}`, times: {count}", jnumpy_base::text::printable(&path));
        // Debug information and compiled code contain many paths that are never opened. A path in a text file may be opened.
        let finding = if is_binary {
            Check::BuildPath.warning(Some(name), what)
        } else {
            Check::BuildPath.failure(Some(name), what)
        };
        findings.push(finding);
    }
    let mut elf = None;
    if jnumpy_elf::is_elf(&bytes) {
        match Elf::parse(&bytes) {
            Ok(parsed) => elf = Some(parsed),
            Err(error) => findings.push(Check::Elf.failure(Some(name), error.to_string())),
        }
    }
    let is_description = [METADATA, WHEEL, RECORD].contains(&entry.path.file_name())
        && entry.path.parent().is_some_and(|parent| parent.as_str().ends_with(".dist-info"));
    let examined = Examined {
        size: entry.size,
        sha256: Sha256::digest(&bytes).into(),
        elf,
        description: is_description.then_some(bytes),
    };
    Ok((Some(examined), findings))
}

fn find_duplicates(files: &BTreeMap<WheelPath, Examined>, findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<[u8; 32], &WheelPath> = BTreeMap::new();
    // Each part's license is stored on its own in `.dist-info`, even if its text is the same.
    let is_content = |path: &WheelPath| !path.as_str().contains(".dist-info/");
    let large = |(path, examined): &(&WheelPath, &Examined)| examined.size >= SMALL && is_content(path);
    for (path, examined) in files.iter().filter(large) {
        match seen.get(&examined.sha256) {
            Some(first) => {
                let what = format!("its {} bytes are those of `{first}`", examined.size);
                findings.push(Check::Duplicate.warning(Some(path.as_str()), what));
            }
            None => {
                seen.insert(examined.sha256, path);
            }
        }
    }
}
