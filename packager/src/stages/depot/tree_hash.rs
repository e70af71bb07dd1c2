//! Git's hash of a directory: what `Pkg.GitTools.tree_hash` computes, and what manifests pin.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use crate::stages::project::TreeHash;
use jnumpy_base::interrupt;

/// The hash of all files below `directory`, without `.git` and directories that contain no file.
pub fn tree_hash(directory: &Path) -> io::Result<TreeHash> {
    tree_hash_without(directory, &BTreeSet::new())
}

/// The hash without these files.
pub(super) fn tree_hash_without(directory: &Path, left_out: &BTreeSet<PathBuf>) -> io::Result<TreeHash> {
    Ok(tree(directory, left_out)?.unwrap_or_else(|| hash_of(b"tree", &[])))
}

/// The hash of a directory, unless there is no file in it.
fn tree(directory: &Path, left_out: &BTreeSet<PathBuf>) -> io::Result<Option<TreeHash>> {
    let mut entries: Vec<(Vec<u8>, &str, OsString, TreeHash)> = Vec::new();
    let mut hidden = false;
    for entry in fs_err::read_dir(directory)? {
        interrupt::check().map_err(io::Error::other)?;
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if left_out.contains(&path) {
            continue;
        }
        let kind = entry.file_type()?;
        if name == ".git" {
            // For Julia, a directory that contains only such files is an empty directory.
            hidden |= !kind.is_dir() || tree(&path, left_out)?.is_some();
            continue;
        }
        // Git sorts as if the name of a directory ended with a slash.
        let mut order = name.as_bytes().to_vec();
        let (mode, hash) = if kind.is_symlink() {
            ("120000", hash_of(b"blob", &fs_err::read_link(&path)?.into_os_string().into_vec()))
        } else if kind.is_dir() {
            order.push(b'/');
            match tree(&path, left_out)? {
                Some(hash) => ("40000", hash),
                None => continue,
            }
        } else if kind.is_file() {
            let executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
            (if executable { "100755" } else { "100644" }, file(&path)?)
        } else {
            return Err(io::Error::other(format!("`{}` is neither a file nor a directory", path.display())));
        };
        entries.push((order, mode, name, hash));
    }
    if entries.is_empty() && !hidden {
        return Ok(None);
    }
    entries.sort();
    let mut content = Vec::new();
    for (_, mode, name, hash) in entries {
        content.extend_from_slice(mode.as_bytes());
        content.push(b' ');
        content.extend_from_slice(name.as_bytes());
        content.push(0);
        content.extend_from_slice(&hash.0);
    }
    Ok(Some(hash_of(b"tree", &content)))
}

fn file(path: &Path) -> io::Result<TreeHash> {
    let mut file = fs_err::File::open(path)?;
    let size = file.metadata()?.len();
    let mut hash = Sha1::new();
    hash.update(format!("blob {size}\0"));
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(TreeHash(hash.finalize().into())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn hash_of(kind: &[u8], content: &[u8]) -> TreeHash {
    let mut hash = Sha1::new();
    hash.update(kind);
    hash.update(format!(" {}\0", content.len()));
    hash.update(content);
    TreeHash(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected hashes are those of `git write-tree` over the same files.
    #[test]
    fn ok_hashes_of_git() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let hash = || tree_hash(root).unwrap().to_string();
        fs_err::create_dir_all(root.join("empty/inner")).unwrap();
        assert_eq!(hash(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        fs_err::write(root.join("a"), "").unwrap();
        assert_eq!(hash(), "496d6428b9cf92981dc9495211e6e1120fb6f2ba");
    }
}
