//! Explains why a file is in a bundle or was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::libraries::{Libraries, Location};
use super::{BundleError, Closure, Decisions, Prune};
use crate::formats::contract::{JULIA, in_bundle};
use crate::formats::policy::is_system_library;
use crate::stages::image::StandardLibraries;
use crate::stages::julia::Julia;

/// The reasons for every file of a bundle, for files that were left out, and for libraries of Julia that nothing needs.
#[derive(Debug)]
pub struct Explanations {
    /// The directories of Julia's libraries.
    directories: [PathBuf; 2],
    closure: Closure,
    /// The files of the closure, by their paths below `_jnumpy`.
    locations: BTreeMap<String, PathBuf>,
    /// Second names of libraries, by path below `_jnumpy`: the path of the first.
    shims: BTreeMap<String, String>,
    replaced: BTreeMap<String, String>,
    /// Everything below `_jnumpy`: the path, and who brings it.
    contents: BTreeMap<String, &'static str>,
    sections: Vec<(bool, String, String)>,
    image: String,
    decisions: Decisions,
    /// Those that were chosen for the image; none when it has those of Julia's own.
    stdlibs: StandardLibraries,
}

impl Explanations {
    pub(super) fn new(
        julia: &Julia,
        libraries: &Libraries,
        prune: &Prune,
        decisions: Decisions,
        contents: BTreeMap<String, &'static str>,
        stdlibs: StandardLibraries,
    ) -> Self {
        let below = |path: &Path| format!("{JULIA}/{}", path.to_string_lossy());
        let main = |location: &Location| below(&location.path);
        let locations: BTreeMap<String, PathBuf> =
            libraries.locations.iter().map(|(real, location)| (main(location), real.clone())).collect();
        let shims = libraries
            .locations
            .values()
            .flat_map(|location| location.others.iter().map(move |other| (below(other), main(location))));
        let sections = [false, true].into_iter().flat_map(|image| {
            let rules = prune.section_reasons(image);
            rules.map(move |(name, reason)| (image, name.to_owned(), reason.to_owned()))
        });
        Self {
            directories: [
                julia.prefix.join(julia.layout.libjulia.parent().unwrap_or(Path::new(""))),
                julia.prefix.join(&julia.layout.private_libdir),
            ],
            closure: libraries.closure.clone(),
            shims: shims.collect(),
            replaced: (libraries.replaced.iter())
                .map(|(real, rule)| (main(&libraries.locations[real]), rule.clone()))
                .collect(),
            locations,
            contents,
            sections: sections.collect(),
            image: below(&julia.layout.sysimage),
            decisions,
            stdlibs,
        }
    }

    /// The files that were left out, and those that the project's settings have kept.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Why the files of this name, or at this path below `_jnumpy`, are in the bundle or not; a paragraph for each. If
    /// there is none, `libLLVM` means `libLLVM.so`, `libLLVM-9.so.1`, and whatever else begins so.
    pub fn of(&self, name: &str) -> Result<String, BundleError> {
        let name = name.rsplit_once(&in_bundle("")).map_or(name, |(_, below)| below);
        if let Some(text) = self.standard_library(name) {
            return Ok(text);
        }
        let file_name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut text = self.meant(|path| path == name || file_name(path) == name && !name.contains('/'));
        if text.is_empty() && !name.is_empty() && !name.contains('/') {
            text = self.meant(|path| {
                file_name(path).strip_prefix(name).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
            });
        }
        if text.is_empty()
            && let Some(chain) = self.closure.explain(name)
        {
            let _ = writeln!(text, "{}", chain.join(", needed by "));
        }
        if text.is_empty() && is_system_library(name) {
            let _ = writeln!(
                text,
                "`{name}`: out: every system has it, and a second copy would conflict with it"
            );
        }
        if text.is_empty() && self.directories.iter().any(|directory| directory.join(name).exists()) {
            let _ = writeln!(
                text,
                "`{name}`: out: Julia brings it, but no library in the bundle needs it and nothing in the image names \
                 it; `libraries = [\"{name}\"]` in `[tool.jnumpy]` takes it"
            );
        }
        if text.is_empty() {
            return Err(BundleError::Unexplained { name: name.to_owned() });
        }
        Ok(text)
    }

    fn standard_library(&self, name: &str) -> Option<String> {
        if let Some(because) = self.stdlibs.inside.get(name) {
            return Some(format!("the standard library `{name}`: in the image: {because}\n"));
        }
        self.stdlibs.left_out.contains(name).then(|| {
            format!(
                "the standard library `{name}`: out: no package of the project depends on it; `--stdlibs all` takes it, as \
                 does `[deps]` of a `Project.toml`\n"
            )
        })
    }

    fn meant(&self, is_meant: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        let meant = self.contents.keys().filter(|path| is_meant(path));
        // Why a second name is there follows from what it names.
        let paths: BTreeSet<&String> =
            meant.flat_map(|path| [Some(path), self.shims.get(path)]).flatten().collect();
        for path in paths {
            self.inside(path, &mut text);
        }
        for path in self.decisions.left_out.keys().filter(|path| is_meant(path)) {
            self.outside(path, &mut text);
        }
        text
    }

    /// Writing to a string cannot fail.
    fn inside(&self, path: &str, text: &mut String) {
        if let Some(main) = self.shims.get(path) {
            let _ = writeln!(text, "`{path}`: in: a second name of `{main}`");
            return;
        }
        if let Some(rule) = self.replaced.get(path) {
            let _ = writeln!(text, "`{path}`: in, but replaced by a stub library: rule `{rule}`");
            return;
        }
        match self.locations.get(path) {
            Some(real) => {
                let chain = self.closure.chain(real);
                let because =
                    if chain.len() > 1 { chain[1..].join(", needed by ") } else { "Julia itself".into() };
                let _ = writeln!(text, "`{path}`: in: needed by {because}");
            }
            None => {
                let _ = writeln!(text, "`{path}`: in: {}", self.contents[path]);
            }
        }
        let is_image = path == self.image;
        if is_image || self.locations.contains_key(path) {
            for (_, rule, reason) in self.sections.iter().filter(|(image, ..)| *image == is_image) {
                let _ = writeln!(text, "  without the sections of rule `{rule}`: {reason}");
            }
        }
        if let Some((entry, rule)) = self.decisions.kept.get(path) {
            let _ = writeln!(text, "  kept by `{entry}` in `include`; rule `{rule}` would leave it out");
        }
    }

    fn outside(&self, path: &str, text: &mut String) {
        let left = &self.decisions.left_out[path];
        let by = if left.own { "`exclude`" } else { "rule" };
        let _ = write!(text, "`{path}`: out: {by} `{}`: {}", left.rule, left.reason);
        if !left.own {
            let _ = write!(text, "; `include = [\"{}\"]` in `[tool.jnumpy]` keeps it", left.rule);
        }
        text.push('\n');
    }
}
