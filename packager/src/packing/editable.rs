//! Editable wheels. They install a path instead of files, so Python imports the project from its sources.

use crate::stages::project::Project;
use crate::stages::runtime_wheel;
use jnumpy_wheel::{Content, Contents, Metadata, Wheel, WheelError};

/// Adds a requirement.
pub(super) fn require(metadata: &mut Metadata, requirement: &str) -> Result<(), WheelError> {
    metadata.dependencies.push(requirement.parse().map_err(|error| WheelError::Metadata {
        field: "Requires-Dist".into(),
        value: requirement.to_owned(),
        reason: format!("{error}"),
    })?);
    Ok(())
}

/// The wheel that makes `project` importable from its directory. It contains no Julia and requires `jnumpy-runtime`, which
/// runs an installed Julia.
pub fn wheel(project: &Project) -> Result<Wheel, WheelError> {
    let mut metadata = project.pyproject.metadata.clone();
    require(&mut metadata, &format!("{} == {}", runtime_wheel::DISTRIBUTION, runtime_wheel::VERSION))?;
    let mut contents = Contents::new();
    let location = format!("{}.pth", metadata.distribution()?.as_dist_info_name());
    contents.add(location.parse()?, Content::bytes(format!("{}\n", project.import_dir.display())))?;
    Ok(Wheel {
        tag: "py3-none-any".parse()?,
        metadata,
        entry_points: project.pyproject.entry_points.clone(),
        licenses: project.pyproject.licenses.clone(),
        sbom: None,
        contents,
    })
}
