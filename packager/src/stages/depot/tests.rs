use super::*;
use crate::formats::contract::{TYPYTHON, in_bundle};
use crate::stages::julia::{Layout, Origin};
use crate::stages::project::TreeHash;

const DATES: &str = "ade2ca70-3891-5945-98fb-dc099432e06a";
const EXAMPLE: &str = "7876af07-990d-54b4-ab0e-23690620f79a";
const HASH: &str = "46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc";

/// A project, a Julia with the package Dates, a TyPython that needs it, and an empty depot.
struct Scene {
    directory: tempfile::TempDir,
    julia: Julia,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let julia = Julia {
            prefix: directory.path().join("julia"),
            executable: directory.path().join("julia/bin/julia"),
            version: "1.5.3".parse().unwrap(),
            layout: Layout {
                bindir: "bin".into(),
                libjulia: "lib/libjulia.so.1".into(),
                private_libdir: "lib/julia".into(),
                sysimage: "lib/julia/sys.so".into(),
                stdlib: "share/julia/stdlib/v1.5".into(),
                share_julia: "share/julia".into(),
            },
            origin: Origin::Flag,
        };
        let scene = Self { directory, julia };
        scene.write(
            "julia/share/julia/stdlib/v1.5/Dates/Project.toml",
            &format!("name = \"Dates\"\nuuid = \"{DATES}\"\n"),
        );
        scene.write(
            "typython/Project.toml",
            &format!(
                "name = \"TyPython\"\nuuid = \"{}\"\nversion = \"0.1.0\"\n[deps]\nDates = \"{DATES}\"\n",
                Uuid::TYPYTHON
            ),
        );
        scene.settings("");
        scene.write("p/a/__init__.py", "");
        scene.write("p/a/src/A.jl", "");
        scene.project("");
        scene
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn project(&self, deps: &str) {
        self.write("p/a/Project.toml", &format!("name = \"A\"\n[deps]\n{deps}"));
    }

    fn settings(&self, settings: &str) {
        let text = format!("[project]\nname = \"p\"\nversion = \"1\"\n[tool.jnumpy]\n{settings}");
        self.write("p/pyproject.toml", &text);
    }

    /// Puts the package Example into a depot, and returns the hash of its files.
    fn example(&self, slug: &str) -> TreeHash {
        let location = format!("depot/packages/Example/{slug}");
        self.write(&format!("{location}/src/Example.jl"), "module Example end");
        tree_hash(&self.directory.path().join(location)).unwrap()
    }

    fn manifest(&self, stanza: &str) {
        let pinned = format!("[[Example]]\nuuid = \"{EXAMPLE}\"\nversion = \"0.5.3\"\n{stanza}");
        self.write("p/a/Manifest.toml", &pinned);
    }

    fn resolve(&self) -> Result<Resolution, String> {
        let root = self.directory.path();
        let project = Project::load(&root.join("p")).unwrap();
        let depots = [root.join("empty"), root.join("depot")];
        resolve(&project, &root.join("typython"), &self.julia, &depots)
            .map_err(|error| error.to_string().replace(root.to_str().unwrap(), "<d>"))
    }
}

#[test]
fn ok_standard_library_and_typython_need_no_manifest() {
    let scene = Scene::new();
    scene.project(&format!("TyPython = \"{}\"\n", Uuid::TYPYTHON));
    let resolution = scene.resolve().unwrap();
    let found: Vec<_> =
        resolution.packages.values().map(|package| (package.name.as_str(), &package.source)).collect();
    assert_eq!(found, [("TyPython", &Source::RuntimeWheel), ("Dates", &Source::StandardLibrary)]);
    assert!(resolution.has("Dates") && !resolution.has("Example"));
}

#[test]
fn ok_a_registry_package_is_found_by_its_slug() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    let hash = scene.example("aqsx3");
    scene.manifest(&format!("git-tree-sha1 = \"{hash}\"\n"));
    let uuid: Uuid = EXAMPLE.parse().unwrap();
    for length in [5, 4] {
        fs_err::remove_dir_all(scene.directory.path().join("depot")).unwrap();
        let slug = slug(uuid, &hash, length);
        scene.example(&slug);
        let package = scene.resolve().unwrap().packages[&uuid].clone();
        let location = scene.directory.path().join("depot/packages/Example").join(slug);
        assert_eq!(package.source, Source::Directory(fs_err::canonicalize(location).unwrap()));
        assert_eq!(package.tree_hash, Some(hash.to_string()));
    }
}

