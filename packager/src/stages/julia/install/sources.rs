//! The Debian mirrors that this machine's apt uses, read from its sources files.

use std::path::{Path, PathBuf};

use crate::stages::julia::install::InstallError;
use crate::stages::julia::install::apt;
use crate::stages::julia::install::manifest::Manifest;

const COMPONENT: &str = "main";
/// What the file name of the keys of Debian's archive holds.
const ARCHIVE_KEYS: &str = "debian-archive";

/// A mirror, with what apt must know to trust it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    /// As apt writes it.
    pub(super) uri: String,
    /// Options for the entry of our own, as deb822 fields. A value may have many lines (a key in the file itself).
    pub(super) options: Vec<(&'static str, String)>,
}

impl Mirror {
    /// The address without user name and password.
    pub(super) fn printable(&self) -> String {
        match self.uri.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
                format!("{scheme}://{host}{path}")
            }
            None => self.uri.clone(),
        }
    }

    /// Entries without a key of their own are checked with the machine's, as are Debian's: those come first.
    fn is_signed_by_another(&self) -> bool {
        self.options.iter().any(|(name, value)| *name == "Signed-By" && !value.contains(ARCHIVE_KEYS))
    }
}

/// The fields of an entry that say whether its signature is to be checked, and how.
const TRUST: [&str; 4] = ["Signed-By", "Trusted", "Check-Valid-Until", "Check-Date"];

/// All mirrors of Debian's `main` in the sources files of this machine, each once, the likeliest first.
pub(super) fn mirrors(manifest: &Manifest) -> Result<Vec<Mirror>, InstallError> {
    let looked = files()?;
    let mut mirrors: Vec<Mirror> = Vec::new();
    for file in &looked {
        let text = fs_err::read(file)?;
        let text = String::from_utf8_lossy(&text);
        let entries = if is_deb822(file) { deb822(&text) } else { one_line(&text) };
        for mirror in entries.into_iter().filter(|entry| entry.is_debian(manifest)).flat_map(Entry::mirrors) {
            if !mirrors.contains(&mirror) {
                mirrors.push(mirror);
            }
        }
    }
    mirrors.sort_by_key(Mirror::is_signed_by_another);
    if mirrors.is_empty() { Err(InstallError::NoMirror { looked }) } else { Ok(mirrors) }
}

/// The sources files where the machine's apt looks for them, in its order.
fn files() -> Result<Vec<PathBuf>, InstallError> {
    let (list, parts) = apt::sources_places()?;
    let mut files: Vec<PathBuf> = match fs_err::read_dir(&parts) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?,
        Err(_) => Vec::new(),
    };
    files.retain(|file| is_deb822(file) || has_extension(file, "list"));
    files.sort();
    files.insert(0, list);
    files.retain(|file| file.is_file());
    Ok(files)
}

fn is_deb822(file: &Path) -> bool {
    has_extension(file, "sources")
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}

/// One entry, in whichever of the two notations.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    types: Vec<String>,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    options: Vec<(&'static str, String)>,
}

impl Entry {
    fn is_debian(&self, manifest: &Manifest) -> bool {
        self.types.iter().any(|kind| kind == "deb")
            && self.components.iter().any(|component| component == COMPONENT)
            && self.suites.iter().any(|suite| manifest.releases.contains(suite))
    }

    /// A CD is not a mirror: it holds the release that it was made for.
    fn mirrors(self) -> impl Iterator<Item = Mirror> {
        let options = self.options;
        self.uris
            .into_iter()
            .filter(|uri| !uri.starts_with("cdrom:"))
            .map(move |uri| Mirror { uri, options: options.clone() })
    }
}

fn trust_option(name: &str) -> Option<&'static str> {
    TRUST.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

/// `deb [option=value …] uri suite component…`, one a line.
fn one_line(text: &str) -> Vec<Entry> {
    text.lines()
        .filter_map(|line| one_line_entry(line.split('#').next().unwrap_or_default().trim()))
        .collect()
}

fn one_line_entry(line: &str) -> Option<Entry> {
    let (kind, rest) = line.split_once(char::is_whitespace)?;
    let (options, rest) = match rest.trim_start().strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut parts = words(rest).into_iter();
    Some(Entry {
        types: vec![kind.into()],
        uris: vec![parts.next()?],
        suites: vec![parts.next()?],
        components: parts.collect(),
        options: options
            .split_whitespace()
            .filter_map(|option| option.split_once('='))
            .filter_map(|(name, value)| Some((trust_option(name)?, value.replace(',', " "))))
            .collect(),
    })
}

