//! Makes a relocatable Julia from Debian's packages, which are fetched from the mirror that this machine's apt uses.
//!
//! apt runs with the machine's configuration (proxies, certificates, credentials), but with its own sources, lists, cache, and
//! list of installed packages in a separate directory. It needs no root privileges and changes nothing else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use walkdir::WalkDir;

use crate::formats::Version;
use crate::stages::julia::install::{Attempt, InstallError, space};
use crate::stages::julia::record::{Package, Record};
use jnumpy_base::process::{self, ChildError, Output};
use jnumpy_base::text::printable;
use jnumpy_base::{Report, interrupt};
use jnumpy_elf::{Edits, Elf, Kind, is_elf, rewrite};

const DEBIAN: &str = include_str!("../../../../../manifests/julia/debian-1.5.toml");
const MEGABYTE: u64 = 1_000_000;

/// Options that override the machine's configuration.
const OPTIONS: [&str; 7] = [
    "APT::Install-Recommends=false",
    "APT::Get::Assume-Yes=true",
    // A mirror that lacks the suite is an error, and not a warning.
    "APT::Update::Error-Mode=any",
    // As root, apt would fetch as another user, who has no access to the directory.
    "APT::Sandbox::User=root",
    "Dir::Etc::sourceparts=/dev/null",
    "Dir::Etc::preferences=/dev/null",
    "Dir::Etc::preferencesparts=/dev/null",
];

/// Lists of the machine's configuration that are cleared: hooks that run after an update, and other architectures.
const CLEARED: &str = "\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
";

/// `manifests/julia/debian-*.toml`; the file says what each field is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: String,
    suite: String,
    origin: String,
    package: String,
    own: Vec<String>,
    releases: Vec<String>,
    keyrings: Vec<PathBuf>,
    space_megabytes: u64,
    architectures: BTreeMap<String, String>,
    host: BTreeMap<String, String>,
}

impl Manifest {
    pub(super) fn read() -> Result<Self, InstallError> {
        Ok(toml::from_str(DEBIAN)?)
    }

    /// Julia's version.
    pub(super) fn version(&self) -> Result<Version, InstallError> {
        Ok(self.version.parse()?)
    }
}

/// Builds the prefix below `staging` and returns its path there.
pub(super) fn build(manifest: &Manifest, staging: &Path, report: &Report) -> Result<PathBuf, InstallError> {
    let architecture = run("dpkg", ["--print-architecture"])?.stdout.trim().to_owned();
    let multiarch = manifest.architectures.get(&architecture).ok_or_else(|| InstallError::Architecture {
        found: architecture.clone(),
        known: manifest.architectures.keys().cloned().collect(),
    })?;
    let mirrors = mirrors(manifest)?;
    space::check(staging, manifest.space_megabytes * MEGABYTE)?;
    let archives = fetch(manifest, &architecture, &mirrors, staging, report)?;

    let stage = report.stage("unpack");
    let mut tree = Tree { prefix: staging.join("prefix"), documentation: staging.join("doc"), multiarch };
    fs_err::create_dir(&tree.documentation)?;
    let mut record = Record::debian(&manifest.suite, &manifest.version()?);
    for (count, archive) in archives.iter().enumerate() {
        interrupt::check()?;
        stage.progress(format_args!("{count}/{} packages", archives.len()));
        let (name, package) = describe(archive)?;
        let unpacked = staging.join("unpacked");
        run("dpkg-deb", [OsString::from("--extract"), archive.into(), unpacked.clone().into()])?;
        let binaries = tree.add(&name, &unpacked, manifest.own.contains(&name))?;
        if !binaries.is_empty() {
            record.packages.insert(name.clone(), package);
        }
        record.files.extend(binaries.into_iter().map(|path| (path, name.clone())));
        fs_err::remove_dir_all(&unpacked)?;
        fs_err::remove_file(archive)?;
    }
    stage.done(format_args!(
        "{} programs and libraries of {} packages",
        record.files.len(),
        record.packages.len()
    ));

    let stage = report.stage("relocate");
    for path in record.files.keys() {
        interrupt::check()?;
        stage.progress(path);
        tree.relocate(Path::new(path))?;
    }
    stage.done("every library is found relative to the library that needs it");
    for (name, package) in &mut record.packages {
        package.license = tree.license(name)?;
    }
    record.write(&tree.prefix)?;
    Ok(tree.prefix)
}

