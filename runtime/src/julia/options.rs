//! The options of Julia in `TYPY_JL_OPTS`. They are checked before Julia sees them, because Julia's parser ends the process
//! if it does not know an option.

/// An option that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionError {
    /// Unbalanced quotes.
    #[error("{origin} is {text:?}: a quote is not closed")]
    Quote {
        origin: &'static str,
        /// Its value.
        text: String,
    },
    /// An option that has no meaning for an embedded Julia.
    #[error(
        "{origin} has {option:?}, which is not an option of an embedded Julia; allowed are {}",
        allowed()
    )]
    Unknown {
        origin: &'static str,
        /// The offending word.
        option: String,
    },
    /// An option without its value, or with one it does not take.
    #[error("{origin} has {option:?}: {reason}")]
    Value {
        origin: &'static str,
        /// The offending word.
        option: String,
        reason: String,
    },
}

enum Takes {
    OneOf(&'static [&'static str]),
    Number,
    Threads,
    /// A number of bytes, with or without a unit.
    Size,
    /// A number of threads that collect garbage, and after a comma, the number of those that sweep.
    Collectors,
    Text,
    Optional,
}

struct Known {
    long: &'static str,
    short: Option<char>,
    takes: Takes,
    /// The first Julia 1.x that has it.
    since: u32,
}

const YES_NO: Takes = Takes::OneOf(&["yes", "no"]);

/// Julia's options that have a meaning for an embedded Julia.
const KNOWN: &[Known] = &[
    Known { long: "project", short: None, takes: Takes::Optional, since: 0 },
    Known { long: "sysimage", short: Some('J'), takes: Takes::Text, since: 0 },
    Known { long: "threads", short: Some('t'), takes: Takes::Threads, since: 5 },
    Known { long: "optimize", short: Some('O'), takes: Takes::OneOf(&["0", "1", "2", "3"]), since: 0 },
    Known { long: "check-bounds", short: None, takes: Takes::OneOf(&["yes", "no", "auto"]), since: 0 },
    Known { long: "compiled-modules", short: None, takes: YES_NO, since: 0 },
    Known { long: "pkgimages", short: None, takes: YES_NO, since: 9 },
    Known { long: "depwarn", short: None, takes: Takes::OneOf(&["yes", "no", "error"]), since: 0 },
    Known { long: "inline", short: None, takes: YES_NO, since: 0 },
    Known { long: "math-mode", short: None, takes: Takes::OneOf(&["ieee", "user"]), since: 0 },
    Known { long: "warn-overwrite", short: None, takes: YES_NO, since: 0 },
    Known { long: "cpu-target", short: Some('C'), takes: Takes::Text, since: 0 },
    Known { long: "trace-compile", short: None, takes: Takes::Text, since: 3 },
    Known { long: "heap-size-hint", short: None, takes: Takes::Size, since: 9 },
    Known { long: "gcthreads", short: None, takes: Takes::Collectors, since: 10 },
    Known { long: "startup-file", short: None, takes: YES_NO, since: 0 },
    Known { long: "debug-info", short: Some('g'), takes: Takes::Number, since: 0 },
];

fn allowed() -> String {
    KNOWN.iter().map(|known| format!("--{}", known.long)).collect::<Vec<_>>().join(", ")
}

/// Options for Julia's own parser, and those that the runtime acts on itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// In the form `--name=value`.
    pub(crate) arguments: Vec<String>,
    /// `--sysimage`.
    pub(crate) sysimage: Option<String>,
    /// `--threads`.
    pub(crate) threads: Option<Threads>,
}

/// The valid numbers of threads, in words.
pub(crate) const THREADS: &str = "a number above 0 or `auto`, with a comma and a number of interactive threads or `auto` after it if this Julia has such threads";

/// How many threads Julia gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threads {
    pub(crate) default: u16,
    /// Julia before 1.9 does not have interactive threads.
    pub(crate) interactive: u16,
}

