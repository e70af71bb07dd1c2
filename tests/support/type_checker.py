"""Runs mypy on a program whose wrong lines are marked."""

import re
import subprocess
import sys


def mypy(directory, program, *options):
    """Return the numbers of the lines of `program` that mypy, run in `directory`, faults, and all that it says."""
    (directory / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", directory / "cache", *options, "program.py"]
    outcome = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert outcome.returncode in (0, 1), outcome.stdout + outcome.stderr
    faults = re.findall(r"^program\.py:(\d+): error", outcome.stdout, re.MULTILINE)
    return {int(line) for line in faults}, outcome.stdout


def wrong_lines(program):
    """Return the numbers of the lines that end with `# wrong`."""
    return {number for number, line in enumerate(program.splitlines(), 1) if line.endswith("# wrong")}
