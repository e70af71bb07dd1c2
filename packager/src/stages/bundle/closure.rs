//! Finds every library that a set of files needs, as the dynamic loader finds it, and which file needs it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

use jnumpy_base::Hint;
use jnumpy_base::interrupt::{self, Interrupted};
use jnumpy_base::path::file_name;
use jnumpy_elf::{Elf, ElfError, Kind, VersionNeed, run_path};

/// What to look for, and where.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// The tree that libraries may come from. A library that a run path finds outside it counts as missing.
    pub prefix: &'a Path,
    /// The files whose needs are followed.
    pub roots: &'a [PathBuf],
    /// Names of libraries that code opens at run time, which no file lists as needed.
    pub opened: &'a [Opened],
    /// Directories searched after the run paths, inside the tree or not, as `LD_LIBRARY_PATH` or Julia's own list
    /// would name them.
    pub directories: &'a [PathBuf],
    /// Whether a name is left to the user's system; [`crate::formats::policy::is_system_library`] is the usual answer.
    pub is_system: fn(&str) -> bool,
    /// The path of a library of this machine's system that may be bundled; tried last.
    pub system_copy: fn(&str) -> Option<PathBuf>,
}

/// A library opened by name at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The name, with or without `.so`, which is tried after the bare name.
    pub name: String,
    /// The code that opens it, as text for the user, for example "the standard library `LibGit2`".
    pub by: String,
    /// Whether its absence is an error or only noted.
    pub required: bool,
}

/// How a library came into the closure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is one of the files asked about.
    Root,
    /// It is opened by name at run time, by the one described.
    Opened(String),
    /// The library at this path needs it.
    Needed(PathBuf),
}

/// A file of the closure.
#[derive(Debug, Clone)]
pub struct Library {
    /// What the file says about itself.
    pub elf: Elf,
    /// Every name by which something asks for it, with the path where that name was found; often a symbolic link.
    pub names: BTreeMap<String, PathBuf>,
    /// What brought it in first.
    pub origin: Origin,
}

/// A library that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub name: String,
    /// Who asks for it, who needs that one, and so on up to a root.
    pub chain: Vec<String>,
    /// Where it was looked for.
    pub searched: Vec<PathBuf>,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let searched: Vec<String> =
            self.searched.iter().map(|path| format!("`{}`", path.display())).collect();
        let searched = if searched.is_empty() { "no directory".into() } else { searched.join(", ") };
        write!(
            formatter,
            "`{}` (needed by {}; looked in {searched})",
            self.name,
            self.chain.join(", needed by ")
        )
    }
}

/// Why the closure cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// A file operation failed; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A file that should be a library is not one, or is damaged.
    #[error("`{}` cannot be read as a library", path.display())]
    Elf {
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ElfError,
    },
    /// Needed libraries are nowhere to be found.
    #[error("not found: {}", .0.iter().map(Missing::to_string).collect::<Vec<_>>().join("; "))]
    Missing(Vec<Missing>),
}

impl Hint for ClosureError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io(_) | Self::Interrupted(_) => None,
            Self::Elf { source, .. } => source.hint(),
            Self::Missing(_) => Some(
                "install the package that contains it and name its directory in `library-dirs` of `[tool.jnumpy]`; \
                 if nothing uses the file that needs it, leave that file out with `exclude`"
                    .into(),
            ),
        }
    }
}

/// All files that the roots need, the roots among them.
#[derive(Debug, Clone)]
pub struct Closure {
    /// The files, by real path.
    pub libraries: BTreeMap<PathBuf, Library>,
    /// The names left to the user's system, with the files that need them.
    pub system: BTreeMap<String, BTreeSet<PathBuf>>,
    /// Names opened at run time that were not found and need not be.
    pub absent: Vec<Missing>,
    /// The tree, symbolic links resolved.
    prefix: PathBuf,
}

impl Closure {
    /// Follows the needs of all roots and opened names, breadth first as the loader does.
    pub fn new(search: &Search<'_>) -> Result<Self, ClosureError> {
        let mut walk = Walk {
            is_system: search.is_system,
            system_copy: search.system_copy,
            // A directory that does not exist is still one that was searched.
            directories: (search.directories.iter())
                .map(|directory| fs_err::canonicalize(directory).unwrap_or_else(|_| directory.clone()))
                .collect(),
            closure: Self {
                libraries: BTreeMap::new(),
                system: BTreeMap::new(),
                absent: Vec::new(),
                prefix: fs_err::canonicalize(search.prefix)?,
            },
            loaded: BTreeMap::new(),
            queue: VecDeque::new(),
        };
        let mut missing = Vec::new();
        for root in search.roots {
            let name = file_name(root);
            let elf = read(root)?;
            walk.add(&name, root.clone(), elf, Origin::Root)?;
        }
        walk.follow(&mut missing)?;
        for opened in search.opened {
            if let Some(absent) = walk.open(opened)? {
                if opened.required { &mut missing } else { &mut walk.closure.absent }.push(absent);
            }
            walk.follow(&mut missing)?;
        }
        if missing.is_empty() { Ok(walk.closure) } else { Err(ClosureError::Missing(missing)) }
    }

