//! Wheels of Julia, which other wheels share: their names and contents.
//!
//! The names of the distribution and of the import package contain the version of Julia, so that an environment can contain
//! several. A thin wheel is made from exactly the wheel of Julia that it requires, because package images work only with the
//! images for which they were compiled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tempfile::TempDir;

use crate::formats::Version;
use crate::formats::contract::{BUILD_TREE, BUNDLE, BUNDLE_FORMAT, DESCRIPTION};
use crate::stages::julia::{Julia, JuliaError, Run};
use crate::stages::runtime_wheel::RuntimeWheel;
use crate::stages::unpack::{UnpackError, unpack};
use jnumpy_base::Hint;
use jnumpy_base::path::file_name;
use jnumpy_base::text::printable;
use jnumpy_wheel::{WheelError, WheelName};

/// The largest size of an unpacked wheel of Julia in bytes.
const LARGEST: u64 = 4 << 30;
/// Puts a package image into a depot.
const STORE: &str = include_str!("store.jl");
/// A part of the paths of package images, of which every wheel has its own.
const PACKAGE_IMAGES: &str = "/julia/packages/";
/// The file name of the cache header of TyPython's package image, which lies beside that image.
pub const CACHE_HEADER: &str = "TyPython.ji";

/// How a wheel shares a Julia.
#[derive(Debug, Clone, Copy)]
pub enum Sharing<'a> {
    /// It contains its own Julia, which it does not share.
    Alone,
    /// It is the wheel of Julia.
    Gives,
    /// It requires this wheel of Julia.
    Takes(&'a JuliaWheel),
}

impl<'a> Sharing<'a> {
    /// The wheel that has the Julia, if it is another one.
    #[must_use]
    pub fn wheel(self) -> Option<&'a JuliaWheel> {
        match self {
            Self::Takes(wheel) => Some(wheel),
            Self::Alone | Self::Gives => None,
        }
    }
}

/// The name of the distribution with a Julia of this version.
#[must_use]
pub fn distribution(julia: &Version) -> String {
    let version: String =
        julia.to_string().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    format!("jnumpy-julia-{version}")
}

/// The name of its import package.
#[must_use]
pub fn package(julia: &Version) -> String {
    distribution(julia).replace('-', "_")
}

/// A requirement of exactly this version of a distribution.
#[must_use]
pub fn requirement(distribution: &str, version: &str) -> String {
    format!("{distribution} == {version}")
}

/// An unpacked wheel of Julia. The directory goes away with the value.
#[derive(Debug)]
pub struct JuliaWheel {
    /// The wheel it came from.
    pub wheel: PathBuf,
    /// Its import package.
    pub package: String,
    pub distribution: String,
    /// The version of that.
    pub version: String,
    /// A digest that distinguishes it from other builds of the same version.
    pub build: String,
    /// Its files but for package images, by their paths in `_jnumpy`.
    files: BTreeMap<String, PathBuf>,
    cache_header: Option<PathBuf>,
    directory: TempDir,
}