impl Threads {
    /// Reads `4`, `auto`, `4,1`, or `auto,auto` as Julia does, but in the same way for every version of Julia: interactive
    /// threads exist only if the text asks for them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        const MOST: u16 = i16::MAX.unsigned_abs() / 2;
        let number = |text: &str| text.parse().ok().filter(|&number: &u16| number <= MOST);
        let (default, interactive) = text.split_once(',').unwrap_or((text, "0"));
        let default = match default {
            "auto" => {
                let usable = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                u16::try_from(usable).map_or(MOST, |usable| usable.min(MOST))
            }
            text => number(text).filter(|&number| number > 0)?,
        };
        let interactive = if interactive == "auto" { 1 } else { number(interactive)? };
        Some(Self { default, interactive })
    }

    /// The option for Julia 1.`minor`.
    pub(crate) fn option(self, minor: u32) -> String {
        match self.interactive {
            // Since Julia 1.12, the default is one interactive thread.
            0 if minor < 12 => format!("--threads={}", self.default),
            interactive if minor >= 9 => format!("--threads={},{interactive}", self.default),
            _ => format!("--threads={}", self.default),
        }
    }
}

impl Options {
    /// Reads a command line as Julia 1.`minor` would. `origin` is the variable that holds it.
    pub(crate) fn parse(text: &str, origin: &'static str, minor: u32) -> Result<Self, OptionError> {
        let words = split(text).ok_or_else(|| OptionError::Quote { origin, text: text.to_owned() })?;
        let mut options = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let unknown = || OptionError::Unknown { origin, option: word.clone() };
            let wrong = |reason: String| OptionError::Value { origin, option: word.clone(), reason };
            let (known, inline) = find(&word).ok_or_else(unknown)?;
            if minor < known.since {
                return Err(wrong(format!(
                    "this Julia is 1.{minor}, but the option needs 1.{}",
                    known.since
                )));
            }
            let value = match (inline, &known.takes) {
                (Some(value), _) => value,
                (None, Takes::Optional) => "@.".to_owned(),
                (None, _) => words.next().ok_or_else(|| wrong("its value is missing".into()))?,
            };
            let fits = match known.takes {
                Takes::OneOf(values) => values.contains(&value.as_str()),
                Takes::Number => value.parse::<u32>().is_ok(),
                Takes::Threads => Threads::parse(&value).is_some(),
                Takes::Size => is_size(&value),
                Takes::Collectors => collectors(&value).is_some(),
                Takes::Text => !value.is_empty(),
                Takes::Optional => true,
            };
            if !fits {
                return Err(wrong(format!("{value:?} is not allowed, {}", expectation(&known.takes))));
            }
            match known.long {
                "sysimage" => options.sysimage = Some(value),
                "threads" => options.threads = Threads::parse(&value),
                "optimize" => options.arguments.push(format!("-O{value}")),
                "debug-info" => options.arguments.push(format!("-g{value}")),
                long => options.arguments.push(format!("--{long}={value}")),
            }
        }
        Ok(options)
    }
}

fn expectation(takes: &Takes) -> String {
    match takes {
        Takes::OneOf(values) => format!("expected {}", values.join(", ")),
        Takes::Number => "expected a number".into(),
        Takes::Threads => format!("expected {THREADS}"),
        Takes::Size => "expected a number of bytes, or a number with one of the units K, M, G, T".into(),
        Takes::Collectors => format!("expected {COLLECTORS}"),
        Takes::Text | Takes::Optional => "expected a text".into(),
    }
}

/// The valid numbers of threads that collect garbage, in words.
pub(crate) const COLLECTORS: &str =
    "a number of threads from 1 to 127, with `,0` or `,1` after it for the number of threads that sweep";

/// The number of threads that collect garbage, from the value of `--gcthreads` or `JULIA_NUM_GC_THREADS`. It includes the
/// thread that requests a collection.
pub(crate) fn collectors(text: &str) -> Option<usize> {
    let (mark, sweep) = text.split_once(',').unwrap_or((text, "0"));
    let mark = mark.parse::<usize>().ok().filter(|mark| (1..128).contains(mark))?;
    let sweep = sweep.parse::<usize>().ok().filter(|sweep| (0..2).contains(sweep))?;
    Some(mark + sweep)
}

/// Whether Julia reads `text` as a size: `500M`, `1.5G`.
fn is_size(text: &str) -> bool {
    let number = text.strip_suffix(|unit: char| "kKmMgGtT".contains(unit)).unwrap_or(text);
    number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && number.parse::<f64>().is_ok_and(|number| number >= 1.0)
}

