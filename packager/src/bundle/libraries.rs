//! Julia's libraries in a wheel: which ones, where, under which names, with which run paths.
//!
//! A wheel holds no symbolic links. Each library is stored once, under its SONAME where something asks for that; any
//! other name that is asked for becomes a small library whose only content is that it needs the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::names::{loaded_first, mentioned};
use super::policy::is_system_library;
use super::{BundleError, Closure, Library, Opened, Origin, Prune, Search};
use crate::elf::{Edits, Elf, is_elf, rewrite, shim};
use crate::interrupt;
use crate::julia::Julia;
use crate::wheel::Content;

/// The libraries of one bundle.
#[derive(Debug)]
pub(super) struct Libraries {
    /// What was found, and who needs it.
    pub(super) closure: Closure,
    /// Every file, the image among them, by its path below Julia's prefix.
    pub(super) files: BTreeMap<PathBuf, Content>,
    /// The path of libjulia below the prefix.
    pub(super) libjulia: PathBuf,
    /// What the image says about itself.
    pub(super) image: Elf,
    /// Where the files of the closure lie.
    places: BTreeMap<PathBuf, Place>,
}

impl Libraries {
    /// Collects what `image` and libjulia need, and what is `wanted` beside. `image` is a file that will lie in the private library directory.
    pub(super) fn collect(
        julia: &Julia,
        image: &Path,
        prune: &Prune,
        wanted: Vec<Opened>,
    ) -> Result<Self, BundleError> {
        let prefix = &julia.prefix;
        let libjulia = prefix.join(&julia.layout.libjulia);
        let private = prefix.join(&julia.layout.private_libdir);
        let directory = libjulia.parent().unwrap_or(prefix).to_owned();

        let image_bytes = fs_err::read(image)?;
        let image_elf =
            Elf::parse(&image_bytes).map_err(|source| BundleError::Elf { path: image.to_owned(), source })?;
        let mut roots = vec![libjulia.clone()];
        for name in loaded_first(&fs_err::read(&libjulia)?) {
            let path = directory.join(&name);
            if !is_system_library(&file_name(&path)) {
                roots.push(path);
            }
        }
        let opened = |name: String, by: &str, required| Opened { name, by: by.to_owned(), required };
        let needed = image_elf.needed.iter().filter(|name| !is_system_library(name)).cloned();
        let opened: Vec<Opened> = needed
            .map(|name| opened(name, "the image", true))
            .chain(
                opened_names(julia, &image_bytes, prune)?
                    .into_iter()
                    .map(|name| opened(name, "Julia's code in the image", false)),
            )
            .chain(wanted)
            .collect();
        let closure = Closure::new(&Search {
            prefix,
            roots: &roots,
            opened: &opened,
            directories: &[private.clone(), directory.clone()],
            is_system: is_system_library,
        })?;

        let places = closure
            .libraries
            .iter()
            .map(|(real, library)| Ok((real.clone(), Place::of(real, library, prefix)?)))
            .collect::<Result<BTreeMap<_, _>, BundleError>>()?;
        let mut collected = Self {
            closure: closure.clone(),
            files: BTreeMap::new(),
            libjulia: PathBuf::new(),
            image: image_elf,
            places: BTreeMap::new(),
        };
        let real_libjulia = fs_err::canonicalize(&libjulia)?;
        for (real, library) in &closure.libraries {
            interrupt::check()?;
            let place = &places[real];
            let dlopens = *real == real_libjulia || file_name(real).starts_with("libjulia-internal");
            let extra = dlopens.then_some(julia.layout.private_libdir.as_path());
            collected.add(real, library, place, &places, extra)?;
            if *real == real_libjulia {
                collected.libjulia.clone_from(&place.path);
            }
        }
        let content = edited(image, &collected.image, &julia.layout.private_libdir, &places, None)?;
        collected.files.insert(julia.layout.sysimage.clone(), content);
        collected.places = places;
        Ok(collected)
    }

    /// The directory below Julia's prefix in which a library answers to `name`.
    pub(super) fn directory_of(&self, name: &str) -> Option<PathBuf> {
        self.places.values().find_map(|place| place.directory_of(name))
    }

    /// Any other file of the prefix, to be put at `place` below it. One of an artifact may count on libraries that Julia
    /// has opened before; here it finds them by itself.
    pub(super) fn other(&self, path: &Path, place: &Path) -> Result<Content, BundleError> {
        let mut start = Vec::new();
        fs_err::File::open(path)?.take(4).read_to_end(&mut start)?;
        if !is_elf(&start) {
            return Ok(Content::file(path));
        }
        let elf = Elf::parse(&fs_err::read(path)?)
            .map_err(|source| BundleError::Elf { path: path.to_owned(), source })?;
        let own = place.parent().unwrap_or(Path::new(""));
        edited(path, &elf, own, &self.places, None)
    }

    fn add(
        &mut self,
        real: &Path,
        library: &Library,
        place: &Place,
        places: &BTreeMap<PathBuf, Place>,
        opens_from: Option<&Path>,
    ) -> Result<(), BundleError> {
        let elf = &library.elf;
        let own = place.path.parent().unwrap_or(Path::new(""));
        let content = edited(real, elf, own, places, opens_from)?;
        self.files.insert(place.path.clone(), content);
        for other in &place.others {
            let from = other.parent().unwrap_or(Path::new(""));
            let bytes = shim(&place.name(), &file_name(other), Some(&origin_to(from, own)), elf)
                .map_err(|source| BundleError::Elf { path: real.to_owned(), source })?;
            self.files.insert(other.clone(), Content::bytes(bytes));
        }
        Ok(())
    }
}

