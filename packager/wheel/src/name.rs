//! The name of a wheel file: distribution, version, and tag.

use std::fmt;
use std::str::FromStr;

use pep440_rs::Version;
use pep508_rs::PackageName;

use super::error::WheelError;
use super::path::WheelPath;
use super::tag::Tag;
use jnumpy_base::text::printable;

/// The name of a wheel, `<distribution>-<version>-<tag>.whl`, with distribution and version in their normal forms.
/// Names with a build tag are refused, because this packager never writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelName {
    distribution: PackageName,
    version: Version,
    tag: Tag,
}

impl WheelName {
    /// The wheel name for a distribution, version, and tag.
    #[must_use]
    pub fn new(distribution: PackageName, version: Version, tag: Tag) -> Self {
        Self { distribution, version, tag }
    }

    /// The distribution's normalized name.
    #[must_use]
    pub fn distribution(&self) -> &PackageName {
        &self.distribution
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The compatibility tag.
    #[must_use]
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Name of the metadata directory, `<distribution>-<version>.dist-info`.
    pub fn dist_info(&self) -> Result<WheelPath, WheelError> {
        format!("{}-{}.dist-info", self.distribution.as_dist_info_name(), self.version).parse()
    }
}

impl FromStr for WheelName {
    type Err = WheelError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let fail = |reason| WheelError::Name { name: printable(name), reason };
        let stem = name.strip_suffix(".whl").ok_or_else(|| fail("it must end in `.whl`"))?;
        let (distribution, rest) = stem.split_once('-').ok_or_else(|| fail("it must have a version"))?;
        let (version, tag) = rest.split_once('-').ok_or_else(|| fail("it must have a tag"))?;
        let wheel = Self {
            distribution: PackageName::new(distribution.into())
                .map_err(|_| fail("the distribution must be a Python package name"))?,
            version: version.parse().map_err(|_| fail("the version must follow PEP 440"))?,
            tag: tag.parse()?,
        };
        if wheel.to_string() == name {
            Ok(wheel)
        } else {
            Err(fail("distribution and version must be in their normal forms"))
        }
    }
}

impl fmt::Display for WheelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}.whl", self.distribution.as_dist_info_name(), self.version, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::WheelName;

    #[test]
    fn ok_round_trip() {
        for name in [
            "jl_kmeans1d-0.1.0-cp310-abi3-manylinux_2_28_x86_64.whl",
            "jnumpy_runtime-0.1.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "a-1!2.0rc1.post2.dev3+local.4-py3-none-any.whl",
        ] {
            assert_eq!(name.parse::<WheelName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn ok_normalized() {
        let name = WheelName::new(
            pep508_rs::PackageName::new("Jl.Kmeans--1d".into()).unwrap(),
            "01.0-ALPHA1".parse().unwrap(),
            "py3-none-any".parse().unwrap(),
        );
        assert_eq!(name.to_string(), "jl_kmeans_1d-1.0a1-py3-none-any.whl");
        assert_eq!(name.dist_info().unwrap().as_str(), "jl_kmeans_1d-1.0a1.dist-info");
    }

    #[test]
    fn err_malformed() {
        for name in [
            "",
            "a.whl",
            "a-1.whl",
            "a-1-py3-none-any.zip",
            "a-x-py3-none-any.whl",
            "A-1-py3-none-any.whl",
            "a-01-py3-none-any.whl",
            "a-1-1build-py3-none-any.whl",
            "a b-1-py3-none-any.whl",
            "a-1-py3-none.whl",
        ] {
            assert!(name.parse::<WheelName>().is_err(), "{name}");
        }
    }
}
