//! Creates a project from the files of [`TEMPLATE`]. The project packs and passes its own test.

mod error;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pep508_rs::PackageName;

pub use error::ScaffoldError;

use crate::formats::Uuid;

/// The files of a new project: path and text, both with `{{placeholders}}`.
const TEMPLATE: [(&str, &str); 9] = [
    (".gitignore", include_str!("template/gitignore.in")),
    ("README.md", include_str!("template/README.md.in")),
    ("conftest.py", include_str!("template/conftest.py.in")),
    ("precompile.py", include_str!("template/precompile.py.in")),
    ("pyproject.toml", include_str!("template/pyproject.toml.in")),
    ("tests/test_{{package}}.py", include_str!("template/test.py.in")),
    ("{{package}}/Project.toml", include_str!("template/Project.toml.in")),
    ("{{package}}/__init__.py", include_str!("template/init.py.in")),
    ("{{package}}/src/{{module}}.jl", include_str!("template/module.jl.in")),
];

/// Python's keywords: no package can be imported under such a name.
const PYTHON_KEYWORDS: [&str; 32] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
    "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not",
    "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Names that a new package or module would shadow.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Reserved {
    python: Vec<String>,
    julia: Vec<String>,
}

static RESERVED: LazyLock<Reserved> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../manifests/reserved-names.toml"))
        .expect("manifests/reserved-names.toml is valid, as a test checks")
});

/// The names of a new project in Python and in Julia.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Distribution name, for `pip install`: `my-solver`.
    pub distribution: PackageName,
    /// Python package, for `import`: `my_solver`.
    pub package: String,
    /// Julia module: `MySolver`.
    pub module: String,
}

