//! Runs Python to make environments, install, and download.

use std::process::Command;

use crate::packing::Error;
use jnumpy_base::Stage;
use jnumpy_base::process::{self, ChildError, LastLines, Output};

/// Runs a command to its end. The inner error contains its last output if it failed. `unusable` makes the error for a Python
/// that does not start, from the reason.
pub(super) fn run(
    command: Command,
    stage: &Stage<'_>,
    unusable: impl FnOnce(String) -> Error,
) -> Result<Result<Output, LastLines>, Error> {
    match process::run(command, None, |_| stage.progress("")) {
        Ok(output) => Ok(Ok(output)),
        Err(ChildError::Failed { said, .. }) => Ok(Err(said)),
        Err(ChildError::Interrupted(stop)) => Err(stop.into()),
        Err(ChildError::Io(error)) => Err(error.into()),
        Err(error @ ChildError::Spawn { .. }) => Err(unusable(error.to_string())),
    }
}