/// The mirrors of Debian in the sources of this machine's apt, each once.
fn mirrors(manifest: &Manifest) -> Result<Vec<String>, InstallError> {
    let output = run("apt-get", ["update", "--print-uris"])?;
    let mut mirrors: Vec<String> = Vec::new();
    for line in output.stdout.lines() {
        // `'http://mirror/debian/dists/bookworm/main/binary-amd64/Packages.xz' …`
        let Some((uri, rest)) = line.trim_start_matches('\'').split_once("/dists/") else { continue };
        let Some((release, _)) = rest.split_once("/main/binary-") else { continue };
        // A CD is not a mirror: it holds the release that it was made for.
        let is_debian = manifest.releases.iter().any(|known| known == release) && !uri.starts_with("cdrom:");
        if is_debian && !mirrors.iter().any(|known| known == uri) {
            mirrors.push(uri.into());
        }
    }
    if mirrors.is_empty() { Err(InstallError::NoMirror) } else { Ok(mirrors) }
}

/// Fetches Julia and its dependencies from the first mirror that has them.
fn fetch(
    manifest: &Manifest,
    architecture: &str,
    mirrors: &[String],
    staging: &Path,
    report: &Report,
) -> Result<Vec<PathBuf>, InstallError> {
    let mut attempts = Vec::new();
    for (number, mirror) in mirrors.iter().enumerate() {
        let stage = report.stage("fetch");
        let apt = Apt::new(staging.join(format!("apt-{number}")), architecture, mirror, manifest)?;
        let fetched = apt
            .get(["update"], |_| stage.progress(format_args!("the list of {}'s packages", manifest.suite)))
            .and_then(|_| apt.check_origin(&manifest.origin))
            .and_then(|()| {
                let package = ["install", "--download-only", &manifest.package];
                apt.get(package, |_| stage.progress(format_args!("{} MB", apt.size() / MEGABYTE)))
            });
        match fetched {
            Ok(_) => {
                let files = apt.archives()?;
                stage.done(format_args!(
                    "{} packages, {} MB, from {}",
                    files.len(),
                    apt.size() / MEGABYTE,
                    without_user(mirror)
                ));
                return Ok(files);
            }
            Err(InstallError::Tool(ChildError::Failed { said, .. })) => {
                attempts.push(Attempt { mirror: without_user(mirror), reason: complaint(&said.to_string()) });
            }
            Err(InstallError::Origin { found }) => {
                let reason = format!("it is the archive of {found}, not of {}", manifest.origin);
                attempts.push(Attempt { mirror: without_user(mirror), reason });
            }
            Err(error) => return Err(error),
        }
    }
    Err(InstallError::NoMirrorServes {
        package: manifest.package.clone(),
        suite: manifest.suite.clone(),
        attempts,
    })
}

/// A private root of apt.
struct Apt {
    directory: PathBuf,
    architecture: String,
}

