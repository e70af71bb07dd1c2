//! Values that the packager writes and the runtime reads. They are listed in `manifests/contract.toml`, with which tests compare
//! both sides.

/// The prefix of the path of every build tree, independent of `TMPDIR`, because images contain the path.
pub const BUILD_TREE: &str = "/tmp/jnumpy-";

/// The directory of the sources in a build tree. Julia writes its path into the image, and the runtime overwrites that path with
/// the path of the installed package. The name is long, so that the installed path fits.
pub const SOURCES: &str = concat!(
    "______________________________________________________________________",
    "______________________________________________________________________",
    "______________________________________________________________________",
    "________________"
);

/// The directory of a bundle, which packing adds to a package.
pub const BUNDLE: &str = "_jnumpy";

/// The Python package in it that is the runtime.
pub const RUNTIME: &str = "jnumpy";
/// The sources of TyPython in it.
pub const TYPYTHON: &str = "jnumpy/julia/TyPython";
/// The depot in it.
pub const DEPOT: &str = "depot";
/// The packages of the depot.
pub const PACKAGES: &str = "depot/packages";
/// The artifacts of the depot.
pub const ARTIFACTS: &str = "depot/artifacts";
/// Julia in it.
pub const JULIA: &str = "julia";

/// The file in it that describes the rest.
pub const DESCRIPTION: &str = "bundle.json";

/// Number of the layout of `bundle.json`; the runtime refuses another one.
pub const BUNDLE_FORMAT: u32 = 4;

/// The path in the package of what is at this path in its bundle.
#[must_use]
pub fn in_bundle(below: &str) -> String {
    format!("{BUNDLE}/{below}")
}

/// The path in the bundle of what is at this path in the package; none for what is outside of the bundle.
#[must_use]
pub fn below_bundle(path: &str) -> Option<&str> {
    below(path, BUNDLE)
}

/// The rest of a path that leads into a directory.
#[must_use]
pub fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    path.strip_prefix(directory)?.strip_prefix('/')
}

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
        assert_eq!(contract["bundle"]["directory"].as_str(), Some(BUNDLE));
        assert_eq!(contract["bundle"]["format"].as_integer(), Some(BUNDLE_FORMAT.into()));
    }
}
