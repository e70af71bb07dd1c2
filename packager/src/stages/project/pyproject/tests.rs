use std::error::Error as _;

use super::{KEYS, Pyproject, PyprojectError, TomlFile, nearest};
use jnumpy_base::Hint;
use jnumpy_wheel::{License, ReadMetadata};

const EVERYTHING: &str = r#"
[build-system]
requires = ["jnumpy-pack"]
build-backend = "jnumpy_pack"

[project]
name = "Jl.Kmeans"
dynamic = ["version"]
description = "Clusters numbers"
readme = "README.md"
requires-python = ">=3.10"
license = "MIT"
license-files = ["LICENSE", "third_party/**/COPYING*"]
authors = [{name = "Ada"}, {name = "Bob", email = "bob@example.org"}]
maintainers = [{email = "eve@example.org"}]
keywords = ["k-means", "julia"]
classifiers = ["Programming Language :: Python :: 3"]
dependencies = ["scipy>=1.7"]

[project.urls]
Source = "https://example.org"

[project.scripts]
kmeans = "jl_kmeans.cli:main"

[project.gui-scripts]
kmeans-gui = "jl_kmeans.gui:main"

[project.entry-points."some.group"]
plugin = "jl_kmeans:Plugin"

[project.optional-dependencies]
Plot = ["matplotlib"]

[tool.other]
anything = 1
"#;

/// Reads a project with this `pyproject.toml` and a few files.
fn read(text: &str) -> Result<Pyproject, PyprojectError> {
    let root = tempfile::Builder::new().prefix("a[b]*").tempdir().unwrap();
    fs_err::write(root.path().join("pyproject.toml"), text).unwrap();
    for file in ["README.md", "README.adoc", "LICENSE", "third_party/a/b/COPYING.txt", "third_party/COPYING"]
    {
        let path = root.path().join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, file).unwrap();
    }
    fs_err::write(root.path().join("latin1.txt"), b"\xe4").unwrap();
    let file = TomlFile::read(&root.path().join("pyproject.toml")).unwrap();
    Pyproject::from_file(&file, Some("0.2.0-DEV"))
}

/// Reads a project with name, version and these lines.
fn with(lines: &str) -> Result<Pyproject, PyprojectError> {
    read(&format!("[project]\nname = \"x\"\nversion = \"1\"\n{lines}"))
}

#[test]
fn ok_everything() {
    let project = read(EVERYTHING).unwrap();
    let licenses: Vec<String> = project.licenses.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(licenses, ["LICENSE", "third_party/COPYING", "third_party/a/b/COPYING.txt"]);
    let text = project.metadata.write(project.licenses.iter().map(|(path, _)| path)).unwrap();
    let read = ReadMetadata::read(&text).unwrap();
    let fields: Vec<String> = read.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        fields,
        [
            "Metadata-Version=2.4",
            "Name=Jl.Kmeans",
            "Version=0.2.0.dev0",
            "Summary=Clusters numbers",
            "Keywords=k-means,julia",
            "Author=Ada",
            "Author-email=Bob <bob@example.org>",
            "Maintainer-email=eve@example.org",
            "License-Expression=MIT",
            "License-File=LICENSE",
            "License-File=third_party/COPYING",
            "License-File=third_party/a/b/COPYING.txt",
            "Classifier=Programming Language :: Python :: 3",
            "Project-URL=Source, https://example.org",
            "Requires-Python=>=3.10",
            "Requires-Dist=scipy>=1.7",
            "Requires-Dist=numpy",
            "Provides-Extra=plot",
            "Requires-Dist=matplotlib ; extra == 'plot'",
            "Description-Content-Type=text/markdown",
        ]
    );
    assert_eq!(read.body, "README.md");
    assert_eq!(
        String::from_utf8(project.entry_points.write()).unwrap(),
        "[console_scripts]\nkmeans = jl_kmeans.cli:main\n\n[gui_scripts]\nkmeans-gui = jl_kmeans.gui:main\n\n\
         [some.group]\nplugin = jl_kmeans:Plugin\n"
    );
}

#[test]
fn ok_smallest() {
    let project = with("").unwrap();
    assert_eq!(project.metadata.dependencies.len(), 1);
    assert_eq!(project.licenses.len(), 1, "the license at the root is found unasked");
    assert!(with("dependencies = [\"NumPy<3\"]").unwrap().metadata.dependencies.len() == 1);
}

#[test]
fn ok_old_license_tables() {
    let license = |lines| with(lines).unwrap().metadata.license;
    assert_eq!(license("license = {text = \"mit\"}"), Some(License::Expression("MIT".into())));
    assert_eq!(license("license = {text = \"Ask me\"}"), Some(License::Text("Ask me".into())));
    let project = with("license = {file = \"third_party/COPYING\"}").unwrap();
    assert_eq!(project.licenses.len(), 1);
}

#[test]
fn ok_readme_tables() {
    let readme = |lines| with(lines).unwrap().metadata.readme.unwrap();
    let text = readme("readme = {text = \"hello\", content-type = \"text/x-rst\"}");
    assert_eq!((text.text.as_str(), text.content_type.as_str()), ("hello", "text/x-rst"));
    let content_type = "text/markdown; charset=UTF-8; variant=GFM";
    let file = readme(&format!("readme = {{file = \"README.adoc\", content-type = \"{content_type}\"}}"));
    assert_eq!((file.text.as_str(), file.content_type.as_str()), ("README.adoc", content_type));
}