#[test]
fn ok_an_edited_package_when_allowed() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    scene.manifest(&format!("git-tree-sha1 = \"{HASH}\"\n"));
    let found = scene.example("aqsx3");
    assert_eq!(
        scene.resolve().unwrap_err(),
        format!(
            "the package `Example` in `<d>/depot/packages/Example/aqsx3` has the tree hash {found}, not {HASH}: its \
             files were changed"
        )
    );
    scene.settings("unverified = [\"Example\"]\n");
    let resolution = scene.resolve().unwrap();
    assert_eq!(resolution.packages[&EXAMPLE.parse().unwrap()].edited, Some(found));
    assert_eq!(
        resolution.notes,
        [format!(
            "the package `Example` is packed with the tree hash {found}, which does not match the manifest; \
             `unverified` allows this"
        )]
    );
    scene.manifest(&format!("git-tree-sha1 = \"{found}\"\n"));
    fs_err::rename(
        scene.directory.path().join("depot/packages/Example/aqsx3"),
        scene.directory.path().join("depot/packages/Example").join(slug(EXAMPLE.parse().unwrap(), &found, 5)),
    )
    .unwrap();
    scene.settings("unverified = [\"Exmple\"]\n");
    assert_eq!(
        scene.resolve().unwrap_err(),
        "`unverified` of `[tool.jnumpy]` names `Exmple`, which is none of: `Example`, `TyPython`, `Dates`"
    );
}

#[test]
fn ok_a_package_in_a_directory() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    scene.manifest("path = \"../../Example\"\n");
    scene.write("Example/src/Example.jl", "");
    let package = scene.resolve().unwrap().packages[&EXAMPLE.parse().unwrap()].clone();
    let Source::Directory(location) = package.source else { panic!("{package:?}") };
    assert_eq!(
        fs_err::canonicalize(location).unwrap(),
        fs_err::canonicalize(scene.directory.path().join("Example")).unwrap()
    );
}

#[test]
fn ok_a_directory_that_the_project_names() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n[sources]\nExample = {{path = \"../../Example\"}}\n"));
    scene.write(
        "Example/Project.toml",
        &format!("name = \"Example\"\nuuid = \"{EXAMPLE}\"\n[deps]\nDates = \"{DATES}\"\n"),
    );
    scene.write("Example/src/Example.jl", "");
    let resolution = scene.resolve().unwrap();
    assert_eq!(resolution.packages[&EXAMPLE.parse().unwrap()].deps.len(), 1);
    assert!(resolution.notes.is_empty());
    let root = fs_err::canonicalize(scene.directory.path().join("p/a")).unwrap();
    let locations: Vec<_> = resolution.located(&root).map(|located| located.location).collect();
    assert_eq!(
        locations,
        [Some("_jnumpy/depot/packages/Example/local".into()), Some(in_bundle(TYPYTHON)), None]
    );
}

#[test]
fn ok_names_of_manifests() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    scene.write("Example/src/Example.jl", "");
    // Each is better than those before it.
    let names = ["Manifest.toml", "JuliaManifest.toml", "Manifest-v1.5.toml", "JuliaManifest-v1.5.toml"];
    for (number, name) in names.iter().enumerate() {
        let text = format!(
            "julia_version = \"1.5.0\"\nmanifest_format = \"2.1\"\n[[deps.Example]]\nuuid = \"{EXAMPLE}\"\n\
             path = \"../../Example\"\nversion = \"0.0.{number}\"\n"
        );
        scene.write(&format!("p/a/{name}"), &text);
        let package = scene.resolve().unwrap().packages[&EXAMPLE.parse().unwrap()].clone();
        assert_eq!(package.version, Some(format!("0.0.{number}")));
    }
    scene.write("p/a/JuliaManifest-v1.6.toml", "not looked at");
    assert!(scene.resolve().is_ok());
}

