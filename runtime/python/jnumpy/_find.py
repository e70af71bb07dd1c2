"""Finding an installed Julia, for development."""

from __future__ import annotations

import os
import shutil
import subprocess
from glob import escape as glob_escape
from glob import glob

from jnumpy._errors import JuliaNotFoundError, more
from jnumpy._project import home


def start() -> tuple[str, str, str, str | None, None]:
    """Paths of libjulia, its ``bin``, its system image, and the directory with TyPython's sources; no relocation."""
    bindir = os.path.dirname(os.path.realpath(_executable()))
    libraries = _libraries(bindir)
    if libraries is None:
        # A launcher, such as juliaup's, starts a Julia that lies elsewhere.
        bindir = _ask(os.path.join(bindir, "julia"))
        libraries = _libraries(bindir)
    if libraries is None:
        raise JuliaNotFoundError(f"the Julia in {bindir} has no libjulia beside it: {_patterns(bindir)}")
    sources = os.path.join(os.path.dirname(os.path.abspath(__file__)), "julia")
    return (libraries[0], bindir, libraries[1], sources, None)


def _executable() -> str:
    named = os.environ.get("TYPY_JL_EXE")
    if named:
        if not os.access(named, os.X_OK):
            raise JuliaNotFoundError(f"TYPY_JL_EXE is {named!r}, which is not an executable file")
        return named
    found = shutil.which("julia")
    if found:
        return found
    managed = os.path.join(home(), "julia")
    candidates = [
        path for path in glob(os.path.join(glob_escape(managed), "*", "bin", "julia")) if os.access(path, os.X_OK)
    ]
    if candidates:
        return max(candidates, key=_version_of)
    raise JuliaNotFoundError(
        f"no Julia found: TYPY_JL_EXE is not set, `julia` is not on PATH ({os.environ.get('PATH', '')}), and nothing "
        f"is installed in {managed}; install one with `jnumpy-pack julia install`; {more('no-julia')}"
    )


def _version_of(executable: str) -> tuple[int, ...]:
    name = os.path.basename(os.path.dirname(os.path.dirname(executable)))
    return tuple(int(part) for part in name.partition("-")[0].split(".") if part.isdigit())


def _patterns(bindir: str) -> list[str]:
    lib = os.path.join(os.path.dirname(bindir), "lib")
    return [glob_escape(lib), os.path.join(glob_escape(lib), "*-linux-gnu")]


def _libraries(bindir: str) -> tuple[str, str] | None:
    """Libjulia and the system image that belong to ``bindir``."""
    for pattern in _patterns(bindir):
        for directory in glob(pattern):
            libjulia = sorted(glob(os.path.join(glob_escape(directory), "libjulia.so.1*")), key=len)
            image = os.path.join(directory, "julia", "sys.so")
            if libjulia and os.path.isfile(image):
                return (libjulia[0], image)
    return None


def _ask(launcher: str) -> str:
    try:
        answer = subprocess.run(
            [launcher, "--startup-file=no", "-e", "print(Sys.BINDIR)"],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise JuliaNotFoundError(f"{launcher} does not start: {reason}") from error
    return answer.stdout
