//! The rules about files that a wheel does not need, with their reasons, and the project's exceptions.

use std::collections::{BTreeMap, BTreeSet};

use glob::{MatchOptions, Pattern};
use serde::Deserialize;

use super::BundleError;
use super::names::{binary_packages, standard_libraries};
use crate::stages::image::Unused;
use crate::stages::project::Settings;

const RULES: &str = include_str!("../../../../manifests/prune.toml");

/// The placeholder for each standard library in the image.
const STDLIB: &str = "{stdlib}";
/// The placeholder for each standard library that was left out of the image.
const LEFT_OUT: &str = "{left-out}";
/// The placeholder for the processor architecture of this machine and the wheel.
const MACHINE: &str = "{machine}";

/// The rules that apply to one project.
#[derive(Debug, Clone, Default)]
pub struct Prune {
    files: Vec<FileRule>,
    sections: Vec<SectionRule>,
    stand_ins: Vec<StandIn>,
    /// Patterns of `exclude` and `include`, as they are written.
    exclude: Vec<(String, Pattern)>,
    include: Vec<(String, Pattern)>,
    /// Names of all rules, for a hint at a misspelled one.
    names: Vec<String>,
}

#[derive(Debug, Clone)]
struct FileRule {
    name: String,
    patterns: Vec<Pattern>,
    except: Vec<Pattern>,
    reason: String,
}

#[derive(Debug, Clone)]
struct SectionRule {
    name: String,
    image: bool,
    patterns: Vec<Pattern>,
    reason: String,
}

/// A library that a small one can replace.
#[derive(Debug, Clone)]
pub(super) struct StandIn {
    /// The rule's name.
    pub(super) name: String,
    library: Pattern,
    users: Pattern,
    /// What its functions return, if they return.
    pub(super) returns: Option<i32>,
    /// Why it is never called.
    pub(super) reason: String,
}

/// What the rules say of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// No rule is against it.
    In,
    /// A rule is, but `include` has this entry.
    Kept {
        /// The entry of `include`.
        entry: &'a str,
        rule: &'a str,
    },
    /// It stays out.
    Out {
        /// The rule, or the entry of `exclude`.
        rule: &'a str,
        reason: &'a str,
        /// Whether the project says so.
        own: bool,
    },
}

/// What became of the files that rules or the project's settings are about.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    /// What was left out, by path below `_jnumpy`.
    pub left_out: BTreeMap<String, LeftOut>,
    /// What `include` has kept: the entry and the rule, by path.
    pub kept: BTreeMap<String, (String, String)>,
}

/// Why a file was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The rule, or the entry of `exclude`.
    pub rule: String,
    pub reason: String,
    /// Whether the project says so.
    pub own: bool,
    /// Size in bytes.
    pub size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    files: Vec<WrittenFiles>,
    sections: Vec<WrittenSections>,
    stand_ins: Vec<WrittenStandIn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenFiles {
    name: String,
    patterns: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    reason: String,
    #[serde(default)]
    unless: Vec<String>,
    #[serde(default)]
    starts: Vec<String>,
    #[serde(default)]
    only_unused: bool,
}

impl Written {
    fn read() -> Result<Self, BundleError> {
        toml::from_str(RULES).map_err(BundleError::Rules)
    }
}

