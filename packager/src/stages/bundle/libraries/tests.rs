use std::os::unix::fs::symlink;

use super::*;
use crate::stages::julia::{Layout, Origin as JuliaOrigin};
use jnumpy_wheel::Source;

/// A library that needs one other. Shims are whole libraries, and small.
fn library(needs: &str, soname: &str, run_path: Option<&str>) -> Vec<u8> {
    let this_program = Elf::parse(&fs_err::read(std::env::current_exe().unwrap()).unwrap()).unwrap();
    shim(needs, soname, run_path, &this_program).unwrap()
}

/// A tree in the official layout, in which libjulia needs libbar, and the image opens it by its plain name.
fn tree() -> (tempfile::TempDir, Julia) {
    let directory = tempfile::tempdir().unwrap();
    let prefix = fs_err::canonicalize(directory.path()).unwrap().join("julia");
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

/// The name in the bundle of the library at `path` below Julia's prefix.
fn unique(julia: &Julia, path: &str) -> String {
    let path = julia.prefix.join(path);
    unique_names::unique_name(&file_name(&path), &fs_err::read(&path).unwrap())
}

/// Collects the libraries of a tree for a project with these settings.
fn collect_for(julia: &Julia, settings: &Settings) -> Result<(Libraries, Decisions), BundleError> {
    let prune = Prune::new(settings, &BTreeSet::new(), b"", &[], &BTreeSet::new())?;
    let image = julia.prefix.join(&julia.layout.sysimage);
    let (root, scratch) = (project(julia), julia.prefix.join("scratch"));
    let loader = Loader::new(&[])?;
    let inputs = LibraryInputs {
        julia,
        image: &image,
        prune: &prune,
        root: &root,
        settings,
        scratch: &scratch,
        loader: &loader,
        loads_sources: false,
        packages: &[],
        compiler: true,
        sharing: Sharing::Alone,
        package: "p",
    };
    let mut decisions = Decisions::default();
    let libraries = Libraries::collect(&inputs, fs_err::read(&image)?, Vec::new(), &mut decisions)?;
    Ok((libraries, decisions))
}

/// The project's directory, beside Julia's prefix.
fn project(julia: &Julia) -> PathBuf {
    julia.prefix.parent().unwrap().join("project")
}

fn collect(julia: &Julia) -> Result<Libraries, BundleError> {
    collect_for(julia, &Settings::default()).map(|(libraries, _)| libraries)
}

fn parse(libraries: &Libraries, name: &str) -> Elf {
    match &libraries.files[Path::new(name)].source {
        Source::Bytes(bytes) => Elf::parse(bytes).unwrap(),
        Source::File(path) => Elf::parse(&fs_err::read(path).unwrap()).unwrap(),
    }
}

#[test]
fn ok_each_once_under_the_name_it_is_asked_by() {
    let (_directory, julia) = tree();
    let libraries = collect(&julia).unwrap();
    let names: Vec<&str> = libraries.files.keys().map(|path| path.to_str().unwrap()).collect();
    let bar = unique(&julia, "lib/libbar.so.2");
    let stored = format!("lib/{bar}");
    assert_eq!(
        names,
        ["lib/julia/libbar.so", "lib/julia/sys.so", &stored, "lib/libbar.so.2", "lib/libjulia.so.1"]
    );
    assert_eq!(libraries.libjulia, Path::new("lib/libjulia.so.1"));

    let parse = |name: &str| parse(&libraries, name);
    for (second_name, leads_to) in [("lib/julia/libbar.so", "$ORIGIN/.."), ("lib/libbar.so.2", "$ORIGIN")] {
        let second_name = parse(second_name);
        assert_eq!(second_name.needed, [bar.as_str()]);
        assert_eq!(second_name.rpath.as_deref(), Some(leads_to));
    }
    // Nothing that the process has loaded under the plain name is taken instead.
    assert_eq!(parse(&stored).soname.as_deref(), Some(bar.as_str()));
    assert_eq!(parse("lib/libjulia.so.1").needed, [bar.as_str()]);
    // It had an absolute path, and must find what it opens for the image too.
    assert_eq!(parse("lib/libjulia.so.1").rpath.as_deref(), Some("$ORIGIN:$ORIGIN/julia"));
    assert_eq!(parse("lib/julia/sys.so").rpath.as_deref(), Some("$ORIGIN/.."));
}

#[test]
fn ok_copies_are_stored_once() {
    let (_directory, julia) = tree();
    let before = collect(&julia).unwrap();
    for link in ["libjulia.so.1", "libbar.so.2", "julia/libbar.so"] {
        let path = julia.prefix.join("lib").join(link);
        let bytes = fs_err::read(&path).unwrap();
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, bytes).unwrap();
    }
    let after = collect(&julia).unwrap();
    assert_eq!(after.closure.libraries.len(), before.closure.libraries.len());
    assert_eq!(after.files.keys().collect::<Vec<_>>(), before.files.keys().collect::<Vec<_>>());
    assert_eq!(parse(&after, "lib/julia/libbar.so").needed, [unique(&julia, "lib/libbar.so.2")]);
    // Another content under the same names is another library.
    fs_err::write(julia.prefix.join("lib/julia/libbar.so"), library("libm.so.6", "libbar.so.2", None))
        .unwrap();
    assert_eq!(collect(&julia).unwrap().closure.libraries.len(), before.closure.libraries.len() + 1);
}

