//! The rewriter against the tools that know best: `readelf` reads its files, the system's loader opens and runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use goblin::elf::dynamic::DT_VERNEED;
use goblin::elf::program_header::{PF_X, PT_DYNAMIC, PT_GNU_STACK, PT_NOTE, PT_PHDR};
use tempfile::TempDir;

use super::tables::Tables;
use super::tables::write_segment;
use super::*;

const LONG: &str =
    "$ORIGIN:$ORIGIN/../lib/julia:$ORIGIN/../a/path/that/fits/into/no/slot/of/any/library/there/is";

fn run(command: &mut Command, package: &str) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .unwrap_or_else(|error| panic!("`{name}` cannot be started ({error}); install `{package}`"))
}

fn readelf(arguments: &str, file: &Path) -> String {
    let output = run(Command::new("readelf").args(["-W", arguments]).arg(file), "binutils");
    assert!(output.stderr.is_empty(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn compile(directory: &TempDir, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (input, output) = (directory.path().join(format!("{name}.c")), directory.path().join(name));
    fs_err::write(&input, source).unwrap();
    let mut command = Command::new("cc");
    let compiled = run(command.arg(&input).arg("-o").arg(&output).args(flags), "gcc");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    output
}

/// Opens a library, with every symbol bound at once, in a process of its own.
fn opens(file: &Path, symbol: &str) -> Result<(), String> {
    const SCRIPT: &str = "import ctypes, os, sys\n\
        library = ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)\n\
        if sys.argv[2]: getattr(library, sys.argv[2])";
    let output = run(Command::new("python3").args(["-c", SCRIPT]).arg(file).arg(symbol), "python3");
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{}: {reason}", output.status)) }
}

fn run_path(path: &str) -> Edits {
    Edits { run_path: Some(path.into()), ..Edits::default() }
}

fn rewritten(bytes: &[u8], edits: &Edits) -> Vec<u8> {
    let once = rewrite(bytes.to_vec(), edits).unwrap();
    assert!(rewrite(once.clone(), edits).unwrap() == once, "a second run changed the file");
    once
}

/// The shared libraries of this machine, largest last.
fn system_libraries() -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for directory in ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"] {
        let Ok(entries) = fs_err::read_dir(directory) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_file()
                && !path.is_symlink()
                && let bytes = fs_err::read(&path).unwrap()
                && is_elf(&bytes)
            {
                found.insert((bytes.len(), path), bytes);
            }
        }
    }
    assert!(found.len() > 20, "this test wants the shared libraries of a usual Linux machine");
    found.into_iter().map(|((_, path), bytes)| (path, bytes)).collect()
}

