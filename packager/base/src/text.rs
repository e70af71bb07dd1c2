//! Text for messages.

/// On a terminal with fewer columns, lines are not cut.
const NARROWEST: usize = 40;

/// A name from a foreign file made fit for a message: control characters are escaped.
#[must_use]
pub fn printable(name: &str) -> String {
    name.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// The known name that a misspelled one most likely means.
pub fn nearest<'a, T: AsRef<str>>(name: &str, known: &'a [T]) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('_', "-");
    let wanted = plain(name);
    let distance = |other: &&str| strsim::damerau_levenshtein(&wanted, &plain(other));
    let known = known.iter().map(AsRef::as_ref);
    known.min_by_key(distance).filter(|best| distance(best) <= best.len().div_ceil(3))
}

/// Whether `name` can name a module in Python and in Julia, and so be a file name and a part of a script.
#[must_use]
pub fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
}

/// A size for people.
#[must_use]
pub fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let bytes = bytes as f64;
    bytes / 1e6
}

/// Reads a number of bytes with an optional unit: K, M, or G, as powers of 1024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "expected a whole number of bytes, or of K, M, or G, for example `5G`".to_owned())
}

/// A line of which the end is cut where the terminal ends. Without a width, or with one that shows next to nothing, it
/// stays whole.
#[must_use]
pub fn cut_to(width: Option<usize>, line: &str) -> String {
    match width.filter(|width| *width >= NARROWEST) {
        Some(width) if line.chars().count() > width => {
            line.chars().take(width - 1).chain(std::iter::once('…')).collect()
        }
        _ => line.to_owned(),
    }
}

/// A line that ends in a path, of which the start is cut: the name of the file is at its end.
#[must_use]
pub fn cut_path_to(width: Option<usize>, start: &str, path: &str) -> String {
    let room =
        width.filter(|width| *width >= NARROWEST).map(|width| width.saturating_sub(start.chars().count()));
    let length = path.chars().count();
    match room {
        Some(room) if (2..length).contains(&room) => {
            let kept: String = path.chars().skip(length - (room - 1)).collect();
            format!("{start}…{kept}")
        }
        _ => cut_to(width, &format!("{start}{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, cut_path_to, cut_to};

    #[test]
    fn ok_and_err_sizes() {
        for (text, number) in [("0", 0), ("17", 17), ("2K", 2048), ("3m", 3 << 20), ("5G", 5 << 30)] {
            assert_eq!(bytes(text), Ok(number));
        }
        for text in ["", "G", "-1", "1.5G", "5GB", "99999999999999999999", "99999999999G"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ok_lines_end_with_the_terminal() {
        let line = "größe".repeat(10);
        assert_eq!(cut_to(None, &line), line);
        assert_eq!(cut_to(Some(50), &line), line);
        assert_eq!(cut_to(Some(49), &line), format!("{}grö…", "größe".repeat(9)));
        assert_eq!(cut_to(Some(10), &line), line);
        let path = format!("{}/libx.so", "directory/".repeat(9));
        assert_eq!(cut_path_to(Some(40), "12,345,678  ", &path), "12,345,678  …irectory/directory//libx.so");
        assert_eq!(cut_path_to(Some(40), &line, "x").chars().count(), 40);
        assert_eq!(cut_path_to(None, "a ", &path), format!("a {path}"));
    }
}
