"""`jnumpy-pack wheel`: what is in a wheel, and that the same input gives the same bytes.

Wheels are packed without an image here, which takes seconds; the clean machine's tests have one with.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from paths import FIXTURES

FIXTURE = FIXTURES / "kmeans1d"


def pack_wheel(pack: str, julia: str, project: Path, out: Path, *options: str, before: tuple[str, ...] = ()) -> dict:
    """Pack a project without an image; return the JSON output of the command."""
    command = [*before, pack, "-q", "wheel", str(project), "--out-dir", str(out), "--julia", julia, "--no-image"]
    result = subprocess.run([*command, "--json", *options], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    copy = tmp_path_factory.mktemp("project") / "kmeans1d"
    shutil.copytree(FIXTURE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def packed(pack, julia, project, tmp_path_factory) -> dict:
    return pack_wheel(pack, julia, project, tmp_path_factory.mktemp("out"))


def test_same_input_same_bytes(pack, julia, packed, tmp_path):
    elsewhere = tmp_path / "an other place" / "kmeans1d"
    shutil.copytree(FIXTURE, elsewhere, ignore=shutil.ignore_patterns("__pycache__"))
    (elsewhere / "jl_kmeans1d" / "__pycache__").mkdir()
    (elsewhere / "jl_kmeans1d" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"left over")
    before = ("sh", "-c", 'umask 077; exec taskset --cpu-list 0 "$@"', "sh")
    again = pack_wheel(pack, julia, elsewhere, tmp_path / "out", before=before)
    assert again["sha256"] == packed["sha256"]
    assert Path(again["path"]).read_bytes() == Path(packed["path"]).read_bytes()


def test_dry_run_writes_nothing(pack, julia, project, packed, tmp_path):
    out = tmp_path / "out"
    planned = pack_wheel(pack, julia, project, out, "--dry-run")
    assert not out.exists()
    assert (planned["path"], planned["size"]) == (None, None)
    listed = {(file["path"], file["size"]) for file in planned["files"]}
    written = {(file["path"], file["size"]) for file in packed["files"]}
    assert listed == written


def test_bundle_description(packed):
    with zipfile.ZipFile(packed["path"]) as wheel:
        names = {info.filename: info.file_size for info in wheel.infolist()}
        inside = "jl_kmeans1d/_jnumpy/"
        bundle = json.loads(wheel.read(inside + "bundle.json"))
        bootstrap = wheel.read(inside + "__init__.py")
        assert bootstrap == wheel.read(inside + "jnumpy/_bootstrap.py")
        assert str(bundle["protocol"]) == wheel.read(inside + "jnumpy/protocol").decode().strip()
    assert list(bundle) == sorted(bundle)
    for path in [bundle["julia"]["libjulia"], bundle["image"]["path"], bundle["typython"] + "/Project.toml"]:
        assert inside + path in names
    assert any(name.startswith(inside + bundle["julia"]["bindir"] + "/") for name in names)
    assert bundle["files"].items() <= {name.removeprefix(inside): size for name, size in names.items()}.items()
    assert bundle["image"]["path"] in bundle["files"]
    assert bundle["platform"]["glibc"] == [int(part) for part in packed["name"].split("manylinux_")[1].split("_")[:2]]


def test_marked_line(packed, project):
    with zipfile.ZipFile(packed["path"]) as wheel:
        packed_source = wheel.read("jl_kmeans1d/__init__.py").decode()
    source = (project / "jl_kmeans1d" / "__init__.py").read_text()
    added = [line for line in packed_source.splitlines() if line not in source.splitlines()]
    assert added == ["from . import _jnumpy  # jnumpy-pack: starts the bundled Julia"]
    assert packed_source.replace(added[0] + "\n", "") == source
    before, after = ast.parse(source), ast.parse(packed_source)
    assert ast.get_docstring(after) == ast.get_docstring(before)


def test_each_library_once(packed):
    """Every second name of a library is a file of a few hundred bytes, and downloads are left out."""
    libraries = {
        file["path"].rsplit("/", 1)[1]: file["size"] for file in packed["files"] if "/julia/lib/" in file["path"]
    }
    blas = {name: size for name, size in libraries.items() if name.startswith("libopenblas64_")}
    (stored,) = (name for name, size in blas.items() if size > 1_000_000)
    assert re.fullmatch(r"libopenblas64_-[0-9a-f]{8}\.so\.0", stored)
    assert {name for name, size in blas.items() if size < 2000} == {"libopenblas64_.so", "libopenblas64_.so.0"}
    for name in libraries:
        assert not name.startswith(("libcurl", "libgit2", "libssh2", "libstdc++", "libgcc_s", "libc.so"))
    reasons = {rule["reason"] for rule in packed["left_out"]}
    assert "Julia's own tests" in reasons


def test_text_output(pack, julia, project, tmp_path):
    command = [pack, "wheel", str(project), "--out-dir", str(tmp_path), "--julia", julia, "--no-image"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(result.stdout.strip()).parent == tmp_path
    stages = [line.split()[0] for line in result.stderr.splitlines() if line.endswith(" s)")]
    assert stages == ["project", "julia", "bundle", "wheel", "audit"]
    assert "below the limit of the Python index (104,857,600)" in result.stderr
    assert os.listdir(tmp_path) == [Path(result.stdout.strip()).name]


def test_runs_without_an_image(packed, tmp_path):
    """Everything is compiled from sources, in a read-only directory."""
    with zipfile.ZipFile(packed["path"]) as wheel:
        wheel.extractall(tmp_path)
    for directory, _, _ in os.walk(tmp_path):
        Path(directory).chmod(0o555)
    code = (
        "import numpy, jl_kmeans1d; print(jl_kmeans1d.jl_cluster(numpy.array([1.0, 9.0, 1.5]), 2)[0].tolist())\n"
        "import jnumpy\n"
        "for package in (None, jl_kmeans1d):\n"
        "    try: jnumpy.reload(package)\n"
        "    except RuntimeError as error: print(error)"
    )
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    clusters, no_project, packed_project = result.stdout.splitlines()
    assert clusters == "[0, 1, 0]", result.stderr
    assert no_project.startswith("no project runs from its sources: `reload()` is for development")
    assert packed_project == (
        f"`jl_kmeans1d` is packed in {tmp_path}/jl_kmeans1d: `reload()` is for projects that run from their sources"
    )
