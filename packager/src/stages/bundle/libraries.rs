//! Julia's libraries in a wheel: which ones, where, under which names, with which run paths.
//!
//! A wheel cannot contain symbolic links. Each library is stored once, under its SONAME if something needs that name. Any other
//! name that is needed becomes a shim: a small library that only needs the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::binaries::{read_elf, read_if_elf};
use super::loader::Loader;
use super::names::{loaded_first, mentioned, standard_libraries};
use super::prune::{self, Decisions, LeftOut, Verdict};
use super::{BundleError, Closure, Library, Opened, Origin, Prune, Search, unique_names};
use crate::formats::contract::JULIA;
use crate::formats::policy::{is_system_library, system_copy};
use crate::stages::image::PackageImage;
use crate::stages::julia::Julia;
use crate::stages::julia_wheel::{JuliaWheel, Sharing};
use crate::stages::project::{ProjectError, Settings, list_files};
use jnumpy_base::interrupt;
use jnumpy_base::path::file_name;
use jnumpy_elf::run_path::{self, entry_to};
use jnumpy_elf::{Answer, Edits, Elf, Machine, StandIn, Symbols, VersionNeed, rewrite, shim, strip};
use jnumpy_wheel::{Content, Source};

/// The sources and rules for collecting libraries.
#[derive(Debug, Clone, Copy)]
pub(super) struct LibraryInputs<'a> {
    /// The Julia they belong to.
    pub(super) julia: &'a Julia,
    /// The image: a file that will lie in the private library directory.
    pub(super) image: &'a Path,
    /// What stays out.
    pub(super) prune: &'a Prune,
    /// The project's directory, to which its settings are relative.
    pub(super) root: &'a Path,
    /// What the project says of native libraries.
    pub(super) settings: &'a Settings,
    /// Where changed files are written.
    pub(super) scratch: &'a Path,
    /// What has to take them then.
    pub(super) loader: &'a Loader,
    /// Whether Julia loads packages that are not in the image.
    pub(super) loads_sources: bool,
    /// Package images, which will lie in a directory of their own.
    pub(super) packages: &'a [(PackageImage, PathBuf)],
    /// Whether Julia's compiler comes with it.
    pub(super) compiler: bool,
    /// Whether the Julia is that of another wheel.
    pub(super) sharing: Sharing<'a>,
    /// The import package.
    pub(super) package: &'a str,
}

/// The directory of the package images, below Julia's prefix.
pub(super) fn package_images(julia: &Julia) -> PathBuf {
    julia.layout.private_libdir.join("packages")
}

impl LibraryInputs<'_> {
    /// Where a file that is at `path` in `_jnumpy` lies, relative to the directory that packages are installed in.
    pub(super) fn installed(&self, path: &Path) -> PathBuf {
        JuliaWheel::location(self.sharing, self.package, path)
    }

    /// The directory of the same.
    pub(super) fn installed_directory(&self, path: &Path) -> PathBuf {
        self.installed(path).parent().unwrap_or(Path::new("")).to_owned()
    }

    /// The library or program at `path`, which goes to `location` below `_jnumpy`: without unread sections, and edited.
    /// The loader has to try it when what it needs is there too: [`Self::check`].
    pub(super) fn written(
        &self,
        path: &Path,
        location: &Path,
        edits: &Edits,
    ) -> Result<Content, BundleError> {
        let wrong = |source| BundleError::Elf { path: path.to_owned(), source };
        let bytes = fs_err::read(path)?;
        let size = bytes.len();
        let is_image = path == self.image || self.packages.iter().any(|(_, image)| path == image);
        let bytes = strip(bytes, |name| self.prune.takes_section(is_image, name)).map_err(wrong)?;
        if bytes.len() == size && edits.is_empty() {
            return Ok(Content::file(path));
        }
        let bytes = rewrite(bytes, edits).map_err(wrong)?;
        // On disk rather than in memory: together they are larger than everything else that packing needs.
        let changed = self.scratch.join(location);
        if let Some(parent) = changed.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(&changed, bytes)?;
        Ok(Content::file(changed))
    }

    /// An error when the loader took the file at `path` and does not take what became of it.
    pub(super) fn check(&self, path: &Path, content: &Content) -> Result<(), BundleError> {
        match &content.source {
            Source::File(changed) if changed != path => self.loader.check(path, changed),
            _ => Ok(()),
        }
    }
}

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
    /// The libraries that stubs replace, with the name of the rule.
    pub(super) replaced: BTreeMap<PathBuf, String>,
    /// Where the files of the closure lie.
    pub(super) locations: BTreeMap<PathBuf, Location>,
    /// The symbol versions that package images ask of the user's system.
    pub(super) package_needs: Vec<(PathBuf, VersionNeed)>,
    /// New names of libraries, by the old ones.
    renamed: BTreeMap<String, String>,
}

