"""Kinds of images: package images on Julia's stock image, and a full one without the compiler (Julia 1.9 and later)."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import paths
import pytest
import sites
import versions

pytestmark = pytest.mark.every_julia

PACKAGE = "jl_kinds"
TYPYTHON = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b"
UUIDS = {
    "Kinds": "4b000000-0000-4000-8000-000000000001",
    "Shape": "4b000000-0000-4000-8000-000000000002",
    "Paint": "4b000000-0000-4000-8000-000000000003",
}

FILES = {
    "pyproject.toml": """
        [project]
        name = "jl_kinds"
        version = "0.1.0"
        [tool.jnumpy]
        precompile = "workload.py"
    """,
    "workload.py": """
        import pickle
        import jl_kinds
        import numpy as np
        assert jl_kinds.total(np.array([1.0, 2.0])) == 3.0
        assert jl_kinds.shown(1) == "a1b 2.5 false"
        try:
            jl_kinds.root(-1.0)
        except ValueError:
            pass
        try:
            jl_kinds.squared(2.0)
        except RuntimeError:
            pass
        counter = jl_kinds.Counter(1)
        counter.step = 2.5
        assert (counter.advance(2), counter.count, counter.step, len(counter)) == (3, 3, 2.5, 3)
        assert pickle.loads(pickle.dumps(counter)).count == 3
        try:
            counter.advance(-1)
        except jl_kinds.Backwards as error:
            assert error.by == 1
    """,
    "jl_kinds/__init__.py": """
        from jnumpy import init_jl, init_project
        init_jl()
        init_project(__file__)
        from ._kinds import Backwards, Counter, color, fail, place, root, shown, size, squared, total, unrecorded
    """,
    "jl_kinds/Project.toml": """
        name = "Kinds"
        uuid = "{Kinds}"
        version = "0.1.0"
        [deps]
        Paint = "{Paint}"
        Shape = "{Shape}"
        TyPython = "{TyPython}"
        [extras]
        Shape = "{Shape}"
    """,
    "jl_kinds/LocalPreferences.toml": """
        [Shape]
        size = "large"
    """,
    "jl_kinds/Manifest.toml": """
        julia_version = "{version}"
        manifest_format = "2.0"
        [[deps.Paint]]
        path = "../paint"
        uuid = "{Paint}"
        version = "1.0.0"
        [[deps.Shape]]
        path = "../shape"
        uuid = "{Shape}"
        version = "1.0.0"
        weakdeps = ["Paint"]
            [deps.Shape.extensions]
            ShapePaintExt = "Paint"
        [[deps.TyPython]]
        uuid = "{TyPython}"
        version = "0.3.0"
    """,
    "jl_kinds/src/Kinds.jl": """
        module Kinds
        using TyPython.CPython, Shape, Paint
        struct Odd <: Exception
            text::String
        end
        struct Backwards <: Exception
            by::Int
        end
        mutable struct Counter
            count::Int
            step::Float64
        end
        @export_py counted_from(count::Int; step::Float64 = 1.0)::Counter = Counter(count, step)
        @export_py function advance(counter::Counter, n::Int)::Int
            n >= 0 || throw(Backwards(-n))
            return counter.count += n
        end
        @export_pyclass Backwards begin
            __base__ = ValueError
            by
        end
        @export_pyclass Counter begin
            __init__ = counted_from
            count, step
            advance
            __len__(self)::Int = self.count
        end
        @export_py total(xs::Vector{{Float64}})::Float64 = sum(xs)
        @export_py largest(xs::Vector)::Float64 = maximum(xs)
        @export_py root(x::Float64)::Float64 = sqrt(x)
        @export_py color()::String = Shape.color()
        @export_py size()::String = Shape.SIZE
        @export_py place()::String = pathof(Shape)
        @export_py fail(text::String)::Float64 = throw(Odd(text))
        @noinline steps(n) = n <= 1 ? n : 1 + steps(n - 1)
        @export_py squared(x::Float64)::Float64 = sum(Base.inferencebarrier(*)(fill(x, 4, 4), fill(x, 4, 4)))
        @export_py unrecorded(n::Int)::Int = Base.inferencebarrier(steps)(n)
        "Calls small functions of Julia's with types that only the process knows, and shows a value with them."
        @export_py function shown(kind::Int)::String
            start, flag = Any['a', "c"][kind], Any[Ref(false), Ref(0x01)][kind]
            value = Any[2.5, Dict(Counter(1, 1.5) => [kind])][kind]
            return string(start, kind, "b ", value, ' ', flag[])
        end
        function init()
            @export_pymodule _kinds begin
                Backwards = Pyclass(Backwards)
                Counter = Pyclass(Counter)
                total = Pyfunc(total)
                largest = Pyfunc(largest)
                root = Pyfunc(root)
                color = Pyfunc(color)
                size = Pyfunc(size)
                place = Pyfunc(place)
                fail = Pyfunc(fail)
                squared = Pyfunc(squared)
                unrecorded = Pyfunc(unrecorded)
                shown = Pyfunc(shown)
            end
        end
        end
    """,
    "shape/Project.toml": """
        name = "Shape"
        uuid = "{Shape}"
        version = "1.0.0"
        [weakdeps]
        Paint = "{Paint}"
        [extensions]
        ShapePaintExt = "Paint"
    """,
    "shape/src/Shape.jl": """
        module Shape
        const SIZE = get(Base.get_preferences(Base.UUID("{Shape}")), "size", "small")
        function color end
        end
    """,
    "shape/ext/ShapePaintExt.jl": """
        module ShapePaintExt
        using Shape, Paint
        Shape.color() = Paint.RED
        end
    """,
    "paint/Project.toml": """
        name = "Paint"
        uuid = "{Paint}"
        version = "1.0.0"
    """,
    "paint/src/Paint.jl": """
        module Paint
        const RED = "red"
        end
    """,
}


@pytest.fixture(scope="module")
def project(version, tmp_path_factory) -> Path:
    """Return a project with a dependency whose extension and preference matter."""
    root = tmp_path_factory.mktemp("kinds")
    names = {**UUIDS, "TyPython": TYPYTHON, "version": ".".join(map(str, version))}
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [line[8:] for line in text.strip("\n").split("\n")]
        path.write_text("\n".join(lines).format(**names) if name.endswith((".toml", ".jl")) else "\n".join(lines))
    return root


def packed(pack, julia, project: Path, out_dir: Path, *options: str) -> tuple[Path, str]:
    """Return the wheel and what was said."""
    command = [pack, "wheel", project, "--julia", julia, "--out-dir", out_dir, "--cpu-target", "generic"]
    command += ["--python", sys.executable, *options]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    return Path(outcome.stdout.strip()), outcome.stderr


def refused(pack, julia, project: Path, *options: str) -> str:
    """Return why there is no wheel."""
    command = [pack, "wheel", project, "--julia", julia, "--dry-run", *options]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.returncode == 1, outcome.stderr
    return outcome.stderr[outcome.stderr.index("error: ") :]


WORKS = """
import copy
import numpy as np
from jl_kinds import Backwards, Counter, color, place, size, total
print(total(np.array([1.0, 2.5])), color(), size())
print(place())
counter = Counter(4, step=0.5)
counter.step *= 4
assert (counter.advance(n=3), len(copy.copy(counter)), counter.step) == (7, 7, 2.0)
try:
    counter.advance(-2)
