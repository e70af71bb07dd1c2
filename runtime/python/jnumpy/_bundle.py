"""The bundles of packed wheels: Julia, its image and its depot inside the user's package.

A process has one Julia: that of the bundle that starts it, or an installed one. Every other bundle joins it: its
project is loaded from the bundled sources into the Julia that runs, if versions agree.

Everything is checked before libjulia is opened, because its loader ends the process when a file is missing.
"""

from __future__ import annotations

import json
import os
from _thread import allocate_lock  # `threading` costs time to import

from jnumpy import _runtime
from jnumpy._errors import more
from jnumpy._project import top_level
from jnumpy._trace import trace

TYPE_CHECKING = False  # `typing` costs 10 ms to import
if TYPE_CHECKING:
    from typing import Any

#: The layout of ``bundle.json`` that this runtime reads.
FORMAT = 4

_bundles: list[Bundle] = []  # of the packages that were imported, in that order
_host: Bundle | None = None  # the bundle with the running Julia
_first: Bundle | None = None  # the bundle for which Julia was started
_joined: list[Bundle] = []  # in that order
#: Held by the thread that starts Julia or joins a bundle to it.
lock = allocate_lock()


class Bundle:
    """The directory of a bundle and the contents of its ``bundle.json``."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        path = os.path.join(directory, "bundle.json")
        try:
            with open(path, encoding="utf-8") as file:
                self.description: dict[str, Any] = json.load(file)
            found = self.description["format"], self.description["protocol"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ImportError(f"{path} is missing or damaged ({error}); {_REINSTALL}") from error
        if found != (FORMAT, _runtime.PROTOCOL):
            raise ImportError(
                f"the bundle in {directory} is format {found[0]}, protocol {found[1]}, but jnumpy "
                f"{_runtime.__version__} in {os.path.dirname(__file__)}, which is loaded, reads format {FORMAT}, "
                f"protocol {_runtime.PROTOCOL}; {_SAME_PACKER}"
            )

        #: The bundle with the Julia: this bundle, or that of a wheel that contains only Julia.
        self.home = self if self.description["shared"] is None else self._shared()

    def _shared(self) -> Bundle:
        """The bundle of the wheel of Julia that this one was made for."""
        shared = self.description["shared"]
        site = os.path.dirname(os.path.dirname(self.directory))
        try:
            home = _bundle(os.path.join(site, shared["package"], "_jnumpy"))
        except ImportError as error:
            raise self._lacks_julia(error) from error
        ours, theirs = self.description["julia"], home.description["julia"]
        if (ours["version"], ours["build"]) != (theirs["version"], theirs["build"]):
            raise ImportError(
                f"{self} was made for {_build(ours)}, but {home} is {_build(theirs)}: install the wheel of "
                f"{shared['requirement']} that it was made for, or pack it again for this one; {more('shared-julia')}"
            )
        return home

    def _lacks_julia(self, error: ImportError) -> ImportError:
        requirement = self.description["shared"]["requirement"]
        return ImportError(
            f"{self} needs {requirement}, which cannot be used: {error}; `pip install --force-reinstall "
            f"'{requirement}'` installs it again; {more('shared-julia')}"
        )

    def __str__(self) -> str:
        """The name of the bundle in messages."""
        return f"the bundle in {self.directory}"

    def path(self, relative: str) -> str:
        """The absolute path of a file in the bundle."""
        return os.path.join(self.directory, *relative.split("/"))

    @property
    def libraries(self) -> list[str]:
        """The directories with libraries that Julia code opens by name."""
        relative = self.description["julia"]["private_libdir"]
        return list(dict.fromkeys((self.path(relative), self.home.path(relative))))

    @property
    def julia_version(self) -> str:
        """The version of the Julia in it."""
        return self.description["julia"]["version"]

    @property
    def depots(self) -> list[str]:
        """The depot of the bundle, and that of Julia itself."""
        prefix = os.path.dirname(self.home.path(self.description["julia"]["bindir"]))
        return [self.path(self.description["depot"]), os.path.join(prefix, "share", "julia")]

    @property
    def packages(self) -> dict[str, dict[str, str]]:
        """The bundled Julia packages outside the standard library: name, version, and hash of the sources, by UUID."""
        return self.description["packages"]

    @property
    def runtime_is_newer(self) -> bool:
        """Whether the bundle was packed with a later jnumpy than the loaded one."""
        return _numbers(self.description["runtime"]) > _numbers(_runtime.__version__)

    def check(self) -> None:
        """Raise an ImportError with the reason if this machine cannot run the bundle."""
        if not is_nameable(self.directory):
            raise ImportError(
                f"{os.fsencode(self.directory)!r} cannot be used by Julia, because the path contains a colon "
                "or is not UTF-8: install the package in another directory"
            )
        platform = self.description["platform"]
        machine = os.uname().machine
        if machine != platform["machine"]:
            raise ImportError(f"{self.directory} was packed for {platform['machine']}, but this machine is {machine}")
        needed = tuple(platform["glibc"])
        try:
            libc, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
            found = tuple(int(part) for part in version.split(".")[:2])
        except ValueError:
            libc, found = "", ()
        if libc != "glibc" or found < needed:
            raise ImportError(
                f"{self.directory} needs glibc {_dotted(needed)} or later, but this system has "
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
        if self.home is not self:
            try:
                self.home.check()
            except ImportError as error:
                raise self._lacks_julia(error) from error


_REINSTALL = "reinstall the package"
_SAME_PACKER = f"pack both with the same jnumpy-pack, or use one process for each; {more('one-julia')}"


def _build(julia: dict[str, Any]) -> str:
    """The text for a Julia that distinguishes it from other builds of the same version."""
    return f"Julia {julia['version']} (build {str(julia['build'])[:12]})"


def is_nameable(path: str) -> bool:
    """Whether Julia's lists of directories can contain a path: it has no colon, and is valid UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return os.pathsep not in path


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _bundle(directory: str) -> Bundle:
    """The bundle in a directory. Several imported packages can share one bundle."""
    known = (bundle for registered in _bundles for bundle in (registered, registered.home))
    return next((bundle for bundle in known if bundle.directory == directory), None) or Bundle(directory)


