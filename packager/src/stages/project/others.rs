//! Other Python packages and modules of the project: packed if `packages` names them, and never left out silently.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{PackageFile, ProjectError, list_files};

/// Directories and modules that a project has for its own development.
const OWN: [&str; 16] = [
    "benchmark",
    "benchmarks",
    "build",
    "ci",
    "conftest",
    "debian",
    "dist",
    "doc",
    "docs",
    "example",
    "examples",
    "htmlcov",
    "setup",
    "test",
    "testing",
    "tests",
];

/// The package with Julia, as far as it matters here.
pub(super) struct Package<'a> {
    /// The directory of the project.
    pub(super) root: &'a Path,
    /// The directory that the package is imported from.
    pub(super) parent: &'a Path,
    /// The name it is imported by.
    pub(super) name: &'a str,
    /// Its files.
    pub(super) files: &'a [PackageFile],
}

impl Package<'_> {
    /// The files of the packages and modules that the setting `packages` names, by their paths in the wheel.
    pub(super) fn other_files(&self, named: Option<&[PathBuf]>) -> Result<Vec<PackageFile>, ProjectError> {
        let Some(named) = named else {
            let others = self.beside()?;
            if others.is_empty() {
                return Ok(Vec::new());
            }
            let name =
                |path: &PathBuf| path.strip_prefix(self.root).unwrap_or(path).to_string_lossy().into_owned();
            return Err(ProjectError::OtherPackages { names: others.iter().map(name).collect(), others });
        };
        let mut files = Vec::new();
        for entry in named {
            let path = self.root.join(entry);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                for file in list_files(&path)? {
                    files.push(PackageFile { name: format!("{name}/{}", file.name), ..file });
                }
            } else if path.is_file() && module(&path).is_some() {
                files.push(PackageFile { name, path, executable: false });
            } else {
                return Err(ProjectError::NoSuchFile { key: "packages", path });
            }
        }
        files.sort();
        Ok(files)
    }

    /// Packages and modules beside this one, which one would expect in the wheel: what it imports, all packages, and, in a
    /// directory that has nothing else, all modules.
    fn beside(&self) -> Result<Vec<PathBuf>, ProjectError> {
        let imported = self.imported()?;
        let mut others = Vec::new();
        for entry in fs_err::read_dir(self.parent)? {
            let path = entry?.path();
            let Some(name) = module(&path).filter(|name| name != self.name) else { continue };
            let at_top = self.parent == self.root;
            let is_own = OWN.contains(&name.as_str()) || at_top && name.starts_with('_');
            let is_meant = if at_top { path.join("__init__.py").is_file() } else { has_python(&path) };
            if imported.contains(&name) && has_python(&path) || is_meant && !is_own {
                others.push(path);
            }
        }
        others.sort();
        Ok(others)
    }

    /// The first parts of the names of all modules that the package imports.
    fn imported(&self) -> Result<BTreeSet<String>, ProjectError> {
        let mut names = BTreeSet::new();
        for line in self.lines()? {
            let modules = modules(&line).filter_map(|module| module.split('.').next().map(str::to_owned));
            names.extend(modules);
        }
        Ok(names)
    }

    /// An error when the package is a part of another one, such as `outer.inner`: in the wheel it would be `inner` alone.
    pub(super) fn check_top_level(&self) -> Result<(), ProjectError> {
        if self.parent == self.root {
            return Ok(());
        }
        let outer = self.parent.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let whole = format!("{outer}.{}", self.name);
        // A namespace has no `__init__.py`, and looks like any directory; its parts say how they are imported.
        let below = format!("{whole}.");
        let is_part =
            |line: &String| modules(line).any(|module| module == whole || module.starts_with(&below));
        if self.parent.join("__init__.py").is_file() || self.lines()?.iter().any(is_part) {
            return Err(ProjectError::Nested { path: self.parent.join(self.name), whole });
        }
        Ok(())
    }

    /// The lines of the package's Python files.
    fn lines(&self) -> Result<Vec<String>, ProjectError> {
        let mut lines = Vec::new();
        for file in
            self.files.iter().filter(|file| file.path.extension().is_some_and(|extension| extension == "py"))
        {
            let text = String::from_utf8_lossy(&fs_err::read(&file.path)?).into_owned();
            lines.extend(text.lines().map(str::to_owned));
        }
        Ok(lines)
    }
}

/// The modules that a line of Python imports by their full names.
fn modules(line: &str) -> impl Iterator<Item = &str> {
    let (statement, rest) = line.trim_start().split_once(char::is_whitespace).unwrap_or_default();
    let list = match statement {
        "import" => rest,
        "from" => rest.split_whitespace().next().unwrap_or_default(),
        _ => "",
    };
    let names = list.split(',').map(|part| part.split_whitespace().next().unwrap_or_default());
    names.map(|name| name.split([';', '#']).next().unwrap_or_default()).filter(|name| !name.is_empty())
}

