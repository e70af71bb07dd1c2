//! Searches the files of a wheel for directories of the build machine.

use std::collections::BTreeSet;
use std::env;

use memchr::memmem::Finder;

use crate::formats::contract::BUILD_TREE;
use jnumpy_base::env_vars::HOME;

/// The directories, prepared for searching.
#[derive(Debug)]
pub(super) struct ForbiddenPaths(Vec<(String, Finder<'static>)>);

impl ForbiddenPaths {
    /// The given directories, the user's home, and the packager's build trees. A root directory is ignored.
    pub(super) fn new(directories: &[String]) -> Self {
        let home = env::var(HOME).ok();
        let all =
            directories.iter().cloned().chain(home.map(|home| format!("{}/", home.trim_end_matches('/'))));
        let all: BTreeSet<String> =
            all.chain([BUILD_TREE.trim_end_matches('-').into()]).filter(|path| path.len() > 1).collect();
        Self(all.into_iter().map(|path| (path.clone(), Finder::new(&path).into_owned())).collect())
    }

    /// What was found, and how often; nothing for most files.
    pub(super) fn count(&self, bytes: &[u8]) -> Vec<(String, usize)> {
        let counted = self.0.iter().map(|(path, finder)| (path.clone(), finder.find_iter(bytes).count()));
        counted.filter(|(_, count)| *count > 0).collect()
    }
}
