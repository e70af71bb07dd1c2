//! Collects wheels and their requirements for machines without a network. pip chooses and downloads the requirements, their
//! hashes are pinned, and a simple index (PEP 503) lists them.

mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use pep508_rs::PackageName;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use error::WheelhouseError;

use crate::formats::policy::Platform;
use crate::packing::{Error, python};
use jnumpy_base::path::file_name;
use jnumpy_base::{Report, Stage};
use jnumpy_wheel::WheelName;

/// Version of the JSON form.
const FORMAT: u32 = 1;
const REQUIREMENTS: &str = "requirements.txt";
const INDEX: &str = "simple";

/// What to collect, and for which machines.
#[derive(Debug, Clone)]
pub struct WheelhouseRequest {
    pub wheels: Vec<PathBuf>,
    /// The directory to make.
    pub out_dir: PathBuf,
    /// Versions of CPython, such as `3.13`; without any, that of `python`.
    pub python_versions: Vec<String>,
    /// The oldest system; by default the oldest on which the wheels run.
    pub platform: Option<String>,
    /// The Python whose pip downloads; by default `python3`.
    pub python: Option<PathBuf>,
    /// Directories in which pip also looks for wheels.
    pub find_links: Vec<PathBuf>,
    /// Whether pip uses no index.
    pub no_index: bool,
}

/// What was collected.
#[derive(Debug, Serialize)]
pub struct Wheelhouse {
    /// Version of this form.
    version: u32,
    /// The directory, as an absolute path.
    pub directory: PathBuf,
    pub platform: String,
    pub python_versions: Vec<String>,
    /// Sorted by name.
    pub wheels: Vec<CollectedWheel>,
}

/// A wheel in the directory.
#[derive(Debug, Serialize)]
pub struct CollectedWheel {
    pub name: String,
    /// In bytes.
    pub size: u64,
    pub sha256: String,
    /// The versions of CPython that install it.
    pub python_versions: Vec<String>,
}

/// A distribution of one version: the hashes of its wheels, and the versions of Python that install it.
type Pins = BTreeMap<(String, String), (Vec<String>, BTreeSet<String>)>;

impl WheelhouseRequest {
    /// Makes the directory. After an error nothing is left of it.
    pub fn run(&self, report: &Report) -> Result<Wheelhouse, Error> {
        let platform = self.platform()?;
        let occupied = fs_err::read_dir(&self.out_dir).is_ok_and(|mut entries| entries.next().is_some());
        if occupied || (self.out_dir.exists() && !self.out_dir.is_dir()) {
            return Err(WheelhouseError::NotEmpty { path: self.out_dir.clone() }.into());
        }
        let python = self.python.clone().unwrap_or_else(|| "python3".into());
        let directory = std::path::absolute(&self.out_dir)?;
        let parent = directory.parent().unwrap_or(&directory);
        fs_err::create_dir_all(parent)?;
        let scratch = tempfile::Builder::new().prefix(".tmp-").tempdir_in(parent)?;
        let staged = scratch.path().join("wheelhouse");
        fs_err::create_dir(&staged)?;

        let stage = report.stage("wheelhouse");
        let python_versions = self.python_versions(&python, &stage)?;
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for version in &python_versions {
            stage.progress(format_args!("wheels for CPython {version}"));
            let downloaded = scratch.path().join(version);
            let download = self.download(&python, version, platform, &downloaded)?;
            python::run(download, &stage, no_python)?.map_err(|source| WheelhouseError::Download {
                version: version.clone(),
                platform: platform.to_string(),
                source,
            })?;
            for entry in fs_err::read_dir(&downloaded)? {
                let path = entry?.path();
                let name = file_name(&path);
                fs_err::rename(&path, staged.join(&name))?;
                names.entry(name).or_default().push(version.clone());
            }
        }

        let mut wheels = Vec::new();
        for (name, python_versions) in names {
            let (size, sha256) = hashed(&staged.join(&name))?;
            wheels.push(CollectedWheel { name, size, sha256, python_versions });
        }
        fs_err::write(staged.join(REQUIREMENTS), requirements(&wheels, &python_versions, platform))?;
        for (path, page) in index(&wheels) {
            let path = staged.join(INDEX).join(path);
            fs_err::create_dir_all(path.parent().unwrap_or(&staged))?;
            fs_err::write(path, page)?;
        }
        if directory.is_dir() {
            fs_err::remove_dir(&directory)?;
        }
        fs_err::rename(&staged, &directory)?;
        stage.done(format_args!("{} wheels", wheels.len()));
        Ok(Wheelhouse { version: FORMAT, directory, platform: platform.to_string(), python_versions, wheels })
    }

