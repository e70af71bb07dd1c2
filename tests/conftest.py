"""What the tests share: the built command, a Julia, and projects."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def pack() -> str:
    """Path of the `jnumpy-pack` command."""
    command = Path(os.environ.get("JNUMPY_PACK", ROOT / "target" / "release" / "jnumpy-pack"))
    assert command.is_file(), f"{command} does not exist: run `make pack`, or set JNUMPY_PACK"
    return str(command)


@pytest.fixture(scope="session")
def julia(pack: str) -> str:
    """Path of a Julia, as the command finds it."""
    found = subprocess.run([pack, "julia", "find"], stdout=subprocess.PIPE, text=True, check=True)
    return found.stdout.strip()


@pytest.fixture(scope="session")
def contract(julia: str) -> ModuleType:
    """The module exported by the project in `contract/`; starts Julia in this process."""
    os.environ["TYPY_JL_EXE"] = julia
    sys.path.insert(0, str(ROOT / "tests"))
    importlib.import_module("contract")
    return importlib.import_module("_contract")