#[test]
fn reads_what_goblin_reads() {
    for (path, bytes) in system_libraries() {
        let ours = Elf::parse(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let theirs = goblin::elf::Elf::parse(&bytes).unwrap();
        assert_eq!(ours.needed, theirs.libraries, "{}", path.display());
        assert_eq!(ours.soname.as_deref(), theirs.soname);
        assert_eq!(ours.interpreter.as_deref(), theirs.interpreter);
        assert_eq!(ours.rpath.iter().collect::<Vec<_>>(), theirs.rpaths.iter().collect::<Vec<_>>());
        assert_eq!(ours.runpath.iter().collect::<Vec<_>>(), theirs.runpaths.iter().collect::<Vec<_>>());
        let name = |offset| theirs.dynstrtab.get_at(offset).unwrap().to_owned();
        let requires = (theirs.verneed.iter().flat_map(goblin::elf::symver::VerneedSection::iter))
            .flat_map(|need| {
                let library = name(need.vn_file);
                let versions: Vec<_> = need.iter().map(|version| name(version.vna_name)).collect();
                versions.into_iter().map(move |version| VersionNeed { library: library.clone(), version })
            })
            .collect();
        assert_eq!(ours.requires, requires, "{}", path.display());
    }
}

#[test]
fn rewrites_system_libraries_so_that_readelf_and_the_loader_agree() {
    let directory = TempDir::new().unwrap();
    let mut opened = 0;
    let shared = |(_, bytes): &(PathBuf, Vec<u8>)| Elf::parse(bytes).unwrap().kind == Kind::SharedObject;
    for (path, bytes) in system_libraries().into_iter().filter(shared).step_by(5).take(40) {
        let control = directory.path().join("control.so");
        let copy = directory.path().join("copy.so");
        let changed = rewritten(&bytes, &run_path(LONG));
        fs_err::write(&control, &bytes).unwrap();
        fs_err::write(&copy, &changed).unwrap();

        assert!(readelf("-d", &copy).contains(&format!("Library rpath: [{LONG}]")), "{}", path.display());
        let rows = |file: &Path, arguments: &str| -> Vec<String> {
            let text = readelf(arguments, file);
            text.lines().filter(|line| !line.contains("Addr:")).map(str::to_owned).collect()
        };
        assert_eq!(rows(&control, "-V"), rows(&copy, "-V"), "{}", path.display());
        assert_eq!(rows(&control, "--dyn-syms"), rows(&copy, "--dyn-syms"), "{}", path.display());
        readelf("-lS", &copy);
        // Some libraries cannot be opened twice, or not from elsewhere, even as they are.
        if opens(&control, "").is_ok() {
            assert_eq!(opens(&copy, ""), Ok(()), "{}", path.display());
            opened += 1;
        }
    }
    assert!(opened > 10, "only {opened} libraries could be opened");
}

#[test]
fn a_run_path_that_fits_is_changed_in_place() {
    let directory = TempDir::new().unwrap();
    let flags = ["-shared", "-fPIC", "-Wl,-rpath,/build/machine/lib", "-Wl,--enable-new-dtags"];
    let library = fs_err::read(compile(&directory, "lib.so", "int f(void) { return 1; }", &flags)).unwrap();
    let changed = rewritten(&library, &run_path("$ORIGIN"));
    assert_eq!(changed.len(), library.len());
    assert_eq!(Elf::parse(&changed).unwrap().rpath.as_deref(), Some("$ORIGIN"));
    assert!(!contains(&changed, b"/build/machine"), "the old path stayed in the file");

    let longer = rewritten(&library, &run_path(LONG));
    assert!(!contains(&longer, b"/build/machine"), "the old path stayed in the file");
    let removed = rewritten(&library, &run_path(""));
    assert_eq!(removed.len(), library.len());
    let without = Elf::parse(&removed).unwrap();
    assert_eq!((without.rpath, without.runpath), (None, None));
    assert!(!contains(&removed, b"/build/machine"), "the old path stayed in the file");
}

#[test]
fn a_runpath_becomes_an_rpath() {
    let directory = TempDir::new().unwrap();
    let flags = ["-shared", "-fPIC", "-Wl,-rpath,/somewhere/else", "-Wl,--enable-new-dtags"];
    let library = fs_err::read(compile(&directory, "lib.so", "int f(void) { return 1; }", &flags)).unwrap();
    assert_eq!(Elf::parse(&library).unwrap().runpath.as_deref(), Some("/somewhere/else"));
    for path in ["$ORIGIN", "/somewhere/else", LONG] {
        let changed = Elf::parse(&rewritten(&library, &run_path(path))).unwrap();
        assert_eq!((changed.rpath.as_deref(), changed.runpath), (Some(path), None));
    }
    assert!(rewrite(library.clone(), &Edits::default()).unwrap() == library);
}

#[test]
fn a_full_dynamic_table_moves() {
    let directory = TempDir::new().unwrap();
    let flags = ["-shared", "-fPIC", "-Wl,--spare-dynamic-tags=0"];
    let path =
        compile(&directory, "lib.so", "#include <stdio.h>\nint f(void) { return puts(\"\"); }", &flags);
    let library = fs_err::read(&path).unwrap();
    let changed = rewritten(&library, &run_path(LONG));
    fs_err::write(&path, &changed).unwrap();
    assert!(readelf("-d", &path).contains(LONG));
    assert_eq!(opens(&path, "f"), Ok(()));
    let tables = Tables::parse(&changed).unwrap();
    let dynamic = tables.segment(PT_DYNAMIC).unwrap();
    let load = tables.loads().last().unwrap();
    assert!(load.is_write() && dynamic.p_vaddr > load.p_vaddr, "the table is not in the new segment");
}

#[test]
fn programs_run_after_their_headers_moved() {
    // The program looks at its own headers as the kernel gives them to it.
    let source = "#include <link.h>\n#include <stdio.h>\n#include <sys/auxv.h>\nstatic char zeros[3000000];\n\
        int main(void) { const ElfW(Phdr) *header = (void *)getauxval(AT_PHDR);\n\
        puts(header->p_type == PT_PHDR && !zeros[2999999] ? \"well\" : \"ill\"); return 0; }";
    let directory = TempDir::new().unwrap();
    for flags in [["-pie", "-fPIE"], ["-no-pie", "-fno-PIE"]] {
        let program = compile(&directory, "program", source, &flags);
        let bytes = rewritten(&fs_err::read(&program).unwrap(), &run_path(LONG));
        assert_eq!(Elf::parse(&bytes).unwrap().kind, Kind::Executable);
        fs_err::write(&program, &bytes).unwrap();
        let output = run(&mut Command::new(&program), "gcc");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "well\n", "{flags:?}: {}", output.status);

        // What old kernels compute for AT_PHDR.
        let tables = Tables::parse(&bytes).unwrap();
        let (first, headers) = (tables.loads().next().unwrap(), tables.segment(PT_PHDR).unwrap());
        assert_eq!(headers.p_vaddr, tables.header.e_phoff + first.p_vaddr - first.p_offset);
        assert_eq!(tables.segments[0].p_type, PT_PHDR);
    }
}

