//! Where bundled files come from: their licenses, and their entries in the bill of materials.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::inputs::BundleInputs;
use super::libraries::Libraries;
use super::{BundleError, Origin};
use crate::formats::Uuid;
use crate::formats::contract::JULIA;
use crate::stages::depot::{self, Source, files};
use crate::stages::julia::{Package, Record};
use crate::stages::project::TreeHash;
use crate::stages::runtime_wheel;
use jnumpy_base::text::printable;
use jnumpy_wheel::{Component, ComponentKind, Content, Contents, Hash, HashAlgorithm, WheelPath};

/// Licenses and components of one bundle.
#[derive(Debug)]
pub(super) struct Provenance {
    pub(super) licenses: Contents,
    pub(super) components: Vec<Component>,
}

/// Names that licenses of Julia packages have.
const LICENSE_NAMES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];

pub(super) fn collect(inputs: &BundleInputs<'_>, libraries: &Libraries) -> Result<Provenance, BundleError> {
    let mut licenses = inputs.project.pyproject.licenses.clone();
    let mut components = Vec::new();
    if let Some(shared) = inputs.sharing.wheel() {
        components.push(Component {
            version: Some(shared.version.clone()),
            purl: Some(julia_reference(inputs)),
            ..Component::new(ComponentKind::Application, shared.distribution.clone())
        });
    } else {
        runtime_itself(inputs, &mut licenses, &mut components)?;
        julia_itself(inputs, libraries, &mut licenses, &mut components)?;
    }
    julia_packages(inputs, &mut licenses, &mut components)?;
    artifacts(inputs, &mut licenses, &mut components)?;
    julia_libraries(inputs, libraries, &mut licenses, &mut components)?;
    Ok(Provenance { licenses, components })
}

/// What the text at this path below `licenses/` is the license of, as [`collect`] has put it there: names of parts, or the
/// hash of an artifact. Nothing for a text of the project itself.
pub(crate) fn licensed_parts(path: &str) -> Vec<String> {
    let mut parts = path.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("jnumpy-runtime"), Some(_), _) => vec!["jnumpy-runtime".into()],
        (Some("julia"), Some(_), None) => vec!["julia".into()],
        (Some("julia"), Some(names), Some(_)) => names.split('_').map(Into::into).collect(),
        (Some("packages" | "artifacts"), Some(name), Some(_)) => vec![name.into()],
        _ => Vec::new(),
    }
}

fn runtime_itself(
    inputs: &BundleInputs<'_>,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    let directory: WheelPath = "jnumpy-runtime".parse()?;
    for (name, path) in &inputs.runtime.licenses {
        licenses.add(directory.join(name)?, Content::file(path))?;
    }
    components.push(Component {
        version: Some(runtime_wheel::VERSION.into()),
        purl: Some(format!("pkg:pypi/jnumpy-runtime@{}", runtime_wheel::VERSION)),
        ..Component::new(ComponentKind::Library, "jnumpy-runtime")
    });
    Ok(())
}

/// The package URL of Julia, or of the wheel that has it.
fn julia_reference(inputs: &BundleInputs<'_>) -> String {
    match inputs.sharing.wheel() {
        Some(shared) => format!("pkg:pypi/{}@{}", shared.distribution, shared.version),
        None => format!("pkg:generic/julia@{}", inputs.julia.version),
    }
}

/// The package URL of a Julia package.
fn package_reference(uuid: &Uuid, package: &depot::Package) -> String {
    let at = package.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
    format!("pkg:julia/{}{at}?uuid={uuid}", package.name)
}

