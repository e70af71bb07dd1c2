//! What a file with machine code tells the loader of its system, whatever the format of the file.

use std::path::{Path, PathBuf};

/// A program or a shared library. Each format implements this; what packing asks of every format goes through it.
pub trait Binary {
    /// Something that the file asks of the system itself. The newest demand decides how old the system may be.
    type Demand: Ord;

    /// The name by which other files need this one, when the file states it.
    fn name(&self) -> Option<&str>;

    /// What the file needs, as it is written in the file, in the loader's order.
    fn needed(&self) -> impl Iterator<Item = &str>;

    /// The entries of the run path in effect, in the loader's order.
    fn run_path(&self) -> impl Iterator<Item = &str>;

    /// What the file asks of the system.
    fn demands(&self) -> impl Iterator<Item = &Self::Demand>;

    /// The directory that an entry of a run path means for a file in `directory`. Both are relative to the root of a tree.
    /// `None` when the entry is not relative to the file, or leads out of the tree.
    fn resolve_in_tree(directory: &Path, entry: &str) -> Option<PathBuf>;

    /// The paths in the tree at which the loader looks for `needed`, for a file in `directory`.
    fn candidates(&self, directory: &Path, needed: &str) -> Vec<PathBuf>;
}