impl Libraries {
    /// Collects what the image, whose bytes these are, and libjulia need, and what is `wanted` beside.
    pub(super) fn collect(
        inputs: &LibraryInputs<'_>,
        image_bytes: Vec<u8>,
        wanted: Vec<Opened>,
        decisions: &mut Decisions,
    ) -> Result<Self, BundleError> {
        let LibraryInputs { julia, image, prune, .. } = *inputs;
        let prefix = &julia.prefix;
        let libjulia = prefix.join(&julia.layout.libjulia);
        let private = prefix.join(&julia.layout.private_libdir);
        let directory = libjulia.parent().unwrap_or(prefix).to_owned();

        let image_elf =
            Elf::parse(&image_bytes).map_err(|source| BundleError::Elf { path: image.to_owned(), source })?;
        let (roots, mut opened) = asked_by_julia(inputs, &libjulia, &image_elf, &image_bytes, decisions)?;
        // It is not known which wheels will need the libraries of a wheel of Julia, so they have the same names in every plan.
        let needed_outside = match inputs.sharing {
            Sharing::Alone => wanted.iter().map(|wanted| wanted.name.clone()).collect(),
            Sharing::Gives | Sharing::Takes(_) => BTreeSet::new(),
        };
        opened.extend(wanted);
        // Frees the memory of the image, which is by far the largest file.
        drop(image_bytes);
        let (own, own_directories) = own_libraries(inputs)?;
        let own_names: BTreeSet<String> =
            own.iter().flat_map(|own| [own.name.clone(), format!("{}.so", own.name)]).collect();
        opened.extend(own);
        let directories = [vec![private, directory], own_directories].concat();
        let mut closure = Closure::new(&Search {
            prefix,
            roots: &roots,
            opened: &opened,
            directories: &directories,
            is_system: is_system_library,
            system_copy,
        })?;

        let all_locations = |closure: &Closure| -> BTreeMap<PathBuf, Location> {
            let libraries = closure.libraries.iter();
            libraries
                .map(|(real, library)| (real.clone(), Location::of(real, library, julia, &own_names)))
                .collect()
        };
        let before = all_locations(&closure);
        check_excluded(&closure, &before, prune)?;
        let stand_ins = stand_ins(&closure, &opened, prune)?;
        let mut renamed = replace(&mut closure, &stand_ins, &opened, &before, decisions)?;
        renamed.extend(unique_names::give(
            &mut closure,
            |path| stand_ins.contains_key(path),
            &needed_outside,
        )?);
        let locations = all_locations(&closure);
        let mut collected = Self {
            closure: closure.clone(),
            files: BTreeMap::new(),
            libjulia: PathBuf::new(),
            image: image_elf,
            replaced: (stand_ins.iter())
                .map(|(real, replacement)| (real.clone(), replacement.rule.name.clone()))
                .collect(),
            locations: BTreeMap::new(),
            package_needs: Vec::new(),
            renamed,
        };
        let real_libjulia = fs_err::canonicalize(&libjulia)?;
        let small = stand_ins.iter().map(|(real, replacement)| {
            // The loader is asked about those that need it, which look for it beside themselves.
            let path = inputs.scratch.join(in_bundle(&locations[real].path));
            fs_err::create_dir_all(path.parent().unwrap_or(inputs.scratch))?;
            fs_err::write(&path, &replacement.bytes)?;
            Ok((real, Content::file(path)))
        });
        let small = small.collect::<Result<BTreeMap<_, _>, BundleError>>()?;
        for (real, library) in &closure.libraries {
            interrupt::check()?;
            let location = &locations[real];
            let dlopens = *real == real_libjulia || file_name(real).starts_with("libjulia-internal");
            let opens_from = dlopens.then_some(julia.layout.sysimage.as_path());
            let content = if let Some(content) = small.get(real) {
                content.clone()
            } else {
                let (elf, location, renamed) = (&library.elf, &location.path, &collected.renamed);
                Change { inputs, path: real, elf, location, opens_from, renamed }.written(&locations)?
            };
            collected.add(real, library, location, content)?;
            if *real == real_libjulia {
                collected.libjulia.clone_from(&location.path);
            }
        }
        let location = &julia.layout.sysimage;
        let content = Change {
            inputs,
            path: image,
            elf: &collected.image,
            location,
            opens_from: None,
            renamed: &collected.renamed,
        }
        .content(&locations)?;
        collected.files.insert(julia.layout.sysimage.clone(), content);
        for real in closure.libraries.keys().filter(|real| !small.contains_key(real)) {
            inputs.check(real, &collected.files[&locations[real].path])?;
        }
        collected.locations = locations;
        collected.add_packages(inputs)?;
        Ok(collected)
    }

