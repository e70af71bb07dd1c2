//! Installs a Julia below `JNUMPY_HOME/julia/<id>`, completely or not at all.
//!
//! All work happens in a directory `.tmp-…` beside the target. The finished prefix is started there and then renamed. One lock
//! protects all changes, so the process that holds it knows that every other `.tmp-…` was left by a killed run. Parts of
//! downloads stay in `.downloads`, and the next run resumes them.

mod debian;
mod error;
mod index;
mod official;
mod space;
mod transfer;
mod unpack;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fs_err::{File, OpenOptions};

use crate::formats::Version;
use crate::stages::julia::find::{Choice, find};
use crate::stages::julia::home::{self, Installed, matching, set_default};
use crate::stages::julia::record::Record;
use crate::stages::julia::rules::rules;
use crate::stages::julia::{Julia, JuliaError, Origin, Run, Surroundings, Wanted, layout};
use jnumpy_base::{Report, interrupt};

use index::Official;
use transfer::Client;

pub use error::{Attempt, InstallError};
pub use index::{Archive, Index, Origins};
pub use transfer::TransferError;

const TEMPORARY: &str = ".tmp-";
const LOCK: &str = ".lock";
const PROOF: &str = include_str!("proof.jl");
const PROOF_MARK: &str = "jnumpy-library ";

/// What to install.
#[derive(Debug, Clone)]
pub enum Request {
    /// An official archive.
    Official {
        /// Which version.
        wanted: Wanted,
        /// Where it comes from.
        origins: Origins,
    },
    /// The Julia in Debian's archive, from the mirror that this machine's apt uses.
    Debian,
}

/// The result of [`install`].
#[derive(Debug)]
pub struct Outcome {
    /// The Julia, started from its final path.
    pub julia: Julia,
    /// False when it was there already.
    pub fresh: bool,
}

/// Finds the Julia that `choice` asks for; with [`Choice::Auto`] an official one is installed when none is found.
pub fn provide(choice: &Choice, surroundings: &Surroundings, report: &Report) -> Result<Julia, JuliaError> {
    if let Choice::Found(julia) = choice {
        return Ok((**julia).clone());
    }
    match (choice, find(choice.path(), surroundings, report)) {
        (Choice::Auto, Err(JuliaError::NotFound { .. })) => {
            let request = Request::Official { wanted: Wanted::Lts, origins: Origins::default() };
            Ok(install(request, surroundings, report)?.julia)
        }
        (_, found) => found,
    }
}

/// Installs what is asked for, or returns the one that is there.
///
/// A killed run leaves only a directory that no search considers and that the next run removes, and a part of a download.
/// A second run at the same time waits for the first. An installed Julia that does not start is installed again.
pub fn install(
    request: Request,
    surroundings: &Surroundings,
    report: &Report,
) -> Result<Outcome, JuliaError> {
    match request {
        Request::Debian => {
            let manifest = debian::Manifest::read()?;
            let id = format!("debian-{}", manifest.version()?);
            put(&id, surroundings, report, |staging, origin| {
                let prefix = debian::build(&manifest, staging, report)?;
                let stage = report.stage("proof");
                prove(&prefix, staging, origin)?;
                stage.done("Julia starts and loads libraries only from its own directory");
                Ok(prefix)
            })
        }
        Request::Official { wanted, origins } => install_official(&wanted, origins, surroundings, report),
    }
}

fn install_official(
    wanted: &Wanted,
    origins: Origins,
    surroundings: &Surroundings,
    report: &Report,
) -> Result<Outcome, JuliaError> {
    let official = Official::read()?;
    let wanted = official.resolve(wanted)?;
    let id = |version: &Version| format!("official-{version}");
    if let Wanted::Exact(version) = &wanted {
        check_age(version)?;
        if let Some(julia) = present(&id(version), surroundings, report)? {
            return Ok(Outcome { julia, fresh: false });
        }
    }
    let client = Client::new();
    let index = match Index::fetch(&official, &origins.or_environment(), &client) {
        Ok(index) => index,
        Err(error @ InstallError::Index { .. }) => return fall_back(&wanted, error, surroundings, report),
        Err(error) => return Err(error.into()),
    };
    let archive = index.select(&wanted)?;
    check_age(&archive.version)?;
    put(&id(&archive.version), surroundings, report, |staging, origin| {
        let prefix = official::build(&archive, &official, &client, &surroundings.managed, staging, report)?;
        let julia = layout::ask(&executable(&prefix), origin)?;
        if julia.version != archive.version {
            let (url, found) = (archive.shown_url(), julia.version.to_string());
            return Err(InstallError::Version { url, expected: archive.version.to_string(), found }.into());
        }
        Ok(prefix)
    })
}

/// If the index cannot be fetched, an installed Julia of the requested series is used.
fn fall_back(
    wanted: &Wanted,
    error: InstallError,
    surroundings: &Surroundings,
    report: &Report,
) -> Result<Outcome, JuliaError> {
    let is_wanted = |installed: &Installed| {
        matches!(wanted, Wanted::Series(..))
            && wanted.matches(&installed.version)
            && installed.id == format!("official-{}", installed.version)
    };
    let found = home::installed(&surroundings.managed)?.into_iter().find(is_wanted);
    let Some(installed) = found else { return Err(error.into()) };
    match present(&installed.id, surroundings, report)? {
        Some(julia) => {
            report.warn(format_args!("{error}, so a newer version than {} may exist", installed.version));
            Ok(Outcome { julia, fresh: false })
        }
        None => Err(error.into()),
    }
}

