//! The manylinux rules: which libraries come from the user's system, and which platform tag follows from the symbol versions
//! that files need from these libraries. The data is in `manifests/manylinux.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;

use jnumpy_base::Hint;
use jnumpy_elf::{Machine, VersionNeed};

/// A version of the C library, which is what manylinux platforms are named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Glibc {
    /// 2 for every glibc of this century.
    pub major: u32,
    /// For example 17.
    pub minor: u32,
}

/// A platform tag, for example `manylinux_2_17_x86_64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// The oldest C library on which the wheel works.
    pub glibc: Glibc,
    /// The processor family.
    pub machine: Machine,
}

/// A file that asks a system library for a symbol version, and the platform this takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The file that asks.
    pub file: PathBuf,
    /// What it asks of which library.
    pub need: VersionNeed,
    /// The first platform that has it; `None` when no known platform promises it.
    pub since: Option<Glibc>,
}

/// The oldest platform on which a set of files works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The tag.
    pub platform: Platform,
    /// The demand that keeps the platform from being older; `None` if the oldest platform satisfies all demands.
    pub because: Option<Demand>,
}

/// Why no platform fits.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A platform tag that cannot be read.
    #[error("`{0}` is not a manylinux platform tag")]
    Tag(String),
    /// A processor family without rules.
    #[error("there are no manylinux rules for the processor family `{0}`")]
    Machine(Machine),
    /// A platform of another processor family than the files.
    #[error("`--platform` is `{platform}`, but the wheel's libraries are for {machine}")]
    OtherMachine {
        /// The platform demanded.
        platform: Platform,
        /// What the files are for.
        machine: Machine,
    },
    /// Files need symbols that the requested platform, or every platform, lacks.
    #[error("{}", sentence(platform.as_ref(), demands))]
    TooNew {
        /// The requested platform; `None` if any platform would be accepted.
        platform: Option<Platform>,
        /// What it lacks.
        demands: Vec<Demand>,
    },
}

impl Hint for PolicyError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Tag(_) => {
                "write it like `manylinux_2_17_x86_64`; `manylinux2014_x86_64` is the same".into()
            }
            Self::OtherMachine { machine, .. } => format!("name one that ends in `_{machine}`"),
            Self::Machine(_) => "wheels can be made for x86_64, i686 and aarch64".into(),
            Self::TooNew { demands, .. } => match demands.iter().map(|demand| demand.since).max() {
                Some(Some(_)) if demands.iter().all(|demand| demand.since.is_some()) => {
                    let newest = demands.iter().filter_map(|demand| demand.since).max();
                    let newest =
                        newest.map_or_else(String::new, |glibc| format!("`manylinux_{glibc}` or newer"));
                    format!(
                        "name {newest}, or build these files on an older system; more: `jnumpy-pack about platform`"
                    )
                }
                _ => "build these files on an older system: no manylinux platform provides what they need"
                    .into(),
            },
        })
    }
}

/// How many demands an error message lists.
const SHOWN: usize = 5;

fn sentence(platform: Option<&Platform>, demands: &[Demand]) -> String {
    let provided = platform.map_or_else(
        || "that no manylinux platform provides".into(),
        |platform| format!("newer than `{platform}` provides"),
    );
    let mut asked: Vec<String> = (demands.iter().take(SHOWN))
        .map(|Demand { file, need, .. }| {
            format!("`{}` needs `{}` of `{}`", file.display(), need.version, need.library)
        })
        .collect();
    if demands.len() > SHOWN {
        asked.push(format!("and {} more", demands.len() - SHOWN));
    }
    format!("these files need symbols {provided}: {}", asked.join(", "))
}

/// Whether a library of this name is taken from the system and never put into a wheel.
#[must_use]
pub fn is_system_library(name: &str) -> bool {
    let in_group = |group: &Group| group.names.iter().any(|known| known == name);
    RULES.system_libraries.iter().any(in_group) && !in_group(&RULES.missing_on_bare_systems)
}