impl Names {
    /// Derives all names from the distribution name.
    pub fn new(name: &str) -> Result<Self, ScaffoldError> {
        let fail = |reason| ScaffoldError::Name { name: jnumpy_base::text::printable(name), reason };
        // The parser lets an empty name pass.
        let parsed = PackageName::new(name.to_owned()).ok().filter(|name| !name.as_ref().is_empty());
        let distribution = parsed.ok_or_else(|| {
            fail("a name consists of letters, digits, `-`, `_`, and `.`, and starts and ends with a letter or digit")
        })?;
        let package = distribution.as_dist_info_name().into_owned();
        let module: String = package.split('_').map(capitalized).collect();
        if package.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(fail("the name of a Python package cannot start with a digit"));
        }
        if PYTHON_KEYWORDS.contains(&package.as_str()) {
            return Err(fail("it is a Python keyword"));
        }
        if RESERVED.python.contains(&package) {
            return Err(fail("it would shadow a Python module of the same name"));
        }
        if RESERVED.julia.iter().any(|reserved| reserved.eq_ignore_ascii_case(&module)) {
            return Err(fail("its Julia module would shadow a module of Julia's standard library"));
        }
        Ok(Self { distribution, package, module })
    }

    fn fill(&self, text: &str, uuid: &Uuid, author: Option<&str>) -> String {
        let authors = author.map(|name| format!("authors = [{{ name = {} }}]\n", toml::Value::from(name)));
        text.replace("{{name}}", self.distribution.as_ref())
            .replace("{{package}}", &self.package)
            .replace("{{module}}", &self.module)
            .replace("{{uuid}}", &uuid.to_string())
            .replace("{{authors}}\n", &format!("{}\n", authors.unwrap_or_default()))
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// Creates the project `<parent>/<distribution>` and returns its directory. Leaves nothing behind on an error.
///
/// # Errors
/// The path exists, or the files cannot be written.
pub fn create(names: &Names, parent: &Path, author: Option<&str>) -> Result<PathBuf, ScaffoldError> {
    let target = parent.join(names.distribution.to_string());
    if target.symlink_metadata().is_ok() {
        return Err(ScaffoldError::Exists { path: target });
    }
    let unfinished = write_files(names, parent, author)?;
    fs_err::rename(unfinished.path().join("project"), &target)?;
    Ok(target)
}

/// Creates the project in an existing directory. Leaves nothing behind on an error.
///
/// # Errors
/// A file or directory of the project exists, or the files cannot be written.
pub fn create_in(names: &Names, directory: &Path, author: Option<&str>) -> Result<(), ScaffoldError> {
    let unfinished = write_files(names, directory, author)?;
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(unfinished.path().join("project"))? {
        let entry = entry?;
        let target = directory.join(entry.file_name());
        if target.symlink_metadata().is_ok() {
            return Err(ScaffoldError::Exists { path: target });
        }
        entries.push((entry.path(), target));
    }
    for (index, (source, target)) in entries.iter().enumerate() {
        if let Err(error) = fs_err::rename(source, target) {
            // Moved back, the files are removed with the temporary directory.
            for (source, target) in &entries[..index] {
                let _ = fs_err::rename(target, source);
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// Writes the files of a project to `project` in a temporary directory in `parent`.
fn write_files(
    names: &Names,
    parent: &Path,
    author: Option<&str>,
) -> Result<tempfile::TempDir, ScaffoldError> {
    let uuid = Uuid::random();
    let unfinished = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempdir_in(parent)
        .map_err(|source| ScaffoldError::Parent { path: parent.to_owned(), source })?;
    let root = unfinished.path().join("project");
    for (path, text) in TEMPLATE {
        let path = root.join(names.fill(path, &uuid, author));
        if let Some(directory) = path.parent() {
            fs_err::create_dir_all(directory)?;
        }
        fs_err::write(&path, names.fill(text, &uuid, author))?;
    }
    Ok(unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::project::Project;

    #[test]
    fn ok_names_follow_from_the_distribution() {
        let names = Names::new("My-fast.Solver2").unwrap();
        assert_eq!(names.distribution.to_string(), "my-fast-solver2");
        assert_eq!(names.package, "my_fast_solver2");
        assert_eq!(names.module, "MyFastSolver2");
    }

    #[test]
    fn err_names() {
        for (name, reason) in [
            ("", "letters, digits"),
            ("a b", "letters, digits"),
            ("../a", "letters, digits"),
            ("-a", "letters, digits"),
            ("é", "letters, digits"),
            ("2d", "start with a digit"),
            ("lambda", "a Python keyword"),
            ("NumPy", "shadow a Python module"),
            ("json", "shadow a Python module"),
            ("pytest", "shadow a Python module"),
            ("linear-algebra", "shadow a module of Julia's standard library"),
            ("main", "shadow a module of Julia's standard library"),
        ] {
            let error = Names::new(name).expect_err(name).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn ok_a_new_project_can_be_loaded() {
        let parent = tempfile::tempdir().unwrap();
        let names = Names::new("my-solver").unwrap();
        let root = create(&names, parent.path(), Some("Ada \"Countess\" Lovelace")).unwrap();
        let project = Project::load(&root).unwrap();
        assert_eq!(project.package_name, "my_solver");
        assert_eq!(project.julia.name, "MySolver");
        for entry in walkdir::WalkDir::new(&root)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
        {
            let text = fs_err::read_to_string(entry.path()).unwrap();
            assert!(
                !text.contains("{{") && !entry.path().to_string_lossy().contains("{{"),
                "{}",
                entry.path().display()
            );
        }
        // Nothing else is left behind.
        assert_eq!(fs_err::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn err_what_is_there_stays() {
        let parent = tempfile::tempdir().unwrap();
        fs_err::write(parent.path().join("taken"), "precious").unwrap();
        let error = create(&Names::new("taken").unwrap(), parent.path(), None).unwrap_err();
        assert!(matches!(error, ScaffoldError::Exists { .. }), "{error}");
        assert_eq!(fs_err::read_to_string(parent.path().join("taken")).unwrap(), "precious");
    }

    #[test]
    fn ok_and_err_in_an_existing_directory() {
        let parent = tempfile::tempdir().unwrap();
        let names = Names::new("mine").unwrap();
        fs_err::write(parent.path().join("notes.txt"), "kept").unwrap();
        create_in(&names, parent.path(), None).unwrap();
        assert_eq!(Project::load(parent.path()).unwrap().package_name, "mine");
        let before = fs_err::read_to_string(parent.path().join("mine/Project.toml")).unwrap();
        let error = create_in(&names, parent.path(), None).unwrap_err();
        assert!(matches!(error, ScaffoldError::Exists { .. }), "{error}");
        assert_eq!(fs_err::read_to_string(parent.path().join("mine/Project.toml")).unwrap(), before);
        let left = fs_err::read_dir(parent.path()).unwrap();
        assert!(
            left.map(Result::unwrap).all(|entry| !entry.file_name().to_string_lossy().starts_with(".tmp-"))
        );
    }

    #[test]
    fn err_no_directory_to_put_it_in() {
        let parent = tempfile::tempdir().unwrap();
        let error = create(&Names::new("a").unwrap(), &parent.path().join("missing"), None).unwrap_err();
        assert!(matches!(error, ScaffoldError::Parent { .. }), "{error}");
    }
}