def register(directory: str) -> None:
    """Take note of the bundle in ``directory``; called by the bundle itself.

    When Julia runs already, the bundle joins it. One that is refused is not taken note of.
    """
    if any(bundle.directory == directory for bundle in _bundles):
        return
    bundle = _bundle(directory)
    bundle.check()
    trace(f"{bundle} is whole, with Julia {bundle.julia_version} in {bundle.home.directory}")
    if _runtime.julia_version() is not None:
        join(bundle)
    _bundles.append(bundle)


def of(package_directory: str) -> Bundle | None:
    """The bundle of the package in a directory, if it is a packed one."""
    return next((bundle for bundle in _bundles if os.path.dirname(bundle.directory) == package_directory), None)


def host() -> Bundle | None:
    """The bundle from which Julia was started, if any."""
    return _host


def first() -> Bundle | None:
    """The bundle for which Julia was started, if any: the host itself, or a bundle that uses the host's Julia."""
    return _first


def joined() -> list[Bundle]:
    """The bundles that joined the Julia of another bundle, in this order."""
    return list(_joined)


def candidate() -> Bundle | None:
    """The bundle from which to start Julia: the last one, because the package that starts Julia was just imported."""
    return _bundles[-1] if _bundles else None


def started(bundle: Bundle | None) -> None:
    """Note which Julia is running, and let it find the packages of the bundle for which it was started."""
    global _host, _first
    _first = bundle
    if bundle is not None:
        _host = bundle.home
        _join(bundle)


class Relocation:
    """The text that the runtime writes over the build directory in an image."""

    def __init__(self, described: dict[str, Any], directory: str) -> None:
        path, length = os.fsencode(directory), described["length"]
        if len(path) > length:
            raise ImportError(
                f"the path {directory} has {len(path)} bytes, but an image allows at most {length}: install the "
                f"package in a directory with a shorter path; {more('long-path')}"
            )
        # The text must have the same length. The system treats several slashes as one.
        self.text = path.ljust(length, b"/")
        self.writable, self.read_only = described["writable"], described["read_only"]