#[test]
fn an_executable_stack_is_given_up() {
    let directory = TempDir::new().unwrap();
    let edits = Edits { clear_executable_stack: true, ..Edits::default() };
    let source = "int f(void) { return 1; }";
    let path = compile(&directory, "lib.so", source, &["-shared", "-fPIC", "-Wl,-z,execstack"]);
    let asking = fs_err::read(&path).unwrap();
    assert!(Elf::parse(&asking).unwrap().executable_stack);
    let changed = rewritten(&asking, &edits);
    assert_eq!(changed.len(), asking.len());
    assert!(!Elf::parse(&changed).unwrap().executable_stack);
    // Together with a move of the headers, whose copy must have the flag cleared too.
    let moved = rewritten(&asking, &Edits { run_path: Some(LONG.into()), ..edits.clone() });
    assert!(!Elf::parse(&moved).unwrap().executable_stack);

    // A file that says nothing gets an executable stack on x86, and has no header to clear.
    let mut silent = asking;
    let tables = Tables::parse(&silent).unwrap();
    let index = tables.segments.iter().position(|segment| segment.p_type == PT_GNU_STACK).unwrap();
    let mut note = tables.segments[index].clone();
    (note.p_type, note.p_flags) = (PT_NOTE, note.p_flags & !PF_X);
    write_segment(&mut silent, &tables, tables.header.e_phoff, index, note).unwrap();
    if Elf::parse(&silent).unwrap().executable_stack {
        fs_err::write(&path, rewritten(&silent, &edits)).unwrap();
        assert!(readelf("-l", &path).contains("GNU_STACK"));
        assert_eq!(opens(&path, "f"), Ok(()));
    }
}

#[test]
fn shims_forward_to_the_real_library() {
    let directory = TempDir::new().unwrap();
    let real = compile(&directory, "libreal.so.1", "int f(void) { return 1; }", &["-shared", "-fPIC"]);
    let like = Elf::parse(&fs_err::read(real).unwrap()).unwrap();
    let bytes = shim("libreal.so.1", "libreal.so", Some("$ORIGIN"), &like).unwrap();
    assert!(bytes.len() < 600, "{} bytes", bytes.len());
    let path = directory.path().join("libreal.so");
    fs_err::write(&path, &bytes).unwrap();
    assert_eq!(opens(&path, "f"), Ok(()));
    let text = readelf("-a", &path);
    assert!(text.contains("Shared library: [libreal.so.1]"), "{text}");
    assert!(rewrite(bytes.clone(), &run_path("$ORIGIN")).unwrap() == bytes);
    // Without a run path there is no slot for one, and no section that says what else uses the strings.
    let bare = shim("libreal.so.1", "libreal.so", None, &like).unwrap();
    fs_err::write(&path, rewritten(&bare, &run_path("$ORIGIN"))).unwrap();
    assert_eq!(opens(&path, "f"), Ok(()));
}

fn is_debug(name: &str) -> bool {
    name.starts_with(".debug_") || name == ".symtab" || name == ".strtab"
}

/// Names of sections and their contents' sizes, as readelf prints them.
fn sections(file: &Path) -> BTreeMap<String, String> {
    let text = readelf("-S", file);
    let rows = text.lines().filter_map(|line| line.split_once(']'));
    rows.map(|(_, row)| row.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.len() > 5)
        .map(|row| (row[0].to_owned(), row[4].to_owned()))
        .collect()
}

