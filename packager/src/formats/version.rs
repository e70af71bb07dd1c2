//! A Julia version, as `VERSION` prints it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// `major.minor.patch`, perhaps with a prerelease (`1.12.0-rc1`). Build metadata (`+…`) tells nothing about
/// compatibility and is not kept. The order is that of semantic versioning: a prerelease comes before its release.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number: sysimages, package images and manifests are tied to it.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
    /// What follows the dash: `rc1`, `DEV.123`.
    pub prerelease: Option<String>,
}

/// A text that is no version of Julia.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a Julia version: `{0}`")]
pub struct InvalidVersion(String);

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || InvalidVersion(text.into());
        let without_build = text.split_once('+').map_or(text, |(version, _)| version);
        let (numbers, prerelease) = match without_build.split_once('-') {
            Some((numbers, prerelease)) => (numbers, Some(prerelease)),
            None => (without_build, None),
        };
        if prerelease.is_some_and(|text| text.is_empty() || text.chars().any(|c| !is_identifier(c))) {
            return Err(bad());
        }
        let mut parts = numbers.split('.').map(number);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self { major, minor, patch, prerelease: prerelease.map(String::from) })
            }
            _ => Err(bad()),
        }
    }
}

fn is_identifier(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '.' || character == '-'
}

/// Plain digits only: `u32::from_str` would also take `+1`.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.prerelease.as_ref().map_or(Ok(()), |prerelease| write!(f, "-{prerelease}"))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch).cmp(&(other.major, other.minor, other.patch)).then_with(
            || match (&self.prerelease, &other.prerelease) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(one), Some(two)) => {
                    one.split('.').map(Identifier::new).cmp(two.split('.').map(Identifier::new))
                }
            },
        )
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One dot-separated part of a prerelease: numbers by value, and before any word.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u32),
    Word(&'a str),
}

impl<'a> Identifier<'a> {
    fn new(text: &'a str) -> Self {
        number(text).map_or(Self::Word(text), Self::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_round_trip() {
        for text in ["1.5.3", "1.12.0-rc1", "1.11.0-DEV.1234", "10.20.30"] {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), text);
        }
        assert_eq!("1.5.3+dfsg-3".parse::<Version>().unwrap().to_string(), "1.5.3");
    }

    #[test]
    fn ok_order() {
        let ascending =
            ["1.5.3", "1.10.0-DEV.9", "1.10.0-DEV.10", "1.10.0-beta1", "1.10.0-rc1", "1.10.0", "1.10.11"];
        let parsed: Vec<Version> = ascending.iter().map(|text| text.parse().unwrap()).collect();
        assert!(parsed.is_sorted_by(|one, two| one < two), "{parsed:?}");
    }

    #[test]
    fn err_other_text() {
        for text in [
            "",
            "1.5",
            "1.5.3.4",
            "1.5.x",
            "v1.5.3",
            "1.+5.3",
            "1..3",
            "1.5.3-",
            "1.5.3-a b",
            "4294967296.0.0",
        ] {
            let error = text.parse::<Version>().unwrap_err();
            assert_eq!(error.to_string(), format!("not a Julia version: `{text}`"));
        }
    }
}
