//! The trait for files with machine code, for every binary format.

use std::path::{Path, PathBuf};

/// A program or a shared library. Each binary format implements this trait, and packing uses only the trait.
pub trait Binary {
    /// Something that the file needs from the system itself. The newest demand determines the oldest system.
    type Demand: Ord;

    /// The name by which other files need this one, if the file has one.
    fn name(&self) -> Option<&str>;

    /// The needed libraries, as they are written in the file, in the loader's order.
    fn needed(&self) -> impl Iterator<Item = &str>;

    /// The entries of the run path in effect, in the loader's order.
    fn run_path(&self) -> impl Iterator<Item = &str>;

    /// The demands of the file on the system.
    fn demands(&self) -> impl Iterator<Item = &Self::Demand>;

    /// The directory that an entry of a run path means for a file in `directory`. Both are relative to the root of a tree.
    /// `None` if the entry is not relative to the file, or leads out of the tree.
    fn resolve_in_tree(directory: &Path, entry: &str) -> Option<PathBuf>;

    /// The paths in the tree at which the loader looks for `needed`, for a file in `directory`.
    fn candidates(&self, directory: &Path, needed: &str) -> Vec<PathBuf>;
}