except ValueError as error:
    assert isinstance(error, Backwards) and error.by == 2
"""


def test_package_images_load_without_compiling_or_writing(pack, julia, version, project, tmp_path):
    if version < versions.PACKAGE_IMAGES:
        said = refused(pack, julia, project, "--image", "packages")
        assert said.startswith("error: `--image packages` needs Julia 1.9 or later, the Julia in use is 1.")
        return
    wheel, said = packed(pack, julia, project, tmp_path / "wheels", "--image", "packages")
    assert "the workload runs in the wheel" in said
    assert "not compiled before the workload ran" not in said
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name for name in archive.namelist() if "/julia/packages/" in name}
    assert {"TyPython.so", "Kinds.so", "Shape.so", "Paint.so", "ShapePaintExt.so", "JNumPyCalls.so"} <= names
    site = sites.install(tmp_path / "site", wheel)
    files = {path: path.stat().st_mtime_ns for path in site.rglob("*")}
    trace = tmp_path / "trace"
    code = WORKS + 'assert repr(counter).startswith("Kinds.Counter(7, 2.0)"), repr(counter)\n'
    values, place = sites.printed(site, code, TYPY_JL_OPTS=f"--trace-compile={trace}").strip().split("\n")
    assert values == "3.5 red large"
    inside = f"{site}/{PACKAGE}"
    assert place == f"{inside}/_jnumpy/depot/packages/Shape/local/src/Shape.jl"
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*") if "__pycache__" not in str(path)}.items() <= (
        files.items()
    )
    traced = trace.read_text() if trace.exists() else ""
    assert [line for line in traced.splitlines() if "Kinds." in line and "total" in line] == []
    # What loads the images calls nothing that has to be compiled for it.
    assert [line for line in traced.splitlines() if "JNumPyPackages" in line or "SubString" in line] == []

    # After an edit, only the project is compiled again.
    source = project / PACKAGE / "src/Kinds.jl"
    text = source.read_text()
    try:
        source.write_text(text.replace("= sum(xs)", "= 10 * sum(xs)").replace("== 3.0", "== 30.0"))
        (project / "workload.py").write_text(
            "import jl_kinds, numpy\nassert jl_kinds.total(numpy.array([1.0, 2.0])) == 30.0\n"
        )
        again, _ = packed(pack, julia, project, tmp_path / "again", "--image", "packages")
    finally:
        source.write_text(text)
        (project / "workload.py").write_text("\n".join(line[8:] for line in FILES["workload.py"].split("\n")))
    site = sites.install(tmp_path / "edited", again)
    assert sites.printed(site, WORKS).startswith("35.0 red large")


WITHOUT_COMPILER = """
from jl_kinds import fail, root, shown, squared, unrecorded
# Interpreted, and so is what they call of Julia's own.
assert unrecorded(3) == 3
assert repr(counter).startswith("Kinds.Counter(7, 2.0)"), repr(counter)
assert shown(2) == "c2b Dict{Kinds.Counter, Vector{Int64}}(Kinds.Counter(1, 1.5) => [2]) 1", shown(2)
try:
    root(-2.0)
