"""Finding an installed Julia, for development.

The rules are in ``finder.json``, which ``jnumpy-pack`` reads too, so both find the same Julia.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import warnings
from fnmatch import fnmatchcase
from glob import escape as glob_escape
from glob import glob
from typing import TYPE_CHECKING, NamedTuple

from jnumpy._errors import JuliaNotFoundError, more
from jnumpy._project import home

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
COMMAND = "julia"
MARK = "jnumpy-julia "

with open(os.path.join(HERE, "finder.json"), encoding="utf-8") as file:
    RULES = json.load(file)


class Julia(NamedTuple):
    """The parts of a Julia that the runtime needs. All paths are resolved."""

    version: str
    """``1.10.8``, or ``1.10`` if only the names of files were checked."""
    executable: str
    libjulia: str
    sysimage: str


def start() -> tuple[str, str, str, str, None, None]:
    """Paths of libjulia, its ``bin``, its system image, and TyPython's sources; nothing is relocated."""
    julia = find()
    return (julia.libjulia, os.path.dirname(julia.executable), julia.sysimage, os.path.join(HERE, "julia"), None, None)


def find() -> Julia:
    """Find the Julia to use.

    A Julia that was named and does not work is an error; one that is only come across is skipped with a warning.
    """
    searched = []
    for location in RULES["locations"]:
        try:
            candidates = list(_LOCATIONS[location]())
        except JuliaNotFoundError as error:
            if location != "juliaup":
                raise
            warnings.warn(f"skipped: {error}", RuntimeWarning, stacklevel=2)
            candidates = []
        for executable, origin in candidates:
            try:
                julia = _examine(executable, origin)
            except JuliaNotFoundError as error:
                if location in ("variable", "default"):
                    raise
                warnings.warn(f"skipped: {error}", RuntimeWarning, stacklevel=2)
                searched.append(f"`{executable}` ({origin}, does not work)")
                continue
            if _series(julia.version) > _series(RULES["newest"]):
                warnings.warn(
                    f"Julia {julia.version} is newer than {RULES['newest']}, the newest version that JNumPy was tested "
                    "with",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return julia
    raise JuliaNotFoundError(
        f"no Julia found: TYPY_JL_EXE is not set, {''.join(text + ', ' for text in searched)}`julia` is not on PATH "
        f"({os.environ.get('PATH', '')}), and nothing is installed in {_managed()}; install one with "
        f"`jnumpy-pack julia install`; {more('no-julia')}"
    )


# Each location yields executables, which may be launchers, with the origin of each.


def _variable() -> Iterator[tuple[str, str]]:
    named = os.environ.get("TYPY_JL_EXE")
    if named:
        yield (_named(named, "TYPY_JL_EXE"), "TYPY_JL_EXE")


def _default() -> Iterator[tuple[str, str]]:
    path = os.path.join(_managed(), RULES["installed"]["default"])
    try:
        with open(path, encoding="utf-8") as file:
            name = file.read().strip()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise JuliaNotFoundError(f"{path}, which names the default Julia, cannot be read: {error}") from error
    if name not in (installed for _, installed in _complete()):
        raise JuliaNotFoundError(
            f"`{name}`, which `{path}` names as the default Julia, is not installed; choose another with "
            "`jnumpy-pack julia use VERSION`, or remove the choice with `jnumpy-pack julia use --none`"
        )
    yield (_program(name), f"installed as {name}, the default")


def _path() -> Iterator[tuple[str, str]]:
    for executable in _on_path(COMMAND):
        yield (executable, "PATH")


def _installed() -> Iterator[tuple[str, str]]:
    # The newest first; of two alike, the first by name.
    found = sorted(_complete(), key=lambda one: one[1])
    for _, name in sorted(found, key=lambda one: _order(one[0]), reverse=True):
        yield (_program(name), f"installed as {name}")


def _juliaup() -> Iterator[tuple[str, str]]:
    config = _juliaup_config()
    read = _read_juliaup(config)
    if read is None:
        return
    channel = os.environ.get("JULIAUP_CHANNEL") or read.get("Default")
    if channel:
        yield (_channel(config, read, channel), "juliaup")


_LOCATIONS = {
    "variable": _variable,
    "default": _default,
    "path": _path,
    "installed": _installed,
    "juliaup": _juliaup,
}


def _named(value: str, origin: str) -> str:
    """The executable that a value names: a path, a command on PATH, or a channel of juliaup."""
    channel = re.fullmatch(r"(?:|.*julia )\+([^/ +]+)", value)
    if channel:
        config = _juliaup_config()
        return _channel(config, _read_juliaup(config) or {}, channel[1])
    if "/" not in value:
        value = next(_on_path(value), value)
    if os.path.isdir(value):
        raise JuliaNotFoundError(
            f"{origin} names the directory `{value}`, not a program: name `{os.path.join(value, 'bin/julia')}`"
        )
    if not _is_executable(value):
        raise JuliaNotFoundError(f"there is no Julia at `{value}`, which {origin} names")
    return value


def _on_path(command: str) -> Iterator[str]:
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        if os.path.isabs(directory) and _is_executable(os.path.join(directory, command)):
            yield os.path.join(directory, command)


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


# The Julias that `jnumpy-pack julia install` has installed.


def _managed() -> str:
    return os.path.join(os.path.abspath(home()), "julia")


def _program(name: str) -> str:
    return os.path.join(_managed(), name, "bin", COMMAND)


def _complete() -> Iterator[tuple[str, str]]:
    """Version and name of each complete installation. Its record is written last."""
    rules = RULES["installed"]
    try:
        names = os.listdir(_managed())
    except OSError:
        return
    for name in names:
        if name.startswith("."):
            continue
        try:
            with open(os.path.join(_managed(), name, rules["record"]), encoding="utf-8") as file:
                record = json.load(file)
            if record["version"] == rules["format"] and _order(record["julia"]):
                yield (record["julia"], name)
        except (OSError, ValueError, KeyError, TypeError):
            continue


# The Julias that juliaup has installed, read from its configuration. No launcher runs, so nothing is downloaded.


def _juliaup_config() -> str:
    rules = RULES["juliaup"]
    depot = os.environ.get("JULIAUP_DEPOT_PATH") or os.path.join(os.path.expanduser("~"), rules["depot"])
    return os.path.join(depot, rules["config"])


def _read_juliaup(config: str) -> dict | None:
    try:
        with open(config, encoding="utf-8") as file:
            read = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise JuliaNotFoundError(f"`{config}` of juliaup is damaged: {error}") from error
    if not isinstance(read, dict):
        raise JuliaNotFoundError(f"`{config}` of juliaup is damaged: it contains no table")
    return read


def _channel(config: str, read: dict, name: str) -> str:
    """The executable of a channel, which is a version, a directory, a linked command, or another name of a channel."""
    channels = read.get("InstalledChannels") or {}
    channel = channels.get(name)
    if channel and channel.get("Target"):
        channel = channels.get(channel["Target"].lstrip("+"))
    if channel and channel.get("Command"):
        return channel["Command"]
    versions = read.get("InstalledVersions") or {}
    path = channel and (versions.get(channel.get("Version"), channel).get("Path"))
    if path is None:
        known = ", ".join(f"`{known}`" for known in sorted(channels))
        raise JuliaNotFoundError(
            f"`{config}` of juliaup has no channel `{name}`: `juliaup add {name}` installs it"
            + (f"; the installed ones are {known}" if known else "")
        )
    return os.path.join(os.path.dirname(config), path, "bin", COMMAND)


# Versions.


def _order(version: str) -> tuple:
    """A key by which versions sort as Julia sorts them: 1.9.0 before 1.10.0-rc1 before 1.10.0."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?", version)
    if not match:
        raise ValueError(f"not a Julia version: `{version}`")
    identifiers = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in (match[4] or "").split(".") if part
    )
    return (int(match[1]), int(match[2]), int(match[3]), not identifiers, identifiers)


def _series(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


# Checking a Julia.


def _examine(executable: str, origin: str) -> Julia:
    """Check the files of a Julia. A launcher, such as that of juliaup, is run to find the Julia that it starts."""
    if not _is_executable(executable):
        raise JuliaNotFoundError(f"there is no Julia at `{executable}`, which {origin} names")
    julia = _beside(os.path.realpath(executable)) or _ask(executable, origin)
    if _series(julia.version) < _series(RULES["oldest"]):
        raise JuliaNotFoundError(
            f"`{executable}` is Julia {julia.version}, but the oldest supported version is {RULES['oldest']}"
        )
    compiler = RULES["compiler"]
    private = os.listdir(os.path.dirname(julia.sysimage))
    if _series(julia.version) >= _series(compiler["since"]) and not any(
        fnmatchcase(name, compiler["library"] + "*") for name in private
    ):
        raise JuliaNotFoundError(
            f"`{julia.executable}` has no compiler: there is no `{compiler['library']}` beside its libraries"
        )
    return julia


def _beside(executable: str) -> Julia | None:
    """The Julia of this program; ``None`` if it is a script or is not in the usual layout."""
    with open(executable, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return None
    lib = os.path.join(os.path.dirname(os.path.dirname(executable)), "lib")
    for pattern in (glob_escape(lib), os.path.join(glob_escape(lib), "*-linux-gnu")):
        for directory in glob(pattern):
            image = os.path.join(directory, "julia", "sys.so")
            if not os.path.isfile(image):
                continue
            for libjulia in map(os.path.realpath, glob(os.path.join(glob_escape(directory), "libjulia.so.1*"))):
                match = re.fullmatch(r"libjulia\.so\.(\d+\.\d+)(?:\.\d+)?", os.path.basename(libjulia))
                if match:
                    return Julia(match[1], executable, libjulia, image)
    return None


def _ask(executable: str, origin: str) -> Julia:
    with open(os.path.join(HERE, "probe.jl"), encoding="utf-8") as file:
        question = file.read()
    surprises = ("JULIA_", "LD_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(surprises)}
    try:
        answer = subprocess.run(
            [executable, "--startup-file=no", "-e", question],
            check=True,
            capture_output=True,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None)
        reason = said.decode(errors="replace").strip() if said else error
        raise JuliaNotFoundError(f"the Julia `{executable}` ({origin}) does not start: {reason}") from error
    lines = answer.stdout.decode(errors="replace").splitlines()
    told = dict(line[len(MARK) :].split("=", 1) for line in lines if line.startswith(MARK) and "=" in line)
    missing = {"version", "executable", "libjulia", "sysimage"} - told.keys()
    if missing:
        what = ascii(lines[0])[1:-1] if lines else ""
        raise JuliaNotFoundError(f"`{executable}` is not a Julia executable, it printed: {what}")
    for part in ("executable", "libjulia", "sysimage"):
        told[part] = os.path.realpath(told[part])
        if not os.path.isfile(told[part]):
            raise JuliaNotFoundError(f"the {part} of `{executable}` is not where that Julia says it is: {told[part]}")
    try:
        _order(told["version"])
    except ValueError as error:
        raise JuliaNotFoundError(f"`{executable}` is not a Julia executable: {error}") from error
    return Julia(told["version"], told["executable"], told["libjulia"], told["sysimage"])
