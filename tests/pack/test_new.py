"""A new project packs and passes its own test, and nothing that exists is changed."""

import os
import subprocess
import sys

import pytest
from paths import REPOSITORY


def new(pack, *arguments, cwd):
    return subprocess.run([pack, "new", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_a_new_project_passes_its_own_test(pack, julia, tmp_path):
    made = new(pack, "My-solver", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout == "./my-solver\n"
    project = tmp_path / "my-solver"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=os.environ | {"TYPY_JL_EXE": julia},
        check=True,
    )
    config = ["--config", str(REPOSITORY / "ruff.toml")]
    for check in (["check", "--ignore", "D103"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *check, *config, project], check=True)
    command = [pack, "wheel", project, "--julia", julia, "--cpu-target", "generic", "--dry-run"]
    packed = subprocess.run(command, capture_output=True, text=True)
    assert packed.returncode == 0, packed.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("2d", "the project cannot be named `2d`: the name of a Python package cannot start with a digit"),
        ("a/b", "the project cannot be named `a/b`: a name consists of letters, digits, `-`, `_`, and `.`"),
        ("for", "the project cannot be named `for`: it is a Python keyword"),
        ("json", "the project cannot be named `json`: it would shadow a Python module of the same name"),
        (
            "dates",
            "the project cannot be named `dates`: its Julia module would shadow a module of Julia's standard library",
        ),
    ],
)
def test_names_that_will_not_do(pack, tmp_path, name, words):
    refused = new(pack, name, cwd=tmp_path)
    assert refused.returncode == 1
    assert words in refused.stderr
    assert "hint: choose a name like `my-solver`" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(pack, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/precious").write_text("data")
    refused = new(pack, "mine", cwd=tmp_path)
    assert refused.returncode == 1
    assert "error: `./mine` already exists" in refused.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "precious"]


def test_the_current_directory_becomes_a_project(pack, tmp_path):
    (tmp_path / "solver").mkdir()
    (tmp_path / "solver/notes.txt").write_text("kept")
    made = new(pack, ".", cwd=tmp_path / "solver")
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == str(tmp_path / "solver")
    assert (tmp_path / "solver/solver/src/Solver.jl").is_file()
    refused = new(pack, ".", cwd=tmp_path / "solver")
    assert refused.returncode == 1
    assert "already exists" in refused.stderr


def test_no_place_to_put_it(pack, tmp_path):
    refused = new(pack, "mine", "--directory", "nowhere", cwd=tmp_path)
    assert refused.returncode == 1
    assert "error: cannot create a project in `nowhere`" in refused.stderr
