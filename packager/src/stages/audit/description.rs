//! Checks what a wheel says of itself: its name, `.dist-info`, METADATA, WHEEL and RECORD.

use std::collections::{BTreeMap, BTreeSet};

use super::Examined;
use super::finding::{Check, Finding};
use jnumpy_base::text::printable;
use jnumpy_wheel::record::{self, RowContent};
use jnumpy_wheel::{METADATA, RECORD, ReadMetadata, Tag, WHEEL, WheelError, WheelName, WheelPath};

/// The newest minor version of core metadata 2 whose fields are known here.
const NEWEST_METADATA: u32 = 5;

/// Checks one file, given its path and bytes.
type Rule<'a> = &'a dyn Fn(&str, &[u8]) -> Result<Vec<Finding>, WheelError>;

/// Checks everything in `.dist-info` against the name and the files.
pub(super) fn check(name: &WheelName, files: &BTreeMap<WheelPath, Examined>, findings: &mut Vec<Finding>) {
    let directory = match name.dist_info() {
        Ok(directory) => directory,
        Err(error) => return findings.push(Check::Name.failure(None, error.to_string())),
    };
    let roots = files.keys().map(|path| path.as_str().split('/').next().unwrap_or_default());
    let others: BTreeSet<&str> =
        roots.filter(|root| root.ends_with(".dist-info") && *root != directory.as_str()).collect();
    for other in others {
        let what = format!("the file name asks for `{directory}`");
        findings.push(Check::Name.failure(Some(other), what));
    }
    let mut check = |file: &str, check: Check, rule: Rule<'_>| {
        let path = format!("{directory}/{file}");
        let bytes = path.parse().ok().and_then(|path: WheelPath| files.get(&path)?.description.as_deref());
        match bytes.map(|bytes| rule(&path, bytes)) {
            Some(Ok(found)) => findings.extend(found),
            Some(Err(error)) => findings.push(check.failure(Some(&path), error.to_string())),
            None => findings.push(check.failure(Some(&path), "it is missing or cannot be read")),
        }
    };
    check(METADATA, Check::Metadata, &|path, bytes| metadata(name, path, bytes));
    check(WHEEL, Check::Metadata, &|path, bytes| wheel(name.tag(), path, bytes));
    check(RECORD, Check::Record, &|path, bytes| record(path, files, bytes));
}

fn metadata(name: &WheelName, path: &str, bytes: &[u8]) -> Result<Vec<Finding>, WheelError> {
    let metadata = ReadMetadata::read(bytes)?;
    let mut findings = Vec::new();
    let mut expect = |field: &str, found: &str, fits: bool| {
        if !fits {
            let what = format!("`{field}: {}` contradicts the file name or the standard", printable(found));
            findings.push(Check::Metadata.failure(Some(path), what));
        }
    };
    let found = metadata.one("Metadata-Version")?;
    let minor = found.strip_prefix("2.").and_then(|minor| minor.parse::<u32>().ok());
    expect("Metadata-Version", found, minor.is_some_and(|minor| minor >= 1));
    let found = metadata.one("Name")?;
    expect(
        "Name",
        found,
        found.parse().is_ok_and(|found: pep508_rs::PackageName| found == *name.distribution()),
    );
    let found = metadata.one("Version")?;
    expect("Version", found, found.parse().is_ok_and(|found: pep440_rs::Version| found == *name.version()));
    for found in metadata.all("Requires-Dist") {
        let requirement = found.parse::<pep508_rs::Requirement>();
        expect("Requires-Dist", found, requirement.is_ok());
    }
    if minor.is_some_and(|minor| minor > NEWEST_METADATA) {
        let what = format!(
            "its version 2.{} is newer than this audit knows: 2.{NEWEST_METADATA}",
            minor.unwrap_or_default()
        );
        findings.push(Check::Metadata.warning(Some(path), what));
    }
    Ok(findings)
}

fn wheel(tag: &Tag, path: &str, bytes: &[u8]) -> Result<Vec<Finding>, WheelError> {
    let wheel = ReadMetadata::read(bytes)?;
    let mut findings = Vec::new();
    for (field, expected) in [("Wheel-Version", "1.0"), ("Root-Is-Purelib", "false")] {
        let found = wheel.one(field)?;
        if found != expected {
            let what = format!("`{field}` is `{}`, not `{expected}`", printable(found));
            findings.push(Check::Metadata.failure(Some(path), what));
        }
    }
    let found: BTreeSet<String> = wheel.all("Tag").map(printable).collect();
    let expected: BTreeSet<String> = tag.expand().iter().map(Tag::to_string).collect();
    for tag in found.symmetric_difference(&expected) {
        let location = if found.contains(tag) { "WHEEL" } else { "the file name" };
        findings.push(Check::Metadata.failure(Some(path), format!("only {location} has the tag `{tag}`")));
    }
    Ok(findings)
}

fn record(
    own: &str,
    files: &BTreeMap<WheelPath, Examined>,
    bytes: &[u8],
) -> Result<Vec<Finding>, WheelError> {
    let mut findings = Vec::new();
    let mut fail = |path: &str, what: &str| findings.push(Check::Record.failure(Some(path), what));
    let mut rows: BTreeMap<String, Option<RowContent>> = BTreeMap::new();
    for row in record::read(bytes)? {
        if rows.contains_key(&row.path) {
            fail(&row.path, "RECORD lists it twice");
        }
        rows.insert(row.path, row.content);
    }
    for (path, examined) in files {
        let is_own = path.as_str() == own;
        match rows.remove(path.as_str()) {
            None => fail(path.as_str(), "RECORD does not list it"),
            Some(None) if is_own => {}
            Some(None) => fail(path.as_str(), "RECORD has no hash of it"),
            Some(Some(_)) if is_own => fail(own, "RECORD has a hash of itself"),
            Some(Some(content)) if content.size != examined.size => {
                fail(path.as_str(), "its size is not the one in RECORD");
            }
            Some(Some(content)) if content.sha256 != examined.sha256 => {
                fail(path.as_str(), "its content does not match its hash in RECORD");
            }
            Some(Some(_)) => {}
        }
    }
    for path in rows.keys() {
        fail(path, "RECORD lists it, but the wheel does not contain it");
    }
    Ok(findings)
}
