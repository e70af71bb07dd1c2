//! Tests that each module of the packager uses only modules of its own floor or of a lower one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The floors, from the lowest to the highest.
const FLOORS: [&str; 4] = ["formats", "stages", "packing", "commands"];
/// The stages in the order of the work. A stage may use those before it.
const STAGES: [&str; 10] = [
    "project",
    "unpack",
    "runtime_wheel",
    "julia",
    "julia_wheel",
    "depot",
    "image",
    "bundle",
    "audit",
    "inventory",
];
/// The crates of the workspace that each crate may use.
const CRATES: [(&str, &[&str]); 4] = [
    ("base", &[]),
    ("elf", &["jnumpy-base"]),
    ("wheel", &["jnumpy-base"]),
    (".", &["jnumpy-base", "jnumpy-elf", "jnumpy-wheel"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a module or an item from the root of its crate.
type Name = Vec<String>;

/// The source files of a crate, by the names of their modules, without tests and comments.
fn sources(source: &Path) -> BTreeMap<Name, String> {
    let files = walkdir::WalkDir::new(source).sort_by_file_name().into_iter().map(Result::unwrap);
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path.strip_prefix(source).unwrap().with_extension("");
            let module = name.iter().map(|part| part.to_string_lossy().into_owned());
            let module = module.filter(|part| !["mod", "lib", "main"].contains(&part.as_str())).collect();
            let text = fs_err::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = code.lines().map(|line| line.split("//").next().unwrap_or_default());
            (module, code.collect::<Vec<_>>().join("\n"))
        })
        .filter(|(module, _): &(Name, _)| !module.iter().any(|part| part == "tests" || part == "floors"))
        .collect()
}

/// Those of the packager that are on a floor.
fn floors() -> BTreeMap<Name, String> {
    let mut sources = sources(&root().join("src"));
    sources.retain(|module, _| module.first().is_some_and(|floor| FLOORS.contains(&floor.as_str())));
    sources
}

/// The modules that each module of a crate names, with re-exports resolved: a module that uses a type by its parent's name
/// depends on the module that defines the type, not on the parent.
struct Modules<'a> {
    sources: &'a BTreeMap<Name, String>,
    /// By module: the names that it re-exports from modules below it, and what they stand for.
    exports: BTreeMap<&'a Name, BTreeMap<String, Name>>,
}

impl<'a> Modules<'a> {
    fn new(sources: &'a BTreeMap<Name, String>) -> Self {
        let exports = |(module, text): (&'a Name, &'a String)| {
            let uses = text.lines().filter(|line| line.starts_with("pub")).filter_map(|line| {
                let (_, rest) = line.split_once(" use ")?;
                Some(&text[rest.as_ptr() as usize - text.as_ptr() as usize..])
            });
            let mut found = Vec::new();
            uses.for_each(|text| _ = read_path(text, Vec::new(), &mut found));
            let absolute = found.into_iter().map(|path| [&module[..], &path].concat());
            (module, absolute.filter_map(|path| Some((path.last()?.clone(), path))).collect())
        };
        Self { sources, exports: sources.iter().map(exports).collect() }
    }

    /// The module in which an item is.
    fn home(&self, item: &[String]) -> Option<&'a Name> {
        let (at, (module, _)) =
            (0..=item.len()).rev().find_map(|end| Some((end, self.sources.get_key_value(&item[..end])?)))?;
        match item.get(at).and_then(|name| self.exports[module].get(name)) {
            Some(target) if target != item => self.home(target),
            _ => Some(module),
        }
    }

    /// The modules that one depends on.
    fn needed(&self, module: &Name) -> BTreeSet<&'a Name> {
        let text = &self.sources[module];
        let mut items = named(text);
        for (at, start) in text.match_indices("super::") {
            if text[..at].ends_with("super::") {
                continue;
            }
            let ups = text[at..].split("super::").take_while(|between| between.is_empty()).count();
            let parent = module[..module.len().saturating_sub(ups)].to_vec();
            read_path(&text[at + ups * start.len()..], parent, &mut items);
        }
        // A re-export does not count as a use.
        for line in text.lines().filter_map(|line| line.strip_prefix("use ")) {
            let from = &text[line.as_ptr() as usize - text.as_ptr() as usize..];
            let mut found = Vec::new();
            read_path(from, module.clone(), &mut found);
            let below = |path: &Name| self.sources.contains_key(&path[..=module.len()]);
            items.extend(found.into_iter().filter(below));
        }
        let modules = items.iter().filter_map(|item| self.home(item));
        modules.filter(|other| *other != module && !other.is_empty()).collect()
    }

    /// Circles: modules of which each depends on all the others.
    fn circles(&self) -> Vec<Vec<String>> {
        let needed: BTreeMap<&Name, BTreeSet<&Name>> =
            self.sources.keys().map(|module| (module, self.needed(module))).collect();
        let reached = |from: &'a Name| {
            let mut reached = BTreeSet::new();
            let mut waiting = vec![from];
            while let Some(module) = waiting.pop() {
                waiting.extend(needed[module].iter().filter(|other| reached.insert(**other)));
            }
            reached
        };
        let reached: BTreeMap<&Name, BTreeSet<&Name>> =
            self.sources.keys().map(|module| (module, reached(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, others) in reached.iter().filter(|(module, others)| others.contains(*module)) {
            let circle = others.iter().filter(|other| reached[**other].contains(module));
            circles.insert(circle.map(|module| module.join("::")).collect());
        }
        circles.into_iter().collect()
    }
}

