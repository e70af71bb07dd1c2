"""The Julia of a bundle loads the libraries of the bundle, even if others have the same names."""

import re
from pathlib import Path

import fake_libraries
import pytest
import sites

pytestmark = pytest.mark.every_julia

# Libraries that Julia opens by name at its start, and those that they need.
USE = """
import importlib
package = importlib.import_module(PACKAGE)
import jnumpy
print(jnumpy.eval_julia('string(big(2.0)^3, " ", big(2)^70, " ", match(r"a+", "baab").match)'))
jnumpy.exec_julia('import LinearAlgebra, Libdl, Random')
print(jnumpy.eval_julia('LinearAlgebra.det([1.0 2.0; 3.0 4.0]) + 2 < 1e-9'))
lines = [line for line in open('/proc/self/maps') if '.so' in line]
print(*sorted({line.split(maxsplit=5)[5].strip() for line in lines}), sep='\\n')
"""


def mapped(site: Path, package: str, **variables: str) -> list[str]:
    """Return the libraries in a process that has used the package and found the right results."""
    cubed, solved, *libraries = sites.printed(site, f"PACKAGE = {package!r}\n{USE}", **variables).splitlines()
    assert (cubed, solved) == ("8.0 1180591620717411303424 aa", "True")
    return libraries


def stem(library: str) -> str:
    """Return the name of a library without its version."""
    return Path(library).name.partition(".so")[0]


def names(bundle: Path) -> set[str]:
    """Return all names of libraries in a bundle, also without their versions."""
    stored = {path.name for path in bundle.rglob("*.so*")}
    # What asks for a name may leave the version out.
    return stored | {name.partition(".so")[0] + ".so" for name in stored}


@pytest.fixture(params=[False, True], ids=["stock image", "own image"])
def installed(request, small, tmp_path):
    """Return a site in which a package is installed, the package's name, and its bundle."""
    if request.param:
        package, wheel = "jl_kmeans1d", request.getfixturevalue("kmeans_wheel")
    else:
        package, wheel = "jl_one", small.wheels[0]
    site = sites.install(tmp_path / "site", wheel)
    return site, package, site / package / "_jnumpy"


def test_libraries_of_the_environment_are_not_loaded(installed, julia, tmp_path):
    site, package, bundle = installed
    usual = mapped(site, package)
    own = [path for path in usual if path.startswith(str(bundle))]
    assert len(own) > 5

    fakes = tmp_path / "fakes"
    fakes.mkdir()
    library = fake_libraries.make(tmp_path / "fake.so")
    for name in names(bundle / "julia"):
        (fakes / name).symlink_to(library)
    prefix = Path(julia).resolve().parent.parent
    others = sorted({str(path.parent) for path in (prefix / "lib").rglob("*.so*")})
    hostile = mapped(site, package, LD_LIBRARY_PATH=":".join([str(fakes), *others]), JULIA_LOAD_PATH="/nonexistent")
    # What the wheel's tag takes for granted, such as libstdc++, is the system's: the environment may name another.
    bundled = {stem(path) for path in own}
    foreign = [path for path in hostile if path.startswith((str(tmp_path / "fake"), str(prefix)))]
    assert [path for path in foreign if stem(path) in bundled] == []
    assert [path for path in hostile if path.startswith(str(bundle))] == own


def test_libraries_that_were_loaded_first_are_not_mistaken_for_the_bundles(installed, tmp_path):
    site, package, bundle = installed
    usual = mapped(site, package)
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    # Another Julia in the process is refused (see tests/runtime), so libraries that libjulia's loader opens keep their
    # names. No other library has the names with hashes.
    kept = ("libjulia", "libopenlibm")
    stored = names(bundle / "julia/lib")
    foreign = [name for name in stored if name.startswith("lib") and not name.startswith(kept)]
    plain = sorted(name for name in foreign if not re.search("-[0-9a-f]{8}[.]", name))
    loaded = [fake_libraries.make(fakes / name, name) for name in plain]
    assert len(loaded) > 5
    hostile = mapped(site, package, LD_PRELOAD=":".join(map(str, loaded)))
    assert [path for path in hostile if Path(path).parent != fakes] == usual
    assert {Path(path) for path in hostile if Path(path).parent == fakes} == set(loaded)