impl WrittenFiles {
    /// Whether a package that needs the files is among the dependencies.
    fn is_needed(&self, dependencies: &BTreeSet<&str>) -> bool {
        self.unless.iter().any(|package| dependencies.contains(package.as_str()))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSections {
    name: String,
    image: bool,
    #[serde(default)]
    optional: bool,
    patterns: Vec<String>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStandIn {
    name: String,
    library: String,
    users: String,
    #[serde(default)]
    returns: Option<i32>,
    reason: String,
}

/// The standard libraries that an image for this project need not start: whatever needs their files is no dependency.
pub fn unused(settings: &Settings, dependencies: &BTreeSet<&str>) -> Result<Vec<Unused>, BundleError> {
    let written = Written::read()?;
    let rules = written.files.into_iter().filter(|rule| {
        !(rule.starts.is_empty() || settings.include.contains(&rule.name) || rule.is_needed(dependencies))
    });
    Ok(rules.map(|rule| Unused { rule: rule.name, modules: rule.starts }).collect())
}

impl Prune {
    /// The rules that apply to the project when the image is this, starts nothing of the rules in `unused`, and does without
    /// the standard libraries in `left_out`.
    pub fn new(
        settings: &Settings,
        dependencies: &BTreeSet<&str>,
        image: &[u8],
        unused: &[String],
        left_out: &BTreeSet<String>,
    ) -> Result<Self, BundleError> {
        let written = Written::read()?;
        let included = |name: &String| settings.include.contains(name);
        let in_image = binary_packages(image);
        let stdlibs = standard_libraries(image);
        let names: Vec<String> = (written.files.iter().map(|rule| &rule.name))
            .chain(written.sections.iter().map(|rule| &rule.name))
            .chain(written.stand_ins.iter().map(|rule| &rule.name))
            .cloned()
            .collect();
        let optional: Vec<&String> =
            written.sections.iter().filter(|rule| rule.optional).map(|rule| &rule.name).collect();
        let own = |entries: &[String], rules: &dyn Fn(&String) -> bool| {
            let patterns = entries.iter().filter(|entry| !rules(entry));
            patterns
                .map(|entry| Ok((entry.clone(), pattern(entry)?)))
                .collect::<Result<Vec<_>, BundleError>>()
        };
        let exclude = own(&settings.exclude, &|entry| optional.contains(&entry))?;
        let include = own(&settings.include, &|entry| names.contains(entry) && !optional.contains(&entry))?;

        let mut prune = Self { exclude, include, names: names.clone(), ..Self::default() };
        for rule in written.files {
            let is_started = !unused.contains(&rule.name)
                && (rule.only_unused || rule.unless.iter().any(|package| in_image.contains(package)));
            if included(&rule.name) || rule.is_needed(dependencies) || is_started {
                continue;
            }
            let expand = |patterns: &[String]| {
                let expanded = patterns.iter().flat_map(|text| {
                    let text = text.replace(MACHINE, std::env::consts::ARCH);
                    let (mark, names) = if text.contains(STDLIB) {
                        (STDLIB, stdlibs.iter().map(String::as_str).collect())
                    } else if text.contains(LEFT_OUT) {
                        // One that another has brought is there all the same.
                        (LEFT_OUT, left_out.difference(&stdlibs).map(String::as_str).collect())
                    } else {
                        ("", vec![""])
                    };
                    names.into_iter().map(|name| pattern(&text.replace(mark, name))).collect::<Vec<_>>()
                });
                expanded.collect::<Result<Vec<_>, _>>()
            };
            let (patterns, except) = (expand(&rule.patterns)?, expand(&rule.except)?);
            prune.files.push(FileRule { name: rule.name, patterns, except, reason: rule.reason });
        }
        for rule in written.sections {
            if if rule.optional { settings.exclude.contains(&rule.name) } else { !included(&rule.name) } {
                let patterns = rule.patterns.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?;
                let (name, image, reason) = (rule.name, rule.image, rule.reason);
                prune.sections.push(SectionRule { name, image, patterns, reason });
            }
        }
        for rule in written.stand_ins.into_iter().filter(|rule| !included(&rule.name)) {
            let (library, users) = (pattern(&rule.library)?, pattern(&rule.users)?);
            let (name, returns, reason) = (rule.name, rule.returns, rule.reason);
            prune.stand_ins.push(StandIn { name, library, users, returns, reason });
        }
        Ok(prune)
    }

    /// What holds for the file at `path` below `_jnumpy`.
    #[must_use]
    pub fn verdict(&self, path: &str) -> Verdict<'_> {
        if let Some((entry, _)) = self.exclude.iter().find(|(_, pattern)| is_match(pattern, path)) {
            return Verdict::Out { rule: entry, reason: "the project excludes it", own: true };
        }
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| is_match(pattern, path));
        let Some(rule) = self.files.iter().find(|rule| any(&rule.patterns) && !any(&rule.except)) else {
            return Verdict::In;
        };
        match self.include.iter().find(|(_, pattern)| is_match(pattern, path)) {
            Some((entry, _)) => Verdict::Kept { entry, rule: &rule.name },
            None => Verdict::Out { rule: &rule.name, reason: &rule.reason, own: false },
        }
    }

    /// Whether a section goes, of the image or of another library.
    pub(super) fn takes_section(&self, image: bool, name: &str) -> bool {
        self.section_rules(image).any(|rule| rule.patterns.iter().any(|pattern| pattern.matches(name)))
    }

    /// The rules about sections: name and reason.
    pub(super) fn section_reasons(&self, image: bool) -> impl Iterator<Item = (&str, &str)> {
        self.section_rules(image).map(|rule| (rule.name.as_str(), rule.reason.as_str()))
    }

    fn section_rules(&self, image: bool) -> impl Iterator<Item = &SectionRule> {
        self.sections.iter().filter(move |rule| rule.image == image)
    }

    /// The rule by which a library of this name, which these others ask for, is replaced.
    pub(super) fn stand_in<'a>(
        &self,
        library: &str,
        mut users: impl Iterator<Item = &'a str>,
    ) -> Option<&StandIn> {
        let rule = self.stand_ins.iter().find(|rule| rule.library.matches(library))?;
        users.all(|user| rule.users.matches(user)).then_some(rule)
    }

