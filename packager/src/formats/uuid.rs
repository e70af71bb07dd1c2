//! The UUIDs that name Julia packages.

use std::fmt;
use std::str::FromStr;

use jnumpy_base::text::printable;
use uuid::fmt::Hyphenated;

/// A package's UUID. Parses and prints the hyphenated form, the only one that Julia reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(uuid::Uuid);

/// A text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID: `{}`", printable(.0))]
pub struct InvalidUuid(String);

impl Uuid {
    /// TyPython's UUID. It never changes: existing projects name it in their `Project.toml`.
    pub const TYPYTHON: Self = Self(uuid::Uuid::from_u128(0x9c45_66a2_237d_4c69_9a5e_9d27_b7d0_881b));

    /// The UUID as a number, most significant digit first in the text.
    #[must_use]
    pub const fn value(self) -> u128 {
        self.0.as_u128()
    }

    /// A new UUID that nothing else has.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// A UUID made from content, for a project that declares none: `hash` is a digest of what identifies the project.
    #[must_use]
    pub fn from_hash(hash: [u8; 16]) -> Self {
        Self(uuid::Uuid::new_v8(hash))
    }
}

impl FromStr for Uuid {
    type Err = InvalidUuid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed: Result<Hyphenated, _> = text.parse();
        parsed.map(|parsed| Self(parsed.into_uuid())).map_err(|_| InvalidUuid(text.to_owned()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_round_trip() {
        let text = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b";
        assert_eq!(text.parse::<Uuid>(), Ok(Uuid::TYPYTHON));
        assert_eq!(Uuid::TYPYTHON.to_string(), text);
        assert_eq!("00000000-0000-0000-0000-00000000000A".parse::<Uuid>().unwrap().value(), 10);
    }

    #[test]
    fn ok_from_hash_is_a_version_8_uuid() {
        // Caches name images by it.
        assert_eq!(Uuid::from_hash([0xff; 16]).to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
    }

    #[test]
    fn err_not_a_uuid() {
        for text in [
            "",
            "9c4566a2237d4c699a5e9d27b7d0881b",
            "{9c4566a2-237d-4c69-9a5e-9d27b7d0881b}",
            "9c4566a2-237d-4c69-9a5e-9d27b7d0881",
            "9c4566a2-237d-4c69-9a5e-9d27b7d0881g",
            "+c4566a2-237d-4c69-9a5e-9d27b7d0881b",
            "9c4566a2-237d-4c69-9a5e9-d27b7d0881b",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(InvalidUuid(text.into())));
        }
    }
}
