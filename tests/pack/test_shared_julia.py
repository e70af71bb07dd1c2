"""Wheels that share one Julia: `julia-wheel` packs it, and `wheel --shared` packs what requires it."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest
import sites
import small_projects
import versions

pytestmark = pytest.mark.every_julia

COMPUTE = "print([(m.scaled(3.0), m.year()) for m in (jl_one, jl_two)])"
COMPUTED = "[(6.0, 2022), (6.0, 2022)]\n"


@dataclass
class Wheels:
    """The wheel of Julia, its import package, and wheels of two projects that require it."""

    julia: Path
    package: str
    one: Path
    two: Path
    #: The project of the first one, which needs what is in this depot.
    project: Path
    depot: small_projects.Depot


@pytest.fixture(scope="module")
def options(version) -> list[str]:
    """Return the options for package images if this Julia has them; otherwise those for Julia's own image."""
    with_images = ["--cpu-target", "generic", "--python", sys.executable]
    return with_images if version >= versions.PACKAGE_IMAGES else ["--image", "none"]


@pytest.fixture(scope="module")
def wheels(pack, julia, options, tmp_path_factory) -> Wheels:
    """Return them, in one directory."""
    root = tmp_path_factory.mktemp("shared")
    out = root / "wheels"
    command = [pack, "julia-wheel", "--julia", julia, "--out-dir", out, "--compress", "fast", *options]
    packed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    made = Path(packed.stdout.strip())
    depot = small_projects.Depot(root / "depot", julia)
    shared = depot.add("2.0.1")
    projects = [
        small_projects.make_project(root / package, name, package, shared, depot.trigger)
        for name, package in (("One", "jl_one"), ("Two", "jl_two"))
    ]
    thin = [small_projects.pack_sources(pack, julia, project, depot, out, "--shared", *options) for project in projects]
    return Wheels(made, made.name.split("-")[0], *thin, projects[0], depot)


@pytest.fixture(scope="module")
def site(wheels, tmp_path_factory) -> Path:
    """Return the packages of a new environment into which pip has installed the two wheels, and what they require."""
    root = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", root], check=True)
    (site,) = root.glob("lib/python*/site-packages")
    # All of NumPy: pip asks whether it is installed.
    for path in Path(numpy.__path__[0]).parent.glob("numpy*"):
        (site / path.name).symlink_to(path)
    command = [root / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    subprocess.run([*command, "--find-links", wheels.julia.parent, "jl_one", "jl_two"], check=True)
    assert (site / wheels.package / "_jnumpy/bundle.json").is_file()
    return site


@pytest.fixture
def other_site(site, wheels, tmp_path) -> Path:
    """Return a directory with the same packages, whose files in `jnumpy_julia_…` can be replaced."""
    other = tmp_path / "site"
    other.mkdir()
    for path in site.iterdir():
        if path.name != wheels.package:
            (other / path.name).symlink_to(path)
    subprocess.run(["cp", "-rs", site / wheels.package, other], check=True)
    return other


def changed(path: Path, change) -> None:
    """Replace a description by a changed one."""
    description = json.loads(path.read_text())
    change(description)
    path.unlink()
    path.write_text(json.dumps(description))


@pytest.mark.parametrize("order", [("jl_one", "jl_two"), ("jl_two", "jl_one")])
def test_any_order_on_one_julia(site, wheels, version, order, tmp_path):
    code = f"""
import json
import {order[0]}, {order[1]}, jnumpy
{COMPUTE}
print(jl_one.shared() == jl_two.shared(), jl_two.library()[:1].isdigit())
print(json.dumps(jnumpy.bundle_info()))
print(jnumpy.eval_julia("basename(dirname(Base.active_project()))"))
"""
    files = {path: path.stat().st_mtime_ns for path in site.rglob("*")}
    trace = tmp_path / "trace"
    printed = sites.printed(site, code, TYPY_JL_OPTS=f"--trace-compile={trace}").splitlines()
    assert (printed[0] + "\n", printed[1]) == (COMPUTED, "True True")
    info = json.loads(printed[2])
    assert info["bundle"] == f"{site}/{wheels.package}/_jnumpy"
    assert info["jnumpy"]["directory"] == f"{site}/{wheels.package}/_jnumpy/jnumpy"
    assert [joined["bundle"] for joined in info["joined"]] == [f"{site}/{name}/_jnumpy" for name in order]
    assert printed[3] == order[0]
    # The import writes nothing.
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*") if "__pycache__" not in str(path)}.items() <= (
        files.items()
    )
    if version >= versions.PACKAGE_IMAGES:
        module = order[0].removeprefix("jl_").capitalize()
        traced = trace.read_text() if trace.exists() else ""
        assert [line for line in traced.splitlines() if f"{module}." in line or "JNumPyPackages" in line] == []


