//! Wheels: their names, their `.dist-info` and their bytes. Knows nothing of Julia.
//!
//! A [`Wheel`] says what is in it; [`Wheel::write`] makes one file of it, the same bytes on every machine.
#![forbid(unsafe_code)]

mod content;
mod entry_points;
mod epoch;
mod error;
mod metadata;
mod name;
mod path;
pub mod record;
mod sbom;
mod sink;
mod tag;
#[cfg(test)]
mod tests;
mod zip;

use std::fmt::Write as _;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::content::{Content, Contents, Source};
pub use self::entry_points::{CONSOLE_SCRIPTS, EntryPoints, GUI_SCRIPTS};
pub use self::epoch::Epoch;
pub use self::error::WheelError;
pub use self::metadata::{License, Metadata, Person, ReadMetadata, Readme};
pub use self::name::WheelName;
pub use self::path::WheelPath;
use self::record::{Row, RowContent};
pub use self::sbom::{Component, ComponentKind, ComponentLicense, Hash, HashAlgorithm, SBOM_PATH, Sbom};
pub use self::sink::WheelEntry;
use self::sink::{Listing, Sink};
pub use self::tag::Tag;
pub use self::zip::deflate_length;
use self::zip::{Archive, Member, Options};
use jnumpy_base::text::megabytes;
use jnumpy_base::{NewFile, Report};

/// The command that makes the wheels, as they name it.
const GENERATOR: &str = "jnumpy-pack";

/// The file of `.dist-info` that describes the distribution.
pub const METADATA: &str = "METADATA";
/// The file of `.dist-info` that says what the wheel runs on.
pub const WHEEL: &str = "WHEEL";
/// The file of `.dist-info` that lists all files.
pub const RECORD: &str = "RECORD";
const ENTRY_POINTS: &str = "entry_points.txt";
const LICENSES: &str = "licenses";

/// Everything in a wheel.
#[derive(Debug, Clone)]
pub struct Wheel {
    /// What it runs on.
    pub tag: Tag,
    /// What it says of itself; gives the wheel its name and version.
    pub metadata: Metadata,
    /// The commands and plug-ins it offers.
    pub entry_points: EntryPoints,
    /// Texts of licenses, by their paths below `.dist-info/licenses/`.
    pub licenses: Contents,
    /// What it is made of.
    pub sbom: Option<Sbom>,
    /// All files outside `.dist-info`.
    pub contents: Contents,
}

/// How hard to compress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// For wheels that are thrown away: a quarter of the time, a tenth larger.
    Fast,
    /// As well as is quick.
    #[default]
    Default,
    /// As well as possible: ten times the time, a twentieth smaller.
    Best,
}

impl Compression {
    /// The level of [`WriteOptions`].
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::Fast => 1,
            Self::Default => 6,
            Self::Best => 12,
        }
    }
}

/// How to write a wheel. None but `level` and `epoch` changes a byte of it.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// Compression level, from 0 (store) to 12 (slowest).
    pub level: u8,
    /// How many threads compress.
    pub threads: NonZeroUsize,
    /// The time stamp of every file.
    pub epoch: Option<Epoch>,
}

