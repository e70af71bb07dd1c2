"""The libraries in a bundle are the ones that its Julia loads, whatever the environment offers under their names."""

import subprocess
from pathlib import Path

import pytest
import sites

pytestmark = pytest.mark.every_julia

# Whatever Julia opens by name at its start, or when one of these needs it.
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


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    """Return a function that fills a directory with libraries of other content, of all names in a bundle."""
    library = tmp_path_factory.mktemp("fake") / "fake.so"
    subprocess.run(["cc", "-shared", "-x", "c", "-o", library, "-"], input=b"int fake(void) { return 1; }", check=True)

    def fill(bundle: Path, directory: Path) -> Path:
        directory.mkdir()
        # What asks for a name may leave the version out.
        names = {path.name for path in bundle.rglob("*.so*")}
        names |= {name.partition(".so")[0] + ".so" for name in names}
        for name in names:
            (directory / name).symlink_to(library)
        return directory

    return fill


@pytest.mark.parametrize("has_image", [False, True], ids=["stock image", "own image"])
def test_libraries_of_the_environment_are_not_loaded(request, small, julia, fakes, tmp_path, has_image):
    if has_image:
        package, wheel = "jl_kmeans1d", request.getfixturevalue("kmeans_wheel")
    else:
        package, wheel = "jl_one", small.wheels[0]
    site = sites.install(tmp_path / "site", wheel)
    bundle = site / package / "_jnumpy"
    usual = mapped(site, package)
    own = [path for path in usual if path.startswith(str(bundle))]
    assert len(own) > 5

    fake = fakes(bundle / "julia", tmp_path / "fakes")
    prefix = Path(julia).resolve().parent.parent
    others = sorted({str(path.parent) for path in (prefix / "lib").rglob("*.so*")})
    hostile = mapped(site, package, LD_LIBRARY_PATH=":".join([str(fake), *others]), JULIA_LOAD_PATH="/nonexistent")
    # What the wheel's tag takes for granted, such as libstdc++, is the system's: the environment may name another.
    bundled = {stem(path) for path in own}
    foreign = [path for path in hostile if path.startswith((str(tmp_path / "fake"), str(prefix)))]
    assert [path for path in foreign if stem(path) in bundled] == []
    assert [path for path in hostile if path.startswith(str(bundle))] == own
