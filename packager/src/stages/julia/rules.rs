//! The rules for finding a Julia, which the runtime reads too.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::formats::Version;

const RULES: &str = include_str!("../../../../runtime/python/jnumpy/finder.json");

/// `finder.json` of the runtime; `docs/julia.md` says what each field means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    #[serde(rename = "about")]
    _about: String,
    pub(super) locations: Vec<Location>,
    pub(super) oldest: String,
    pub(super) newest: String,
    pub(super) compiler: Compiler,
    pub(super) installed: Installed,
    pub(super) juliaup: Juliaup,
}

/// Where to look, in order.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Location {
    Variable,
    Default,
    Path,
    Installed,
    Juliaup,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compiler {
    pub(super) library: String,
    since: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Installed {
    pub(super) record: String,
    pub(super) format: u32,
    pub(super) default: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Juliaup {
    pub(super) depot: String,
    pub(super) config: String,
}

static PARSED: LazyLock<Rules> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is part of this program, and a test reads it")]
    serde_json::from_str(RULES).expect("finder.json holds the rules")
});

/// The rules.
pub(super) fn rules() -> &'static Rules {
    &PARSED
}

impl Rules {
    /// Whether a Julia of this version is older than the oldest that works.
    pub(super) fn is_too_old(&self, julia: &Version) -> bool {
        *julia < version(&self.oldest)
    }

    /// Whether a Julia of this version keeps its compiler in a library of its own.
    pub(super) fn has_compiler_library(&self, julia: &Version) -> bool {
        *julia >= version(&self.compiler.since)
    }

    /// Whether this Julia is of a later series than any that was tried.
    pub(super) fn is_untried(&self, julia: &Version) -> bool {
        let newest = version(&format!("{}.0", self.newest));
        (julia.major, julia.minor) > (newest.major, newest.minor)
    }
}

fn version(text: &str) -> Version {
    #[expect(clippy::expect_used, reason = "the file is part of this program, and a test reads it")]
    text.parse().expect("finder.json holds versions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_the_file_is_whole() {
        let rules = rules();
        assert!(rules.is_too_old(&version("1.4.2")) && !rules.is_too_old(&version(&rules.oldest)));
        assert!(rules.is_untried(&version("99.0.0")) && !rules.is_untried(&version(&rules.oldest)));
        assert!(
            rules.has_compiler_library(&version("1.10.0"))
                && !rules.has_compiler_library(&version(&rules.oldest))
        );
    }
}
