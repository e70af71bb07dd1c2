use std::os::unix::fs::symlink;

use super::*;
use crate::depot::Resolution;
use crate::julia::{Layout, Origin as JuliaOrigin};
use crate::wheel::Source;

#[test]
fn ok_origin_to() {
    for (from, to, expected) in [
        ("lib/x", "lib/x", "$ORIGIN"),
        ("lib/x/julia", "lib/x", "$ORIGIN/.."),
        ("lib/x", "lib/x/julia", "$ORIGIN/julia"),
        ("lib/x/julia", "lib/y", "$ORIGIN/../../y"),
    ] {
        assert_eq!(origin_to(Path::new(from), Path::new(to)), expected);
    }
}

#[test]
fn ok_normal() {
    assert_eq!(normal(Path::new("lib/x/../y/.")), Some("lib/y".into()));
    assert_eq!(normal(Path::new("lib/../..")), None);
    assert_eq!(normal(Path::new("/lib")), None);
}

/// A library that needs one other. Shims are whole libraries, and small.
fn library(needs: &str, soname: &str, run_path: Option<&str>) -> Vec<u8> {
    let this_program = Elf::parse(&fs_err::read(std::env::current_exe().unwrap()).unwrap()).unwrap();
    shim(needs, soname, run_path, &this_program).unwrap()
}

/// A tree in the official layout, in which libjulia needs libbar, and the image opens it by its plain name.
fn tree() -> (tempfile::TempDir, Julia) {
    let directory = tempfile::tempdir().unwrap();
    let prefix = fs_err::canonicalize(directory.path()).unwrap();
    fs_err::create_dir_all(prefix.join("lib/julia")).unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs_err::write(prefix.join("lib").join(name), bytes).unwrap();
    write("libjulia.so.1.5", library("libbar.so.2", "libjulia.so.1", Some("/usr/lib:$ORIGIN")));
    write("libbar.so.2.0", library("libc.so.6", "libbar.so.2", None));
    write("julia/libcurl.so", library("libc.so.6", "libcurl.so.4", None));
    write("julia/libstdc++.so", library("libc.so.6", "libstdc++.so.6", None));
    write("julia/libunused.so", library("libc.so.6", "libunused.so", None));
    let mut image = library("libjulia.so.1", "sys.so", None);
    image.extend_from_slice(b"\0libbar\0libcurl\0libabsent\0libstdc++\0");
    write("julia/sys.so", image);
    for (target, link) in [
        ("libjulia.so.1.5", "libjulia.so.1"),
        ("libbar.so.2.0", "libbar.so.2"),
        ("../libbar.so.2", "julia/libbar.so"),
    ] {
        symlink(target, prefix.join("lib").join(link)).unwrap();
    }
    let julia = Julia {
        executable: prefix.join("bin/julia"),
        prefix,
        version: "1.5.3".parse().unwrap(),
        layout: Layout {
            bindir: "bin".into(),
            libjulia: "lib/libjulia.so.1.5".into(),
            private_libdir: "lib/julia".into(),
            sysimage: "lib/julia/sys.so".into(),
            stdlib: "share/julia/stdlib/v1.5".into(),
            share_julia: "share/julia".into(),
        },
        origin: JuliaOrigin::Flag,
    };
    (directory, julia)
}

fn collect(julia: &Julia) -> Result<Libraries, BundleError> {
    let prune = Prune::new(&Resolution::default(), b"");
    Libraries::collect(julia, &julia.prefix.join(&julia.layout.sysimage), &prune, Vec::new())
}

#[test]
fn ok_each_once_under_the_name_it_is_asked_by() {
    let (_directory, julia) = tree();
    let libraries = collect(&julia).unwrap();
    let names: Vec<&str> = libraries.files.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(names, ["lib/julia/libbar.so", "lib/julia/sys.so", "lib/libbar.so.2", "lib/libjulia.so.1"]);
    assert_eq!(libraries.libjulia, Path::new("lib/libjulia.so.1"));

    let parse = |name: &str| match &libraries.files[Path::new(name)].source {
        Source::Bytes(bytes) => Elf::parse(bytes).unwrap(),
        Source::File(path) => panic!("{} is not changed", path.display()),
    };
    let second_name = parse("lib/julia/libbar.so");
    assert_eq!(second_name.needed, ["libbar.so.2"]);
    assert_eq!(second_name.runpath.as_deref(), Some("$ORIGIN/.."));
    // It had an absolute path, and must find what it opens for the image too.
    assert_eq!(parse("lib/libjulia.so.1").runpath.as_deref(), Some("$ORIGIN:$ORIGIN/julia"));
    assert_eq!(parse("lib/julia/sys.so").runpath.as_deref(), Some("$ORIGIN/.."));
    let real = julia.prefix.join("lib/libbar.so.2.0");
    assert_eq!(libraries.files[Path::new("lib/libbar.so.2")].source, Source::File(real));
}

#[test]
fn ok_libraries_of_an_artifact_find_julias_and_their_neighbours() {
    let (_directory, julia) = tree();
    let libraries = collect(&julia).unwrap();
    let place = |name: &str| Path::new("share/julia/artifacts/0e64").join(name);
    let write = |name: &str, bytes: &[u8]| {
        let path = julia.prefix.join(place(name));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    };
    let run_path = |needs: &str, before: Option<&str>| {
        let path = write("lib/libnew.so", &library(needs, "libnew.so", before));
        match libraries.other(&path, &place("lib/libnew.so")).unwrap().source {
            Source::Bytes(bytes) => Elf::parse(&bytes).unwrap().runpath,
            Source::File(unchanged) => panic!("{} is not changed", unchanged.display()),
        }
    };
    assert_eq!(run_path("libbar.so.2", None).as_deref(), Some("$ORIGIN/../../../../../lib"));
    write("lib/libbeside.so", &library("libc.so.6", "libbeside.so", None));
    assert_eq!(run_path("libbeside.so", Some("/usr/lib")).as_deref(), Some("$ORIGIN"));

    let text = write("data.txt", b"text");
    assert_eq!(libraries.other(&text, &place("data.txt")).unwrap(), Content::file(&text));
}

#[test]
fn err_a_needed_library_is_missing() {
    let (_directory, julia) = tree();
    fs_err::remove_file(julia.prefix.join("lib/libbar.so.2.0")).unwrap();
    fs_err::remove_file(julia.prefix.join("lib/julia/libbar.so")).unwrap();
    let error = collect(&julia).unwrap_err().to_string();
    assert!(error.starts_with("not found: `libbar.so.2` (needed by `"), "{error}");
}

#[test]
fn err_a_damaged_image() {
    let (_directory, julia) = tree();
    fs_err::write(julia.prefix.join("lib/julia/sys.so"), "no library").unwrap();
    let error = collect(&julia).unwrap_err();
    assert!(matches!(error, BundleError::Elf { .. }), "{error}");
}
