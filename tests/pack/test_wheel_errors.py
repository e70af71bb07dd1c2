"""Bad input to `jnumpy-pack wheel`: a clear message, exit status 1, and no partly written files."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from paths import FIXTURES

FIXTURE = FIXTURES / "kmeans1d"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the fixture, to be spoiled."""
    copy = tmp_path / "project"
    shutil.copytree(FIXTURE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def refused(pack: str, julia: str, project: Path, tmp_path: Path) -> Callable[..., str]:
    """Run the command on the project; return what it says after checking that it failed and wrote nothing."""

    def run(*options: str, environment: dict[str, str] | None = None) -> str:
        out = tmp_path / "out"
        before = listing(project)
        arguments = [pack, "wheel", str(project), "--out-dir", str(out), *options]
        if "--julia" not in options:
            arguments += ["--julia", julia]
        result = subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, **(environment or {})})
        assert result.returncode == 1, result.stderr
        assert result.stdout == ""
        assert not out.exists() or listing(out) == []
        assert listing(project) == before
        assert "panicked" not in result.stderr
        error = result.stderr[result.stderr.index("error: ") :]
        return error.replace(str(project), "<project>")

    return run


def listing(directory: Path) -> list[tuple[str, bytes]]:
    """Every file below a directory, with its contents."""
    return sorted((str(path), path.read_bytes()) for path in directory.rglob("*") if path.is_file())


def test_no_pyproject(refused, project):
    (project / "pyproject.toml").unlink()
    assert refused().startswith("error: no `pyproject.toml` in `<project>`\n\nhint: ")


def test_no_directory(pack, tmp_path):
    result = subprocess.run([pack, "wheel", str(tmp_path / "nothing")], capture_output=True, text=True)
    assert result.returncode == 1
    assert f"`{tmp_path / 'nothing'}`" in result.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no `[project]` table"),
        ("[project]\nname = 'a b'\nversion = '1'\n", "invalid `project.name`"),
        ("[project]\nname = 'a'\nversion = 'new'\n", "invalid `project.version`"),
        ("[project\n", "`<project>/pyproject.toml` is not valid TOML\n  caused by: TOML parse error at line 1"),
        (
            "[project]\nname = 'a'\nversion = '1'\n[tool.jnumpy]\nprecompil = 'x'\n",
            "unknown key in `[tool.jnumpy]`: `precompil`\n\nhint: did you mean `precompile`?",
        ),
    ],
)
def test_invalid_pyproject(refused, project, text, sentence):
    (project / "pyproject.toml").write_text(text)
    assert sentence in refused()


def test_no_project_toml(refused, project):
    (project / "jl_kmeans1d" / "Project.toml").unlink()
    (project / "tests" / "__init__.py").unlink(missing_ok=True)
    assert refused().startswith("error: no `Project.toml` in the package directory: `<project>/jl_kmeans1d`\n\nhint: ")


def test_no_name(refused, project):
    (project / "jl_kmeans1d" / "Project.toml").write_text("[deps]\n")
    assert refused().startswith("error: `<project>/jl_kmeans1d/Project.toml` has no `name`\n\nhint: put `name = ")


def test_name_without_source(refused, project):
    path = project / "jl_kmeans1d" / "Project.toml"
    path.write_text(path.read_text().replace('name = "Kmeans1d"', 'name = "Other"'))
    assert refused().startswith(
        "error: `Project.toml` names the module `Other`, but there is no file `<project>/jl_kmeans1d/src/Other.jl`\n"
    )