#[test]
fn ok_libraries_of_an_artifact_find_julias_and_their_neighbours() {
    let (_directory, julia) = tree();
    let libraries = collect(&julia).unwrap();
    let (prune, settings, scratch) = (Prune::default(), Settings::default(), julia.prefix.join("scratch"));
    let inputs = LibraryInputs {
        julia: &julia,
        image: Path::new("sys.so"),
        prune: &prune,
        root: &julia.prefix,
        settings: &settings,
        scratch: &scratch,
        loader: &Loader::new(&[]).unwrap(),
        loads_sources: false,
        packages: &[],
        compiler: true,
        sharing: Sharing::Alone,
        package: "p",
    };
    let location = |name: &str| Path::new("share/julia/artifacts/0e64").join(name);
    let write = |name: &str, bytes: &[u8]| {
        let path = julia.prefix.join(location(name));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    };
    let run_path = |needs: &str, before: Option<&str>| {
        let path = write("lib/libnew.so", &library(needs, "libnew.so", before));
        match libraries.other(&inputs, &path, &location("lib/libnew.so")).unwrap().source {
            Source::File(changed) if changed != path => {
                Elf::parse(&fs_err::read(changed).unwrap()).unwrap().rpath
            }
            source => panic!("{source} is not changed"),
        }
    };
    assert_eq!(run_path("libbar.so.2", None).as_deref(), Some("$ORIGIN/../../../../../lib"));
    let changed = scratch.join("julia").join(location("lib/libnew.so"));
    let changed = Elf::parse(&fs_err::read(changed).unwrap()).unwrap();
    assert_eq!(changed.needed, [unique(&julia, "lib/libbar.so.2")]);
    write("lib/libbeside.so", &library("libc.so.6", "libbeside.so", None));
    assert_eq!(run_path("libbeside.so", Some("/usr/lib")).as_deref(), Some("$ORIGIN"));

    let text = write("data.txt", b"text");
    assert_eq!(libraries.other(&inputs, &text, &location("data.txt")).unwrap(), Content::file(&text));
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

#[test]
fn ok_libraries_of_the_project_lie_beside_julias_own() {
    let (_directory, julia) = tree();
    let write = |name: &str, bytes: Vec<u8>| {
        let path = project(&julia).join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    };
    write("native/libown.so.3", library("libdeep.so", "libown.so.3", Some("/usr/lib")));
    write("extra/libdeep.so", library("libbar.so.2", "libdeep.so", None));
    let settings = Settings {
        libraries: vec!["native/libown.so.3".into(), "libunused".into()],
        library_dirs: vec!["extra".into()],
        ..Settings::default()
    };
    let (libraries, _) = collect_for(&julia, &settings).unwrap();
    for name in ["lib/julia/libown.so.3", "lib/julia/libdeep.so", "lib/julia/libunused.so"] {
        assert!(libraries.files.contains_key(Path::new(name)), "{:?}", libraries.files.keys());
    }
    assert_eq!(parse(&libraries, "lib/julia/libown.so.3").rpath.as_deref(), Some("$ORIGIN"));
    let deep = unique(&julia, "../project/extra/libdeep.so");
    assert_eq!(parse(&libraries, &format!("lib/julia/{deep}")).rpath.as_deref(), Some("$ORIGIN/.."));
    assert_eq!(libraries.closure.explain("libown.so.3").unwrap()[1], "`libraries` of `[tool.jnumpy]`");

    let absent = Settings { libraries: vec!["native/libno.so".into()], ..Settings::default() };
    let error = collect_for(&julia, &absent).unwrap_err().to_string();
    assert!(
        error.starts_with("`libraries` of `[tool.jnumpy]` names a file that does not exist: `"),
        "{error}"
    );
    let nowhere = Settings { libraries: vec!["libnowhere".into()], ..Settings::default() };
    let error = collect_for(&julia, &nowhere).unwrap_err();
    let words = error.to_string();
    assert!(
        words.starts_with("not found: `libnowhere` (needed by `libraries` of `[tool.jnumpy]`; looked in `"),
        "{words}"
    );
    assert!(jnumpy_base::Hint::hint(&error).unwrap().contains("in `library-dirs` of `[tool.jnumpy]`"));
}

#[test]
fn ok_and_err_excluded_libraries() {
    let (_directory, julia) = tree();
    let exclude = |pattern: &str| Settings { exclude: vec![pattern.into()], ..Settings::default() };
    let (libraries, decisions) = collect_for(&julia, &exclude("julia/lib/julia/libbar.so")).unwrap();
    assert!(!libraries.files.contains_key(Path::new("lib/julia/libbar.so")));
    assert!(decisions.left_out["julia/lib/julia/libbar.so"].own);
    assert_eq!(decisions.left_out["julia/lib/julia/libcurl.so"].rule, "downloads");
    let error = collect_for(&julia, &exclude("julia/lib/libbar*")).unwrap_err().to_string();
    assert_eq!(
        error,
        "`exclude` of `[tool.jnumpy]` leaves out `julia/lib/libbar.so.2`, but it is needed: \
         `lib/libbar.so.2.0`, needed by `lib/libjulia.so.1.5`"
    );
}

#[test]
fn ok_a_stand_in_takes_the_place_of_what_is_never_called() {
    let (_directory, julia) = tree();
    let write = |name: &str, source: &str, soname: &str, flags: &[&str]| {
        let path = julia.prefix.join("lib").join(name);
        let input = julia.prefix.join(format!("{soname}.c"));
        fs_err::write(&input, source).unwrap();
        let mut command = std::process::Command::new("cc");
        command
            .args(["-shared", "-fPIC", "-g", "-o"])
            .arg(&path)
            .arg(&input)
            .arg(format!("-Wl,-soname,{soname}"));
        assert!(command.args(flags).status().unwrap().success());
        path
    };
    let solver =
        write("libz3.so.4", "int Z3_a(void) { return 1; } int Z3_b(void) { return 2; }", "libz3.so.4", &[]);
    let digests = write("libmd.so.0", "int md(void) { return 3; }", "libmd.so.0", &[]);
    let flags = [digests.to_str().unwrap(), "-Wl,-rpath,$ORIGIN"];
    let editor = write("libedit.so.2", "int md(void); int el(void) { return md(); }", "libedit.so.2", &flags);
    let llvm = [solver.to_str().unwrap(), editor.to_str().unwrap(), "-Wl,-rpath,$ORIGIN"];
    let source = "int Z3_a(void); int el(void); int use(void) { return Z3_a() + el(); }";
    write("libLLVM-9.so.1", source, "libLLVM-9.so.1", &llvm);
    let libjulia = library("libLLVM-9.so.1", "libjulia.so.1", Some("$ORIGIN"));
    fs_err::write(julia.prefix.join("lib/libjulia.so.1.5"), libjulia).unwrap();

    let (libraries, decisions) = collect_for(&julia, &Settings::default()).unwrap();
    assert_eq!(parse(&libraries, "lib/no-z3.so.4").soname.as_deref(), Some("no-z3.so.4"));
    let Source::File(small) = &libraries.files[Path::new("lib/no-z3.so.4")].source else {
        panic!("not made")
    };
    let small = fs_err::read(small).unwrap();
    assert!(small.len() < 2000 && memchr::memmem::find(&small, b"Z3_a\0").is_some());
    assert!(
        memchr::memmem::find(&small, b"Z3_b\0").is_none()
            && memchr::memmem::find(&small, b"rule `z3`").is_some()
    );
    // What needed it needs the small one, whoever else has the name of the real one.
    let llvm = format!("lib/{}", unique(&julia, "lib/libLLVM-9.so.1"));
    assert_eq!(parse(&libraries, &llvm).needed[..2], ["no-z3.so.4", "no-edit.so.2"]);
    let left_out = |name: &str| decisions.left_out[&format!("julia/lib/{name}")].rule.clone();
    assert_eq!((left_out("libz3.so.4"), left_out("libedit.so.2")), ("z3".into(), "line-editor".into()));
    // What only the real one needed goes with it.
    assert_eq!(left_out("libmd.so.0"), "line-editor");
    assert!(
        ["z3.so.4", "md.so.0"]
            .iter()
            .all(|name| { !libraries.files.contains_key(&Path::new("lib").join(format!("lib{name}"))) })
    );
    // Debug information goes too.
    let Source::File(llvm) = &libraries.files[Path::new(&llvm)].source else { panic!("not a file") };
    assert!(memchr::memmem::find(&fs_err::read(llvm).unwrap(), b".c\0").is_none());

    let all = Settings { include: vec!["z3".into(), "debug-information".into()], ..Settings::default() };
    let (libraries, _) = collect_for(&julia, &all).unwrap();
    let stored = Path::new("lib").join(unique(&julia, "lib/libz3.so.4"));
    let Source::File(stored) = &libraries.files[&stored].source else { panic!("not a file") };
    let functions = |path: &Path| Elf::symbols(&fs_err::read(path).unwrap()).unwrap().unwrap().defined;
    assert_eq!(functions(stored), functions(&solver));
}

#[test]
fn ok_a_run_path_is_replaced_unless_it_is_known_to_lead_there() {
    let wanted = BTreeSet::from([PathBuf::from("p/_jnumpy/lib/julia")]);
    for (has, gets) in [
        ("$ORIGIN/julia", None),
        ("${ORIGIN}/julia", None),
        ("$ORIGIN/julia:$ORIGINAL/lib", Some("$ORIGIN/julia")),
        ("$ORIGIN/julia:$ORIGIN/$LIB", Some("$ORIGIN/julia")),
        ("$ORIGIN/julia:", Some("$ORIGIN/julia")),
        ("$ORIGIN", Some("$ORIGIN/julia")),
        // Out of the package.
        ("$ORIGIN/julia:$ORIGIN/../../lib", Some("$ORIGIN/julia")),
    ] {
        let elf = Elf::parse(&library("libone.so", "libtwo.so", Some(has))).unwrap();
        assert_eq!(better_run_path(&elf, Path::new("p/_jnumpy/lib"), &wanted).as_deref(), gets, "{has}");
    }
}
