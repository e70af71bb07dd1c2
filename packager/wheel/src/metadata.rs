//! METADATA: what a distribution says of itself (core metadata 2.4).

use std::collections::BTreeMap;
use std::fmt::Write;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName, Requirement};

use super::error::WheelError;
use super::path::WheelPath;
use jnumpy_base::text::printable;

/// The version of the core metadata standard that is written.
const METADATA_VERSION: &str = "2.4";

/// What a distribution says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The distribution's name as its authors write it.
    pub name: String,
    pub version: Version,
    /// One line about it.
    pub summary: Option<String>,
    /// The long description.
    pub readme: Option<Readme>,
    /// Which Python it needs.
    pub requires_python: Option<VersionSpecifiers>,
    /// Who wrote it.
    pub authors: Vec<Person>,
    /// Who keeps it.
    pub maintainers: Vec<Person>,
    /// Words to find it by; none contains a comma.
    pub keywords: Vec<String>,
    /// Trove classifiers.
    pub classifiers: Vec<String>,
    /// Addresses by label.
    pub urls: BTreeMap<String, String>,
    /// What it needs.
    pub dependencies: Vec<Requirement>,
    /// What it needs for each of its extras.
    pub optional_dependencies: BTreeMap<ExtraName, Vec<Requirement>>,
    /// Under what terms it may be used.
    pub license: Option<License>,
}

/// A long description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readme {
    pub text: String,
    /// Its media type, as in `text/markdown`.
    pub content_type: String,
}

/// A person or a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The name; contains no comma.
    pub name: Option<String>,
    /// The mail address.
    pub email: Option<String>,
}

/// The terms of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum License {
    /// An SPDX expression in its canonical spelling.
    Expression(String),
    /// Words that are no SPDX expression; an old form, still in use.
    Text(String),
}

impl License {
    /// An SPDX expression; the error says what is wrong with it.
    pub fn expression(text: &str) -> Result<Self, WheelError> {
        let fail = |reason: String| invalid("License-Expression", text, reason);
        let canonical =
            spdx::Expression::canonicalize(text).map_err(|error| fail(error.reason.to_string()))?;
        let expression = canonical.unwrap_or_else(|| text.to_owned());
        spdx::Expression::parse(&expression).map_err(|error| fail(error.reason.to_string()))?;
        Ok(Self::Expression(expression))
    }
}

impl Metadata {
    /// A distribution of which only name and version are known.
    pub fn new(name: impl Into<String>, version: Version) -> Self {
        Self {
            name: name.into(),
            version,
            summary: None,
            readme: None,
            requires_python: None,
            authors: Vec::new(),
            maintainers: Vec::new(),
            keywords: Vec::new(),
            classifiers: Vec::new(),
            urls: BTreeMap::new(),
            dependencies: Vec::new(),
            optional_dependencies: BTreeMap::new(),
            license: None,
        }
    }

    /// The normalized name.
    pub fn distribution(&self) -> Result<PackageName, WheelError> {
        PackageName::new(self.name.clone()).map_err(|_| {
            invalid("Name", &self.name, "it must consist of ASCII letters, digits, and inner `-`, `_`, `.`")
        })
    }

    /// The bytes of METADATA. `license_files` are paths below `licenses/`.
    pub fn write<'a>(
        &self,
        license_files: impl IntoIterator<Item = &'a WheelPath>,
    ) -> Result<Vec<u8>, WheelError> {
        self.distribution()?;
        let mut headers = Headers(String::new());
        headers.add("Metadata-Version", METADATA_VERSION)?;
        headers.add("Name", &self.name)?;
        headers.add("Version", &self.version.to_string())?;
        headers.add_all("Summary", self.summary.as_deref())?;
        if !self.keywords.is_empty() {
            headers.add("Keywords", &self.keywords.join(","))?;
        }
        headers.add_people("Author", &self.authors)?;
        headers.add_people("Maintainer", &self.maintainers)?;
        match &self.license {
            Some(License::Expression(expression)) => {
                headers.add("License-Expression", expression)?;
                if let Some(classifier) = self.classifiers.iter().find(|text| text.starts_with("License ::"))
                {
                    let reason = "a license classifier contradicts the SPDX license expression";
                    return Err(invalid("Classifier", classifier, reason));
                }
            }
            // Continuation lines are indented.
            Some(License::Text(text)) => {
                headers.line("License", &text.lines().collect::<Vec<_>>().join("\n        "));
            }
            None => {}
        }
        headers.add_all("License-File", license_files.into_iter().map(WheelPath::as_str))?;
        headers.add_all("Classifier", self.classifiers.iter().map(String::as_str))?;
        for (label, address) in &self.urls {
            if label.contains(',') || label.is_empty() || label.chars().count() > 32 {
                return Err(invalid("Project-URL", label, "a label has 1 to 32 characters and no comma"));
            }
            headers.add("Project-URL", &format!("{label}, {address}"))?;
        }
        headers.add_all("Requires-Python", self.requires_python.as_ref().map(ToString::to_string))?;
        headers.add_all("Requires-Dist", self.dependencies.iter().map(ToString::to_string))?;
        for (extra, requirements) in &self.optional_dependencies {
            headers.add("Provides-Extra", extra.as_ref())?;
            let marked =
                requirements.iter().map(|needed| needed.clone().with_extra_marker(extra).to_string());
            headers.add_all("Requires-Dist", marked)?;
        }
        let mut text = headers.0;
        if let Some(readme) = &self.readme {
            let _ = write!(text, "Description-Content-Type: {}\n\n{}", readme.content_type, readme.text);
        }
        Ok(text.into_bytes())
    }
}