/// The path of a library of this machine's system that the platforms promise but minimal systems lack. Such a library is
/// bundled, and if the Julia does not contain it, the library of the system is taken.
#[must_use]
pub fn system_copy(name: &str) -> Option<PathBuf> {
    let arch = std::env::consts::ARCH;
    let multiarch = [format!("/usr/lib/{arch}-linux-gnu"), format!("/lib/{arch}-linux-gnu")];
    let directories =
        multiarch.iter().map(String::as_str).chain(["/usr/lib64", "/lib64", "/usr/lib", "/lib"]);
    let known = RULES.missing_on_bare_systems.names.iter().any(|known| known == name);
    known.then(|| directories.map(|directory| Path::new(directory).join(name)).find(|path| path.is_file()))?
}

/// The oldest platform on which the system libraries have everything that `needs` asks of them.
pub fn floor<'a>(
    machine: Machine,
    needs: impl IntoIterator<Item = (&'a Path, &'a VersionNeed)>,
) -> Result<Floor, PolicyError> {
    let mut floor = Floor { platform: Platform { glibc: RULES.oldest, machine }, because: None };
    let demands = demands(machine, needs)?;
    let impossible: Vec<Demand> = demands.iter().filter(|demand| demand.since.is_none()).cloned().collect();
    if !impossible.is_empty() {
        return Err(PolicyError::TooNew { platform: None, demands: impossible });
    }
    for demand in demands {
        if let Some(since) = demand.since.filter(|&since| since > floor.platform.glibc) {
            floor.platform.glibc = since;
            floor.because = Some(demand);
        }
    }
    Ok(floor)
}

/// Checks that the system libraries of `platform` have everything that `needs` asks of them.
pub fn check<'a>(
    platform: Platform,
    needs: impl IntoIterator<Item = (&'a Path, &'a VersionNeed)>,
) -> Result<(), PolicyError> {
    let mut demands = demands(platform.machine, needs)?;
    demands.retain(|demand| demand.since.is_none_or(|since| since > platform.glibc));
    if demands.is_empty() { Ok(()) } else { Err(PolicyError::TooNew { platform: Some(platform), demands }) }
}

fn demands<'a>(
    machine: Machine,
    needs: impl IntoIterator<Item = (&'a Path, &'a VersionNeed)>,
) -> Result<Vec<Demand>, PolicyError> {
    let rules = RULES.symbol_versions.get(&machine.to_string()).ok_or(PolicyError::Machine(machine))?;
    Ok(needs
        .into_iter()
        .map(|(file, need)| Demand {
            file: file.to_owned(),
            need: need.clone(),
            since: rules.since(&need.version),
        })
        .collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[serde(rename = "comment")]
    _comment: String,
    system_libraries: Vec<Group>,
    missing_on_bare_systems: Group,
    oldest: Glibc,
    symbol_versions: BTreeMap<String, SymbolVersions>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "why")]
    _why: String,
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SymbolVersions {
    /// Prefix → from which platform on → up to which version.
    families: BTreeMap<String, BTreeMap<Glibc, Numbers>>,
    /// Versions that are no numbers → from which platform on.
    names: BTreeMap<String, Glibc>,
}

impl SymbolVersions {
    /// The first platform that has this symbol version.
    fn since(&self, version: &str) -> Option<Glibc> {
        if let Some(&since) = self.names.get(version) {
            return Some(since);
        }
        let (family, number) = version.split_once('_')?;
        let number = Numbers::try_from(number.to_owned()).ok()?;
        if family == "GLIBC" {
            // A third number is a bug-fix release of the C library's early days, as in 2.2.5.
            let glibc = Glibc { major: *number.0.first()?, minor: *number.0.get(1)? };
            return Some(glibc.max(RULES.oldest));
        }
        let newest = self.families.get(family)?;
        newest.iter().find(|(_, newest)| number <= **newest).map(|(&since, _)| since)
    }
}

/// A version as a row of numbers, compared number by number.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Numbers(Vec<u32>);

