"""The build backend of projects with a Julia core (PEP 517, PEP 660): `jnumpy-pack` does the work.

Settings are the options of `jnumpy-pack wheel` without their dashes: `julia`, `cpu-target`, `image`, `no-image`,
`no-compiler`, `stdlibs`, `shared`, `julia-wheel`, `python`, `runtime`, `platform`, `compress`. `--config-settings
no-image=true` stands for `--no-image`.

There is no `prepare_metadata_for_build_wheel`: METADATA lists the licenses of all that is bundled, which is known when
the wheel is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "find_program",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

Settings = Mapping[str, Any]
FLAGS = ("no-image", "no-compiler", "shared")
OPTIONS = ("julia", "cpu-target", "image", "stdlibs", "julia-wheel", "python", "runtime", "platform", "compress")


def find_program() -> str:
    """Return the path of the `jnumpy-pack` that was installed with this module.

    :raises FileNotFoundError: it is neither among the environment's scripts nor on `PATH`
    """
    # A build environment of pip's has its scripts on PATH only.
    places = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    found = shutil.which("jnumpy-pack", path=places)
    if found is None:
        raise FileNotFoundError(f"`jnumpy-pack` was not found, looked in: {places}")
    return found


def get_requires_for_build_wheel(config_settings: Settings | None = None) -> list[str]:
    """Return what recording the project's workload needs: its own dependencies, and NumPy."""
    with open("pyproject.toml", "rb") as file:
        document = _toml().load(file)
    if "precompile" not in document.get("tool", {}).get("jnumpy", {}) or "no-image" in (config_settings or {}):
        return []
    return ["numpy", *document.get("project", {}).get("dependencies", [])]


def get_requires_for_build_sdist(config_settings: Settings | None = None) -> list[str]:
    """Return nothing: source distributions need no other package."""
    return []


def get_requires_for_build_editable(config_settings: Settings | None = None) -> list[str]:
    """Return nothing: editable wheels need no other package."""
    return []


def build_wheel(
    wheel_directory: str, config_settings: Settings | None = None, metadata_directory: str | None = None
) -> str:
    """Pack the project in the current directory; return the wheel's name.

    :param wheel_directory: where the wheel goes
    :param config_settings: see the module
    :raises ValueError: a setting does not exist
    :raises SystemExit: `jnumpy-pack` failed; it has said why
    """
    options = _options(config_settings or {})
    if not any(option in options for option in ("--no-image", "--python")):
        options += ["--python", sys.executable]
    return _run("wheel", ".", "--out-dir", wheel_directory, *options)


def build_sdist(sdist_directory: str, config_settings: Settings | None = None) -> str:
    """Put the sources of the project in the current directory into one file; return its name.

    :param sdist_directory: where the file goes
    :raises SystemExit: `jnumpy-pack` failed; it has said why
    """
    return _run("sdist", ".", "--out-dir", sdist_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings | None = None, metadata_directory: str | None = None
) -> str:
    """Make a wheel that imports the project from the current directory; return its name.

    :param wheel_directory: where the wheel goes
    :raises SystemExit: `jnumpy-pack` failed; it has said why
    """
    return _run("editable", ".", "--out-dir", wheel_directory)


def _options(settings: Settings) -> list[str]:
    words: list[str] = []
    for name, value in settings.items():
        if name in FLAGS:
            if str(value).lower() not in ("true", "false"):
                raise ValueError(f"the setting `{name}` is `true` or `false`, not `{value}`")
            words += [f"--{name}"] * (str(value).lower() == "true")
        elif name in OPTIONS:
            words += [f"--{name}", str(value)]
        else:
            known = ", ".join(f"`{known}`" for known in (*FLAGS, *OPTIONS))
            raise ValueError(f"there is no setting `{name}`; the settings are {known}")
    return words


def _run(*arguments: str) -> str:
    """Run the command, and return the name of the file that it says it made."""
    outcome = subprocess.run([find_program(), *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if outcome.returncode != 0:
        raise SystemExit(outcome.returncode)
    return Path(outcome.stdout.splitlines()[-1]).name


def _toml() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    import tomli

    return tomli
