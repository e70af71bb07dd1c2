use std::os::unix::fs::symlink;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::formats::policy;
use jnumpy_elf::{Machine, shim};

/// A tree of synthetic libraries.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        fs_err::canonicalize(self.0.path()).unwrap().join(name)
    }

    /// Any ELF file of this machine gives the family; the test program itself is one.
    fn family() -> Elf {
        Elf::parse(&fs_err::read(std::env::current_exe().unwrap()).unwrap()).unwrap()
    }

    fn library(&self, name: &str, needs: &str, run_path: Option<&str>) {
        self.library_like(name, needs, run_path, &Self::family());
    }

    fn library_like(&self, name: &str, needs: &str, run_path: Option<&str>, like: &Elf) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        let soname = path.file_name().unwrap().to_str().unwrap();
        fs_err::write(&path, shim(needs, soname, run_path, like).unwrap()).unwrap();
    }

    fn closure(
        &self,
        roots: &[&str],
        opened: &[Opened],
        directories: &[&str],
    ) -> Result<Closure, ClosureError> {
        let roots: Vec<PathBuf> = roots.iter().map(|root| self.path(root)).collect();
        let directories: Vec<PathBuf> = directories.iter().map(|directory| self.path(directory)).collect();
        Closure::new(&Search {
            prefix: self.0.path(),
            roots: &roots,
            opened,
            directories: &directories,
            is_system: policy::is_system_library,
            system_copy: |_| None,
        })
    }

    fn names(&self, closure: &Closure) -> Vec<String> {
        let prefix = self.path("");
        closure
            .libraries
            .keys()
            .map(|path| path.strip_prefix(&prefix).unwrap().display().to_string())
            .collect()
    }
}

fn opened(name: &str, required: bool) -> Opened {
    Opened { name: name.into(), by: "the standard library `LibGit2`".into(), required }
}

#[test]
fn needs_are_followed_along_run_paths_and_directories() {
    let tree = Tree::new();
    tree.library("lib/libroot.so", "libinner.so.1", Some("$ORIGIN/julia:/somewhere/absent:$LIB"));
    tree.library("lib/julia/libinner.so.1", "libgiven.so", None);
    tree.library("extra/libgiven.so", "libm.so.6", None);
    let closure = tree.closure(&["lib/libroot.so"], &[], &["extra"]).unwrap();
    assert_eq!(tree.names(&closure), ["extra/libgiven.so", "lib/julia/libinner.so.1", "lib/libroot.so"]);
    assert_eq!(closure.system.keys().collect::<Vec<_>>(), ["libm.so.6"]);
    assert_eq!(
        closure.explain("libgiven.so").unwrap(),
        ["`extra/libgiven.so`", "`lib/julia/libinner.so.1`", "`lib/libroot.so`"]
    );
    assert_eq!(
        closure.explain("libm.so.6").unwrap()[..2],
        ["`libm.so.6` of the user's system", "`extra/libgiven.so`"]
    );
    assert_eq!(closure.explain("libabsent.so"), None);
}

#[test]
fn every_name_of_a_library_is_noted() {
    let tree = Tree::new();
    tree.library("lib/libreal.so.9", "libc.so.6", None);
    tree.library("lib/libuser.so", "libreal.so.9", Some("$ORIGIN"));
    fs_err::create_dir_all(tree.path("lib/julia")).unwrap();
    symlink("../libreal.so.9", tree.path("lib/julia/libreal.so")).unwrap();
    let closure = tree.closure(&["lib/libuser.so"], &[opened("libreal", true)], &["lib/julia"]).unwrap();
    let library = &closure.libraries[&tree.path("lib/libreal.so.9")];
    assert_eq!(library.names["libreal.so.9"], tree.path("lib/libreal.so.9"));
    assert_eq!(library.names["libreal.so"], tree.path("lib/julia/libreal.so"));
    assert_eq!(library.origin, Origin::Needed(tree.path("lib/libuser.so")));
}

#[test]
fn an_rpath_counts_for_the_needed_libraries_too() {
    let directory = TempDir::new().unwrap();
    let tree = Tree::new();
    tree.library("a/libtwo.so", "libthree.so", None);
    tree.library("b/libthree.so", "libc.so.6", None);
    let source = directory.path().join("root.c");
    fs_err::write(&source, "int f(void) { return 1; }").unwrap();
    // What the linker sees of libtwo.
    let two = directory.path().join("libtwo.so");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,-soname,libtwo.so", "-o"])
        .args([&two, &source])
        .status();
    assert!(made.expect("this test needs a C compiler: install `gcc`").success());
    let link = |dtags: &str| {
        let linked = Command::new("cc")
            .args(["-shared", "-fPIC", dtags, "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN/a:$ORIGIN/b"])
            .args(["-nostdlib", "-o"])
            .args([&tree.path("libroot.so"), &source, &two])
            .status();
        assert!(linked.expect("this test needs a C compiler: install `gcc`").success());
        Elf::parse(&fs_err::read(tree.path("libroot.so")).unwrap()).unwrap()
    };
    assert!(link("-Wl,--disable-new-dtags").rpath.is_some());
    let closure = tree.closure(&["libroot.so"], &[], &[]).unwrap();
    assert_eq!(tree.names(&closure), ["a/libtwo.so", "b/libthree.so", "libroot.so"]);

    // A RUNPATH counts for its own file only.
    assert!(link("-Wl,--enable-new-dtags").runpath.is_some());
    assert!(matches!(tree.closure(&["libroot.so"], &[], &[]), Err(ClosureError::Missing(_))));
}

