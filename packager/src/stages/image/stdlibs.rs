//! Which of Julia's standard libraries an image needs: those that the project, its dependencies, and TyPython name in
//! their `[deps]`, all that these need, and a few that Julia's base takes for granted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::ImageError;
use crate::formats::Uuid;
use crate::stages::depot::{Resolution, Source};
use crate::stages::julia::Julia;
use crate::stages::project::{Project, ProjectToml};

/// The standard libraries that Julia's base needs, and why. In a version without one of these, its code is in the base.
const ALWAYS: [(&str, &str); 3] = [
    ("Logging", "prints log messages as Julia does"),
    ("Random", "provides `rand` and `randn`, which Julia code calls without naming the library"),
    ("Sockets", "is needed if a standard stream is a socket"),
];

/// The standard libraries of one image, and those that it does without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StandardLibraries {
    /// Those in the image: by name, why.
    pub inside: BTreeMap<String, String>,
    /// Those that stay out.
    pub left_out: BTreeSet<String>,
}

impl StandardLibraries {
    /// Those that a project needs.
    pub(super) fn used(
        project: &Project,
        resolution: &Resolution,
        julia: &Julia,
    ) -> Result<Self, ImageError> {
        let mut known = BTreeMap::new();
        let root = julia.prefix.join(&julia.layout.stdlib);
        for entry in fs_err::read_dir(&root)? {
            let path = entry?.path().join("Project.toml");
            if path.is_file() {
                let project = ProjectToml::read(&path)?;
                known.insert(project.name, project.deps.into_keys().collect());
            }
        }
        let mut asked = Vec::new();
        let is_standard = |uuid: &Uuid| {
            let package = resolution.packages.get(uuid);
            package.is_some_and(|package| package.source == Source::StandardLibrary)
        };
        let mut ask = |deps: &BTreeMap<String, Uuid>, by: &str| {
            let standard = deps.iter().filter(|(_, uuid)| is_standard(uuid));
            asked.extend(standard.map(|(name, _)| (name.clone(), by.to_owned())));
        };
        ask(&project.julia.deps, "the project depends on it");
        for package in
            resolution.packages.values().filter(|package| package.source != Source::StandardLibrary)
        {
            ask(&package.deps, &format!("`{}` depends on it", package.name));
        }
        Ok(Self::of(asked, &known))
    }

    /// Follows what is asked for, with the reasons, through what each one of the known depends on.
    fn of(asked: Vec<(String, String)>, known: &BTreeMap<String, BTreeSet<String>>) -> Self {
        let mut inside = BTreeMap::new();
        let always = ALWAYS.iter().map(|(name, reason)| ((*name).to_owned(), format!("it {reason}")));
        let mut waiting: std::collections::VecDeque<_> = asked.into_iter().chain(always).collect();
        while let Some((name, because)) = waiting.pop_front() {
            let Some(deps) = known.get(&name).filter(|_| !inside.contains_key(&name)) else { continue };
            waiting.extend(deps.iter().map(|dep| (dep.clone(), format!("`{name}` depends on it"))));
            inside.insert(name, because);
        }
        let left_out = known.keys().filter(|name| !inside.contains_key(*name)).cloned().collect();
        Self { inside, left_out }
    }

    /// The source that a wheel has of one that it does without: whoever asks for it is told what to do.
    #[must_use]
    pub fn refusal(name: &str) -> String {
        format!(
            "error(\n    \"the standard library `{name}` is not in the wheel that has started Julia: no package of its project \
             depends on \",\n    \"it; add it to `[deps]` of the package that needs it, or pack that wheel with `--stdlibs \
             all`\",\n)\n"
        )
    }

    /// The one that is left out and has this source file, relative to the directory of all of them.
    #[must_use]
    pub fn named(&self, path: &Path) -> Option<&str> {
        let name = path.components().next()?.as_os_str().to_str()?;
        let name = self.left_out.get(name)?;
        (path == Path::new(name).join("src").join(format!("{name}.jl"))).then_some(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> BTreeMap<String, BTreeSet<String>> {
        let libraries: [(&str, &[&str]); 7] = [
            ("Dates", &["Printf"]),
            ("Pkg", &["Dates", "LibGit2"]),
            ("LibGit2", &["Printf"]),
            ("Printf", &["Unicode"]),
            ("Random", &["Serialization"]),
            ("Serialization", &[]),
            ("Unicode", &[]),
        ];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        libraries.iter().map(|(name, deps)| ((*name).to_owned(), names(deps))).collect()
    }

    #[test]
    fn ok_all_that_is_needed_and_why() {
        let asked = vec![
            ("Dates".to_owned(), "the project depends on it".to_owned()),
            ("Dates".to_owned(), "`TyPython` depends on it".to_owned()),
        ];
        let libraries = StandardLibraries::of(asked, &known());
        let inside: Vec<(&str, &str)> =
            libraries.inside.iter().map(|(name, why)| (name.as_str(), why.as_str())).collect();
        assert_eq!(
            inside,
            [
                ("Dates", "the project depends on it"),
                ("Printf", "`Dates` depends on it"),
                (
                    "Random",
                    "it provides `rand` and `randn`, which Julia code calls without naming the library"
                ),
                ("Serialization", "`Random` depends on it"),
                ("Unicode", "`Printf` depends on it"),
            ]
        );
        assert_eq!(libraries.left_out.iter().map(String::as_str).collect::<Vec<_>>(), ["LibGit2", "Pkg"]);
    }

    #[test]
    fn ok_the_source_of_one_that_is_left_out() {
        let libraries = StandardLibraries::of(Vec::new(), &known());
        assert_eq!(libraries.named(Path::new("Pkg/src/Pkg.jl")), Some("Pkg"));
        for path in ["Pkg/src/Types.jl", "Pkg/Project.toml", "Random/src/Random.jl", "Other/src/Other.jl", ""]
        {
            assert_eq!(libraries.named(Path::new(path)), None, "{path}");
        }
        assert!(
            StandardLibraries::refusal("Pkg").starts_with("error(\n    \"the standard library `Pkg` is not")
        );
    }
}
