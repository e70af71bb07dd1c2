//! The files that `deps/build.jl` of a package has made beside its sources, which are not part of the tree hash.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::tree_hash::tree_hash_without;
use crate::stages::project::TreeHash;

/// The script that Pkg runs when it installs a package.
const SCRIPT: &str = "deps/build.jl";
/// The files below `deps` that such scripts usually make, whether `.gitignore` lists them or not.
const USUAL: [&str; 8] = ["build.log", "deps.jl", "usr", "downloads", "builds", "lib", "bin", "build"];

/// Whether the package has a build script that has not been run, as far as its files tell.
pub(super) fn is_unbuilt(directory: &Path) -> bool {
    directory.join(SCRIPT).is_file() && !directory.join("deps/build.log").is_file()
}

/// The files without which a package has the tree hash `expected`; `None` when there is no build script, or the files
/// differ in other ways too.
pub(super) fn outputs(directory: &Path, expected: TreeHash) -> io::Result<Option<BTreeSet<PathBuf>>> {
    if !directory.join(SCRIPT).is_file() {
        return Ok(None);
    }
    let all: BTreeSet<PathBuf> = walk(directory, false)?;
    let ignored = &all - &walk(directory, true)?;
    let deps = directory.join("deps");
    let in_deps =
        |files: &BTreeSet<PathBuf>| files.iter().filter(|file| file.starts_with(&deps)).cloned().collect();
    let is_usual = |file: &&PathBuf| USUAL.iter().any(|name| file.starts_with(deps.join(name)));
    let usual: BTreeSet<PathBuf> = all.iter().filter(is_usual).cloned().collect();
    // A file can be in the tree although `.gitignore` names it, so the smaller sets are tried too.
    for files in
        [in_deps(&ignored), ignored.clone(), usual.clone(), &ignored | &usual, &in_deps(&ignored) | &usual]
    {
        if tree_hash_without(directory, &files)? == expected {
            return Ok(Some(files));
        }
    }
    Ok(None)
}

/// The files below a directory; those that `.gitignore` names left out when `ignoring`.
fn walk(directory: &Path, ignoring: bool) -> io::Result<BTreeSet<PathBuf>> {
    let entries = ignore::WalkBuilder::new(directory)
        .standard_filters(false)
        .git_ignore(ignoring)
        .require_git(false)
        .parents(false)
        .build();
    let mut files = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(io::Error::other)?;
        if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
            files.insert(entry.into_path());
        }
    }
    Ok(files)
}

/// Julia files in `deps` that name the package's own directory, by their paths in it, with the text that is right
/// wherever the package lies.
pub(super) fn relocated(directory: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    let entries = match fs_err::read_dir(directory.join("deps")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(texts),
        other => other?,
    };
    let own = directory.to_string_lossy();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_file() || path.extension().is_none_or(|extension| extension != "jl") {
            continue;
        }
        let Ok(text) = String::from_utf8(fs_err::read(&path)?) else { continue };
        let relocated = text.replace(&*own, "$(dirname(@__DIR__))");
        if relocated != text {
            texts.insert(format!("deps/{name}"), relocated);
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::depot::tree_hash;

    #[test]
    fn ok_what_was_built_is_told_from_what_was_edited() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let write = |name: &str, text: &str| {
            fs_err::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs_err::write(root.join(name), text).unwrap();
        };
        write("src/Built.jl", "module Built end");
        write("deps/kept.log", "in the tree");
        let plain = tree_hash(root).unwrap();
        assert_eq!(outputs(root, plain).unwrap(), None);

        write("deps/build.jl", "");
        write(".gitignore", "/deps/*.log\n/deps/made\n");
        let expected = tree_hash(root).unwrap();
        assert!(is_unbuilt(root));
        write("deps/deps.jl", "");
        write("deps/usr/lib/libx.so", "");
        let names = |files: Option<BTreeSet<PathBuf>>| {
            let name = |file: PathBuf| file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.map(|files| files.into_iter().map(name).collect::<Vec<_>>())
        };
        let usual = Some(vec!["deps/deps.jl".into(), "deps/usr/lib/libx.so".into()]);
        assert_eq!(names(outputs(root, expected).unwrap()), usual);
        write("src/Built.jl", "module Built edited() = true end");
        assert_eq!(outputs(root, expected).unwrap(), None);
    }

    #[test]
    fn ok_paths_into_the_package() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs_err::create_dir(root.join("deps")).unwrap();
        assert_eq!(relocated(root).unwrap(), BTreeMap::new());
        fs_err::write(root.join("deps/build.jl"), "1").unwrap();
        let text = format!("const libx = \"{}/deps/usr/lib/libx.so\"\n", root.display());
        fs_err::write(root.join("deps/deps.jl"), text).unwrap();
        let expected = "const libx = \"$(dirname(@__DIR__))/deps/usr/lib/libx.so\"\n";
        assert_eq!(relocated(root).unwrap(), BTreeMap::from([("deps/deps.jl".into(), expected.into())]));
    }
}
