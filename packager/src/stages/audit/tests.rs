use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Against, Audit, AuditError, Check, Examined, Finding, Level, audit, libraries};
use jnumpy_base::Report;
use jnumpy_elf::{Elf, VersionNeed, shim};
use jnumpy_wheel::{Content, Contents, EntryPoints, Metadata, Wheel, WriteOptions};

const TAG: &str = "cp310-abi3-manylinux_2_28_x86_64";

/// Writes a wheel of these files.
fn write(files: &[(&str, &[u8])], directory: &Path) -> PathBuf {
    let mut contents = Contents::new();
    for (path, bytes) in files {
        contents.add(path.parse().unwrap(), Content::bytes(*bytes)).unwrap();
    }
    let mut licenses = Contents::new();
    for name in ["a/LICENSE", "b/LICENSE"] {
        licenses.add(name.parse().unwrap(), Content::bytes("free ".repeat(1000))).unwrap();
    }
    let wheel = Wheel {
        tag: TAG.parse().unwrap(),
        metadata: Metadata::new("sample", "1.0".parse().unwrap()),
        entry_points: EntryPoints::default(),
        licenses,
        sbom: None,
        contents,
    };
    let options = WriteOptions { level: 6, threads: 1.try_into().unwrap(), epoch: None };
    wheel.write(directory, &options, &Report::new(true)).unwrap().path
}

fn run(path: &Path) -> Result<Audit, AuditError> {
    let against = Against { forbidden_paths: &["/build/place".into()], julia_wheel: None };
    audit(path, &against, &Report::new(true))
}

fn said(audit: &Audit) -> Vec<String> {
    audit
        .findings
        .iter()
        .map(|finding| {
            format!("{:?} {}: {}", finding.check, finding.file.as_deref().unwrap_or("-"), finding.what)
        })
        .collect()
}

/// A small wheel with a stored, a deflated and an empty file.
fn sample() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        &[("sample/__init__.py", b""), ("sample/größe.txt", &b"text ".repeat(300)), ("sample/x", b"x")],
        directory.path(),
    );
    (directory, path)
}

#[test]
fn ok_clean() {
    let (_directory, path) = sample();
    let audit = run(&path).unwrap();
    assert!(audit.findings.is_empty() && audit.passed, "{:?}", said(&audit));
    assert_eq!((audit.files, audit.libraries), (8, 0));
    audit.verdict(&path).unwrap();
}

/// Every file of a wheel as another reader sees it.
fn unpacked(bytes: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).ok()?;
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).ok()?;
        let mut data = Vec::new();
        file.read_to_end(&mut data).ok()?;
        files.insert(file.name().ok()?.to_string(), data);
    }
    Some(files)
}

#[test]
fn err_every_truncation() {
    let (_directory, path) = sample();
    let bytes = fs_err::read(&path).unwrap();
    for length in 0..bytes.len() {
        fs_err::write(&path, &bytes[..length]).unwrap();
        assert!(matches!(run(&path), Err(AuditError::Broken { .. })), "{length} bytes");
    }
}

#[test]
fn err_flipped_bits() {
    let (_directory, path) = sample();
    let bytes = fs_err::read(&path).unwrap();
    let original = unpacked(&bytes).unwrap();
    let mut silent = 0;
    // Two or three bits of every byte: all of them take a minute.
    for bit in (0..8 * bytes.len()).step_by(3) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs_err::write(&path, &flipped).unwrap();
        if run(&path).is_ok_and(|audit| audit.findings.is_empty()) {
            // Only the unused bits at the end of a deflate stream may change.
            assert!(unpacked(&flipped).as_ref() == Some(&original), "byte {}, bit {}", bit / 8, bit % 8);
            silent += 1;
        }
    }
    assert!(silent < 8 * original.len(), "{silent} flips were not noticed");
}

#[test]
fn err_bytes_before_between_and_after() {
    let (_directory, path) = sample();
    let bytes = fs_err::read(&path).unwrap();
    for changed in [[b"MZ", &bytes[..]].concat(), [&bytes[..], b"\n"].concat()] {
        fs_err::write(&path, changed).unwrap();
        assert!(matches!(run(&path), Err(AuditError::Broken { .. })));
    }
    // Two bytes before the directory, whose offset is corrected.
    let end = bytes.len() - 22;
    let start = u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap());
    let mut changed = [&bytes[..start as usize], b"!!", &bytes[start as usize..]].concat();
    changed[end + 2 + 16..end + 2 + 20].copy_from_slice(&(start + 2).to_le_bytes());
    fs_err::write(&path, changed).unwrap();
    assert_eq!(
        said(&run(&path).unwrap()),
        ["Zip -: there are bytes between the last file and the directory"]
    );
}