    /// Puts the package images into their directory.
    fn add_packages(&mut self, inputs: &LibraryInputs<'_>) -> Result<(), BundleError> {
        for (package, path) in inputs.packages {
            interrupt::check()?;
            let elf = read_elf(path)?;
            let location = package_images(inputs.julia).join(&package.file);
            let renamed = &BTreeMap::new();
            let content = Change { inputs, path, elf: &elf, location: &location, opens_from: None, renamed }
                .content(&self.locations)?;
            let of_the_system = elf.requires.into_iter().filter(|need| is_system_library(&need.library));
            self.package_needs.extend(of_the_system.map(|need| (location.clone(), need)));
            self.files.insert(location, content);
        }
        Ok(())
    }

    /// The directory below Julia's prefix in which a library answers to `name`.
    pub(super) fn directory_of(&self, name: &str) -> Option<PathBuf> {
        self.locations.values().find_map(|location| location.directory_of(name))
    }

    /// What a library that needs `name` needs in the bundle.
    pub(super) fn new_name(&self, name: &str) -> Option<&String> {
        self.renamed.get(name)
    }

    /// Any other file of the prefix, which goes to `location` below it. A library of an artifact may rely on libraries that
    /// Julia has opened before; its run path names them here.
    pub(super) fn other(
        &self,
        inputs: &LibraryInputs<'_>,
        path: &Path,
        location: &Path,
    ) -> Result<Content, BundleError> {
        let Some(elf) = read_if_elf(path)? else { return Ok(Content::file(path)) };
        Change { inputs, path, elf: &elf, location, opens_from: None, renamed: &self.renamed }
            .content(&self.locations)
    }

    /// Adds a library at its location, and shims at its other names.
    fn add(
        &mut self,
        real: &Path,
        library: &Library,
        location: &Location,
        content: Content,
    ) -> Result<(), BundleError> {
        let own = location.path.parent().unwrap_or(Path::new(""));
        self.files.insert(location.path.clone(), content);
        for other in &location.others {
            let from = other.parent().unwrap_or(Path::new(""));
            let bytes = shim(&location.name(), &file_name(other), Some(&entry_to(from, own)), &library.elf)
                .map_err(|source| BundleError::Elf { path: real.to_owned(), source })?;
            self.files.insert(other.clone(), Content::bytes(bytes));
        }
        Ok(())
    }
}

