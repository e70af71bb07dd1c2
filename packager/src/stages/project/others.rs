//! Other Python packages and modules of the project: packed if `packages` names them, and never left out silently.

use std::path::{Path, PathBuf};

use super::{PackageFile, ProjectError, Settings, list_files};

/// Directories for the development of a project, which are not packed.
const OWN: [&str; 14] = [
    "benchmark",
    "benchmarks",
    "build",
    "ci",
    "debian",
    "dist",
    "doc",
    "docs",
    "example",
    "examples",
    "htmlcov",
    "test",
    "testing",
    "tests",
];

/// The files of the packages and modules that `packages` names, by their paths in the wheel.
pub(super) fn files(
    root: &Path,
    package_dir: &Path,
    settings: &Settings,
) -> Result<Vec<PackageFile>, ProjectError> {
    let Some(named) = &settings.packages else {
        let others = beside(root, package_dir)?;
        return if others.is_empty() { Ok(Vec::new()) } else { Err(ProjectError::OtherPackages { others }) };
    };
    let mut files = Vec::new();
    for entry in named {
        let path = root.join(entry);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            for file in list_files(&path)? {
                files.push(PackageFile { name: format!("{name}/{}", file.name), ..file });
            }
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "py") {
            files.push(PackageFile { name, path, executable: false });
        } else {
            return Err(ProjectError::NoSuchFile { key: "packages", path });
        }
    }
    files.sort();
    Ok(files)
}

/// Python packages in the directory of the project's package, which one would expect in the wheel.
fn beside(root: &Path, package_dir: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    let parent = package_dir.parent().unwrap_or(root);
    let mut others = Vec::new();
    for entry in fs_err::read_dir(parent)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_own = name.starts_with(['.', '_']) || OWN.contains(&name.as_str());
        if !is_own && fs_err::canonicalize(&path)? != package_dir && path.join("__init__.py").is_file() {
            others.push(path);
        }
    }
    others.sort();
    Ok(others)
}

/// An error when the package is a part of another one, such as `outer.inner`: in the wheel it would be `inner` alone.
pub(super) fn check_top_level(
    root: &Path,
    package_dir: &Path,
    name: &str,
    files: &[PackageFile],
) -> Result<(), ProjectError> {
    let Some(parent) = package_dir.parent().filter(|parent| *parent != root) else { return Ok(()) };
    let outer = parent.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let whole = format!("{outer}.{name}");
    let nested = || ProjectError::Nested { path: package_dir.to_owned(), whole: whole.clone() };
    if parent.join("__init__.py").is_file() {
        return Err(nested());
    }
    // A namespace has no `__init__.py`, and looks like any directory; its parts say how they are imported.
    let is_python = |file: &&PackageFile| file.path.extension().is_some_and(|extension| extension == "py");
    for file in files.iter().filter(is_python) {
        let text = String::from_utf8_lossy(&fs_err::read(&file.path)?).into_owned();
        let imports = |line: &str| {
            let mut words = line.split_whitespace();
            let is_import = matches!(words.next(), Some("from" | "import"));
            let module = words.next().unwrap_or_default().trim_end_matches(',');
            is_import && (module == whole || module.starts_with(&format!("{whole}.")))
        };
        if text.lines().any(imports) {
            return Err(nested());
        }
    }
    Ok(())
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

    fn packages(named: &[&str]) -> Settings {
        Settings { packages: Some(named.iter().map(PathBuf::from).collect()), ..Settings::default() }
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
        let of = |settings: &Settings| files(&root, &root.join("jl_a"), settings);
        let error = of(&Settings::default()).unwrap_err();
        assert!(
            error.to_string().ends_with(
                "other Python packages: `{}/helpers`".replace("{}", root.to_str().unwrap()).as_str()
            )
        );
        let named = of(&packages(&["helpers", "single.py"])).unwrap();
        let paths: Vec<&str> = named.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(paths, ["helpers/__init__.py", "helpers/sub/more.py", "single.py"]);
        assert_eq!(of(&packages(&[])).unwrap(), []);
        let error = of(&packages(&["helper"])).unwrap_err().to_string();
        assert!(error.starts_with("`packages` of `[tool.jnumpy]` names"), "{error}");
    }

    #[test]
    fn err_a_part_of_another_package() {
        let (_directory, root) = project(&[("outer/__init__.py", ""), ("outer/jl_a/__init__.py", "")]);
        let check = |package: &str| {
            let package_dir = root.join(package);
            check_top_level(&root, &package_dir, "jl_a", &list_files(&package_dir).unwrap())
        };
        let error = check("outer/jl_a").unwrap_err().to_string();
        assert!(error.contains("is imported as `outer.jl_a`"), "{error}");
        fs_err::remove_file(root.join("outer/__init__.py")).unwrap();
        check("outer/jl_a").unwrap();
        fs_err::write(root.join("outer/jl_a/more.py"), "from outer.jl_a import f\n").unwrap();
        assert!(check("outer/jl_a").is_err());
    }
}
