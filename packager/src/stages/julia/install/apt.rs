//! A private apt: the machine's own configuration (proxies, certificates, credentials), but sources, lists, cache and
//! the list of installed packages of our own. Needs no root and changes nothing outside its directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::stages::julia::install::InstallError;
use crate::stages::julia::install::manifest::Manifest;
use crate::stages::julia::install::sources::Mirror;
use jnumpy_base::process::{self, ChildError, Output};

const APT_GET: &str = "apt-get";
const APT_CONFIG: &str = "apt-config";

/// Lists of the machine's configuration that must not be added to: hooks run after an update, other architectures.
const CLEARED: &str = "\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
";

/// Options that hold whatever the machine's configuration says.
const OPTIONS: [&str; 7] = [
    "APT::Install-Recommends=false",
    "APT::Get::Assume-Yes=true",
    // A mirror that lacks the suite is an error, and not a warning.
    "APT::Update::Error-Mode=any",
    // As root, apt would fetch as a user that may not enter our directory.
    "APT::Sandbox::User=root",
    "Dir::Etc::sourceparts=/dev/null",
    "Dir::Etc::preferences=/dev/null",
    "Dir::Etc::preferencesparts=/dev/null",
];

/// A private apt root.
pub(super) struct Apt {
    directory: PathBuf,
    architecture: String,
}

impl Apt {
    /// Makes the root in `directory`, which must not exist, for one suite of one mirror.
    ///
    /// The packages whose libraries the machine provides are said to be installed, so apt fetches just the others.
    pub(super) fn new(
        directory: PathBuf,
        architecture: &str,
        mirror: &Mirror,
        manifest: &Manifest,
    ) -> Result<Self, InstallError> {
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs_err::create_dir_all(directory.join(part))?;
        }
        let mut installed = String::new();
        for host in &manifest.host {
            installed += &provided(&host.package, architecture);
        }
        fs_err::write(directory.join("status"), installed)?;
        fs_err::write(directory.join("cleared.conf"), CLEARED)?;
        fs_err::write(directory.join("mirror.sources"), entry(architecture, mirror, &manifest.suite))?;
        Ok(Self { directory, architecture: architecture.into() })
    }

    /// Fetches the list of packages.
    pub(super) fn update(&self, progress: impl FnMut(Duration)) -> Result<(), ChildError> {
        self.get(["update"], progress).map(|_| ())
    }

    /// What the signed Release file of the mirror calls itself.
    pub(super) fn origin(&self) -> Result<Option<String>, InstallError> {
        for entry in fs_err::read_dir(self.directory.join("state/lists"))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b"Release")) {
                let text = fs_err::read_to_string(&path)?;
                return Ok(text.lines().find_map(|line| line.strip_prefix("Origin: ")).map(String::from));
            }
        }
        Ok(None)
    }

    /// The number of packages to fetch for `package`, and their size in bytes.
    pub(super) fn needed(&self, package: &str) -> Result<(usize, u64), InstallError> {
        let output = self.get(["install", "--print-uris", "--quiet=2", package], |_| ())?;
        let sizes: Vec<u64> = output
            .stdout
            .lines()
            .map(|line| {
                line.split_whitespace()
                    .nth(2)
                    .and_then(|size| size.parse().ok())
                    .ok_or_else(|| InstallError::Answer { tool: APT_GET, line: line.into() })
            })
            .collect::<Result<_, _>>()?;
        Ok((sizes.len(), sizes.iter().sum()))
    }

    /// Fetches `package` and all it depends on; returns the files. `progress` gets the bytes fetched so far.
    pub(super) fn download(
        &self,
        package: &str,
        mut progress: impl FnMut(u64),
    ) -> Result<Vec<PathBuf>, InstallError> {
        let archives = self.directory.join("cache/archives");
        self.get(["install", "--download-only", package], |_| {
            progress(size_of_files(&archives) + size_of_files(&archives.join("partial")));
        })?;
        let mut files = Vec::new();
        for entry in fs_err::read_dir(&archives)? {
            files.push(entry?.path());
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
        files.sort();
        Ok(files)
    }

    fn get<const N: usize>(
        &self,
        arguments: [&str; N],
        progress: impl FnMut(Duration),
    ) -> Result<Output, ChildError> {
        let mut command = tool(APT_GET);
        command.arg("-c").arg(self.directory.join("cleared.conf"));
        let mut option = |text: OsString| {
            command.arg("-o").arg(text);
        };
        for text in OPTIONS {
            option(text.into());
        }
        option(format!("APT::Architecture={}", self.architecture).into());
        option(format!("APT::Architectures::={}", self.architecture).into());
        for (name, path) in [
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Cache::archives", "cache/archives"),
            ("Dir::Etc::sourcelist", "mirror.sources"),
        ] {
            let mut text = OsString::from(format!("{name}="));
            text.push(self.directory.join(path));
            option(text);
        }
        command.args(arguments);
        process::run(command, None, progress)
    }
}

/// An entry of the list of installed packages, newer than any.
fn provided(package: &str, architecture: &str) -> String {
    format!(
        "Package: {package}\nStatus: install ok installed\nArchitecture: {architecture}\nMulti-Arch: same\n\
         Version: 99:0\nMaintainer: none <none@localhost>\nDescription: provided by the machine\n\n"
    )
}

/// The one entry of our sources file.
fn entry(architecture: &str, mirror: &Mirror, suite: &str) -> String {
    let mut text = format!(
        "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\nArchitectures: {architecture}\n\
         Languages: none\nTargets: Packages\n",
        mirror.uri
    );
    for (name, value) in &mirror.options {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push('\n');
    }
    text
}

/// The machine's file and directory of apt sources.
pub(super) fn sources_places() -> Result<(PathBuf, PathBuf), InstallError> {
    let mut command = tool(APT_CONFIG);
    command.args(["shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]);
    let output = process::run(command, None, |_| ())?;
    let value = |name: &str| {
        let line = output.stdout.lines().find(|line| line.starts_with(name));
        let quoted = line.and_then(|line| line[name.len()..].strip_prefix("='")?.strip_suffix('\''));
        quoted
            .map(|path| PathBuf::from(path.replace(r"'\''", "'")))
            .ok_or_else(|| InstallError::Answer { tool: APT_CONFIG, line: line.unwrap_or("nothing").into() })
    };
    Ok((value("LIST")?, value("PARTS")?))
}

/// A program of apt or dpkg, whose messages are to be read by us.
pub(super) fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Files come and go while apt is at work; what cannot be seen counts nothing.
fn size_of_files(directory: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|data| data.len())
        .sum()
}
