//! Compatibility tags of wheels.

use std::fmt;
use std::str::FromStr;

use super::error::WheelError;
use jnumpy_base::text::printable;

/// A compatibility tag such as `cp310-abi3-manylinux_2_28_x86_64`. Each part may be a set joined with dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    python: String,
    abi: String,
    platform: String,
}

impl Tag {
    /// The tag of a wheel whose extension uses the limited API of CPython `python`, for example `(3, 10)`. `platform`
    /// is for example `manylinux_2_28_x86_64`.
    pub fn abi3(python: (u32, u32), platform: &str) -> Result<Self, WheelError> {
        format!("cp{}{}-abi3-{platform}", python.0, python.1).parse()
    }

    /// The tag of a wheel with modules that were compiled for these CPythons only, for example `cp311`.
    pub fn cpython<'a>(abis: impl IntoIterator<Item = &'a str>, platform: &str) -> Result<Self, WheelError> {
        let abis = abis.into_iter().collect::<Vec<_>>().join(".");
        format!("{abis}-{abis}-{platform}").parse()
    }

    /// Python tags, for example `cp310`.
    #[must_use]
    pub fn python(&self) -> &str {
        &self.python
    }

    /// ABI tags, for example `abi3`.
    #[must_use]
    pub fn abi(&self) -> &str {
        &self.abi
    }

    /// Platform tags, for example `manylinux_2_28_x86_64`.
    #[must_use]
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// Every single tag of the set, as the WHEEL file lists them.
    #[must_use]
    pub fn expand(&self) -> Vec<Self> {
        let mut tags = Vec::new();
        for python in self.python.split('.') {
            for abi in self.abi.split('.') {
                for platform in self.platform.split('.') {
                    tags.push(Self { python: python.into(), abi: abi.into(), platform: platform.into() });
                }
            }
        }
        tags
    }
}

impl FromStr for Tag {
    type Err = WheelError;

    fn from_str(tag: &str) -> Result<Self, Self::Err> {
        let fail = |reason| WheelError::Tag { tag: printable(tag), reason };
        let parts: Vec<&str> = tag.split('-').collect();
        let [python, abi, platform] = parts[..] else {
            return Err(fail("it must have three parts joined with `-`"));
        };
        let is_word = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        if !parts.iter().all(|part| part.split('.').all(is_word)) {
            return Err(fail("its parts must consist of `a` to `z`, digits, and `_`"));
        }
        Ok(Self { python: python.into(), abi: abi.into(), platform: platform.into() })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.python, self.abi, self.platform)
    }
}

#[cfg(test)]
mod tests {
    use super::Tag;

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn ok_round_trip() {
        for text in [
            "cp310-abi3-manylinux_2_28_x86_64",
            "cp310-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64",
            "py2.py3-none-any",
        ] {
            assert_eq!(tag(text).to_string(), text);
        }
        assert_eq!(
            Tag::abi3((3, 10), "manylinux_2_31_x86_64").unwrap(),
            tag("cp310-abi3-manylinux_2_31_x86_64")
        );
    }

    #[test]
    fn ok_expanded() {
        let tags: Vec<String> = tag("py2.py3-none-any").expand().iter().map(Tag::to_string).collect();
        assert_eq!(tags, ["py2-none-any", "py3-none-any"]);
    }

    #[test]
    fn err_malformed() {
        for text in [
            "",
            "cp310",
            "cp310-abi3",
            "a-b-c-d",
            "cp310--any",
            "cp310-abi3-any.",
            "CP310-abi3-any",
            "a-b-c\n",
        ] {
            assert!(text.parse::<Tag>().is_err(), "{text:?}");
        }
    }
}
