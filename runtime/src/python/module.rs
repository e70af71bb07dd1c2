//! The extension module `jnumpy._runtime`: what the Python package calls.

use std::path::PathBuf;

use pyo3::exceptions::{PyImportError, PyMemoryError, PyRuntimeError};
use pyo3::prelude::*;

use super::entry::output::{self, Stream};
use super::entry::{self, host_functions::HOST};
use super::exception::{Root, refused};
use crate::julia::relocation::Relocation;
use crate::julia::start::{self, Running, Start, StartError, running};
use crate::sys::slot::{PROTOCOL, Slot};

/// Paths of libjulia, its `bin` and its image; the sources of TyPython, or the script that loads package images; and the
/// relocation that an image may need.
type Place = (PathBuf, PathBuf, PathBuf, Option<PathBuf>, Option<PathBuf>, Option<Relocation>);

/// Starts Julia in this process; does nothing if it is already running.
///
/// Raises `ImportError` when Julia's library cannot be used, `MemoryError` when memory is limited, `RuntimeError` for anything
/// else.
#[pyfunction]
#[pyo3(name = "start")]
fn start_julia(
    py: Python<'_>,
    place: Place,
    own_options: Vec<String>,
    options: String,
    environment: Vec<(String, String)>,
) -> PyResult<()> {
    // The classes must exist before the first exception, because nothing can be imported while an exception is raised.
    py.import("jnumpy._errors")?;
    let (libjulia, bindir, image, typython, packages, relocation) = place;
    let start =
        Start { libjulia, bindir, image, typython, packages, relocation, own_options, options, environment };
    let mut early = [Vec::new(), Vec::new()];
    let outcome = start::start(&start, &HOST, &mut early);
    for (stream, text) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&early) {
        if !text.is_empty() {
            output::write(py, stream, text)?;
        }
    }
    outcome.map_err(|error| match error {
        StartError::Library(_)
        | StartError::LibJulia(_)
        | StartError::Relocation { .. }
        | StartError::NoImage { .. }
        | StartError::Protocol { .. } => PyImportError::new_err(error.to_string()),
        StartError::Memory { .. } => PyMemoryError::new_err(error.to_string()),
        _ => PyRuntimeError::new_err(error.to_string()),
    })
}

/// Raises `ImportError` in a subinterpreter: Julia and its exports belong to the main interpreter.
#[pyfunction]
fn refuse_subinterpreter() -> PyResult<()> {
    if entry::in_main_interpreter() {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "jnumpy works in the main interpreter only, since a process has one Julia: use a process instead of a subinterpreter",
    ))
}

/// Ends Julia: its `atexit` hooks and finalizers run. Called once by Python's `atexit`.
#[pyfunction]
fn end(py: Python<'_>) {
    start::end();
    output::close(py);
}

/// The version of the running Julia, such as `1.5.3`; `None` before the start.
#[pyfunction]
fn julia_version() -> Option<&'static str> {
    start::version()
}

/// Evaluates Julia code in `Main`; the value of its last expression if `wanted`, else `None`.
#[pyfunction]
fn evaluate<'py>(py: Python<'py>, code: &str, wanted: bool) -> PyResult<Bound<'py, PyAny>> {
    call(
        py,
        |running| running.julia_functions.evaluate,
        &[Slot::text(code.as_bytes()), Slot::boolean(wanted)],
    )
}

/// Includes a Julia file in `Main`.
#[pyfunction]
fn include<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
    call(py, |running| running.julia_functions.include, &[Slot::text(path.as_bytes())])
}

/// Activates the project in `directory`, loads its module `name`, and runs its `init()`. Modules that it exports also become
/// submodules of the Python package `package`, unless that is empty. With `stay`, the project stays active; otherwise the
/// project that was active before is active again.
#[pyfunction]
fn load_project<'py>(
    py: Python<'py>,
    directory: &str,
    name: &str,
    package: &str,
    stay: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = [
        Slot::text(directory.as_bytes()),
        Slot::text(name.as_bytes()),
        Slot::text(package.as_bytes()),
        Slot::boolean(stay),
    ];
    call(py, |running| running.julia_functions.load_project, &arguments)
}

/// Adds to the directories in which Julia searches packages, depots, and libraries that are opened by name. Each argument is a
/// list of paths, separated by NUL.
#[pyfunction]
fn extend_paths<'py>(
    py: Python<'py>,
    environments: &str,
    depots: &str,
    libraries: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = [
        Slot::text(environments.as_bytes()),
        Slot::text(depots.as_bytes()),
        Slot::text(libraries.as_bytes()),
    ];
    call(py, |running| running.julia_functions.extend_paths, &arguments)
}

/// UUIDs and source files of the loaded packages, alternating, separated by NUL.
#[pyfunction]
fn loaded_packages(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    call(py, |running| running.julia_functions.loaded_packages, &[])
}

fn call<'py>(
    py: Python<'py>,
    entry: impl FnOnce(&Running) -> crate::sys::slot::Entry,
    arguments: &[Slot],
) -> PyResult<Bound<'py, PyAny>> {
    let running = running().map_err(refused)?;
    entry::value(py, running.call(entry(running), arguments))
}

/// Fills the module.
#[pymodule]
#[pyo3(name = "_runtime")]
fn runtime(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("PROTOCOL", PROTOCOL)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("JuliaFunction", entry::function::function_type(py)?)?;
    module.add("JuliaMethod", entry::function::method_type(py)?)?;
    module.add("JuliaObject", entry::instance::instance_type(py)?)?;
    module.add_class::<Root>()?;
    for function in [
        wrap_pyfunction!(refuse_subinterpreter, module)?,
        wrap_pyfunction!(start_julia, module)?,
        wrap_pyfunction!(end, module)?,
        wrap_pyfunction!(julia_version, module)?,
        wrap_pyfunction!(evaluate, module)?,
        wrap_pyfunction!(include, module)?,
        wrap_pyfunction!(load_project, module)?,
        wrap_pyfunction!(extend_paths, module)?,
        wrap_pyfunction!(loaded_packages, module)?,
        wrap_pyfunction!(entry::function::take_over, module)?,
        wrap_pyfunction!(entry::set_copy_policy, module)?,
        wrap_pyfunction!(entry::report_copy, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
