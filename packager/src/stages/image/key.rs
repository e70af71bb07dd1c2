//! The key of an image: a digest of all its inputs.

use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use jnumpy_base::interrupt;

use super::ImageError;
use super::build_tree::TreeFile;

/// Collects inputs. Each is labeled and has its length before it, so that no two sets of inputs run together.
pub(super) struct KeyBuilder(Sha256);

impl KeyBuilder {
    pub(super) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(super) fn text(&mut self, label: &str, text: &str) {
        tracing::debug!("image key: {label} {}", hex::encode(&Sha256::digest(text)[..8]));
        self.part(label.as_bytes());
        self.part(text.as_bytes());
    }

    pub(super) fn file(&mut self, label: &str, path: &Path) -> Result<(), ImageError> {
        self.text(label, &sha256_of_file(path)?.1);
        Ok(())
    }

    /// The key: 64 hexadecimal digits.
    pub(super) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// Adds the files of a build tree.
pub(super) fn add_files<'a>(
    key: &mut KeyBuilder,
    files: impl Iterator<Item = (&'a String, &'a TreeFile)>,
) -> Result<(), ImageError> {
    for (name, file) in files {
        match file {
            TreeFile::Copy(path) => key.file(name, path)?,
            TreeFile::Text(text) | TreeFile::Link { content: text, .. } => key.text(name, text),
        }
    }
    Ok(())
}

/// Size and SHA-256 of a file.
pub(super) fn sha256_of_file(path: &Path) -> Result<(u64, String), ImageError> {
    let mut file = fs_err::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        interrupt::check()?;
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((size, hex::encode(hash.finalize())));
        }
        size += count as u64;
        hash.update(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_parts_do_not_run_together() {
        let key = |parts: &[(&str, &str)]| {
            let mut builder = KeyBuilder::new();
            for (label, text) in parts {
                builder.text(label, text);
            }
            builder.finish()
        };
        assert_ne!(key(&[("a", "bc")]), key(&[("ab", "c")]));
        assert_ne!(key(&[("a", ""), ("b", "")]), key(&[("a", "b")]));
        assert_eq!(key(&[("a", "b")]), key(&[("a", "b")]));
    }

    #[test]
    fn ok_digest_of_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("abc");
        fs_err::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of_file(&path).unwrap(), (3, expected.to_owned()));
    }
}
