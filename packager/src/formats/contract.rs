//! What the runtime reads of what the packager writes. The values stand in `manifests/contract.toml`, which every side is
//! compared with.

/// Begins the path of every build tree, whatever `TMPDIR` says: the path is a part of the image.
pub const BUILD_TREE: &str = "/tmp/jnumpy-";

/// The directory of the sources in a build tree. Julia writes its path into the image, and the runtime writes the path of
/// the installed package over it, in the same length: the name is long so that there is room.
pub const SOURCES: &str = concat!(
    "______________________________________________________________________",
    "______________________________________________________________________",
    "______________________________________________________________________",
    "________________"
);

/// The directory of a bundle, which packing adds to a package.
pub const BUNDLE: &str = "_jnumpy";

/// The file in it that describes the rest.
pub const DESCRIPTION: &str = "bundle.json";

/// Number of the layout of `bundle.json`; the runtime refuses another one.
pub const BUNDLE_FORMAT: u32 = 4;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The file with the values.
    pub(crate) fn contract() -> toml::Table {
        include_str!("../../../manifests/contract.toml").parse().unwrap()
    }

    #[test]
    fn ok_the_constants_are_those_of_the_file() {
        let contract = contract();
        let build_tree = &contract["build-tree"];
        assert_eq!(build_tree["prefix"].as_str(), Some(BUILD_TREE));
        let length = usize::try_from(build_tree["length"].as_integer().unwrap()).unwrap();
        assert_eq!(build_tree["sources"].as_str().unwrap().repeat(length), SOURCES);
        assert_eq!(contract["bundle"]["format"].as_integer(), Some(BUNDLE_FORMAT.into()));
    }
}
