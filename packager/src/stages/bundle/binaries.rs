//! Files with machine code, read from disk.

use std::io::Read;
use std::path::Path;

use super::BundleError;
use jnumpy_elf::{Elf, is_elf};

/// Whether the file begins as an ELF file does; only its start is read.
pub(crate) fn starts_as_elf(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    fs_err::File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(is_elf(&start))
}

/// The file, if it is an ELF file. Of any other, only the start is read.
pub(super) fn read_if_elf(path: &Path) -> Result<Option<Elf>, BundleError> {
    if starts_as_elf(path)? { read_elf(path).map(Some) } else { Ok(None) }
}

/// The file, which must be an ELF file.
pub(super) fn read_elf(path: &Path) -> Result<Elf, BundleError> {
    Elf::parse(&fs_err::read(path)?).map_err(|source| BundleError::Elf { path: path.to_owned(), source })
}