fn check_age(version: &Version) -> Result<(), InstallError> {
    if rules().is_too_old(version) {
        return Err(InstallError::TooOld { version: version.clone(), oldest: &rules().oldest });
    }
    Ok(())
}

/// Whether it is worth installing.
#[must_use]
pub fn is_supported(version: &Version) -> bool {
    check_age(version).is_ok()
}

/// The official Julias for this machine.
pub fn available(origins: Origins) -> Result<Index, InstallError> {
    Index::fetch(&Official::read()?, &origins.or_environment(), &Client::new())
}

/// The newest archive that a channel or series stands for.
pub fn newest(index: &Index, wanted: &Wanted) -> Result<Archive, InstallError> {
    index.select(&Official::read()?.resolve(wanted)?)
}

/// Removes the one installation that `text` names: an id, a version, or a series of which only one is installed.
pub fn remove(text: &str, surroundings: &Surroundings, report: &Report) -> Result<Installed, JuliaError> {
    let managed = &surroundings.managed;
    let installed = only(text, matching(managed, text)?)?;
    let _lock = lock(managed, report)?;
    let is_default = home::default(managed).is_ok_and(|default| default.as_ref() == Some(&installed));
    if is_default {
        set_default(managed, None)?;
    }
    // No search finds it anymore before its first file is removed.
    let grave = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(managed)?;
    fs_err::rename(&installed.prefix, grave.path().join("removed"))?;
    grave.close()?;
    Ok(installed)
}

/// Makes the newest installation that `text` names the default; with `None`, none is.
pub fn set_default_to(
    text: Option<&str>,
    surroundings: &Surroundings,
    report: &Report,
) -> Result<Option<Julia>, JuliaError> {
    let managed = &surroundings.managed;
    let Some(text) = text else {
        set_default(managed, None)?;
        return Ok(None);
    };
    let Some(installed) = matching(managed, text)?.into_iter().next() else { return Ok(None) };
    let julia = layout::ask(&executable(&installed.prefix), &Origin::Default(installed.id.clone()))?;
    let _lock = lock(managed, report)?;
    set_default(managed, Some(&installed.id))?;
    Ok(Some(julia))
}

fn only(text: &str, found: Vec<Installed>) -> Result<Installed, JuliaError> {
    match <[Installed; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(several) => Err(JuliaError::Ambiguous {
            wanted: text.into(),
            ids: several.into_iter().map(|installed| installed.id).collect(),
        }),
    }
}

/// Returns the installation `id`, or lets `build` make its prefix in a directory of its own and moves that to its final path.
fn put(
    id: &str,
    surroundings: &Surroundings,
    report: &Report,
    build: impl FnOnce(&Path, &Origin) -> Result<PathBuf, JuliaError>,
) -> Result<Outcome, JuliaError> {
    let managed = &surroundings.managed;
    let (target, origin) = (managed.join(id), Origin::Managed(id.into()));
    if let Some(julia) = present(id, surroundings, report)? {
        return Ok(Outcome { julia, fresh: false });
    }
    fs_err::create_dir_all(managed)?;
    let _lock = lock(managed, report)?;
    if let Some(julia) = present(id, surroundings, report)? {
        return Ok(Outcome { julia, fresh: false });
    }
    remove_leftovers(managed, report)?;

    let staging = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(managed)?;
    let prefix = build(staging.path(), &origin).map_err(|error| match error {
        error @ (JuliaError::Interrupted(_) | JuliaError::Install(_) | JuliaError::Io(_)) => error,
        error => InstallError::Proof(Box::new(error)).into(),
    })?;
    // After a power failure, the record must not exist without the files.
    nix::unistd::syncfs(File::open(&prefix)?.file()).map_err(std::io::Error::from)?;
    if target.exists() {
        fs_err::rename(&target, staging.path().join("replaced"))?;
    }
    fs_err::rename(&prefix, &target)?;
    File::open(managed)?.sync_all()?;
    let julia = layout::ask(&executable(&target), &origin)?;
    // The archive is not needed anymore.
    let downloads = managed.join(official::DOWNLOADS);
    if downloads.exists() {
        fs_err::remove_dir_all(downloads)?;
    }
    Ok(Outcome { julia, fresh: true })
}

fn executable(prefix: &Path) -> PathBuf {
    prefix.join("bin/julia")
}

/// The installation of that name, if it is complete and starts.
fn present(id: &str, surroundings: &Surroundings, report: &Report) -> Result<Option<Julia>, JuliaError> {
    let target = surroundings.managed.join(id);
    let asked = match Record::read(&target) {
        Ok(None) => return Ok(None),
        Ok(Some(_)) => layout::ask(&executable(&target), &Origin::Managed(id.into())),
        Err(error) => Err(error),
    };
    match asked {
        Ok(julia) => Ok(Some(julia)),
        Err(error @ JuliaError::Interrupted(_)) => Err(error),
        Err(error) => {
            report.warn(format_args!("installing it again: {error}"));
            Ok(None)
        }
    }
}

/// Waits until no other installation is running. The lock is released with the file, and so at the end of the process.
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
        let managed = directory.join("julia");
        Surroundings { chosen: None, path: "".into(), managed, juliaup: None, channel: None }
    }

    #[test]
    fn ok_present_is_returned_without_any_network() {
        let directory = tempfile::tempdir().unwrap();
        let surroundings = surroundings(directory.path());
        let version = debian::Manifest::read().unwrap().version().unwrap();
        let target = surroundings.managed.join(format!("debian-{version}"));
        FakeJulia::new(&version.to_string()).write(&target);
        Record::debian("bullseye", &version).write(&target).unwrap();
        let installed = install(Request::Debian, &surroundings, &Report::new(true)).unwrap();
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
