//! Compiled modules of the package, which determine the Python tag of the wheel.

use std::collections::{BTreeMap, BTreeSet};

use super::{PackageFile, ProjectError};

/// The CPythons that can import every compiled module among the files, as in `cp311`; `None` when any can.
pub(super) fn abis(files: &[PackageFile]) -> Result<Option<BTreeSet<String>>, ProjectError> {
    let mut modules: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let Some((module, abi)) = parts(&file.name) else { continue };
        let version: Option<u32> = abi.strip_prefix("cp3").and_then(|minor| minor.parse().ok());
        if version.is_none_or(|minor| minor < 10) {
            return Err(ProjectError::ExtensionModule {
                path: file.path.clone(),
                reason: "jnumpy runs in CPython 3.10 and later, in its usual build",
            });
        }
        modules.entry(module).or_default().insert(abi);
    }
    let common = modules.values().cloned().reduce(|one, other| &one & &other);
    match (common, files.iter().find(|file| parts(&file.name).is_some())) {
        (Some(common), Some(file)) if common.is_empty() => Err(ProjectError::ExtensionModule {
            path: file.path.clone(),
            reason: "the compiled modules of the package are for different versions of CPython",
        }),
        (common, _) => Ok(common),
    }
}

/// The module of a file such as `sub/helper.cpython-311-x86_64-linux-gnu.so`, and its interpreter: `sub/helper`, `cp311`.
pub(crate) fn parts(name: &str) -> Option<(&str, String)> {
    let (module, tag) = name.strip_suffix(".so")?.rsplit_once(".cpython-")?;
    // CPython of another system does not read it, nor does this one's.
    let (version, system) = tag.split_once('-').unwrap_or((tag, "linux"));
    system.contains("linux").then(|| (module, format!("cp{version}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<Option<Vec<String>>, String> {
        let file = |name: &&str| PackageFile { name: (*name).into(), path: name.into(), executable: false };
        let files: Vec<_> = names.iter().map(file).collect();
        let found = abis(&files).map_err(|error| error.to_string())?;
        Ok(found.map(|found| found.into_iter().collect()))
    }

    #[test]
    fn ok_what_all_modules_are_for() {
        let (one, two) = ("a.cpython-311-x86_64-linux-gnu.so", "a.cpython-312-x86_64-linux-gnu.so");
        assert_eq!(of(&["a.py", "lib.so", "b.abi3.so", "c.cpython-311-darwin.so"]), Ok(None));
        assert_eq!(of(&[one, "d/b.cpython-311.so"]), Ok(Some(vec!["cp311".into()])));
        assert_eq!(of(&[one, two]), Ok(Some(vec!["cp311".into(), "cp312".into()])));
        assert_eq!(of(&[one, two, "b.cpython-312-x86_64-linux-gnu.so"]), Ok(Some(vec!["cp312".into()])));
    }

    #[test]
    fn err_what_no_python_can_import() {
        for (names, word) in [
            (
                ["a.cpython-311-x86_64-linux-gnu.so", "b.cpython-312-x86_64-linux-gnu.so"],
                "different versions of CPython",
            ),
            (["a.cpython-39-x86_64-linux-gnu.so", "b.py"], "3.10 and later"),
            (["a.cpython-313t-x86_64-linux-gnu.so", "b.py"], "usual build"),
        ] {
            let error = of(&names).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
