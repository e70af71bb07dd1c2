//! The files of packages and artifacts in the bundle's depot. Libraries among them find each other and Julia's libraries by run
//! paths. A second name of a library becomes a shim, and a second name of any other file a copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::binaries::read_if_elf;
use super::libraries::{Libraries, LibraryInputs, better_run_path};
use super::unique_names::unique_name;
use super::{BundleError, Opened};
use crate::formats::contract::JULIA;
use crate::formats::policy::is_system_library;
use crate::stages::depot::files;
use jnumpy_base::interrupt;
use jnumpy_base::path::file_name;
use jnumpy_elf::run_path::entry_to;
use jnumpy_elf::{Edits, Elf, Kind, VersionNeed, shim};
use jnumpy_wheel::Content;

/// The files of all trees, by their paths in the bundle.
#[derive(Debug, Default)]
pub(super) struct Trees {
    files: BTreeMap<PathBuf, File>,
    /// The directories in which a library answers to a name.
    directories: BTreeMap<String, BTreeSet<PathBuf>>,
    /// The libraries that are stored under unique names.
    unique: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    executable: bool,
    kind: FileKind,
}

#[derive(Debug)]
enum FileKind {
    /// Taken as it is.
    Plain,
    /// Taken with this text.
    Text(String),
    /// A library or a program.
    Elf(Box<Elf>),
    /// Another name of the library at this path in the bundle.
    Name(PathBuf, Box<Elf>),
    /// A library that belongs to the user's system, under this name.
    System(String, Box<Elf>),
}

impl Trees {
    /// Adds the files of `root` at `location` in the bundle, those that `takes` agrees to: it is asked with the path in the
    /// bundle and the file. Unless `may_leave`, no link may lead out of the tree.
    pub(super) fn add(
        &mut self,
        location: &str,
        root: &Path,
        may_leave: bool,
        takes: &mut impl FnMut(&Path, &Path) -> Result<bool, BundleError>,
    ) -> Result<(), BundleError> {
        let mut names: BTreeMap<PathBuf, Vec<(PathBuf, bool)>> = BTreeMap::new();
        for file in files(root, may_leave)? {
            let location = Path::new(location).join(&file.name);
            if takes(&location, &file.real)? {
                names.entry(file.real).or_default().push((location, file.executable));
            }
        }
        for (real, names) in names {
            interrupt::check()?;
            let elf = read_if_elf(&real)?;
            let chosen = elf.as_ref().and_then(|elf| primary(elf, &real, &names));
            for (location, executable) in names {
                let kind = match &elf {
                    None => FileKind::Plain,
                    Some(elf) => kind(elf, &location, chosen.as_deref()),
                };
                if matches!(kind, FileKind::Elf(_) | FileKind::Name(..)) {
                    let directory = location.parent().unwrap_or(Path::new("")).to_owned();
                    self.directories.entry(file_name(&location)).or_default().insert(directory);
                }
                self.files.insert(location, File { path: real.clone(), executable, kind });
            }
        }
        Ok(())
    }

    /// Stores each library that others of the trees need, or its own shims, under a name of its own: see
    /// [`super::unique_names`]. The names that it had remain, for Julia code that opens it.
    pub(super) fn give_unique_names(&mut self) -> Result<(), BundleError> {
        let mut needed = BTreeSet::new();
        for (location, elf) in self.libraries() {
            let own = location.parent().unwrap_or(Path::new(""));
            needed.extend(elf.needed.iter().filter_map(|name| self.named(name, own)));
        }
        needed.extend(self.files.values().filter_map(|file| match &file.kind {
            FileKind::Name(real, _) => Some(real.clone()),
            _ => None,
        }));
        let mut renamed = BTreeMap::new();
        for location in needed {
            interrupt::check()?;
            if let Some(File { path, kind: FileKind::Elf(_), .. }) = self.files.get(&location) {
                let unique = unique_name(&file_name(&location), &fs_err::read(path)?);
                let stored = location.with_file_name(unique);
                renamed.insert(location, stored);
            }
        }
        for file in self.files.values_mut() {
            if let FileKind::Name(real, _) = &mut file.kind
                && let Some(stored) = renamed.get(real)
            {
                real.clone_from(stored);
            }
        }
        for (location, stored) in renamed {
            let Some(file) = self.files.get_mut(&location) else { continue };
            let FileKind::Elf(elf) = &file.kind else { continue };
            let shim = FileKind::Name(stored.clone(), elf.clone());
            let kind = std::mem::replace(&mut file.kind, shim);
            let library = File { path: file.path.clone(), executable: file.executable, kind };
            self.files.insert(stored.clone(), library);
            self.unique.insert(stored);
        }
        Ok(())
    }

    /// Takes a file that is there already with another text.
    pub(super) fn replace(&mut self, location: &Path, text: &str) {
        if let Some(file) = self.files.get_mut(location) {
            file.kind = FileKind::Text(text.to_owned());
        }
    }

    /// What libraries of the trees need and no tree has: it must be Julia's.
    pub(super) fn wanted(&self) -> Vec<Opened> {
        let mut wanted = BTreeMap::new();
        for (location, elf) in self.libraries() {
            let names = elf.needed.iter().filter(|name| !is_system_library(name));
            for name in names.filter(|name| !self.directories.contains_key(*name)) {
                let by = format!("`{}` of the depot", location.display());
                wanted.entry(name.clone()).or_insert(Opened { name: name.clone(), by, required: true });
            }
        }
        wanted.into_values().collect()
    }