#[test]
fn ok_extensions_are_named_where_julia_has_none() {
    let mut scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    scene.manifest("path = \"../../Example\"\n");
    scene.write("Example/src/Example.jl", "");
    scene.write(
        "Example/Project.toml",
        &format!(
            "name = \"Example\"\nuuid = \"{EXAMPLE}\"\n[weakdeps]\nDates = \"{DATES}\"\nOther = \"{DATES}\"\n\
             [extensions]\nWithDates = \"Dates\"\nWithOther = [\"Dates\", \"Other\"]\n"
        ),
    );
    let resolution = scene.resolve().unwrap();
    assert_eq!(
        resolution.notes,
        [
            "the extension `WithDates` of `Example` is packed but never loaded: extensions need Julia 1.9, the Julia in \
             use is 1.5.3"
        ]
    );
    let uuid: Uuid = EXAMPLE.parse().unwrap();
    assert_eq!(
        manifest_entry(uuid, &resolution.packages[&uuid], Some("x")),
        format!(
            "[[Example]]\nuuid = \"{EXAMPLE}\"\nversion = \"0.5.3\"\npath = \"x\"\n    [Example.deps]\n    \
             [Example.weakdeps]\n    Dates = \"{DATES}\"\n    Other = \"{DATES}\"\n    [Example.extensions]\n    \
             WithDates = [\"Dates\"]\n    WithOther = [\"Dates\", \"Other\"]\n"
        )
    );
    scene.julia.version = "1.9.0".parse().unwrap();
    assert!(scene.resolve().unwrap().notes.is_empty());
}

#[test]
fn err_wording() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    let error = |scene: &Scene| scene.resolve().unwrap_err();
    scene.manifest(&format!("git-tree-sha1 = \"{HASH}\"\n"));
    assert_eq!(
        error(&scene),
        "the sources of `Example` 0.5.3 are in no depot, looked for: `<d>/empty/packages/Example/aqsx3`, \
         `<d>/empty/packages/Example/aqsx`, `<d>/depot/packages/Example/aqsx3`, `<d>/depot/packages/Example/aqsx`"
    );
    scene.manifest("");
    assert_eq!(
        error(&scene),
        "`Example` is neither in the standard library of Julia 1.5.3 nor does `<d>/p/a/Manifest.toml` say where it is"
    );
    scene.write("p/a/Manifest.toml", "");
    assert_eq!(
        error(&scene),
        "`Example` is a dependency of `A`, but `<d>/p/a/Manifest.toml` does not list it"
    );
    scene.write("p/a/Manifest.toml", "manifest_format = \"2.0\"\njulia_version = \"1.6.7\"\n");
    assert_eq!(
        error(&scene),
        "`<d>/p/a/Manifest.toml` was resolved by Julia 1.6.7, but the Julia in use is 1.5.3"
    );
    scene.write("p/a/Manifest.toml", &"#".repeat((16 << 20) + 1));
    assert_eq!(
        error(&scene),
        "`<d>/p/a/Manifest.toml` is invalid: it has 16777217 bytes, more than the 16777216 that are read"
    );
}

#[test]
fn err_artifact_tables() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    scene.manifest("path = \"../../Example\"\n");
    scene.write("Example/src/Example.jl", "");
    for (table, what) in [
        ("\"\\u001b[1mx\" = 1\n", "`\\u{1b}[1mx` must be a table or an array of tables"),
        ("[x]\n", "`x` has no valid `git-tree-sha1`"),
        ("[x]\ngit-tree-sha1 = \"../../etc\"\n", "`x` has no valid `git-tree-sha1`"),
        (
            "[[x]]\nos = \"linux\"\ngit-tree-sha1 = \"46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc\"\n",
            "`x` is one of several without `os` and `arch`",
        ),
    ] {
        scene.write("Example/Artifacts.toml", table);
        assert_eq!(
            scene.resolve().unwrap_err(),
            format!("`<d>/Example/Artifacts.toml` is invalid: the artifact {what}")
        );
    }
}

#[test]
fn err_two_packages_of_one_name() {
    let scene = Scene::new();
    let other = "7876af07-990d-54b4-ab0e-23690620f79b";
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    scene.write(
        "p/a/Manifest.toml",
        &format!(
            "[[Example]]\nuuid = \"{EXAMPLE}\"\npath = \"../../E\"\n[Example.deps]\nExample = \"{other}\"\n\
             [[Example]]\nuuid = \"{other}\"\npath = \"../../E\"\n"
        ),
    );
    scene.write("E/src/Example.jl", "");
    assert_eq!(
        scene.resolve().unwrap_err(),
        format!("two packages are called `Example`, which cannot be packed: {EXAMPLE} and {other}")
    );
}