impl WriteOptions {
    /// As well as is quick, on all cores, with the time stamp of `SOURCE_DATE_EPOCH`.
    pub fn from_environment() -> Result<Self, WheelError> {
        Ok(Self {
            level: Compression::default().level(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            epoch: Epoch::from_environment()?,
        })
    }
}

/// A finished wheel.
#[derive(Debug, Clone)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// What is in it, in the order of the archive.
    pub entries: Vec<WheelEntry>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Wheel {
    /// The name of the wheel's file.
    pub fn name(&self) -> Result<WheelName, WheelError> {
        Ok(WheelName::new(self.metadata.distribution()?, self.metadata.version.clone(), self.tag.clone()))
    }

    /// The files of the `.dist-info` directory but RECORD, by their paths in the wheel.
    fn dist_info(&self, epoch: Option<Epoch>) -> Result<Contents, WheelError> {
        let directory = self.name()?.dist_info()?;
        let mut files = Contents::new();
        let metadata = self.metadata.write(self.licenses.iter().map(|(path, _)| path))?;
        files.add(directory.join(METADATA)?, Content::bytes(metadata))?;
        files.add(directory.join(WHEEL)?, Content::bytes(self.wheel_file()))?;
        if !self.entry_points.is_empty() {
            files.add(directory.join(ENTRY_POINTS)?, Content::bytes(self.entry_points.write()))?;
        }
        let licenses = directory.join(LICENSES)?;
        for (path, content) in &self.licenses {
            files.add(licenses.join(path.as_str())?, content.clone())?;
        }
        if let Some(sbom) = &self.sbom {
            files.add(directory.join(SBOM_PATH)?, Content::bytes(sbom.write(epoch)))?;
        }
        Ok(files)
    }

    fn wheel_file(&self) -> String {
        let mut text = format!(
            "Wheel-Version: 1.0\nGenerator: {} {}\nRoot-Is-Purelib: false\n",
            GENERATOR,
            env!("CARGO_PKG_VERSION")
        );
        for tag in self.tag.expand() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "Tag: {tag}");
        }
        text
    }

    /// Writes the wheel into `directory`, which is created when missing. An existing wheel of the same name is
    /// replaced at the end, in one step; after an error, an interruption or a full disk nothing is left.
    pub fn write(
        &self,
        directory: &Path,
        options: &WriteOptions,
        report: &Report,
    ) -> Result<Written, WheelError> {
        let started = Instant::now();
        let path = directory.join(self.name()?.to_string());
        let stage = report.stage("wheel");
        fs_err::create_dir_all(directory).map_err(WheelError::Write)?;
        let file = NewFile::create(&path).map_err(WheelError::Write)?;
        let mut archive = Archive::new(file, (*options).into());
        self.feed(&mut archive, options.epoch, |done, all| {
            stage.progress(format_args!("{done} of {all} files"));
        })?;
        let entries = archive.members().iter().map(WheelEntry::from).collect();
        let (mut file, size, sha256) = archive.finish()?;
        file.flush().map_err(WheelError::Write)?;
        file.finish().map_err(|source| WheelError::Location { path: path.clone(), source })?;
        stage.done(format_args!("{}, {:.1} MB", self.name()?, megabytes(size)));
        Ok(Written { path, size, sha256: hex::encode(sha256), entries, elapsed: started.elapsed() })
    }

    /// The files that the wheel would contain, in the order of the archive; nothing is written.
    pub fn list(&self, epoch: Option<Epoch>) -> Result<Vec<WheelEntry>, WheelError> {
        let mut listing = Listing::default();
        self.feed(&mut listing, epoch, |_, _| ())?;
        Ok(listing.0)
    }

    /// Hands all files to `sink`, RECORD as the last one.
    fn feed(
        &self,
        sink: &mut impl Sink,
        epoch: Option<Epoch>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), WheelError> {
        let directory = self.name()?.dist_info()?;
        let dist_info = self.dist_info(epoch)?;
        let record_path = directory.join(RECORD)?;
        if let Some((path, content)) =
            self.contents.iter().find(|(path, _)| path.is_below(&directory) || **path == directory)
        {
            return Err(WheelError::Duplicate {
                path: path.to_string(),
                first: "the wheel's own description".into(),
                second: content.source.to_string(),
            });
        }
        let files: Vec<_> = self.contents.iter().chain(&dist_info).collect();
        let mut done = 0;
        sink.take(&files, || {
            done += 1;
            progress(done, files.len());
        })?;
        let mut rows = sink.rows();
        rows.push(Row { path: record_path.to_string(), content: None });
        let record = Content::bytes(record::write(&rows));
        sink.take(&[(&record_path, &record)], || ())
    }
}

impl From<WriteOptions> for Options {
    fn from(options: WriteOptions) -> Self {
        Self { level: options.level, threads: options.threads, time: options.epoch.into() }
    }
}

impl<W: Write> Sink for Archive<W> {
    fn take(&mut self, files: &[(&WheelPath, &Content)], taken: impl FnMut()) -> Result<(), WheelError> {
        self.append(files, taken)
    }

    fn rows(&self) -> Vec<Row> {
        self.members().iter().map(Row::from).collect()
    }
}

impl From<&Member> for Row {
    fn from(member: &Member) -> Self {
        let content = RowContent { sha256: member.sha256, size: member.size };
        Self { path: member.path.to_string(), content: Some(content) }
    }
}

impl From<&Member> for WheelEntry {
    fn from(member: &Member) -> Self {
        Self { path: member.path.clone(), size: member.size, compressed: Some(member.compressed) }
    }
}
