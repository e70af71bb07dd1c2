"""What modules do while an image is built, and which of their globals the image preserves."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sites
from paths import PROJECTS


@pytest.fixture(scope="module")
def packed(pack, julia, tmp_path_factory) -> tuple[Path, str]:
    """Return the wheel of the project, and what was said."""
    project = shutil.copytree(PROJECTS / "state", tmp_path_factory.mktemp("state") / "state")
    outcome = packing(pack, julia, project)
    assert outcome.returncode == 0, outcome.stderr
    return Path(outcome.stdout.strip()), outcome.stderr


@pytest.fixture(scope="module")
def site(packed, tmp_path_factory) -> Path:
    return sites.install(tmp_path_factory.mktemp("site"), packed[0])


def packing(pack, julia, project) -> subprocess.CompletedProcess:
    command = [pack, "wheel", project, "--julia", julia, "--cpu-target", "generic", "--python", sys.executable]
    return subprocess.run([*command, "--out-dir", project / "out"], capture_output=True, text=True)


def test_every_process_draws_its_own_random_numbers(site):
    printed = [sites.printed(site, "import jl_state; print(jl_state.drawn())") for _ in range(3)]
    for position in range(3):
        assert len({line.split(",")[position] for line in printed}) == 3


def test_what_was_computed_while_loading_is_kept(site):
    code = "import jl_state; print(jl_state.frozen(), jl_state.numbers(), jl_state.documented().strip())"
    first, second = (sites.printed(site, code) for _ in range(2))
    assert first == second
    assert first.endswith(" True What f does.\n")


def test_tables_are_found_in_after_the_paths_have_changed(site):
    assert sites.printed(site, "import jl_state; print(jl_state.found())") == "(True, True, True, True)\n"


def test_what_a_recorded_run_has_called_is_compiled(site, tmp_path):
    trace = tmp_path / "trace.jl"
    code = 'import jl_state; print(jl_state.told("yyyy-mm-dd", abs, number=2.5))'
    assert sites.printed(site, code, TYPY_JL_OPTS=f"--trace-compile={trace}") == "2020-01-02  2.50a\n"
    compiled = trace.read_text() if trace.exists() else ""
    assert not [line for line in compiled.splitlines() if re.search(r"told|Dates|Printf", line)]


def test_binary_packages_find_the_libraries_of_the_wheel(site, packed):
    bindir = f"{site}/jl_state/_jnumpy/julia/bin"
    assert sites.printed(site, "import jl_state; print(*jl_state.directories())") == f"{bindir} {bindir}\n"
    assert "Thing_jll" not in packed[1]
    assert "JLLWrappers" not in packed[1]


def test_what_does_not_live_on_is_reported_by_name(pack, julia, packed):
    wheel, said = packed
    warned = {
        re.match(r"[\w., `]*(?:and \d+ more)?", line.removeprefix("warning: "))[0]: line
        for line in said.splitlines()
        if line.startswith("warning: ")
    }
    text = "\n".join(warned.values())
    for name, words in {
        "PIECES": "a part of the path of the build directory",
        "OUTPUT": "an open stream",
        "PASSWORDS": "an open stream",
        "POINTER": "a pointer",
        "Inner.HANDLES": "a pointer",
        "TIMER": "a timer",
        "GENERATOR": "seeded while packing",
        "TABLE": "hashed again",
        "PLACES": "hashed again",
    }.items():
        assert any(f"`State.{name}`" in line and words in line for line in warned.values()), f"{name}: {text}"
    for name in ("SEEDED", "NULL", "ORDER", "LARGE", "MATCH", "DEVICE", "FREE"):
        assert f"State.{name}`" not in text
    # The warnings are repeated if the image comes from the cache.
    again = packing(pack, julia, wheel.parents[1])
    assert [line for line in again.stderr.splitlines() if line.startswith("warning: ")] == list(warned.values())


@pytest.mark.parametrize(
    ("statement", "error", "remedy"),
    [
        ('const NP = py_import("numpy")', "calls Python while the module is loaded", "in `init()`"),
        ("const HELD = (held = ReentrantLock(); lock(held); held)", "` holds a lock that is locked", "unlock it"),
        ("const TASK = Task(() -> 1)", "`State.TASK` holds a task", "start it in `init()`"),
    ],
)
def test_what_no_image_can_hold_is_refused_in_a_sentence(pack, julia, tmp_path, statement, error, remedy):
    project = shutil.copytree(PROJECTS / "state", tmp_path / "state")
    source = project / "jl_state/src/State.jl"
    source.write_text(f"module State\nusing TyPython.CPython\n{statement}\ninit() = nothing\nend\n")
    (project / "jl_state/__init__.py").write_text(
        "from jnumpy import init_jl, init_project\ninit_jl()\ninit_project(__file__)\n"
    )
    (project / "workload.py").write_text("import jl_state\n")
    outcome = packing(pack, julia, project)
    assert outcome.returncode == 1
    said = outcome.stderr[outcome.stderr.index("error: ") :].splitlines()
    assert len(said) == 3
    assert error in said[0]
    assert "State.jl:3" in said[0] or "`State." in said[0]
    assert said[2].startswith("hint: ")
    assert remedy in said[2]
