//! The index of official Julias, and the choice of a version for `1.10`, `1.12.2`, `lts`, or `release`.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use crate::formats::Version;
use crate::stages::julia::Wanted;
use crate::stages::julia::install::InstallError;
use crate::stages::julia::install::transfer::{Client, TransferError, check_step, pause, shown};
use jnumpy_base::env_vars;
use jnumpy_base::text::printable;

const OFFICIAL: &str = include_str!("../../../../../manifests/julia/official.toml");
/// Bytes; many times the size of the official index.
const MAX_INDEX: usize = 64 << 20;
const ATTEMPTS: u32 = 3;

/// `manifests/julia/official.toml`; the file says what each field is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Official {
    server: Url,
    index: String,
    channels: Channels,
    pub(super) limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channels {
    lts: String,
}

/// What an archive may hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) archive_megabytes: u64,
    pub(super) unpacked_megabytes: u64,
    pub(super) ratio: u64,
    pub(super) entries: u64,
}

impl Official {
    pub(super) fn read() -> Result<Self, InstallError> {
        Ok(toml::from_str(OFFICIAL)?)
    }

    /// The version that a channel stands for, where this is known without the index.
    pub(super) fn resolve(&self, wanted: &Wanted) -> Result<Wanted, InstallError> {
        match wanted {
            Wanted::Lts => Ok(self.channels.lts.parse()?),
            other => Ok(other.clone()),
        }
    }
}

/// Where the index and the archives come from: the values of `--index` and `--server`.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Address or path of the index.
    pub index: Option<String>,
    /// Address of a server with the same paths as the official one.
    pub server: Option<String>,
}

impl Origins {
    /// Takes values that the command line does not give from the environment.
    pub(super) fn or_environment(self) -> Self {
        let value = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            index: self.index.or_else(|| value(env_vars::JNUMPY_JULIA_INDEX)),
            server: self
                .server
                .or_else(|| value(env_vars::JNUMPY_JULIA_SERVER))
                .or_else(|| value(env_vars::JULIAUP_SERVER)),
        }
    }
}

/// An official archive for this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The version of the Julia in it.
    pub version: Version,
    /// False for a prerelease.
    pub stable: bool,
    /// Where it is.
    pub url: Url,
    /// Its SHA-256, 64 lower-case digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Archive {
    /// Its address without parts that may be secret.
    #[must_use]
    pub fn shown_url(&self) -> String {
        shown(&self.url)
    }
}

/// The archives for this machine that an index lists, by version.
#[derive(Debug)]
pub struct Index {
    url: Url,
    /// Where archives of the official server are instead, and that server.
    mirror: Option<(Url, Url)>,
    listed: BTreeMap<Version, Listed>,
}

/// An entry of the index, unchecked, because a damaged entry must not make the others unusable.
#[derive(Debug)]
struct Listed {
    stable: bool,
    file: File,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    stable: bool,
}

/// Fields that an entry for another machine may lack.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    url: String,
    #[serde(default)]
    triplet: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    sha256: String,
    #[serde(default)]
    size: u64,
}

impl Index {
    /// Fetches and reads the index.
    pub(super) fn fetch(
        official: &Official,
        origins: &Origins,
        client: &Client,
    ) -> Result<Self, InstallError> {
        let server = origins.server.as_deref().map(server).transpose()?;
        let base = server.as_ref().unwrap_or(&official.server);
        let url = match &origins.index {
            Some(index) => address(index)?,
            None => base
                .join(&official.index)
                .map_err(|_| InstallError::Address { text: official.index.clone() })?,
        };
        let bytes = download(&url, client).map_err(|source| InstallError::index(&url, source))?;
        let entries: BTreeMap<String, Entry> = serde_json::from_slice(&bytes)
            .map_err(|source| InstallError::IndexFormat { url: shown(&url), source })?;
        let mut listed = BTreeMap::new();
        for (text, entry) in entries {
            let Ok(version) = text.parse::<Version>() else { continue };
            if let Some(file) = entry.files.into_iter().find(File::is_for_this_machine) {
                listed.insert(version, Listed { stable: entry.stable, file });
            }
        }
        let mirror = server.map(|server| (official.server.clone(), server));
        Ok(Self { url, mirror, listed })
    }

    /// Every archive that is described in full, the oldest version first.
    pub fn archives(&self) -> impl Iterator<Item = Archive> {
        self.listed.iter().filter_map(|(version, listed)| self.archive(version, listed).ok())
    }

    /// The newest archive that is wanted.
    pub(super) fn select(&self, wanted: &Wanted) -> Result<Archive, InstallError> {
        let is_wanted = |version: &Version, listed: &Listed| {
            wanted.matches(version) && (listed.stable || matches!(wanted, Wanted::Exact(_)))
        };
        let found = self.listed.iter().rev().find(|(version, listed)| is_wanted(version, listed));
        let (version, listed) = found.ok_or_else(|| InstallError::NotInIndex {
            wanted: wanted.to_string(),
            url: shown(&self.url),
            platform: triplet(),
            near: self.near(wanted),
        })?;
        self.archive(version, listed)
    }