/// Header lines in the manner of an e-mail.
struct Headers(String);

impl Headers {
    fn line(&mut self, name: &str, value: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{name}: {value}");
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), WheelError> {
        if value.is_empty() {
            return Err(invalid(name, value, "it is empty"));
        }
        // A line break would let a value forge other fields.
        if value.chars().any(char::is_control) {
            return Err(invalid(name, value, "it must be a single line without control characters"));
        }
        self.line(name, value);
        Ok(())
    }

    fn add_all<T: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), WheelError> {
        values.into_iter().try_for_each(|value| self.add(name, value.as_ref()))
    }

    /// Names alone go into one field, all that have an address into another.
    fn add_people(&mut self, field: &str, people: &[Person]) -> Result<(), WheelError> {
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        for person in people {
            let name = person.name.as_deref();
            if let Some(name) = name.filter(|name| name.contains(',')) {
                return Err(invalid(field, name, "a name must not contain a comma"));
            }
            match (name, person.email.as_deref()) {
                (None, None) => return Err(invalid(field, "", "it needs a name or an email address")),
                (Some(name), None) => names.push(name.to_owned()),
                (None, Some(email)) => addresses.push(mail_address(field, email)?),
                (Some(name), Some(email)) => {
                    addresses.push(format!("{} <{}>", quoted(name), mail_address(field, email)?));
                }
            }
        }
        if !names.is_empty() {
            self.add(field, &names.join(", "))?;
        }
        if !addresses.is_empty() {
            self.add(&format!("{field}-email"), &addresses.join(", "))?;
        }
        Ok(())
    }
}

/// A display name as mail headers have it: quoted when it has characters with a meaning there.
fn quoted(name: &str) -> String {
    if name.contains(|c| "()<>@:;.\"[]\\".contains(c)) {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        name.to_owned()
    }
}

fn mail_address(field: &str, email: &str) -> Result<String, WheelError> {
    let parts = email.rsplit_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    if parts.is_none() || email.contains(|c: char| c.is_whitespace() || "<>,".contains(c)) {
        return Err(invalid(&format!("{field}-email"), email, "it is not an email address"));
    }
    Ok(email.to_owned())
}

fn invalid(field: &str, value: &str, reason: impl Into<String>) -> WheelError {
    WheelError::Metadata { field: field.into(), value: printable(value), reason: reason.into() }
}

/// What another tool, or the audit, reads of a METADATA file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMetadata {
    /// All fields in order, unfolded.
    pub fields: Vec<(String, String)>,
    /// The long description.
    pub body: String,
}

