//! Text for messages.

use std::fmt::Write;

/// A name from a foreign file made fit for a message: control characters are escaped.
#[must_use]
pub fn printable(name: &str) -> String {
    name.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// The known name that a misspelt one most likely means.
pub fn nearest<'a, T: AsRef<str>>(name: &str, known: &'a [T]) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(&name.to_lowercase().replace('_', "-"), other);
    let known = known.iter().map(AsRef::as_ref);
    known.min_by_key(distance).filter(|best| distance(best) <= best.len().div_ceil(3))
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