impl Apt {
    /// Makes the root in `directory`, for one suite of one mirror. The packages that the machine provides are marked as
    /// installed, so apt fetches only the others.
    fn new(
        directory: PathBuf,
        architecture: &str,
        mirror: &str,
        manifest: &Manifest,
    ) -> Result<Self, InstallError> {
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs_err::create_dir_all(directory.join(part))?;
        }
        let provided = |package: &String| {
            format!(
                "Package: {package}\nStatus: install ok installed\nArchitecture: {architecture}\nMulti-Arch: same\n\
                 Version: 99:0\nMaintainer: none <none@localhost>\nDescription: provided by the machine\n\n"
            )
        };
        fs_err::write(directory.join("status"), manifest.host.keys().map(provided).collect::<String>())?;
        fs_err::write(directory.join("cleared.conf"), CLEARED)?;
        let keyring = manifest.keyrings.iter().find(|keyring| keyring.is_file());
        let keyring = keyring.map(|path| format!("Signed-By: {}\n", path.display())).unwrap_or_default();
        let entry = format!(
            "Types: deb\nURIs: {mirror}\nSuites: {}\nComponents: main\nArchitectures: {architecture}\n\
             Languages: none\nTargets: Packages\n{keyring}",
            manifest.suite
        );
        fs_err::write(directory.join("mirror.sources"), entry)?;
        Ok(Self { directory, architecture: architecture.into() })
    }

    fn get<const N: usize>(
        &self,
        arguments: [&str; N],
        progress: impl FnMut(Duration),
    ) -> Result<Output, InstallError> {
        let mut command = tool("apt-get");
        command.arg("-c").arg(self.directory.join("cleared.conf"));
        for option in OPTIONS {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("APT::Architecture={}", self.architecture));
        command.arg("-o").arg(format!("APT::Architectures::={}", self.architecture));
        for (name, path) in [
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Cache::archives", "cache/archives"),
            ("Dir::Etc::sourcelist", "mirror.sources"),
        ] {
            let mut option = OsString::from(format!("{name}="));
            option.push(self.directory.join(path));
            command.arg("-o").arg(option);
        }
        command.args(arguments);
        Ok(process::run(command, None, progress)?)
    }

    /// Checks that the origin in the signed Release file of the mirror is `origin`.
    fn check_origin(&self, origin: &str) -> Result<(), InstallError> {
        let mut found = None;
        for entry in fs_err::read_dir(self.directory.join("state/lists"))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b"Release")) {
                let text = fs_err::read_to_string(&path)?;
                found = text.lines().find_map(|line| line.strip_prefix("Origin: ")).map(printable);
            }
        }
        match found {
            Some(found) if found == origin => Ok(()),
            found => Err(InstallError::Origin { found: found.unwrap_or_else(|| "nobody".into()) }),
        }
    }

    fn archives(&self) -> Result<Vec<PathBuf>, InstallError> {
        let mut files = Vec::new();
        for entry in fs_err::read_dir(self.directory.join("cache/archives"))? {
            files.push(entry?.path());
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
        files.sort();
        Ok(files)
    }

    /// The number of fetched bytes. Files may disappear while apt is running; they are not counted.
    fn size(&self) -> u64 {
        let files = WalkDir::new(self.directory.join("cache/archives")).into_iter().flatten();
        files
            .filter(|file| file.file_type().is_file())
            .flat_map(|file| file.metadata())
            .map(|data| data.len())
            .sum()
    }
}

/// The prefix in the making.
struct Tree<'a> {
    prefix: PathBuf,
    /// The documentation directories of all packages: some are links to those of others.
    documentation: PathBuf,
    multiarch: &'a str,
}

impl Tree<'_> {
    /// Moves the wanted files of an unpacked package to their paths; returns the programs and libraries among them.
    fn add(&mut self, package: &str, unpacked: &Path, own: bool) -> Result<Vec<String>, InstallError> {
        let libraries = format!("lib/{}", self.multiarch);
        let mut binaries = Vec::new();
        for entry in WalkDir::new(unpacked).sort_by_file_name() {
            let entry = entry.map_err(std::io::Error::from)?;
            let Ok(within) = entry.path().strip_prefix(unpacked) else { continue };
            if entry.file_type().is_dir() {
                continue;
            }
            let within = within.strip_prefix("usr").unwrap_or(within);
            let wanted = if own {
                let parts = [libraries.as_str(), "bin/julia", "share/julia", "etc/julia"];
                parts.iter().any(|part| within.starts_with(part)) && !within.starts_with("share/julia/test")
            } else {
                within.parent() == Some(Path::new(&libraries)) && is_library(within)
            };
            if !wanted {
                continue;
            }
            let location = self.prefix.join(within);
            if let Some(parent) = location.parent() {
                fs_err::create_dir_all(parent)?;
            }
            let is_file = entry.file_type().is_file();
            fs_err::rename(entry.path(), &location)?;
            if is_file && !within.starts_with("share") && !within.starts_with("etc") {
                binaries.push(within.to_string_lossy().into_owned());
            }
        }
        let documentation = unpacked.join("usr/share/doc").join(package);
        if documentation.is_symlink() || documentation.is_dir() {
            fs_err::rename(documentation, self.documentation.join(package))?;
        }
        Ok(binaries)
    }

    /// Makes a program or library search its own directory and Julia's directories.
    ///
    /// `$ORIGIN` is the directory of the name by which a file is opened, be it a link: every library gets the entries
    /// for both directories.
    fn relocate(&self, path: &Path) -> Result<(), InstallError> {
        let failed = |source| InstallError::Elf { path: path.into(), source };
        let location = self.prefix.join(path);
        let bytes = fs_err::read(&location)?;
        if !is_elf(&bytes) {
            return Ok(());
        }
        let elf = Elf::parse(&bytes).map_err(failed)?;
        if elf.kind == Kind::Other {
            return Ok(());
        }
        let run_path = if path.starts_with("bin") {
            format!("$ORIGIN/../lib/{}", self.multiarch)
        } else {
            "$ORIGIN:$ORIGIN/..:$ORIGIN/julia".into()
        };
        let edits = Edits {
            run_path: Some(run_path),
            clear_executable_stack: elf.executable_stack,
            ..Edits::default()
        };
        Ok(fs_err::write(&location, rewrite(bytes, &edits).map_err(failed)?)?)
    }

    /// Puts the copyright file of a package into the prefix and returns its path there.
    fn license(&self, package: &str) -> Result<String, InstallError> {
        let text = fs_err::read(self.documentation.join(package).join("copyright"))
            .map_err(|_| InstallError::License { package: package.into() })?;
        let path = format!("share/licenses/{package}/copyright");
        fs_err::create_dir_all(self.prefix.join(&path).parent().unwrap_or(&self.prefix))?;
        fs_err::write(self.prefix.join(&path), text)?;
        Ok(path)
    }
}

