//! The directory name of a package version in a depot.

use crate::formats::Uuid;
use crate::stages::project::TreeHash;

/// The five (older depots: four) characters that tell versions of one package apart in `packages/<Name>/<slug>`:
/// what `Base.version_slug` of Julia computes.
#[must_use]
pub fn slug(uuid: Uuid, tree_hash: &TreeHash, length: usize) -> String {
    const DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // Julia feeds the 128-bit number as it lies in memory, and depots are made on little-endian machines.
    let mut rest = crc32c(crc32c(0, &uuid.value().to_le_bytes()), &tree_hash.0);
    (0..length)
        .map(|_| {
            let digit = DIGITS[(rest % 62) as usize];
            rest /= 62;
            char::from(digit)
        })
        .collect()
}

/// CRC-32C (Castagnoli), continued from the checksum `start` of what came before. A slug needs 36 bytes of it, so
/// no table.
fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(!start, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ REVERSED_POLYNOMIAL } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_crc32c_check_value() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(crc32c(0, b"12345"), b"6789"), 0xe306_9283);
    }

    /// The expected slugs are what `Base.version_slug(Base.UUID(…), Base.SHA1(…))` of Julia 1.5.3 prints.
    #[test]
    fn ok_slugs_of_julia() {
        for (uuid, hash, expected) in [
            ("7876af07-990d-54b4-ab0e-23690620f79a", "46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc", "aqsx3"),
            ("9c4566a2-237d-4c69-9a5e-9d27b7d0881b", "0000000000000000000000000000000000000001", "cZcnf"),
            ("682c06a0-de6a-54ab-a142-c8b1cf79cde6", "b34d7cef7b337321e97d22242c3c2b91f476748e", "d89fA"),
        ] {
            let (uuid, hash) = (uuid.parse().unwrap(), hash.parse().unwrap());
            assert_eq!(slug(uuid, &hash, 5), expected);
            assert_eq!(slug(uuid, &hash, 4), expected[..4]);
        }
    }
}
