//! Errors of adding dependencies.

use std::path::PathBuf;

use jnumpy_base::Hint;
use jnumpy_base::process::ChildError;
use jnumpy_base::text::printable;

/// A dependency could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// No Julia package can have this name.
    #[error("`{}` is not the name of a Julia package", printable(name))]
    Name {
        /// What was asked for.
        name: String,
    },
    /// Neither Julia nor a registry has the package.
    #[error("neither the standard library of Julia {julia} nor a registry has a package `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The version of Julia.
        julia: String,
        /// The known name that is most like it.
        nearest: Option<String>,
        /// Whether a directory has this name.
        is_directory: bool,
    },
    /// A directory is not a package that others can depend on.
    #[error("`{}` is not a Julia package: {missing}", path.display())]
    NotAPackage {
        path: PathBuf,
        /// What it lacks.
        missing: String,
    },
    /// A project does not depend on itself.
    #[error("`{name}` is the project itself")]
    Itself {
        /// Its Julia name.
        name: String,
    },
    /// The name is taken.
    #[error("`{name}` is already a dependency with another UUID: {uuid}")]
    OtherUuid {
        name: String,
        /// The UUID in `Project.toml`.
        uuid: String,
    },
    /// Other projects are in the same manifest.
    #[error("the manifest of the project is not beside `{}`", project_toml.display())]
    ForeignManifest {
        /// The project file.
        project_toml: PathBuf,
    },
    /// Pkg failed.
    #[error("Pkg cannot add {}", shown(names))]
    Pkg {
        /// What was asked for.
        names: Vec<String>,
        /// The standard library that is perhaps meant.
        nearest: Option<String>,
        /// What it said.
        source: Box<ChildError>,
    },
    /// The project file cannot be edited.
    #[error("`{}` cannot be edited", path.display())]
    Edit {
        /// The project file.
        path: PathBuf,
        source: toml_edit::TomlError,
    },
}

fn shown(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", printable(name))).collect();
    names.join(", ")
}

impl Hint for AddError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name { .. } => {
                Some("give a name such as `StaticArrays`, or a directory with a `/` in it, such as `../Helper`".into())
            }
            Self::Unknown { name, is_directory: true, .. } => {
                Some(format!("`./{name}` adds the package in that directory"))
            }
            Self::Unknown { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::Unknown { nearest: None, .. } => {
                Some("to add a package that is in no registry, give its directory with a `/` in it".into())
            }
            Self::NotAPackage { .. } => {
                Some("a package has `Project.toml` with `name` and `uuid`, and `src/<name>.jl`".into())
            }
            Self::OtherUuid { name, .. } => {
                Some(format!("remove the line of `{name}` in `[deps]` first, if it is the wrong one"))
            }
            Self::ForeignManifest { .. } => Some(
                "use Pkg in the directory of that manifest; see https://pkgdocs.julialang.org/v1/toml-files/".into(),
            ),
            Self::Pkg { nearest: Some(name), .. } => Some(format!("did you mean the standard library `{name}`?")),
            Self::Pkg { nearest: None, .. } => Some(
                "registered packages need a registry: a network, or a depot in `JULIA_DEPOT_PATH` that has one; \
                 standard libraries and directories whose dependencies are installed need none"
                    .into(),
            ),
            Self::Itself { .. } | Self::Edit { .. } => None,
        }
    }
}