/// A file that goes to `location` below the prefix.
struct Change<'a> {
    inputs: &'a LibraryInputs<'a>,
    path: &'a Path,
    elf: &'a Elf,
    location: &'a Path,
    /// A file in the directory in which it opens libraries by name.
    opens_from: Option<&'a Path>,
    /// New names of libraries that it may need or have, by the old ones; `elf` may have either.
    renamed: &'a BTreeMap<String, String>,
}

impl Change<'_> {
    /// The file with the changes that it needs at its location: unread sections stripped, the run path and names set.
    fn content(&self, locations: &BTreeMap<PathBuf, Location>) -> Result<Content, BundleError> {
        let content = self.written(locations)?;
        self.inputs.check(self.path, &content)?;
        Ok(content)
    }

    /// The same, not tried with the loader yet.
    fn written(&self, locations: &BTreeMap<PathBuf, Location>) -> Result<Content, BundleError> {
        let Self { inputs, path, elf, location, opens_from, renamed } = *self;
        let installed = |directory: &Path, name: &str| {
            inputs.installed_directory(Path::new(&in_bundle(&directory.join(name))))
        };
        let directory = location.parent().unwrap_or(Path::new(""));
        let own = installed(directory, &file_name(location));
        let mut wanted: BTreeSet<PathBuf> =
            opens_from.iter().map(|path| inputs.installed_directory(Path::new(&in_bundle(path)))).collect();
        for name in elf.needed.iter().filter(|name| !is_system_library(name)) {
            let beside = || path.with_file_name(name).is_file().then(|| directory.to_owned());
            let name = renamed.get(name).unwrap_or(name);
            let found = locations.values().find_map(|location| location.directory_of(name)).or_else(beside);
            wanted.extend(found.map(|directory| installed(&directory, name)));
        }
        let is_needed =
            |(old, new): &(&String, &String)| elf.needed.contains(old) || elf.needed.contains(new);
        let soname = elf.soname.as_ref().filter(|soname| renamed.values().any(|new| new == *soname));
        let edits = Edits {
            run_path: better_run_path(elf, &own, &wanted),
            soname: soname.cloned(),
            needed: renamed.iter().filter(is_needed).map(|(old, new)| (old.clone(), new.clone())).collect(),
            clear_executable_stack: elf.executable_stack,
        };
        inputs.written(path, Path::new(&in_bundle(location)), &edits)
    }
}

/// The libraries that the project itself asks for, and the directories in which they and what they need may be.
fn own_libraries(inputs: &LibraryInputs<'_>) -> Result<(Vec<Opened>, Vec<PathBuf>), BundleError> {
    let settings = inputs.settings;
    let mut directories: Vec<PathBuf> =
        settings.library_dirs.iter().map(|directory| inputs.root.join(directory)).collect();
    let mut opened = Vec::new();
    for entry in &settings.libraries {
        let path = inputs.root.join(entry);
        let mut name = entry.clone();
        if entry.contains('/') {
            if !path.is_file() {
                return Err(ProjectError::NoSuchFile { key: "libraries", path }.into());
            }
            name = file_name(&path);
            directories.extend(path.parent().map(Path::to_owned));
        }
        opened.push(Opened { name, by: "`libraries` of `[tool.jnumpy]`".into(), required: true });
    }
    Ok((opened, directories))
}

/// What the project excludes must not be needed.
fn check_excluded(
    closure: &Closure,
    locations: &BTreeMap<PathBuf, Location>,
    prune: &Prune,
) -> Result<(), BundleError> {
    for (real, location) in locations {
        let library = in_bundle(&location.path);
        if matches!(prune.verdict(&library), Verdict::Out { own: true, .. }) {
            return Err(BundleError::Needed { library, chain: closure.chain(real) });
        }
    }
    Ok(())
}

