//! Edits of the dynamic table, each with the smallest change of the file that does it:
//! none at all, then names in place, then names that are in the file already, then a new segment ([`super::grow`]).
//! The result is parsed again and compared with what the edits should have made of the original.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use goblin::elf::dynamic::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, Dyn};
use goblin::elf::program_header::{PF_X, PT_DYNAMIC, PT_GNU_STACK, PT_PHDR};
use scroll::Pwrite;

use super::ElfError;
use super::grow::{Growth, grow};
use super::read::{Elf, Kind, Machine, VersionNeed};
use super::strings::{Wish, location};
use super::tables::{Dynamic, Tables, write_entries, write_segment};

/// What to change in a file. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// The run path to have, colon-separated; the empty string removes it. It becomes a `DT_RPATH`, which is searched
    /// before `LD_LIBRARY_PATH` and counts for libraries that the file opens by name too. Either way a `DT_RUNPATH`
    /// goes. `None` leaves both as they are.
    pub run_path: Option<String>,
    /// The SONAME to have; a file without one gets none. `None` leaves it as it is.
    pub soname: Option<String>,
    /// Needed libraries to rename, old name to new name; names that the file does not need are passed over.
    pub needed: BTreeMap<String, String>,
    /// Whether to take away the request for an executable stack.
    pub clear_executable_stack: bool,
}

impl Edits {
    /// Whether no file would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), ElfError> {
        let refuse = |name: &String, why| Err(ElfError::Edit { name: name.clone(), why });
        for (old, new) in &self.needed {
            if new.is_empty() {
                return refuse(old, "its new name is empty");
            }
            // Otherwise a second run would rename a second time.
            if self.needed.get(new).is_some_and(|next| next != new) {
                return refuse(new, "the same edits rename it again");
            }
        }
        if let Some(soname) = self.soname.as_ref().filter(|soname| soname.is_empty()) {
            return refuse(soname, "the new SONAME is empty");
        }
        let names = self.needed.values().chain(&self.run_path).chain(&self.soname);
        match names.into_iter().find(|name| name.contains('\0')) {
            Some(name) => refuse(name, "it contains a NUL character"),
            None => Ok(()),
        }
    }

    /// What a file says about itself after the edits.
    fn applied_to(&self, elf: &Elf) -> Elf {
        let renamed = |name: &String| self.needed.get(name).unwrap_or(name).clone();
        let mut after = elf.clone();
        after.needed = elf.needed.iter().map(renamed).collect();
        after.requires = (elf.requires.iter())
            .map(|need| VersionNeed { library: renamed(&need.library), version: need.version.clone() })
            .collect();
        if let (Some(soname), Some(after)) = (&self.soname, &mut after.soname) {
            after.clone_from(soname);
        }
        if let Some(run_path) = &self.run_path {
            after.rpath = Some(run_path.clone()).filter(|path| !path.is_empty());
            after.runpath = None;
        }
        after.executable_stack &= !self.clear_executable_stack;
        after
    }
}

/// Applies the edits to a file's bytes and checks the result. Idempotent: a second run changes no byte.
///
/// Files for which the edits change nothing come back as they are, whatever they are; otherwise x86-64, i686 and
/// aarch64 programs and shared libraries are known.
pub fn rewrite(mut bytes: Vec<u8>, edits: &Edits) -> Result<Vec<u8>, ElfError> {
    edits.check()?;
    let mut tables = Tables::parse(&bytes)?;
    let before = Elf::from_tables(&bytes, &tables)?;
    let wanted = edits.applied_to(&before);
    if wanted == before {
        return Ok(bytes);
    }
    supported(&before)?;
    let fingerprint = Fingerprint::of(&bytes, &tables)?;

    let is_program = before.kind == Kind::Executable || before.interpreter.is_some();
    let mut growth = Growth { is_program, adds_stack: false, strings: None, entries: None };
    if before.executable_stack && !wanted.executable_stack {
        growth.adds_stack = !clear_stack(&mut bytes, &mut tables)?;
    }
    if let Some(dynamic) = &tables.dynamic {
        edit_dynamic(&mut bytes, &tables, dynamic, edits, &mut growth)?;
    } else if (Elf { executable_stack: before.executable_stack, ..wanted.clone() }) != before {
        return Err(ElfError::Unsupported { why: "it is linked statically and has no dynamic table".into() });
    }
    if growth.is_needed() {
        grow(&mut bytes, &tables, growth)?;
    }

    let tables = Tables::parse(&bytes)?;
    if Elf::from_tables(&bytes, &tables)? != wanted {
        return Err(ElfError::Invariant { what: "its dynamic table does not say what was asked for".into() });
    }
    if Fingerprint::of(&bytes, &tables)? != fingerprint {
        return Err(ElfError::Invariant {
            what: "a symbol or an unrelated dynamic entry has changed".into(),
        });
    }
    check_segments(&bytes, &tables)?;
    Ok(bytes)
}

