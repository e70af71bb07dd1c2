//! The artifacts of packages: directories of foreign files, named by their tree hash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{DepotError, Kind, files, tree_hash};
use crate::formats::Uuid;
use crate::stages::julia::{Julia, JuliaError, Run};
use crate::stages::project::{ProjectError, TreeHash, read_toml};
use jnumpy_base::process::ChildError;
use jnumpy_base::text::printable;

const QUESTION: &str = include_str!("artifacts.jl");
const MARK: &str = "jnumpy-artifact ";
/// The names that the table of a package's artifacts can have; Julia takes the first one that is there.
const NAMES: [&str; 2] = ["JuliaArtifacts.toml", "Artifacts.toml"];

/// An artifact that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name in the package that needs it.
    pub name: String,
    /// That package's name.
    pub package: String,
    /// Where it is.
    pub directory: PathBuf,
    /// The hash of what is there: another one than asked for when it is overridden or was edited.
    pub found: TreeHash,
}

/// A package that may have artifacts: its UUID, its name, its directory.
pub(super) type Owner<'a> = (Uuid, &'a str, &'a Path);

/// What is asked for beside the tables.
pub(super) struct Wishes<'a> {
    /// Names of lazy artifacts to take.
    pub(super) lazy: &'a [String],
    /// Names of packages and artifacts that need not be what their hash says.
    pub(super) unverified: &'a [String],
}

/// Finds the artifacts that `owners` need on this platform. Says in `notes` what is not as usual.
pub(super) fn find(
    owners: &[Owner<'_>],
    julia: &Julia,
    depots: &[PathBuf],
    wishes: &Wishes<'_>,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<TreeHash, Artifact>, DepotError> {
    let mut artifacts = BTreeMap::new();
    let mut lazy_names = Vec::new();
    for answer in ask(owners, julia, depots)? {
        if answer.lazy {
            if !wishes.lazy.contains(&answer.name) {
                lazy_names.push(answer.name);
                continue;
            }
            lazy_names.push(answer.name.clone());
        }
        let owner = owners.iter().find(|owner| owner.0 == answer.owner);
        let package = owner.map_or_else(String::new, |owner| owner.1.to_owned());
        if !answer.directory.is_dir() {
            return Err(DepotError::NoArtifact {
                name: printable(&answer.name),
                package,
                hash: answer.hash,
                searched: depots.iter().map(|depot| depot.join("artifacts")).collect(),
            });
        }
        // What a wheel cannot hold is said before an image is built.
        files(&answer.directory, false)?;
        let found = tree_hash(&answer.directory)?;
        let file_name = answer.directory.file_name().unwrap_or_default().to_string_lossy();
        let location = file_name.parse::<TreeHash>().ok();
        if location != Some(answer.hash) {
            notes.push(format!(
                "the artifact `{}` of `{package}` is overridden by `{}`",
                printable(&answer.name),
                answer.directory.display()
            ));
        }
        // A directory that is not named by a hash promises nothing.
        if location.is_some_and(|promised| promised != found) {
            if !wishes.unverified.contains(&answer.name) {
                return Err(DepotError::Differs {
                    name: printable(&answer.name),
                    what: Kind::Artifact,
                    directory: answer.directory,
                    expected: location.unwrap_or(answer.hash),
                    found,
                });
            }
            notes.push(unverified(Kind::Artifact, &answer.name, &found));
        }
        let artifact = Artifact { name: answer.name, package, directory: answer.directory, found };
        artifacts.entry(answer.hash).or_insert(artifact);
    }
    match wishes.lazy.iter().find(|name| !lazy_names.contains(name)) {
        None => Ok(artifacts),
        Some(name) => {
            Err(DepotError::Setting { key: "lazy-artifacts", name: printable(name), names: lazy_names })
        }
    }
}

pub(super) fn unverified(what: Kind, name: &str, found: &TreeHash) -> String {
    format!(
        "the {what} `{}` is packed with the tree hash {found}, which does not match the manifest; `unverified` allows this",
        printable(name)
    )
}

/// One line of Julia's answer.
struct Answer {
    owner: Uuid,
    name: String,
    hash: TreeHash,
    lazy: bool,
    directory: PathBuf,
}

impl Answer {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(MARK)?.split(' ');
        let mut next = || words.next();
        Some(Self {
            owner: next()?.parse().ok()?,
            lazy: next()? == "true",
            hash: next()?.parse().ok()?,
            name: text(next()?)?,
            directory: text(next()?)?.into(),
        })
    }
}

/// A text that Julia has printed as hexadecimal digits, since it may hold any character.
pub(crate) fn text(digits: &str) -> Option<String> {
    String::from_utf8(hex::decode(digits).ok()?).ok()
}

/// Asks Julia. A package's own program that selects artifacts sees the preferences of the project, the first owner.
fn ask(owners: &[Owner<'_>], julia: &Julia, depots: &[PathBuf]) -> Result<Vec<Answer>, DepotError> {
    let mut run = Run::new(julia).args(["-e", QUESTION]);
    let mut any = false;
    for (uuid, _, directory) in owners {
        let Some(path) = NAMES.iter().map(|name| directory.join(name)).find(|path| path.is_file()) else {
            continue;
        };
        check(&path)?;
        run = run.arg(uuid.to_string()).arg(&path);
        any = true;
    }
    if !any {
        return Ok(Vec::new());
    }
    let path = std::env::join_paths(depots).map_err(std::io::Error::other)?;
    if let Some((_, _, project)) = owners.first() {
        run = run.env("JULIA_PROJECT", project);
    }
    let output = run.env("JULIA_DEPOT_PATH", path).run(|_| ()).map_err(|error| match error {
        JuliaError::Child(source @ ChildError::Failed { .. }) => {
            DepotError::Selection { source: source.into() }
        }
        error => error.into(),
    })?;
    Ok(output.stdout.lines().filter_map(Answer::parse).collect())
}

/// Refuses a table in which Julia would pass over an entry, or stumble.
fn check(path: &Path) -> Result<(), DepotError> {
    let invalid = |name: &str, what: &str| {
        let message = format!("the artifact `{}` {what}", printable(name));
        DepotError::Project(ProjectError::Invalid { path: path.to_owned(), message })
    };
    for (name, value) in &read_toml(path)? {
        let one = value.as_table().map(std::slice::from_ref);
        let tables: Option<Vec<&toml::Table>> = match value {
            toml::Value::Array(several) => several.iter().map(toml::Value::as_table).collect(),
            _ => one.map(|one| one.iter().collect()),
        };
        for table in tables.ok_or_else(|| invalid(name, "must be a table or an array of tables"))? {
            let hash = table.get("git-tree-sha1").and_then(toml::Value::as_str);
            if hash.and_then(|text| text.parse::<TreeHash>().ok()).is_none() {
                return Err(invalid(name, "has no valid `git-tree-sha1`"));
            }
            let is_text = |key: &str| table.get(key).is_some_and(toml::Value::is_str);
            if value.is_array() && !(is_text("os") && is_text("arch")) {
                return Err(invalid(name, "is one of several without `os` and `arch`"));
            }
        }
    }
    Ok(())
}
