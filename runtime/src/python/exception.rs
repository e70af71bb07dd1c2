//! Julia exceptions as Python exceptions. The classes are defined in `jnumpy/_errors.py`. Julia renders the text only when it is
//! read, because most exceptions are caught and dropped.

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use crate::julia::roots;
use crate::julia::start::{Refusal, running};
use crate::sys::slot::Slot;

/// A value that Julia keeps alive for Python. It is released with the last reference, in any thread.
#[pyclass(frozen, module = "jnumpy._runtime")]
#[derive(Debug)]
pub(crate) struct Root {
    number: u64,
}

impl Root {
    /// Takes over a root that Julia has filled.
    pub(crate) const fn new(number: u64) -> Self {
        Self { number }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        roots::give_back(self.number);
    }
}

/// The texts that Julia can render of a rooted exception, by number.
const PARTS: [&str; 3] = ["message", "backtrace", "type"];

#[pymethods]
impl Root {
    /// `message`, `backtrace` or `type` of the exception in this root, rendered by Julia.
    fn describe<'py>(&self, py: Python<'py>, part: &str) -> PyResult<Bound<'py, PyAny>> {
        let number = PARTS
            .iter()
            .position(|known| *known == part)
            .ok_or_else(|| PyValueError::new_err(format!("part is {part:?}, but one of {PARTS:?}")))?;
        self.part(py, number)
    }

    /// The field of the exception in this root with that number, from 0.
    fn field<'py>(&self, py: Python<'py>, number: u32) -> PyResult<Bound<'py, PyAny>> {
        self.part(py, PARTS.len() + number as usize)
    }
}

impl Root {
    fn part<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyAny>> {
        let running = running().map_err(refused)?;
        let arguments = [Slot::unsigned(self.number), Slot::unsigned(number as u64)];
        super::entry::value(py, running.call(running.julia_functions.describe, &arguments))
    }
}

/// The Python exception of a refused call.
pub(crate) fn refused(refusal: Refusal) -> PyErr {
    let topic = match refusal {
        Refusal::Forked => "fork",
        Refusal::WrongThread => "threads",
        Refusal::NotStarted | Refusal::Ended => return PyRuntimeError::new_err(refusal.to_string()),
    };
    Python::attach(|py| more(py, topic))
        .map_or_else(|error| error, |more| PyRuntimeError::new_err(format!("{refusal}; {more}")))
}

/// The text that names the help topic of an error.
pub(crate) fn more(py: Python<'_>, topic: &str) -> PyResult<String> {
    py.import("jnumpy._errors")?.getattr("more")?.call1((topic,))?.extract()
}

/// The Python exception for the Julia exception in `root`; `class` is the name of its Python class.
pub(crate) fn from_julia(py: Python<'_>, root: Root, class: &str) -> PyErr {
    // `except Exception` must not catch Ctrl-C, so it becomes Python's own exception.
    if class == "KeyboardInterrupt" {
        return PyKeyboardInterrupt::new_err(());
    }
    instantiate(py, root, class).unwrap_or_else(|error| error)
}

fn instantiate(py: Python<'_>, root: Root, class: &str) -> PyResult<PyErr> {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || {
        PyResult::Ok(py.import("jnumpy._errors")?.getattr("CLASSES")?.cast_into::<PyDict>()?.unbind())
    })?;
    let key = PyString::intern(py, class);
    let class = classes
        .bind(py)
        .get_item(&key)?
        .ok_or_else(|| PyRuntimeError::new_err(format!("no exception class stands for `{class}`")))?
        .cast_into::<PyType>()?;
    Ok(PyErr::from_value(class.call1((root,))?))
}
