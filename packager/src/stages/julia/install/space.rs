//! Checks the free space of a file system before it is filled.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::stages::julia::install::InstallError;

const MEGABYTE: u64 = 1_000_000;

/// Compares the free space of the file system that `path` is on with `wanted` bytes.
pub(super) fn check(path: &Path, wanted: u64) -> Result<(), InstallError> {
    let status = statvfs(path).map_err(std::io::Error::from)?;
    let free = status.blocks_available() * status.fragment_size();
    if free < wanted {
        return Err(InstallError::Space {
            directory: path.into(),
            wanted_megabytes: wanted.div_ceil(MEGABYTE),
            free_megabytes: free / MEGABYTE,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn err_too_little_space() {
        let error = check(Path::new("/"), u64::MAX).unwrap_err();
        assert!(error.to_string().starts_with("`/` has "), "{error}");
    }
}
