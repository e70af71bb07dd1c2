//! The floors of the packager, held by what its files name: `crate::…` leads to the own floor or to one below.

use std::path::{Path, PathBuf};

/// From the lowest to the highest.
const FLOORS: [&str; 4] = ["formats", "stages", "packing", "commands"];
/// In the order of the work: a stage may use those before it.
const STAGES: [&str; 8] =
    ["project", "runtime_wheel", "julia", "depot", "image", "bundle", "audit", "inventory"];
/// What each crate may use of the workspace.
const CRATES: [(&str, &[&str]); 4] = [
    ("base", &[]),
    ("elf", &["jnumpy-base"]),
    ("wheel", &["jnumpy-base"]),
    (".", &["jnumpy-base", "jnumpy-elf", "jnumpy-wheel"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The source files, by the names of their modules.
fn sources() -> Vec<(Vec<String>, String)> {
    let source = root().join("src");
    let files = walkdir::WalkDir::new(&source).sort_by_file_name().into_iter().map(Result::unwrap);
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path.strip_prefix(&source).unwrap().with_extension("");
            let module: PathBuf = name.components().filter(|part| part.as_os_str() != "mod").collect();
            let module = module.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            (module, fs_err::read_to_string(path).unwrap())
        })
        .filter(|(module, _): &(Vec<String>, _)| FLOORS.contains(&module[0].as_str()))
        .collect()
}

/// The modules that a text names from the root of the crate: `crate::stages::{depot, julia::Julia}` names two.
fn named(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, start) in text.match_indices("crate::") {
        if !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            read_path(&text[at + start.len()..], Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one path or one group of paths; returns what follows it.
fn read_path<'a>(mut text: &'a str, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
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

/// Why a module may not name another, if it may not.
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
    for (module, text) in sources() {
        for other in named(&text) {
            if let Some(why) = objection(&module, &other) {
                wrong.push(format!("{} names crate::{}: {why}", module.join("::"), other.join("::")));
            }
        }
        // `super` must not lead around the rule.
        let leaves =
            |line: &&str| line.starts_with("use super::") && module.len() <= 2 && module[0] != "commands";
        wrong.extend(text.lines().filter(leaves).map(|line| format!("{}: {line}", module.join("::"))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ok_all_stages_are_known() {
    let mut stages: Vec<String> = sources()
        .into_iter()
        .filter(|(module, _)| module[0] == "stages" && module.len() == 2)
        .map(|(mut module, _)| module.remove(1))
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
