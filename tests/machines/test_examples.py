"""Each example from its source tree, with the Julia of the tests: its own tests, and its stubs."""

import os
import subprocess
import sys

import examples
import matplotlib.image
import numpy as np
import pytest
from paths import FIXTURES


@pytest.fixture(scope="module")
def environment(julia):
    """Return the variables with which every example can be imported from its source tree."""
    examples.provide_artifact()
    places = os.pathsep.join(str(package.parent) for package in examples.PACKAGES.values())
    return os.environ | {"TYPY_JL_EXE": julia, "PYTHONPATH": places}


@pytest.mark.parametrize("suite", examples.SUITES)
def test_its_own_tests(suite, environment):
    example, variables = examples.SUITES[suite]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    subprocess.run(command, cwd=FIXTURES / example, env=environment | variables, check=True)


def test_the_solution_is_plotted(environment, tmp_path):
    script = FIXTURES / "poisson/examples/plate.py"
    picture = tmp_path / "plate.png"
    subprocess.run([sys.executable, script, picture], env=environment | {"MPLBACKEND": "agg"}, check=True)
    colors = matplotlib.image.imread(picture)[..., :3]
    assert colors.shape[:2] == matplotlib.image.imread(script.with_suffix(".png")).shape[:2]
    # The color map's ends are both there: the plate gives way in two places, in opposite directions.
    for color in (matplotlib.colormaps["viridis"](0.0), matplotlib.colormaps["viridis"](1.0)):
        left = colors[:, : colors.shape[1] * 2 // 5]
        assert np.abs(left - color[:3]).sum(axis=2).min() < 0.05


@pytest.fixture(scope="module")
def written(environment, tmp_path_factory):
    """Return the directory with the stubs that are written today, of each package in one of its name."""
    target = tmp_path_factory.mktemp("stubs")
    code = """if True:
        import sys, pathlib, jnumpy
        for name in sys.argv[2:]:
            directory = pathlib.Path(sys.argv[1], name)
            directory.mkdir()
            jnumpy.write_stubs(name, directory)
    """
    names = [package.name for package in examples.PACKAGES.values()]
    subprocess.run([sys.executable, "-c", code, target, *names], env=environment, check=True)
    return target


@pytest.mark.parametrize("example", examples.PACKAGES)
def test_its_stubs_are_what_is_written_today(example, written):
    package = examples.PACKAGES[example]
    today = {path.name: path.read_text() for path in (written / package.name).iterdir()}
    assert today
    assert {path.name: path.read_text() for path in package.glob("*.pyi")} == today
    assert (package / "py.typed").read_text() == ""


@pytest.mark.parametrize("example", examples.PACKAGES)
def test_a_type_checker_accepts_it(example, tmp_path_factory):
    # One cache for all.
    cache = tmp_path_factory.getbasetemp() / "mypy"
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, examples.PACKAGES[example]]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.stdout.startswith("Success: no issues found"), outcome.stdout + outcome.stderr
