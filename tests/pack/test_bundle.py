"""An installed bundle: `bundle_info()`, and the errors if the bundle or its directory is damaged or unsuitable."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import sites

PACKAGE = "jl_kmeans1d"
CLUSTER = f"import numpy, {PACKAGE}; print({PACKAGE}.jl_cluster(numpy.array([1.0, 1.1, 5.0]), 2)[0].tolist())"
LIBJULIA = "julia/lib/x86_64-linux-gnu/libjulia.so.1"


@pytest.fixture(scope="module")
def site(kmeans_wheel, small, tmp_path_factory) -> Path:
    """Return a directory with the packed package and a small one without an image."""
    site = tmp_path_factory.mktemp("site")
    return sites.install(site, kmeans_wheel, *small.wheels[:1])


@pytest.fixture
def bundle(site):
    return site / PACKAGE / "_jnumpy"


def run(site, code=CLUSTER, streams=subprocess.PIPE, **variables):
    return sites.run(site, code, streams, **variables)


def refused(site, code=CLUSTER, **variables):
    return sites.refused(site, code, **variables)


def test_it_works(site):
    assert sites.printed(site, CLUSTER) == "[0, 0, 1]\n"


@pytest.mark.parametrize("order", [(PACKAGE, "jl_one"), ("jl_one", PACKAGE)])
def test_one_with_an_image_and_one_without_share_a_julia(site, order):
    code = f"""
import numpy, {order[0]}, {order[1]}, jnumpy
print({PACKAGE}.jl_cluster(numpy.array([1.0, 1.1, 5.0]), 2)[0].tolist(), jl_one.scaled(3.0), jl_one.year())
info = jnumpy.bundle_info()
print(info["bundle"], [joined["bundle"] for joined in info["joined"]])
"""
    first, second = (str(site / name / "_jnumpy") for name in order)
    assert sites.printed(site, code) == f"[0, 0, 1] 6.0 2022\n{first} {[second]}\n"


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
    outcome = run(site, code, JNUMPY_LOG="1")
    brought = set(outcome.stdout.split())
    assert "jnumpy._runtime" in brought
    said = [line.partition("s: ")[2] for line in outcome.stderr.splitlines() if line.startswith("jnumpy ")]
    assert said[0].startswith("the bundle in ")
    assert said[-1] == "Kmeans1d is loaded"
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
    needs = f"{bundle} needs jnumpy with protocol {sites.PROTOCOL}"
    assert last.startswith(f"ImportError: {needs}, but {tmp_path}/jnumpy/__init__.py")


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


def test_what_was_read_before_an_import_failed_is_read_again(site, bundle, changed):
    whole = (bundle / "bundle.json").read_text()
    elsewhere = {"platform": {"machine": "s390x", "glibc": [2, 17]}}
    path = changed("bundle.json", json.dumps(json.loads(whole) | elsewhere).encode())
    again = f"open({str(path)!r}, 'w').write({whole!r})"
    code = f"try:\n    import {PACKAGE}\nexcept ImportError as error:\n    print(error)\n    {again}\nimport {PACKAGE}"
    outcome = run(site, code)
    assert outcome.returncode == 0, outcome.stderr
    assert "was packed for s390x" in outcome.stdout


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"format": 1}'])
def test_a_damaged_description_is_named(site, changed, content):
    path = changed("bundle.json", content)
    last = refused(site)
    assert last.startswith(f"ImportError: {path} is missing or damaged (")
    assert last.endswith("); reinstall the package")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol": 99}, f"is loaded, reads format {sites.FORMAT}, protocol {sites.PROTOCOL}; pack both with"),
        ({"platform": {"machine": "s390x", "glibc": [2, 17]}}, "was packed for s390x, but this machine is "),
        (
            {"platform": {"machine": os.uname().machine, "glibc": [2, 99]}},
            "needs glibc 2.99 or later, but this system has",
        ),
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
