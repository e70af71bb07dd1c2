//! `entry_points.txt`: the commands and plug-ins a distribution offers.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::error::WheelError;
use jnumpy_base::text::printable;

/// The group of commands.
pub const CONSOLE_SCRIPTS: &str = "console_scripts";
/// The group of commands without a console.
pub const GUI_SCRIPTS: &str = "gui_scripts";

/// Objects by group and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryPoints(BTreeMap<String, BTreeMap<String, String>>);

impl EntryPoints {
    /// Adds one, after checking all three parts.
    pub fn add(&mut self, group: &str, name: &str, object: &str) -> Result<(), WheelError> {
        let fail = |value: &str, reason: &str| WheelError::Metadata {
            field: format!("entry point of {}", printable(group)),
            value: printable(value),
            reason: reason.into(),
        };
        if !group.split('.').all(is_word) {
            return Err(fail(group, "a group name consists of letters, digits, and `_`, joined with `.`"));
        }
        let is_name = |c: char| !c.is_control() && c != '=';
        if name.is_empty()
            || name.trim() != name
            || name.starts_with(['[', '#', ';'])
            || !name.chars().all(is_name)
        {
            return Err(fail(
                name,
                "a name must not contain `=`, start with `[` or `#`, or start or end with a space",
            ));
        }
        if !is_object(object) {
            return Err(fail(object, "an object has the form `package.module:attribute`"));
        }
        self.0.entry(group.into()).or_default().insert(name.into(), object.into());
        Ok(())
    }

    /// Whether there are none, and no file is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of `entry_points.txt`.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut text = String::new();
        for (group, objects) in &self.0 {
            let _ = writeln!(text, "{}[{group}]", if text.is_empty() { "" } else { "\n" });
            for (name, object) in objects {
                let _ = writeln!(text, "{name} = {object}");
            }
        }
        text.into_bytes()
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// `module.path`, `module.path:object.path`, either followed by extras in brackets.
fn is_object(object: &str) -> bool {
    let (path, extras) = match object.split_once('[') {
        Some((path, extras)) => (path.trim_end(), Some(extras)),
        None => (object, None),
    };
    let (module, attribute) = match path.split_once(':') {
        Some((module, attribute)) => (module.trim_end(), Some(attribute.trim_start())),
        None => (path, None),
    };
    let is_identifier = |word: &str| is_word(word) && !word.starts_with(|c: char| c.is_ascii_digit());
    module.split('.').all(is_identifier)
        && attribute.is_none_or(|attribute| attribute.split('.').all(is_identifier))
        && extras.is_none_or(|extras| {
            extras.strip_suffix(']').is_some_and(|extras| {
                extras.chars().all(|c| c.is_ascii_alphanumeric() || "-_., ".contains(c))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::{CONSOLE_SCRIPTS, EntryPoints};

    #[test]
    fn ok_written_sorted() {
        let mut entry_points = EntryPoints::default();
        entry_points.add("some.group", "b", "package").unwrap();
        entry_points.add(CONSOLE_SCRIPTS, "z-run", "package.cli:App.main").unwrap();
        entry_points.add(CONSOLE_SCRIPTS, "a", "package.cli:main [plot]").unwrap();
        assert_eq!(
            String::from_utf8(entry_points.write()).unwrap(),
            "[console_scripts]\na = package.cli:main [plot]\nz-run = package.cli:App.main\n\n[some.group]\nb = package\n"
        );
    }

    #[test]
    fn err_malformed() {
        let mut entry_points = EntryPoints::default();
        for (group, name, object) in [
            ("a b", "x", "m"),
            ("", "x", "m"),
            ("g", "", "m"),
            ("g", "x=y", "m"),
            ("g", "[x", "m"),
            ("g", "x\ny", "m"),
            ("g", " x", "m"),
            ("g", "x", ""),
            ("g", "x", "m:"),
            ("g", "x", "1m:f"),
            ("g", "x", "m:f()"),
            ("g", "x", "m\n"),
            ("g", "x", "a-b:main"),
            ("g", "x", "m:f [x"),
        ] {
            assert!(entry_points.add(group, name, object).is_err(), "{group:?} {name:?} {object:?}");
        }
        assert!(entry_points.is_empty());
    }
}