#[test]
fn stripping_takes_debug_information_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let source = "#include <stdio.h>\nstatic int hidden(int x) { return x + 1; }\n\
                  int f(int x) { printf(\"%d\", x); return hidden(x); }";
    let flags = ["-shared", "-fPIC", "-g", "-O1"];
    let path = compile(&directory, "lib.so", source, &flags);
    let full = fs_err::read(&path).unwrap();
    let before = sections(&path);
    assert!(before.contains_key(".debug_info") && before.contains_key(".symtab"), "{before:?}");

    let stripped = strip(full.clone(), is_debug).unwrap();
    assert!(stripped.len() < full.len() / 2 + 8192 && stripped.len() < full.len(), "{}", stripped.len());
    assert!(strip(stripped.clone(), is_debug).unwrap() == stripped, "a second run changed the file");
    assert_eq!(Elf::parse(&stripped).unwrap(), Elf::parse(&full).unwrap());
    fs_err::write(&path, &stripped).unwrap();
    assert_eq!(opens(&path, "f"), Ok(()));
    let after = sections(&path);
    let expected: BTreeMap<_, _> =
        before.into_iter().filter(|(name, _)| name.starts_with('.') && !is_debug(name)).collect();
    assert_eq!(
        after.into_iter().filter(|(name, _)| name.starts_with('.')).collect::<BTreeMap<_, _>>(),
        expected
    );

    // A table that another one refers to stays, and so does what is loaded, whatever is asked.
    let kept = strip(full.clone(), |name| name == ".strtab" || name == ".text").unwrap();
    assert!(kept == full);
    // Stripped files can be given a run path, which adds a segment behind everything.
    fs_err::write(&path, rewritten(&stripped, &run_path(LONG))).unwrap();
    assert_eq!(opens(&path, "f"), Ok(()));
    readelf("-a", &path);
    // What follows the sections belongs to somebody.
    let signed = [full.as_slice(), b"a signature"].concat();
    assert!(strip(signed.clone(), is_debug).unwrap() == signed);
}

#[test]
fn a_segment_behind_debug_information_moves_up() {
    let directory = TempDir::new().unwrap();
    // As other tools do, the rewriter appends what no longer fits behind everything else.
    let source = "#include <stdio.h>\n_Thread_local int t; static char zeros[70000];\n\
                  int f(int x) { printf(\"%d\", x); return zeros[x] + t; }";
    for page in ["-Wl,-z,max-page-size=4096", "-Wl,-z,max-page-size=65536"] {
        let path = compile(&directory, "lib.so", source, &["-shared", "-fPIC", "-g3", page]);
        let full = rewritten(&fs_err::read(&path).unwrap(), &run_path(LONG));
        fs_err::write(&path, &full).unwrap();
        let before = sections(&path);
        assert!(before.contains_key(".debug_info"), "{before:?}");
        let stripped = strip(full.clone(), is_debug).unwrap();
        assert!(strip(stripped.clone(), is_debug).unwrap() == stripped, "a second run changed the file");
        assert_eq!(Elf::parse(&stripped).unwrap(), Elf::parse(&full).unwrap());
        fs_err::write(&path, &stripped).unwrap();
        assert_eq!(opens(&path, "f"), Ok(()));
        let named = |sections: BTreeMap<String, String>| -> BTreeMap<String, String> {
            sections.into_iter().filter(|(name, _)| name.starts_with('.') && !is_debug(name)).collect()
        };
        assert_eq!(named(sections(&path)), named(before));
        readelf("-a", &path);
        let copy = directory.path().join("copy.so");
        fs_err::write(&copy, &full).unwrap();
        let output = run(Command::new("strip").arg("--strip-all").arg(&copy), "binutils");
        assert!(output.status.success());
        let (ours, theirs) = (stripped.len(), fs_err::read(&copy).unwrap().len());
        assert!(ours < full.len() && ours <= theirs + 4096, "{} to {ours}, {theirs}", full.len());
    }
}

#[test]
fn a_program_whose_headers_lie_behind_debug_information_stays() {
    let directory = TempDir::new().unwrap();
    let program = compile(&directory, "program", "int main(void) { return 0; }", &["-g"]);
    let moved = rewritten(&fs_err::read(&program).unwrap(), &run_path(LONG));
    assert!(strip(moved.clone(), is_debug).unwrap() == moved);
}

