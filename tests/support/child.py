"""Python code in a process of its own: what may crash or hang must not take the tests along."""

import os
import subprocess
import sys

from paths import PROJECTS

LIMIT = 120


def run(code, julia, limit=LIMIT, **variables):
    """Run Python code in a new process that can import the projects of the tests."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name == "JULIA_DEPOT_PATH" or not name.startswith(("TYPY_", "JULIA_"))
    }
    environment |= {"PYTHONPATH": str(PROJECTS), "PYTHONFAULTHANDLER": "1", **variables}
    if julia is not None:
        environment["TYPY_JL_EXE"] = julia
    return subprocess.run(
        [sys.executable, "-u", "-c", code], env=environment, capture_output=True, text=True, timeout=limit, cwd="/"
    )


def last_line(outcome):
    """Return the last line of stderr."""
    return outcome.stderr.strip().splitlines()[-1]


def succeeds(code, julia, limit=LIMIT, **variables):
    """Run code that has to end well, and return what it printed."""
    outcome = run(code, julia, limit, **variables)
    assert outcome.returncode == 0, f"status {outcome.returncode}\n{outcome.stdout}\n{outcome.stderr}"
    return outcome.stdout