impl JuliaWheel {
    /// Opens the wheel named, or the one in `directory` that is for this Julia.
    pub fn open(
        named: Option<&Path>,
        directory: &Path,
        julia: &Version,
        runtime: &RuntimeWheel,
    ) -> Result<Self, JuliaWheelError> {
        let wheel = match named {
            Some(path) => path.to_owned(),
            None => find(directory, julia)?,
        };
        let name: WheelName = file_name(&wheel).parse()?;
        let (distribution, version) = (name.distribution().to_string(), name.version().to_string());
        let target = tempfile::Builder::new().prefix("jnumpy-julia-").tempdir()?;
        let package = package(julia);
        let inside = format!("{package}/{BUNDLE}/");
        let mut files = BTreeMap::new();
        let mut cache_header = None;
        for (name, path) in unpack(&wheel, target.path(), LARGEST)? {
            match name.strip_prefix(&inside) {
                Some(name) if !name.contains(PACKAGE_IMAGES) => _ = files.insert(name.to_owned(), path),
                Some(name) if name.ends_with(CACHE_HEADER) => cache_header = Some(path),
                _ => {}
            }
        }
        let no_julia = |reason: String| JuliaWheelError::NoJulia {
            wheel: wheel.clone(),
            julia: julia.to_string(),
            reason,
        };
        let path =
            files.get(DESCRIPTION).ok_or_else(|| no_julia(format!("it has no `{inside}{DESCRIPTION}`")))?;
        let described: Described = serde_json::from_slice(&fs_err::read(path)?)
            .map_err(|error| no_julia(printable(&error.to_string())))?;
        if described.format != BUNDLE_FORMAT {
            let reason =
                format!("it has the format {}, but this jnumpy-pack makes {BUNDLE_FORMAT}", described.format);
            return Err(no_julia(reason));
        }
        if (described.protocol, &described.runtime) != (runtime.protocol, &runtime.version) {
            let reason = format!(
                "it has the runtime {}, protocol {}, but this is {}, protocol {}",
                printable(&described.runtime),
                described.protocol,
                runtime.version,
                runtime.protocol
            );
            return Err(no_julia(reason));
        }
        let build = described.julia.build.ok_or_else(|| no_julia("it does not share its Julia".into()))?;
        Ok(Self { wheel, package, distribution, version, build, files, cache_header, directory: target })
    }

    /// The requirement of wheels that are made for it.
    #[must_use]
    pub fn requirement(&self) -> String {
        requirement(&self.distribution, &self.version)
    }

    /// The file at this path in its `_jnumpy`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&Path> {
        self.files.get(path).map(PathBuf::as_path)
    }

    /// Its description: the bytes of `bundle.json`.
    pub fn description(&self) -> std::io::Result<Vec<u8>> {
        fs_err::read(&self.files[DESCRIPTION])
    }

    /// The directory that an installer would put its package into.
    #[must_use]
    pub fn site(&self) -> &Path {
        self.directory.path()
    }

    /// Where a file of a wheel lies, relative to the directory that packages are installed in: `path` is one below
    /// `_jnumpy`, and `package` has what is not Julia's.
    #[must_use]
    pub fn location(sharing: Sharing<'_>, package: &str, path: &Path) -> PathBuf {
        let shared =
            sharing.wheel().filter(|wheel| path.to_str().is_some_and(|path| wheel.files.contains_key(path)));
        Path::new(shared.map_or(package, |wheel| &wheel.package)).join(BUNDLE).join(path)
    }

    /// Whether packages can be compiled for it.
    #[must_use]
    pub fn has_package_image(&self) -> bool {
        self.cache_header.is_some()
    }

    /// The name of the directory that its TyPython was compiled in. Julia takes a package image only for the very path of its
    /// sources, and what is compiled for this wheel is compiled there too.
    pub fn build_tree(&self) -> Result<String, JuliaWheelError> {
        let header = self.cache_header.as_ref().map(fs_err::read).transpose()?.unwrap_or_default();
        let key = memchr::memmem::find(&header, BUILD_TREE.as_bytes()).and_then(|start| {
            let start = start + BUILD_TREE.len();
            header.get(start..start + 16)
        });
        let key = key
            .and_then(|key| std::str::from_utf8(key).ok())
            .filter(|key| key.bytes().all(|digit| digit.is_ascii_hexdigit()));
        Ok(key.ok_or_else(|| JuliaWheelError::NoImage { wheel: self.wheel.clone() })?.to_owned())
    }

    /// Puts its package image of TyPython into a depot, where Julia finds it when it compiles others.
    pub fn store_package_image(&self, julia: &Julia, depot: &Path) -> Result<(), JuliaWheelError> {
        let none = || JuliaWheelError::NoImage { wheel: self.wheel.clone() };
        let header = self.cache_header.as_ref().ok_or_else(none)?;
        Run::new(julia)
            .args(["-e", STORE])
            .arg(header)
            .arg(header.with_extension("so"))
            .arg(depot)
            .run(|_| ())?;
        Ok(())
    }
}

