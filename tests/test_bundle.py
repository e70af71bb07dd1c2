"""An installed bundle: what it says of itself, and what it says when something is wrong with it or its place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

PROTOCOL = (REPOSITORY / "runtime/python/jnumpy/protocol").read_text().strip()
PACKAGE = "jl_kmeans1d"
CLUSTER = f"import numpy, {PACKAGE}; print({PACKAGE}.jl_cluster(numpy.array([1.0, 1.1, 5.0]), 2)[0].tolist())"
LIBJULIA = "julia/lib/x86_64-linux-gnu/libjulia.so.1"


@pytest.fixture(scope="module")
def site(kmeans_wheel, tmp_path_factory) -> Path:
    """Return a directory with the packed package and NumPy, and no other `jnumpy`."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, kmeans_wheel]
    subprocess.run(command, check=True)
    numpy = Path(
        subprocess.check_output([sys.executable, "-c", "import numpy; print(numpy.__path__[0])"], text=True).strip()
    )
    for name in ("numpy", "numpy.libs"):
        (site / name).symlink_to(numpy.parent / name)
    return site


@pytest.fixture
def bundle(site):
    return site / PACKAGE / "_jnumpy"


def run(site, code=CLUSTER, streams=subprocess.PIPE, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TYPY_", "JULIA_"))}
    environment |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    # `-S` leaves out the environment's own packages, the installed runtime among them.
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=streams,
        stderr=streams,
        text=True,
        timeout=120,
        cwd="/",
    )


def refused(site, code=CLUSTER, **variables):
    """The last line of the traceback of a run that has to end with an exception, not with a signal or `exit(1)`."""
    outcome = run(site, code, **variables)
    assert outcome.returncode == 1
    assert "Traceback" in outcome.stderr
    return outcome.stderr.strip().splitlines()[-1]


def test_it_works(site):
    outcome = run(site)
    assert (outcome.stdout, outcome.stderr) == ("[0, 0, 1]\n", "")


def test_it_says_what_it_is(site, bundle):
    code = f"import {PACKAGE}, jnumpy, json; print(json.dumps([jnumpy.bundle_info(), jnumpy.__file__]))"
    info, runtime = json.loads(run(site, code).stdout)
    assert info["bundle"] == str(bundle)
    assert info["julia_version"] == info["julia"]["version"]
    assert info["project"]["name"] == "Kmeans1d"
    assert Path(runtime) == bundle / "jnumpy/__init__.py"


@pytest.mark.parametrize("streams", [subprocess.PIPE, subprocess.DEVNULL])
def test_the_start_and_the_first_call_compile_nothing(site, tmp_path, streams):
    """Julia makes the file of its trace when it writes the first line to it."""
    trace, result = tmp_path / "trace.jl", tmp_path / "result"
    code = f"import numpy, {PACKAGE}; labels = {PACKAGE}.jl_cluster(numpy.array([1.0, 1.1, 5.0]), 2)[0]"
    run(site, f"{code}; labels.tofile({str(result)!r})", streams, TYPY_JL_OPTS=f"--trace-compile={trace}")
    assert result.read_bytes()
    assert not trace.exists(), trace.read_text()


def test_nothing_is_imported_that_a_bundle_has_no_use_for(site):
    code = f"import sys, numpy; before = set(sys.modules); import {PACKAGE}; print(*sorted(set(sys.modules) - before))"
    brought = set(run(site, code).stdout.split())
    assert "jnumpy._runtime" in brought
    assert brought & {"ctypes", "glob", "inspect", "shutil", "socket", "subprocess", "threading", "typing"} == set()


def test_an_installed_runtime_is_preferred(site, bundle, tmp_path):
    shutil.copytree(bundle / "jnumpy", tmp_path / "jnumpy")
    code = f"import {PACKAGE}, jnumpy; print(jnumpy.__file__)"
    outcome = run(site, code, PYTHONPATH=f"{tmp_path}:{site}")
    assert outcome.stdout == f"{tmp_path}/jnumpy/__init__.py\n", outcome.stderr