fn is_library(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
        name.contains(".so.") || path.extension().is_some_and(|extension| extension == "so")
    })
}

/// Name and version of the package in a `.deb` file.
fn describe(archive: &Path) -> Result<(String, Package), InstallError> {
    let format = "--showformat=${Package}\\n${Version}\\n${Architecture}\\n";
    let output = run("dpkg-deb", [OsString::from("--show"), format.into(), archive.into()])?;
    match output.stdout.lines().collect::<Vec<_>>()[..] {
        [name, version, architecture] if is_package_name(name) => Ok((
            name.into(),
            Package { version: version.into(), architecture: architecture.into(), license: String::new() },
        )),
        _ => Err(InstallError::Answer { tool: "dpkg-deb", line: printable(&output.stdout) }),
    }
}

/// A package's name becomes the name of a directory.
fn is_package_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// A mirror's address without user name and password.
fn without_user(uri: &str) -> String {
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => uri.into(),
    }
}

/// The first error in what apt wrote to stderr.
fn complaint(stderr: &str) -> String {
    let line = stderr.lines().find_map(|line| line.strip_prefix("E: ")).unwrap_or(stderr);
    printable(&line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A program of apt or dpkg, with messages in a form that can be parsed.
fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn run(
    program: &str,
    arguments: impl IntoIterator<Item: AsRef<std::ffi::OsStr>>,
) -> Result<Output, InstallError> {
    let mut command = tool(program);
    command.args(arguments);
    Ok(process::run(command, None, |_| ())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_the_list_is_whole() {
        let manifest = Manifest::read().unwrap();
        assert!(manifest.own.contains(&manifest.package) && manifest.releases.contains(&manifest.suite));
        assert_eq!(manifest.version().unwrap().to_string(), "1.5.3");
    }

    #[test]
    fn ok_the_first_error_of_apt_is_the_complaint() {
        let stderr = "W: something\nE: Failed to fetch http://x/InRelease  404  Not Found [IP: ::1 80]\nE: Some index files failed to download.\n";
        assert_eq!(complaint(stderr), "Failed to fetch http://x/InRelease 404 Not Found [IP: ::1 80]");
        assert_eq!(complaint("odd\ntext"), "odd text");
    }

    #[test]
    fn ok_passwords_are_not_printed() {
        assert_eq!(without_user("https://me:p@ss@mirror.example/debian"), "https://mirror.example/debian");
        assert_eq!(without_user("http://mirror.example/a@b"), "http://mirror.example/a@b");
        assert_eq!(without_user("file:/srv/debian"), "file:/srv/debian");
    }
}