/// What is read of `bundle.json` here.
#[derive(Deserialize)]
struct Described {
    format: u32,
    protocol: u32,
    runtime: String,
    julia: DescribedJulia,
}

#[derive(Deserialize)]
struct DescribedJulia {
    build: Option<String>,
}

fn find(directory: &Path, julia: &Version) -> Result<PathBuf, JuliaWheelError> {
    let prefix = format!("{}-", package(julia));
    let mut found = Vec::new();
    for entry in fs_err::read_dir(directory).into_iter().flatten() {
        let path = entry?.path();
        let name = file_name(&path);
        if name.starts_with(&prefix) && name.parse::<WheelName>().is_ok() {
            found.push(path);
        }
    }
    found.sort();
    let none = || JuliaWheelError::NotFound { julia: julia.to_string(), directory: directory.to_owned() };
    match &mut found[..] {
        [] => Err(none()),
        [only] => Ok(std::mem::take(only)),
        _ => Err(JuliaWheelError::Several { wheels: found }),
    }
}

/// Errors about the wheel of Julia.
#[derive(Debug, thiserror::Error)]
pub enum JuliaWheelError {
    /// There is none.
    #[error("no wheel of Julia {julia} in `{}`", directory.display())]
    NotFound {
        /// The version.
        julia: String,
        /// The directory looked in.
        directory: PathBuf,
    },
    /// There are several.
    #[error("several wheels of the same Julia: {}", wheels.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", "))]
    Several { wheels: Vec<PathBuf> },
    /// It is another wheel.
    #[error("`{}` is not a wheel of Julia {julia}, the Julia in use: {reason}", wheel.display())]
    NoJulia {
        wheel: PathBuf,
        /// The version.
        julia: String,
        /// Why not.
        reason: String,
    },
    /// Nothing can be compiled for it.
    #[error("`{}` has no package image of TyPython, so no package images can be made for it", wheel.display())]
    NoImage { wheel: PathBuf },
    /// Its file name is none.
    #[error(transparent)]
    Name(#[from] WheelError),
    /// It cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// Julia failed.
    #[error(transparent)]
    Julia(#[from] JuliaError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Hint for JuliaWheelError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } | Self::NoJulia { .. } => Some(
                "make it with `jnumpy-pack julia-wheel` and the same `--julia`, and name it with `--julia-wheel WHEEL`; more: \
                 `jnumpy-pack about shared-julia`"
                    .into(),
            ),
            Self::Several { .. } => Some("name one of them: `--julia-wheel WHEEL`".into()),
            Self::NoImage { .. } => {
                Some("omit `--image`, or make the wheel of Julia with `julia-wheel --image packages`".into())
            }
            Self::Name(error) => error.hint(),
            Self::Julia(error) => error.hint(),
            Self::Unpack(_) | Self::Io(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_names() {
        let version: Version = "1.10.8".parse().unwrap();
        assert_eq!(distribution(&version), "jnumpy-julia-1-10-8");
        assert_eq!(package(&version), "jnumpy_julia_1_10_8");
    }

    #[test]
    fn err_none_and_several() {
        let directory = tempfile::tempdir().unwrap();
        let version: Version = "1.10.8".parse().unwrap();
        let find = || find(directory.path(), &version).unwrap_err();
        assert!(matches!(find(), JuliaWheelError::NotFound { .. }));
        for number in [1, 2] {
            let name = format!("jnumpy_julia_1_10_8-0.{number}-cp310-abi3-manylinux_2_17_x86_64.whl");
            fs_err::write(directory.path().join(name), "").unwrap();
        }
        assert!(matches!(find(), JuliaWheelError::Several { .. }));
    }
}