/// The option that a word names, and the value in the same word.
fn find(word: &str) -> Option<(&'static Known, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) =
            long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        return KNOWN.iter().find(|known| known.long == name).map(|known| (known, value));
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    let rest = letters.as_str();
    let value = (!rest.is_empty()).then(|| rest.strip_prefix('=').unwrap_or(rest).to_owned());
    KNOWN.iter().find(|known| known.short == Some(letter)).map(|known| (known, value))
}

/// Splits as a POSIX shell does: at spaces, except in `'…'` and `"…"`; a backslash escapes the next character.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => word.push(characters.next()?),
                        other => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(characters.next()?),
            blank if blank.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, OptionError> {
        Options::parse(text, "TYPY_JL_OPTS", 6)
    }

    #[test]
    fn ok_forms() {
        let options = parse(r#"-O3 -t 2 --sysimage "/a b/sys.so" --project=/p --check-bounds no"#).unwrap();
        assert_eq!(options.arguments, ["-O3", "--project=/p", "--check-bounds=no"]);
        assert_eq!(options.threads, Some(Threads { default: 2, interactive: 0 }));
        assert_eq!(options.sysimage.as_deref(), Some("/a b/sys.so"));
        assert_eq!(parse("").unwrap(), Options::default());
        assert_eq!(parse("--project").unwrap().arguments, ["--project=@."]);
        assert_eq!(parse("-J/x").unwrap().sysimage.as_deref(), Some("/x"));
    }

    #[test]
    fn err_names_the_variable_and_the_word() {
        assert_eq!(
            parse("--foo").unwrap_err().to_string().split(';').next().unwrap(),
            r#"TYPY_JL_OPTS has "--foo", which is not an option of an embedded Julia"#
        );
        assert_eq!(
            parse("-t zero").unwrap_err().to_string(),
            r#"TYPY_JL_OPTS has "-t": "zero" is not allowed, expected a number above 0 or `auto`, with a comma and a number of interactive threads or `auto` after it if this Julia has such threads"#
        );
        assert_eq!(
            parse("--pkgimages=no").unwrap_err().to_string(),
            r#"TYPY_JL_OPTS has "--pkgimages=no": this Julia is 1.6, but the option needs 1.9"#
        );
        assert_eq!(
            parse("-J 'x").unwrap_err().to_string(),
            r#"TYPY_JL_OPTS is "-J 'x": a quote is not closed"#
        );
        assert_eq!(parse("-J").unwrap_err().to_string(), r#"TYPY_JL_OPTS has "-J": its value is missing"#);
    }

    #[test]
    fn err_for_a_size_or_a_number_at_which_julia_would_end_the_process() {
        let parse = |text: &str| Options::parse(text, "TYPY_JL_OPTS", 10);
        for right in ["--heap-size-hint=500M", "--heap-size-hint=1.5G", "--gcthreads=2", "--gcthreads=2,1"] {
            assert_eq!(parse(right).unwrap().arguments, [right]);
        }
        for wrong in ["", "M", "0", "0M", "-1M", "many", "1X", "1e9", "inf"] {
            assert!(parse(&format!("--heap-size-hint={wrong}")).is_err(), "{wrong}");
        }
        for wrong in ["", "many", "-1", "0", "1,", "1,2", "1,2,3", "500"] {
            assert!(parse(&format!("--gcthreads={wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn threads_in_all_forms() {
        let forms =
            |text: &str| Threads::parse(text).map(|threads| [5, 9, 12].map(|minor| threads.option(minor)));
        let expected = |told: [&str; 3]| Some(told.map(|told| format!("--threads={told}")));
        assert_eq!(forms("2"), expected(["2", "2", "2,0"]));
        assert_eq!(forms("2,1"), expected(["2", "2,1", "2,1"]));
        assert_eq!(forms("2,auto"), expected(["2", "2,1", "2,1"]));
        assert_eq!(forms("2,0"), expected(["2", "2", "2,0"]));
        assert!(
            Threads::parse("auto,1").is_some_and(|threads| threads.default > 0 && threads.interactive == 1)
        );
        for wrong in ["", "0", "-1", "many", "2,", ",1", "2,-1", "2,1,1", "99999", "2 "] {
            assert_eq!(Threads::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn split_like_a_shell() {
        assert_eq!(split(r"a 'b c'd \e").unwrap(), ["a", "b cd", "e"]);
        assert_eq!(split("''").unwrap(), [""]);
        assert_eq!(split("\"a"), None);
    }
}
