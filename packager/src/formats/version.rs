//! A Julia version, as `VERSION` prints it.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use semver::BuildMetadata;

/// A semantic version, perhaps a prerelease (`1.12.0-rc1`). Build metadata (`+…`) tells nothing about compatibility and
/// is not kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(semver::Version);

/// A text that is no version of Julia.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a Julia version: `{0}`")]
pub struct InvalidVersion(String);

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut version: semver::Version = text.parse().map_err(|_| InvalidVersion(text.into()))?;
        version.build = BuildMetadata::EMPTY;
        Ok(Self(version))
    }
}

impl Deref for Version {
    type Target = semver::Version;

    fn deref(&self) -> &semver::Version {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
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
            "18446744073709551616.0.0",
        ] {
            let error = text.parse::<Version>().unwrap_err();
            assert_eq!(error.to_string(), format!("not a Julia version: `{text}`"));
        }
    }
}
