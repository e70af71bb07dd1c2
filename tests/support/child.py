"""Runs Python code in a new process, so that a crash does not end the tests."""

import os
import subprocess
import sys

from paths import PROJECTS

LIMIT = 120


def environment(julia, **variables):
    """Return the variables for a new process that can import the projects of the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("JULIA_DEPOT_PATH", "JULIA_NUM_THREADS") or not name.startswith(("TYPY_", "JULIA_"))
    }
    kept |= {"PYTHONPATH": str(PROJECTS), "PYTHONFAULTHANDLER": "1", **variables}
    if julia is not None:
        kept["TYPY_JL_EXE"] = julia
    return kept


def run(code, julia, limit=LIMIT, *, buffered=False, text=True, input=None, **variables):
    """Run Python code in a new process that can import the projects of the tests."""
    options = ["-c", code] if buffered else ["-u", "-c", code]
    source = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    return subprocess.run(
        [sys.executable, *options],
        env=environment(julia, **variables),
        capture_output=True,
        text=text,
        timeout=limit,
        cwd="/",
        **source,
    )


def last_line(outcome):
    """Return the last line of stderr."""
    return outcome.stderr.strip().splitlines()[-1]


def succeeds(code, julia, limit=LIMIT, **options):
    """Run code that has to end well, and return what it printed."""
    outcome = run(code, julia, limit, **options)
    assert outcome.returncode == 0, f"status {outcome.returncode}\n{outcome.stdout}\n{outcome.stderr}"
    return outcome.stdout
