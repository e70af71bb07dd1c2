use jnumpy_base::Hint;

/// Why an ELF file could not be read, or not be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// The magic number is missing.
    #[error("not an ELF file")]
    NotElf,
    /// A header field that no ELF file has, for example an unknown class.
    #[error("the ELF header is damaged")]
    Header(#[source] goblin::error::Error),
    /// A table or a string lies outside the file.
    #[error("damaged ELF file: {what} at offset {offset:#x} does not lie within its {size} bytes")]
    OutOfBounds {
        /// What should have been there.
        what: &'static str,
        /// Where it should have been, from the start of the file, in bytes.
        offset: u64,
        /// Length of the file in bytes.
        size: usize,
    },
    /// A table contradicts another one.
    #[error("damaged ELF file: {0}")]
    Inconsistent(&'static str),
    /// The edits themselves make no sense.
    #[error("the name `{name}` cannot be written into an ELF file: {why}")]
    Edit { name: String, why: &'static str },
    /// An edit is asked of a kind of file which the rewriter does not know.
    #[error("this ELF file cannot be rewritten: {why}")]
    Unsupported {
        /// What it is about the file.
        why: String,
    },
    /// The rewritten file did not pass the check; nothing of it is returned.
    #[error("the rewritten ELF file would be wrong: {what}")]
    Invariant {
        /// Which property does not hold.
        what: String,
    },
}

impl Hint for ElfError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotElf => "the file may be a linker script or a text file under a library's name".into(),
            Self::Header(_) | Self::OutOfBounds { .. } | Self::Inconsistent(_) => {
                "the file may be cut short; compare it with the original and install it again".into()
            }
            Self::Edit { .. } => "choose a non-empty name without NUL characters".into(),
            Self::Unsupported { .. } => {
                "rebuild the library so that it needs no edit: with the run path `$ORIGIN`, as RPATH, and without an executable stack"
                    .into()
            }
            Self::Invariant { .. } => "the original is unchanged; please report this library as a bug".into(),
        })
    }
}
