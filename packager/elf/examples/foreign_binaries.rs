//! Reads the Mach-O and PE files below a directory through [`Binary`], which packing asks of every format. It shows that
//! the trait fits formats that the packager does not write yet: `foreign_binaries DIRECTORY`.
//!
//! A line for each file: its path, its name, what it demands of its system, its needs, each with the file that the loader
//! takes for it or `-`, and the entries of its run path. A tab lies between fields, a comma between the parts of one.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use goblin::mach::MachO;
use goblin::mach::load_command::CommandVariant;
use goblin::pe::PE;
use goblin::pe::options::ParseOptions;
use goblin::{Hint, peek_bytes};
use jnumpy_base::Binary;
use jnumpy_base::path::normal;

/// The version of the operating system that a file asks for: `LC_BUILD_VERSION` or `LC_VERSION_MIN_MACOSX` of a Mach-O
/// file, the subsystem's version of a PE file.
type System = (u32, u32);

struct MachFile {
    name: Option<String>,
    needed: Vec<String>,
    run_path: Vec<String>,
    system: Option<System>,
}

/// What stands for the directory of the file itself.
const LOADER_PATH: &str = "@loader_path";
/// What stands for each entry of the run path in turn.
const RUN_PATH: &str = "@rpath/";

impl MachFile {
    fn new(file: &MachO<'_>) -> Self {
        let version = |packed: u32| (packed >> 16, packed >> 8 & 0xff);
        let system = file.load_commands.iter().find_map(|command| match &command.command {
            CommandVariant::BuildVersion(build) => Some(version(build.minos)),
            CommandVariant::VersionMinMacosx(oldest) => Some(version(oldest.version)),
            _ => None,
        });
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        // The first library is the file itself.
        let needed = owned(file.libs.get(1..).unwrap_or_default());
        Self { name: file.name.map(str::to_owned), needed, run_path: owned(&file.rpaths), system }
    }
}

impl Binary for MachFile {
    type Demand = System;

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn needed(&self) -> impl Iterator<Item = &str> {
        self.needed.iter().map(String::as_str)
    }

    fn run_path(&self) -> impl Iterator<Item = &str> {
        self.run_path.iter().map(String::as_str)
    }

    fn demands(&self) -> impl Iterator<Item = &System> {
        self.system.iter()
    }

    fn resolve_in_tree(directory: &Path, entry: &str) -> Option<PathBuf> {
        let below = entry.strip_prefix(LOADER_PATH)?;
        (below.is_empty() || below.starts_with('/'))
            .then(|| normal(&directory.join(below.trim_start_matches('/'))))?
    }

    fn candidates(&self, directory: &Path, needed: &str) -> Vec<PathBuf> {
        match needed.strip_prefix(RUN_PATH) {
            Some(name) => {
                let directories = self.run_path().filter_map(|entry| Self::resolve_in_tree(directory, entry));
                directories.map(|directory| directory.join(name)).collect()
            }
            None => Self::resolve_in_tree(directory, needed).into_iter().collect(),
        }
    }
}

struct PeFile {
    name: Option<String>,
    needed: Vec<String>,
    system: Option<System>,
}

impl PeFile {
    fn new(file: &PE<'_>) -> Self {
        let system = file.header.optional_header.map(|header| {
            let fields = header.windows_fields;
            (fields.major_subsystem_version.into(), fields.minor_subsystem_version.into())
        });
        let needed = file.libraries.iter().map(|&name| name.to_owned()).collect();
        Self { name: file.name.map(str::to_owned), needed, system }
    }
}

impl Binary for PeFile {
    type Demand = System;

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn needed(&self) -> impl Iterator<Item = &str> {
        self.needed.iter().map(String::as_str)
    }

    /// PE files have none; the loader looks beside the file that is opened by its path.
    fn run_path(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    fn demands(&self) -> impl Iterator<Item = &System> {
        self.system.iter()
    }

    fn resolve_in_tree(_: &Path, _: &str) -> Option<PathBuf> {
        None
    }

    fn candidates(&self, directory: &Path, needed: &str) -> Vec<PathBuf> {
        vec![directory.join(needed)]
    }
}

fn line<B: Binary<Demand = System>>(path: &Path, file: &B, files: &BTreeMap<PathBuf, Vec<u8>>) -> String {
    let directory = path.parent().unwrap_or(Path::new(""));
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let needed = file.needed().map(|needed| {
        let found = file.candidates(directory, needed).into_iter().find(|path| files.contains_key(path));
        format!("{needed}={}", found.map_or("-".into(), |found| shown(&found)))
    });
    let run_path = file.run_path().map(|entry| {
        let directory = B::resolve_in_tree(directory, entry);
        format!("{entry}={}", directory.map_or("-".into(), |directory| shown(&directory)))
    });
    let floor = file.demands().max().map_or("-".into(), |(major, minor)| format!("{major}.{minor}"));
    let fields = [
        shown(path),
        file.name().unwrap_or("-").into(),
        floor,
        needed.collect::<Vec<_>>().join(","),
        run_path.collect::<Vec<_>>().join(","),
    ];
    fields.join("\t")
}

fn files(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            files.insert(entry.path().strip_prefix(root)?.to_owned(), fs_err::read(entry.path())?);
        }
    }
    Ok(files)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory] = &arguments[..] else { return Err("usage: foreign_binaries DIRECTORY".into()) };
    let files = files(Path::new(directory))?;
    let mut options = ParseOptions::default().with_parse_tls_data(false).with_parse_resources(false);
    // Stripping has left the directory's entry for a table that is not there anymore.
    options.parse_attribute_certificates = false;
    for (path, bytes) in &files {
        let wrong = |error| format!("{}: {error}", path.display());
        let line = match peek_bytes(bytes.first_chunk().unwrap_or(&[0; 16])) {
            Ok(Hint::Mach(_)) => line(path, &MachFile::new(&MachO::parse(bytes, 0).map_err(wrong)?), &files),
            Ok(Hint::PE) => {
                line(path, &PeFile::new(&PE::parse_with_opts(bytes, &options).map_err(wrong)?), &files)
            }
            _ => continue,
        };
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}
