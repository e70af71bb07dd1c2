//! The `[project]` table of `pyproject.toml` (PEP 621 and PEP 639), which becomes the metadata of the wheel.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use pep440_rs::Version;
use pep508_rs::{ExtraName, Requirement};
use serde::Deserialize;

use super::TomlFile;
use jnumpy_base::Hint;
use jnumpy_base::text::nearest;
use jnumpy_base::text::printable;
use jnumpy_wheel::{
    CONSOLE_SCRIPTS, Content, Contents, EntryPoints, GUI_SCRIPTS, License, Metadata, Person, Readme,
    WheelError,
};

/// The keys of `[project]`.
const KEYS: [&str; 18] = [
    "authors",
    "classifiers",
    "dependencies",
    "description",
    "dynamic",
    "entry-points",
    "gui-scripts",
    "keywords",
    "license",
    "license-files",
    "maintainers",
    "name",
    "optional-dependencies",
    "readme",
    "requires-python",
    "scripts",
    "urls",
    "version",
];

/// Where licenses are looked for when the project does not say; those PEP 639 recommends.
const LICENSE_FILES: [&str; 4] = ["LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*"];

/// What is imported as `jnumpy`. The wheel contains it, and the wheel for development requires it of its own accord.
const RUNTIME: &str = "jnumpy-runtime";
/// Other projects that are imported as `jnumpy`.
const NAMESAKES: [&str; 2] = ["jnumpy", "julia-numpy"];

/// Tables below `tool` that say where another tool finds the version.
const VERSIONS: [&str; 6] = [
    "setuptools.dynamic.version",
    "setuptools_scm",
    "hatch.version",
    "pdm.version",
    "poetry-dynamic-versioning",
    "versioningit",
];

/// Tables below `tool` that say which files another tool packs.
const PACKED: [&str; 8] = [
    "flit.module",
    "hatch.build",
    "maturin",
    "pdm.build",
    "poetry.include",
    "poetry.packages",
    "scikit-build",
    "setuptools",
];

/// Arrays cross the border as NumPy's, so every packed project needs it.
const NUMPY: &str = "numpy";

/// What `[project]` says, checked.
#[derive(Debug, Clone)]
pub struct Pyproject {
    /// The metadata of the wheel, with NumPy among the dependencies.
    pub metadata: Metadata,
    /// The commands and plug-ins.
    pub entry_points: EntryPoints,
    /// The files of the project's license, by their paths in the project.
    pub licenses: Contents,
    /// Tables that tell another build backend what to pack.
    pub unread: Vec<&'static str>,
}

