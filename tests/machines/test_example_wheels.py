"""All examples as wheels in one environment made by pip: imported together in any order, each passing its own tests."""

import json
import re
import subprocess
import zipfile
from importlib.metadata import version
from pathlib import Path

import examples
import pytest
import sites
from paths import FIXTURES

#: What the examples are compared with, and what runs the comparison; as the tests' own environment has them.
OTHERS = ["numpy", "scipy", "scikit-learn", "kmeans1d", "pytest"]

#: Package → a statement, and what it prints.
ANSWERS = {
    "basic": ("basic.jl_int_add(2**40, 2)", str(2**40 + 2)),
    "benches": ("benches.jl_mat_mul(np.eye(3) * 2, np.arange(9.0).reshape(3, 3)).sum()", "72.0"),
    "jl_fft": ("jl_fft.jl_fft([1.0, 2.0, 3.0, 4.0]).tolist()", "[(10+0j), (-2+2j), (-2+0j), (-2-2j)]"),
    "jl_fftw": ("jl_fftw.jl_fft([1.0, 2.0, 3.0, 4.0]).tolist()", "[(10+0j), (-2+2j), (-2+0j), (-2-2j)]"),
    "jl_kmeans": ("jl_kmeans.jl_kmeans(np.array([[0.0], [2.0], [9.0]]), 2).inertia", "2.0"),
    "jl_kmeans1d": (
        "[a.tolist() for a in jl_kmeans1d.jl_cluster(np.array([0.0, 9, 2]), 2)]",
        "[[0, 1, 0], [1.0, 9.0]]",
    ),
    "jl_ode": ("jl_ode.jl_solve(lambda t, y: 2 * t, (0, 3), [1]).y[0, -1].round(9)", "10.0"),
    "jl_poisson": ("np.round(jl_poisson.jl_poisson([2.0, 2.0, 2.0], 1.0)[0], 9).tolist()", "[-3.0, -4.0, -3.0]"),
    "jl_sparse": ("jl_sparse.jl_laplacian(2).toarray()[0].tolist()", "[4.0, -1.0, -1.0, 0.0]"),
}
NAMES = sorted(ANSWERS)
ORDERS = {"forwards": NAMES, "backwards": NAMES[::-1], "from the middle": NAMES[4:] + NAMES[:4]}


@pytest.fixture(scope="module")
def wheels(pack, julia, kmeans_wheel, tmp_path_factory) -> dict[str, Path]:
    """Return the wheels by example: kmeans1d with its image, the others quickly packed without one."""
    examples.provide_artifact()
    out_dir = tmp_path_factory.mktemp("wheels")
    packed = {"kmeans1d": kmeans_wheel}
    for name, package in examples.PACKAGES.items():
        if name not in packed:
            command = [pack, "wheel", package.parent, "--out-dir", out_dir, "--julia", julia, "--no-image"]
            outcome = subprocess.run([*command, "--compress", "fast"], stdout=subprocess.PIPE, text=True, check=True)
            packed[name] = Path(outcome.stdout.strip())
    return packed


@pytest.fixture(scope="module")
def python(wheels, tmp_path_factory) -> Path:
    """Return the Python of a fresh environment with all wheels and what they are compared with."""
    others = [f"{name}=={version(name)}" for name in OTHERS]
    return sites.environment(tmp_path_factory.mktemp("environment"), "--no-compile", *wheels.values(), *others)


def run(python: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run the environment's Python, which sees neither the source trees nor an installed Julia."""
    kept = sites.variables(PYTHONSAFEPATH="1", PYTHONDONTWRITEBYTECODE="1", **variables)
    return subprocess.run([python, *arguments], env=kept, cwd="/", capture_output=True, text=True)


def test_there_is_an_answer_for_each():
    assert {package.name for package in examples.PACKAGES.values()} == set(ANSWERS)


@pytest.mark.parametrize("order", ORDERS)
def test_all_in_one_process(python, order):
    lines = ["import numpy as np", *(f"import {name}" for name in ORDERS[order])]
    lines += [f"print({ANSWERS[name][0]})" for name in reversed(ORDERS[order])]
    lines.append("import jnumpy; print(len(jnumpy.bundle_info()['joined']))")
    outcome = run(python, "-c", "\n".join(lines))
    assert (outcome.returncode, outcome.stderr) == (0, "")
    expected = [ANSWERS[name][1] for name in reversed(ORDERS[order])]
    assert outcome.stdout.splitlines() == [*expected, str(len(NAMES) - 1)]


@pytest.mark.parametrize("suite", examples.SUITES)
def test_its_own_tests(python, suite):
    example, variables = examples.SUITES[suite]
    tests = FIXTURES / example / "tests"
    outcome = run(python, "-m", "pytest", "-p", "no:cacheprovider", str(tests), **variables)
    assert outcome.returncode == 0, outcome.stdout[-3000:] + outcome.stderr
    assert re.search(r"\b[1-9]\d* passed", outcome.stdout)


def test_the_license_of_a_native_library_is_told(wheels):
    with zipfile.ZipFile(wheels["fftw"]) as archive:
        names = archive.namelist()
        (place,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(place).decode()
        (text,) = [name for name in names if ".dist-info/licenses/artifacts/" in name and name.endswith("/GPL-2")]
        assert "GNU GENERAL PUBLIC LICENSE" in archive.read(text).decode()
        (bill,) = [json.loads(archive.read(name)) for name in names if name.endswith(".cdx.json")]
    expression = "GPL-2.0-or-later AND (MIT OR Apache-2.0)"
    assert f"\nLicense-Expression: {expression}\n" in metadata
    assert bill["metadata"]["component"]["licenses"] == [{"expression": expression}]
    (library,) = [component for component in bill["components"] if component["name"] == "FFTW"]
    told = {entry["name"]: entry["value"] for entry in library["properties"]}
    assert told["julia:license-files"] == "share/licenses/FFTW/GPL-2, share/licenses/FFTW/copyright"