fn julia_itself(
    inputs: &BundleInputs<'_>,
    libraries: &Libraries,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    let version = inputs.julia.version.to_string();
    let license = inputs.julia.prefix.join("LICENSE.md");
    if license.is_file() {
        licenses.add("julia/LICENSE.md".parse()?, Content::file(license))?;
    }
    components.push(Component {
        purl: Some(julia_reference(inputs)),
        version: Some(version),
        // What libjulia is linked to, and what it opens by name.
        needs: libraries
            .closure
            .libraries
            .iter()
            .filter(|(path, library)| {
                !matches!(library.origin, Origin::Needed(_)) && !libraries.replaced.contains_key(*path)
            })
            .map(|(path, _)| format!("file:{JULIA}/{}", libraries.locations[path].path.to_string_lossy()))
            .collect(),
        properties: standard_libraries(inputs),
        ..Component::new(ComponentKind::Application, "julia")
    });
    Ok(())
}

/// What Julia has of its standard libraries, where that was chosen.
fn standard_libraries(inputs: &BundleInputs<'_>) -> BTreeMap<String, String> {
    let Some(stdlibs) = inputs.stdlibs() else { return BTreeMap::new() };
    let inside: Vec<&str> = stdlibs.inside.keys().map(String::as_str).collect();
    let left_out: Vec<&str> = stdlibs.left_out.iter().map(String::as_str).collect();
    BTreeMap::from([
        ("julia:standard-libraries".into(), inside.join(", ")),
        ("julia:standard-libraries-left-out".into(), left_out.join(", ")),
    ])
}

fn julia_packages(
    inputs: &BundleInputs<'_>,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    for (uuid, package) in &inputs.resolution.packages {
        let name = &package.name;
        let deps = package.deps.values().filter_map(|dep| Some((dep, inputs.resolution.packages.get(dep)?)));
        let mut needs: BTreeSet<String> =
            deps.map(|(dep, package)| package_reference(dep, package)).collect();
        if needs.is_empty() {
            needs.insert(julia_reference(inputs));
        }
        let own = inputs.resolution.artifacts.iter().filter(|(_, artifact)| artifact.package == *name);
        needs.extend(own.map(|(hash, artifact)| artifact_component(hash, artifact).reference()));
        components.push(Component {
            version: package.version.clone(),
            purl: Some(package_reference(uuid, package)),
            needs,
            hashes: package
                .tree_hash
                .iter()
                .map(|hash| Hash { algorithm: HashAlgorithm::Sha1, content: hash.clone() })
                .collect(),
            properties: package
                .edited
                .iter()
                .map(|found| ("julia:packed-tree-hash".into(), found.to_string()))
                .collect(),
            ..Component::new(ComponentKind::Library, name)
        });
        let Source::Directory(directory) = &package.source else { continue };
        for entry in fs_err::read_dir(directory)? {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() && LICENSE_NAMES.iter().any(|license| file.to_uppercase().starts_with(license))
            {
                let location: WheelPath = format!("packages/{name}").parse()?;
                licenses.add(location.join(&file)?, Content::file(path))?;
            }
        }
    }
    Ok(())
}

/// An artifact, with the hash it is found by; its files may be others in the wheel.
fn artifact_component(hash: &TreeHash, artifact: &depot::Artifact) -> Component {
    let mut properties = BTreeMap::from([("julia:package".into(), printable(&artifact.package))]);
    if artifact.found != *hash {
        properties.insert("julia:packed-tree-hash".into(), artifact.found.to_string());
    }
    Component {
        hashes: vec![Hash { algorithm: HashAlgorithm::Sha1, content: hash.to_string() }],
        properties,
        ..Component::new(ComponentKind::Data, printable(&artifact.name))
    }
}

/// Artifacts, and the licenses among their files.
fn artifacts(
    inputs: &BundleInputs<'_>,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    for (hash, artifact) in &inputs.resolution.artifacts {
        let mut component = artifact_component(hash, artifact);
        let mut texts = Vec::new();
        let location: WheelPath = format!("artifacts/{hash}").parse()?;
        for file in files(&artifact.directory, false)? {
            let name = file.name.rsplit('/').next().unwrap_or_default().to_uppercase();
            let is_license = LICENSE_NAMES.iter().any(|license| name.starts_with(license));
            if is_license || file.name.starts_with("share/licenses/") {
                licenses.add(location.join(&file.name)?, Content::file(file.real))?;
                texts.push(file.name);
            }
        }
        if !texts.is_empty() {
            texts.sort();
            component.properties.insert("julia:license-files".into(), texts.join(", "));
        }
        components.push(component);
    }
    Ok(())
}