/// The name that a file or directory is imported by, as far as its name tells.
fn module(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = match name.split_once('.') {
        None => path.is_dir().then_some(name),
        Some((stem, ending)) => (ending == "py" || ending.ends_with("so")).then_some(stem),
    };
    stem.filter(|stem| jnumpy_base::text::is_identifier(stem) && *stem != "__pycache__").map(str::to_owned)
}

/// Whether Python can import the file, or something in the directory.
fn has_python(path: &Path) -> bool {
    let is_python = |path: &Path| path.extension().is_some_and(|extension| extension == "py");
    path.is_file() || walkdir::WalkDir::new(path).into_iter().flatten().any(|entry| is_python(entry.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(directory.path()).unwrap();
        for (name, text) in files {
            fs_err::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs_err::write(root.join(name), text).unwrap();
        }
        (directory, root)
    }

    /// Does something with the package `jl_a` in `parent`, which is relative to the root.
    fn with<T>(root: &Path, parent: &str, action: impl FnOnce(&Package<'_>) -> T) -> T {
        let parent = root.join(parent);
        let files = list_files(&parent.join("jl_a")).unwrap();
        // `join` of nothing ends in a slash.
        let parent: PathBuf = parent.components().collect();
        action(&Package { root, parent: &parent, name: "jl_a", files: &files })
    }

    /// The hint's names of what is beside the package.
    fn others(root: &Path, parent: &str) -> Vec<String> {
        match with(root, parent, |package| package.other_files(None)) {
            Ok(files) => {
                assert_eq!(files, []);
                Vec::new()
            }
            Err(ProjectError::OtherPackages { names, .. }) => names,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn ok_and_err_packages_beside_the_one_with_julia() {
        let (_directory, root) = project(&[
            ("jl_a/__init__.py", ""),
            ("helpers/__init__.py", ""),
            ("helpers/sub/more.py", ""),
            ("tests/__init__.py", ""),
            ("single.py", ""),
        ]);
        let of = |named: &[&str]| {
            let named: Vec<PathBuf> = named.iter().map(PathBuf::from).collect();
            with(&root, "", |package| package.other_files(Some(&named)))
        };
        assert_eq!(others(&root, ""), ["helpers"]);
        let named = of(&["helpers", "single.py"]).unwrap();
        let paths: Vec<&str> = named.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(paths, ["helpers/__init__.py", "helpers/sub/more.py", "single.py"]);
        assert_eq!(of(&[]).unwrap(), []);
        let error = of(&["helper"]).unwrap_err().to_string();
        assert!(error.starts_with("`packages` of `[tool.jnumpy]` names"), "{error}");
    }

    #[test]
    fn err_what_the_package_imports_is_not_left_out() {
        let (_directory, root) = project(&[
            ("jl_a/__init__.py", "import os, one as first\nfrom tests.two import x\n"),
            (
                "jl_a/sub/more.py",
                "def f():\n    import _three; from jl_a import sub\n    from . import four\n",
            ),
            ("one.py", ""),
            ("tests/two.py", ""),
            ("_three.cpython-311-x86_64-linux-gnu.so", ""),
            ("four.py", ""),
            ("conftest.py", ""),
            ("os/notes.txt", ""),
        ]);
        assert_eq!(others(&root, ""), ["_three.cpython-311-x86_64-linux-gnu.so", "one.py", "tests"]);
    }

    #[test]
    fn err_all_python_in_the_directory_of_sources() {
        let (_directory, root) = project(&[
            ("src/jl_a/__init__.py", ""),
            ("src/one.py", ""),
            ("src/space/part/__init__.py", ""),
            ("src/jl_a.egg-info/PKG-INFO", ""),
            ("src/conftest.py", ""),
            ("src/notes/notes.txt", ""),
            ("two.py", ""),
        ]);
        assert_eq!(others(&root, "src"), ["src/one.py", "src/space"]);
    }

    #[test]
    fn err_a_part_of_another_package() {
        let (_directory, root) = project(&[("outer/__init__.py", ""), ("outer/jl_a/__init__.py", "")]);
        let check = || {
            let package_check = |package: &Package<'_>| -> Result<(), ProjectError> {
                package.check_top_level()?;
                Ok(())
            };
            with(&root, "outer", package_check)
        };
        let error = check().unwrap_err().to_string();
        assert!(error.contains("is imported as `outer.jl_a`"), "{error}");
        fs_err::remove_file(root.join("outer/__init__.py")).unwrap();
        check().unwrap();
        fs_err::write(root.join("outer/jl_a/more.py"), "from outer.jl_a import f\n").unwrap();
        assert!(check().is_err());
    }
}
