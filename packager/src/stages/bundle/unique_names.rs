//! Gives libraries names that no library of another program has.
//!
//! For a needed `libgmp.so.10`, the loader uses any library that was already loaded with that SONAME, whatever the run path says:
//! the copy of a conda environment, of another wheel, or of `LD_PRELOAD`. So a library that others need is stored under a name
//! with a part of the hash of its content, as auditwheel does. Julia opens libraries by their plain names and by full paths, for
//! which the loader compares files; those names become shims.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::closure::Origin;
use super::{BundleError, Closure};
use jnumpy_base::interrupt;
use jnumpy_base::path::file_name;

/// Renames each library that another one of the closure needs, or that is needed under one of these names by libraries
/// outside it, or that has several names and is needed by its shims. Returns the new names by the old ones.
///
/// Libjulia and what its loader opens keep their names: images and package images, which may not be changed, need them.
/// A second Julia in the process is refused anyway.
pub(super) fn give(
    closure: &mut Closure,
    keeps: impl Fn(&Path) -> bool,
    needed_outside: &BTreeSet<String>,
) -> Result<BTreeMap<String, String>, BundleError> {
    let mut needed = needed_outside.clone();
    needed.extend(closure.libraries.values().flat_map(|library| library.elf.needed.iter().cloned()));
    let chosen: Vec<PathBuf> = (closure.libraries.iter())
        .filter(|(path, library)| library.origin != Origin::Root && !keeps(path))
        .filter(|(_, library)| {
            library.names.len() > 1 || library.names.keys().any(|name| needed.contains(name))
        })
        .map(|(path, _)| path.clone())
        .collect();
    let mut renamed = BTreeMap::new();
    for path in chosen {
        interrupt::check()?;
        let soname = closure.libraries[&path].elf.soname.clone().unwrap_or_else(|| file_name(&path));
        let name = unique_name(&soname, &fs_err::read(&path)?);
        renamed.extend(closure.rename(&path, &name));
    }
    Ok(renamed)
}

/// The name of a library with this content: `libgmp.so.10` becomes `libgmp-1f2e3d4c.so.10`.
pub(super) fn unique_name(name: &str, content: &[u8]) -> String {
    let hash = hex::encode(&Sha256::digest(content)[..4]);
    match name.split_once('.') {
        Some((stem, rest)) => format!("{stem}-{hash}.{rest}"),
        None => format!("{name}-{hash}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_the_hash_stands_before_the_first_dot() {
        // The first digits of the SHA-256 of nothing.
        for (name, unique) in [
            ("libgmp.so.10", "libgmp-e3b0c442.so.10"),
            ("libstdc++-6.0.so", "libstdc++-6-e3b0c442.0.so"),
            ("plain", "plain-e3b0c442"),
        ] {
            assert_eq!(unique_name(name, b""), unique);
        }
    }
}