    /// An error for the first entry of `exclude` or `include` that had no effect, because it may be misspelled.
    pub(super) fn check_used(&self, decisions: &Decisions) -> Result<(), BundleError> {
        let unused = |key: &'static str, entry: &str| {
            let nearest = jnumpy_base::text::nearest(entry, &self.names).map(str::to_owned);
            Err(BundleError::Unmatched { key, entry: entry.to_owned(), nearest })
        };
        for (entry, pattern) in &self.exclude {
            if !decisions.left_out.keys().any(|path| is_match(pattern, path)) {
                return unused("exclude", entry);
            }
        }
        for (entry, _) in &self.include {
            if !decisions.kept.values().any(|(kept, _)| kept == entry) {
                return unused("include", entry);
            }
        }
        Ok(())
    }
}

impl Decisions {
    /// Whether a file goes into the wheel; what is decided is remembered.
    pub(super) fn takes(
        &mut self,
        prune: &Prune,
        path: &str,
        size: impl FnOnce() -> std::io::Result<u64>,
    ) -> std::io::Result<bool> {
        match prune.verdict(path) {
            Verdict::In => return Ok(true),
            Verdict::Kept { entry, rule } => {
                self.kept.insert(path.to_owned(), (entry.to_owned(), rule.to_owned()));
                return Ok(true);
            }
            Verdict::Out { rule, reason, own } => {
                let left = LeftOut { rule: rule.to_owned(), reason: reason.to_owned(), own, size: size()? };
                self.left_out.insert(path.to_owned(), left);
            }
        }
        Ok(false)
    }
}

fn is_match(pattern: &Pattern, path: &str) -> bool {
    pattern.matches_with(path, MatchOptions { require_literal_separator: true, ..MatchOptions::new() })
}