fn supported(elf: &Elf) -> Result<(), ElfError> {
    let known = [Machine::X86_64, Machine::I686, Machine::AARCH64].contains(&elf.machine);
    if !known || !elf.little_endian {
        return Err(ElfError::Unsupported {
            why: format!("its processor family, {}, is not known", elf.machine),
        });
    }
    if elf.kind == Kind::Other {
        return Err(ElfError::Unsupported { why: "it is neither a program nor a shared library".into() });
    }
    Ok(())
}

/// Clears the flag in place; `false` when the file has no header for the stack.
fn clear_stack(bytes: &mut [u8], tables: &mut Tables) -> Result<bool, ElfError> {
    let Some(index) = tables.segments.iter().position(|segment| segment.p_type == PT_GNU_STACK) else {
        return Ok(false);
    };
    tables.segments[index].p_flags &= !PF_X;
    let segment = tables.segments[index].clone();
    write_segment(bytes, tables, tables.header.e_phoff, index, segment)?;
    Ok(true)
}

/// A dynamic entry after the edits.
struct Planned {
    entry: Dyn,
    /// The name that it is to refer to, when that is another one than before.
    text: Option<Wish>,
}

/// Plans the new entries and writes them in place, or says in `growth` what has to move.
fn edit_dynamic(
    bytes: &mut [u8],
    tables: &Tables,
    dynamic: &Dynamic,
    edits: &Edits,
    growth: &mut Growth,
) -> Result<(), ElfError> {
    let (mut planned, removed) = plan(bytes, tables, dynamic, edits)?;

    // A version table names the library again; the loader wants both names to agree.
    let mut fields = Vec::new();
    let mut wishes: Vec<Wish> = Vec::new();
    for need in tables.requirements(bytes)? {
        let renamed = edits.needed.get(tables.text(bytes, need.library)?);
        if let Some(text) = renamed.filter(|_| !fields.contains(&need.field)) {
            fields.push(need.field);
            wishes.push(Wish { old: Some(need.library), text: text.clone() });
        }
    }
    let positions: Vec<usize> = (0..planned.len()).filter(|&index| planned[index].text.is_some()).collect();
    wishes.extend(planned.iter_mut().filter_map(|planned| planned.text.take()));

    let uses = if tables.strings_have_other_users() { None } else { uses(bytes, tables, dynamic)? };
    let given_up: Vec<u64> = wishes.iter().filter_map(|wish| wish.old).chain(removed).collect();
    let mut table = bytes[dynamic.strings.clone()].to_vec();
    let offsets = location(&mut table, uses.as_deref(), &given_up, &wishes);

    let endian = tables.endian();
    for (&field, &offset) in fields.iter().zip(&offsets) {
        let offset = u32::try_from(offset)
            .map_err(|_| ElfError::Unsupported { why: "its strings take more than 4 GiB".into() })?;
        bytes.pwrite_with(offset, field, endian).map_err(|error| ElfError::Header(error.into()))?;
    }
    for (&position, &offset) in positions.iter().zip(&offsets[fields.len()..]) {
        planned[position].entry.d_val = offset;
    }

    if table.len() == dynamic.strings.len() {
        bytes[dynamic.strings.clone()].copy_from_slice(&table);
    } else {
        if uses.is_some() {
            // Nobody reads the old copy anymore, and an old path in it would stay behind forever.
            bytes[dynamic.strings.clone()].fill(0);
        }
        growth.strings = Some(table);
    }
    growth.entries = Some(planned.into_iter().map(|planned| planned.entry).collect());
    if growth.strings.is_none()
        && let Some(entries) = growth.entries.take_if(|entries| entries.len() < dynamic.slots)
    {
        write_entries(bytes, tables, dynamic.offset, dynamic.slots, &entries)?;
    }
    Ok(())
}

/// The entries after the edits, and the strings of those that go.
fn plan(
    bytes: &[u8],
    tables: &Tables,
    dynamic: &Dynamic,
    edits: &Edits,
) -> Result<(Vec<Planned>, Vec<u64>), ElfError> {
    let mut planned = Vec::new();
    let mut removed = Vec::new();
    let mut run_path = edits.run_path.as_ref().filter(|path| !path.is_empty());
    for entry in &dynamic.entries {
        let (tag, wanted) = match entry.d_tag {
            DT_NEEDED => (DT_NEEDED, edits.needed.get(tables.text(bytes, entry.d_val)?)),
            DT_SONAME => (DT_SONAME, edits.soname.as_ref()),
            DT_RPATH | DT_RUNPATH if edits.run_path.is_some() => {
                let Some(path) = run_path.take() else {
                    removed.push(entry.d_val);
                    continue;
                };
                (DT_RPATH, Some(path))
            }
            other => (other, None),
        };
        let text = match wanted {
            Some(text) if text != tables.text(bytes, entry.d_val)? => {
                Some(Wish { old: Some(entry.d_val), text: text.clone() })
            }
            _ => None,
        };
        planned.push(Planned { entry: Dyn { d_tag: tag, d_val: entry.d_val }, text });
    }
    if let Some(text) = run_path {
        let text = Some(Wish { old: None, text: text.clone() });
        planned.push(Planned { entry: Dyn { d_tag: DT_RPATH, d_val: 0 }, text });
    }
    Ok((planned, removed))
}

