use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use goblin::elf::dynamic::{DF_1_PIE, DT_FLAGS_1, DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME};
use goblin::elf::header::{EI_OSABI, EM_386, EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PF_X, PT_GNU_STACK, PT_INTERP};

use jnumpy_base::Binary;

use super::tables::{Tables, range};
use super::{ElfError, run_path};

/// Processor family, the `e_machine` of the header. Prints as Linux and wheel tags name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Machine(pub u16);

impl Machine {
    /// 64-bit x86.
    pub const X86_64: Self = Self(EM_X86_64);
    /// 32-bit x86.
    pub const I686: Self = Self(EM_386);
    /// 64-bit ARM.
    pub const AARCH64: Self = Self(EM_AARCH64);

    /// The largest page in bytes that Linux uses on this family.
    pub(super) fn page(self) -> u64 {
        if matches!(self, Self::X86_64 | Self::I686) { 0x1000 } else { 0x1_0000 }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::X86_64 => formatter.write_str("x86_64"),
            Self::I686 => formatter.write_str("i686"),
            Self::AARCH64 => formatter.write_str("aarch64"),
            Self(other) => write!(formatter, "machine {other}"),
        }
    }
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A program, whether its addresses are fixed or not.
    Executable,
    /// A shared library.
    SharedObject,
    /// An object file, a core dump, …
    Other,
}

/// A symbol version that a file asks of another library, for example `GLIBC_2.17` of `libc.so.6`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionNeed {
    /// SONAME of the library.
    pub library: String,
    /// Name of the version.
    pub version: String,
}

/// What an ELF file says about itself to the dynamic loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// Processor family.
    pub machine: Machine,
    /// 32 or 64.
    pub bits: u8,
    /// Byte order.
    pub little_endian: bool,
    /// What the file is for.
    pub kind: Kind,
    /// Path of the dynamic loader, in programs.
    pub interpreter: Option<String>,
    /// Name under which other files need this one (`DT_SONAME`).
    pub soname: Option<String>,
    /// Names of the libraries this one needs (`DT_NEEDED`), in the loader's order.
    pub needed: Vec<String>,
    /// Directories searched before `LD_LIBRARY_PATH` (`DT_RPATH`), colon-separated.
    pub rpath: Option<String>,
    /// Directories searched after `LD_LIBRARY_PATH` (`DT_RUNPATH`), colon-separated; when present, `rpath` is ignored.
    pub runpath: Option<String>,
    /// Versions asked of other libraries.
    pub requires: BTreeSet<VersionNeed>,
    /// Versions provided.
    pub defines: BTreeSet<String>,
    /// Whether loading the file makes the stack executable, which newer systems refuse.
    pub executable_stack: bool,
    /// `EI_OSABI` and `e_flags`, which a shim for this file repeats.
    pub(super) os_abi: u8,
    pub(super) flags: u32,
}

/// The names of a file's dynamic symbols.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Symbols {
    /// What it asks of other files.
    pub asked: BTreeSet<String>,
    /// What other files may ask of it.
    pub defined: BTreeSet<String>,
}

impl Binary for Elf {
    type Demand = VersionNeed;

    fn name(&self) -> Option<&str> {
        self.soname.as_deref()
    }

    fn needed(&self) -> impl Iterator<Item = &str> {
        self.needed.iter().map(String::as_str)
    }

    fn run_path(&self) -> impl Iterator<Item = &str> {
        let in_effect = self.runpath.as_deref().or(self.rpath.as_deref());
        in_effect.filter(|run_path| !run_path.is_empty()).into_iter().flat_map(run_path::entries)
    }

    fn demands(&self) -> impl Iterator<Item = &VersionNeed> {
        self.requires.iter()
    }

    fn resolve_in_tree(directory: &Path, entry: &str) -> Option<PathBuf> {
        run_path::resolve_in_tree(directory, entry)
    }

    /// A name with a slash is a path, which the loader takes relative to the working directory.
    fn candidates(&self, directory: &Path, needed: &str) -> Vec<PathBuf> {
        let entries = self.run_path().filter(|_| !needed.contains('/'));
        let directories = entries.filter_map(|entry| run_path::resolve_in_tree(directory, entry));
        directories.map(|directory| directory.join(needed)).collect()
    }
}

impl Elf {
    /// Reads the facts out of a file's bytes. Only headers and dynamic tables are looked at, so large files cost little.
    pub fn parse(bytes: &[u8]) -> Result<Self, ElfError> {
        Self::from_tables(bytes, &Tables::parse(bytes)?)
    }

    /// The names of the dynamic symbols of a file: those it asks of others, and those it has. `None` when the file does
    /// not say how many there are.
    pub fn symbols(bytes: &[u8]) -> Result<Option<Symbols>, ElfError> {
        let tables = Tables::parse(bytes)?;
        let Some(found) = tables.symbols(bytes)? else { return Ok(None) };
        let mut symbols = Symbols::default();
        for symbol in found.iter().filter(|symbol| symbol.st_name != 0) {
            let name = tables.text(bytes, symbol.st_name as u64)?.to_owned();
            if symbol.st_shndx == 0 { &mut symbols.asked } else { &mut symbols.defined }.insert(name);
        }
        Ok(Some(symbols))
    }

    pub(super) fn from_tables(bytes: &[u8], tables: &Tables) -> Result<Self, ElfError> {
        let header = &tables.header;
        let machine = Machine(header.e_machine);
        let first = |tag| tables.texts(bytes, tag).map(|texts| texts.into_iter().next());
        let interpreter = match tables.segment(PT_INTERP) {
            Some(segment) => {
                let path = &bytes[range(bytes, "the loader's path", segment.p_offset, segment.p_filesz)?];
                let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
                Some(String::from_utf8_lossy(path).into_owned())
            }
            None => None,
        };
        let soname = first(DT_SONAME)?;
        let flags = tables.dynamic.as_ref().and_then(|dynamic| dynamic.value(DT_FLAGS_1)).unwrap_or(0);
        let kind = match header.e_type {
            ET_EXEC => Kind::Executable,
            ET_DYN if flags & DF_1_PIE != 0 || (interpreter.is_some() && soname.is_none()) => {
                Kind::Executable
            }
            ET_DYN => Kind::SharedObject,
            _ => Kind::Other,
        };
        let requires = tables
            .requirements(bytes)?
            .iter()
            .map(|need| {
                Ok(VersionNeed {
                    library: tables.text(bytes, need.library)?.to_owned(),
                    version: tables.text(bytes, need.version)?.to_owned(),
                })
            })
            .collect::<Result<_, ElfError>>()?;
        let defines = tables
            .definitions(bytes)?
            .iter()
            .filter(|(names_the_file, _)| !names_the_file)
            .map(|&(_, name)| tables.text(bytes, name).map(str::to_owned))
            .collect::<Result<_, ElfError>>()?;
        let executable_stack = match tables.segment(PT_GNU_STACK) {
            Some(segment) => segment.p_flags & PF_X != 0,
            // Without a word about it, the loader assumes the worst on the old architectures.
            None => kind != Kind::Other && matches!(machine, Machine::X86_64 | Machine::I686),
        };
        Ok(Self {
            machine,
            bits: if tables.is_64() { 64 } else { 32 },
            little_endian: tables.endian() == scroll::LE,
            kind,
            interpreter,
            soname,
            needed: tables.texts(bytes, DT_NEEDED)?,
            rpath: first(DT_RPATH)?,
            runpath: first(DT_RUNPATH)?,
            requires,
            defines,
            executable_stack,
            os_abi: header.e_ident[EI_OSABI],
            flags: header.e_flags,
        })
    }
}
