"""A directory made by `wheelhouse` has all that pip needs on a machine without network, and pip checks every hash."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from machines import MachineError

PLACE = "/opt/wheelhouse"


def collect(pack: Path, *words: object) -> subprocess.CompletedProcess:
    command = [pack, "wheelhouse", "--python", sys.executable, *words]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


@pytest.fixture(scope="module")
def collected(pack, machine, small) -> dict:
    """Return the output of the command about a directory that it has made on the machine."""
    place = machine.root / PLACE.lstrip("/")
    versions = ("--python-version", "3.11", "--python-version", "3.13")
    made = collect(pack, small.wheels[0], "--out-dir", place, *versions, "--json")
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


def install(machine, environment: str) -> None:
    machine.run(["python3", "-m", "venv", environment], user=0)
    pip = [f"{environment}/bin/pip", "install", "--no-index", "--find-links", PLACE, "--require-hashes"]
    machine.run([*pip, "--requirement", f"{PLACE}/requirements.txt"], user=0)


def test_it_holds_each_wheel_for_each_python(machine, collected, small):
    assert (collected["version"], collected["python_versions"]) == (1, ["3.11", "3.13"])
    held = {wheel["name"]: wheel["python_versions"] for wheel in collected["wheels"]}
    assert held.pop(small.wheels[0].name) == ["3.11", "3.13"]
    assert {name.split("-")[0] for name in held} == {"numpy"}
    assert sorted(version for versions in held.values() for version in versions) == ["3.11", "3.13"]
    place = machine.root / PLACE.lstrip("/")
    assert {path.name for path in (place / "simple").iterdir()} == {"index.html", "jl-one", "numpy"}
    assert not list(place.parent.glob(".tmp-*"))


def test_it_installs_and_runs(machine, collected):
    install(machine, "/opt/environment")
    code = "import jl_one; print(jl_one.year())"
    assert machine.run(["/opt/environment/bin/python", "-c", code]).output == "2022\n"


def test_a_wheel_that_has_changed_is_refused(machine, collected):
    (name,) = (
        wheel["name"] for wheel in collected["wheels"] if wheel["name"].startswith("numpy") and "313" in wheel["name"]
    )
    wheel = machine.root / PLACE.lstrip("/") / name
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(MachineError, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
            install(machine, "/opt/refused")
    finally:
        wheel.write_bytes(whole)


@pytest.mark.parametrize(
    ("words", "message", "remedy"),
    [
        (
            ["README.md"],
            "the file name of `README.md` is not that of a wheel for Linux",
            "name wheels that `jnumpy-pack wheel` has packed",
        ),
        (["{wheel}", "--python-version", "3"], "`3` is not a version of Python", "`--python-version 3.13`"),
        (["{wheel}", "--platform", "manylinux_2_5"], "does not run on manylinux_2_5_", "`--platform manylinux_X_Y`"),
        (["{wheel}", "--platform", "windows"], "`windows` is not a manylinux platform tag", ""),
        (
            ["{wheel}", "--python-version", "3.9"],
            "pip cannot download everything that CPython 3.9 needs",
            "`--find-links DIR`",
        ),
        (["{wheel}", "--out-dir", "{taken}"], "is not an empty directory", "`--out-dir DIR`"),
    ],
)
def test_errors_leave_nothing(pack, small, tmp_path, words, message, remedy):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    filled = [word.format(wheel=small.wheels[0], taken=taken) for word in words]
    failed = collect(pack, "--out-dir", tmp_path / "new", *filled) if "{taken}" not in words else collect(pack, *filled)
    assert failed.returncode == 1
    assert message in failed.stderr
    assert remedy in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
