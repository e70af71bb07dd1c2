"""Small packages whose Julia code shares a dependency, packed quickly: with Julia's own image."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SHARED = "5a000000-0000-4000-8000-00000000005a"
TRIGGER = "77000000-0000-4000-8000-000000000077"
TYPYTHON = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b"
UUIDS = {
    "One": "11111111-0000-4000-8000-000000000001",
    "Two": "22222222-0000-4000-8000-000000000002",
    "Later": "33333333-0000-4000-8000-000000000003",
}
STDLIB = {"Dates": "ade2ca70-3891-5945-98fb-dc099432e06a", "LibGit2": "76f85450-5226-5b5a-8eaa-529ad045b433"}

# Each says what it computes with the package that both need, and reads a file that lies beside its source. `Two` alone
# uses a library that a wheel leaves out when nothing in it does, and the package that `Shared` has an extension for.
SOURCE = """
module {name}
using TyPython.CPython, Shared
import {libraries}

@export_py scaled(x::Float64)::Float64 = Shared.FACTOR * x
@export_py shared()::UInt64 = objectid(Shared)
@export_py text()::String = read(joinpath(@__DIR__, "text"), String)
@export_py year()::Int = Dates.year(Dates.Date(2022, 2, 2))
@export_py library()::String = {library}
@export_py extensions()::String = join(Shared.EXTENSIONS, ' ')

function init()
    haskey(ENV, "{name}_FAILS") && error("{name} was told to fail")
    @export_pymodule _{lower} begin
        scaled = Pyfunc(scaled)
        shared = Pyfunc(shared)
        text = Pyfunc(text)
        year = Pyfunc(year)
        library = Pyfunc(library)
        extensions = Pyfunc(extensions)
    end
end

end
"""
INIT = """
from jnumpy import init_jl, init_project

init_jl()
init_project(__file__)

from _{lower} import extensions, library, scaled, shared, text, year
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Depot:
    """A depot with the packages `Shared`, in any version, and `Trigger`, for which an extension of `Shared` waits."""

    def __init__(self, directory: Path, julia: str):
        self.directory = directory
        self.julia = julia
        source = directory / "source/Trigger"
        write(source / "Project.toml", f'name = "Trigger"\nuuid = "{TRIGGER}"\nversion = "1.0.0"\n')
        write(source / "src/Trigger.jl", "module Trigger end\n")
        self.trigger = self._store(source, "Trigger", TRIGGER, "1.0.0")

    def add(self, version: str) -> str:
        """Put a version of `Shared` into the depot; return what a manifest says of it."""
        source = self.directory / "source/Shared" / version
        factor = float(version.rpartition(".")[0])
        extension = f'[weakdeps]\nTrigger = "{TRIGGER}"\n[extensions]\nSharedTrigger = "Trigger"\n'
        write(source / "Project.toml", f'name = "Shared"\nuuid = "{SHARED}"\nversion = "{version}"\n{extension}')
        write(
            source / "src/Shared.jl",
            f"module Shared\nconst FACTOR = {factor}\nconst EXTENSIONS = String[]\nend\n",
        )
        write(
            source / "ext/SharedTrigger.jl",
            "module SharedTrigger\nusing Shared, Trigger\n"
            '__init__() = push!(Shared.EXTENSIONS, "SharedTrigger")\nend\n',
        )
        return self._store(source, "Shared", SHARED, version)

    def _store(self, source: Path, name: str, uuid: str, version: str) -> str:
        code = """
            using Pkg
            hash = Base.SHA1(Pkg.GitTools.tree_hash(ARGS[1]))
            print(hash, " ", Base.version_slug(Base.UUID(ARGS[2]), hash))
        """
        command = [self.julia, "--startup-file=no", "-e", code, source, uuid]
        tree_hash, slug = subprocess.check_output(command, text=True).split()
        shutil.copytree(source, self.directory / "packages" / name / slug, dirs_exist_ok=True)
        return f'[[{name}]]\ngit-tree-sha1 = "{tree_hash}"\nuuid = "{uuid}"\nversion = "{version}"\n'


def make_project(root: Path, name: str, package: str, shared: str, trigger: str) -> Path:
    """Write a project whose Julia module is `name`; `shared` and `trigger` are what its manifest says of these two."""
    lower = name.lower()
    write(root / "pyproject.toml", f'[project]\nname = "{package}"\nversion = "0.1.0"\n')
    inside = root / package
    library = {"libraries": "Dates", "library": '""'}
    used = {"Shared": SHARED, "TyPython": TYPYTHON, "Dates": STDLIB["Dates"]}
    # As Pkg writes it: with the UUID if the package is not in the manifest itself.
    weak, others = f'[Shared.weakdeps]\nTrigger = "{TRIGGER}"\n', ""
    if name == "Two":
        library = {"libraries": "Dates, LibGit2, Trigger", "library": "string(LibGit2.version())"}
        used |= {"LibGit2": STDLIB["LibGit2"], "Trigger": TRIGGER}
        weak, others = 'weakdeps = ["Trigger"]\n', trigger
    shared += f'{weak}[Shared.extensions]\nSharedTrigger = "Trigger"\n{others}'
    deps = "".join(f'{dependency} = "{uuid}"\n' for dependency, uuid in used.items())
    manifest = "".join(f'[[{library}]]\nuuid = "{uuid}"\n\n' for library, uuid in STDLIB.items())
    write(inside / "Project.toml", f'name = "{name}"\nuuid = "{UUIDS[name]}"\nversion = "0.1.0"\n\n[deps]\n{deps}')
    write(inside / "Manifest.toml", f'{manifest}{shared}\n[[TyPython]]\nuuid = "{TYPYTHON}"\n')
    write(inside / f"src/{name}.jl", SOURCE.format(name=name, lower=lower, **library))
    write(inside / "src/text", f"beside {name}")
    write(inside / "__init__.py", INIT.format(lower=lower))
    return root


def pack_sources(pack: Path, julia: str, project: Path, depot: Depot, out_dir: Path, *options: str) -> Path:
    """Return the wheel of `project`; without options, with Julia's own image."""
    command = [pack, "wheel", project, "--out-dir", out_dir, "--julia", julia, *(options or ["--no-image"])]
    environment = os.environ | {"JULIA_DEPOT_PATH": str(depot.directory)}
    packed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Path(packed.stdout.strip())


@dataclass
class Small:
    """Packages `jl_one` and `jl_two` that need one version of `Shared`, and `jl_later` that needs a later one."""

    #: The directories of the packages' source trees, by name.
    sources: dict[str, Path]
    wheels: list[Path]
    depot: Path


def pack_all(pack: Path, julia: str, directory: Path) -> Small:
    """Write and pack the three."""
    depot = Depot(directory / "depot", julia)
    first, later = depot.add("2.0.1"), depot.add("2.5.0")
    small = Small({}, [], depot.directory)
    for name, package, shared in (("One", "jl_one", first), ("Two", "jl_two", first), ("Later", "jl_later", later)):
        project = make_project(directory / package, name, package, shared, depot.trigger)
        small.sources[package] = project
        small.wheels.append(pack_sources(pack, julia, project, depot, directory / "wheels"))
    return small
