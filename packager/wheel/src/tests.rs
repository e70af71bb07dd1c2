use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{
    Component, ComponentKind, Content, Contents, Epoch, Metadata, Sbom, Wheel, WheelEntry, WheelError,
    WriteOptions, Written, record,
};
use jnumpy_base::Report;

fn wheel(paths: &[&str]) -> Wheel {
    let mut contents = Contents::new();
    for path in paths {
        contents.add(path.parse().unwrap(), Content::bytes(*path)).unwrap();
    }
    Wheel {
        tag: "cp310-abi3-manylinux_2_28_x86_64".parse().unwrap(),
        metadata: Metadata::new("Sample.Package", "1.0".parse().unwrap()),
        entry_points: super::EntryPoints::default(),
        licenses: Contents::new(),
        sbom: None,
        contents,
    }
}

fn write(wheel: &Wheel, directory: &Path) -> Result<Written, WheelError> {
    let options = WriteOptions { level: 6, threads: 2.try_into().unwrap(), epoch: None };
    wheel.write(directory, &options, &Report::new(true))
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn ok_what_is_listed_is_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut wheel = wheel(&["a/x.py", "b/y.py"]);
    let source = directory.path().join("source");
    fs_err::write(&source, [7; 3000]).unwrap();
    wheel.contents.add("b/z.bin".parse().unwrap(), Content::file(&source)).unwrap();
    wheel.licenses.add("LICENSE".parse().unwrap(), Content::bytes("free")).unwrap();
    wheel.sbom = Some(Sbom { subject: Component::new(ComponentKind::Application, "s"), components: vec![] });
    let written = write(&wheel, directory.path()).unwrap();
    let facts = |entries: &[WheelEntry]| -> Vec<(String, u64)> {
        entries.iter().map(|entry| (entry.path.to_string(), entry.size)).collect()
    };
    assert_eq!(facts(&wheel.list(None).unwrap()), facts(&written.entries));

    let taken = "sample_package-1.0.dist-info/METADATA".parse().unwrap();
    wheel.contents.add(taken, Content::bytes("own")).unwrap();
    assert!(matches!(wheel.list(None), Err(WheelError::Duplicate { .. })));
}

#[test]
fn ok_order_and_record() {
    let directory = tempfile::tempdir().unwrap();
    let mut wheel = wheel(&["z/last.py", "a/first, \"quoted\".py"]);
    wheel.licenses.add("LICENSE".parse().unwrap(), Content::bytes("free")).unwrap();
    wheel.sbom = Some(Sbom { subject: Component::new(ComponentKind::Application, "s"), components: vec![] });
    wheel.entry_points.add("console_scripts", "s", "a:main").unwrap();
    let written = write(&wheel, directory.path()).unwrap();

    assert_eq!(names(directory.path()), ["sample_package-1.0-cp310-abi3-manylinux_2_28_x86_64.whl"]);
    assert_eq!(fs_err::metadata(&written.path).unwrap().len(), written.size);
    let paths: Vec<&str> = written.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "a/first, \"quoted\".py",
            "z/last.py",
            "sample_package-1.0.dist-info/METADATA",
            "sample_package-1.0.dist-info/WHEEL",
            "sample_package-1.0.dist-info/entry_points.txt",
            "sample_package-1.0.dist-info/licenses/LICENSE",
            "sample_package-1.0.dist-info/sboms/jnumpy-pack.cdx.json",
            "sample_package-1.0.dist-info/RECORD",
        ]
    );
    let mut archive = zip::ZipArchive::new(fs_err::File::open(&written.path).unwrap()).unwrap();
    let mut text = Vec::new();
    let mut file = archive.by_name(paths[7]).unwrap();
    std::io::Read::read_to_end(&mut file, &mut text).unwrap();
    let recorded = record::read(&text).unwrap();
    assert_eq!(recorded.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), paths);
    assert!(recorded[7].content.is_none());
}

#[test]
fn ok_an_ordinary_file_that_replaces_the_old() {
    let directory = tempfile::tempdir().unwrap();
    let first = write(&wheel(&["a.py"]), directory.path()).unwrap();
    let ordinary = directory.path().join("ordinary");
    fs_err::write(&ordinary, "").unwrap();
    let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&first.path), mode(&ordinary));
    let second = write(&wheel(&["b.py"]), directory.path()).unwrap();
    assert_eq!(first.path, second.path);
    assert_ne!(first.sha256, second.sha256);
    assert_eq!(names(directory.path()).len(), 2);
}