fn pattern(text: &str) -> Result<Pattern, BundleError> {
    Pattern::new(text).map_err(|error| BundleError::Pattern { pattern: text.to_owned(), why: error.msg })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &[u8] = b"\0/build/usr/share/julia/stdlib/v1.5/Dates/src/io.jl\0Libdl\0";

    fn with(settings: &Settings, names: &[&str], image: &[u8]) -> Prune {
        Prune::new(settings, &names.iter().copied().collect(), image, &[], &BTreeSet::new()).unwrap()
    }

    fn own(exclude: &[&str], include: &[&str]) -> Settings {
        let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
        Settings { exclude: list(exclude), include: list(include), ..Settings::default() }
    }

    #[test]
    fn ok_every_rule_has_a_name_of_its_own_and_a_reason() {
        let prune = with(&Settings::default(), &[], b"");
        let mut names = prune.names.clone();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), prune.names.len());
        let is_name =
            |name: &String| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(names.iter().all(is_name), "{names:?}");
        assert!(prune.files.iter().all(|rule| !rule.reason.is_empty()));
    }

    #[test]
    fn ok_what_stays_and_what_goes() {
        let prune = with(&Settings::default(), &[], IMAGE);
        for (path, name) in [
            ("julia/share/julia/base/sysimg.jl", "base-sources"),
            ("julia/share/julia/base/compiler/ssair/ir.jl", "base-sources"),
            ("julia/share/julia/stdlib/v1.5/Dates/src/io.jl", "stdlib-sources"),
            ("julia/share/julia/stdlib/v1.5/Dates/test/runtests.jl", "stdlib-tests"),
            (
                "julia/share/julia/stdlib/v1.10/SparseArrays/src/solvers/lib/powerpc64le-linux-gnu.jl",
                "foreign-solvers",
            ),
            ("julia/share/julia/stdlib/v1.5/Pkg/.travis.yml", "stdlib-docs"),
            ("julia/share/julia/stdlib/v1.5/Pkg/README.md", "stdlib-docs"),
            ("depot/packages/Example/aBcDe/test/runtests.jl", "package-tests"),
            ("depot/packages/Example/aBcDe/deps/build.log", "package-tests"),
            ("depot/artifacts/0e64/lib/libx.a", "development-files"),
            ("julia/lib/x86_64-linux-gnu/libcurl-gnutls.so.4.7.0", "downloads"),
            ("julia/lib/x86_64-linux-gnu/julia/libgit2.so", "downloads"),
            ("julia/lib/julia/libccalltest.so", "debug-builds"),
        ] {
            let Verdict::Out { rule, own: false, .. } = prune.verdict(path) else { panic!("{path}") };
            assert_eq!(rule, name, "{path}");
        }
        for path in [
            "julia/share/julia/stdlib/v1.5/Dates/Project.toml",
            "julia/share/julia/stdlib/v1.5/Dates/src/Dates.jl",
            &format!(
                "julia/share/julia/stdlib/v1.10/SparseArrays/src/solvers/lib/{}-linux-gnu.jl",
                std::env::consts::ARCH
            ),
            // Not in this image.
            "julia/share/julia/stdlib/v1.5/Test/src/logging.jl",
            "julia/lib/julia/libjulia-internal.so.1.10",
            "julia/lib/julia/libopenblas64_.so",
            "julia/lib/x86_64-linux-gnu/libLLVM-9.so.1",
            "depot/packages/Example/aBcDe/src/test/x.jl",
            "depot/artifacts/0e64/lib/libx.so",
        ] {
            assert_eq!(prune.verdict(path), Verdict::In, "{path}");
        }
    }

    #[test]
    fn ok_standard_libraries_that_were_left_out() {
        let left_out = ["Dates", "Pkg"].map(str::to_owned).into();
        let with =
            |settings: &Settings| Prune::new(settings, &BTreeSet::new(), IMAGE, &[], &left_out).unwrap();
        let prune = with(&Settings::default());
        for path in ["Pkg/src/Pkg.jl", "Pkg/src/Types.jl", "Pkg/test/pkg.jl", "Pkg/ext/TarDownloader/a.jl"] {
            let verdict = prune.verdict(&format!("julia/share/julia/stdlib/v1.5/{path}"));
            assert!(matches!(verdict, Verdict::Out { rule: "unused-stdlibs", own: false, .. }), "{path}");
        }
        // By this `using` finds what says that it is not there; and `Dates` is in the image nevertheless.
        for path in ["Pkg/Project.toml", "Dates/src/Dates.jl", "Test/src/Test.jl"] {
            assert_eq!(
                prune.verdict(&format!("julia/share/julia/stdlib/v1.5/{path}")),
                Verdict::In,
                "{path}"
            );
        }
        let prune = with(&own(&[], &["unused-stdlibs"]));
        assert_eq!(prune.verdict("julia/share/julia/stdlib/v1.5/Pkg/src/Pkg.jl"), Verdict::In);
    }

    #[test]
    fn ok_a_dependency_or_the_image_keeps_what_it_needs() {
        let settings = Settings::default();
        for prune in [with(&settings, &["Downloads"], b""), with(&settings, &[], b"\0LibCURL_jll\0")] {
            assert_eq!(prune.verdict("julia/lib/julia/libcurl.so.4"), Verdict::In);
            assert_eq!(prune.verdict("julia/share/julia/cert.pem"), Verdict::In);
        }
    }

    #[test]
    fn ok_what_the_image_does_not_start_goes() {
        let (curl, blas) = ("julia/lib/julia/libcurl.so.4", "julia/lib/julia/libopenblas64_.so");
        let image = b"\0LibCURL_jll\0OpenBLAS_jll\0";
        let unused = ["downloads".to_owned(), "blas".to_owned()];
        let prune = |settings: &Settings, dependencies: &[&str], unused: &[String]| {
            Prune::new(settings, &dependencies.iter().copied().collect(), image, unused, &BTreeSet::new())
                .unwrap()
        };
        let settings = Settings::default();
        let all = prune(&settings, &[], &unused);
        let goes = |prune: &Prune, path, name| matches!(prune.verdict(path), Verdict::Out { rule, own: false, .. } if rule == name);
        assert!(goes(&all, curl, "downloads") && goes(&all, blas, "blas"));
        let one = prune(&settings, &[], &unused[..1]);
        assert!(goes(&one, curl, "downloads"));
        assert_eq!(one.verdict(blas), Verdict::In);
        for stays in
            [prune(&settings, &["LinearAlgebra"], &unused), prune(&own(&[], &["blas"]), &[], &unused)]
        {
            assert_eq!(stays.verdict(blas), Verdict::In);
        }
    }

    #[test]
    fn ok_the_project_has_the_last_word() {
        let (docs, tests) = ("julia/share/julia/stdlib/v1.5/Pkg/README.md", "julia/share/julia/test/x.jl");
        let prune = with(
            &own(&["julia/lib/**/libcholmod*", "image-lines"], &["**/README.md", "stdlib-tests"]),
            &[],
            IMAGE,
        );
        assert_eq!(prune.verdict(docs), Verdict::Kept { entry: "**/README.md", rule: "stdlib-docs" });
        assert_eq!(prune.verdict(tests), Verdict::In);
        let out = prune.verdict("julia/lib/julia/libcholmod.so.3");
        assert!(matches!(out, Verdict::Out { rule: "julia/lib/**/libcholmod*", own: true, .. }), "{out:?}");
        assert!(prune.takes_section(true, ".debug_line") && !prune.takes_section(true, ".symtab"));
        let usual = with(&own(&[], &["debug-information", "z3"]), &[], IMAGE);
        assert!(
            !usual.takes_section(true, ".debug_line") && usual.takes_section(true, ".debug_gnu_pubnames")
        );
        assert!(!usual.takes_section(false, ".debug_line"));
        assert!(usual.stand_in("libz3.so.4", ["libLLVM-9.so.1"].into_iter()).is_none());
        let stand_in = |user| prune.stand_in("libz3.so.4", [user].into_iter()).map(|rule| rule.name.as_str());
        assert_eq!((stand_in("libLLVM-9.so.1"), stand_in("libother.so")), (Some("z3"), None));
    }

    #[test]
    fn err_an_entry_that_does_nothing() {
        for (settings, message, nearest) in [
            (
                own(&["lib/nothing*"], &[]),
                "`exclude` of `[tool.jnumpy]` matches nothing: `lib/nothing*`",
                None,
            ),
            (
                own(&[], &["stdlib-test"]),
                "`include` of `[tool.jnumpy]` matches nothing: `stdlib-test`",
                Some("stdlib-tests"),
            ),
            (
                own(&["image-line"], &[]),
                "`exclude` of `[tool.jnumpy]` matches nothing: `image-line`",
                Some("image-lines"),
            ),
        ] {
            let error = with(&settings, &[], IMAGE).check_used(&Decisions::default()).unwrap_err();
            assert_eq!(error.to_string(), message);
            let hint = jnumpy_base::Hint::hint(&error).unwrap();
            assert!(nearest.is_none_or(|name| hint == format!("did you mean `{name}`?")), "{hint}");
        }
        let error =
            Prune::new(&own(&["a***"], &[]), &BTreeSet::new(), b"", &[], &BTreeSet::new()).unwrap_err();
        assert!(
            error.to_string().starts_with("`a***` in `[tool.jnumpy]` is not a valid pattern: "),
            "{error}"
        );
    }
}
