//! Lays the files of Debian's packages out as a prefix that runs from anywhere.
//!
//! 1. [`Tree::add`] moves what a package brings to its place.
//! 2. [`Tree::keep_needed`] follows links and needed libraries from Julia's own packages, and removes the rest.
//! 3. [`Tree::relocate`] gives every file that would not find its libraries a run path relative to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use crate::stages::julia::install::InstallError;
use crate::stages::julia::install::manifest::Manifest;
use jnumpy_base::interrupt;
use jnumpy_elf::{Edits, Elf, Kind};

const LICENSES: &str = "share/licenses";
const COPYRIGHT: &str = "copyright";
const ORIGIN: [&str; 2] = ["$ORIGIN", "${ORIGIN}"];

/// A prefix in the making. All paths are relative to its root and without `..`.
pub(super) struct Tree<'a> {
    root: &'a Path,
    manifest: &'a Manifest,
    /// Every file and link → its package.
    files: BTreeMap<PathBuf, String>,
    /// The programs and libraries among them; known after [`Tree::keep_needed`].
    binaries: BTreeMap<PathBuf, Elf>,
    /// The links among them → what each names, also a link perhaps; known after [`Tree::keep_needed`].
    links: BTreeMap<PathBuf, PathBuf>,
    /// Package → the package whose copyright file is its own too.
    licenses: BTreeMap<String, String>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: &'a Path, manifest: &'a Manifest) -> Self {
        Self {
            root,
            manifest,
            files: BTreeMap::new(),
            binaries: BTreeMap::new(),
            links: BTreeMap::new(),
            licenses: BTreeMap::new(),
        }
    }

    /// How many files and links there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether anything of this package is there.
    pub(super) fn uses(&self, package: &str) -> bool {
        self.files.values().any(|used| used == package)
    }

    /// Every program and library, with its package.
    pub(super) fn libraries(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.binaries.keys().map(|path| (path.as_path(), self.files.get(path).map_or("", String::as_str)))
    }

    /// Moves the wanted files of an unpacked package to their places.
    pub(super) fn add(&mut self, package: &str, unpacked: &Path) -> Result<(), InstallError> {
        for entry in WalkDir::new(unpacked).sort_by_file_name() {
            let entry = entry.map_err(std::io::Error::from)?;
            let Ok(within) = entry.path().strip_prefix(unpacked) else { continue };
            if entry.file_type().is_dir() {
                continue;
            }
            if let Some(place) = self.place(within) {
                self.move_here(entry.path(), &place)?;
                self.files.insert(place, package.into());
            }
        }
        self.add_license(package, unpacked)
    }

    fn place(&self, within: &Path) -> Option<PathBuf> {
        let place = self
            .manifest
            .place
            .iter()
            .find_map(|rule| within.strip_prefix(&rule.from).ok().map(|rest| join(&rule.to, rest)))?;
        (!self.manifest.drop.iter().any(|dropped| place.starts_with(&dropped.path))).then_some(place)
    }

    fn move_here(&self, from: &Path, place: &Path) -> Result<(), InstallError> {
        let to = self.root.join(place);
        if let Some(parent) = to.parent() {
            fs_err::create_dir_all(parent)?;
        }
        Ok(fs_err::rename(from, to)?)
    }

    /// A package's documentation directory holds its copyright file, or is a link to that of another package.
    fn add_license(&mut self, package: &str, unpacked: &Path) -> Result<(), InstallError> {
        let documentation = unpacked.join("usr/share/doc").join(package);
        if documentation.is_symlink() {
            let target = fs_err::read_link(&documentation)?;
            if let Some(other) = target.file_name().and_then(|name| name.to_str()) {
                self.licenses.insert(package.into(), other.into());
            }
        } else if documentation.join(COPYRIGHT).is_file() {
            self.move_here(&documentation.join(COPYRIGHT), &license_path(package))?;
            self.licenses.insert(package.into(), package.into());
        }
        Ok(())
    }

    /// Path of the copyright file of `package`.
    pub(super) fn license(&self, package: &str) -> Result<String, InstallError> {
        let path = license_path(self.licenses.get(package).map_or(package, String::as_str));
        if !self.root.join(&path).is_file() {
            return Err(InstallError::License { package: package.into() });
        }
        Ok(path.to_string_lossy().into_owned())
    }

    /// Removes every file of the other packages that Julia's own packages do not need, at first or second hand.
    pub(super) fn keep_needed(&mut self) -> Result<(), InstallError> {
        let mut open: Vec<PathBuf> = self
            .files
            .iter()
            .filter(|(_, package)| self.is_own(package))
            .map(|(path, _)| path.clone())
            .collect();
        let mut needed = BTreeSet::new();
        while let Some(path) = open.pop() {
            interrupt::check()?;
            if needed.insert(path.clone()) {
                open.extend(self.needs(&path)?);
            }
        }
        for path in self.files.keys().filter(|path| !needed.contains(*path)) {
            fs_err::remove_file(self.root.join(path))?;
        }
        self.files.retain(|path, _| needed.contains(path));
        self.binaries.retain(|path, _| needed.contains(path));
        self.remove_unused_licenses()
    }

    fn is_own(&self, package: &str) -> bool {
        self.manifest.own.iter().any(|own| own == package)
    }

    fn remove_unused_licenses(&self) -> Result<(), InstallError> {
        let used: BTreeSet<&str> = self
            .licenses
            .iter()
            .filter(|(package, _)| self.uses(package))
            .map(|(_, holder)| holder.as_str())
            .collect();
        for (package, holder) in &self.licenses {
            if package == holder && !used.contains(package.as_str()) {
                fs_err::remove_dir_all(self.root.join(LICENSES).join(package))?;
            }
        }
        Ok(())
    }

    /// What one file leads to: a link to its target, a program or library to the libraries it needs.
    fn needs(&mut self, path: &Path) -> Result<Vec<PathBuf>, InstallError> {
        let full = self.root.join(path);
        if full.is_symlink() {
            let target = fs_err::read_link(&full)?;
            let place = normal(&parent(path).join(&target)).filter(|place| self.files.contains_key(place));
            let missing = || InstallError::MissingLibrary {
                library: target.display().to_string(),
                needed_by: path.into(),
            };
            let place = place.ok_or_else(missing)?;
            self.links.insert(path.into(), place.clone());
            return Ok(vec![place]);
        }
        let Some(elf) = self.read(path)? else { return Ok(Vec::new()) };
        let found = elf
            .needed
            .iter()
            .filter_map(|name| match self.library(path, name) {
                Some(library) => Some(Ok(library)),
                None if self.manifest.is_host_library(name) => None,
                None => {
                    Some(Err(InstallError::MissingLibrary { library: name.clone(), needed_by: path.into() }))
                }
            })
            .collect::<Result<_, _>>()?;
        self.binaries.insert(path.into(), elf);
        Ok(found)
    }

    /// The parsed file, if it is a program or library.
    fn read(&self, path: &Path) -> Result<Option<Elf>, InstallError> {
        if path.starts_with("share") || path.starts_with("etc") {
            return Ok(None);
        }
        let bytes = fs_err::read(self.root.join(path))?;
        if !jnumpy_elf::is_elf(&bytes) {
            return Ok(None);
        }
        let elf = Elf::parse(&bytes).map_err(|source| InstallError::Elf { path: path.into(), source })?;
        Ok(Some(elf).filter(|elf| elf.kind != Kind::Other))
    }

    /// Where the library `name` is for the file `path`: beside it, or in another library directory.
    fn library(&self, path: &Path, name: &str) -> Option<PathBuf> {
        let beside = std::iter::once(parent(path).to_path_buf());
        let others = self.manifest.search.iter().flat_map(|rule| &rule.directories).map(PathBuf::from);
        beside
            .chain(others)
            .map(|directory| directory.join(name))
            .find(|place| self.files.contains_key(place))
    }

    /// Rewrites every program and library that would not find its libraries in the tree, would look outside of it, or
    /// asks for an executable stack. Returns how many.
    pub(super) fn relocate(&self, mut progress: impl FnMut(&Path)) -> Result<usize, InstallError> {
        let mut rewritten = 0;
        for (path, elf) in &self.binaries {
            interrupt::check()?;
            let edits = Edits {
                runpath: self.better_runpath(path, elf),
                clear_executable_stack: elf.executable_stack,
                ..Edits::default()
            };
            if edits.is_empty() {
                continue;
            }
            progress(path);
            let full = self.root.join(path);
            let bytes = jnumpy_elf::rewrite(fs_err::read(&full)?, &edits)
                .map_err(|source| InstallError::Elf { path: path.clone(), source })?;
            fs_err::write(full, bytes)?;
            rewritten += 1;
        }
        Ok(rewritten)
    }

    /// The run path that the file should have, unless its own is as good.
    ///
    /// `$ORIGIN` is the directory of the name by which a file is opened, be it a link: a library with a link in
    /// another directory needs entries for both.
    fn better_runpath(&self, path: &Path, elf: &Elf) -> Option<String> {
        let wanted = self.wanted_directories(path, elf);
        let homes = self.homes(path);
        let present: Vec<&str> =
            elf.runpath.iter().chain(&elf.rpath).flat_map(|text| text.split(':')).collect();
        let covers = |home: &PathBuf| {
            let present: Option<BTreeSet<_>> =
                present.iter().map(|entry| directory_in_tree(home, entry)).collect();
            present.is_some_and(|present| present.is_superset(&wanted))
        };
        if homes.iter().all(covers) {
            return None;
        }
        let mut entries: Vec<String> = Vec::new();
        for (home, directory) in homes.iter().flat_map(|home| wanted.iter().map(move |to| (home, to))) {
            let entry = from_origin(home, directory);
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        Some(entries.join(":"))
    }

    /// The directories of the libraries that the file needs or opens by name.
    fn wanted_directories(&self, path: &Path, elf: &Elf) -> BTreeSet<PathBuf> {
        let needed = elf.needed.iter().filter_map(|name| self.library(path, name));
        let searched = self.manifest.search.iter().filter(|rule| Path::new(&rule.file) == path);
        needed
            .map(|library| parent(&library).to_path_buf())
            .chain(searched.flat_map(|rule| rule.directories.iter().map(PathBuf::from)))
            .collect()
    }

    /// The directory of the file, then those of the links that lead to it.
    fn homes(&self, path: &Path) -> Vec<PathBuf> {
        let mut homes = vec![parent(path).to_path_buf()];
        let mut names = vec![path];
        while let Some(name) = names.pop() {
            for (link, _) in self.links.iter().filter(|(_, target)| *target == name) {
                names.push(link);
                if !homes.iter().any(|home| home == parent(link)) {
                    homes.push(parent(link).to_path_buf());
                }
            }
        }
        homes
    }
}

