//! Removes from a plan what the wheel of Julia already contains.
//!
//! A thin wheel is planned like any other, with the whole Julia. Then everything that the wheel of Julia contains is taken out.
//! The depot of the project, its package images, and libraries that Julia does not have remain.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::BundleError;
use super::description::{Description, ImagePart, SharedPart};
use crate::formats::contract::{BUNDLE, JULIA, RUNTIME, TYPYTHON, below};
use crate::stages::image::PackageImage;
use crate::stages::julia_wheel::{JuliaWheel, Sharing};
use jnumpy_base::interrupt;
use jnumpy_base::path::file_name;
use jnumpy_wheel::Content;

/// Files by path below `_jnumpy`, with who brings each.
pub(super) type Files = BTreeMap<String, (Content, &'static str)>;

/// Whether a path below `_jnumpy` can be one of the wheel of Julia.
pub(super) fn is_given(path: &str) -> bool {
    [JULIA, RUNTIME].iter().any(|directory| below(path, directory).is_some())
}

/// Takes out what the wheel of Julia has, which must have the same libjulia, and the same image if that is `bound` to what the
/// project's wheel holds.
pub(super) fn leave_to(
    shared: &JuliaWheel,
    bound: Option<&str>,
    files: &mut Files,
) -> Result<(), BundleError> {
    for (path, (content, _)) in files.iter().filter(|(path, _)| is_given(path)) {
        interrupt::check()?;
        let Some(other) = shared.file(path) else { continue };
        let is_compared = bound == Some(path) || file_name(other).starts_with("libjulia");
        if is_compared && *content.source.read()? != fs_err::read(other)? {
            return Err(BundleError::OtherJulia { path: path.clone(), wheel: shared.wheel.clone() });
        }
    }
    // The runtime is always that of the other wheel, which was made by the same version.
    files.retain(|path, _| !is_given(path) || (below(path, JULIA).is_some() && shared.file(path).is_none()));
    Ok(())
}

/// The description of a wheel on a shared Julia: what that one says of Julia and the runtime, and `own`.
pub(super) fn description(shared: &JuliaWheel, own: Description) -> Result<Description, BundleError> {
    let given = Description::read(&shared.description()?);
    let given = given.map_err(|reason| BundleError::Description { wheel: shared.wheel.clone(), reason })?;
    Ok(Description {
        julia: given.julia,
        typython: given.typython,
        image: ImagePart { path: given.image.path, relocation: None, ..own.image },
        shared: Some(SharedPart { package: shared.package.clone(), requirement: shared.requirement() }),
        ..own
    })
}

/// A package image whose source is named as the bundle finds it, also where that is in the wheel of Julia.
pub(super) fn placed(sharing: Sharing<'_>, package: &PackageImage) -> PackageImage {
    let elsewhere = package.source.as_ref().and_then(|source| {
        let shared = sharing.wheel().filter(|shared| shared.file(source).is_some())?;
        Some(format!("../../{}/{BUNDLE}/{source}", shared.package))
    });
    PackageImage { source: elsewhere.or(package.source.clone()), ..package.clone() }
}

/// A digest of Julia's files and TyPython's sources.
pub(super) fn build(files: &Files) -> Result<String, BundleError> {
    let mut digest = Sha256::new();
    let is_julia = |path: &str| [JULIA, TYPYTHON].iter().any(|directory| below(path, directory).is_some());
    for (path, (content, _)) in files.iter().filter(|(path, _)| is_julia(path)) {
        interrupt::check()?;
        digest.update(format!("{path}\0"));
        digest.update(Sha256::digest(content.source.read()?));
    }
    Ok(hex::encode(digest.finalize()))
}
