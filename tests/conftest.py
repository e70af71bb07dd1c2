"""What the end-to-end tests share: a clean machine, and the wheels to try on it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import machines
import pytest

REPOSITORY = Path(__file__).parent.parent
NUMPY = "numpy==2.5.5"


@pytest.fixture(scope="session")
def cache() -> Path:
    """Return the directory that keeps machines and downloads from one test run to the next."""
    return Path(os.environ.get("JNUMPY_TEST_CACHE", REPOSITORY / "build/test-cache")).resolve()


@pytest.fixture(scope="session")
def base_machine(cache) -> Path:
    """Return the directory of the clean machine that the others are copied from."""
    return machines.base(cache)


@pytest.fixture(scope="module")
def machine(base_machine):
    """Lend a clean machine to the tests of one file."""
    with machines.copy(base_machine) as lent:
        yield lent


@pytest.fixture(scope="session")
def numpy_wheel(cache) -> Path:
    """Return NumPy's wheel for the Python of the clean machine."""
    return download(NUMPY, cache / "wheels")


@pytest.fixture(scope="session")
def kmeans_wheel() -> Path:
    """Return the packed wheel of `fixtures/kmeans1d`: `JNUMPY_KMEANS_WHEEL`, else the newest in `dist/`."""
    if named := os.environ.get("JNUMPY_KMEANS_WHEEL"):
        wheel = Path(named).resolve()
        if not wheel.is_file():
            pytest.fail(f"`JNUMPY_KMEANS_WHEEL` names no file: `{named}`", pytrace=False)
        return wheel
    wheels = list((REPOSITORY / "dist").glob("jl_kmeans1d-*.whl"))
    if not wheels:
        pytest.fail("there is no `dist/jl_kmeans1d-*.whl` to test: `make demo` builds it", pytrace=False)
    return max(wheels, key=lambda wheel: wheel.stat().st_mtime)


def download(requirement: str, directory: Path) -> Path:
    """Return the wheel of `requirement` for CPython 3.13 in `directory`, downloaded when missing."""
    name, version = requirement.split("==")
    pattern = f"{name}-{version}-*.whl"
    if found := list(directory.glob(pattern)):
        return found[0]
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=directory) as unfinished:
        selection = ["--no-deps", "--only-binary=:all:", "--python-version=3.13"]
        platforms = ["--platform=manylinux_2_28_x86_64", "--platform=manylinux_2_17_x86_64"]
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                *selection,
                *platforms,
                "--dest",
                unfinished,
                requirement,
            ],
            check=True,
        )
        (wheel,) = Path(unfinished).glob(pattern)
        return wheel.rename(directory / wheel.name)