/// Every reference into the dynamic strings, or `None` when some are unknown.
fn uses(bytes: &[u8], tables: &Tables, dynamic: &Dynamic) -> Result<Option<Vec<u64>>, ElfError> {
    const DT_AUXILIARY: u64 = 0x7fff_fffd;
    const DT_FILTER: u64 = 0x7fff_ffff;
    const DT_CONFIG: u64 = 0x6fff_fefa;
    const DT_DEPAUDIT: u64 = 0x6fff_fefb;
    const DT_AUDIT: u64 = 0x6fff_fefc;
    const NAMES: [u64; 9] = [
        DT_NEEDED,
        DT_SONAME,
        DT_RPATH,
        DT_RUNPATH,
        DT_AUXILIARY,
        DT_FILTER,
        DT_CONFIG,
        DT_DEPAUDIT,
        DT_AUDIT,
    ];

    let Some(mut uses) = tables.symbol_names(bytes)? else { return Ok(None) };
    uses.extend(dynamic.entries.iter().filter(|entry| NAMES.contains(&entry.d_tag)).map(|entry| entry.d_val));
    uses.extend(tables.definitions(bytes)?.iter().map(|&(_, name)| name));
    let mut last = None;
    for need in tables.requirements(bytes)? {
        uses.push(need.version);
        if last.replace(need.field) != Some(need.field) {
            uses.push(need.library);
        }
    }
    Ok(Some(uses))
}

/// What no edit may change: the names of all symbols and of the file's own version, and the entries that hold no name.
#[derive(PartialEq, Eq)]
struct Fingerprint {
    symbols: Option<(usize, u64)>,
    entries: Vec<(u64, u64)>,
}

impl Fingerprint {
    fn of(bytes: &[u8], tables: &Tables) -> Result<Self, ElfError> {
        let symbols = match tables.symbol_names(bytes)? {
            Some(names) => {
                let mut hasher = DefaultHasher::new();
                for &name in &names {
                    tables.text(bytes, name)?.hash(&mut hasher);
                }
                for (_, name) in tables.definitions(bytes)? {
                    tables.text(bytes, name)?.hash(&mut hasher);
                }
                Some((names.len(), hasher.finish()))
            }
            None => None,
        };
        let entries = (tables.dynamic.iter())
            .flat_map(|dynamic| &dynamic.entries)
            .filter(|entry| {
                ![DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH, DT_STRTAB, DT_STRSZ].contains(&entry.d_tag)
            })
            .map(|entry| (entry.d_tag, entry.d_val))
            .collect();
        Ok(Self { symbols, entries })
    }
}

/// What kernel and loader want of the segments.
fn check_segments(bytes: &[u8], tables: &Tables) -> Result<(), ElfError> {
    let wrong = |what: &str| Err(ElfError::Invariant { what: what.into() });
    let mut end = 0;
    for load in tables.loads() {
        if load.p_vaddr < end {
            return wrong("two segments overlap in memory or are out of order");
        }
        let alignment = load.p_align.max(1);
        if load.p_vaddr % alignment != load.p_offset % alignment {
            return wrong("a segment's address does not match its offset in the file");
        }
        let file_end = load.p_offset.checked_add(load.p_filesz);
        if file_end.is_none_or(|end| end > bytes.len() as u64) {
            return wrong("a segment reaches beyond the end of the file");
        }
        end = load.p_vaddr.saturating_add(load.p_memsz.max(load.p_filesz));
    }
    for segment in tables.segments.iter().filter(|segment| [PT_DYNAMIC, PT_PHDR].contains(&segment.p_type)) {
        if tables.offset_of(segment.p_vaddr) != Some(segment.p_offset) {
            return wrong("the dynamic table or the program headers are not loaded where they should be");
        }
    }
    let headers = tables.segment(PT_PHDR);
    if headers.is_some_and(|headers| headers.p_offset != tables.header.e_phoff) {
        return wrong("the header and `PT_PHDR` disagree about the program headers");
    }
    Ok(())
}
