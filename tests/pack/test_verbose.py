"""`-v` and `-vv`: what is traced, and where it goes."""

import os
import re
import subprocess

import pytest


@pytest.fixture
def find(pack, julia):
    def run(*options):
        environment = os.environ | {"JULIA_DEPOT_PATH": "/nonexistent", "TYPY_JL_EXE": julia}
        command = [pack, *options, "julia", "find"]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    return run


def traced(outcome) -> list[str]:
    """Return the traced lines without their times."""
    assert outcome.returncode == 0, outcome.stderr
    lines = [re.match(r" *\d+\.\d+s +(.*)", line) for line in outcome.stderr.splitlines()]
    return [line.group(1) for line in lines if line]


def test_nothing_is_traced_unasked(find):
    assert traced(find()) == []


def test_commands_and_their_times(find, julia):
    outcome = find("-v")
    assert outcome.stdout == find().stdout
    lines = traced(outcome)
    assert any(re.match(rf"run: {re.escape(julia)} --startup-file=no ", line) for line in lines), lines
    assert any(re.match(rf"done in \d+\.\d\d s: {re.escape(julia)} ", line) for line in lines), lines
    assert not any("JULIA_DEPOT_PATH" in line for line in lines)


def test_environments_of_commands(find):
    assert "without JULIA_DEPOT_PATH" in [line.strip() for line in traced(find("-vv"))]


def test_quiet_and_verbose_exclude_each_other(find):
    outcome = find("-q", "-v")
    assert outcome.returncode == 2
    assert "'--quiet' cannot be used with '--verbose...'" in outcome.stderr
