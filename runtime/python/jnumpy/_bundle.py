"""The bundle of a packed wheel: Julia, its image and its depot inside the user's package.

Everything is checked before libjulia is opened, because its loader ends the process when a file is missing.
"""

from __future__ import annotations

import json
import os

from jnumpy import _runtime

TYPE_CHECKING = False  # `typing` costs 10 ms to import
if TYPE_CHECKING:
    from typing import Any

#: The layout of ``bundle.json`` that this runtime reads.
FORMAT = 1

_current: Bundle | None = None


class Bundle:
    """A bundle's directory and what its ``bundle.json`` says."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        path = self.path("bundle.json")
        try:
            with open(path, encoding="utf-8") as file:
                self.description: dict[str, Any] = json.load(file)
            found = self.description["format"], self.description["protocol"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ImportError(f"{path} is missing or damaged ({error}); {_REINSTALL}") from error
        if found != (FORMAT, _runtime.PROTOCOL):
            raise ImportError(
                f"the bundle in {directory} is format {found[0]}, protocol {found[1]}, but the jnumpy that is "
                f"loaded reads format {FORMAT}, protocol {_runtime.PROTOCOL}; update both, or import this package first"
            )

    def path(self, relative: str) -> str:
        """The absolute path of a file in the bundle."""
        return os.path.join(self.directory, *relative.split("/"))

    @property
    def depot_path(self) -> str:
        """The value for ``JULIA_DEPOT_PATH``: the depot of the bundle, and that of Julia itself."""
        prefix = os.path.dirname(self.path(self.description["julia"]["bindir"]))
        return os.pathsep.join((self.path(self.description["depot"]), os.path.join(prefix, "share", "julia")))

    def check(self) -> None:
        """Raise an ImportError that says what is wrong, if this machine cannot run the bundle."""
        platform = self.description["platform"]
        machine = os.uname().machine
        if machine != platform["machine"]:
            raise ImportError(f"{self.directory} was packed for {platform['machine']}, this machine is {machine}")
        needed = tuple(platform["glibc"])
        try:
            libc, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
            found = tuple(int(part) for part in version.split(".")[:2])
        except ValueError:
            libc, found = "", ()
        if libc != "glibc" or found < needed:
            raise ImportError(
                f"{self.directory} needs glibc {_dotted(needed)} or later, this system has "
                f"{f'glibc {_dotted(found)}' if found else 'another C library'}"
            )
        for relative, size in self.description["files"].items():
            path = self.path(relative)
            try:
                actual = os.stat(path).st_size
            except OSError as error:
                raise ImportError(f"{path} cannot be used ({error.strerror}); {_REINSTALL}") from error
            if actual != size:
                raise ImportError(f"{path} is damaged: it has {actual} bytes instead of {size}; {_REINSTALL}")


_REINSTALL = "reinstall the package"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def register(directory: str) -> None:
    """Use the bundle in ``directory`` when Julia is started; called by the bundle itself."""
    global _current
    if _current is not None and _current.directory != directory:
        raise ImportError(
            f"this process already uses the Julia of {_current.directory}; the bundle in {directory} cannot be loaded "
            "beside it: use one process for each"
        )
    if _current is None:
        if _runtime.julia_version() is not None:
            raise ImportError(
                f"Julia {_runtime.julia_version()} runs already in this process; the bundle in {directory} brings its "
                "own: import the packed package before `init_jl()` is called"
            )
        _current = Bundle(directory)


def current() -> Bundle | None:
    """The bundle of this process, if a packed package has been imported."""
    return _current


class Relocation:
    """What the runtime writes over the directory that the sources of an image were in."""

    def __init__(self, described: dict[str, Any], directory: str) -> None:
        path, length = os.fsencode(directory), described["length"]
        if len(path) > length:
            raise ImportError(
                f"{directory} has {len(path)} bytes, and Julia code can be used from a directory of at most {length}: "
                "install the package in another place"
            )
        # In the same length; to the system, many slashes are as one.
        self.text = path.ljust(length, b"/")
        self.writable, self.read_only = described["writable"], described["read_only"]


def start(bundle: Bundle) -> tuple[str, str, str, str | None, Relocation | None]:
    """Paths of libjulia, its ``bin``, the image, and what the image does not hold or know.

    That is the directory with TyPython's sources, and where the image has to be told its place.
    """
    bundle.check()
    julia = bundle.description["julia"]
    typython = bundle.description["typython"]
    relocation = bundle.description["image"]["relocation"]
    return (
        bundle.path(julia["libjulia"]),
        bundle.path(julia["bindir"]),
        bundle.path(bundle.description["image"]["path"]),
        None if typython is None else os.path.dirname(bundle.path(typython)),
        None if relocation is None else Relocation(relocation, os.path.dirname(bundle.directory)),
    )