/// Bundled libraries, each as a file, with the distribution's packages that they come from where a record says.
fn julia_libraries(
    inputs: &BundleInputs<'_>,
    libraries: &Libraries,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    let record = Record::read(&inputs.julia.prefix)?;
    let package_of = |path: &Path| {
        let below = path.strip_prefix(&inputs.julia.prefix).ok()?.to_str()?;
        let record = record.as_ref()?;
        let name = record.files.get(below)?;
        Some((name, record.packages.get(name)?))
    };
    let reference = |name: &str, package: &Package| {
        let record =
            record.as_ref().map_or(("", ""), |record| (record.source.as_str(), record.suite.as_str()));
        let version = package.version.replace('+', "%2B").replace(':', "%3A");
        format!("pkg:deb/{}/{name}@{version}?arch={}&distro={}", record.0, package.architecture, record.1)
    };
    let file = |location: &Path| {
        Component::new(ComponentKind::File, format!("{JULIA}/{}", location.to_string_lossy()))
    };
    let found = &libraries.closure.libraries;
    let is_given = |path: &Path| {
        let location = format!("{JULIA}/{}", libraries.locations[path].path.to_string_lossy());
        inputs.sharing.wheel().is_some_and(|shared| shared.file(&location).is_some())
    };
    let mut packages = BTreeSet::new();
    let own = |path: &Path| !libraries.replaced.contains_key(path) && !is_given(path);
    for (path, library) in found.iter().filter(|(path, _)| own(path)) {
        let mut component = file(&libraries.locations[path].path);
        if let Some((name, package)) = package_of(path) {
            packages.insert(name.clone());
            component.needs.insert(reference(name, package));
        }
        let needed = library.elf.needed.iter().filter_map(|name| {
            let (path, _) =
                found.iter().find(|(path, other)| other.names.contains_key(name) && !is_given(path))?;
            Some(file(&libraries.locations[path].path).reference())
        });
        component.needs.extend(needed);
        components.push(component);
    }
    if let Some(record) = &record {
        // The image and the standard library come from packages too, whichever libraries are taken.
        let has_julia = inputs.sharing.wheel().is_none();
        let own = record.packages.keys().filter(|name| has_julia && name.contains("julia"));
        packages.extend(own.cloned());
        // Packages made from one source have one text.
        let mut texts: BTreeMap<Vec<u8>, Vec<&str>> = BTreeMap::new();
        for name in &packages {
            let Some(package) = record.packages.get(name) else { continue };
            let license = inputs.julia.prefix.join(&package.license);
            if license.is_file() {
                texts.entry(fs_err::read(license)?).or_default().push(name);
            }
            components.push(Component {
                version: Some(package.version.clone()),
                purl: Some(reference(name, package)),
                ..Component::new(ComponentKind::Library, name)
            });
        }
        for (text, names) in texts {
            // No package's name has an underscore.
            let location: WheelPath = format!("julia/{}", names.join("_")).parse()?;
            licenses.add(location.join("copyright")?, Content::bytes(text))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::licensed_parts;

    #[test]
    fn ok_what_a_text_is_the_license_of() {
        for (path, parts) in [
            ("jnumpy-runtime/LICENSE-MIT", &["jnumpy-runtime"][..]),
            ("julia/LICENSE.md", &["julia"]),
            ("julia/libgfortran5_libquadmath0/copyright", &["libgfortran5", "libquadmath0"]),
            ("packages/FFTW/LICENSE.md", &["FFTW"]),
            ("artifacts/0123abcd/share/licenses/FFTW/COPYING", &["0123abcd"]),
            ("LICENSE", &[]),
        ] {
            assert_eq!(licensed_parts(path), parts, "{path}");
        }
    }
}
