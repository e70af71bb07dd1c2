use super::*;

/// A small valid project in a temporary directory; tests spoil it.
fn project() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let files = [
        ("pyproject.toml", "[project]\nname = \"jl-a\"\nversion = \"1\"\n"),
        ("jl_a/__init__.py", ""),
        ("jl_a/Project.toml", "name = \"A\"\n"),
        ("jl_a/src/A.jl", "module A end\n"),
        ("jl_a/__pycache__/x.cpython-311.pyc", ""),
        ("jl_a/_jnumpy/bundle.json", "{}"),
        ("jl_a/data/_jnumpy/kept.txt", ""),
        ("tests/__init__.py", ""),
    ];
    for (name, text) in files {
        write(directory.path(), name, text);
    }
    directory
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

fn remove(root: &Path, name: &str) {
    fs_err::remove_file(root.join(name)).unwrap();
}

/// The error of loading a project after `spoil`, with the temporary directory written as `<root>`.
fn error_after(spoil: impl FnOnce(&Path)) -> String {
    let directory = project();
    let root = fs_err::canonicalize(directory.path()).unwrap();
    spoil(&root);
    Project::load(&root).unwrap_err().to_string().replace(root.to_str().unwrap(), "<root>")
}

#[test]
fn ok_loads() {
    let directory = project();
    let project = Project::load(directory.path()).unwrap();
    assert_eq!(project.package_name, "jl_a");
    assert_eq!(project.julia.name, "A");
    assert_eq!(project.manifest(&"1.5.3".parse().unwrap()).unwrap(), None);
    let names: Vec<&str> = project.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["Project.toml", "__init__.py", "data/_jnumpy/kept.txt", "src/A.jl"]);
}

#[test]
fn ok_a_link_to_the_package() {
    let (directory, elsewhere) = (project(), tempfile::tempdir().unwrap());
    let root = directory.path();
    let real = fs_err::canonicalize(elsewhere.path()).unwrap().join("other-name");
    fs_err::rename(root.join("jl_a"), &real).unwrap();
    std::os::unix::fs::symlink(&real, root.join("jl_a")).unwrap();
    let found = Project::load(root).unwrap();
    assert_eq!((found.package_name.as_str(), &found.package_dir), ("jl_a", &real));
    assert_eq!(found.import_dir, fs_err::canonicalize(root).unwrap());
}

#[test]
fn err_links_that_lead_nowhere() {
    use std::os::unix::fs::symlink;
    let link = |target: &'static str, name: &'static str| {
        move |root: &Path| symlink(target, root.join("jl_a").join(name)).unwrap()
    };
    let directory = project();
    // The lock of an editor.
    link("user@host.1:2", ".#A.jl")(directory.path());
    Project::load(directory.path()).unwrap();
    assert_eq!(
        error_after(link("nothing", "broken")),
        "`<root>/jl_a/broken` cannot be packed: it is a link to nothing"
    );
    assert_eq!(
        error_after(link(".", "again")),
        "`<root>/jl_a/again` cannot be packed: it is a link to a directory that it is in"
    );
}

#[test]
fn ok_under_src_and_by_name() {
    let directory = project();
    let root = directory.path();
    fs_err::create_dir(root.join("src")).unwrap();
    fs_err::rename(root.join("jl_a"), root.join("src/jl_a")).unwrap();
    assert_eq!(Project::load(root).unwrap().package_name, "jl_a");
    fs_err::create_dir(root.join("lib")).unwrap();
    fs_err::rename(root.join("src/jl_a"), root.join("lib/jl_b")).unwrap();
    write(
        root,
        "pyproject.toml",
        "[project]\nname = \"b\"\nversion = \"1\"\n[tool.jnumpy]\npackage = \"lib/jl_b\"\n",
    );
    assert_eq!(Project::load(root).unwrap().package_name, "jl_b");
}

#[test]
fn err_wording() {
    assert_eq!(error_after(|root| remove(root, "pyproject.toml")), "no `pyproject.toml` in `<root>`");
    assert_eq!(
        error_after(|root| remove(root, "jl_a/Project.toml")),
        "no Python package with a Julia `Project.toml`, looked in: `<root>`"
    );
    assert_eq!(
        error_after(|root| {
            remove(root, "jl_a/Project.toml");
            remove(root, "tests/__init__.py");
        }),
        "no `Project.toml` in the package directory: `<root>/jl_a`"
    );
    assert_eq!(
        error_after(|root| write(root, "tests/Project.toml", "name = \"B\"\n")),
        "several packages have both `__init__.py` and `Project.toml`: `<root>/jl_a`, `<root>/tests`"
    );
    assert_eq!(
        error_after(|root| write(root, "jl_a/Project.toml", "[deps]\n")),
        "`<root>/jl_a/Project.toml` has no `name`"
    );
    assert_eq!(
        error_after(|root| remove(root, "jl_a/src/A.jl")),
        "`Project.toml` names the module `A`, but there is no file `<root>/jl_a/src/A.jl`"
    );
    assert_eq!(
        error_after(|root| fs_err::rename(root.join("jl_a"), root.join("jl-a")).unwrap()),
        "the package directory `<root>/jl-a` has a name that Python cannot import: `jl-a`"
    );
}

