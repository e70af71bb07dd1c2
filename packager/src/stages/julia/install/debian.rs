//! Makes a relocatable Julia of Debian's packages, fetched from the mirror that this machine's apt uses.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::stages::julia::install::InstallError;
use crate::stages::julia::install::apt::{self, Apt};
use crate::stages::julia::install::error::Attempt;
use crate::stages::julia::install::manifest::Manifest;
use crate::stages::julia::install::prefix::Tree;
use crate::stages::julia::install::sources::{self, Mirror};
use crate::stages::julia::record::{Package, Record};
use jnumpy_base::process::{self, ChildError};
use jnumpy_base::text::printable;
use jnumpy_base::{Report, interrupt};

const MEGABYTE: u64 = 1_000_000;
const DPKG: &str = "dpkg";
const DPKG_DEB: &str = "dpkg-deb";

/// Builds the prefix below `staging` and returns its path there.
pub(super) fn build(manifest: Manifest, staging: &Path, report: &Report) -> Result<PathBuf, InstallError> {
    let architecture = architecture()?;
    let manifest = manifest.resolve(&architecture)?;
    let mirrors = sources::mirrors(&manifest)?;
    check_space(staging, manifest.space_megabytes)?;

    let archives = fetch(&manifest, &architecture, &mirrors, staging, report)?;

    let stage = report.stage("unpack");
    let prefix = staging.join("prefix");
    let mut tree = Tree::new(&prefix, &manifest);
    let mut record = Record::new("debian", &manifest.suite, &manifest.version);
    for (count, archive) in archives.iter().enumerate() {
        stage.progress(format_args!("{count}/{} packages", archives.len()));
        let (name, package) = describe(archive)?;
        let unpacked = staging.join("unpacked").join(&name);
        fs_err::create_dir_all(&unpacked)?;
        let mut command = apt::tool(DPKG_DEB);
        command.arg("--extract").arg(archive).arg(&unpacked);
        process::run(command, None, |_| ())?;
        tree.add(&name, &unpacked)?;
        fs_err::remove_dir_all(&unpacked)?;
        fs_err::remove_file(archive)?;
        record.packages.insert(name, package);
    }
    let unpacked = tree.len();
    tree.keep_needed()?;
    record.packages.retain(|name, _| tree.uses(name));
    stage.done(format_args!(
        "{} files of {} packages kept, {} files not needed",
        tree.len(),
        record.packages.len(),
        unpacked - tree.len()
    ));

    let stage = report.stage("relocate");
    let rewritten = tree.relocate(|path| stage.progress(path.display()))?;
    stage.done(format_args!("{rewritten} of {} programs and libraries rewritten", tree.libraries().count()));

    for (name, package) in &mut record.packages {
        package.license = tree.license(name)?;
    }
    record.files = tree
        .libraries()
        .map(|(path, package)| (path.to_string_lossy().into_owned(), package.into()))
        .collect();
    record.write(&prefix)?;
    Ok(prefix)
}

fn architecture() -> Result<String, InstallError> {
    let mut command = apt::tool(DPKG);
    command.arg("--print-architecture");
    Ok(process::run(command, None, |_| ())?.stdout.trim().to_owned())
}

fn check_space(directory: &Path, wanted_megabytes: u64) -> Result<(), InstallError> {
    let status = statvfs(directory).map_err(std::io::Error::from)?;
    let free_megabytes = status.blocks_available() * status.fragment_size() / MEGABYTE;
    if free_megabytes < wanted_megabytes {
        return Err(InstallError::Space { directory: directory.into(), wanted_megabytes, free_megabytes });
    }
    Ok(())
}

/// Fetches Julia and all it depends on from the first mirror that has it.
fn fetch(
    manifest: &Manifest,
    architecture: &str,
    mirrors: &[Mirror],
    staging: &Path,
    report: &Report,
) -> Result<Vec<PathBuf>, InstallError> {
    let mut attempts = Vec::new();
    for (number, mirror) in mirrors.iter().enumerate() {
        interrupt::check()?;
        let stage = report.stage("fetch");
        let apt = Apt::new(staging.join(format!("apt-{number}")), architecture, mirror, manifest)?;
        let fetched = (|| {
            apt.update(|_| stage.progress(format_args!("the list of {}'s packages", manifest.suite)))?;
            let origin = apt.origin()?;
            if origin.as_deref() != Some(manifest.origin.as_str()) {
                let name = origin.unwrap_or_else(|| "nobody's".into());
                return Err(Refusal::Not(format!("it is the archive of {name}, not of {}", manifest.origin)));
            }
            let (count, bytes) = apt.needed(&manifest.package)?;
            let files = apt.download(&manifest.package, |fetched| {
                stage.progress(format_args!(
                    "{count} packages, {} of {} MB",
                    fetched / MEGABYTE,
                    bytes / MEGABYTE
                ));
            })?;
            Ok((files, bytes))
        })();
        match fetched {
            Ok((files, bytes)) => {
                stage.done(format_args!(
                    "{} packages, {} MB, from {}",
                    files.len(),
                    bytes / MEGABYTE,
                    mirror.printable()
                ));
                return Ok(files);
            }
            Err(Refusal::Not(reason)) => attempts.push(Attempt { mirror: mirror.printable(), reason }),
            Err(Refusal::Other(error)) => return Err(error),
        }
    }
    Err(InstallError::NoMirrorServes {
        package: manifest.package.clone(),
        suite: manifest.suite.clone(),
        attempts,
    })
}

/// Why a mirror did not deliver: for a reason of its own, or for one that will meet the next mirror too.
enum Refusal {
    Not(String),
    Other(InstallError),
}

impl From<InstallError> for Refusal {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Tool(ChildError::Failed { said, .. }) => Self::Not(complaint(&said.to_string())),
            error => Self::Other(error),
        }
    }
}

impl From<ChildError> for Refusal {
    fn from(error: ChildError) -> Self {
        InstallError::from(error).into()
    }
}

/// The first error in what apt wrote to stderr.
fn complaint(stderr: &str) -> String {
    let line = stderr.lines().find_map(|line| line.strip_prefix("E: ")).unwrap_or(stderr);
    printable(&line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Name and version of the package in a `.deb` file.
fn describe(archive: &Path) -> Result<(String, Package), InstallError> {
    let mut command = apt::tool(DPKG_DEB);
    command.arg("--show").arg("--showformat=${Package}\\n${Version}\\n${Architecture}\\n").arg(archive);
    let output = process::run(command, None, |_| ())?;
    match output.stdout.lines().collect::<Vec<_>>()[..] {
        [name, version, architecture] if is_package_name(name) => Ok((
            name.into(),
            Package { version: version.into(), architecture: architecture.into(), license: String::new() },
        )),
        _ => Err(InstallError::Answer { tool: DPKG_DEB, line: output.stdout.clone() }),
    }
}

/// A package's name becomes the name of a directory.
fn is_package_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_the_first_error_of_apt_is_the_complaint() {
        let stderr = "W: something\nE: Failed to fetch http://x/InRelease  404  Not Found [IP: ::1 80]\nE: Some index files failed to download.\n";
        assert_eq!(complaint(stderr), "Failed to fetch http://x/InRelease 404 Not Found [IP: ::1 80]");
        assert_eq!(complaint("odd\ntext"), "odd text");
    }

    #[test]
    fn err_too_little_space() {
        let error = check_space(Path::new("/"), u64::MAX).unwrap_err();
        assert!(error.to_string().starts_with("`/` has "), "{error}");
    }
}