    /// What an entry says, checked.
    fn archive(&self, version: &Version, listed: &Listed) -> Result<Archive, InstallError> {
        let Listed { stable, file } = listed;
        let bad = |field: &'static str, text: &str| InstallError::IndexEntry {
            url: shown(&self.url),
            version: version.to_string(),
            field,
            text: printable(text),
        };
        let url = self.url.join(&file.url).map_err(|_| bad("url", &file.url))?;
        let sha256 = file.sha256.to_ascii_lowercase();
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad("sha256", &file.sha256));
        }
        if file.size == 0 {
            return Err(bad("size", "0"));
        }
        let on_mirror = self.mirror.as_ref().and_then(|(official, mirror)| {
            url.as_str().strip_prefix(official.as_str()).map(|path| mirror.join(path))
        });
        let url = if let Some(url) = on_mirror {
            url.map_err(|_| bad("url", &file.url))?
        } else {
            check_step(&self.url, &url).map_err(|source| InstallError::download(&url, source))?;
            url
        };
        Ok(Archive { version: version.clone(), stable: *stable, url, sha256, size: file.size })
    }

    /// Similar versions for an error message: prereleases of the requested version, otherwise the newest of each series.
    fn near(&self, wanted: &Wanted) -> Vec<String> {
        let series = |version: &Version| match wanted {
            Wanted::Series(major, minor) => {
                version.major == *major && minor.is_none_or(|minor| version.minor == minor)
            }
            Wanted::Exact(exact) => (version.major, version.minor) == (exact.major, exact.minor),
            Wanted::Lts | Wanted::Release => false,
        };
        let same: Vec<String> = self
            .listed
            .keys()
            .rev()
            .filter(|version| series(version))
            .take(5)
            .map(Version::to_string)
            .collect();
        if !same.is_empty() {
            return same;
        }
        let mut newest: BTreeMap<(u64, u64), &Version> = BTreeMap::new();
        for (version, _) in self.listed.iter().filter(|(_, listed)| listed.stable) {
            newest.insert((version.major, version.minor), version);
        }
        newest.values().rev().take(5).map(ToString::to_string).collect()
    }
}

impl File {
    fn is_for_this_machine(&self) -> bool {
        self.kind == "archive" && self.triplet == triplet() && self.url.ends_with(".tar.gz")
    }
}

/// How the index names this machine.
pub(super) fn triplet() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

/// An address, or a path of this machine.
fn address(text: &str) -> Result<Url, InstallError> {
    let bad = || InstallError::Address { text: text.into() };
    if text.contains("://") {
        return text.parse().map_err(|_| bad());
    }
    Url::from_file_path(std::path::absolute(text)?).map_err(|()| bad())
}

/// As [`address`], with a slash at the end: `join` would replace the last part otherwise.
fn server(text: &str) -> Result<Url, InstallError> {
    address(&format!("{}/", text.trim_end_matches('/')))
}