/// The file `path`, to be put into the directory `own` below the prefix, with the edits that it needs there.
fn edited(
    path: &Path,
    elf: &Elf,
    own: &Path,
    places: &BTreeMap<PathBuf, Place>,
    opens_from: Option<&Path>,
) -> Result<Content, BundleError> {
    let mut wanted: BTreeSet<PathBuf> = opens_from.iter().map(|path| (*path).to_owned()).collect();
    for name in elf.needed.iter().filter(|name| !is_system_library(name)) {
        let beside = || path.with_file_name(name).is_file().then(|| own.to_owned());
        wanted.extend(places.values().find_map(|place| place.directory_of(name)).or_else(beside));
    }
    let edits = Edits {
        runpath: run_path(elf, own, &wanted),
        clear_executable_stack: elf.executable_stack,
        ..Edits::default()
    };
    if edits.is_empty() {
        return Ok(Content::file(path));
    }
    let bytes = rewrite(fs_err::read(path)?, &edits)
        .map_err(|source| BundleError::Elf { path: path.to_owned(), source })?;
    Ok(Content::bytes(bytes))
}

/// Where a library lies in the bundle, below Julia's prefix.
#[derive(Debug)]
struct Place {
    /// The file itself.
    path: PathBuf,
    /// Other names it answers to.
    others: Vec<PathBuf>,
}

impl Place {
    fn of(real: &Path, library: &Library, prefix: &Path) -> Result<Self, BundleError> {
        let below = |path: &Path| {
            path.strip_prefix(prefix)
                .map(Path::to_owned)
                .map_err(|_| BundleError::Outside { path: path.to_owned(), prefix: prefix.to_owned() })
        };
        let own_name = file_name(real);
        // The name of a root's own file was asked for by us alone.
        let mut names: BTreeMap<&str, PathBuf> = library
            .names
            .iter()
            .filter(|(name, _)| {
                library.names.len() == 1 || library.origin != Origin::Root || **name != own_name
            })
            .map(|(name, found)| Ok((name.as_str(), below(&found.with_file_name(name))?)))
            .collect::<Result<_, BundleError>>()?;
        let soname = library.elf.soname.as_deref();
        let chosen = soname
            .and_then(|soname| names.remove(soname))
            .or_else(|| names.remove(own_name.as_str()))
            .or_else(|| names.pop_first().map(|(_, path)| path));
        let path = chosen.map_or_else(|| below(real), Ok)?;
        Ok(Self { path, others: names.into_values().collect() })
    }

    fn name(&self) -> String {
        file_name(&self.path)
    }

    /// The directory in which this library answers to `name`.
    fn directory_of(&self, name: &str) -> Option<PathBuf> {
        let path = std::iter::once(&self.path).chain(&self.others).find(|path| file_name(path) == name)?;
        path.parent().map(Path::to_owned)
    }
}

/// The run path a file must get so that it finds `wanted`, directories below the prefix; `None` when the one it has
/// does, and leads nowhere else.
pub(super) fn run_path(elf: &Elf, own: &Path, wanted: &BTreeSet<PathBuf>) -> Option<String> {
    let has: Vec<Option<PathBuf>> = elf
        .runpath
        .iter()
        .flat_map(|path| path.split(':'))
        .map(|entry| {
            let rest = entry.strip_prefix("$ORIGIN")?;
            normal(&own.join(rest.strip_prefix('/').unwrap_or(rest)))
        })
        .collect();
    let clean = elf.rpath.is_none() && has.iter().all(Option::is_some);
    let enough = wanted.iter().all(|directory| has.iter().flatten().any(|entry| entry == directory));
    if clean && enough {
        return None;
    }
    let entries: Vec<String> = wanted.iter().map(|directory| origin_to(own, directory)).collect();
    Some(entries.join(":"))
}

/// The path from one directory to another, both below the prefix, in the loader's notation.
pub(super) fn origin_to(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(one, two)| one == two).count();
    let mut path = String::from("$ORIGIN");
    path.push_str(&"/..".repeat(from.len() - shared));
    for part in &to[shared..] {
        path.push('/');
        path.push_str(&part.as_os_str().to_string_lossy());
    }
    path
}

/// Resolves `..`; `None` when the path leaves the prefix.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                if !parts.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts)
}

/// Libraries of the private directory that code in the image or in libjulia itself names, as they are opened.
fn opened_names(julia: &Julia, image: &[u8], prune: &Prune) -> Result<Vec<String>, BundleError> {
    let private = julia.prefix.join(&julia.layout.private_libdir);
    let mut words = mentioned(image);
    words.extend(mentioned(&fs_err::read(julia.prefix.join(&julia.layout.libjulia))?));
    let mut names = Vec::new();
    for entry in fs_err::read_dir(&private)? {
        let path = entry?.path();
        let name = file_name(&path);
        let Some((stem, rest)) = name.split_once(".so").filter(|(stem, _)| stem.starts_with("lib")) else {
            continue;
        };
        let asked = words.contains(&name) || (rest.is_empty() && words.contains(stem));
        let real = fs_err::canonicalize(&path)?;
        let pruned = [path.as_path(), &real].iter().any(|path| {
            path.strip_prefix(&julia.prefix).is_ok_and(|path| prune.reason(&path.to_string_lossy()).is_some())
        });
        if asked && !pruned && !is_system(&real)? {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether the library stands for one that belongs to the user's system, whatever it is called here.
fn is_system(path: &Path) -> Result<bool, BundleError> {
    let elf = Elf::parse(&fs_err::read(path)?)
        .map_err(|source| BundleError::Elf { path: path.to_owned(), source })?;
    Ok(is_system_library(&elf.soname.unwrap_or_else(|| file_name(path))))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
