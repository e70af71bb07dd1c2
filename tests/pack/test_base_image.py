"""A wheel with only the standard libraries that it uses: `--stdlibs used`."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import sites
from paths import FIXTURES

pytestmark = pytest.mark.long

PACKAGE = "jl_kmeans1d"
INSIDE = f"{PACKAGE}/_jnumpy/julia"
USED = {"Dates", "Libdl", "LinearAlgebra", "Logging", "Printf", "Random", "Serialization", "Sockets", "Unicode"}
COMMAND = ["--cpu-target", "generic", "--python", sys.executable, "--stdlibs", "used"]


def run(pack, julia, *options) -> subprocess.CompletedProcess:
    command = [pack, "-q", "wheel", FIXTURES / "kmeans1d", "--julia", julia, *COMMAND, *options]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def packed(pack, julia, tmp_path_factory) -> dict:
    """Pack the fixture; return the JSON output of the command."""
    outcome = run(pack, julia, "--json", "--out-dir", tmp_path_factory.mktemp("wheels"))
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


@pytest.fixture(scope="module")
def site(packed, tmp_path_factory) -> Path:
    return sites.install(tmp_path_factory.mktemp("site"), Path(packed["path"]))


def test_what_is_in_it(packed, kmeans_wheel):
    libraries = packed["standard_libraries"]
    assert set(libraries["inside"]) == USED
    assert libraries["inside"]["Dates"] == "`TyPython` depends on it"
    assert libraries["inside"]["Unicode"] == "`Printf` depends on it"
    assert {"Pkg", "REPL", "SparseArrays", "Test"} <= set(libraries["left_out"])
    with zipfile.ZipFile(packed["path"]) as wheel:
        names = set(wheel.namelist())
        (sbom,) = (json.loads(wheel.read(name)) for name in names if "/sboms/" in name)
    assert [name for name in names if "libcholmod" in name or "libumfpack" in name] == []
    (stdlib,) = {name.split("/Pkg/")[0] for name in names if "/stdlib/" in name and "/Pkg/" in name}
    assert {name for name in names if name.startswith(f"{stdlib}/Pkg/")} == {
        f"{stdlib}/Pkg/Project.toml",
        f"{stdlib}/Pkg/src/Pkg.jl",
    }
    (julia,) = (part for part in sbom["components"] if part.get("purl", "").startswith("pkg:generic/julia@"))
    properties = {entry["name"]: entry["value"] for entry in julia["properties"]}
    assert properties["julia:standard-libraries"] == ", ".join(sorted(USED))
    assert "SparseArrays" in properties["julia:standard-libraries-left-out"].split(", ")
    # Most of the saved bytes were in the image.
    assert packed["size"] < 0.8 * kmeans_wheel.stat().st_size


@pytest.mark.parametrize("streams", [subprocess.PIPE, subprocess.DEVNULL])
def test_the_start_and_the_first_call_compile_nothing(site, tmp_path, streams):
    trace, result = tmp_path / "trace.jl", tmp_path / "result"
    code = f"import numpy, {PACKAGE}; labels = {PACKAGE}.jl_cluster(numpy.array([1.0, 1.1, 5.0]), 2)[0]"
    sites.run(site, f"{code}; labels.tofile({str(result)!r})", streams, TYPY_JL_OPTS=f"--trace-compile={trace}")
    assert result.read_bytes()
    assert not trace.exists(), trace.read_text()


def test_what_is_there_works_and_the_rest_is_refused_by_name(site):
    code = f"""
import {PACKAGE}, jnumpy
print(jnumpy.eval_julia("import Dates; Dates.year(Dates.Date(2022, 2, 2))"), 0.0 <= jnumpy.eval_julia("rand()") < 1.0)
jnumpy.exec_julia('@warn "a message"')
try:
    jnumpy.exec_julia("using SparseArrays")
except RuntimeError as error:
    print(error)
"""
    outcome = sites.run(site, code)
    assert outcome.returncode == 0, outcome.stderr
    first, *rest = outcome.stdout.splitlines()
    assert first == "2022 True"
    assert "the standard library `SparseArrays` is not in the wheel that has started Julia" in "\n".join(rest)
    assert "--stdlibs all" in "\n".join(rest)
    assert outcome.stderr.startswith("┌ Warning: a message")


def test_why_one_is_in_it_or_not(pack, julia, packed):
    said = run(pack, julia, "--explain", "Libdl", "--explain", "Pkg", "--explain", "libcholmod.so.3").stdout
    assert said.splitlines() == [
        "the standard library `Libdl`: in the image: `LinearAlgebra` depends on it",
        "the standard library `Pkg`: out: no package of the project depends on it; `--stdlibs all` takes it, as does "
        "`[deps]` of a `Project.toml`",
        "`libcholmod.so.3`: out: Julia brings it, but no library in the bundle needs it and nothing in the image names "
        'it; `libraries = ["libcholmod.so.3"]` in `[tool.jnumpy]` takes it',
    ]


@pytest.mark.parametrize("image", ["packages", "none"])
def test_it_needs_a_full_image(pack, julia, image):
    outcome = run(pack, julia, "--dry-run", "--image", image)
    assert outcome.returncode == 1
    words = "error: a wheel with only the used standard libraries needs the image `full`"
    assert outcome.stderr.startswith(words)
