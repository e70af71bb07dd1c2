use super::*;
use crate::julia::{Layout, Origin};
use crate::project::TreeHash;

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
        scene.write("p/pyproject.toml", "[project]\nname = \"p\"\nversion = \"1\"\n");
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
    assert_eq!(found, [("TyPython", &Source::Runtime), ("Dates", &Source::StandardLibrary)]);
    assert!(resolution.has("Dates") && !resolution.has("Example"));
}

#[test]
fn ok_a_registry_package_is_found_by_its_slug() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    scene.manifest(&format!("git-tree-sha1 = \"{HASH}\"\n"));
    for slug in ["aqsx", "aqsx3"] {
        scene.write(&format!("depot/packages/Example/{slug}/src/Example.jl"), "");
        let package = scene.resolve().unwrap().packages[&EXAMPLE.parse().unwrap()].clone();
        let place = scene.directory.path().join("depot/packages/Example").join(slug);
        assert_eq!(package.source, Source::Directory(place));
        assert_eq!(package.tree_hash.unwrap().parse::<TreeHash>().unwrap().to_string(), HASH);
    }
}

#[test]
fn ok_a_package_in_a_directory() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    scene.manifest("path = \"../../Example\"\n");
    scene.write("Example/src/Example.jl", "");
    let package = scene.resolve().unwrap().packages[&EXAMPLE.parse().unwrap()].clone();
    let Source::Directory(place) = package.source else { panic!("{package:?}") };
    assert_eq!(
        fs_err::canonicalize(place).unwrap(),
        fs_err::canonicalize(scene.directory.path().join("Example")).unwrap()
    );
}

#[test]
fn err_wording() {
    let scene = Scene::new();
    scene.project(&format!("Example = \"{EXAMPLE}\"\n"));
    let error = |scene: &Scene| scene.resolve().unwrap_err();
    assert_eq!(
        error(&scene),
        "`Example` is a dependency of `A`, but there is no `Manifest.toml` that says which version"
    );
    scene.manifest(&format!("git-tree-sha1 = \"{HASH}\"\n"));
    assert_eq!(
        error(&scene),
        "the sources of `Example` 0.5.3 are in no depot, looked for: `<d>/empty/packages/Example/aqsx3`, \
         `<d>/empty/packages/Example/aqsx`, `<d>/depot/packages/Example/aqsx3`, `<d>/depot/packages/Example/aqsx`"
    );
    scene.write("depot/packages/Example/aqsx3/src/Example.jl", "");
    scene.write("depot/packages/Example/aqsx3/Artifacts.toml", "");
    assert_eq!(
        error(&scene),
        "`Example` needs binary artifacts, which cannot be packed yet: `<d>/depot/packages/Example/aqsx3/Artifacts.toml`"
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