    /// The symbol versions that are asked of the user's system, with the file that asks.
    pub(super) fn system_needs(&self) -> impl Iterator<Item = (&Path, &VersionNeed)> {
        self.libraries().flat_map(|(location, elf)| {
            let of_the_system = |need: &&VersionNeed| is_system_library(&need.library);
            elf.requires.iter().filter(of_the_system).map(move |need| (location, need))
        })
    }

    /// Every file, as it has to be in the bundle.
    pub(super) fn contents(
        &self,
        inputs: &LibraryInputs<'_>,
        libraries: &Libraries,
    ) -> Result<Vec<(&Path, Content)>, BundleError> {
        let mut contents = Vec::new();
        for (location, file) in &self.files {
            interrupt::check()?;
            let content = self.content(inputs, location, file, libraries)?;
            contents.push((location.as_path(), content.executable(file.executable)));
        }
        // They need each other, so all are written before the loader tries one.
        for (location, content) in &contents {
            interrupt::check()?;
            inputs.check(&self.files[*location].path, content)?;
        }
        Ok(contents)
    }

    fn content(
        &self,
        inputs: &LibraryInputs<'_>,
        location: &Path,
        file: &File,
        libraries: &Libraries,
    ) -> Result<Content, BundleError> {
        let failed = |source| BundleError::Elf { path: file.path.clone(), source };
        let own = location.parent().unwrap_or(Path::new(""));
        match &file.kind {
            FileKind::Plain => Ok(Content::file(&file.path)),
            FileKind::Text(text) => Ok(Content::bytes(text.as_str())),
            FileKind::Name(real, elf) => {
                let entry = entry_to(own, real.parent().unwrap_or(Path::new("")));
                let bytes =
                    shim(&file_name(real), &file_name(location), Some(&entry), elf).map_err(failed)?;
                Ok(Content::bytes(bytes))
            }
            // A library of its own name would be found instead of the system's.
            FileKind::System(name, elf) => {
                let soname = format!("forward-{name}");
                Ok(Content::bytes(shim(name, &soname, None, elf).map_err(failed)?))
            }
            FileKind::Elf(elf) => {
                let (mut wanted, mut needed) = (BTreeSet::new(), BTreeMap::new());
                for name in elf.needed.iter().filter(|name| !is_system_library(name)) {
                    if let Some(found) = self.named(name, own) {
                        wanted.insert(inputs.installed_directory(&found));
                        needed
                            .extend(self.unique.contains(&found).then(|| (name.clone(), file_name(&found))));
                    } else if let Some(directory) = libraries.directory_of(name) {
                        let new = libraries.new_name(name);
                        let found = Path::new(JULIA).join(directory).join(new.unwrap_or(name));
                        wanted.insert(inputs.installed_directory(&found));
                        needed.extend(new.map(|new| (name.clone(), new.clone())));
                    }
                }
                let edits = Edits {
                    run_path: better_run_path(elf, &inputs.installed_directory(location), &wanted),
                    soname: self.unique.contains(location).then(|| file_name(location)),
                    needed,
                    clear_executable_stack: elf.executable_stack,
                };
                inputs.written(&file.path, location, &edits)
            }
        }
    }

    fn libraries(&self) -> impl Iterator<Item = (&Path, &Elf)> {
        self.files.iter().filter_map(|(location, file)| match &file.kind {
            FileKind::Elf(elf) => Some((location.as_path(), elf.as_ref())),
            _ => None,
        })
    }

    /// The library that one in `own` finds by `name`.
    fn named(&self, name: &str, own: &Path) -> Option<PathBuf> {
        let location = self.directory_of(name, own)?.join(name);
        match &self.files.get(&location)?.kind {
            FileKind::Name(real, _) => Some(real.clone()),
            _ => Some(location),
        }
    }

    /// The directory in which a library that lies in `own` finds `name`: that one, else one of its own tree, else any.
    fn directory_of(&self, name: &str, own: &Path) -> Option<PathBuf> {
        // `depot/artifacts/<hash>` and `depot/packages/<name>` tell trees apart.
        let tree: PathBuf = own.components().take(3).collect();
        let directories = self.directories.get(name)?;
        let found = directories.get(own);
        found
            .or_else(|| directories.iter().find(|directory| directory.starts_with(&tree)))
            .or_else(|| directories.first())
            .cloned()
    }
}

/// The name under which a library with several names is stored.
fn primary(elf: &Elf, real: &Path, names: &[(PathBuf, bool)]) -> Option<PathBuf> {
    let called =
        |name: &str| names.iter().map(|(location, _)| location).find(|location| file_name(location) == name);
    let soname = elf.soname.as_deref().and_then(called);
    soname
        .or_else(|| called(&file_name(real)))
        .or_else(|| names.first().map(|(location, _)| location))
        .cloned()
}

fn kind(elf: &Elf, location: &Path, primary: Option<&Path>) -> FileKind {
    let own = file_name(location);
    let system = [elf.soname.as_deref(), Some(own.as_str())]
        .into_iter()
        .flatten()
        .find(|name| is_system_library(name));
    let elf = Box::new(elf.clone());
    match (elf.kind, system, primary) {
        (Kind::SharedObject, Some(name), _) => FileKind::System(name.to_owned(), elf),
        (Kind::SharedObject, None, Some(primary)) if primary != location => {
            FileKind::Name(primary.to_owned(), elf)
        }
        (Kind::Other, ..) => FileKind::Plain,
        _ => FileKind::Elf(elf),
    }
}