/// The libraries that libjulia's loader opens, and all that it and the image ask for by name.
fn asked_by_julia(
    inputs: &LibraryInputs<'_>,
    libjulia: &Path,
    image: &Elf,
    image_bytes: &[u8],
    decisions: &mut Decisions,
) -> Result<(Vec<PathBuf>, Vec<Opened>), BundleError> {
    let directory = libjulia.parent().unwrap_or(&inputs.julia.prefix);
    let opened = |name: String, by: &str, required| Opened { name, by: by.to_owned(), required };
    let mut roots = vec![libjulia.to_owned()];
    let mut asked = Vec::new();
    for name in loaded_first(&fs_err::read(libjulia)?) {
        let path = directory.join(&name);
        let name = file_name(&path);
        if is_system_library(&name) || (!inputs.compiler && is_compiler(&name)) {
            continue;
        }
        if path.is_file() {
            roots.push(path);
        } else {
            asked.push(opened(name, "libjulia's loader", true));
        }
    }
    let needed = image.needed.iter().filter(|name| !is_system_library(name)).cloned();
    asked.extend(needed.map(|name| opened(name, "the image", true)));
    for (name, by) in opened_names(inputs, image_bytes, decisions)? {
        asked.push(opened(name, by, false));
    }
    Ok((roots, asked))
}

/// Adds the stub libraries to the closure, and notes which files are left out with those that they replace. Returns the new
/// names by the old ones.
fn replace(
    closure: &mut Closure,
    stand_ins: &BTreeMap<PathBuf, Replacement<'_>>,
    opened: &[Opened],
    locations: &BTreeMap<PathBuf, Location>,
    decisions: &mut Decisions,
) -> Result<BTreeMap<String, String>, BundleError> {
    let mut renamed = BTreeMap::new();
    for (real, Replacement { soname, .. }) in stand_ins {
        renamed.extend(closure.replace(real, soname));
    }
    let by = |chain: &[PathBuf]| chain.iter().find_map(|path| stand_ins.get(path)).map(|found| found.rule);
    let mut out: Vec<(PathBuf, &prune::StandIn)> =
        stand_ins.iter().map(|(real, replacement)| (real.clone(), replacement.rule)).collect();
    for chain in closure.drop_unreached(opened) {
        out.extend(by(&chain).map(|rule| (chain[0].clone(), rule)));
    }
    for (real, rule) in out {
        let left = LeftOut {
            rule: rule.name.clone(),
            reason: rule.reason.clone(),
            own: false,
            size: fs_err::metadata(&real)?.len(),
        };
        decisions.left_out.insert(in_bundle(&locations[&real].path), left);
    }
    Ok(renamed)
}

/// A stub library that replaces another library.
struct Replacement<'a> {
    rule: &'a prune::StandIn,
    soname: String,
    bytes: Vec<u8>,
}

/// The libraries that stubs replace. A library that only replaced libraries need is left out with them.
fn stand_ins<'a>(
    closure: &Closure,
    opened: &[Opened],
    prune: &'a Prune,
) -> Result<BTreeMap<PathBuf, Replacement<'a>>, BundleError> {
    let mut found = BTreeMap::new();
    loop {
        let before = found.len();
        for (real, library) in &closure.libraries {
            if !found.contains_key(real)
                && let users = users_of(closure, library, |path| found.contains_key(path))
                && let Some(rule) = rule_for(library, &users, opened, prune)
            {
                found.insert(real.clone(), Replacement::new(rule, real, library, &users)?);
            }
        }
        if found.len() == before {
            return Ok(found);
        }
    }
}

/// The libraries that need this one, without those that do not count.
fn users_of<'a>(
    closure: &'a Closure,
    library: &Library,
    is_replaced: impl Fn(&Path) -> bool,
) -> Vec<(&'a PathBuf, &'a Library)> {
    (closure.libraries.iter())
        .filter(|(path, user)| {
            !is_replaced(path) && user.elf.needed.iter().any(|name| library.names.contains_key(name))
        })
        .collect()
}

/// The rule by which a library that these others need is replaced.
fn rule_for<'a>(
    library: &Library,
    users: &[(&PathBuf, &Library)],
    opened: &[Opened],
    prune: &'a Prune,
) -> Option<&'a prune::StandIn> {
    let is_opened = opened.iter().any(|opened| library.names.contains_key(&opened.name));
    if is_opened || users.is_empty() || library.elf.machine != Machine::X86_64 {
        return None;
    }
    let users: Vec<String> = users.iter().map(|(path, _)| file_name(path)).collect();
    library.names.keys().find_map(|name| prune.stand_in(name, users.iter().map(String::as_str)))
}

