"""Shared fixtures: the built command, a Julia, projects, a clean machine, and the wheels to try on it."""

import functools
import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import downloads
import machines
import pytest
import small_projects
from paths import REPOSITORY, TESTS

NUMPY = "numpy==2.5.5"


def pytest_configure() -> None:
    """Let tests end processes by Ctrl-C, which background jobs of a shell and their children ignore."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items) -> None:
    """Mark all tests in `runtime/`, so that they run with every Julia."""
    for item in items:
        if (TESTS / "runtime") in item.path.parents:
            item.add_marker(pytest.mark.every_julia)


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
    return downloads.wheel(NUMPY, cache / "wheels", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64")


@pytest.fixture(scope="session")
def pack() -> Path:
    """Return the path of the built command: `JNUMPY_PACK`, else the release build."""
    command = Path(os.environ.get("JNUMPY_PACK", REPOSITORY / "target/release/jnumpy-pack")).resolve()
    if not command.is_file():
        pytest.fail(f"there is no `{command}`: `make pack` builds it, `JNUMPY_PACK` names another", pytrace=False)
    return command


@pytest.fixture(scope="session")
def julia(pack, cache) -> str:
    """Return the path of a Julia: `JNUMPY_TEST_JULIA`, else the one that the command finds, installed when missing.

    What it compiles is kept with the other things of the tests; an empty entry stands for Julia's own depots.
    """
    os.environ.setdefault("JULIA_DEPOT_PATH", f"{cache / 'depot'}:")
    if named := os.environ.get("JNUMPY_TEST_JULIA"):
        if not os.access(named, os.X_OK):
            pytest.fail(f"`JNUMPY_TEST_JULIA` names no executable file: `{named}`", pytrace=False)
        return named
    subprocess.run([pack, "julia", "install", "--from", "debian"], stdout=subprocess.DEVNULL, check=True)
    found = subprocess.run([pack, "julia", "find"], stdout=subprocess.PIPE, text=True, check=True)
    return found.stdout.strip()


@pytest.fixture(scope="session")
def version(julia) -> tuple[int, int, int]:
    """Return the version of that Julia, to compare with what is in `versions`."""
    text = subprocess.check_output([julia, "--startup-file=no", "-e", "print(VERSION)"], text=True)
    return tuple(int(part) for part in text.split("-")[0].split("."))


@pytest.fixture(scope="session")
def contract(julia) -> ModuleType:
    """Return the module exported by the project in `contract/`; starts Julia in this process."""
    os.environ["TYPY_JL_EXE"] = julia
    importlib.import_module("contract")
    return importlib.import_module("_contract")


@pytest.fixture(scope="session")
def export(contract) -> Callable[[str], Callable]:
    """Return a function that gives the Python function of a Julia definition: `export("f(x::Int)::Int = x")`.

    A second text is Julia code above the definition.
    """
    import jnumpy

    @functools.cache
    def export(definition: str, above: str = "") -> Callable:
        module = f"Exported{export.cache_info().misses}"
        name = re.search(r"([^\s(]+)\(", definition)[1]
        body = f"using TyPython.CPython\n{above}\n@export_py {definition}"
        return jnumpy.eval_julia(f"module {module}\n{body}\nend\n{module}.Pyfunc({module}.{name})")

    return export


@pytest.fixture(scope="session")
def kmeans_wheel(pack, julia, tmp_path_factory) -> Path:
    """Return the packed wheel of `fixtures/kmeans1d`: `JNUMPY_KMEANS_WHEEL`, else one packed for one CPU target."""
    if named := os.environ.get("JNUMPY_KMEANS_WHEEL"):
        wheel = Path(named).resolve()
        if not wheel.is_file():
            pytest.fail(f"`JNUMPY_KMEANS_WHEEL` names no file: `{named}`", pytrace=False)
        return wheel
    return pack_project(pack, julia, REPOSITORY / "fixtures/kmeans1d", tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="session")
def small(pack, julia, tmp_path_factory) -> small_projects.Small:
    """Return three small packages, as source trees and packed without images."""
    return small_projects.pack_all(pack, julia, tmp_path_factory.mktemp("small"))


def pack_project(pack: Path, julia: str, project: Path, out_dir: Path, *options: str) -> Path:
    """Return the wheel of `project`, packed into `out_dir` with an image for one CPU target."""
    command = [pack, "wheel", project, "--out-dir", out_dir, "--julia", julia, "--cpu-target", "generic"]
    subprocess.run([*command, "--python", sys.executable, *options], stdout=subprocess.DEVNULL, check=True)
    (wheel,) = out_dir.glob("*.whl")
    return wheel
