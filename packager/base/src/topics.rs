//! Help topics about errors: the sections of `docs/errors.md`, which is part of the command.

use crate::Hint;
use crate::text::nearest;
use crate::text::printable;

const PAGE: &str = include_str!("../../../docs/errors.md");

/// A section of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Its heading, by which hints name it.
    pub name: &'static str,
    /// What it says.
    pub text: &'static str,
}

/// There is no section of that name.
#[derive(Debug, thiserror::Error)]
#[error("there is no help topic `{name}`")]
pub struct UnknownTopic {
    /// The name, fit to print.
    name: String,
}

impl Hint for UnknownTopic {
    fn hint(&self) -> Option<String> {
        let names: Vec<&str> = topics().map(|topic| topic.name).collect();
        Some(match nearest(&self.name, &names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the topics are {}", names.join(", ")),
        })
    }
}

impl Topic {
    /// Finds a section by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn find(name: &str) -> Result<Self, UnknownTopic> {
        topics().find(|topic| topic.name == name).ok_or_else(|| UnknownTopic { name: printable(name) })
    }

    /// Its first sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let paragraph = self.text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        paragraph.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned()
    }
}

/// All sections, as the page has them.
pub fn topics() -> impl Iterator<Item = Topic> {
    PAGE.split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .map(|(name, text)| Topic { name, text: text.trim() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_a_section_is_found_whole() {
        let fork = Topic::find("fork").unwrap();
        assert!(fork.text.starts_with("Julia does not survive `os.fork()`."), "{}", fork.text);
        assert!(fork.text.ends_with("worker."), "{}", fork.text);
        assert_eq!(Topic::find("no-julia").unwrap().summary(), "No Julia was found");
    }

    #[test]
    fn ok_every_section_says_something() {
        assert!(topics().count() > 10);
        for topic in topics() {
            assert!(
                topic.summary().len() > 10 && (topic.text.contains("\n- ") || topic.text.contains("\n| ")),
                "{}",
                topic.name
            );
        }
    }

    #[test]
    fn err_an_unknown_name() {
        let error = Topic::find("forks").unwrap_err();
        assert_eq!(error.to_string(), "there is no help topic `forks`");
        assert_eq!(error.hint().unwrap(), "did you mean `fork`?");
        assert!(
            Topic::find("\u{1b}[2Jxyzzyxyzzy")
                .unwrap_err()
                .hint()
                .unwrap()
                .contains("no-julia, julia-download")
        );
    }
}