/// The whole index. Temporary failures are retried.
fn download(url: &Url, client: &Client) -> Result<Vec<u8>, TransferError> {
    let mut attempt = 1;
    loop {
        match read(url, client) {
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                pause(attempt)?;
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn read(url: &Url, client: &Client) -> Result<Vec<u8>, TransferError> {
    let mut transfer = client.open(url, 0)?;
    let mut bytes = Vec::new();
    let cut = |bytes: &[u8], expected| TransferError::Cut { received: bytes.len() as u64, expected };
    loop {
        match transfer.next() {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_INDEX => bytes.extend(chunk),
            Ok(Some(_)) => return Err(TransferError::TooLarge { limit: MAX_INDEX as u64 }),
            Ok(None) => break,
            Err(TransferError::Cut { .. }) => return Err(cut(&bytes, transfer.size.unwrap_or(0))),
            Err(error) => return Err(error),
        }
    }
    match transfer.size {
        Some(expected) if expected > bytes.len() as u64 => Err(cut(&bytes, expected)),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use jnumpy_base::Hint;

    fn index_of(text: &str, server: Option<&str>) -> Result<Index, InstallError> {
        // A client is created only when it is needed, because reading the machine's certificates takes long.
        static CLIENT: LazyLock<Client> = LazyLock::new(Client::new);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("versions.json");
        fs_err::write(&path, text).unwrap();
        let origins =
            Origins { index: Some(path.to_str().unwrap().into()), server: server.map(String::from) };
        Index::fetch(&Official::read().unwrap(), &origins, &CLIENT)
    }

    fn index(text: &str) -> Result<Index, InstallError> {
        index_of(text, None)
    }

    fn entry(version: &str, stable: bool) -> String {
        let file = |triplet: &str, kind: &str, extension: &str| {
            format!(
                r#"{{"url":"https://server.example/{version}-{triplet}.{extension}","triplet":"{triplet}","kind":"{kind}","sha256":"{}","size":7,"new field":[]}}"#,
                "0A".repeat(32)
            )
        };
        let files = [
            file("x86_64-w64-mingw32", "installer", "exe"),
            file(&triplet().replace("gnu", "musl"), "archive", "tar.gz"),
            file(&triplet(), "archive", "tar.gz"),
        ];
        format!(r#""{version}":{{"files":[{}],"stable":{stable}}}"#, files.join(","))
    }

    fn some() -> Index {
        let versions = [
            ("1.9.4", true),
            ("1.10.9", true),
            ("1.10.10", true),
            ("1.11.0-rc2", false),
            ("1.12.0-rc1", false),
            ("1.12.0", true),
            ("1.13.0-alpha1", false),
        ];
        let entries: Vec<_> = versions.iter().map(|(version, stable)| entry(version, *stable)).collect();
        index(&format!("{{{},\"nightly\":{{}}}}", entries.join(","))).unwrap()
    }

    fn selected(wanted: &str) -> Result<String, InstallError> {
        let official = Official::read().unwrap();
        let wanted = official.resolve(&wanted.parse()?)?;
        some().select(&wanted).map(|archive| archive.version.to_string())
    }

    #[test]
    fn ok_the_newest_that_is_meant() {
        for (wanted, version) in [
            ("lts", "1.10.10"),
            ("release", "1.12.0"),
            ("1", "1.12.0"),
            ("1.10", "1.10.10"),
            ("1.10.9", "1.10.9"),
            ("1.12.0-rc1", "1.12.0-rc1"),
        ] {
            assert_eq!(selected(wanted).unwrap(), version, "{wanted}");
        }
        let archive = some().select(&"1.9".parse().unwrap()).unwrap();
        assert_eq!(archive.sha256, "0a".repeat(32));
        assert_eq!(archive.url.as_str(), format!("https://server.example/1.9.4-{}.tar.gz", triplet()));
    }

    #[test]
    fn err_versions_that_are_not_there_name_those_that_are() {
        for (wanted, hint) in [
            ("1.13", "the index has 1.13.0-alpha1;"),
            ("1.10.99", "the index has 1.10.10, 1.10.9;"),
            ("2", "the index has 1.12.0, 1.10.10, 1.9.4;"),
        ] {
            let error = selected(wanted).unwrap_err();
            let text = format!("has no Julia {wanted} for {}", triplet());
            assert!(error.to_string().contains(&text), "{error}");
            assert!(error.hint().unwrap().starts_with(hint), "{:?}", error.hint());
        }
    }

    #[test]
    fn err_a_damaged_index_at_any_length() {
        let text = format!("{{{},{}}}", entry("1.9.4", true), entry("1.10.9", true));
        for length in 0..text.len() {
            assert!(matches!(index(&text[..length]), Err(InstallError::IndexFormat { .. })), "{length}");
        }
        for text in ["[]", "7", "<html>", r#"{"1.9.4":7}"#, r#"{"1.9.4":{"files":"no"}}"#] {
            assert!(matches!(index(text), Err(InstallError::IndexFormat { .. })), "{text}");
        }
    }

    #[test]
    fn err_an_entry_that_proves_nothing() {
        let good = entry("1.9.4", true);
        let hash = "0A".repeat(32);
        for (bad, field) in [
            (good.replace(&hash, &hash[1..]), "sha256"),
            (good.replace(&hash, &"x".repeat(64)), "sha256"),
            (good.replace("\"size\":7", "\"size\":0"), "size"),
            (good.replace("https://server.example", "https://[bad"), "url"),
        ] {
            let index = index(&format!("{{{bad},{}}}", entry("1.10.9", true))).unwrap();
            assert_eq!(index.archives().count(), 1);
            let error = index.select(&"1.9".parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains(&format!("`{field}` for Julia 1.9.4")), "{error}");
        }
    }

    #[test]
    fn ok_a_mirror_has_the_paths_of_the_official_server() {
        let official = Official::read().unwrap();
        let theirs = official.server.as_str();
        let text = format!(
            "{{{},{}}}",
            entry("1.9.4", true).replace("https://server.example/", theirs),
            entry("1.10.9", true)
        );
        let index = index_of(&text, Some("https://mirror.example/julia")).unwrap();
        let hosts: Vec<_> = index.archives().map(|archive| archive.url.to_string()).collect();
        let expected = [
            format!("https://mirror.example/julia/1.9.4-{}.tar.gz", triplet()),
            format!("https://server.example/1.10.9-{}.tar.gz", triplet()),
        ];
        assert_eq!(hosts, expected);
    }
}