    /// The oldest system on which all wheels run, or the one that is asked for, if it is not older.
    fn platform(&self) -> Result<Platform, WheelhouseError> {
        let mut oldest: Option<Platform> = None;
        let demanded = self.platform.as_deref().map(Platform::demanded).transpose()?;
        for path in &self.wheels {
            let name = file_name(path);
            let own = name.parse().ok().filter(|_| path.is_file()).and_then(|name: WheelName| {
                let tags = name.tag().platform().split('.').filter_map(|tag| tag.parse::<Platform>().ok());
                tags.min_by_key(|platform| platform.glibc)
            });
            let own = own.ok_or_else(|| WheelhouseError::NotAWheel { path: path.clone() })?;
            if let Some(platform) = demanded.filter(|platform| platform.glibc < own.glibc) {
                return Err(WheelhouseError::TooNew { wheel: name, platform: platform.to_string() });
            }
            let other = oldest.or(demanded).filter(|other| other.machine != own.machine);
            if let Some(other) = other {
                return Err(WheelhouseError::Machines {
                    machines: format!("{}, {}", other.machine, own.machine),
                });
            }
            oldest = oldest.into_iter().chain([own]).max_by_key(|platform| platform.glibc);
        }
        demanded.or(oldest).ok_or(WheelhouseError::NoWheels)
    }

    fn python_versions(&self, python: &Path, stage: &Stage<'_>) -> Result<Vec<String>, Error> {
        const VERSION: &str = "import sys; print('%d.%d' % sys.version_info[:2])";
        if self.python_versions.is_empty() {
            let mut command = Command::new(python);
            command.args(["-c", VERSION]);
            let said = python::run(command, stage, no_python)?.map_err(|said| no_python(said.to_string()))?;
            return Ok(vec![said.stdout.trim().to_owned()]);
        }
        let is_version = |text: &str| {
            text.strip_prefix("3.")
                .is_some_and(|minor| minor.parse::<u8>().is_ok() && !minor.starts_with('+'))
        };
        match self.python_versions.iter().find(|version| !is_version(version)) {
            Some(version) => Err(WheelhouseError::Version { version: version.clone() }.into()),
            None => Ok(self.python_versions.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()),
        }
    }

    fn download(
        &self,
        python: &Path,
        version: &str,
        platform: Platform,
        into: &Path,
    ) -> Result<Command, Error> {
        let mut command = Command::new(python);
        command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]);
        command.arg("--dest").arg(into).args(["--only-binary", ":all:"]);
        let abi = format!("cp{}", version.replace('.', ""));
        command.args(["--implementation", "cp", "--python-version", version]);
        for abi in [&abi, "abi3", "none"] {
            command.args(["--abi", abi]);
        }
        for tag in platform.accepts() {
            command.args(["--platform", &tag]);
        }
        if self.no_index {
            command.arg("--no-index");
        }
        for directory in &self.find_links {
            command.arg("--find-links").arg(std::path::absolute(directory)?);
        }
        for wheel in &self.wheels {
            command.arg(std::path::absolute(wheel)?);
        }
        Ok(command)
    }
}

fn no_python(reason: String) -> Error {
    WheelhouseError::Python { reason }.into()
}

/// Size and hash of a file.
fn hashed(path: &Path) -> std::io::Result<(u64, String)> {
    let bytes = fs_err::read(path)?;
    Ok((bytes.len() as u64, hex::encode(Sha256::digest(&bytes))))
}

/// The distribution, as an index spells it, and the version that the name of a wheel says.
fn distribution(wheel: &str) -> Option<(String, String)> {
    let mut parts = wheel.split('-');
    let name = PackageName::new(parts.next()?.to_owned()).ok()?;
    Some((name.to_string(), parts.next()?.to_owned()))
}