#[test]
fn err_sizes_are_not_believed() {
    let (_directory, path) = sample();
    let mut bytes = fs_err::read(&path).unwrap();
    // The claim of 4 GB for `größe.txt`, in both of its headers.
    let size = 1500_u32.to_le_bytes();
    let locations: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..at + 4] == size).collect();
    assert_eq!(locations.len(), 2);
    for location in locations {
        bytes[location..location + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    }
    fs_err::write(&path, bytes).unwrap();
    let said = said(&run(&path).unwrap());
    assert!(
        said.contains(&"Zip sample/größe.txt: its declared size is impossible for its data".into()),
        "{said:?}"
    );
}

#[test]
fn err_another_name() {
    let (directory, path) = sample();
    for (name, expected) in [
        ("other-1.0-cp310-abi3-manylinux_2_28_x86_64.whl", "Name sample-1.0.dist-info: "),
        ("sample-1.1-cp310-abi3-manylinux_2_28_x86_64.whl", "Name sample-1.0.dist-info: "),
        ("sample-1.0-cp311-abi3-manylinux_2_28_x86_64.whl", "Metadata sample-1.0.dist-info/WHEEL: "),
        ("sample.whl", "Name -: "),
    ] {
        let other = directory.path().join(name);
        fs_err::copy(&path, &other).unwrap();
        let audit = run(&other).unwrap();
        assert!(
            !audit.passed && said(&audit).iter().any(|line| line.starts_with(expected)),
            "{:?}",
            said(&audit)
        );
        assert!(matches!(audit.verdict(&other), Err(AuditError::Failed { .. })));
    }
}

#[test]
fn ok_build_paths_and_duplicates() {
    let directory = tempfile::tempdir().unwrap();
    let twice = vec![7; 300_000];
    let path = write(
        &[
            ("a.py", b"open('/build/place/x')"),
            ("b.so", b"\0/build/place/x\0/build/place/y\0"),
            // An image contains the path of its build tree, which the runtime overwrites.
            ("b2.so", b"\0/tmp/jnumpy-0123/x\0"),
            ("b3.py", b"open('/tmp/jnumpy-0123/x')"),
            // Equal, and small.
            ("b4", &[7; 5000]),
            ("b5", &[7; 5000]),
            ("c", &twice),
            ("d", &twice),
        ],
        directory.path(),
    );
    assert_eq!(
        said(&run(&path).unwrap()),
        [
            "BuildPath a.py: it names `/build/place`, times: 1",
            "BuildPath b3.py: it names `/tmp/jnumpy`, times: 1",
            "BuildPath b.so: it names `/build/place`, times: 2",
            "Duplicate d: its 300000 bytes are those of `c`",
        ]
    );
}

