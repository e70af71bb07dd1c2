//! A new project: the files of [`TEMPLATE`] with a name filled in. It packs, and passes its own test.

mod error;

use std::path::{Path, PathBuf};

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

/// Words that Python keeps for itself: no package can be imported by such a name.
const PYTHON_KEYWORDS: [&str; 32] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
    "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not",
    "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The names of a new project in Python and in Julia.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The distribution, as `pip install` knows it: `my-solver`.
    pub distribution: PackageName,
    /// The Python package, as `import` knows it: `my_solver`.
    pub package: String,
    /// The Julia module: `MySolver`.
    pub module: String,
}

impl Names {
    /// The names that follow from that of the distribution.
    pub fn new(name: &str) -> Result<Self, ScaffoldError> {
        let fail = |reason| ScaffoldError::Name { name: jnumpy_base::text::printable(name), reason };
        // The parser lets an empty name pass.
        let parsed = PackageName::new(name.to_owned()).ok().filter(|name| !name.as_ref().is_empty());
        let distribution = parsed.ok_or_else(|| {
            fail("a name has letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit")
        })?;
        let package = distribution.as_dist_info_name().into_owned();
        let module: String = package.split('_').map(capitalised).collect();
        if package.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(fail("Python imports no package whose name begins with a digit"));
        }
        if PYTHON_KEYWORDS.contains(&package.as_str()) {
            return Err(fail("it is a word of Python's own"));
        }
        if ["jnumpy", "numpy"].contains(&package.as_str()) {
            return Err(fail("the package would hide the one it needs"));
        }
        if ["Base", "Core", "Main", "TyPython"].contains(&module.as_str()) {
            return Err(fail("Julia has a module of that name which the project needs"));
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

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// Makes the project `<parent>/<distribution>` and returns its directory: whole, or not at all.
///
/// # Errors
/// Something is there already, or the files cannot be written.
pub fn create(names: &Names, parent: &Path, author: Option<&str>) -> Result<PathBuf, ScaffoldError> {
    let target = parent.join(names.distribution.to_string());
    if target.symlink_metadata().is_ok() {
        return Err(ScaffoldError::Exists { path: target });
    }
    let uuid = Uuid::random()?;
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
    fs_err::rename(&root, &target)?;
    Ok(target)
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
            ("2d", "begins with a digit"),
            ("lambda", "word of Python's own"),
            ("NumPy", "hide the one it needs"),
            ("main", "Julia has a module"),
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
    fn err_no_directory_to_put_it_in() {
        let parent = tempfile::tempdir().unwrap();
        let error = create(&Names::new("a").unwrap(), &parent.path().join("missing"), None).unwrap_err();
        assert!(matches!(error, ScaffoldError::Parent { .. }), "{error}");
    }
}
