//! Where the files of a wheel go: into an archive, or only into a list. One function feeds both, so that a dry run lists
//! what a real one writes.

use super::content::{Content, Source};
use super::error::WheelError;
use super::path::WheelPath;
use super::record::{Row, RowContent};
use jnumpy_base::interrupt;

/// Takes the files of a wheel in their order.
pub(super) trait Sink {
    /// Takes files, calling `taken` after each.
    fn take(&mut self, files: &[(&WheelPath, &Content)], taken: impl FnMut()) -> Result<(), WheelError>;

    /// The rows of RECORD for what was taken so far.
    fn rows(&self) -> Vec<Row>;
}

/// One file of a wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelEntry {
    pub path: WheelPath,
    /// Its size, in bytes.
    pub size: u64,
    /// What it takes in the wheel, in bytes; `None` when the wheel is only planned.
    pub compressed: Option<u64>,
}

/// A sink that reads no file and writes none.
#[derive(Debug, Default)]
pub(super) struct Listing(pub(super) Vec<WheelEntry>);

impl Sink for Listing {
    fn take(&mut self, files: &[(&WheelPath, &Content)], mut taken: impl FnMut()) -> Result<(), WheelError> {
        for (path, content) in files {
            interrupt::check()?;
            let size = match &content.source {
                Source::File(file) => fs_err::metadata(file).map_err(WheelError::Read)?.len(),
                Source::Bytes(bytes) => bytes.len() as u64,
            };
            self.0.push(WheelEntry { path: (*path).clone(), size, compressed: None });
            taken();
        }
        Ok(())
    }

    /// All hashes take the same room, so RECORD gets its true size.
    fn rows(&self) -> Vec<Row> {
        let row = |entry: &WheelEntry| {
            let content = RowContent { sha256: [0; 32], size: entry.size };
            Row { path: entry.path.to_string(), content: Some(content) }
        };
        self.0.iter().map(row).collect()
    }
}