/// The modules that a text names from the root of the crate: `crate::stages::{depot, julia::Julia}` names two.
fn named(text: &str) -> Vec<Name> {
    let mut found = Vec::new();
    for (at, start) in text.match_indices("crate::") {
        if !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            read_path(&text[at + start.len()..], Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one path or one group of paths; returns what follows it.
fn read_path<'a>(mut text: &'a str, mut path: Name, found: &mut Vec<Name>) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(mut group) = text.strip_prefix('{') {
            loop {
                group = read_path(group, path.clone(), found).trim_start();
                match group.strip_prefix(',') {
                    Some(rest) if !rest.trim_start().starts_with('}') => group = rest,
                    Some(rest) => return &rest.trim_start()[1..],
                    None => return group.strip_prefix('}').unwrap_or(group),
                }
            }
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        path.push(text[..end].to_owned());
        text = &text[end..];
        let Some(rest) = text.strip_prefix("::") else {
            found.push(path);
            return text;
        };
        text = rest;
    }
}

fn position(list: &[&str], name: &str) -> Option<usize> {
    list.iter().position(|known| *known == name)
}

/// The reason why a module may not name another; `None` if it may.
fn objection(module: &[String], other: &[String]) -> Option<&'static str> {
    let Some(floor) = position(&FLOORS, &other[0]) else { return Some("it is on no floor") };
    let own = position(&FLOORS, &module[0])?;
    if floor > own {
        return Some("it is on a higher floor");
    }
    let (Some(part), Some(own_part)) = (other.get(1), module.get(1)) else { return None };
    match FLOORS[own] {
        "stages" if floor == own => {
            (position(&STAGES, part) > position(&STAGES, own_part)).then_some("it is a later stage")
        }
        "formats" if part != own_part && part.starts_with(char::is_lowercase) => {
            Some("formats know nothing of each other")
        }
        _ => None,
    }
}

#[test]
fn ok_nothing_is_taken_from_above() {
    let mut wrong = Vec::new();
    for (module, text) in floors() {
        for other in named(&text) {
            if let Some(why) = objection(&module, &other) {
                wrong.push(format!("{} names crate::{}: {why}", module.join("::"), other.join("::")));
            }
        }
        // `super` must not circumvent the rule.
        let leaves =
            |line: &&str| line.starts_with("use super::") && module.len() <= 2 && module[0] != "commands";
        wrong.extend(text.lines().filter(leaves).map(|line| format!("{}: {line}", module.join("::"))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ok_all_stages_are_known() {
    let mut stages: Vec<String> = floors()
        .into_keys()
        .filter(|module| module[0] == "stages" && module.len() == 2)
        .map(|mut module| module.remove(1))
        .collect();
    stages.sort();
    let mut known = STAGES.to_vec();
    known.sort_unstable();
    assert_eq!(stages, known);
}

#[test]
fn ok_crates_use_those_below() {
    for (directory, allowed) in CRATES {
        let path = root().join(directory).join("Cargo.toml");
        let manifest: toml::Table = fs_err::read_to_string(&path).unwrap().parse().unwrap();
        let used: Vec<&String> = manifest["dependencies"]
            .as_table()
            .unwrap()
            .keys()
            .filter(|name| name.starts_with("jnumpy"))
            .collect();
        assert_eq!(used, allowed, "{}", path.display());
    }
}

#[test]
fn ok_no_modules_form_a_circle() {
    for directory in ["src", "base/src", "elf/src", "wheel/src", "../runtime/src"] {
        let sources = sources(&root().join(directory));
        assert_eq!(Modules::new(&sources).circles(), Vec::<Vec<String>>::new(), "{directory}");
    }
}

#[test]
fn err_circles_through_parents_and_reexports() {
    let module = |(name, text): (&str, &str)| {
        (name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect(), text.to_owned())
    };
    let sources: BTreeMap<Name, String> = [
        ("", "pub mod a;"),
        // `a` re-exports items of `a::error`; using them is not a use of `a`.
        ("a", "mod error;\nmod one;\nmod two;\nmod three;\npub use error::Error;\nuse one::One;"),
        ("a::error", ""),
        ("a::one", "use super::{Error, two};"),
        ("a::two", "use super::Error;\nfn two() -> crate::a::three::Three {}"),
        ("a::three", "use super::two::{\n    Two,\n};"),
    ]
    .map(module)
    .into();
    assert_eq!(Modules::new(&sources).circles(), [["a::three", "a::two"]]);
}

#[test]
fn err_what_the_rule_refuses() {
    let module = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let text = "use crate::stages::{bundle::{self, Bundle}, julia,\n};\nlet x = crate::packing::Error::Io;";
    let found: Vec<String> = named(text).iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        ["stages::bundle::self", "stages::bundle::Bundle", "stages::julia", "packing::Error::Io"]
    );
    for (from, to, refused) in [
        ("stages::depot", "stages::image::Image", true),
        ("stages::depot::files", "stages::julia::Julia", false),
        ("stages::depot", "packing::Error", true),
        ("formats::policy", "stages::julia", true),
        ("formats::policy", "formats::version", true),
        ("formats::policy", "formats::Version", false),
        ("commands::wheel", "stages::bundle", false),
        ("packing::pack", "commands::wheel", true),
        ("commands::wheel", "Error", true),
    ] {
        assert_eq!(objection(&module(from), &module(to)).is_some(), refused, "{from} -> {to}");
    }
}