fn license_path(package: &str) -> PathBuf {
    [LICENSES, package, COPYRIGHT].iter().collect()
}

/// `rest` is empty when a rule names one file, and must not add a slash then.
fn join(base: &str, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { base.into() } else { Path::new(base).join(rest) }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Resolves `.` and `..` by the text alone; `None` for a path that is absolute or leaves the tree.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    Some(normal)
}

/// The directory that a run path entry of a file in `home` names, if it is relative to the file and in the tree.
fn directory_in_tree(home: &Path, entry: &str) -> Option<PathBuf> {
    let rest = ORIGIN.iter().find_map(|origin| entry.strip_prefix(origin))?;
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
    normal(&home.join(rest))
}

/// `directory` as seen from `home`, both in the tree: `$ORIGIN/../lib`.
fn from_origin(home: &Path, directory: &Path) -> String {
    let common = home.components().zip(directory.components()).take_while(|(one, two)| one == two).count();
    let up = home.components().skip(common).map(|_| "..".into());
    let down =
        directory.components().skip(common).map(|part| part.as_os_str().to_string_lossy().into_owned());
    std::iter::once("$ORIGIN".to_owned()).chain(up).chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_from_origin_and_back() {
        let cases = [
            ("lib/x", "lib/x", "$ORIGIN"),
            ("lib/x/julia", "lib/x", "$ORIGIN/.."),
            ("lib/x", "lib/x/julia", "$ORIGIN/julia"),
            ("bin", "lib/x", "$ORIGIN/../lib/x"),
        ];
        for (home, directory, text) in cases {
            assert_eq!(from_origin(Path::new(home), Path::new(directory)), text);
            assert_eq!(directory_in_tree(Path::new(home), text), Some(directory.into()));
        }
    }

    #[test]
    fn ok_entries_that_leave_the_tree_are_seen() {
        for entry in
            ["/usr/lib/julia", "", "lib", "$ORIGIN/../../..", "$ORIGINAL/lib", "$ORIGIN/../../../etc"]
        {
            assert_eq!(directory_in_tree(Path::new("lib/x"), entry), None, "{entry}");
        }
    }

    /// A tree with an own package `julia` and a package `libother`, as they come out of their archives.
    fn tree<'a>(root: &'a Path, manifest: &'a Manifest, unpacked: &Path) -> Tree<'a> {
        let libdir = "usr/lib/x86_64-linux-gnu";
        let files = [
            ("julia", "usr/bin/julia"),
            ("julia", "usr/share/julia/base/boot.jl"),
            ("julia", "usr/share/julia/test/runtests.jl"),
            ("julia", "usr/share/man/man1/julia.1"),
            ("julia", "usr/share/doc/julia/copyright"),
            ("libother", &format!("{libdir}/libother.so.1.0")),
            ("libother", &format!("{libdir}/libunused.so.1")),
            ("libother", "usr/share/doc/base/README"),
            ("base", "usr/share/doc/base/copyright"),
            ("unused", "usr/share/doc/unused/copyright"),
        ];
        for (package, file) in files {
            let path = unpacked.join(package).join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "text").unwrap();
        }
        let link = |package: &str, name: String, target: &str| {
            let path = unpacked.join(package).join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::os::unix::fs::symlink(target, path).unwrap();
        };
        link("julia", format!("{libdir}/julia/libother.so"), "../libother.so.1");
        link("libother", format!("{libdir}/libother.so.1"), "libother.so.1.0");
        link("libother", "usr/share/doc/libother".into(), "base");
        let mut tree = Tree::new(root, manifest);
        for package in ["base", "julia", "libother", "unused"] {
            tree.add(package, &unpacked.join(package)).unwrap();
        }
        tree
    }

    #[test]
    fn ok_what_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = Manifest::debian().unwrap().resolve("amd64").unwrap();
        let root = directory.path().join("prefix");
        let mut tree = tree(&root, &manifest, &directory.path().join("unpacked"));
        tree.keep_needed().unwrap();
        let mut files: Vec<String> = WalkDir::new(&root)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let expected = [
            "bin/julia",
            "lib/x86_64-linux-gnu/julia/libother.so",
            "lib/x86_64-linux-gnu/libother.so.1",
            "lib/x86_64-linux-gnu/libother.so.1.0",
            "share/julia/base/boot.jl",
            "share/licenses/base/copyright",
            "share/licenses/julia/copyright",
        ];
        assert_eq!(files, expected);
        assert_eq!(tree.license("libother").unwrap(), "share/licenses/base/copyright");
        assert!(tree.uses("libother") && !tree.uses("unused"));
        assert!(matches!(tree.license("nothing"), Err(InstallError::License { .. })));
    }

    #[test]
    fn err_a_link_to_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = Manifest::debian().unwrap().resolve("amd64").unwrap();
        let root = directory.path().join("prefix");
        let mut tree = tree(&root, &manifest, &directory.path().join("unpacked"));
        tree.files.remove(Path::new("lib/x86_64-linux-gnu/libother.so.1"));
        let error = tree.keep_needed().unwrap_err();
        let text =
            "no package holds `../libother.so.1`, which `lib/x86_64-linux-gnu/julia/libother.so` needs";
        assert_eq!(error.to_string(), text);
    }
}