#[test]
fn ok_only_the_epoch_changes_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let mut wheel = wheel(&["a.py", "b.py"]);
    wheel.sbom = Some(Sbom { subject: Component::new(ComponentKind::Application, "s"), components: vec![] });
    let digest = |threads: usize, epoch| {
        let options = WriteOptions { level: 6, threads: threads.try_into().unwrap(), epoch };
        wheel.write(directory.path(), &options, &Report::new(true)).unwrap().sha256
    };
    assert_eq!(digest(1, None), digest(5, None));
    assert_eq!(
        digest(1, Some("1000000000".parse::<Epoch>().unwrap())),
        digest(2, Some("1000000000".parse::<Epoch>().unwrap()))
    );
    assert_ne!(digest(1, None), digest(1, Some("1000000000".parse::<Epoch>().unwrap())));
}

#[test]
fn err_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut broken = wheel(&["a.py"]);
    broken.contents.add("b.py".parse().unwrap(), Content::file("/nonexistent")).unwrap();
    assert!(matches!(write(&broken, directory.path()), Err(WheelError::Read(_))));
    broken = wheel(&["a.py"]);
    broken.metadata.summary = Some("two\nlines".into());
    assert!(matches!(write(&broken, directory.path()), Err(WheelError::Metadata { .. })));
    assert!(names(directory.path()).is_empty());

    // The name is taken by a directory: the finished file cannot be moved.
    let name = wheel(&[]).name().unwrap().to_string();
    fs_err::create_dir_all(directory.path().join(&name).join("inside")).unwrap();
    assert!(matches!(write(&wheel(&[]), directory.path()), Err(WheelError::Location { .. })));
    assert_eq!(names(directory.path()), [name]);
}

#[test]
fn err_unwritable_directory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs_err::write(&file, "").unwrap();
    fs_err::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(write(&wheel(&[]), &file), Err(WheelError::Write(_))));
}

#[test]
fn err_two_sources_for_one_path() {
    let mut contents = Contents::new();
    contents.add("a/b".parse().unwrap(), Content::file("/one")).unwrap();
    let error = contents.add("a/b".parse().unwrap(), Content::file("/two")).unwrap_err();
    assert_eq!(error.to_string(), "two files have the path `a/b` in the wheel: `/one` and `/two`");
    contents.add("a-b".parse().unwrap(), Content::bytes("")).unwrap();
    for (path, file) in [("a", "a"), ("a/b/c", "a/b"), ("a/b/c/d", "a/b")] {
        let error = contents.add(path.parse().unwrap(), Content::bytes("")).unwrap_err();
        assert!(matches!(error, WheelError::FileAndDirectory { file: found, .. } if found == file), "{path}");
    }
    assert_eq!(contents.len(), 2);

    let directory = tempfile::tempdir().unwrap();
    let own = wheel(&["sample_package-1.0.dist-info/METADATA"]);
    assert!(matches!(write(&own, directory.path()), Err(WheelError::Duplicate { .. })));
}

#[test]
fn ok_bill_of_materials() {
    let julia = Component {
        version: Some("1.5.3".into()),
        license: Some(super::ComponentLicense::Expression("MIT".into())),
        hashes: vec![super::Hash { algorithm: super::HashAlgorithm::Sha1, content: "00".into() }],
        properties: [("julia:kind".to_owned(), "runtime".to_owned())].into(),
        needs: ["library:b".to_owned(), "library:elsewhere".to_owned()].into(),
        ..Component::new(ComponentKind::Application, "julia")
    };
    let library = Component::new(ComponentKind::Library, "b");
    let sbom = Sbom {
        subject: Component::new(ComponentKind::Application, "s"),
        components: vec![library.clone(), julia, library],
    };
    assert_eq!(sbom.write(None), sbom.write(None));
    let document: serde_json::Value =
        serde_json::from_slice(&sbom.write(Some("0".parse::<Epoch>().unwrap()))).unwrap();
    assert_eq!(document["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
    assert_eq!(
        document["components"],
        serde_json::json!([
            {
                "bom-ref": "application:julia@00", "type": "application", "name": "julia", "version": "1.5.3",
                "hashes": [{"alg": "SHA-1", "content": "00"}],
                "licenses": [{"expression": "MIT"}],
                "properties": [{"name": "julia:kind", "value": "runtime"}],
            },
            {"bom-ref": "library:b", "type": "library", "name": "b"},
        ])
    );
    // The wheel needs what nothing else does; what is not listed is no node.
    assert_eq!(
        document["dependencies"],
        serde_json::json!([
            {"ref": "application:s", "dependsOn": ["application:julia@00"]},
            {"ref": "application:julia@00", "dependsOn": ["library:b"]},
            {"ref": "library:b"},
        ])
    );
    let read = Sbom::read(&sbom.write(None)).unwrap();
    assert_eq!(read.write(None), sbom.write(None));
    assert_eq!(read.components[0].needs, ["library:b".to_owned()].into());
    assert!(matches!(Sbom::read(b"{}"), Err(WheelError::UnreadableSbom { .. })));
}
