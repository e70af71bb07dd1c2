//! Paths inside a wheel: relative, and nothing an installer or an index stumbles over.

use std::fmt;
use std::str::FromStr;

use super::error::WheelError;
use jnumpy_base::text::printable;

/// A checked path inside a wheel: UTF-8, relative, `/` between the parts, no part empty, `.` or `..`,
/// no backslash, no control character. Ordered by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WheelPath(String);

impl WheelPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below this one; `below` is checked like a path of its own.
    pub fn join(&self, below: &str) -> Result<Self, WheelError> {
        let below: Self = below.parse()?;
        format!("{}/{}", self.0, below.0).parse()
    }

    /// The last part.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory the file is in; `None` at the wheel's root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// A lower bound of all paths below this one; it is no path of a file itself.
    pub(super) fn before_all_below(&self) -> Self {
        Self(format!("{}/", self.0))
    }

    /// Whether the path lies below the directory `directory`.
    #[must_use]
    pub fn is_below(&self, directory: &Self) -> bool {
        self.0.strip_prefix(&directory.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl FromStr for WheelPath {
    type Err = WheelError;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let reason = if path.is_empty() {
            "it is empty"
        } else if path.starts_with('/') {
            "it is absolute"
        } else if path.len() > usize::from(u16::MAX) {
            "it is longer than 65,535 bytes"
        } else if path.contains('\\') {
            "it contains a backslash"
        } else if path.chars().any(char::is_control) {
            "it contains a control character"
        } else if path.split('/').any(str::is_empty) {
            "it has an empty part"
        } else if path.split('/').any(|part| part == ".." || part == ".") {
            "it has a part `.` or `..`"
        } else {
            return Ok(Self(path.into()));
        };
        Err(WheelError::Path { path: printable(path), reason })
    }
}

impl fmt::Display for WheelPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::WheelPath;

    fn path(text: &str) -> WheelPath {
        text.parse().unwrap()
    }

    #[test]
    fn ok_plain_and_unicode() {
        for text in ["a", "a/b.jl", "größe/…/x", "a b,\"c\"", "a/..b/c.."] {
            assert_eq!(path(text).as_str(), text);
        }
    }

    #[test]
    fn err_unsafe() {
        for text in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "../a",
            "a/..",
            ".",
            "a/./b",
            "a//b",
            "a/",
            "a\\b",
            "a\nb",
            "a\0",
            "\u{9b}31m",
        ] {
            assert!(text.parse::<WheelPath>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn err_is_printable() {
        let error = "a\u{1b}[2Jb".parse::<WheelPath>().unwrap_err().to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
        assert!(error.contains("\\u{1b}"), "{error}");
    }

    #[test]
    fn ok_parts() {
        assert_eq!(path("a/b/c").file_name(), "c");
        assert_eq!(path("a/b/c").parent(), Some(path("a/b")));
        assert_eq!(path("a").parent(), None);
        assert!(path("a/b").is_below(&path("a")));
        assert!(!path("ab/c").is_below(&path("a")));
        assert!(path("a").join("../b").is_err());
    }
}