    /// The symbol versions that files of the closure ask of the user's system, with the file that asks.
    pub fn system_needs(&self) -> impl Iterator<Item = (&Path, &VersionNeed)> {
        self.libraries.iter().flat_map(|(path, library)| {
            let of_the_system = |need: &&VersionNeed| self.system.contains_key(&need.library);
            library.elf.requires.iter().filter(of_the_system).map(|need| (path.as_path(), need))
        })
    }

    /// Who brought in the library of this name: itself first, then who needs it, and so on up to a root. `None` when
    /// nothing needs a library of this name.
    #[must_use]
    pub fn explain(&self, name: &str) -> Option<Vec<String>> {
        if let Some(users) = self.system.get(name) {
            let mut lines = vec![format!("`{name}` of the user's system")];
            lines.extend(users.first().map(|user| self.chain(user)).unwrap_or_default());
            return Some(lines);
        }
        let known = |(path, library): &(&PathBuf, &Library)| {
            library.names.contains_key(name)
                || file_name(path) == name
                || library.elf.soname.as_deref() == Some(name)
        };
        self.libraries.iter().find(known).map(|(path, _)| self.chain(path))
    }

    /// Makes a file one that needs nothing and has only this name. Returns its former names, including this one.
    pub(super) fn replace(&mut self, path: &Path, soname: &str) -> Vec<(String, String)> {
        let renamed = self.rename(path, soname);
        let Some(library) = self.libraries.get_mut(path) else { return Vec::new() };
        library.elf.needed.clear();
        library.elf.requires.clear();
        library.names.retain(|name, _| name == soname);
        self.system.retain(|_, users| !users.remove(path) || !users.is_empty());
        renamed
    }

    /// Gives a file a new name, by which the files of the closure need it from now on. Returns its former names, including
    /// this one.
    pub(super) fn rename(&mut self, path: &Path, soname: &str) -> Vec<(String, String)> {
        let Some(library) = self.libraries.get_mut(path) else { return Vec::new() };
        let before = library.elf.soname.replace(soname.to_owned());
        let names: Vec<String> = library.names.keys().cloned().collect();
        // It lies where its SONAME was found; other names may be links elsewhere.
        let found =
            before.and_then(|name| library.names.get(&name)).or(library.names.values().next()).cloned();
        library.names.extend(found.map(|found| (soname.to_owned(), found)));
        let renamed = |name: &String| if names.contains(name) { soname.to_owned() } else { name.clone() };
        for user in self.libraries.values_mut() {
            user.elf.needed = user.elf.needed.iter().map(renamed).collect();
            let requires = std::mem::take(&mut user.elf.requires).into_iter();
            user.elf.requires =
                requires.map(|need| VersionNeed { library: renamed(&need.library), ..need }).collect();
        }
        names.into_iter().map(|name| (name, soname.to_owned())).collect()
    }

    /// Leaves out files that only replaced files have needed. Returns each of them with the chain of files that needed it.
    pub(super) fn drop_unreached(&mut self, opened: &[Opened]) -> Vec<Vec<PathBuf>> {
        let is_opened = |library: &Library| {
            let named = |opened: &Opened| {
                library.names.contains_key(&opened.name)
                    || library.names.contains_key(&format!("{}.so", opened.name))
            };
            !matches!(library.origin, Origin::Needed(_)) || opened.iter().any(named)
        };
        let first = self.libraries.iter().filter(|(_, library)| is_opened(library));
        let mut reached: BTreeSet<PathBuf> = first.map(|(path, _)| path.clone()).collect();
        let mut waiting: Vec<PathBuf> = reached.iter().cloned().collect();
        while let Some(path) = waiting.pop() {
            let needed = self.libraries[&path].elf.needed.clone();
            for (other, library) in &mut self.libraries {
                if needed.iter().any(|name| library.names.contains_key(name)) && reached.insert(other.clone())
                {
                    // The one that brought it in first may be gone.
                    library.origin = Origin::Needed(path.clone());
                    waiting.push(other.clone());
                }
            }
        }
        let unreached = self.libraries.keys().filter(|path| !reached.contains(*path));
        let chains = unreached
            .map(|path| {
                let mut chain = vec![path.clone()];
                let mut origin = &self.libraries[path].origin;
                while let Origin::Needed(by) = origin {
                    chain.push(by.clone());
                    let Some(library) = self.libraries.get(by) else { break };
                    origin = &library.origin;
                }
                chain
            })
            .collect();
        self.libraries.retain(|path, _| reached.contains(path));
        self.system.retain(|_, users| {
            let had = !users.is_empty();
            users.retain(|path| reached.contains(path));
            !had || !users.is_empty()
        });
        chains
    }