impl<'a> Replacement<'a> {
    fn new(
        rule: &'a prune::StandIn,
        real: &Path,
        library: &Library,
        users: &[(&PathBuf, &Library)],
    ) -> Result<Self, BundleError> {
        let symbols = |path: &Path| -> Result<Symbols, BundleError> {
            let wrong = |source| BundleError::Elf { path: path.to_owned(), source };
            Ok(Elf::symbols(&fs_err::read(path)?).map_err(wrong)?.unwrap_or_default())
        };
        let (mut asked, mut versions) = (BTreeSet::new(), BTreeSet::new());
        for (path, user) in users {
            asked.extend(symbols(path)?.asked);
            let needs = user.elf.requires.iter().filter(|need| library.names.contains_key(&need.library));
            versions.extend(needs.map(|need| need.version.clone()));
        }
        let defined = symbols(real)?.defined;
        asked.retain(|name| defined.contains(name));
        let real_name = library.elf.soname.clone().unwrap_or_else(|| file_name(real));
        // As long as the real name, so that it fits where that one is.
        let soname = format!("no-{}", real_name.strip_prefix("lib").unwrap_or(&real_name));
        let message = format!(
            "`{real_name}` is not in this wheel: {} (rule `{name}`); packed with `include = [\"{name}\"]` in \
             `[tool.jnumpy]`, the wheel has it\n",
            rule.reason,
            name = rule.name
        );
        let answer = rule.returns.map_or(Answer::End(&message), Answer::Return);
        let stand_in = StandIn { soname: &soname, functions: &asked, versions: &versions, answer };
        let bytes = stand_in
            .bytes(&library.elf)
            .map_err(|source| BundleError::Elf { path: real.to_owned(), source })?;
        Ok(Self { rule, soname, bytes })
    }
}

/// Where a library lies in the bundle, below Julia's prefix.
#[derive(Debug)]
pub(super) struct Location {
    /// The file itself.
    pub(super) path: PathBuf,
    /// Other names it answers to.
    pub(super) others: Vec<PathBuf>,
}

