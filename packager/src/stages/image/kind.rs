//! Which images there are.

use std::fmt;
use std::ops::RangeInclusive;

/// Since this minor version of Julia 1 there are package images, and Julia runs without its compiler.
pub const PACKAGE_IMAGES_SINCE: u64 = 9;

/// The minor versions of Julia 1 whose base can be compiled with fewer standard libraries. Later ones build theirs in other
/// steps.
pub(super) const BASE_IMAGES: RangeInclusive<u64> = 5..=10;

/// What is compiled ahead of time, and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One system image with Julia's own code.
    Full {
        /// Whether the wheel has Julia's compiler; without it, what only a compiler needs stays out of the image too.
        compiler: bool,
    },
    /// One image for each package, on Julia's stock image.
    Packages,
}

/// As the user asks for it.
impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Full { compiler: true } => "`--image full`",
            Self::Full { compiler: false } => "a wheel without the compiler",
            Self::Packages => "`--image packages`",
        })
    }
}
