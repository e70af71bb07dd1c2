//! The bill of materials of a wheel: CycloneDX 1.6 at the path that PEP 770 gives it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::epoch::Epoch;
use super::error::WheelError;
use super::metadata::License;

/// Where the bill is, below the `.dist-info` directory.
pub const SBOM_PATH: &str = "sboms/jnumpy-pack.cdx.json";

/// What a wheel is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// The wheel's own distribution.
    pub subject: Component,
    /// Everything bundled. Written in the order of kind, name, version and package URL; those of one reference once.
    pub components: Vec<Component>,
}

/// One thing a wheel contains.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Component {
    /// What kind of thing it is.
    #[serde(rename = "type")]
    pub kind: ComponentKind,
    /// Its name, as those who made it write it.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its package URL, as in `pkg:julia/Example@0.5.5?uuid=…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Hashes of its content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<Hash>,
    /// Its license.
    #[serde(rename = "licenses", skip_serializing_if = "Option::is_none", serialize_with = "as_list")]
    pub license: Option<ComponentLicense>,
    /// The references of the components it needs.
    #[serde(skip)]
    pub needs: BTreeSet<String>,
    /// Anything else worth knowing; names begin with a namespace, as in `julia:tree-hash`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "as_properties")]
    pub properties: BTreeMap<String, String>,
}

impl Component {
    /// A component of which only the name is known.
    pub fn new(kind: ComponentKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            version: None,
            purl: None,
            hashes: Vec::new(),
            license: None,
            needs: BTreeSet::new(),
            properties: BTreeMap::new(),
        }
    }

    /// What other components call it by: its package URL, or its kind and name, with its hash where it has one.
    #[must_use]
    pub fn reference(&self) -> String {
        let hash = self.hashes.first().map(|hash| format!("@{}", hash.content)).unwrap_or_default();
        let named = || format!("{}:{}{hash}", format!("{:?}", self.kind).to_lowercase(), self.name);
        self.purl.clone().unwrap_or_else(named)
    }
}

/// The kinds of components, a part of CycloneDX's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// A program, as the wheel itself or Julia.
    Application,
    /// A package or a shared library.
    Library,
    /// A collection of data.
    Data,
    /// A single file.
    File,
}

/// A hash of a component's content, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash {
    /// How it was computed.
    #[serde(rename = "alg")]
    pub algorithm: HashAlgorithm,
    /// The hash in lower-case hexadecimal.
    pub content: String,
}

/// Hash algorithms, a part of CycloneDX's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HashAlgorithm {
    /// As in Git's and Julia's tree hashes.
    #[serde(rename = "SHA-1")]
    Sha1,
    /// As in RECORD.
    #[serde(rename = "SHA-256")]
    Sha256,
}

/// The license of a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ComponentLicense {
    /// An SPDX expression.
    #[serde(rename = "expression")]
    Expression(String),
    /// A name that is no SPDX expression.
    #[serde(rename = "license")]
    Named { name: String },
}

impl From<&License> for ComponentLicense {
    fn from(license: &License) -> Self {
        match license {
            License::Expression(expression) => Self::Expression(expression.clone()),
            License::Text(text) => Self::Named { name: text.clone() },
        }
    }
}

#[expect(clippy::ref_option, reason = "the form serde asks for")]
fn as_list<S: serde::Serializer>(
    license: &Option<ComponentLicense>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(license)
}

fn as_properties<S: serde::Serializer>(
    properties: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(properties.iter().map(|(name, value)| Property { name, value }))
}

#[derive(Serialize, Deserialize)]
struct Property<T> {
    name: T,
    value: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: DocumentMetadata<'a>,
    components: Vec<Referred<'a>>,
    dependencies: Vec<Dependencies>,
}

/// A component with the name that the graph has for it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Referred<'a> {
    bom_ref: String,
    #[serde(flatten)]
    component: &'a Component,
}

/// A node of the graph with its edges.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dependencies {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    depends_on: BTreeSet<String>,
}

