//! Installs a Julia below `JNUMPY_HOME/julia/<id>`: at once or not at all.
//!
//! All work happens in a directory `.tmp-…` beside the target; the finished prefix is proven there and then renamed.
//! One lock serves all installations, so whoever holds it knows that every `.tmp-…` it meets is dead.

mod apt;
mod debian;
mod error;
mod manifest;
mod prefix;
mod sources;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fs_err::{File, OpenOptions};

use crate::stages::julia::find::{Choice, find};
use crate::stages::julia::record::Record;
use crate::stages::julia::{Julia, JuliaError, Origin, Run, Surroundings, layout};
use jnumpy_base::{Report, interrupt};

pub use error::{Attempt, InstallError};

const TEMPORARY: &str = ".tmp-";
const LOCK: &str = ".lock";
const PROOF: &str = include_str!("proof.jl");
const PROOF_MARK: &str = "jnumpy-library ";

/// Where a Julia can be installed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The Julia in Debian's archive, from the mirror that this machine's apt uses.
    Debian,
}

/// The result of [`install`].
#[derive(Debug)]
pub struct Installed {
    /// The Julia, started from its final place.
    pub julia: Julia,
    /// False when it was there already.
    pub fresh: bool,
}

/// Finds the Julia that `choice` asks for; with [`Choice::Auto`] one is installed when none is found.
pub fn provide(choice: &Choice, surroundings: &Surroundings, report: &Report) -> Result<Julia, JuliaError> {
    match (choice, find(choice.path(), surroundings, report)) {
        (Choice::Auto, Err(JuliaError::NotFound { .. })) => {
            Ok(install(Source::Debian, surroundings, report)?.julia)
        }
        (_, found) => found,
    }
}

/// Installs the Julia of `source`, or returns the one that is there.
///
/// A killed run leaves only a directory that no search takes and that the next run removes. A second run at the same
/// time waits for the first. One that is there and does not start is installed anew.
pub fn install(
    source: Source,
    surroundings: &Surroundings,
    report: &Report,
) -> Result<Installed, JuliaError> {
    let Source::Debian = source;
    let manifest = manifest::Manifest::debian()?;
    let id = format!("debian-{}", manifest.version);
    let target = surroundings.managed.join(&id);
    let origin = Origin::Managed(id);
    if let Some(julia) = present(&target, &origin, report)? {
        return Ok(Installed { julia, fresh: false });
    }

    fs_err::create_dir_all(&surroundings.managed)?;
    let _lock = lock(&surroundings.managed, report)?;
    if let Some(julia) = present(&target, &origin, report)? {
        return Ok(Installed { julia, fresh: false });
    }
    remove_leftovers(&surroundings.managed, report)?;

    let staging = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(&surroundings.managed)?;
    let prefix = debian::build(manifest, staging.path(), report)?;
    let stage = report.stage("proof");
    prove(&prefix, staging.path(), &origin).map_err(|error| match error {
        JuliaError::Interrupted(_) | JuliaError::Install(_) => error,
        error => InstallError::Proof(Box::new(error)).into(),
    })?;
    stage.done("Julia starts and loads its libraries from where it stands, and from nowhere else");

    if target.exists() {
        fs_err::rename(&target, staging.path().join("replaced"))?;
    }
    fs_err::rename(&prefix, &target)?;
    Ok(Installed { julia: layout::ask(&executable(&target), &origin)?, fresh: true })
}

fn executable(prefix: &Path) -> PathBuf {
    prefix.join("bin/julia")
}

/// The Julia at `target`, if it is complete and starts.
fn present(target: &Path, origin: &Origin, report: &Report) -> Result<Option<Julia>, JuliaError> {
    if Record::read(target)?.is_none() {
        return Ok(None);
    }
    match layout::ask(&executable(target), origin) {
        Ok(julia) => Ok(Some(julia)),
        Err(error @ JuliaError::Interrupted(_)) => Err(error),
        Err(error) => {
            report.warn(format_args!("installing anew: {error}"));
            Ok(None)
        }
    }
}