    /// A file, who brought it in, and so on up to a root.
    pub(super) fn chain(&self, path: &Path) -> Vec<String> {
        let show = |path: &Path| format!("`{}`", path.strip_prefix(&self.prefix).unwrap_or(path).display());
        let mut lines = vec![show(path)];
        let mut origin = self.libraries.get(path).map(|library| &library.origin);
        while let Some(current) = origin {
            origin = match current {
                Origin::Root => None,
                Origin::Opened(by) => {
                    lines.push(by.clone());
                    None
                }
                Origin::Needed(by) => {
                    lines.push(show(by));
                    self.libraries.get(by).map(|library| &library.origin)
                }
            };
        }
        lines
    }
}

struct Walk {
    is_system: fn(&str) -> bool,
    system_copy: fn(&str) -> Option<PathBuf>,
    /// The caller's directories, symbolic links resolved.
    directories: Vec<PathBuf>,
    closure: Closure,
    /// What answers to a name already: the loader opens no second library of the same name.
    loaded: BTreeMap<String, PathBuf>,
    /// The libraries whose needs are not followed yet.
    queue: VecDeque<PathBuf>,
}

impl Walk {
    /// Takes a file into the closure, or notes one more name of it.
    fn add(&mut self, name: &str, found: PathBuf, elf: Elf, origin: Origin) -> Result<(), ClosureError> {
        let path = self.original(fs_err::canonicalize(&found)?, &elf)?;
        for known in elf.soname.as_deref().into_iter().chain([name]) {
            self.loaded.entry(known.to_owned()).or_insert_with(|| path.clone());
        }
        if let Some(library) = self.closure.libraries.get_mut(&path) {
            library.names.entry(name.to_owned()).or_insert(found);
        } else {
            let names = BTreeMap::from([(name.to_owned(), found)]);
            self.closure.libraries.insert(path.clone(), Library { elf, names, origin });
            self.queue.push_back(path);
        }
        Ok(())
    }

    /// The file of the closure that has the same content, where links have been expanded to copies; else the file itself.
    fn original(&self, path: PathBuf, elf: &Elf) -> Result<PathBuf, ClosureError> {
        let libraries = &self.closure.libraries;
        if libraries.contains_key(&path) {
            return Ok(path);
        }
        for (known, _) in libraries.iter().filter(|(_, library)| library.elf == *elf) {
            if is_copy(known, &path)? {
                return Ok(known.clone());
            }
        }
        Ok(path)
    }

    /// Follows all needs that are left.
    fn follow(&mut self, missing: &mut Vec<Missing>) -> Result<(), ClosureError> {
        while let Some(path) = self.queue.pop_front() {
            interrupt::check()?;
            let elf = self.closure.libraries[&path].elf.clone();
            let directories = self.directories_for(&path);
            for name in &elf.needed {
                if (self.is_system)(name) {
                    self.closure.system.entry(name.clone()).or_default().insert(path.clone());
                    continue;
                }
                let origin = Origin::Needed(path.clone());
                if !self.find(std::slice::from_ref(name), &directories, Some(&elf), &origin)?
                    && missing.iter().all(|known| known.name != *name)
                {
                    let chain = self.closure.chain(&path);
                    missing.push(Missing { name: name.clone(), chain, searched: directories.clone() });
                }
            }
        }
        Ok(())
    }