except ValueError as error:
    print(error.julia_type)
try:
    fail("odd")
except RuntimeError as error:
    print(error.julia_type)
try:
    squared(2.0)
except RuntimeError as error:
    print(error)
"""


def test_a_wheel_without_the_compiler_runs_what_it_has(pack, julia, version, project, tmp_path):
    if version < versions.PACKAGE_IMAGES:
        said = refused(pack, julia, project, "--no-compiler")
        assert said.startswith("error: a wheel without the compiler needs Julia 1.9 or later, the Julia in use is 1.")
        return
    wheel, said = packed(pack, julia, project, tmp_path / "wheels", "--no-compiler")
    assert "the workload runs in the wheel" in said
    with zipfile.ZipFile(wheel) as archive:
        libraries = [Path(name).name for name in archive.namelist() if ".so" in name]
        assert [name for name in libraries if "LLVM" in name or "codegen" in name] == []
        description = json.loads(archive.read(f"{PACKAGE}/_jnumpy/bundle.json"))
        unused = ("libopenblas", "libgfortran", "libcurl", "libgit2", "libssh2", "libmbed", "libssl")
        assert [name for name in libraries if name.startswith(unused)] == []
    assert description["image"]["holds_project"]
    site = sites.install(tmp_path / "site", wheel)
    lines = sites.printed(site, WORKS + WITHOUT_COMPILER).strip().split("\n")
    assert lines[0] == "3.5 red large"
    assert lines[2:4] == ["DomainError", "Kinds.Odd"]
    assert lines[4].startswith("this wheel has no BLAS, because nothing called it when the wheel was packed;")
    assert len(lines) == 5


CALLS_OF_BLAS = """
module JNumPyInspection end
foreach(name -> include(joinpath(ARGS[1], name)), ["methods.jl", "unused.jl"])
using LinearAlgebra

module Sums; f(x::Vector{Float64}) = 2 * sum(abs2, x); precompile(f, (Vector{Float64},)); end
module Words; f(x::Vector{Any}) = error("not allowed: $(x[1])"); precompile(f, (Vector{Any},)); end
module Product; f(x::Matrix{Float64}) = x * x; precompile(f, (Matrix{Float64},)); end
module Closure; f(all) = map(x -> inv(x), all); precompile(f, (Vector{Matrix{Float64}},)); end
module Direct; import LinearAlgebra: dot; f(x::Vector{Float64}) = dot(x, x); precompile(f, (Vector{Float64},)); end

for own in (Sums, Words, Product, Closure, Direct)
    println(nameof(own), " ", JNumPyUnused.caller_of_blas(LinearAlgebra, [own]) === nothing)
end
"""


def test_calls_of_blas_are_found(julia, version, tmp_path):
    if version < versions.PACKAGE_IMAGES:
        return
    script = tmp_path / "calls.jl"
    script.write_text(CALLS_OF_BLAS)
    command = [julia, "--startup-file=no", script, paths.REPOSITORY / "packager/src/stages/image"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[:-1] == ["Sums true", "Words true", *(f"{name} false" for name in ("Product", "Closure", "Direct"))]


def test_no_compiler_needs_a_full_image(pack, julia, project):
    said = refused(pack, julia, project, "--no-compiler", "--image", "packages")
    assert said.startswith("error: a wheel without the compiler needs the image `full`")


def test_libraries_of_standard_libraries_outside_the_image_are_packed(pack, julia, version, project):
    command = [pack, "wheel", project, "--julia", julia, "--image", "none", "--dry-run", "--json"]
    outcome = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
    names = {Path(file["path"]).name.split(".so")[0] for file in json.loads(outcome.stdout)["files"]}
    assert {"libcholmod", "libumfpack"} <= names
