//! The files of a package or artifact, with its symbolic links followed.

use std::io;
use std::path::{Path, PathBuf};

use super::DepotError;
use jnumpy_base::interrupt;
use jnumpy_base::path::normal;
use jnumpy_base::text::printable;

/// The largest number of files and links in a package, because links to directories can multiply without end.
const MOST: usize = 1_000_000;

/// A file, by one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path in the tree, with `/` between the parts.
    pub name: String,
    /// The file itself: two names of one file have the same.
    pub real: PathBuf,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Lists the files below `root`, sorted; a link to a file is one more name of it. Unless `may_leave`, a link that
/// leads out of the tree is an error. Links to nothing are left out, and so is `.git`.
pub fn files(root: &Path, may_leave: bool) -> Result<Vec<TreeFile>, DepotError> {
    let root = fs_err::canonicalize(root)?;
    let mut walk = Walk { root: &root, may_leave, files: Vec::new(), seen: 0 };
    walk.directory(&root, "", &mut vec![root.clone()])?;
    let mut files = walk.files;
    files.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(files)
}

struct Walk<'a> {
    root: &'a Path,
    may_leave: bool,
    files: Vec<TreeFile>,
    seen: usize,
}

impl Walk<'_> {
    /// Lists one directory; `inside` are the real directories on the way to it, itself included.
    fn directory(
        &mut self,
        directory: &Path,
        location: &str,
        inside: &mut Vec<PathBuf>,
    ) -> Result<(), DepotError> {
        for entry in fs_err::read_dir(directory)? {
            interrupt::check().map_err(io::Error::other)?;
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            let unusable = |reason| DepotError::Link { path: path.clone(), reason };
            self.seen += 1;
            if self.seen > MOST {
                return Err(unusable("it is one of more than a million files and links"));
            }
            let name = name.to_str().ok_or_else(|| unusable("its name is not UTF-8"))?;
            if name == ".git" {
                continue;
            }
            if name.chars().any(char::is_control) || name.contains('\\') {
                return Err(unusable("its name contains a control character or a backslash"));
            }
            let real = if fs_err::symlink_metadata(&path)?.is_symlink() {
                match self.target(&path, directory)? {
                    Some(real) => real,
                    None => continue,
                }
            } else {
                path.clone()
            };
            let metadata = fs_err::metadata(&real)?;
            let location = format!("{location}{name}");
            if metadata.is_dir() {
                if inside.contains(&real) {
                    return Err(unusable("it is a link to a directory that contains it"));
                }
                inside.push(real.clone());
                self.directory(&real, &format!("{location}/"), inside)?;
                inside.pop();
            } else if metadata.is_file() {
                use std::os::unix::fs::PermissionsExt;
                let executable = metadata.permissions().mode() & 0o111 != 0;
                self.files.push(TreeFile { name: location, real, executable });
            } else {
                return Err(unusable("it is neither a file nor a directory"));
            }
        }
        Ok(())
    }

    /// What a link in `directory` leads to; none if to nothing.
    fn target(&self, path: &Path, directory: &Path) -> Result<Option<PathBuf>, DepotError> {
        let leaves = || {
            let reason = "it is a link that leads out of its package or artifact";
            DepotError::Link { path: path.to_owned(), reason }
        };
        match fs_err::canonicalize(path) {
            Ok(real) if self.may_leave || real.starts_with(self.root) => Ok(Some(real)),
            Ok(_) => Err(leaves()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let target = normal(&directory.join(fs_err::read_link(path)?));
                let is_inside = target.is_some_and(|target| target.starts_with(self.root));
                if self.may_leave || is_inside { Ok(None) } else { Err(leaves()) }
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A path in a message.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn listed(root: &Path, may_leave: bool) -> Result<Vec<String>, String> {
        let show = |file: TreeFile| {
            let real =
                file.real.strip_prefix(fs_err::canonicalize(root).unwrap()).unwrap_or(&file.real).to_owned();
            format!("{} = {}", file.name, real.display())
        };
        let files =
            files(root, may_leave).map_err(|e| e.to_string().replace(root.to_str().unwrap(), "<d>"))?;
        Ok(files.into_iter().map(show).collect())
    }

    #[test]
    fn ok_links_are_names() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs_err::create_dir_all(root.join("lib/inner")).unwrap();
        fs_err::create_dir(root.join(".git")).unwrap();
        fs_err::write(root.join("lib/libx.so.1.2"), "").unwrap();
        fs_err::write(root.join("lib/inner/y"), "").unwrap();
        symlink("libx.so.1.2", root.join("lib/libx.so")).unwrap();
        symlink("lib", root.join("lib64")).unwrap();
        symlink("nothing", root.join("dangling")).unwrap();
        assert_eq!(
            listed(root, false).unwrap(),
            [
                "lib/inner/y = lib/inner/y",
                "lib/libx.so = lib/libx.so.1.2",
                "lib/libx.so.1.2 = lib/libx.so.1.2",
                "lib64/inner/y = lib/inner/y",
                "lib64/libx.so = lib/libx.so.1.2",
                "lib64/libx.so.1.2 = lib/libx.so.1.2",
            ]
        );
    }

    #[test]
    fn err_wording() {
        for (name, target, reason) in [
            ("a", "/etc/passwd", "it is a link that leads out of its package or artifact"),
            ("a", "/no/such", "it is a link that leads out of its package or artifact"),
            ("a", "../../x", "it is a link that leads out of its package or artifact"),
            ("a", ".", "it is a link to a directory that contains it"),
            ("a\x1bb", "..", "its name contains a control character or a backslash"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let root = fs_err::canonicalize(directory.path()).unwrap();
            symlink(target, root.join(name)).unwrap();
            let name = printable(name);
            assert_eq!(listed(&root, false), Err(format!("`<d>/{name}` cannot be packed: {reason}")));
        }
    }

    #[test]
    fn ok_a_package_under_development_may_link_to_its_neighbours() {
        let directory = tempfile::tempdir().unwrap();
        fs_err::create_dir(directory.path().join("p")).unwrap();
        fs_err::write(directory.path().join("LICENSE"), "").unwrap();
        symlink("../LICENSE", directory.path().join("p/LICENSE")).unwrap();
        assert_eq!(files(&directory.path().join("p"), true).unwrap().len(), 1);
    }
}
