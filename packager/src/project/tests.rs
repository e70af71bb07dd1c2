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
        "`<root>/pyproject.toml` is invalid: `[tool.jnumpy]`: unknown field `packge`, expected one of `package`, `precompile`, `lazy-artifacts`, `unverified`"
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
}

#[test]
fn err_unpackable_file() {
    let message = error_after(|root| write(root, "jl_a/a\nb.txt", ""));
    assert_eq!(
        message,
        "`<root>/jl_a/a\\nb.txt` cannot be packed: its name holds a control character or a backslash"
    );
}
