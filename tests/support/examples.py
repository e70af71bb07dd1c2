"""The example projects in `fixtures/`: all that have tests of their own, and what these need."""

import importlib.util
import os
from pathlib import Path

from paths import FIXTURES

#: Example → the directory of its Python package, which is a Julia project too.
PACKAGES = {
    tests.parent.name: next(tests.parent.glob("*/Project.toml")).parent for tests in sorted(FIXTURES.glob("*/tests"))
}

#: Name → the example whose tests are run, and the variables that they look at: two packages share the tests of one.
SUITES = {name: (name, {}) for name in PACKAGES} | {"fft-of-fftw": ("fft", {"FFT_PACKAGE": "jl_fftw"})}


def provide_artifact() -> None:
    """Put FFTW, which one of the examples needs, into the depot that Julia writes to."""
    specification = importlib.util.spec_from_file_location("artifact", FIXTURES / "fftw/artifact.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.provide(Path(os.environ["JULIA_DEPOT_PATH"].split(os.pathsep)[0]))