impl TryFrom<String> for Numbers {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.split('.').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Glibc {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parse = |text: &str| -> Option<Self> {
            let (major, minor) = text.split_once('.')?;
            Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
        };
        parse(&text).ok_or_else(|| format!("`{text}` is not a version such as `2.17`"))
    }
}

/// Prints as in a tag, with an underscore.
impl fmt::Display for Glibc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", self.major, self.minor)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "manylinux_{}_{}", self.glibc, self.machine)
    }
}

/// The oldest version of glibc 2 that a tag can name, and the platforms that had names before (PEP 600).
const FIRST_TAG: u32 = 5;
const OLD_NAMES: [(&str, u32); 3] = [("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5)];

impl Platform {
    /// The platform that a user demands, whose processor family may be left out when it is this machine's.
    pub fn demanded(text: &str) -> Result<Self, PolicyError> {
        let machine = if std::env::consts::ARCH == "x86" { "i686" } else { std::env::consts::ARCH };
        let whole = format!("{text}_{machine}").parse();
        text.parse().or(whole).map_err(|_| PolicyError::Tag(text.to_owned()))
    }

    /// The platform tags of the wheels that pip installs there, the best ones first; and the old names of three of them.
    pub fn accepts(self) -> impl Iterator<Item = String> {
        (FIRST_TAG..=self.glibc.minor).rev().flat_map(move |minor| {
            let name = OLD_NAMES
                .iter()
                .find(|(_, old)| *old == minor)
                .map(|(name, _)| format!("{name}_{}", self.machine));
            let glibc = Glibc { minor, ..self.glibc };
            std::iter::once(Self { glibc, ..self }.to_string()).chain(name)
        })
    }
}

impl FromStr for Platform {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let parse = || {
            let old = OLD_NAMES.iter().find_map(|(name, minor)| {
                Some((Glibc { major: 2, minor: *minor }, text.strip_prefix(name)?.strip_prefix('_')?))
            });
            let (glibc, machine) = if let Some(old) = old {
                old
            } else {
                let mut parts = text.strip_prefix("manylinux_")?.splitn(3, '_');
                let mut number = || parts.next()?.parse().ok();
                (Glibc { major: number()?, minor: number()? }, parts.next()?)
            };
            let machine = [Machine::X86_64, Machine::I686, Machine::AARCH64]
                .into_iter()
                .find(|known| known.to_string() == machine)?;
            Some(Self { glibc, machine })
        };
        parse().ok_or_else(|| PolicyError::Tag(text.to_owned()))
    }
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    // The data is part of the program, and a test reads it.
    serde_json::from_str(include_str!("../../../manifests/manylinux.json")).expect("manifests/manylinux.json")
});

#[cfg(test)]
mod tests {
    use super::*;

    fn need(library: &str, version: &str) -> VersionNeed {
        VersionNeed { library: library.into(), version: version.into() }
    }

    fn since(machine: Machine, version: &str) -> Option<String> {
        RULES.symbol_versions[&machine.to_string()].since(version).map(|glibc| glibc.to_string())
    }

    #[test]
    fn the_data_says_what_the_manylinux_policies_say() {
        // Read off the policies by hand; `tests/pack/test_manylinux_data.py` compares the whole table.
        for (version, x86_64, aarch64) in [
            ("GLIBC_2.2.5", Some("2_17"), Some("2_17")),
            ("GLIBC_2.17", Some("2_17"), Some("2_17")),
            ("GLIBC_2.18", Some("2_18"), Some("2_18")),
            ("GLIBC_2.99", Some("2_99"), Some("2_99")),
            ("GLIBC_ABI_DT_RELR", Some("2_36"), Some("2_36")),
            ("GLIBC_PRIVATE", None, None),
            ("GLIBCXX_3.4", Some("2_17"), Some("2_17")),
            ("GLIBCXX_3.4.20", Some("2_24"), Some("2_24")),
            ("GLIBCXX_3.4.24", Some("2_27"), Some("2_26")),
            ("GLIBCXX_3.4.30", Some("2_35"), Some("2_35")),
            ("GLIBCXX_3.4.99", None, None),
            ("CXXABI_1.3.11", Some("2_27"), Some("2_26")),
            ("CXXABI_FLOAT128", Some("2_24"), None),
            ("GCC_3.0", Some("2_17"), Some("2_17")),
            ("GCC_4.8.0", Some("2_17"), Some("2_26")),
            ("GCC_12.0.0", Some("2_35"), Some("2_39")),
            ("UNHEARD_OF_1.0", None, None),
        ] {
            assert_eq!(since(Machine::X86_64, version).as_deref(), x86_64, "{version}");
            assert_eq!(since(Machine::AARCH64, version).as_deref(), aarch64, "{version}");
        }
        assert!(is_system_library("libstdc++.so.6") && !is_system_library("libgfortran.so.5"));
        // Promised, but missing on some systems: see `missing_on_bare_systems`.
        assert!(!is_system_library("libatomic.so.1") && system_copy("libgfortran.so.5").is_none());
    }

