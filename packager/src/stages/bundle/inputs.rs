//! What a wheel is planned from.

use std::collections::BTreeSet;

use crate::formats::policy::Platform;
use crate::stages::depot::Resolution;
use crate::stages::image::{Image, StandardLibraries};
use crate::stages::julia::Julia;
use crate::stages::julia_wheel::Sharing;
use crate::stages::project::Project;
use crate::stages::runtime_wheel::RuntimeWheel;

/// What a wheel is planned from.
#[derive(Debug)]
pub struct BundleInputs<'a> {
    /// The user's project.
    pub project: &'a Project,
    /// Its Julia dependencies.
    pub resolution: &'a Resolution,
    /// The names of the packages that the project needs, as [`Resolution::needed`] gives them.
    pub dependencies: &'a BTreeSet<&'a str>,
    /// The Julia to bundle.
    pub julia: &'a Julia,
    /// The runtime to bundle.
    pub runtime: &'a RuntimeWheel,
    /// The image with the project; without one, Julia's stock image and all sources are bundled.
    pub image: Option<&'a Image>,
    /// Whether Julia's compiler is bundled.
    pub compiler: bool,
    /// Whether the Julia is for others too, or is that of another wheel; then none of it is bundled.
    pub sharing: Sharing<'a>,
    /// The platform that the wheel has to run on; the oldest possible when none is demanded.
    pub platform: Option<Platform>,
}

impl<'a> BundleInputs<'a> {
    /// The standard libraries that were chosen for the image; none when it has those of Julia's own.
    pub(super) fn stdlibs(&self) -> Option<&'a StandardLibraries> {
        self.image?.stdlibs.as_ref()
    }
}
