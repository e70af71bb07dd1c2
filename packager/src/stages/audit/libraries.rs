//! Checks that the ELF files of a wheel find what they need on every machine its tag promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Examined;
use super::finding::{Check, Finding};
use crate::formats::contract::BUNDLE;
use crate::formats::policy::{self, Platform, PolicyError};
use crate::stages::project::extension_parts;
use jnumpy_base::Binary;
use jnumpy_base::text::printable;
use jnumpy_elf::{Elf, VersionNeed};
use jnumpy_wheel::{Tag, WheelPath};

/// The ELF files of a wheel.
pub(crate) struct Libraries<'a> {
    pub(crate) files: BTreeMap<&'a str, &'a Elf>,
    /// Names by which the wheel's own files are known.
    names: BTreeSet<&'a str>,
    /// Files of another wheel that are there too.
    given: BTreeSet<&'a str>,
}

/// Checks every ELF file of a wheel; `given` are those of the wheel with its Julia, when that is another one.
pub(super) fn check(
    tag: &Tag,
    files: &BTreeMap<WheelPath, Examined>,
    given: &BTreeMap<WheelPath, Elf>,
    findings: &mut Vec<Finding>,
) {
    let own = files.iter().filter_map(|(path, examined)| Some((path, examined.elf.as_ref()?)));
    let libraries = Libraries::new(own).with(given);
    if libraries.files.is_empty() {
        return;
    }
    let platforms = platforms(tag, findings);
    for platform in &platforms {
        libraries.check_platform(*platform, findings);
    }
    for (path, elf) in &libraries.files {
        if elf.executable_stack {
            findings.push(Check::ExecutableStack.failure(Some(path), "it asks for an executable stack"));
        }
        // A shim that needs its own name forwards to the system's library.
        let file_name = path.rsplit('/').next().unwrap_or_default();
        if let Some(name) = [Some(file_name), elf.name()]
            .into_iter()
            .flatten()
            .find(|name| policy::is_system_library(name) && !elf.needed().any(|needed| needed == *name))
        {
            findings.push(
                Check::SystemLibrary.failure(Some(path), format!("it is the system's `{}`", printable(name))),
            );
        }
        if let Some((_, abi)) = extension_parts(path)
            && !tag.abi().split('.').any(|promised| promised == abi)
        {
            let what = format!("it is compiled for `{abi}`, but the wheel's tag is for `{}`", tag.abi());
            findings.push(Check::Interpreter.failure(Some(path), what));
        }
        // Files of the package itself may have been linked elsewhere, and may have good reasons for their run paths.
        if elf.runpath.is_some() && path.split('/').any(|part| part == BUNDLE) {
            let what = "its run path is a RUNPATH, which is searched after `LD_LIBRARY_PATH`";
            findings.push(Check::RunPath.failure(Some(path), what));
        }
        check_run_path(path, *elf, findings);
        libraries.check_needed(path, *elf, findings);
    }
}

/// The platforms of a tag.
fn platforms(tag: &Tag, findings: &mut Vec<Finding>) -> Vec<Platform> {
    let mut platforms = Vec::new();
    for name in tag.platform().split('.') {
        match name.parse() {
            Ok(platform) => platforms.push(platform),
            Err(_) => findings.push(Check::Symbols.failure(
                None,
                format!("the wheel has machine code, but its platform `{name}` promises no manylinux system"),
            )),
        }
    }
    platforms
}

impl<'a> Libraries<'a> {
    pub(crate) fn new(files: impl Iterator<Item = (&'a WheelPath, &'a Elf)> + Clone) -> Self {
        let own = |(path, elf): (&'a WheelPath, &'a Elf)| elf.name().into_iter().chain([path.file_name()]);
        Self {
            names: files.clone().flat_map(own).collect(),
            files: files.map(|(path, elf)| (path.as_str(), elf)).collect(),
            given: BTreeSet::new(),
        }
    }