/// The text of `requirements.txt`.
fn requirements(wheels: &[CollectedWheel], python_versions: &[String], platform: Platform) -> String {
    let mut pins = Pins::new();
    for wheel in wheels {
        if let Some(key) = distribution(&wheel.name) {
            let (hashes, versions) = pins.entry(key).or_default();
            hashes.push(wheel.sha256.clone());
            versions.extend(wheel.python_versions.iter().cloned());
        }
    }
    let mut text = format!(
        "# For CPython {} on {platform}. In this directory:\n\
         # python -m pip install --no-index --find-links . --require-hashes --requirement {REQUIREMENTS}\n",
        python_versions.join(", ")
    );
    for ((name, version), (hashes, versions)) in pins {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}=={version}");
        if versions.len() < python_versions.len() {
            let markers: Vec<_> =
                versions.iter().map(|version| format!("python_version == \"{version}\"")).collect();
            let _ = write!(text, " ; {}", markers.join(" or "));
        }
        for hash in hashes {
            let _ = write!(text, " \\\n    --hash=sha256:{hash}");
        }
        text.push('\n');
    }
    text
}

/// The pages of the index, by their paths in it.
fn index(wheels: &[CollectedWheel]) -> BTreeMap<String, String> {
    let mut links: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for wheel in wheels {
        if let Some((name, _)) = distribution(&wheel.name) {
            let file = wheel.name.replace('+', "%2B");
            let link = format!("<a href=\"../../{file}#sha256={}\">{}</a>", wheel.sha256, wheel.name);
            links.entry(name).or_default().push(link);
        }
    }
    let page = |links: Vec<String>| {
        format!("<!DOCTYPE html>\n<html><body>\n{}\n</body></html>\n", links.join("<br>\n"))
    };
    let top = links.keys().map(|name| format!("<a href=\"{name}/\">{name}</a>")).collect();
    let mut pages = BTreeMap::from([("index.html".to_owned(), page(top))]);
    pages.extend(links.into_iter().map(|(name, links)| (format!("{name}/index.html"), page(links))));
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(name: &str, sha256: &str, python_versions: &[&str]) -> CollectedWheel {
        let python_versions = python_versions.iter().map(ToString::to_string).collect();
        CollectedWheel { name: name.into(), size: 1, sha256: sha256.into(), python_versions }
    }

    #[test]
    fn ok_a_version_for_some_pythons_has_a_marker_and_wheels_of_one_version_share_a_line() {
        let wheels = [
            wheel("Jl_A-1.0-cp310-abi3-manylinux_2_31_x86_64.whl", "a", &["3.10", "3.13"]),
            wheel("numpy-2.2.6-cp310-cp310-manylinux_2_17_x86_64.whl", "b", &["3.10"]),
            wheel("pillow-12.0-cp310-cp310-manylinux_2_17_x86_64.whl", "c", &["3.10"]),
            wheel("pillow-12.0-cp313-cp313-manylinux_2_17_x86_64.whl", "d", &["3.13"]),
        ];
        let platform = "manylinux_2_31_x86_64".parse().unwrap();
        let text = requirements(&wheels, &["3.10".into(), "3.13".into()], platform);
        let (head, pins) = text.split_at(text.find("jl-a").unwrap());
        assert!(head.starts_with("# For CPython 3.10, 3.13 on manylinux_2_31_x86_64."));
        assert_eq!(
            pins,
            "jl-a==1.0 \\\n    --hash=sha256:a\n\
             numpy==2.2.6 ; python_version == \"3.10\" \\\n    --hash=sha256:b\n\
             pillow==12.0 \\\n    --hash=sha256:c \\\n    --hash=sha256:d\n"
        );
    }

    #[test]
    fn ok_the_index_names_each_distribution_once() {
        let wheels = [wheel("a_b-1.0+x-py3-none-any.whl", "e", &["3.10"])];
        let pages = index(&wheels);
        assert_eq!(pages.keys().collect::<Vec<_>>(), ["a-b/index.html", "index.html"]);
        assert!(
            pages["a-b/index.html"]
                .contains("\"../../a_b-1.0%2Bx-py3-none-any.whl#sha256=e\">a_b-1.0+x-py3-")
        );
        assert!(pages["index.html"].contains("<a href=\"a-b/\">a-b</a>"));
    }
}