#[test]
fn ok_json_is_versioned_and_sorted() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        &[("b.py", b"/build/place"), ("a.py", b"/build/place"), ("a.so", b"\0/build/place")],
        directory.path(),
    );
    let json = serde_json::to_value(run(&path).unwrap()).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["passed"], false);
    let findings = json["findings"].as_array().unwrap();
    let files: Vec<&str> = findings.iter().map(|finding| finding["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["a.py", "b.py", "a.so"]);
    assert_eq!(findings[0]["check"], "build-path");
    assert_eq!((&findings[0]["level"], &findings[2]["level"]), (&"failure".into(), &"warning".into()));
}

/// Facts of an ELF file of this machine that needs nothing, but for a change.
fn elf(change: impl FnOnce(&mut Elf)) -> Elf {
    let own = fs_err::read(std::env::current_exe().unwrap()).unwrap();
    let like = Elf::parse(&own).unwrap();
    let mut elf = Elf::parse(&shim("libreal.so", "libshim.so", None, &like).unwrap()).unwrap();
    (elf.needed, elf.soname) = (Vec::new(), None);
    change(&mut elf);
    elf
}

fn check(tag: &str, files: Vec<(&str, Elf)>) -> Vec<Finding> {
    let files = files.into_iter().map(|(path, elf)| {
        (path.parse().unwrap(), Examined { size: 0, sha256: [0; 32], elf: Some(elf), description: None })
    });
    let mut findings = Vec::new();
    libraries::check(&tag.parse().unwrap(), &files.collect(), &BTreeMap::new(), &mut findings);
    findings
}

fn needing(needed: &str, runpath: Option<&str>) -> Elf {
    elf(|elf| (elf.needed, elf.runpath) = (vec![needed.into()], runpath.map(Into::into)))
}

#[test]
fn ok_libraries_that_are_found() {
    let findings = check(
        TAG,
        vec![
            ("a/bin/tool", needing("libx.so.1", Some("$ORIGIN/../lib"))),
            ("a/lib/libx.so.1", needing("libc.so.6", None)),
            (
                "a/lib/liby.so",
                elf(|elf| (elf.needed, elf.rpath) = (vec!["libx.so.1".into()], Some("$ORIGIN".into()))),
            ),
        ],
    );
    assert_eq!(findings, []);
}

#[test]
fn err_libraries() {
    let asking = |version: &str| {
        let need = VersionNeed { library: "libc.so.6".into(), version: version.into() };
        elf(|elf| (elf.needed, elf.requires) = (vec!["libc.so.6".into()], [need].into()))
    };
    let library = || ("a/lib/libx.so.1", elf(|_| ()));
    for (name, elf, check_name, level, word) in [
        (
            "a/x.so",
            needing("libx.so.1", None),
            Check::Needed,
            Level::Failure,
            "in no directory of its run path",
        ),
        ("a/lib/x.so", needing("libx.so.1", None), Check::Needed, Level::Warning, "from its own directory"),
        (
            "a/x.so",
            needing("libother.so", Some("$ORIGIN/lib")),
            Check::Needed,
            Level::Failure,
            "neither in the wheel",
        ),
        ("a/x.so", needing("/lib/libx.so.1", None), Check::Needed, Level::Failure, "by a path"),
        (
            "a/x.so",
            elf(|elf| elf.runpath = Some("/usr/lib".into())),
            Check::RunPath,
            Level::Failure,
            "`/usr/lib`",
        ),
        ("a/x.cpython-312-x86_64-linux-gnu.so", elf(|_| ()), Check::Interpreter, Level::Failure, "`cp312`"),
        (
            "a/_jnumpy/x.so",
            elf(|elf| elf.runpath = Some("$ORIGIN".into())),
            Check::RunPath,
            Level::Failure,
            "`LD_LIBRARY_PATH`",
        ),
        (
            "a/x.so",
            elf(|elf| elf.rpath = Some("$ORIGIN/../../y".into())),
            Check::RunPath,
            Level::Failure,
            "does not lead from",
        ),
        ("a/x.so", elf(|elf| elf.executable_stack = true), Check::ExecutableStack, Level::Failure, "stack"),
        ("a/libstdc++.so.6", elf(|_| ()), Check::SystemLibrary, Level::Failure, "`libstdc++.so.6`"),
        (
            "a/y.so",
            elf(|elf| elf.soname = Some("libz.so.1".into())),
            Check::SystemLibrary,
            Level::Failure,
            "`libz.so.1`",
        ),
        (
            "a/x.so",
            asking("GLIBC_2.29"),
            Check::Symbols,
            Level::Failure,
            "`GLIBC_2.29` of `libc.so.6`, which `manylinux_2_28_",
        ),
    ] {
        let findings = check(TAG, vec![library(), (name, elf)]);
        let [finding] = &findings[..] else { panic!("{name}: {findings:?}") };
        assert_eq!((finding.check, finding.level, finding.file.as_deref()), (check_name, level, Some(name)));
        assert!(finding.what.contains(word), "{}", finding.what);
    }
    assert_eq!(check(TAG, vec![("a/x.so", asking("GLIBC_2.28"))]), []);
}

#[test]
fn err_wrong_machine() {
    let findings = check("cp310-abi3-manylinux_2_28_aarch64", vec![("a.so", elf(|_| ()))]);
    assert_eq!(findings.iter().map(|finding| finding.check).collect::<Vec<_>>(), [Check::Machine]);
    let findings = check("py3-none-any", vec![("a.so", elf(|_| ()))]);
    assert_eq!(findings.iter().map(|finding| finding.check).collect::<Vec<_>>(), [Check::Symbols]);
}