def test_manifest_of_another_julia(refused, project):
    (project / "jl_kmeans1d" / "Manifest.toml").write_text('julia_version = "1.99.1"\nmanifest_format = "2.0"\n')
    error = refused()
    assert error.startswith(
        "error: `<project>/jl_kmeans1d/Manifest.toml` was resolved by Julia 1.99.1, but the Julia in use is 1."
    )
    assert "hint: use Julia 1.99 (`--julia PATH`), or resolve again" in error


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('manifest_format = "3.0"\n', "its `manifest_format` is not one of 1 and 2: `3.0`"),
        ('manifest_format = "2.0"\n[[deps.A]]\n', "`A` has no `uuid`"),
        ("<<<<<<< HEAD\n", "is not valid TOML\n  caused by: TOML parse error at line 1"),
    ],
)
def test_manifest_that_cannot_be_read(refused, project, text, sentence):
    (project / "jl_kmeans1d" / "Manifest.toml").write_text(text)
    error = refused()
    assert error.startswith("error: `<project>/jl_kmeans1d/Manifest.toml`")
    assert sentence in error


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (
            "src/Kmeans1d.jl",
            "`data` of `[tool.jnumpy]` puts a file where the package has one already: `src/Kmeans1d.jl`\n",
        ),
        (
            "_jnumpy/bundle.json",
            "two files have the path `jl_kmeans1d/_jnumpy/bundle.json` in the wheel: `<project>/other` and ",
        ),
        ("src", "`jl_kmeans1d/src` is both a file and the directory of `jl_kmeans1d/src/Kmeans1d.jl` in the wheel"),
    ],
)
def test_two_sources_for_one_path(refused, project, place, sentence):
    (project / "other").write_text("other")
    with (project / "pyproject.toml").open("a") as file:
        file.write(f'data = {{ "{place}" = "other" }}\n')
    assert refused("--no-image").startswith(f"error: {sentence}")


def test_dependency_in_no_depot(refused, project, tmp_path):
    with (project / "jl_kmeans1d" / "Project.toml").open("a") as file:
        file.write('Example = "7876af07-990d-54b4-ab0e-23690620f79a"\n')
    (project / "jl_kmeans1d" / "Manifest.toml").write_text(
        '[[Example]]\ngit-tree-sha1 = "46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc"\n'
        'uuid = "7876af07-990d-54b4-ab0e-23690620f79a"\nversion = "0.5.3"\n'
    )
    error = refused(environment={"JULIA_DEPOT_PATH": str(tmp_path / "depot")})
    assert error.startswith(
        "error: the sources of `Example` 0.5.3 are in no depot, "
        f"looked for: `{tmp_path}/depot/packages/Example/aqsx3`, "
    )
    assert "Pkg.instantiate()" in error


def test_julia_that_does_not_start(refused, tmp_path):
    broken = tmp_path / "julia"
    broken.write_text("#!/bin/sh\necho 'cannot open shared object file' >&2\nexit 127\n")
    broken.chmod(0o755)
    error = refused("--julia", str(broken))
    assert error.startswith(f"error: the Julia `{broken}` (--julia) does not start\n")
    assert "cannot open shared object file" in error


def test_no_julia(pack, project, tmp_path):
    environment = {**os.environ, "PATH": "/nonexistent", "JNUMPY_HOME": str(tmp_path / "home"), "TYPY_JL_EXE": ""}
    arguments = [pack, "wheel", str(project), "--out-dir", str(tmp_path / "out")]
    result = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    assert "error: no Julia found, looked in: " in result.stderr
    assert "`jnumpy-pack julia install`" in result.stderr


@pytest.mark.parametrize(
    ("source", "sentence", "said"),
    [
        ("f() = \nend\n", "`jl_kmeans1d` cannot be imported", "syntax: unexpected"),
        ('ccall(:jl_generating_output, Cint, ()) == 1 && error("no!")\n', "the project does not compile", "no!"),
    ],
)
def test_project_that_does_not_compile(refused, project, tmp_path, source, sentence, said):
    """The one fails in the recorded run, as it would for a user; the other only when an image is written."""
    path = project / "jl_kmeans1d" / "src" / "Kmeans1d.jl"
    path.write_text(path.read_text().replace("module Kmeans1d\n", f"module Kmeans1d\n{source}"))
    home = tmp_path / "home"
    options = ("--cpu-target", "generic", "--python", sys.executable)
    error = refused(*options, environment={"JNUMPY_HOME": str(home)})
    first, _, cause = error.partition("\n")
    assert first.startswith(f"error: {sentence}")
    log = Path(first.rpartition("the whole log is `")[2].rstrip("`"))
    assert log.is_relative_to(home), first
    assert said in log.read_text()
    assert said in cause
    assert list((home / "images").glob("*.partial")) == []


def test_no_c_compiler(refused, tmp_path):
    (tmp_path / "bin").mkdir()
    environment = {"PATH": str(tmp_path / "bin"), "JNUMPY_HOME": str(tmp_path / "home")}
    error = refused("--cpu-target", "generic", "--python", sys.executable, environment=environment)
    assert error.startswith("error: no C compiler to link the image with, tried: `cc`, `gcc`, `clang`\n\nhint: ")