impl ReadMetadata {
    /// Takes METADATA (or WHEEL, which has the same form) apart.
    pub fn read(bytes: &[u8]) -> Result<Self, WheelError> {
        let fail = |reason: String| WheelError::UnreadableMetadata { reason };
        let text = std::str::from_utf8(bytes).map_err(|_| fail("it is not UTF-8".into()))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                break;
            }
            if line.starts_with([' ', '\t']) {
                let (_, value) = fields.last_mut().ok_or_else(|| fail("it starts with a space".into()))?;
                value.push('\n');
                value.push_str(line.trim_start());
            } else {
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| fail(format!("`{}` is not a field", printable(line))))?;
                fields.push((name.into(), value.trim().into()));
            }
        }
        Ok(Self { fields, body: rest.into() })
    }

    /// All values of a field, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of a field that must occur once.
    pub fn one<'a>(&'a self, name: &'a str) -> Result<&'a str, WheelError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(WheelError::UnreadableMetadata { reason: format!("it has no field `{name}`") }),
            (Some(_), Some(_)) => {
                Err(WheelError::UnreadableMetadata { reason: format!("it has the field `{name}` twice") })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{License, Metadata, Person, ReadMetadata, Readme};

    fn metadata() -> Metadata {
        Metadata::new("Jl-Kmeans", "0.1.0".parse().unwrap())
    }

    fn text(metadata: &Metadata) -> String {
        String::from_utf8(metadata.write([]).unwrap()).unwrap()
    }

    #[test]
    fn ok_smallest() {
        assert_eq!(text(&metadata()), "Metadata-Version: 2.4\nName: Jl-Kmeans\nVersion: 0.1.0\n");
    }

    #[test]
    fn ok_everything() {
        let requirement = |text: &str| text.parse().unwrap();
        let metadata = Metadata {
            summary: Some("Clusters größere numbers".into()),
            readme: Some(Readme {
                text: "# Title\n\nText: with a colon\n".into(),
                content_type: "text/markdown".into(),
            }),
            requires_python: Some(">=3.10".parse().unwrap()),
            authors: vec![
                Person { name: Some("J. \"Q\" Doe".into()), email: Some("j@example.org".into()) },
                Person { name: Some("Ω Group".into()), email: None },
                Person { name: None, email: Some("x@example.org".into()) },
            ],
            keywords: vec!["k-means".into(), "julia".into()],
            classifiers: vec!["Programming Language :: Julia".into()],
            urls: [("Source code".into(), "https://example.org".into())].into(),
            dependencies: vec![requirement("numpy>=1.21")],
            optional_dependencies: [(
                "plot".parse().unwrap(),
                vec![requirement("matplotlib; python_version<'3.13' or os_name=='posix'")],
            )]
            .into(),
            license: Some(License::expression("mit OR Apache-2.0").unwrap()),
            ..metadata()
        };
        let license_file = "LICENSE".parse().unwrap();
        let written = metadata.write([&license_file]).unwrap();
        let read = ReadMetadata::read(&written).unwrap();
        let fields: Vec<String> = read.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            fields,
            [
                "Metadata-Version=2.4",
                "Name=Jl-Kmeans",
                "Version=0.1.0",
                "Summary=Clusters größere numbers",
                "Keywords=k-means,julia",
                "Author=Ω Group",
                "Author-email=\"J. \\\"Q\\\" Doe\" <j@example.org>, x@example.org",
                "License-Expression=MIT OR Apache-2.0",
                "License-File=LICENSE",
                "Classifier=Programming Language :: Julia",
                "Project-URL=Source code, https://example.org",
                "Requires-Python=>=3.10",
                "Requires-Dist=numpy>=1.21",
                "Provides-Extra=plot",
                "Requires-Dist=matplotlib ; (python_full_version < '3.13' and extra == 'plot') or (os_name == 'posix' and extra == 'plot')",
                "Description-Content-Type=text/markdown",
            ]
        );
        assert_eq!(read.body, "# Title\n\nText: with a colon\n");
    }

    #[test]
    fn ok_license_text_folds() {
        let metadata = Metadata { license: Some(License::Text("One\nTwo".into())), ..metadata() };
        let read = ReadMetadata::read(&metadata.write([]).unwrap()).unwrap();
        assert_eq!(read.one("License").unwrap(), "One\nTwo");
    }

    #[test]
    fn err_forged_fields() {
        let forged = "x\nRequires-Dist: evil".to_owned();
        for bad in [
            Metadata { summary: Some(forged.clone()), ..metadata() },
            Metadata { name: forged.clone(), ..metadata() },
            Metadata { keywords: vec![forged.clone()], ..metadata() },
            Metadata { classifiers: vec![forged.clone()], ..metadata() },
            Metadata { urls: [("Home".into(), forged.clone())].into(), ..metadata() },
            Metadata { authors: vec![Person { name: Some(forged), email: None }], ..metadata() },
            Metadata { authors: vec![Person::default()], ..metadata() },
            Metadata { authors: vec![Person { name: None, email: Some("a@b, c@d".into()) }], ..metadata() },
        ] {
            let error = bad.write([]).unwrap_err().to_string();
            assert!(!error.chars().any(char::is_control), "{error}");
        }
    }

    #[test]
    fn err_license() {
        assert!(License::expression("MIT-ish").is_err());
        assert!(License::expression("MIT AND").is_err());
        let contradicting = Metadata {
            license: Some(License::expression("MIT").unwrap()),
            classifiers: vec!["License :: OSI Approved :: MIT License".into()],
            ..metadata()
        };
        assert!(contradicting.write([]).is_err());
    }

    #[test]
    fn err_unreadable() {
        for text in [&b" x"[..], b"no field\n", b"\xff: x"] {
            assert!(ReadMetadata::read(text).is_err());
        }
        let twice = ReadMetadata::read(b"Name: a\nName: b\n").unwrap();
        assert!(twice.one("Name").is_err() && twice.one("Version").is_err());
    }
}
