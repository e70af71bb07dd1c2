//! The findings of an audit.

use std::collections::BTreeMap;

use serde::Serialize;

/// How many files a line names.
const NAMED: usize = 3;

/// One thing wrong, or remarkable, about a wheel. Ordered for reports: failures first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Which rule found it.
    pub check: Check,
    /// The file it is about, fit for printing; `None` when it is about the whole wheel.
    pub file: Option<String>,
    /// What is the case.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The wheel must not be published.
    Failure,
    /// Worth knowing.
    Warning,
}

/// The rules, in the order of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The archive has the one form that indexes and all installers accept.
    Zip,
    /// File name and `.dist-info` directory name the same distribution and version.
    Name,
    /// METADATA and WHEEL can be read and agree with the file name.
    Metadata,
    /// RECORD lists every file with its true hash and size, and nothing else.
    Record,
    /// ELF files can be read.
    Elf,
    /// ELF files are for the machine of the tag.
    Machine,
    /// Compiled Python modules are for the interpreters of the tag.
    Interpreter,
    /// Run paths stay in the wheel, and are searched before the user's.
    RunPath,
    /// Needed libraries are in the wheel, or every system has them.
    Needed,
    /// A wheel on a shared Julia fits the wheel that has it.
    SharedJulia,
    /// Symbol versions asked of the system exist in the oldest one the tag promises.
    Symbols,
    /// Libraries that must come from the system are not in the wheel.
    SystemLibrary,
    /// No file asks for an executable stack.
    ExecutableStack,
    /// No file names a directory of the machine it was built on.
    BuildPath,
    /// Equal content is stored once.
    Duplicate,
}

impl Check {
    fn why(self) -> &'static str {
        match self {
            Self::Zip => "indexes and installers read such archives differently, or refuse them",
            Self::Name => "installers refuse a wheel that contradicts its own name",
            Self::Metadata => "installers and indexes take name, version and tags from here",
            Self::Record => "installers use RECORD to check and to remove files",
            Self::Elf => "the dynamic loader will refuse it too",
            Self::Machine => "it cannot be loaded on the machines that the tag names",
            Self::Interpreter => "installers accept it for interpreters that cannot import the module",
            Self::RunPath => {
                "libraries of the user's machine would be loaded, or anything an attacker puts there"
            }
            Self::Needed => "loading it fails on machines without that library",
            Self::SharedJulia => {
                "its compiled code can be loaded only with exactly the images for which it was compiled"
            }
            Self::Symbols => "loading it fails on the oldest systems the tag promises",
            Self::SystemLibrary => {
                "two copies in one process conflict, so the process must use that of the system"
            }
            Self::ExecutableStack => "newer systems refuse to load it",
            Self::BuildPath => "it does not exist elsewhere, and reveals details of the build machine",
            Self::Duplicate => "users download and store it twice",
        }
    }

    /// A finding that stops publication.
    pub(super) fn failure(self, file: Option<&str>, what: impl Into<String>) -> Finding {
        self.finding(Level::Failure, file, what.into())
    }

    /// A finding worth knowing.
    pub(super) fn warning(self, file: Option<&str>, what: impl Into<String>) -> Finding {
        self.finding(Level::Warning, file, what.into())
    }

    fn finding(self, level: Level, file: Option<&str>, what: String) -> Finding {
        Finding { level, check: self, file: file.map(jnumpy_base::text::printable), what, why: self.why() }
    }
}

impl Finding {
    /// A line for each finding, or for several that differ in the file alone.
    #[must_use]
    pub fn lines(findings: &[Self]) -> Vec<String> {
        let mut groups: BTreeMap<(Level, Check, &str), Vec<&Self>> = BTreeMap::new();
        for finding in findings {
            groups.entry((finding.level, finding.check, &finding.what)).or_default().push(finding);
        }
        let lines = groups.into_values().map(|group| {
            let level = match group[0].level {
                Level::Failure => "failure",
                Level::Warning => "warning",
            };
            let named: Vec<String> =
                group.iter().filter_map(|finding| Some(format!("`{}`", finding.file.as_ref()?))).collect();
            let files = match &named[..] {
                [] => String::new(),
                _ if named.len() <= NAMED => format!("{}: ", named.join(", ")),
                _ => format!("{}, and {} more files: ", named[..NAMED].join(", "), named.len() - NAMED),
            };
            format!("{level}: {files}{} ({})", group[0].what, group[0].why)
        });
        lines.collect()
    }
}