#[test]
fn err_names_field_and_value() {
    for (lines, field, value) in [
        ("readme = \"MISSING.md\"", "readme", "MISSING.md"),
        ("readme = \"README.adoc\"", "readme", "README.adoc"),
        ("readme = \"latin1.txt\"", "readme", "latin1.txt"),
        ("readme = \"../README.md\"", "readme", "../README.md"),
        ("readme = {text = \"x\", content-type = \"text/html\"}", "readme.content-type", "text/html"),
        ("requires-python = \"3.10\"", "requires-python", "3.10"),
        ("license = \"MIT-ish\"", "license", "MIT-ish"),
        ("license = {file = \"NO\"}", "license.file", "NO"),
        ("license-files = [\"NO*\"]", "license-files", "NO*"),
        ("license-files = [\"../*\"]", "license-files", "../*"),
        ("license-files = [\"/etc/*\"]", "license-files", "/etc/*"),
        ("license-files = [\"a[\"]", "license-files", "a["),
        ("license = {text = \"x\"}\nlicense-files = [\"LICENSE\"]", "license-files", "LICENSE"),
        (
            "license = \"MIT\"\nclassifiers = [\"License :: OSI Approved\"]",
            "classifiers",
            "License :: OSI Approved",
        ),
        ("description = \"a\\nb\"", "description", "a\\nb"),
        ("authors = [{name = \"a, b\"}]", "authors", "a, b"),
        ("maintainers = [{email = \"nobody\"}]", "maintainers", "nobody"),
        ("dependencies = [\"not a requirement\"]", "dependencies", "not a requirement"),
        ("optional-dependencies = {a = [\"!\"]}", "optional-dependencies.a", "!"),
        ("optional-dependencies = {a-b = [], a_b = []}", "optional-dependencies.a_b", "a_b"),
        ("scripts = {run = \"no object\"}", "scripts.run", "no object"),
        ("entry-points = {console_scripts = {}}", "entry-points", "console_scripts"),
        ("urls = {\"a, b\" = \"https://example.org\"}", "urls", "a, b"),
        ("dynamic = [\"readme\"]", "dynamic", "readme"),
        ("dynamic = [\"version\"]", "version", "1"),
    ] {
        let error = with(lines).unwrap_err();
        let PyprojectError::Invalid { field: found, value: found_value, .. } = &error else {
            panic!("{lines}: {error}");
        };
        assert_eq!((found.as_str(), found_value.as_str()), (field, value), "{error}");
        assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
    }
}

#[test]
fn err_a_version_that_another_tool_would_find() {
    for table in [
        "[tool.setuptools.dynamic]\nversion = {attr = \"a.__version__\"}",
        "[tool.hatch.version]\npath = \"a.py\"",
    ] {
        let text = format!("[project]\nname = \"a\"\ndynamic = [\"version\"]\n{table}\n");
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("it would be that of `Project.toml`"), "{error}");
    }
    let found = read("[project]\nname = \"a\"\ndynamic = [\"version\"]\n[tool.setuptools]\n").unwrap();
    assert_eq!(found.unread, ["setuptools"]);
}

#[test]
fn ok_and_err_dependencies_on_the_runtime() {
    let found = with("dependencies = [\"jnumpy-runtime >= 0.1\", \"six\"]").unwrap();
    let names: Vec<&str> = found.metadata.dependencies.iter().map(|needed| needed.name.as_ref()).collect();
    assert_eq!(names, ["six", "numpy"]);
    for name in ["jnumpy", "Julia_NumPy"] {
        let error = with(&format!("dependencies = [\"{name}\"]")).unwrap_err().to_string();
        assert!(error.contains("it is another `jnumpy` than"), "{error}");
    }
}

#[test]
fn err_wording() {
    let error = with("requires-python = \"snake\"").unwrap_err().to_string();
    let (_, said) = error.split_once("pyproject.toml` ").unwrap();
    assert_eq!(
        said,
        "has an invalid `project.requires-python`: Failed to parse version: Unexpected end of version specifier, \
         expected operator: `snake`"
    );
}

#[test]
fn err_missing_parts() {
    assert!(matches!(read(""), Err(PyprojectError::NoProject { .. })));
    assert!(matches!(read("[project]\nversion = \"1\""), Err(PyprojectError::Missing { field: "name", .. })));
    let error = read("[project]\nname = \"x\"").unwrap_err();
    assert!(matches!(&error, PyprojectError::Missing { field: "version", .. }));
    assert!(error.hint().unwrap().contains("dynamic"));
}

#[test]
fn err_types_say_where() {
    for lines in ["keywords = \"k\"", "license = 3", "authors = [{nome = \"x\"}]", "readme = {text = \"x\"}"]
    {
        let error = with(lines).unwrap_err();
        assert!(matches!(error, PyprojectError::Types { .. }), "{lines}");
        assert!(error.source().unwrap().to_string().contains("line 4"), "{:?}", error.source());
    }
}

#[test]
fn err_unknown_keys_name_the_nearest() {
    for (key, hint) in [
        ("licence", "did you mean `license`?"),
        ("requires_python", "did you mean `requires-python`?"),
        ("dependancies", "did you mean `dependencies`?"),
    ] {
        let error = with(&format!("{key} = 1")).unwrap_err();
        assert!(matches!(&error, PyprojectError::UnknownKey { key: found, .. } if found == key), "{error}");
        assert_eq!(error.hint().unwrap(), hint);
    }
    assert!(with("zzzzzz = 1").unwrap_err().hint().unwrap().starts_with("the keys are authors, "));
    assert_eq!(nearest("version", &KEYS), Some("version"));
}
