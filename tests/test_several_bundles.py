"""Several packed packages in one process: the first starts its Julia, the others join it or are refused in words."""

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import sites
from conftest import REPOSITORY

SHARED = "5a000000-0000-4000-8000-00000000005a"
TYPYTHON = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b"
UUIDS = {"One": "11111111-0000-4000-8000-000000000001", "Two": "22222222-0000-4000-8000-000000000002"}
DATES = "ade2ca70-3891-5945-98fb-dc099432e06a"

# Each says what it computes with the package that both need, and reads a file that lies beside its source.
SOURCE = """
module {name}
using TyPython.CPython, Dates, Shared

@export_py scaled(x::Float64)::Float64 = Shared.FACTOR * x
@export_py shared()::UInt64 = objectid(Shared)
@export_py text()::String = read(joinpath(@__DIR__, "text"), String)
@export_py year()::Int = Dates.year(Date(2022, 2, 2))

function init()
    haskey(ENV, "{name}_FAILS") && error("{name} was told to fail")
    @export_pymodule _{lower} begin
        scaled = Pyfunc(scaled)
        shared = Pyfunc(shared)
        text = Pyfunc(text)
        year = Pyfunc(year)
    end
end

end
"""
INIT = """
from jnumpy import init_jl, init_project

init_jl()
init_project(__file__)

from _{lower} import scaled, shared, text, year
"""
KMEANS = "jl_kmeans1d.jl_cluster(numpy.array([1.0, 1.1, 5.0]), 2)[0].tolist()"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Depot:
    """A depot with the package `Shared`, in any version."""

    def __init__(self, directory: Path, julia: str):
        self.directory = directory
        self.julia = julia

    def add(self, version: str) -> str:
        """Put a version into the depot; return what a manifest says of it."""
        source = self.directory / "source" / version
        factor = float(version.rpartition(".")[0])
        write(source / "Project.toml", f'name = "Shared"\nuuid = "{SHARED}"\nversion = "{version}"\n')
        write(source / "src/Shared.jl", f"module Shared\nconst FACTOR = {factor}\nend\n")
        code = """
            using Pkg
            hash = Base.SHA1(Pkg.GitTools.tree_hash(ARGS[1]))
            print(hash, " ", Base.version_slug(Base.UUID(ARGS[2]), hash))
        """
        command = [self.julia, "--startup-file=no", "-e", code, source, SHARED]
        tree_hash, slug = subprocess.check_output(command, text=True).split()
        shutil.copytree(source, self.directory / "packages/Shared" / slug, dirs_exist_ok=True)
        return f'[[Shared]]\ngit-tree-sha1 = "{tree_hash}"\nuuid = "{SHARED}"\nversion = "{version}"\n'


def make_project(root: Path, name: str, package: str, shared: str) -> Path:
    """Write a project whose Julia module is `name`; `shared` is what its manifest says of `Shared`."""
    lower = name.lower()
    write(root / "pyproject.toml", f'[project]\nname = "{package}"\nversion = "0.1.0"\n')
    inside = root / package
    deps = f'Dates = "{DATES}"\nShared = "{SHARED}"\nTyPython = "{TYPYTHON}"\n'
    write(inside / "Project.toml", f'name = "{name}"\nuuid = "{UUIDS[name]}"\nversion = "0.1.0"\n\n[deps]\n{deps}')
    write(inside / "Manifest.toml", f'[[Dates]]\nuuid = "{DATES}"\n\n{shared}\n[[TyPython]]\nuuid = "{TYPYTHON}"\n')
    write(inside / f"src/{name}.jl", SOURCE.format(name=name, lower=lower))
    write(inside / "src/text", f"beside {name}")
    write(inside / "__init__.py", INIT.format(lower=lower))
    return root


def pack_sources(pack: Path, julia: str, project: Path, depot: Depot, out_dir: Path) -> Path:
    """Return the wheel of `project`, with Julia's own image."""
    command = [pack, "wheel", "--no-image", project, "--out-dir", out_dir, "--julia", julia]
    environment = os.environ | {"JULIA_DEPOT_PATH": str(depot.directory)}
    packed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Path(packed.stdout.strip())


@pytest.fixture(scope="module")
def depot(julia, tmp_path_factory):
    return Depot(tmp_path_factory.mktemp("depot"), julia)


@pytest.fixture(scope="module")
def wheels(pack, julia, depot, tmp_path_factory):
    """Two packages that need the same version of a third, and one more that needs a later one."""
    directory = tmp_path_factory.mktemp("projects")
    first, later = depot.add("2.0.1"), depot.add("2.5.0")
    packed = []
    for name, package, shared in (("One", "jl_one", first), ("Two", "jl_two", first), ("Two", "jl_later", later)):
        project = make_project(directory / package, name, package, shared)
        packed.append(pack_sources(pack, julia, project, depot, directory / "wheels"))
    return packed


@pytest.fixture(scope="module")
def site(wheels, tmp_path_factory):
    return sites.install(tmp_path_factory.mktemp("site"), *wheels)


def test_they_share_one_julia(site):
    for first, second in itertools.permutations(["jl_one", "jl_two"]):
        code = f"import {first}, {second}; print([(m.scaled(3.0), m.year()) for m in ({first}, {second})])"
        assert sites.printed(site, code) == "[(6.0, 2022), (6.0, 2022)]\n"