def start(bundle: Bundle) -> tuple[str, str, str, str | None, str | None, Relocation | None]:
    """Of a bundle with Julia: paths of libjulia, its ``bin``, the image, and what the image does not hold or know.

    That is the directory with TyPython's sources, or the script that loads package images, and where the image has to
    be told its place.
    """
    julia = bundle.description["julia"]
    typython = bundle.description["typython"]
    image = bundle.description["image"]
    relocation = image["relocation"]
    return (
        bundle.path(julia["libjulia"]),
        bundle.path(julia["bindir"]),
        bundle.path(image["path"]),
        None if typython is None else os.path.dirname(bundle.path(typython)),
        None if image["packages"] is None else bundle.path(image["packages"]),
        None if relocation is None else Relocation(relocation, os.path.dirname(bundle.directory)),
    )


def join(bundle: Bundle) -> None:
    """Let the running Julia find the packages of ``bundle``; do nothing if it already does.

    Raises:
        ImportError: versions of Julia or of a package differ; the message names both, and where they come from.

    """
    with lock:
        _join(bundle)


def _join(bundle: Bundle) -> None:
    if bundle is _host or bundle in _joined:
        return
    running = _runtime.julia_version()
    if bundle.julia_version != running:
        origin = f"that of {_host}" if _host is not None else "an installed one"
        raise ImportError(
            f"{bundle} contains Julia {bundle.julia_version}, but this process runs Julia {running}, {origin}; a "
            f"process has one Julia: pack with the same Julia, or use one process for each; {more('one-julia')}"
        )
    _check_packages(bundle)
    trace(f"{bundle} joins the Julia that runs")
    stdlib = bundle.home.path(bundle.description["julia"]["stdlib"])
    _runtime.extend_paths(
        "\0".join((os.path.dirname(bundle.directory), stdlib)),
        "\0".join(bundle.depots),
        "\0".join(bundle.libraries),
    )
    _joined.append(bundle)
    images = bundle.description["image"]["packages"]
    if images is not None and bundle.home is _host and bundle is not _host:
        _runtime.include(bundle.path(images))


def _check_packages(bundle: Bundle) -> None:
    """Raise an ImportError if another version of a package in ``bundle`` is loaded."""
    known: set[str] = set()
    for other in (_host, *_joined):
        if other is None:
            continue
        known.update(other.packages)
        for uuid in bundle.packages.keys() & other.packages.keys():
            ours, theirs = bundle.packages[uuid], other.packages[uuid]
            if ours["name"] != theirs["name"]:
                raise ImportError(
                    f"{bundle} contains the Julia package {ours['name']}, and {other}, which is loaded, contains "
                    f"{theirs['name']} with the same UUID {uuid}; give one of them another UUID and pack it again"
                )
            if ours != theirs:
                raise ImportError(
                    f"{bundle} contains the Julia package {_words(ours, theirs)}, but {other}, which is loaded, "
                    f"contains {_words(theirs, ours)}; {_ONE_VERSION}"
                )
    if bundle.packages.keys() <= known:
        return
    # Packages that were loaded from a source tree, or came with an installed Julia.
    listed = iter(_runtime.loaded_packages().split("\0"))
    for uuid, source in zip(listed, listed, strict=True):
        package = bundle.packages.get(uuid)
        if package is None or uuid in known:
            continue
        directory = os.path.dirname(os.path.dirname(source))
        version = _version_in(directory)
        if version is not None and version != package["version"]:
            raise ImportError(
                f"{bundle} contains the Julia package {package['name']} {package['version']}, but {package['name']} "
                f"{version} is loaded from {directory}; {_ONE_VERSION}"
            )


_ONE_VERSION = (
    "a process has one version of a package: resolve both projects to the same version and pack them again, "
    f"or use one process for each; {more('one-julia')}"
)


def _words(package: dict[str, str], other: dict[str, str]) -> str:
    """Name and version, and the hash of the sources if the versions are the same."""
    words = f"{package['name']} {package['version']}"
    return f"{words} (sources {package['sources'][:12]})" if package["version"] == other["version"] else words


def _version_in(directory: str) -> str | None:
    path = os.path.join(directory, "Project.toml")
    return top_level(path, "version") if os.path.isfile(path) else None