#[derive(Serialize)]
struct DocumentMetadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    tools: Tools,
    component: Referred<'a>,
}

#[derive(Serialize)]
struct Tools {
    components: [Component; 1],
}

impl Sbom {
    /// Who needs whom: the wheel needs what no other component does; needs of what is not listed are left out.
    fn graph(&self, components: &[&Component]) -> Vec<Dependencies> {
        let mut graph: BTreeMap<String, BTreeSet<String>> =
            components.iter().map(|component| (component.reference(), BTreeSet::new())).collect();
        let known: BTreeSet<String> = graph.keys().cloned().collect();
        for component in components {
            let needs = component.needs.intersection(&known).filter(|need| **need != component.reference());
            graph.entry(component.reference()).or_default().extend(needs.cloned());
        }
        let needed: BTreeSet<&String> = graph.values().flatten().collect();
        let mut roots: BTreeSet<String> =
            known.iter().filter(|known| !needed.contains(known)).cloned().collect();
        roots.extend(self.subject.needs.intersection(&known).cloned());
        let subject = Dependencies { reference: self.subject.reference(), depends_on: roots };
        let others = graph.into_iter().map(|(reference, depends_on)| Dependencies { reference, depends_on });
        std::iter::once(subject).chain(others).collect()
    }

    /// The document's bytes; with a time stamp only when `epoch` gives one.
    #[must_use]
    pub fn write(&self, epoch: Option<Epoch>) -> Vec<u8> {
        let mut components: Vec<&Component> = self.components.iter().collect();
        components.sort();
        components.dedup_by_key(|component| component.reference());
        let tool = Component {
            version: Some(env!("CARGO_PKG_VERSION").into()),
            ..Component::new(ComponentKind::Application, crate::GENERATOR)
        };
        let dependencies = self.graph(&components);
        let refer = |component| Referred { bom_ref: Component::reference(component), component };
        let document = Document {
            bom_format: "CycloneDX",
            spec_version: "1.6",
            version: 1,
            metadata: DocumentMetadata {
                timestamp: epoch.map(Epoch::rfc3339),
                tools: Tools { components: [tool] },
                component: refer(&self.subject),
            },
            components: components.into_iter().map(refer).collect(),
            dependencies,
        };
        // Only strings and lists of strings: nothing here can fail to become JSON.
        let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
        text.push(b'\n');
        text
    }
    /// Reads what [`Self::write`] has written: components in its order, each with what it needs.
    pub fn read(bytes: &[u8]) -> Result<Self, WheelError> {
        let document: ReadDocument = serde_json::from_slice(bytes)
            .map_err(|error| WheelError::UnreadableSbom { reason: error.to_string() })?;
        let mut graph: BTreeMap<String, BTreeSet<String>> =
            document.dependencies.into_iter().map(|node| (node.reference, node.depends_on)).collect();
        let mut component = |read: ReadComponent| Component {
            needs: graph.remove(&read.bom_ref).unwrap_or_default(),
            kind: read.kind,
            name: read.name,
            version: read.version,
            purl: read.purl,
            hashes: read.hashes,
            license: read.licenses.into_iter().next(),
            properties: read.properties.into_iter().map(|property| (property.name, property.value)).collect(),
        };
        Ok(Self {
            subject: component(document.metadata.component),
            components: document.components.into_iter().map(component).collect(),
        })
    }
}

#[derive(Deserialize)]
struct ReadDocument {
    metadata: ReadDocumentMetadata,
    components: Vec<ReadComponent>,
    dependencies: Vec<Dependencies>,
}

#[derive(Deserialize)]
struct ReadDocumentMetadata {
    component: ReadComponent,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ReadComponent {
    bom_ref: String,
    #[serde(rename = "type")]
    kind: ComponentKind,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    #[serde(default)]
    hashes: Vec<Hash>,
    #[serde(default)]
    licenses: Vec<ComponentLicense>,
    #[serde(default)]
    properties: Vec<Property<String>>,
}