#[test]
fn err_settings_wording() {
    let wrong = |text: &str| error_after(|root| write(root, "pyproject.toml", text));
    assert_eq!(
        wrong("[tool.jnumpy]\npackge = \"a\"\n"),
        "`<root>/pyproject.toml` has an unknown key in `[tool.jnumpy]`: `packge`"
    );
    assert_eq!(
        wrong("[tool.jnumpy]\npackage = \"../a\"\n"),
        "`<root>/pyproject.toml` is invalid: `[tool.jnumpy]`: a path must be relative and stay in the project: `../a`"
    );
    assert_eq!(
        wrong("[tool.jnumpy]\nprecompile = [\"w.sh\"]\n"),
        "`<root>/pyproject.toml` is invalid: `[tool.jnumpy]`: `precompile` takes `.py` and `.jl` files: `w.sh`"
    );
    assert_eq!(
        wrong("[tool.jnumpy]\nprecompile = 3\n"),
        "`<root>/pyproject.toml` is invalid: `[tool.jnumpy]`: `precompile` must be a path or a list of paths"
    );
    assert_eq!(
        wrong("[tool.jnumpy]\nprecompile = \"w.py\"\n"),
        "`precompile` of `[tool.jnumpy]` names a file that does not exist: `<root>/w.py`"
    );
    assert_eq!(
        wrong("[tool.jnumpy]\npackage = \"lib\"\n"),
        "`package` of `[tool.jnumpy]` names a directory without `__init__.py`: `<root>/lib`"
    );
    assert_eq!(wrong("["), "`<root>/pyproject.toml` is not valid TOML");
    assert_eq!(
        wrong("[tool.jnumpy]\nexclude = \"x\"\n"),
        "`<root>/pyproject.toml` is invalid: `[tool.jnumpy]`: invalid type: string \"x\", expected a sequence"
    );
    for (key, value) in
        [("data", "{ \"../a\" = \"b\" }"), ("data", "{ a = \"/b\" }"), ("libraries", "[\"../a\"]")]
    {
        let message = wrong(&format!("[tool.jnumpy]\n{key} = {value}\n"));
        assert!(
            message.contains("`[tool.jnumpy]`: a path must be relative and stay in the project: "),
            "{message}"
        );
    }
}

#[test]
fn err_misspelled_settings_name_the_nearest() {
    let hint = |key: &str| {
        let path = "pyproject.toml".into();
        ProjectError::UnknownSetting { path, key: key.into() }.hint().unwrap()
    };
    assert_eq!(hint("packge"), "did you mean `package`?");
    assert_eq!(hint("library_dir"), "did you mean `library-dirs`?");
    assert_eq!(
        hint("x"),
        "the keys are compiler, data, exclude, include, lazy-artifacts, libraries, library-dirs, package, packages, precompile, shared, stdlibs, unverified"
    );
}

#[test]
fn ok_and_err_data_from_elsewhere() {
    let directory = project();
    let root = directory.path();
    let project = "[project]\nname = \"a\"\nversion = \"1\"\n[tool.jnumpy]\npackage = \"jl_a\"\n";
    write(root, "tables/one.csv", "1");
    write(root, "tables/more/two.csv", "2");
    let data = |text: &str| {
        write(root, "pyproject.toml", &format!("{project}data = {text}\n"));
        Project::load(root)
    };
    let loaded = data("{ \"data/tables\" = \"tables\", \"one\" = \"tables/one.csv\" }").unwrap();
    let names: Vec<&str> = loaded.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Project.toml",
            "__init__.py",
            "data/_jnumpy/kept.txt",
            "data/tables/more/two.csv",
            "data/tables/one.csv",
            "one",
            "src/A.jl"
        ]
    );
    let twice = data("{ \"src/A.jl\" = \"tables/one.csv\" }").unwrap_err();
    assert_eq!(
        twice.to_string(),
        "`data` of `[tool.jnumpy]` puts a file where the package has one already: `src/A.jl`"
    );
    let absent = data("{ \"x\" = \"tables/three.csv\" }").unwrap_err().to_string();
    assert!(absent.starts_with("`data` of `[tool.jnumpy]` names a file that does not exist: `"), "{absent}");
}

#[test]
fn err_unpackable_file() {
    let message = error_after(|root| write(root, "jl_a/a\nb.txt", ""));
    assert_eq!(
        message,
        "`<root>/jl_a/a\\nb.txt` cannot be packed: its name contains a control character or a backslash"
    );
}

#[test]
fn ok_a_package_in_both_tables_is_a_weak_dependency_since_julia_1_9() {
    let directory = project();
    let uuid = "7876af07-990d-54b4-ab0e-23690620f79a";
    let tables = format!("[deps]\nB = \"{uuid}\"\nC = \"{uuid}\"\n[weakdeps]\nB = \"{uuid}\"\n");
    write(directory.path(), "jl_a/Project.toml", &format!("name = \"A\"\n{tables}"));
    for (julia, expected) in [("1.8.5", vec!["B", "C"]), ("1.9.0", vec!["C"])] {
        let mut project = Project::load(directory.path()).unwrap();
        project.julia.drop_weak_deps(&julia.parse().unwrap());
        assert_eq!(project.julia.deps.keys().collect::<Vec<_>>(), expected);
    }
}
