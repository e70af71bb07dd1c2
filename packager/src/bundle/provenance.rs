//! Where bundled things come from: their licences, and their entries in the bill of materials.

use std::collections::{BTreeMap, BTreeSet};

use super::BundleError;
use super::libraries::Libraries;
use super::plan::Ingredients;
use crate::depot::Source;
use crate::julia::Record;
use crate::runtime;
use crate::wheel::{Component, ComponentKind, Content, Contents, Hash, HashAlgorithm, WheelPath};

/// Licences and components of one bundle.
#[derive(Debug)]
pub(super) struct Provenance {
    pub(super) licenses: Contents,
    pub(super) components: Vec<Component>,
}

/// Names that licences of Julia packages have.
const LICENSE_NAMES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];

pub(super) fn collect(from: &Ingredients<'_>, libraries: &Libraries) -> Result<Provenance, BundleError> {
    let mut licenses = from.project.pyproject.licenses.clone();
    let mut components = Vec::new();
    runtime_itself(from, &mut licenses, &mut components)?;
    julia_itself(from, &mut licenses, &mut components)?;
    julia_packages(from, &mut licenses, &mut components)?;
    julia_libraries(from, libraries, &mut licenses, &mut components)?;
    Ok(Provenance { licenses, components })
}

fn runtime_itself(
    from: &Ingredients<'_>,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    let directory: WheelPath = "jnumpy-runtime".parse()?;
    for (name, path) in &from.runtime.licenses {
        licenses.add(directory.join(name)?, Content::file(path))?;
    }
    components.push(Component {
        version: Some(runtime::VERSION.into()),
        purl: Some(format!("pkg:pypi/jnumpy-runtime@{}", runtime::VERSION)),
        ..Component::new(ComponentKind::Library, "jnumpy-runtime")
    });
    Ok(())
}

fn julia_itself(
    from: &Ingredients<'_>,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    let version = from.julia.version.to_string();
    let license = from.julia.prefix.join("LICENSE.md");
    if license.is_file() {
        licenses.add("julia/LICENSE.md".parse()?, Content::file(license))?;
    }
    components.push(Component {
        purl: Some(format!("pkg:generic/julia@{version}")),
        version: Some(version),
        ..Component::new(ComponentKind::Application, "julia")
    });
    Ok(())
}

fn julia_packages(
    from: &Ingredients<'_>,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    for (uuid, package) in &from.resolution.packages {
        let name = &package.name;
        let at = package.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        components.push(Component {
            version: package.version.clone(),
            purl: Some(format!("pkg:julia/{name}{at}?uuid={uuid}")),
            hashes: package
                .tree_hash
                .iter()
                .map(|hash| Hash { algorithm: HashAlgorithm::Sha1, content: hash.clone() })
                .collect(),
            ..Component::new(ComponentKind::Library, name)
        });
        let Source::Directory(directory) = &package.source else { continue };
        for entry in fs_err::read_dir(directory)? {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() && LICENSE_NAMES.iter().any(|license| file.to_uppercase().starts_with(license))
            {
                let place: WheelPath = format!("packages/{name}").parse()?;
                licenses.add(place.join(&file)?, Content::file(path))?;
            }
        }
    }
    Ok(())
}

/// Bundled libraries: by the distribution's packages that they come from where a record says, else by file.
fn julia_libraries(
    from: &Ingredients<'_>,
    libraries: &Libraries,
    licenses: &mut Contents,
    components: &mut Vec<Component>,
) -> Result<(), BundleError> {
    let record = Record::read(&from.julia.prefix)?;
    let mut packages = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for path in libraries.closure.libraries.keys().filter(|path| !libraries.replaced.contains_key(*path)) {
        let below = path.strip_prefix(&from.julia.prefix).unwrap_or(path).to_string_lossy().into_owned();
        match record.as_ref().and_then(|record| record.files.get(&below)) {
            Some(package) => {
                packages.insert(package.clone());
            }
            None => {
                unknown.insert(below);
            }
        }
    }
    if let Some(record) = &record {
        // The image and the standard library come from packages too, whichever libraries are taken.
        let own = record.packages.keys().filter(|name| name.contains("julia"));
        packages.extend(own.cloned());
        // Packages made from one source have one text.
        let mut texts: BTreeMap<Vec<u8>, Vec<&str>> = BTreeMap::new();
        for name in &packages {
            let Some(package) = record.packages.get(name) else { continue };
            let license = from.julia.prefix.join(&package.license);
            if license.is_file() {
                texts.entry(fs_err::read(license)?).or_default().push(name);
            }
            components.push(Component {
                version: Some(package.version.clone()),
                purl: Some(format!(
                    "pkg:deb/{}/{name}@{}?arch={}&distro={}",
                    record.source,
                    package.version.replace('+', "%2B").replace(':', "%3A"),
                    package.architecture,
                    record.suite
                )),
                ..Component::new(ComponentKind::Library, name)
            });
        }
        for (text, names) in texts {
            // No package's name has an underscore.
            let place: WheelPath = format!("julia/{}", names.join("_")).parse()?;
            licenses.add(place.join("copyright")?, Content::bytes(text))?;
        }
    }
    components.extend(unknown.into_iter().map(|name| Component::new(ComponentKind::File, name)));
    Ok(())
}