#[test]
fn libraries_of_another_processor_are_passed_over() {
    let tree = Tree::new();
    let mut other = Tree::family();
    other.machine = Machine(8);
    tree.library_like("first/libinner.so", "libc.so.6", None, &other);
    tree.library("second/libinner.so", "libc.so.6", None);
    tree.library("libroot.so", "libinner.so", None);
    let closure = tree.closure(&["libroot.so"], &[], &["first", "second"]).unwrap();
    assert_eq!(tree.names(&closure), ["libroot.so", "second/libinner.so"]);
}

#[test]
fn what_is_missing_is_said_with_chain_and_directories() {
    let tree = Tree::new();
    tree.library("lib/libroot.so", "libinner.so", Some("$ORIGIN"));
    tree.library("lib/libinner.so", "libgone.so.3", None);
    let error = tree.closure(&["lib/libroot.so"], &[opened("libgit2", true)], &["lib"]).unwrap_err();
    let lib = tree.path("lib").display().to_string();
    assert_eq!(
        error.to_string(),
        format!(
            "not found: `libgone.so.3` (needed by `lib/libinner.so`, needed by `lib/libroot.so`; looked in `{lib}`); \
             `libgit2` (needed by the standard library `LibGit2`; looked in `{lib}`)"
        )
    );
    assert!(error.hint().unwrap().contains("install the package"));

    tree.library("lib/libinner.so", "libc.so.6", None);
    let closure = tree.closure(&["lib/libroot.so"], &[opened("libgit2", false)], &["lib"]).unwrap();
    assert_eq!(closure.absent[0].name, "libgit2");
}

#[test]
fn nothing_outside_the_tree_is_taken() {
    let (tree, outside) = (Tree::new(), Tree::new());
    outside.library("libinner.so", "libc.so.6", None);
    let path = outside.path("").display().to_string();
    tree.library("lib/libroot.so", "libinner.so", Some(&path));
    tree.library("lib/libabsolute.so", outside.path("libinner.so").to_str().unwrap(), Some("$ORIGIN"));
    assert!(matches!(tree.closure(&["lib/libroot.so"], &[], &[]), Err(ClosureError::Missing(_))));
    assert!(matches!(tree.closure(&["lib/libabsolute.so"], &[], &[]), Err(ClosureError::Missing(_))));
}

#[test]
fn a_file_that_is_no_library_is_named() {
    let tree = Tree::new();
    tree.library("lib/libroot.so", "libtext.so", Some("$ORIGIN"));
    fs_err::write(tree.path("lib/libtext.so"), "INPUT(libtext.so.1)").unwrap();
    let error = tree.closure(&["lib/libroot.so"], &[], &[]).unwrap_err();
    assert!(matches!(&error, ClosureError::Elf { path, .. } if path.ends_with("libtext.so")), "{error}");
    assert!(error.hint().unwrap().contains("linker script"));
}

#[test]
fn only_versions_of_the_systems_libraries_count_for_the_floor() {
    let tree = Tree::new();
    let program = std::env::current_exe().unwrap();
    fs_err::copy(&program, tree.path("program")).unwrap();
    let closure = tree.closure(&["program"], &[], &[]).unwrap();
    let needs: Vec<_> = closure.system_needs().map(|(_, need)| need.library.as_str()).collect();
    assert!(needs.contains(&"libc.so.6"));
    let family = Tree::family();
    let floor = policy::floor(family.machine, closure.system_needs()).unwrap();
    assert!(floor.platform.to_string().ends_with(&family.machine.to_string()));

    // The same program beside its own C library asks nothing of the system's.
    tree.library("libc.so.6", "libm.so.6", None);
    let roots = [tree.path("program")];
    let directories = [tree.path("")];
    let keeps_libc = Closure::new(&Search {
        prefix: tree.0.path(),
        roots: &roots,
        opened: &[],
        directories: &directories,
        is_system: |name| name != "libc.so.6" && policy::is_system_library(name),
        system_copy: |_| None,
    })
    .unwrap();
    assert!(keeps_libc.system_needs().all(|(_, need)| need.library != "libc.so.6"));
}
