//! What of a Julia installation stays out of a wheel: rules with reasons, kept as data.

use glob::{MatchOptions, Pattern};
use serde::Deserialize;

use super::names::binary_packages;
use crate::depot::Resolution;

const RULES: &str = include_str!("../../../manifests/prune.toml");

/// The rules that hold for one project.
#[derive(Debug, Clone, Default)]
pub struct Prune(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    patterns: Vec<Pattern>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Written>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    patterns: Vec<String>,
    reason: String,
    #[serde(default)]
    unless: Vec<String>,
}

impl Prune {
    /// The rules that apply when the project has these dependencies, and the image is this.
    #[must_use]
    pub fn new(resolution: &Resolution, image: &[u8]) -> Self {
        let written = written().unwrap_or_default();
        let in_image = binary_packages(image);
        let is_used = |package: &String| resolution.has(package) || in_image.contains(package);
        let applies = |rule: &Written| !rule.unless.iter().any(is_used);
        Self(written.into_iter().filter(applies).filter_map(|rule| rule.compile().ok()).collect())
    }

    /// Why the file at `path`, relative to Julia's prefix, stays out; `None` when it stays in.
    #[must_use]
    pub fn reason(&self, path: &str) -> Option<&str> {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let rule = self.0.iter().find(|rule| rule.patterns.iter().any(|p| p.matches_with(path, options)))?;
        Some(&rule.reason)
    }
}

impl Written {
    fn compile(self) -> Result<Rule, glob::PatternError> {
        let patterns = self.patterns.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<_, _>>()?;
        Ok(Rule { patterns, reason: self.reason })
    }
}

fn written() -> Result<Vec<Written>, toml::de::Error> {
    toml::from_str::<File>(RULES).map(|file| file.rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::depot::{Package, Source};

    fn with(names: &[&str], image: &[u8]) -> Prune {
        let packages = names.iter().enumerate().map(|(number, name)| {
            let uuid = format!("00000000-0000-0000-0000-{number:012}").parse().unwrap();
            let package = Package::new(name, Source::StandardLibrary);
            (uuid, package)
        });
        Prune::new(&Resolution { packages: packages.collect(), ..Resolution::default() }, image)
    }

    #[test]
    fn ok_every_rule_compiles_and_has_a_reason() {
        for rule in written().unwrap() {
            assert!(!rule.reason.is_empty() && !rule.patterns.is_empty(), "{rule:?}");
            rule.compile().unwrap();
        }
    }

    #[test]
    fn ok_what_stays_and_what_goes() {
        let prune = with(&[], b"\0Libdl\0");
        for path in [
            "share/julia/base/sysimg.jl",
            "share/julia/base/compiler/ssair/ir.jl",
            "share/julia/stdlib/v1.5/Dates/test/runtests.jl",
            "share/julia/stdlib/v1.5/Pkg/.travis.yml",
            "share/julia/stdlib/v1.5/Pkg/README.md",
            "lib/x86_64-linux-gnu/libcurl-gnutls.so.4.7.0",
            "lib/x86_64-linux-gnu/julia/libgit2.so",
            "lib/julia/libssh2.so.1",
            "lib/julia/libccalltest.so",
        ] {
            assert!(prune.reason(path).is_some(), "{path}");
        }
        for path in [
            "share/julia/stdlib/v1.5/Dates/Project.toml",
            "share/julia/stdlib/v1.5/Dates/src/Dates.jl",
            "share/julia/stdlib/v1.5/Test/src/Test.jl",
            "lib/julia/libjulia-internal.so.1.10",
            "lib/julia/libopenblas64_.so",
            "lib/x86_64-linux-gnu/libLLVM-9.so.1",
        ] {
            assert_eq!(prune.reason(path), None, "{path}");
        }
    }

    #[test]
    fn ok_a_dependency_or_the_image_keeps_what_it_needs() {
        for prune in [with(&["Downloads"], b""), with(&[], b"\0LibCURL_jll\0")] {
            assert_eq!(prune.reason("lib/julia/libcurl.so.4"), None);
            assert_eq!(prune.reason("share/julia/cert.pem"), None);
            assert!(prune.reason("share/julia/base/sysimg.jl").is_some());
        }
    }
}
