//! Installs an official archive: fetched with size and hash checked, unpacked beside its final path.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use sha2::{Digest, Sha256};

use crate::stages::julia::install::index::{Archive, Official};
use crate::stages::julia::install::transfer::{Client, TransferError, pause};
use crate::stages::julia::install::{InstallError, space, unpack};
use crate::stages::julia::record::{Download, Record};
use jnumpy_base::Report;
use jnumpy_base::interrupt;

const MEGABYTE: u64 = 1_000_000;
/// In the directory of installed Julias: parts of archives, by hash, so that an interrupted download goes on.
pub(super) const DOWNLOADS: &str = ".downloads";
/// How often a server may break off before it has delivered another [`MEGABYTE`].
const ATTEMPTS: u32 = 4;

/// Builds the prefix below `staging` and returns its path there.
pub(super) fn build(
    archive: &Archive,
    official: &Official,
    client: &Client,
    managed: &Path,
    staging: &Path,
    report: &Report,
) -> Result<PathBuf, InstallError> {
    if archive.size > official.limits.archive_megabytes * MEGABYTE {
        let limit = format!("{} MB", official.limits.archive_megabytes);
        return Err(InstallError::Bomb { archive: archive.shown_url().into(), limit });
    }
    let downloads = managed.join(DOWNLOADS);
    fs_err::create_dir_all(&downloads)?;
    let file = downloads.join(format!("{}.tar.gz", archive.sha256));
    fetch(archive, &file, client, report)?;

    // A gzip file ends with the unpacked size modulo 4 GiB, which is a lower bound.
    space::check(staging, unpack::unpacked_size(&file)?)?;
    let prefix = staging.join("prefix");
    let bar = report.transfer("unpack", None);
    let files = unpack::unpack(&file, &prefix, &official.limits, |bytes| bar.add(bytes))?;
    let record = Record::official(
        &archive.version,
        Download { url: archive.shown_url(), sha256: archive.sha256.clone(), size: archive.size },
    );
    record.write(&prefix)?;
    bar.done(format_args!("{files} files"));
    Ok(prefix)
}

/// Fetches what is missing of the archive, then compares size and hash. A wrong file is removed.
fn fetch(archive: &Archive, path: &Path, client: &Client, report: &Report) -> Result<(), InstallError> {
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    let found = file.metadata()?.len();
    if found > archive.size {
        file.set_len(0)?;
    }
    space::check(path, archive.size.saturating_sub(found))?;
    let resumed = found > 0 && found <= archive.size;
    download(archive, &mut file, client, report)?;
    let mut hash = sha256(&mut file)?;
    if hash != archive.sha256 && resumed {
        report.warn("the partial archive from an earlier run is damaged, downloading the whole archive");
        file.set_len(0)?;
        download(archive, &mut file, client, report)?;
        hash = sha256(&mut file)?;
    }
    if hash != archive.sha256 {
        drop(file);
        fs_err::remove_file(path)?;
        return Err(InstallError::Hash {
            url: archive.shown_url(),
            expected: archive.sha256.clone(),
            found: hash,
        });
    }
    Ok(())
}

/// Appends what is missing. A broken connection is taken up again where it ended.
fn download(
    archive: &Archive,
    file: &mut File,
    client: &Client,
    report: &Report,
) -> Result<(), InstallError> {
    let start = file.metadata()?.len();
    if start == archive.size {
        return Ok(());
    }
    let bar = report.transfer("download", Some(archive.size));
    let host = archive.url.host_str().unwrap_or("this machine");
    let (mut attempt, mut mark) = (1, start);
    loop {
        let result = append(archive, file, client, |position| bar.at(position));
        let position = file.metadata()?.len();
        match result {
            Ok(()) => break,
            Err(InstallError::Download { source, .. }) if source.is_transient() => {
                if position >= mark + MEGABYTE {
                    (attempt, mark) = (1, position);
                }
                if attempt == ATTEMPTS {
                    return Err(InstallError::download(&archive.url, source));
                }
                bar.say(format_args!("{source}; trying again from byte {position}"));
                pause(attempt)?;
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let resumed =
        if start > 0 { format!(", {} MB of it by an earlier run", start / MEGABYTE) } else { String::new() };
    bar.done(format_args!("{} MB from {host}{resumed}", archive.size / MEGABYTE));
    Ok(())
}

/// One request for the rest of the file.
fn append(
    archive: &Archive,
    file: &mut File,
    client: &Client,
    progress: impl Fn(u64),
) -> Result<(), InstallError> {
    let failed = |source| InstallError::download(&archive.url, source);
    let have = file.metadata()?.len();
    let mut transfer = client.open(&archive.url, have).map_err(failed)?;
    if let Some(found) = transfer.size.filter(|size| *size != archive.size) {
        return Err(InstallError::Size { url: archive.shown_url(), expected: archive.size, found });
    }
    // A server without support for ranges sends the whole file.
    let mut position = transfer.offset;
    file.set_len(position)?;
    file.seek(SeekFrom::Start(position))?;
    loop {
        let cut = TransferError::Cut { received: position, expected: archive.size };
        match transfer.next() {
            Ok(Some(chunk)) if position + chunk.len() as u64 > archive.size => {
                return Err(failed(TransferError::TooLarge { limit: archive.size }));
            }
            Ok(Some(chunk)) => {
                file.write_all(&chunk)?;
                position += chunk.len() as u64;
                progress(position);
            }
            Ok(None) if position == archive.size => return Ok(()),
            Ok(None) | Err(TransferError::Cut { .. }) => return Err(failed(cut)),
            Err(error) => return Err(failed(error)),
        }
    }
}

fn sha256(file: &mut File) -> Result<String, InstallError> {
    use std::io::Read;
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        interrupt::check()?;
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hex::encode(hash.finalize()))
}