    /// With the files of another wheel, which is installed in the same directory.
    fn with(mut self, given: &'a BTreeMap<WheelPath, Elf>) -> Self {
        let own = |(path, elf): (&'a WheelPath, &'a Elf)| elf.name().into_iter().chain([path.file_name()]);
        self.names.extend(given.iter().flat_map(own));
        self.given.extend(given.keys().map(WheelPath::as_str));
        self
    }

    /// What the files ask of the system's libraries.
    pub(crate) fn asked_of_system(&self) -> impl Iterator<Item = (&'a Path, &'a VersionNeed)> {
        let from_system = |need: &&VersionNeed| !self.names.contains(need.library.as_str());
        self.files.iter().flat_map(move |(path, elf)| {
            elf.demands().filter(from_system).map(|need| (Path::new(*path), need))
        })
    }

    /// The files that one of them is linked to, where the loader will look for them.
    pub(crate) fn linked_to(&self, path: &str, file: &impl Binary) -> BTreeSet<&'a str> {
        file.needed().filter_map(|needed| self.found(path, file, needed)).collect()
    }

    /// The file that the loader takes for what another one needs.
    fn found(&self, path: &str, file: &impl Binary, needed: &str) -> Option<&'a str> {
        let candidates = file.candidates(directory_of(path), needed);
        candidates.iter().find_map(|candidate| {
            let path = candidate.to_str()?;
            self.files.get_key_value(path).map(|(path, _)| path).or_else(|| self.given.get(path)).copied()
        })
    }

    /// Checks machine and symbol versions.
    fn check_platform(&self, platform: Platform, findings: &mut Vec<Finding>) {
        for (path, elf) in &self.files {
            if elf.machine != platform.machine {
                let what = format!("it is for {}, but the wheel is for {}", elf.machine, platform.machine);
                findings.push(Check::Machine.failure(Some(path), what));
            }
        }
        match policy::check(platform, self.asked_of_system()) {
            Ok(()) => {}
            Err(PolicyError::TooNew { demands, .. }) => {
                for demand in demands {
                    let what = format!(
                        "it needs `{}` of `{}`, which `{platform}` does not provide",
                        printable(&demand.need.version),
                        printable(&demand.need.library)
                    );
                    findings.push(Check::Symbols.failure(demand.file.to_str(), what));
                }
            }
            Err(other) => findings.push(Check::Symbols.failure(None, other.to_string())),
        }
    }

    /// Checks that each needed library is found where the loader will look.
    fn check_needed(&self, path: &str, file: &impl Binary, findings: &mut Vec<Finding>) {
        for needed in file.needed() {
            let beside = directory_of(path).join(needed);
            let name = printable(needed);
            if needed.contains('/') {
                findings.push(
                    Check::Needed.failure(Some(path), format!("it needs a library by a path: `{name}`")),
                );
            } else if self.found(path, file, needed).is_some() {
                // Found, whatever the name.
            } else if policy::is_system_library(needed) {
                // The audit has asked for its symbols.
            } else if beside.to_str().is_some_and(|beside| self.files.contains_key(beside)) {
                let what = format!(
                    "it needs `{name}` from its own directory, but has no run path, so it is found only if it was loaded before"
                );
                findings.push(Check::Needed.warning(Some(path), what));
            } else if self.names.contains(needed) {
                let what =
                    format!("it needs `{name}`, which is in the wheel, but in no directory of its run path");
                findings.push(Check::Needed.failure(Some(path), what));
            } else {
                let what =
                    format!("it needs `{name}`, which is neither in the wheel nor promised by the platform");
                findings.push(Check::Needed.failure(Some(path), what));
            }
        }
    }
}

fn directory_of(path: &str) -> &Path {
    Path::new(path).parent().unwrap_or(Path::new(""))
}

/// Checks that the run path of a file stays in the wheel. The format's rules are shared with the writer.
fn check_run_path<B: Binary>(path: &str, file: &B, findings: &mut Vec<Finding>) {
    for entry in file.run_path() {
        if B::resolve_in_tree(directory_of(path), entry).is_none() {
            let what =
                format!("its run path `{}` does not lead from `$ORIGIN` into the wheel", printable(entry));
            findings.push(Check::RunPath.failure(Some(path), what));
        }
    }
}