def test_more_than_the_index_takes(pack, julia, project, tmp_path):
    (project / "large").write_bytes(random.Random(1).randbytes(110_000_000))
    with (project / "pyproject.toml").open("a") as file:
        file.write('data = { "large" = "large" }\n')
    arguments = [pack, "wheel", project, "--out-dir", tmp_path, "--julia", julia, "--no-image", "--compress", "fast"]
    result = subprocess.run(arguments, capture_output=True, text=True)
    assert result.returncode == 0
    assert Path(result.stdout.strip()).stat().st_size > 104_857_600
    table = result.stderr.partition("in the wheel     unpacked  file\n")[2].splitlines()
    assert table[0].split() == ["110,000,000", "110,000,000", "jl_kmeans1d/large"]
    assert re.search(r"bytes in all, [\d,]+ above the limit of the Python index \(104,857,600\)\n", result.stderr)
    assert (
        "warning: the wheel is larger than the Python index accepts without an exemption; `--compress" in result.stderr
    )


def test_python_that_does_not_start(refused):
    assert refused("--python", "/nonexistent").startswith("error: the Python `/nonexistent` cannot be started")


@pytest.mark.parametrize("target", ["native", "generic;native,clone_all"])
def test_native_image(refused, target):
    error = refused("--cpu-target", target)
    assert error.startswith(
        f"error: a wheel cannot contain an image for this machine's processor only: `{target}`\n\nhint: "
    )


def test_runtime_that_is_none(refused, tmp_path):
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(b"PK")
    assert refused("--runtime", str(wheel)).startswith(f"error: the wheel cannot be read: `{wheel}`\n")


def test_missing_library(refused, julia, tmp_path):
    """libunwind needs liblzma: this machine has it, but a library of the machine does not go into a wheel."""
    prefix = Path(julia).parent.parent
    copy = tmp_path / "julia"
    subprocess.run(["cp", "-al", str(prefix), str(copy)], check=True)
    found = list(copy.glob("lib/**/liblzma.so.5*"))
    assert found, "this Julia does not bring liblzma: choose another library for this test"
    for path in found:
        path.unlink()
    error = refused("--no-image", "--julia", str(copy / "bin" / "julia"))
    assert error.startswith("error: not found: `liblzma.so.5` (needed by `")
    for part in ["libunwind.so.8", "libjulia.so.1", "looked in"]:
        assert part in error


def test_out_dir_that_is_not_writable(refused, pack, julia, project):
    for out in ["/proc/out", "/dev/null/out"]:
        arguments = [pack, "wheel", str(project), "--out-dir", out, "--julia", julia]
        result = subprocess.run(arguments, capture_output=True, text=True)
        assert result.returncode == 1
        assert result.stderr.startswith(f"error: the wheel cannot be written to `{out}`\n"), result.stderr


def test_full_disk(pack, julia, project, tmp_path):
    """The output directory is a file system of 20 MB; the wheel has about 90."""
    out = tmp_path / "small"
    out.mkdir()
    script = """
        mount -t tmpfs -o size=20m tmpfs "$1" || exit 3
        "$2" wheel "$3" --out-dir "$1" --julia "$4" --no-image; status=$?
        ls -A "$1"; exit $status
    """
    inside = ["sh", "-c", script, "sh", str(out), pack, str(project), julia]
    result = subprocess.run(["unshare", "--map-root-user", "--mount", *inside], capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert "error: cannot write the wheel" in result.stderr
    assert "hint: free disk space" in result.stderr
    assert result.stdout == "", "something was left"


@pytest.mark.parametrize("stage", ["image", "wheel"])
def test_interrupt(pack, julia, project, tmp_path, stage):
    out, home = tmp_path / "out", tmp_path / "home"
    out.mkdir()
    before = staged()
    options = ["--no-image"] if stage == "wheel" else ["--cpu-target", "generic"]

    def begun() -> bool:
        return any(out.glob(".jnumpy-pack-*/*")) if stage == "wheel" else bool(staged() - before)

    process = subprocess.Popen(
        [pack, "wheel", str(project), "--out-dir", str(out), "--julia", julia, *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "JNUMPY_HOME": str(home)},
    )
    deadline = time.monotonic() + 60
    while not begun() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert "error: interrupted; no partly written files were left" in stderr
    assert list(out.iterdir()) == []
    assert list(home.glob("images/*.partial")) == []
    assert staged() <= before


def staged() -> set[Path]:
    """The build trees that contain something."""
    return {path.parent for path in Path("/tmp").glob("jnumpy-????????????????/environment")}
