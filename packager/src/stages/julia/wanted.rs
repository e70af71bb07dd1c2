//! The versions that a user can request: `1.10`, `1.12.2`, `lts`, or `release`.

use std::fmt;
use std::str::FromStr;

use crate::formats::Version;
use jnumpy_base::Hint;

/// Which Julia is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The newest patch of the release with long-term support.
    Lts,
    /// The newest stable version.
    Release,
    /// The newest stable version of a series: `1` or `1.10`.
    Series(u64, Option<u64>),
    /// This version, perhaps a prerelease.
    Exact(Version),
}

impl Wanted {
    /// Whether `version` matches. A series contains no prereleases.
    pub(crate) fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Lts | Self::Release => version.pre.is_empty(),
            Self::Series(major, minor) => {
                version.pre.is_empty()
                    && version.major == *major
                    && minor.is_none_or(|minor| version.minor == minor)
            }
            Self::Exact(exact) => version == exact,
        }
    }
}

impl FromStr for Wanted {
    type Err = InvalidWanted;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || InvalidWanted(text.into());
        match text {
            "lts" => return Ok(Self::Lts),
            "release" => return Ok(Self::Release),
            _ => {}
        }
        if let Ok(version) = text.parse() {
            return Ok(Self::Exact(version));
        }
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().ok_or_else(bad)
        };
        match text.split_once('.') {
            Some((major, minor)) => Ok(Self::Series(number(major)?, Some(number(minor)?))),
            None => Ok(Self::Series(number(text)?, None)),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lts => f.write_str("lts"),
            Self::Release => f.write_str("release"),
            Self::Series(major, None) => write!(f, "{major}"),
            Self::Series(major, Some(minor)) => write!(f, "{major}.{minor}"),
            Self::Exact(version) => write!(f, "{version}"),
        }
    }
}

/// A text that names no version of Julia.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a version of Julia")]
pub struct InvalidWanted(String);

impl Hint for InvalidWanted {
    fn hint(&self) -> Option<String> {
        Some(
            "give `lts`, `release`, a series such as `1.10`, or a version such as `1.12.2`; \
             `jnumpy-pack julia list --available` lists them"
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn err_what_names_no_version() {
        for text in ["", "1.", ".1", "1.10.x", "latest", "v", "1.10.8 ", "-1", "18446744073709551616"] {
            let error = text.parse::<Wanted>().unwrap_err();
            assert!(error.hint().unwrap().contains("`lts`"), "{text}");
        }
    }
}