/// Errors about `[project]`.
#[derive(Debug, thiserror::Error)]
pub enum PyprojectError {
    /// A value is of a wrong type.
    #[error("`[project]` of `{}` is invalid", path.display())]
    Types {
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// There is no `[project]` table.
    #[error("`{}` has no `[project]` table", path.display())]
    NoProject { path: PathBuf },
    /// An unknown key, which is usually misspelled.
    #[error("`{}` has an unknown key in `[project]`: `{}`", path.display(), printable(key))]
    UnknownKey { path: PathBuf, key: String },
    /// A field that must be there.
    #[error("`{}` has no `project.{field}`", path.display())]
    Missing {
        path: PathBuf,
        /// The field, without the table.
        field: &'static str,
    },
    /// A field with a value that is not allowed.
    #[error("`{}` has an invalid `project.{field}`: {reason}: `{value}`", path.display())]
    Invalid {
        path: PathBuf,
        /// The field, without the table.
        field: String,
        /// The value, fit for printing.
        value: String,
        reason: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hint for PyprojectError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoProject { .. } => {
                Some("add one with at least `name` and `version`; metadata in `setup.py` is not read".into())
            }
            Self::UnknownKey { key, .. } => Some(match nearest(key, &KEYS) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("the keys are {}", KEYS.join(", ")),
            }),
            Self::Missing { field: "version", .. } => Some(
                "write it there, or `dynamic = [\"version\"]` to take the version of `Project.toml`".into(),
            ),
            Self::Types { .. } | Self::Missing { .. } | Self::Invalid { .. } | Self::Io(_) => None,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Document {
    project: Option<Table>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
    readme: Option<ReadmeField>,
    requires_python: Option<String>,
    license: Option<LicenseField>,
    license_files: Option<Vec<String>>,
    #[serde(default)]
    authors: Vec<PersonField>,
    #[serde(default)]
    maintainers: Vec<PersonField>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    classifiers: Vec<String>,
    #[serde(default)]
    urls: BTreeMap<String, String>,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    #[serde(default)]
    gui_scripts: BTreeMap<String, String>,
    #[serde(default)]
    entry_points: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    dynamic: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`readme` must be a path, or a table with `content-type` and `file` or `text`")]
enum ReadmeField {
    Path(String),
    #[serde(rename_all = "kebab-case")]
    File {
        file: String,
        content_type: String,
    },
    #[serde(rename_all = "kebab-case")]
    Text {
        text: String,
        content_type: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`license` must be an SPDX expression, or a table with `file` or `text`")]
enum LicenseField {
    Expression(String),
    File { file: String },
    Text { text: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonField {
    name: Option<String>,
    email: Option<String>,
}

impl Pyproject {
    /// Reads the table of `pyproject.toml`. `julia_version`, the version in `Project.toml`, is used when the project
    /// declares its version dynamic.
    pub(super) fn from_file(file: &TomlFile, julia_version: Option<&str>) -> Result<Self, PyprojectError> {
        let path = file.path.clone();
        let document: Document = toml::from_str(&file.text)
            .map_err(|source| PyprojectError::Types { path: path.clone(), source: Box::new(source) })?;
        let Some(project) = document.project else { return Err(PyprojectError::NoProject { path }) };
        let keys = file.table.get("project").and_then(toml::Value::as_table);
        let mut keys = keys.into_iter().flat_map(toml::Table::keys);
        if let Some(key) = keys.find(|key| !KEYS.contains(&key.as_str())) {
            return Err(PyprojectError::UnknownKey { path, key: key.clone() });
        }
        let root = path.parent().unwrap_or(Path::new(""));
        let tool = file.table.get("tool");
        Reader { root, path: &path, table: project, tool }.read(julia_version)
    }
}

/// Checks the fields of one file.
struct Reader<'a> {
    root: &'a Path,
    path: &'a Path,
    table: Table,
    tool: Option<&'a toml::Value>,
}

impl Reader<'_> {
    fn read(&self, julia_version: Option<&str>) -> Result<Pyproject, PyprojectError> {
        let table = &self.table;
        let name = table.name.as_ref().ok_or_else(|| self.missing("name"))?;
        let mut metadata = Metadata::new(name, self.version(julia_version)?);
        metadata.summary.clone_from(&table.description);
        metadata.readme = self.readme()?;
        if let Some(range) = &table.requires_python {
            metadata.requires_python = Some(self.parse("requires-python", range)?);
        }
        metadata.authors = people(&table.authors);
        metadata.maintainers = people(&table.maintainers);
        metadata.keywords.clone_from(&table.keywords);
        metadata.classifiers.clone_from(&table.classifiers);
        metadata.urls.clone_from(&table.urls);
        metadata.dependencies = self.requirements("dependencies", &table.dependencies)?;
        metadata.dependencies.retain(|needed| needed.name.as_ref() != RUNTIME);
        if let Some(other) =
            metadata.dependencies.iter().find(|needed| NAMESAKES.contains(&needed.name.as_ref()))
        {
            let reason = "it is another `jnumpy` than the one that the wheel contains; remove it, or name `jnumpy-runtime`";
            return Err(self.invalid("dependencies", other.name.as_ref(), reason));
        }
        let numpy: Requirement = self.parse("dependencies", NUMPY)?;
        if !metadata.dependencies.iter().any(|needed| needed.name == numpy.name) {
            metadata.dependencies.push(numpy);
        }
        for (extra, needed) in &table.optional_dependencies {
            let field = format!("optional-dependencies.{}", printable(extra));
            let name: ExtraName = self.parse("optional-dependencies", extra)?;
            if metadata.optional_dependencies.insert(name, self.requirements(&field, needed)?).is_some() {
                return Err(self.invalid(
                    &field,
                    extra,
                    "after normalization, it is the same extra as another",
                ));
            }
        }
        let licenses = self.licenses(&mut metadata)?;
        let entry_points = self.entry_points()?;
        // The checks of the wheel writer, which are made before the image is built, because that takes minutes.
        metadata
            .write(licenses.iter().map(|(path, _)| path))
            .map_err(|error| self.refused(error, |field| project_key(field).to_owned()))?;
        let unread = PACKED.into_iter().filter(|path| self.tool_has(path)).collect();
        Ok(Pyproject { metadata, entry_points, licenses, unread })
    }

    fn version(&self, julia_version: Option<&str>) -> Result<Version, PyprojectError> {
        let dynamic = &self.table.dynamic;
        if let Some(other) = dynamic.iter().find(|field| *field != "version") {
            return Err(self.invalid("dynamic", other, "only `version` can be dynamic"));
        }
        match (&self.table.version, dynamic.is_empty()) {
            (Some(version), true) => self.parse("version", version),
            (Some(version), false) => {
                Err(self.invalid("version", version, "it is both given and declared dynamic"))
            }
            (None, true) => Err(self.missing("version")),
            (None, false) => {
                if let Some(other) = self.other_version() {
                    let reason = "it would be that of `Project.toml`; remove this table, or write `version` in `[project]`";
                    return Err(self.invalid("dynamic", other, reason));
                }
                let version = julia_version.ok_or_else(|| {
                    self.invalid("dynamic", "version", "`Project.toml`, which should provide it, has none")
                })?;
                self.parse("version", version)
            }
        }
    }

    /// The table with which another tool would find the version.
    fn other_version(&self) -> Option<&'static str> {
        VERSIONS.into_iter().find(|path| self.tool_has(path))
    }

    /// Whether there is a table, or a key, in `tool`.
    fn tool_has(&self, path: &str) -> bool {
        path.split('.').try_fold(self.tool, |table, key| Some(table?.get(key))).flatten().is_some()
    }

    fn readme(&self) -> Result<Option<Readme>, PyprojectError> {
        let (text, content_type) = match &self.table.readme {
            None => return Ok(None),
            Some(ReadmeField::Path(file)) => {
                let extension = Path::new(file).extension().map(|text| text.to_string_lossy().to_lowercase());
                let content_type = match extension.as_deref() {
                    Some("md") => "text/markdown",
                    Some("rst") => "text/x-rst",
                    Some("txt") => "text/plain",
                    _ => {
                        let reason =
                            "the name must end in `.md`, `.rst`, or `.txt`, or `content-type` must be given";
                        return Err(self.invalid("readme", file, reason));
                    }
                };
                (self.text("readme", file)?, content_type)
            }
            Some(ReadmeField::File { file, content_type }) => {
                (self.text("readme.file", file)?, content_type.as_str())
            }
            Some(ReadmeField::Text { text, content_type }) => (text.clone(), content_type.as_str()),
        };
        let mut parts = content_type.split(';').map(str::trim);
        let known = ["text/markdown", "text/x-rst", "text/plain"].contains(&parts.next().unwrap_or_default());
        let utf8 = parts.all(|parameter| {
            let charset = parameter.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
            charset.is_none_or(|(_, value)| value.eq_ignore_ascii_case("utf-8"))
        });
        if !known || !utf8 {
            let reason = "it must be `text/markdown`, `text/x-rst` or `text/plain`, in UTF-8";
            return Err(self.invalid("readme.content-type", content_type, reason));
        }
        Ok(Some(Readme { text, content_type: content_type.to_owned() }))
    }

    /// Sets the metadata's license; returns the files that say it.
    fn licenses(&self, metadata: &mut Metadata) -> Result<Contents, PyprojectError> {
        let mut files = Contents::new();
        let patterns = &self.table.license_files;
        match (&self.table.license, patterns) {
            (Some(LicenseField::File { .. } | LicenseField::Text { .. }), Some(patterns)) => {
                let reason = "it cannot be combined with a table in `license`, an old form";
                return Err(self.invalid("license-files", &patterns.join(", "), reason));
            }
            (Some(LicenseField::File { file }), None) => {
                self.text("license.file", file)?;
                self.add_license(&mut files, "license.file", file)?;
                return Ok(files);
            }
            (Some(LicenseField::Text { text }), None) => {
                metadata.license =
                    Some(License::expression(text).unwrap_or_else(|_| License::Text(text.clone())));
            }
            (Some(LicenseField::Expression(text)), _) => {
                let license = License::expression(text);
                metadata.license = Some(license.map_err(|error| self.refused(error, |_| "license".into()))?);
            }
            (None, _) => {}
        }
        match patterns {
            Some(patterns) => {
                for pattern in patterns {
                    if !self.add_licenses(&mut files, pattern)? {
                        return Err(self.invalid("license-files", pattern, "no file matches"));
                    }
                }
            }
            None => {
                for pattern in LICENSE_FILES {
                    self.add_licenses(&mut files, pattern)?;
                }
            }
        }
        Ok(files)
    }

    /// Adds the files a pattern matches; says whether there were any.
    fn add_licenses(&self, files: &mut Contents, pattern: &str) -> Result<bool, PyprojectError> {
        let fail = |reason: &str| self.invalid("license-files", pattern, reason);
        self.inside("license-files", pattern)?;
        let root = glob::Pattern::escape(&self.root.to_string_lossy());
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        let found = glob::glob_with(&format!("{root}/{pattern}"), options)
            .map_err(|error| fail(&format!("it is not a valid pattern: {}", error.msg)))?;
        let mut any = false;
        for path in found {
            let path = path.map_err(|error| PyprojectError::Io(error.into()))?;
            if path.is_file() {
                let name = path.strip_prefix(self.root).unwrap_or(&path).to_str();
                let name = name.ok_or_else(|| fail("it matches a file whose name is not UTF-8"))?;
                self.add_license(files, "license-files", name)?;
                any = true;
            }
        }
        Ok(any)
    }

    fn add_license(&self, files: &mut Contents, field: &str, name: &str) -> Result<(), PyprojectError> {
        let path = name.parse().map_err(|error| self.refused(error, |_| field.into()))?;
        if files.get(&path).is_none() {
            let content = Content::file(self.root.join(name));
            files.add(path, content).map_err(|error| self.refused(error, |_| field.into()))?;
        }
        Ok(())
    }

    fn entry_points(&self) -> Result<EntryPoints, PyprojectError> {
        let mut entry_points = EntryPoints::default();
        let table = &self.table;
        for reserved in [CONSOLE_SCRIPTS, GUI_SCRIPTS] {
            if table.entry_points.contains_key(reserved) {
                let reason = "commands belong in `project.scripts` and `project.gui-scripts`";
                return Err(self.invalid("entry-points", reserved, reason));
            }
        }
        let groups =
            [(CONSOLE_SCRIPTS, "scripts", &table.scripts), (GUI_SCRIPTS, "gui-scripts", &table.gui_scripts)];
        let others =
            table.entry_points.iter().map(|(group, objects)| (group.as_str(), "entry-points", objects));
        for (group, field, objects) in groups.into_iter().chain(others) {
            for (name, object) in objects {
                let key = |_: &str| format!("{field}.{}", printable(name));
                entry_points.add(group, name, object).map_err(|error| self.refused(error, key))?;
            }
        }
        Ok(entry_points)
    }

    fn requirements(&self, field: &str, texts: &[String]) -> Result<Vec<Requirement>, PyprojectError> {
        texts.iter().map(|text| self.parse(field, text)).collect()
    }

    /// A text file of the project.
    fn text(&self, field: &str, file: &str) -> Result<String, PyprojectError> {
        self.inside(field, file)?;
        let path = self.root.join(file);
        if !path.is_file() {
            return Err(self.invalid(field, file, "no such file"));
        }
        String::from_utf8(fs_err::read(path)?).map_err(|_| self.invalid(field, file, "the file is not UTF-8"))
    }

    /// Refuses paths and patterns that lead out of the project.
    fn inside(&self, field: &str, path: &str) -> Result<(), PyprojectError> {
        let normal = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if path.is_empty() || path.contains('\\') || !Path::new(path).components().all(normal) {
            return Err(self.invalid(field, path, "it must be relative and stay in the project"));
        }
        Ok(())
    }

    fn parse<T: FromStr<Err: Display>>(&self, field: &str, text: &str) -> Result<T, PyprojectError> {
        // After the first line, the parsers' messages show the text with an arrow.
        text.parse().map_err(|error: T::Err| {
            self.invalid(
                field,
                text,
                error.to_string().lines().next().unwrap_or_default().trim_end_matches(':'),
            )
        })
    }

    fn missing(&self, field: &'static str) -> PyprojectError {
        PyprojectError::Missing { path: self.path.to_owned(), field }
    }

    fn invalid(&self, field: &str, value: &str, reason: &str) -> PyprojectError {
        PyprojectError::Invalid {
            path: self.path.to_owned(),
            field: field.into(),
            value: printable(value),
            reason: reason.into(),
        }
    }

    /// Converts an error of the wheel writer to one that names the key of `pyproject.toml`.
    fn refused(&self, error: WheelError, key: impl FnOnce(&str) -> String) -> PyprojectError {
        let (field, value, reason) = match error {
            WheelError::Metadata { field, value, reason } => (field, value, reason),
            WheelError::Path { path, reason } => (String::new(), path, reason.to_owned()),
            other => (String::new(), String::new(), other.to_string()),
        };
        self.invalid(&key(&field), &value, &reason)
    }
}

fn people(fields: &[PersonField]) -> Vec<Person> {
    fields.iter().map(|field| Person { name: field.name.clone(), email: field.email.clone() }).collect()
}

/// The key of `[project]` that becomes a field of METADATA.
fn project_key(field: &str) -> &str {
    match field {
        "Name" => "name",
        "Version" => "version",
        "Summary" => "description",
        "Keywords" => "keywords",
        "Author" | "Author-email" => "authors",
        "Maintainer" | "Maintainer-email" => "maintainers",
        "License" | "License-Expression" => "license",
        "License-File" => "license-files",
        "Classifier" => "classifiers",
        "Project-URL" => "urls",
        "Requires-Python" => "requires-python",
        "Requires-Dist" => "dependencies",
        "Provides-Extra" => "optional-dependencies",
        other => other,
    }
}

#[cfg(test)]
mod tests;