impl Location {
    /// `own` are the names of libraries that the project opens.
    fn of(real: &Path, library: &Library, julia: &Julia, own: &BTreeSet<String>) -> Self {
        // What is not Julia's goes where Julia looks for libraries by name.
        let below = |path: &Path| match path.strip_prefix(&julia.prefix) {
            Ok(path) if !own.contains(&file_name(path)) => path.to_owned(),
            _ => julia.layout.private_libdir.join(file_name(path)),
        };
        let own_name = file_name(real);
        // The name of a root's own file was asked for by us alone.
        let mut names: BTreeMap<&str, PathBuf> = library
            .names
            .iter()
            .filter(|(name, _)| {
                library.names.len() == 1 || library.origin != Origin::Root || **name != own_name
            })
            .map(|(name, found)| (name.as_str(), below(&found.with_file_name(name))))
            .collect();
        let soname = library.elf.soname.as_deref();
        let chosen = soname
            .and_then(|soname| names.remove(soname))
            .or_else(|| names.remove(own_name.as_str()))
            .or_else(|| names.pop_first().map(|(_, path)| path));
        let path = chosen.unwrap_or_else(|| below(real));
        Self { path, others: names.into_values().collect() }
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

/// The run path that a file in `own` must get so that it finds `wanted`, both relative to the directory that packages are
/// installed in; `None` when the one it has does, leads nowhere else, and is searched before `LD_LIBRARY_PATH`.
pub(super) fn better_run_path(elf: &Elf, own: &Path, wanted: &BTreeSet<PathBuf>) -> Option<String> {
    // The loader ignores an RPATH beside a RUNPATH.
    let present = elf.runpath.as_ref().or(elf.rpath.as_ref());
    let has: Vec<Option<PathBuf>> = present
        .into_iter()
        .flat_map(|path| run_path::entries(path))
        .map(|entry| run_path::resolve_in_tree(own, entry))
        .collect();
    let root: PathBuf = own.components().take(2).collect();
    let clean = has.iter().all(|entry| entry.as_ref().is_some_and(|entry| entry.starts_with(&root)));
    let enough = wanted.iter().all(|directory| has.iter().flatten().any(|entry| entry == directory));
    if clean && enough {
        // As it is, but for its kind.
        return elf.runpath.clone();
    }
    let entries: Vec<String> = wanted.iter().map(|directory| entry_to(own, directory)).collect();
    Some(entries.join(":"))
}

/// Libraries of the private directory that code in the image, in libjulia itself, or in standard libraries outside the
/// image names, as they are opened, and whose code it is.
fn opened_names(
    inputs: &LibraryInputs<'_>,
    image: &[u8],
    decisions: &mut Decisions,
) -> Result<Vec<(String, &'static str)>, BundleError> {
    let LibraryInputs { julia, prune, .. } = *inputs;
    let private = julia.prefix.join(&julia.layout.private_libdir);
    let mut words = mentioned(image);
    for (_, path) in inputs.packages {
        words.extend(mentioned(&fs_err::read(path)?));
    }
    words.extend(mentioned(&fs_err::read(julia.prefix.join(&julia.layout.libjulia))?));
    let outside = if inputs.loads_sources { mentioned_outside(julia, image)? } else { BTreeSet::new() };
    let mut names = Vec::new();
    for entry in fs_err::read_dir(&private)? {
        let path = entry?.path();
        let name = file_name(&path);
        let Some((stem, rest)) = name.split_once(".so").filter(|(stem, _)| stem.starts_with("lib")) else {
            continue;
        };
        if !inputs.compiler && is_compiler(&name) {
            continue;
        }
        let asked =
            |words: &BTreeSet<String>| words.contains(&name) || (rest.is_empty() && words.contains(stem));
        let by = match (asked(&words), asked(&outside)) {
            (true, _) => "Julia's code in the image",
            (false, true) => "a standard library outside the image",
            (false, false) => continue,
        };
        let real = fs_err::canonicalize(&path)?;
        let mut taken = true;
        for path in [&path, &real] {
            if let Ok(below) = path.strip_prefix(&julia.prefix) {
                // A link counts as nothing.
                let size = || if *path == real { Ok(fs_err::metadata(&real)?.len()) } else { Ok(0) };
                taken = taken && decisions.takes(prune, &in_bundle(below), size)?;
            }
        }
        if taken && !is_system(&real)? {
            names.push((name, by));
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a library of Julia is, or belongs to, its compiler.
pub(crate) fn is_compiler(name: &str) -> bool {
    name.starts_with("libjulia-codegen") || name.starts_with("libLLVM")
}

/// The names of libraries in the sources of standard libraries that the image does not hold.
fn mentioned_outside(julia: &Julia, image: &[u8]) -> Result<BTreeSet<String>, BundleError> {
    let root = julia.prefix.join(&julia.layout.stdlib);
    let inside = standard_libraries(image);
    let mut words = BTreeSet::new();
    for entry in fs_err::read_dir(&root)? {
        let entry = entry?;
        let sources = entry.path().join("src");
        if inside.contains(entry.file_name().to_string_lossy().as_ref()) || !sources.is_dir() {
            continue;
        }
        for file in list_files(&sources)? {
            words.extend(mentioned(&fs_err::read(&file.path)?));
        }
    }
    Ok(words)
}

/// A path below Julia's prefix as a path below `_jnumpy`.
fn in_bundle(path: &Path) -> String {
    format!("{JULIA}/{}", path.to_string_lossy())
}

/// Whether the library stands for one that belongs to the user's system, whatever it is called here.
fn is_system(path: &Path) -> Result<bool, BundleError> {
    let elf = read_elf(path)?;
    Ok(is_system_library(&elf.soname.unwrap_or_else(|| file_name(path))))
}

#[cfg(test)]
mod tests;
