"""The packed wheel of kmeans1d with its image: other tools accept it, and its results are right."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import sites
from paths import REPOSITORY
from type_checker import mypy, wrong_lines

BIN = Path(sys.executable).parent


def run(*command, **variables):
    outcome = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables)
    assert outcome.returncode == 0, f"{command}: {outcome.stdout}{outcome.stderr}"
    return outcome.stdout


def test_it_is_smaller_than_the_index_allows(kmeans_wheel):
    assert kmeans_wheel.stat().st_size < 100 * 1024 * 1024


def test_our_audit_passes(pack, kmeans_wheel):
    report = json.loads(run(pack, "audit", kmeans_wheel, "--json"))
    assert report["version"] == 1
    assert report["passed"]


def test_twine_accepts_it(kmeans_wheel):
    assert "PASSED" in run(BIN / "twine", "check", "--strict", kmeans_wheel)


def test_auditwheel_agrees_with_the_tag(kmeans_wheel):
    """It counts the symbols that libgfortran and others of the wheel provide to each other, so it may ask for more."""
    shown = run(BIN / "auditwheel", "show", kmeans_wheel).replace("\n", " ")
    ours = [int(number) for number in re.search(r"manylinux_(\d+)_(\d+)_", kmeans_wheel.name).groups()]
    theirs = [int(number) for number in re.search(r'platform tag: "manylinux_(\d+)_(\d+)_', shown).groups()]
    assert theirs <= ours, shown


def test_check_wheel_contents_accepts_it(kmeans_wheel):
    """But for two things that are meant to be so.

    W004 takes every `.so` for a module of Python that somebody imports; Julia's are opened by other names. W002 is
    about equal files: the bootstrap is there twice, since its copy beside the bundle works without the runtime in it,
    and standard libraries have the same license.
    """
    command = [BIN / "check-wheel-contents", "--ignore", "W004", kmeans_wheel]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    inside = "jl_kmeans1d/_jnumpy/"
    duplicates = f"{kmeans_wheel}: W002: Wheel contains duplicate files:"
    before, bootstrap, *others = (group.split() for group in said.split(duplicates))
    assert before == []
    assert bootstrap == [f"{inside}__init__.py", f"{inside}jnumpy/_bootstrap.py"]
    for path in (path for group in others for path in group):
        assert path.startswith(f"{inside}julia/share/")
        assert path.endswith("/LICENSE")


def test_abi3audit_agrees_that_it_serves_every_python(kmeans_wheel):
    ((_, report),) = json.loads(run(BIN / "abi3audit", "--strict", "--report", kmeans_wheel))["specs"].items()
    results = {library["name"]: library["result"] for library in report["wheel"]}
    assert "_runtime.abi3.so" in results
    for result in results.values():
        assert result["is_abi3"]
        assert result["is_abi3_baseline_compatible"]
        assert result["baseline"] == "3.10"


def test_installer_installs_it(kmeans_wheel, tmp_path):
    run(sys.executable, "-m", "installer", "--destdir", tmp_path, "--validate-record", "all", kmeans_wheel)
    (package,) = tmp_path.rglob("jl_kmeans1d")
    site = package.parent
    (site / "numpy").symlink_to(Path(numpy.__path__[0]))
    (site / "numpy.libs").symlink_to(Path(numpy.__path__[0]).with_name("numpy.libs"))
    assert sites.printed(site, "import jl_kmeans1d; print(jl_kmeans1d.__name__)") == "jl_kmeans1d\n"


def test_uv_installs_it(kmeans_wheel, tmp_path):
    run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "venv", UV_CACHE_DIR=str(tmp_path / "uv"))
    python = tmp_path / "venv/bin/python"
    install = ("pip", "install", "--quiet", "--offline", "--no-deps", "--python", python)
    run(BIN / "uv", *install, kmeans_wheel, UV_CACHE_DIR=str(tmp_path / "uv"))
    run(python, "-c", "import jl_kmeans1d")


def test_its_answers_are_those_of_the_cpp_package(kmeans_wheel, tmp_path):
    packages = subprocess.check_output([sys.executable, "-c", "import numpy; print(numpy.__path__[0])"], text=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path, kmeans_wheel], check=True
    )
    command = [sys.executable, "-S", "-m", "pytest", "-p", "no:cacheprovider", "tests"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(packages.strip()).parent}"}
    # The fixture's directory is not on the path: its source tree must not be imported.
    environment["PYTHONSAFEPATH"] = "1"
    outcome = subprocess.run(
        command, env=environment, cwd=REPOSITORY / "fixtures/kmeans1d", capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    assert re.search(r"\b[1-9]\d* passed", outcome.stdout)


def test_it_brings_its_stub(kmeans_wheel, tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path, kmeans_wheel]
    subprocess.run(install, check=True)
    assert (tmp_path / "jl_kmeans1d/py.typed").read_text() == ""
    program = (
        "import numpy as np\n"
        "from jl_kmeans1d._kmeans1d import _jl_cluster\n"
        "from numpy.typing import NDArray\n"
        "clusters, means = _jl_cluster(np.zeros(3), 2)\n"
        "numbers: NDArray[np.int64] = clusters\n"
        "_jl_cluster(np.zeros(3), 2.0)  # wrong\n"
        "_jl_cluster([1.0], 2)  # wrong\n"
        "words: NDArray[np.str_] = clusters  # wrong\n"
    )
    faults, said = mypy(tmp_path, program)
    assert faults == wrong_lines(program), said


@pytest.mark.parametrize("name", ["METADATA", "WHEEL", "RECORD", "sboms/jnumpy-pack.cdx.json"])
def test_the_standard_files_are_there(kmeans_wheel, name):
    import zipfile

    with zipfile.ZipFile(kmeans_wheel) as archive:
        assert archive.read(f"jl_kmeans1d-0.1.0.dist-info/{name}")


def test_processes_share_what_julia_does_not_write(kmeans_wheel, tmp_path):
    site = sites.install(tmp_path / "site", kmeans_wheel)
    areas = sites.printed(site, "import jl_kmeans1d; print(open('/proc/self/smaps').read())").split("VmFlags:")
    (data,) = (area for area in areas if re.search(r" rw-p .*/_jnumpy/julia/.*\bsys\.so$", area, re.MULTILINE))
    size, private = (int(re.search(rf"^{name}: +(\d+) kB$", data, re.MULTILINE)[1]) for name in ("Size", "Anonymous"))
    assert private < 0.7 * size
