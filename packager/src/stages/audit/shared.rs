//! Checks a wheel that runs on the Julia of another one against that one.

use std::collections::BTreeMap;
use std::path::Path;

use super::finding::{Check, Finding};
use super::{Archive, AuditError, Entry, Examined};
use crate::formats::contract::{BUNDLE, DESCRIPTION};
use crate::stages::bundle::{Description, JuliaPart};
use crate::stages::julia_wheel::requirement;
use jnumpy_base::path::file_name;
use jnumpy_base::text::printable;
use jnumpy_elf::Elf;
use jnumpy_wheel::{METADATA, ReadMetadata, WheelName, WheelPath};

/// Compares what the wheel says of its Julia with the wheel that has it. Returns the ELF files of that one.
pub(super) fn check(
    archive: &Archive,
    files: &BTreeMap<WheelPath, Examined>,
    julia_wheel: Option<&Path>,
    findings: &mut Vec<Finding>,
) -> Result<BTreeMap<WheelPath, Elf>, AuditError> {
    let mut fail = |file: Option<&str>, what: String| findings.push(Check::SharedJulia.failure(file, what));
    let mut own = None;
    if let Some(entry) = described(archive) {
        match description(archive, entry)? {
            Ok(read) => own = read.shared.map(|shared| (&entry.path, read.julia, shared)),
            Err(reason) => {
                fail(Some(entry.path.as_str()), format!("it cannot be read: {}", printable(&reason)));
            }
        }
    }
    let (path, julia, shared) = match (own, julia_wheel) {
        (Some(own), Some(_)) => own,
        (Some((path, _, shared)), None) => {
            let what = format!(
                "its Julia is in another wheel, `{}`, which was not named with `--julia-wheel`",
                printable(&shared.requirement)
            );
            fail(Some(path.as_str()), what);
            return Ok(BTreeMap::new());
        }
        (None, Some(_)) => {
            fail(None, "it does not use the Julia of another wheel, but `--julia-wheel` names one".into());
            return Ok(BTreeMap::new());
        }
        (None, None) => return Ok(BTreeMap::new()),
    };
    let julia_wheel = julia_wheel.unwrap_or(Path::new(""));
    let mut of_the_other = Vec::new();
    let other = Archive::open(julia_wheel, &mut of_the_other)?;
    let name = printable(&file_name(julia_wheel));
    if !of_the_other.is_empty() {
        fail(None, format!("the wheel with its Julia, `{name}`, does not pass an audit itself"));
    }
    let found = file_name(julia_wheel)
        .parse::<WheelName>()
        .map(|name| requirement(name.distribution().as_ref(), &name.version().to_string()));
    if found.map_or(true, |found| found != shared.requirement) {
        let what =
            format!("it requires `{}`, but the wheel of Julia is `{name}`", printable(&shared.requirement));
        fail(Some(path.as_str()), what);
    }
    let metadata = files.iter().find(|(path, _)| path.as_str().ends_with(&format!(".dist-info/{METADATA}")));
    let read = metadata.and_then(|(_, file)| ReadMetadata::read(file.description.as_deref()?).ok());
    if !read.is_some_and(|read| read.all("Requires-Dist").any(|found| is_same(found, &shared.requirement))) {
        let what = format!("there is no `Requires-Dist: {}`", printable(&shared.requirement));
        fail(metadata.map(|(path, _)| path.as_str()), what);
    }
    let given =
        described(&other).map(|entry| Ok::<_, AuditError>((&entry.path, description(&other, entry)?)));
    match given.transpose()? {
        Some((at, Ok(given)))
            if at.as_str() == format!("{}/{BUNDLE}/{DESCRIPTION}", shared.package)
                && given.julia.build.is_some()
                && (&given.julia.version, &given.julia.build) == (&julia.version, &julia.build) => {}
        Some((_, Ok(given))) => {
            let what = format!("it was made for {}, but `{name}` has {}", words(&julia), words(&given.julia));
            fail(Some(path.as_str()), what);
        }
        Some((_, Err(_))) | None => fail(None, format!("`{name}` is not a wheel of Julia")),
    }
    let mut elves = BTreeMap::new();
    other.look_at_all(
        |entry| Ok(other.read(entry)?.ok().and_then(|bytes| Elf::parse(&bytes).ok())),
        |entry, elf| elves.extend(elf.map(|elf| (entry.path.clone(), elf))),
    )?;
    Ok(elves)
}

/// A Julia, and what tells it from others of its version.
fn words(julia: &JuliaPart) -> String {
    let build = julia.build.as_deref().unwrap_or("none");
    format!("Julia {}, build {}", printable(&julia.version), printable(build.get(..12).unwrap_or(build)))
}

/// Whether a requirement is this one, however it is written.
fn is_same(found: &str, requirement: &str) -> bool {
    let parse = |text: &str| text.parse::<pep508_rs::Requirement>().ok();
    parse(found).is_some_and(|found| Some(found) == parse(requirement))
}

/// What describes the bundle of a wheel.
fn described(archive: &Archive) -> Option<&Entry> {
    let suffix = format!("/{BUNDLE}/{DESCRIPTION}");
    let is_description =
        |path: &WheelPath| path.as_str().strip_suffix(&suffix).is_some_and(|package| !package.contains('/'));
    archive.entries.iter().find(|entry| is_description(&entry.path))
}

/// What it says, or why it cannot be read.
fn description(archive: &Archive, entry: &Entry) -> std::io::Result<Result<Description, String>> {
    Ok(match archive.read(entry)? {
        Ok(bytes) => Description::read(&bytes),
        Err(reason) => Err(reason.to_owned()),
    })
}