def test_a_foreign_package_named_jnumpy_is_passed_over_or_named(site, bundle, tmp_path):
    (tmp_path / "jnumpy").mkdir()
    (tmp_path / "jnumpy/__init__.py").write_text("")
    path = f"{tmp_path}:{site}"
    assert run(site, PYTHONPATH=path).stdout == "[0, 0, 1]\n"
    last = refused(site, f"import jnumpy, {PACKAGE}", PYTHONPATH=path)
    assert last.startswith(
        f"ImportError: {bundle} needs jnumpy with protocol {PROTOCOL}, but {tmp_path}/jnumpy/__init__.py"
    )


def test_a_julia_that_runs_already_is_named(site, bundle, julia, tmp_path):
    shutil.copytree(bundle / "jnumpy", tmp_path / "jnumpy")
    typython = Path(__file__).parent.parent / "runtime/python/jnumpy/julia"
    shutil.copytree(typython, tmp_path / "jnumpy/julia", dirs_exist_ok=True)
    code = f"import jnumpy; jnumpy.init_jl(); import {PACKAGE}"
    last = refused(site, code, PYTHONPATH=f"{tmp_path}:{site}", TYPY_JL_EXE=julia)
    assert last.startswith("ImportError: Julia 1.")
    assert "runs already in this process" in last


@pytest.fixture
def changed(bundle):
    """Let a test change files of the bundle; they are put back afterwards."""
    kept = {}

    def change(name, content):
        path = bundle / name
        aside = path.with_name(f"{path.name}.kept")
        path.rename(aside)
        kept[path] = aside
        if content is not None:
            path.write_bytes(content)
        return path

    yield change
    for path, aside in kept.items():
        aside.replace(path)


def test_a_missing_library_is_named(site, changed):
    path = changed(LIBJULIA, None)
    assert refused(site) == f"ImportError: {path} cannot be used (No such file or directory); reinstall the package"


def test_a_missing_image_is_named(site, bundle, changed):
    path = changed(json.loads((bundle / "bundle.json").read_text())["image"]["path"], None)
    assert refused(site) == f"ImportError: {path} cannot be used (No such file or directory); reinstall the package"


def test_a_cut_library_is_named(site, bundle, changed):
    content = (bundle / LIBJULIA).read_bytes()
    path = changed(LIBJULIA, content[:1000])
    words = f"is damaged: it has 1000 bytes instead of {len(content)}; reinstall the package"
    assert refused(site) == f"ImportError: {path} {words}"


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"format": 1}'])
def test_a_damaged_description_is_named(site, changed, content):
    path = changed("bundle.json", content)
    last = refused(site)
    assert last.startswith(f"ImportError: {path} is missing or damaged (")
    assert last.endswith("); reinstall the package")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"protocol": 99},
            f"is format 1, protocol 99, but the jnumpy that is loaded reads format 1, protocol {PROTOCOL}",
        ),
        ({"platform": {"machine": "s390x", "glibc": [2, 17]}}, "was packed for s390x, this machine is "),
        ({"platform": {"machine": os.uname().machine, "glibc": [2, 99]}}, "needs glibc 2.99 or later, this system has"),
    ],
)
def test_a_bundle_for_another_place_is_refused(site, bundle, changed, change, words):
    description = json.loads((bundle / "bundle.json").read_text()) | change
    changed("bundle.json", json.dumps(description).encode())
    last = refused(site)
    assert last.startswith("ImportError: ")
    assert words in last


def test_a_library_for_another_processor_is_named(site, bundle, changed):
    content = bytearray((bundle / LIBJULIA).read_bytes())
    content[18:20] = (183).to_bytes(2, "little")  # e_machine: aarch64
    path = changed(LIBJULIA, bytes(content))
    assert refused(site).startswith(f"ImportError: `{path}` cannot be loaded: ")