#[test]
fn stripped_system_libraries_load() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("stripped.so");
    let everything = |name: &str| !name.starts_with(".shstrtab");
    let mut smaller = 0;
    let libraries = system_libraries().into_iter().step_by(5);
    for (origin, bytes) in
        libraries.filter(|(_, bytes)| Elf::parse(bytes).unwrap().kind == Kind::SharedObject)
    {
        let stripped = strip(bytes.clone(), everything).unwrap();
        smaller += usize::from(stripped.len() < bytes.len());
        assert_eq!(Elf::parse(&stripped).unwrap(), Elf::parse(&bytes).unwrap(), "{}", origin.display());
        fs_err::write(&path, &stripped).unwrap();
        readelf("-S", &path);
        if opens(&origin, "").is_ok() {
            assert_eq!(opens(&path, ""), Ok(()), "{}", origin.display());
        }
    }
    assert!(smaller > 10, "{smaller}");
}

#[test]
fn a_stand_in_has_every_function_and_says_what_it_is() {
    let directory = TempDir::new().unwrap();
    let source =
        "int one(void); int two(void); int f(int x) { return x ? one() : two(); }\nint g(void) { return 7; }";
    let user = compile(&directory, "libuser.so", source, &["-shared", "-fPIC", "-Wl,-z,lazy"]);
    let bytes = fs_err::read(&user).unwrap();
    let asked = Elf::symbols(&bytes).unwrap().unwrap();
    assert!(asked.defined.contains("f") && asked.asked.contains("one"), "{asked:?}");
    let functions = ["one", "two"].map(str::to_owned).into();
    let like = Elf::parse(&bytes).unwrap();
    let versions = BTreeSet::new();
    let answer = Answer::End("libreal was left out\n");
    let standing =
        StandIn { soname: "libreal.so.1", functions: &functions, versions: &versions, answer }.bytes(&like);
    if like.machine != Machine::X86_64 {
        assert!(matches!(standing, Err(ElfError::Unsupported { .. })));
        return;
    }
    let path = directory.path().join("libreal.so.1");
    fs_err::write(&path, standing.unwrap()).unwrap();
    readelf("-a", &path);
    assert_eq!(opens(&path, "two"), Ok(()));
    assert!(opens(&path, "three").is_err());
    // Linked with the real one, and all symbols bound at once, as with LD_BIND_NOW.
    let standing = fs_err::read(&path).unwrap();
    let real = "int one(void) { return 1; } int two(void) { return 2; }";
    compile(&directory, "libreal.so.1", real, &["-shared", "-fPIC", "-Wl,-soname,libreal.so.1"]);
    let flags = ["-shared", "-fPIC", "-Wl,-rpath,$ORIGIN", "-Wl,-z,now"];
    let linked = [flags.as_slice(), &[path.to_str().unwrap()]].concat();
    let user = compile(&directory, "libuser.so", source, &linked);
    fs_err::write(&path, standing).unwrap();
    assert_eq!(opens(&user, "g"), Ok(()));
    let call = format!("import ctypes; ctypes.CDLL({:?}).f(1)", user.to_str().unwrap());
    let output = run(Command::new("python3").args(["-c", &call]), "python3");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "libreal was left out\n");
}