    #[test]
    fn the_floor_is_set_by_the_newest_demand() {
        let (old, new) = (need("libc.so.6", "GLIBC_2.25"), need("libstdc++.so.6", "GLIBCXX_3.4.26"));
        let files = [(Path::new("a.so"), &old), (Path::new("b.so"), &new)];
        let found = floor(Machine::X86_64, files).unwrap();
        assert_eq!(found.platform.to_string(), "manylinux_2_31_x86_64");
        assert_eq!(found.because.unwrap().file, Path::new("b.so"));
        let nothing = floor(Machine::AARCH64, []).unwrap();
        assert_eq!(
            (nothing.platform.to_string().as_str(), nothing.because),
            ("manylinux_2_17_aarch64", None)
        );
        assert!(matches!(floor(Machine(8), []), Err(PolicyError::Machine(_))));
    }

    #[test]
    fn a_platform_too_old_names_file_symbol_and_version() {
        let demand = need("libstdc++.so.6", "GLIBCXX_3.4.26");
        let files = [(Path::new("lib/libLLVM.so"), &demand)];
        check("manylinux_2_31_x86_64".parse().unwrap(), files).unwrap();
        let error = check("manylinux2014_x86_64".parse().unwrap(), files).unwrap_err();
        assert_eq!(
            error.to_string(),
            "these files need symbols newer than `manylinux_2_17_x86_64` provides: \
             `lib/libLLVM.so` needs `GLIBCXX_3.4.26` of `libstdc++.so.6`"
        );
        assert!(error.hint().unwrap().contains("`manylinux_2_31` or newer"));
        let private = need("libc.so.6", "GLIBC_PRIVATE");
        let error = floor(Machine::X86_64, [(Path::new("x.so"), &private)]).unwrap_err();
        assert!(
            error.to_string().starts_with("these files need symbols that no manylinux platform provides: "),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("no manylinux platform provides"));
    }

    #[test]
    fn a_demand_may_leave_the_machine_out() {
        let demanded = Platform::demanded("manylinux_2_28_aarch64").unwrap();
        assert_eq!(demanded, "manylinux_2_28_aarch64".parse().unwrap());
        assert_eq!(Platform::demanded("manylinux_2_28").unwrap().glibc, demanded.glibc);
        assert_eq!(Platform::demanded("manylinux2014").unwrap().glibc, Glibc { major: 2, minor: 17 });
        let error = Platform::demanded("linux").unwrap_err();
        assert_eq!(error.to_string(), "`linux` is not a manylinux platform tag");
    }

    #[test]
    fn tags_print_what_they_were_read_from() {
        for tag in ["manylinux_2_17_x86_64", "manylinux_2_28_aarch64", "manylinux_2_39_i686"] {
            assert_eq!(tag.parse::<Platform>().unwrap().to_string(), tag);
        }
        for tag in ["manylinux_2_x86_64", "linux_x86_64", "manylinux_2_17_sparc", "manylinux_2_17", ""] {
            assert!(tag.parse::<Platform>().is_err(), "{tag}");
        }
    }
}