    /// Where the loader looks for what a library needs: `DT_RPATH` of it and of those that brought it in, unless it has
    /// a `DT_RUNPATH`, then that one, then the caller's directories.
    fn directories_for(&self, path: &Path) -> Vec<PathBuf> {
        let mut directories = Vec::new();
        let mut next = Some(path);
        while let Some(library) = next.and_then(|path| self.closure.libraries.get(path)) {
            let is_itself = next == Some(path);
            if library.elf.runpath.is_none() {
                directories.extend(self.expand(library.elf.rpath.as_deref(), library));
            } else if is_itself {
                directories.extend(self.expand(library.elf.runpath.as_deref(), library));
                break;
            }
            next = if let Origin::Needed(by) = &library.origin { Some(by) } else { None };
        }
        directories.extend_from_slice(&self.directories);
        let mut seen = BTreeSet::new();
        directories.retain(|directory| seen.insert(directory.clone()));
        directories
    }

    /// Opens a library as running code does; returns what is missing.
    fn open(&mut self, opened: &Opened) -> Result<Option<Missing>, ClosureError> {
        let candidates = [opened.name.clone(), format!("{}.so", opened.name)];
        if candidates.iter().any(|name| (self.is_system)(name)) {
            self.closure.system.entry(opened.name.clone()).or_default();
            return Ok(None);
        }
        let like = self.closure.libraries.values().next().map(|library| library.elf.clone());
        let origin = Origin::Opened(opened.by.clone());
        let directories = self.directories.clone();
        if self.find(&candidates, &directories, like.as_ref(), &origin)? {
            return Ok(None);
        }
        let chain = vec![opened.by.clone()];
        Ok(Some(Missing { name: opened.name.clone(), chain, searched: directories }))
    }

    /// Finds the first of the candidates and takes it into the closure.
    fn find(
        &mut self,
        candidates: &[String],
        directories: &[PathBuf],
        like: Option<&Elf>,
        origin: &Origin,
    ) -> Result<bool, ClosureError> {
        for candidate in candidates {
            if let Some(path) = self.loaded.get(candidate)
                && let Some(library) = self.closure.libraries.get_mut(path)
            {
                // Beside the file when there is such a link, so that the name can be kept there.
                let beside = path.with_file_name(candidate);
                let found = if beside.exists() { beside } else { path.clone() };
                library.names.entry(candidate.clone()).or_insert(found);
                return Ok(true);
            }
        }
        for directory in directories {
            for candidate in candidates {
                // An absolute name replaces the directory, as it should, but must lie in the tree too.
                let path = directory.join(candidate);
                if path.is_file() && self.is_allowed(&path) && self.take(candidate, path, like, origin)? {
                    return Ok(true);
                }
            }
        }
        for candidate in candidates {
            if let Some(path) = (self.system_copy)(candidate)
                && self.take(candidate, path, like, origin)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a file that was found, unless it is for another processor than `like`: the loader passes over those.
    fn take(
        &mut self,
        name: &str,
        path: PathBuf,
        like: Option<&Elf>,
        origin: &Origin,
    ) -> Result<bool, ClosureError> {
        let elf = read(&path)?;
        let family = |elf: &Elf| (elf.machine, elf.bits, elf.little_endian);
        let fits = like.is_none_or(|like| family(like) == family(&elf));
        if fits {
            self.add(name, path, elf, origin.clone())?;
        }
        Ok(fits)
    }

    fn is_allowed(&self, path: &Path) -> bool {
        path.starts_with(&self.closure.prefix)
            || self.directories.iter().any(|directory| path.starts_with(directory))
    }

    /// The directories of a run path that exist and are allowed. `$ORIGIN` is the directory of the file as it was found,
    /// links not resolved: so the loader does it.
    fn expand(&self, search: Option<&str>, library: &Library) -> Vec<PathBuf> {
        let mut directories = Vec::new();
        for found in library.names.values() {
            let Some(origin) = found.parent() else { continue };
            for entry in search.into_iter().flat_map(run_path::entries) {
                if let Some(directory) = run_path::resolve(origin, entry)
                    && let Ok(directory) = fs_err::canonicalize(directory)
                    && self.is_allowed(&directory)
                {
                    directories.push(directory);
                }
            }
        }
        directories
    }
}

fn read(path: &Path) -> Result<Elf, ClosureError> {
    let wrong = |source| ClosureError::Elf { path: path.to_owned(), source };
    let elf = Elf::parse(&fs_err::read(path)?).map_err(wrong)?;
    if elf.kind == Kind::Other {
        return Err(wrong(ElfError::Unsupported {
            why: "it is neither a program nor a shared library".into(),
        }));
    }
    Ok(elf)
}

fn is_copy(one: &Path, other: &Path) -> std::io::Result<bool> {
    Ok(fs_err::metadata(one)?.len() == fs_err::metadata(other)?.len()
        && fs_err::read(one)? == fs_err::read(other)?)
}

#[cfg(test)]
mod tests;
