//! The UUIDs that name Julia packages.

use std::fmt;
use std::str::FromStr;

use jnumpy_base::text::printable;

/// A package's UUID. Parses and prints the usual hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

/// A text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID: `{}`", printable(.0))]
pub struct InvalidUuid(String);

impl Uuid {
    /// TyPython's UUID. It never changes: existing projects name it in their `Project.toml`.
    pub const TYPYTHON: Self = Self(0x9c45_66a2_237d_4c69_9a5e_9d27_b7d0_881b);

    /// The UUID as a number, most significant digit first in the text.
    #[must_use]
    pub const fn value(self) -> u128 {
        self.0
    }

    /// A new UUID that nothing else has, of version 4.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
        Ok(Self::marked(u128::from_be_bytes(bytes), 4))
    }

    /// A UUID made from content, for a project that declares none. `hash` should be a digest of what
    /// identifies the project; its first 16 bytes are marked as a version 8 (vendor defined) UUID.
    #[must_use]
    pub fn from_hash(hash: &[u8; 16]) -> Self {
        Self::marked(u128::from_be_bytes(*hash), 8)
    }

    /// `value` with the bits that say what kind of UUID it is.
    const fn marked(value: u128, version: u128) -> Self {
        let versioned = (value & !(0xf << 76)) | (version << 76);
        Self((versioned & !(0x3 << 62)) | (0x2 << 62))
    }
}

impl FromStr for Uuid {
    type Err = InvalidUuid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidUuid(text.to_owned());
        let hyphens = text.match_indices('-').map(|(at, _)| at);
        if text.len() != 36 || !hyphens.eq([8, 13, 18, 23]) {
            return Err(invalid());
        }
        let digits = text.replace('-', "");
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| invalid())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
        out.write_str(&groups.join("-"))
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
        let text = Uuid::from_hash(&[0xff; 16]).to_string();
        assert_eq!(text, "ffffffff-ffff-8fff-bfff-ffffffffffff");
    }

    #[test]
    fn ok_random_ones_differ() {
        let (first, second) = (Uuid::random().unwrap(), Uuid::random().unwrap());
        assert_ne!(first, second);
        assert_eq!(first.to_string().as_bytes()[14], b'4');
    }

    #[test]
    fn err_not_a_uuid() {
        for text in [
            "",
            "9c4566a2237d4c699a5e9d27b7d0881b",
            "9c4566a2-237d-4c69-9a5e-9d27b7d0881",
            "9c4566a2-237d-4c69-9a5e-9d27b7d0881g",
            "+c4566a2-237d-4c69-9a5e-9d27b7d0881b",
            "9c4566a2-237d-4c69-9a5e9-d27b7d0881b",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(InvalidUuid(text.into())));
        }
    }
}