/// Paragraphs of `Field: value`, with `#` lines ignored and continuation lines beginning with white space.
fn deb822(text: &str) -> Vec<Entry> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(deb822_entry).collect()
}

fn deb822_entry(lines: &[&str]) -> Option<Entry> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in lines {
        if line.starts_with(char::is_whitespace) {
            let (_, value) = fields.last_mut()?;
            value.push('\n');
            value.push_str(line);
        } else {
            let (name, value) = line.split_once(':')?;
            fields.push((name.trim(), value.trim().to_owned()));
        }
    }
    let mut entry = Entry::default();
    for (name, value) in fields {
        match name.to_ascii_lowercase().as_str() {
            "types" => entry.types = words(&value),
            "uris" => entry.uris = words(&value),
            "suites" => entry.suites = words(&value),
            "components" => entry.components = words(&value),
            "enabled" if ["no", "false", "0", "off", "without", "disable"].contains(&value.as_str()) => {
                return None;
            }
            _ => entry.options.extend(trust_option(name).map(|name| (name, value))),
        }
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian(entries: Vec<Entry>) -> Vec<Mirror> {
        let manifest = Manifest::debian().unwrap();
        entries.into_iter().filter(|entry| entry.is_debian(&manifest)).flat_map(Entry::mirrors).collect()
    }

    fn uris(mirrors: &[Mirror]) -> Vec<&str> {
        mirrors.iter().map(|mirror| mirror.uri.as_str()).collect()
    }

    #[test]
    fn ok_one_line() {
        let text = "
# deb http://commented.example/debian bookworm main
deb http://one.example/debian bookworm main contrib # a note
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://two.example/debian\tstable main
deb http://security.example/debian-security bookworm-security main
deb https://vendor.example/apt cloud-bookworm main
deb https://vendor.example/linux/debian bookworm stable
deb http://ubuntu.example/ubuntu jammy main
deb cdrom:[Debian_12]/ bookworm main
deb [broken http://broken.example/debian bookworm main
deb http://short.example
";
        let mirrors = debian(one_line(text));
        assert_eq!(uris(&mirrors), ["http://one.example/debian", "https://two.example/debian"]);
        let signed_by = ("Signed-By", "/usr/share/keyrings/debian-archive-keyring.gpg".to_owned());
        assert_eq!((&mirrors[0].options, &mirrors[1].options), (&vec![], &vec![signed_by]));
    }

    #[test]
    fn ok_deb822() {
        let text = "\
Types: deb deb-src
# http://snapshot.example/debian
URIs: http://one.example/debian
  https://two.example/debian
Suites: bookworm bookworm-updates
Components: main
signed-by: /usr/share/keyrings/debian-archive-keyring.pgp

Types: deb
URIs: http://one.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://vendor.example/node
Suites: nodistro
Components: main
";
        let mirrors = debian(deb822(text));
        assert_eq!(uris(&mirrors), ["http://one.example/debian", "https://two.example/debian"]);
        assert_eq!(mirrors[0].options[0].0, "Signed-By");
    }

    #[test]
    fn ok_a_key_in_the_file_is_kept_line_by_line() {
        let text = "Types: deb\nURIs: http://one.example/debian\nSuites: trixie\nComponents: main\nSigned-By:\n -----BEGIN PGP\n .\n abc\n";
        let mirrors = debian(deb822(text));
        assert_eq!(mirrors[0].options, [("Signed-By", "\n -----BEGIN PGP\n .\n abc".to_owned())]);
        assert!(mirrors[0].is_signed_by_another());
    }

    #[test]
    fn ok_foreign_text_is_no_entry() {
        assert_eq!(debian(deb822("garbage\n\n continued\n: :\n")), []);
        assert_eq!(debian(one_line("deb\ndeb \ndeb [\ndeb [] \n")), []);
    }

    #[test]
    fn ok_passwords_are_not_printed() {
        let mirror = |uri: &str| Mirror { uri: uri.into(), options: vec![] }.printable();
        assert_eq!(mirror("https://me:p@ss@mirror.example/debian"), "https://mirror.example/debian");
        assert_eq!(mirror("http://mirror.example/a@b"), "http://mirror.example/a@b");
        assert_eq!(mirror("file:/srv/debian"), "file:/srv/debian");
    }
}
