"""Each example's own tests, run from its source tree with the Julia at hand."""

import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY

EXAMPLES = sorted(path.parent.name for path in (REPOSITORY / "fixtures").glob("*/tests"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example, julia):
    project = REPOSITORY / "fixtures" / example
    environment = os.environ | {"TYPY_JL_EXE": julia, "PYTHONPATH": str(project)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", project / "tests"]
    subprocess.run(command, cwd=project, env=environment, check=True)