/// Waits until no other installation is under way. The lock ends with the file's handle, thus with the process.
fn lock(managed: &Path, report: &Report) -> Result<File, JuliaError> {
    let path = managed.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
    let mut said = false;
    loop {
        match file.file().try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(source)) => {
                return Err(InstallError::Lock { path, source }.into());
            }
        }
        if !said {
            report.say(format_args!("waiting for another installation, which holds `{}`", path.display()));
            said = true;
        }
        interrupt::check()?;
        thread::sleep(Duration::from_millis(200));
    }
}

/// Removes what killed installations left. Call it with the lock held.
///
/// A child of the killed one may still be writing for a moment: what cannot be removed now is left to the next run.
fn remove_leftovers(managed: &Path, report: &Report) -> Result<(), JuliaError> {
    for entry in fs_err::read_dir(managed)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
            let path = entry.path();
            report
                .say(format_args!("removing `{}`, left by an installation that was killed", path.display()));
            if let Err(error) = fs_err::remove_dir_all(&path) {
                report.warn(error);
            }
        }
    }
    Ok(())
}

/// Starts the Julia in `prefix`, loads all its libraries, and checks that none came from outside of it.
fn prove(prefix: &Path, scratch: &Path, origin: &Origin) -> Result<(), JuliaError> {
    let julia = layout::ask(&executable(prefix), origin)?;
    let private = julia.prefix.join(&julia.layout.private_libdir);
    let output = Run::new(&julia)
        .env("JULIA_DEPOT_PATH", scratch.join("depot"))
        .args(["-e", PROOF])
        .arg(&private)
        .run(|_| ())?;
    let shipped: Vec<PathBuf> = match private.parent() {
        Some(libdir) => vec![libdir.into(), private.clone()],
        None => vec![private.clone()],
    };
    for loaded in output.stdout.lines().filter_map(|line| line.strip_prefix(PROOF_MARK)) {
        let loaded = Path::new(loaded);
        let ours = loaded.file_name().is_some_and(|name| shipped.iter().any(|dir| dir.join(name).exists()));
        if ours && !fs_err::canonicalize(loaded)?.starts_with(&julia.prefix) {
            return Err(InstallError::Foreign { library: loaded.into() }.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::julia::tests::FakeJulia;

    fn surroundings(directory: &Path) -> Surroundings {
        Surroundings { chosen: None, path: "".into(), managed: directory.join("julia") }
    }

    #[test]
    fn ok_present_is_returned_without_any_network() {
        let directory = tempfile::tempdir().unwrap();
        let surroundings = surroundings(directory.path());
        let version = manifest::Manifest::debian().unwrap().version;
        let target = surroundings.managed.join(format!("debian-{version}"));
        FakeJulia::new(&version.to_string()).write(&target);
        Record::new("debian", "bullseye", &version).write(&target).unwrap();
        let installed = install(Source::Debian, &surroundings, &Report::new(true)).unwrap();
        assert!(!installed.fresh);
        let julia = provide(&Choice::Auto, &surroundings, &Report::new(true)).unwrap();
        assert_eq!(julia.prefix, fs_err::canonicalize(&target).unwrap());
    }

    #[test]
    fn ok_leftovers_go_and_the_rest_stays() {
        let directory = tempfile::tempdir().unwrap();
        let managed = directory.path();
        for name in [".tmp-one/prefix/bin", ".tmp-two", "debian-1.5.3/bin", "mine"] {
            fs_err::create_dir_all(managed.join(name)).unwrap();
        }
        let report = Report::new(true);
        let _lock = lock(managed, &report).unwrap();
        remove_leftovers(managed, &report).unwrap();
        let mut left: Vec<_> = fs_err::read_dir(managed)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".lock", "debian-1.5.3", "mine"]);
    }

    #[test]
    fn ok_the_second_waits_for_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let managed = directory.path().to_path_buf();
        let first = lock(&managed, &Report::new(true)).unwrap();
        let second = thread::spawn(move || lock(&managed, &Report::new(true)).map(|_| ()));
        thread::sleep(Duration::from_millis(300));
        assert!(!second.is_finished());
        drop(first);
        second.join().unwrap().unwrap();
    }
}