def test_a_thin_wheel_is_small_and_requires_its_julia(wheels):
    _, version, *_ = wheels.julia.name.split("-")
    for wheel in (wheels.one, wheels.two):
        assert wheel.stat().st_size < 1_000_000
        with zipfile.ZipFile(wheel) as archive:
            (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            requires = re.findall("^Requires-Dist: (.*)$", archive.read(metadata).decode(), re.MULTILINE)
            assert [name for name in archive.namelist() if "libjulia" in name or "sys.so" in name] == []
        assert f"{wheels.package.replace('_', '-')}=={version}" in [word.replace(" ", "") for word in requires]


def test_one_that_has_its_own_julia_can_be_the_first(pack, julia, site, wheels, tmp_path):
    project = small_projects.make_project(
        tmp_path / "project", "Two", "jl_whole", wheels.depot.add("2.0.1"), wheels.depot.trigger
    )
    whole = small_projects.pack_sources(pack, julia, project, wheels.depot, tmp_path)
    other = sites.install(tmp_path / "site", whole)
    for name in (wheels.package, "jl_one"):
        (other / name).symlink_to(site / name)
    code = (
        "import jl_whole, jl_one; print(jl_whole.scaled(3.0), jl_one.scaled(3.0), jl_one.shared() == jl_whole.shared())"
    )
    assert sites.printed(other, code) == "6.0 6.0 True\n"


def test_julia_is_missing(wheels, version, tmp_path):
    site = sites.install(tmp_path / "site", wheels.one)
    requirement = requirement_of(wheels)
    assert sites.refused(site, "import jl_one") == (
        f"ImportError: {site}/jl_one/_jnumpy needs {requirement}, which is not installed in {site}; "
        f"`pip install '{requirement}'` installs it"
    )


def test_julia_is_in_another_directory(site, wheels, tmp_path):
    own = sites.install(tmp_path / "site", wheels.one)
    said = sites.refused(own, "import jl_one", PYTHONPATH=f"{own}:{site}")
    assert said.endswith(
        f"it is in {site}, but Julia's libraries are found only in the same directory: install both packages there"
    )


def test_julia_is_half_installed_or_damaged(other_site, wheels):
    inside = other_site / wheels.package / "_jnumpy"
    requirement = requirement_of(wheels)
    remedy = f"`pip install --force-reinstall '{requirement}'` installs it again"
    (library,) = inside.glob("julia/lib/**/sys.so")
    kept = library.readlink()
    library.unlink()
    library.write_bytes(b"")
    said = sites.refused(other_site, "import jl_one")
    assert said.startswith(
        f"ImportError: the bundle in {other_site}/jl_one/_jnumpy needs {requirement}, which cannot be "
    )
    assert f"used: {library} is damaged: it has 0 bytes instead of {kept.stat().st_size}; " in said
    assert said.endswith(f"; {remedy}{sites.more('shared-julia', inside)}")
    (inside / "bundle.json").unlink()
    said = sites.refused(other_site, "import jl_one")
    assert f"used: {inside}/bundle.json is missing or damaged (" in said
    (inside / "jnumpy/protocol").unlink()
    assert sites.refused(other_site, "import jl_one") == (
        f"ImportError: {other_site}/jl_one/_jnumpy needs {requirement}, and {other_site}/{wheels.package} is damaged "
        f"or incompletely installed; {remedy}"
    )


def test_julia_is_of_another_build(other_site, wheels, version):
    inside = other_site / wheels.package / "_jnumpy"
    ours = json.loads((other_site / "jl_one/_jnumpy/bundle.json").read_text())["julia"]["build"]
    changed(inside / "bundle.json", lambda description: description["julia"].update(build="0" * 64))
    julia = f"Julia {'.'.join(map(str, version))}"
    assert sites.refused(other_site, "import jl_one") == (
        f"ImportError: the bundle in {other_site}/jl_one/_jnumpy was made for {julia} (build {ours[:12]}), but the "
        f"bundle in {inside} is {julia} (build 000000000000): install the wheel of {requirement_of(wheels)} that it "
        f"was made for, or pack it again for this one{sites.more('shared-julia', inside)}"
    )


def requirement_of(wheels: Wheels) -> str:
    """Return what the thin wheels require."""
    name, version, *_ = wheels.julia.name.split("-")
    return f"{name.replace('_', '-')} == {version}"


def audited(pack, wheel: Path, *options) -> tuple[int, list[tuple[str, str]]]:
    """Return the exit status of an audit, and the failures: rule and text."""
    outcome = subprocess.run([pack, "audit", wheel, "--json", *options], stdout=subprocess.PIPE, text=True)
    findings = json.loads(outcome.stdout)["findings"]
    return outcome.returncode, [(found["check"], found["what"]) for found in findings if found["level"] == "failure"]


def test_what_has_the_julia_is_shown(pack, wheels):
    shown = [subprocess.check_output([pack, "show", wheel], text=True) for wheel in (wheels.one, wheels.julia)]
    assert f", that of {requirement_of(wheels)}\n" in shown[0]
    assert "with its compiler\n" in shown[1]


def test_the_audit_proves_a_wheel_against_its_julia(pack, wheels, tmp_path):
    named = ("--julia-wheel", wheels.julia)
    assert audited(pack, wheels.one, *named) == (0, [])
    requirement = requirement_of(wheels)
    status, failures = audited(pack, wheels.one)
    assert status == 1
    assert (
        "shared-julia",
        f"its Julia is in another wheel, `{requirement}`, which was not named with `--julia-wheel`",
    ) in (failures)
    other = tmp_path / wheels.one.name
    with zipfile.ZipFile(wheels.one) as old, zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "jl_one/_jnumpy/bundle.json":
                description = json.loads(text)
                description["julia"]["build"] = "0" * 64
                text = json.dumps(description)
            new.writestr(name, text)
    status, failures = audited(pack, other, *named)
    assert status == 1
    (said,) = [what for check, what in failures if check == "shared-julia"]
    assert said.startswith("it was made for Julia 1.")
    assert f"build 000000000000, but `{wheels.julia.name}` has" in said


def test_what_cannot_be_packed_is_said(pack, julia, wheels, tmp_path):
    def refused(*options) -> str:
        command = [pack, "wheel", wheels.project, "--julia", julia, "--shared", "--out-dir", tmp_path, *options]
        environment = {"JULIA_DEPOT_PATH": str(wheels.depot.directory)}
        outcome = subprocess.run(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True)
        assert outcome.returncode == 1
        return outcome.stderr[outcome.stderr.index("error: ") :]

    assert re.match(rf"error: no wheel of Julia \S+ in `{tmp_path}`\n\nhint: make it with", refused())
    for options in (["--no-compiler"], ["--image", "full"], ["--stdlibs", "used"]):
        said = refused("--julia-wheel", wheels.julia, *options)
        assert said.startswith(
            "error: a wheel that shares Julia always uses that Julia's image, compiler, and standard libraries"
        )
    # A thin wheel is not a wheel of Julia.
    name = tmp_path / wheels.julia.name
    shutil.copy(wheels.one, name)
    assert f"error: `{name}` is not a wheel of Julia" in refused()
