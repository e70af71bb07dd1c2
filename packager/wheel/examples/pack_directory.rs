//! Makes a wheel of a plain directory, to hold the writer against other tools:
//! `pack_directory DIRECTORY OUT_DIR [LEVEL [THREADS]]`.
//!
//! The wheel is called `sample` 1.0 and has one of everything a wheel can say of itself.

use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jnumpy_base::Report;
use jnumpy_wheel::{
    Component, ComponentKind, Content, Contents, EntryPoints, License, Metadata, Person, Readme, Sbom, Wheel,
    WriteOptions,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, out, options @ ..] = &arguments[..] else {
        return Err("usage: pack_directory DIRECTORY OUT_DIR [LEVEL [THREADS]]".into());
    };
    let mut write = WriteOptions::from_environment()?;
    if let Some(level) = options.first() {
        write.level = level.parse()?;
    }
    if let Some(threads) = options.get(1) {
        write.threads = threads.parse()?;
    }
    let report = Report::new(false);
    let written = sample(Path::new(directory))?.write(Path::new(out), &write, &report)?;
    report.data(written.path.display());
    Ok(())
}

fn sample(directory: &Path) -> Result<Wheel, Box<dyn Error>> {
    let mut contents = Contents::new();
    for entry in walkdir::WalkDir::new(directory).follow_links(true) {
        let entry = entry?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(directory)?.to_str().ok_or("a path is not UTF-8")?;
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            contents.add(path.parse()?, Content::file(entry.path()).executable(executable))?;
        }
    }
    let mut metadata = Metadata::new("sample", "1.0".parse()?);
    metadata.summary = Some("A größere sample".into());
    metadata.readme =
        Some(Readme { text: "# Sample\n\nOf a wheel.\n".into(), content_type: "text/markdown".into() });
    metadata.requires_python = Some(">=3.10".parse()?);
    metadata.authors = vec![
        Person { name: Some("J. Doe".into()), email: Some("doe@example.org".into()) },
        Person { name: Some("Ω Group".into()), email: None },
    ];
    metadata.keywords = vec!["julia".into(), "k-means".into()];
    metadata.classifiers = vec!["Programming Language :: Python :: 3".into()];
    metadata.urls = [("Source".into(), "https://example.org/sample".into())].into();
    metadata.dependencies = vec!["numpy>=1.21".parse()?];
    metadata.optional_dependencies =
        [("plot".parse()?, vec!["matplotlib; python_version<'3.13'".parse()?])].into();
    metadata.license = Some(License::expression("MIT OR Apache-2.0")?);
    let mut entry_points = EntryPoints::default();
    entry_points.add("console_scripts", "sample", "sample:main")?;
    let mut licenses = Contents::new();
    licenses.add("LICENSE".parse()?, Content::bytes("Free.\n"))?;
    Ok(Wheel {
        tag: "cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64".parse()?,
        metadata,
        entry_points,
        licenses,
        sbom: Some(Sbom {
            subject: Component::new(ComponentKind::Application, "sample"),
            components: vec![Component::new(ComponentKind::Library, "part")],
        }),
        contents,
    })
}