#[test]
fn a_stand_in_has_the_versions_that_are_asked_and_a_name_of_its_own() {
    let directory = TempDir::new().unwrap();
    let script = directory.path().join("versions");
    fs_err::write(&script, "V_1 { global: one; };\nV_2 { global: two; };").unwrap();
    let version = format!("-Wl,--version-script={}", script.display());
    let real = "int one(void) { return 1; } int two(void) { return 2; }";
    let flags = ["-shared", "-fPIC", "-Wl,-soname,libreal.so.1", &version];
    let real = compile(&directory, "libreal.so.1", real, &flags);
    let source = "int one(void); int two(void); int sum(void) { return one() + two(); }";
    let flags = ["-shared", "-fPIC", "-Wl,-rpath,$ORIGIN", real.to_str().unwrap()];
    let user = compile(&directory, "libuser.so", source, &flags);
    let bytes = fs_err::read(&user).unwrap();
    let like = Elf::parse(&bytes).unwrap();
    if like.machine != Machine::X86_64 {
        return;
    }
    let needs = like.requires.iter().filter(|need| need.library == "libreal.so.1");
    let versions: BTreeSet<String> = needs.map(|need| need.version.clone()).collect();
    assert_eq!(versions.iter().map(String::as_str).collect::<Vec<_>>(), ["V_1", "V_2"]);
    let functions = ["one", "two"].map(str::to_owned).into();
    for soname in ["no-real.so.1", "a-name-that-is-longer.so.1"] {
        let renamed = BTreeMap::from([("libreal.so.1".to_owned(), soname.to_owned())]);
        let changed = rewritten(&bytes, &Edits { needed: renamed, ..Edits::default() });
        assert_eq!(changed.len() == bytes.len(), soname.len() <= "libreal.so.1".len());
        assert!(Elf::parse(&changed).unwrap().needed.contains(&soname.to_owned()));
        fs_err::write(&user, changed).unwrap();
        let answer = Answer::Return(-1);
        let standing = StandIn { soname, functions: &functions, versions: &versions, answer };
        let standing = standing.bytes(&like).unwrap();
        assert_eq!(Elf::parse(&standing).unwrap().defines, versions);
        let path = directory.path().join(soname);
        fs_err::write(&path, standing).unwrap();
        readelf("-a", &path);
        // Versions are compared by the loader, symbols bound at once; the real one may be there under its own name.
        let call = format!(
            "import ctypes, os; ctypes.CDLL({real:?}); print(ctypes.CDLL({user:?}, mode=os.RTLD_NOW).sum())"
        );
        let output = run(Command::new("python3").args(["-c", &call]), "python3");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "-2\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_renamed_library_is_not_mistaken_for_one_of_its_old_name() {
    let directory = TempDir::new().unwrap();
    let script = directory.path().join("versions");
    fs_err::write(&script, "V_1 { global: one; };").unwrap();
    let version = format!("-Wl,--version-script={}", script.display());
    let flags = ["-shared", "-fPIC", "-Wl,-soname,libreal.so.1", &version];
    let foreign = compile(&directory, "foreign.so", "int one(void) { return 1; }", &flags);
    let real = compile(&directory, "libreal.so.1", "int one(void) { return 2; }", &flags);
    let flags = ["-shared", "-fPIC", "-Wl,-rpath,$ORIGIN", real.to_str().unwrap()];
    let user = compile(&directory, "libuser.so", "int one(void); int two(void) { return one(); }", &flags);
    let answers = |user: &Path| {
        let call = format!("import ctypes; ctypes.CDLL({foreign:?}); print(ctypes.CDLL({user:?}).two())");
        let output = run(Command::new("python3").args(["-c", &call]), "python3");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(answers(&user), "1\n");
    for name in ["other.so.1", "libreal-of-a-longer-name.so.1"] {
        let named = Edits { soname: Some(name.into()), ..Edits::default() };
        let path = directory.path().join(name);
        fs_err::write(&path, rewritten(&fs_err::read(&real).unwrap(), &named)).unwrap();
        assert!(readelf("-d", &path).contains(&format!("Library soname: [{name}]")));
        let needed = BTreeMap::from([("libreal.so.1".to_owned(), name.to_owned())]);
        let renamed = directory.path().join(format!("user-of-{name}"));
        let edits = Edits { needed, ..Edits::default() };
        fs_err::write(&renamed, rewritten(&fs_err::read(&user).unwrap(), &edits)).unwrap();
        assert_eq!(answers(&renamed), "2\n");
    }
    // The loader knows a library without a SONAME by the name of its file.
    let bare = fs_err::read(compile(&directory, "bare.so", "int f;", &["-shared", "-fPIC"])).unwrap();
    let named = Edits { soname: Some("other.so".into()), ..Edits::default() };
    assert!(rewrite(bare.clone(), &named).unwrap() == bare);
}

#[test]
fn every_class_and_byte_order_is_read() {
    let file = system_libraries().remove(0).1;
    let template = Elf::parse(&file).unwrap();
    for (machine, bits, little_endian) in [(3, 32, true), (183, 64, true), (20, 32, false), (22, 64, false)] {
        let like = Elf { machine: Machine(machine), bits, little_endian, ..template.clone() };
        let bytes = shim("libreal.so.1", "libreal.so", Some("$ORIGIN"), &like).unwrap();
        let elf = Elf::parse(&bytes).unwrap();
        assert_eq!((elf.machine, elf.bits, elf.little_endian), (Machine(machine), bits, little_endian));
        assert_eq!((elf.needed, elf.rpath), (vec!["libreal.so.1".into()], Some("$ORIGIN".into())));
        assert_eq!((elf.soname.as_deref(), elf.kind), (Some("libreal.so"), Kind::SharedObject));
        match rewrite(bytes, &run_path(LONG)) {
            Ok(changed) => assert_eq!(Elf::parse(&changed).unwrap().rpath.as_deref(), Some(LONG)),
            Err(error) => assert!(!little_endian, "{error}"),
        }
    }
}

#[test]
fn edits_that_make_no_sense_are_refused() {
    let file = system_libraries().remove(0).1;
    let renames = |pairs: &[(&str, &str)]| Edits {
        needed: pairs.iter().map(|&(old, new)| (old.to_owned(), new.to_owned())).collect(),
        ..Edits::default()
    };
    for edits in [
        renames(&[("a", "b"), ("b", "c")]),
        renames(&[("a", "")]),
        renames(&[("a", "b\0c")]),
        run_path("a\0b"),
        Edits { soname: Some("a\0b".into()), ..Edits::default() },
        Edits { soname: Some(String::new()), ..Edits::default() },
    ] {
        assert!(matches!(rewrite(file.clone(), &edits), Err(ElfError::Edit { .. })), "{edits:?}");
    }
    assert!(matches!(Elf::parse(b"not at all"), Err(ElfError::NotElf)));
}

/// Damaged files lead to an error or to a file that can be read, whatever is damaged.
#[test]
fn damaged_files_never_panic() {
    let directory = TempDir::new().unwrap();
    let source = "#include <stdio.h>\nint f(void) { return puts(\"\"); }";
    let full = ["-shared", "-fPIC", "-Wl,--spare-dynamic-tags=0"];
    let library = fs_err::read(compile(&directory, "lib.so", source, &full)).unwrap();
    let program =
        fs_err::read(compile(&directory, "program", "int main(void) { return 0; }", &["-Wl,-s"])).unwrap();
    // With a segment behind the sections.
    let grown = rewrite(library.clone(), &run_path(LONG)).unwrap();
    let elf = Elf::parse(&library).unwrap();
    let small = shim("libreal.so.1", "libreal.so", Some("/a/long/enough/path"), &elf).unwrap();
    let needed = BTreeMap::from([("libc.so.6".to_owned(), "libc-renamed.so.6".to_owned())]);
    let soname = Some("renamed.so".to_owned());
    let edits =
        [run_path("$ORIGIN"), Edits { soname, needed, clear_executable_stack: true, ..run_path(LONG) }];
    let (mut refused, mut accepted) = (0, 0);
    let mut check = |bytes: &[u8]| {
        for edits in &edits {
            if let Ok(stripped) = strip(bytes.to_vec(), |name| [".symtab", ".strtab"].contains(&name)) {
                Tables::parse(&stripped).unwrap();
            }
            if let Ok(changed) = rewrite(bytes.to_vec(), edits) {
                Elf::parse(&changed).unwrap();
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    };
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % limit as u64).unwrap()
    };
    for file in [&library, &grown, &program, &small] {
        for length in (0..file.len().min(600)).chain((600..file.len()).step_by(97)) {
            assert!(Elf::parse(&file[..length]).is_err() || length > 600, "{length} bytes are no ELF file");
            check(&file[..length]);
        }
        let tables = Tables::parse(file).unwrap();
        let dynamic = tables.dynamic.as_ref().unwrap();
        let versions = dynamic.value(DT_VERNEED).and_then(|address| tables.offset_of(address)).unwrap_or(0);
        let sections = usize::try_from(tables.header.e_shoff).unwrap().min(file.len() - 1);
        // The tables in which damage can mislead: headers, dynamic table, version table, section headers.
        let starts = [0, 64, dynamic.offset, usize::try_from(versions).unwrap(), sections];
        for round in 0..1000 {
            let mut damaged = file.clone();
            for _ in 0..=round % 3 {
                let at = (starts[next(starts.len())] + next(700)).min(damaged.len() - 1);
                damaged[at] =
                    if next(2) == 0 { damaged[at] ^ (1 << next(8)) } else { [0, 0xff, 0x7f, 1][next(4)] };
            }
            check(&damaged);
        }
    }
    assert!(
        refused > 1000 && accepted > 1000,
        "refused {refused}, accepted {accepted}: too one-sided to mean much"
    );
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
