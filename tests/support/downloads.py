"""Wheels of other projects, downloaded once and kept."""

import subprocess
import sys
import tempfile
from pathlib import Path


def wheel(requirement: str, directory: Path, *platforms: str, python: str = "3.13") -> Path:
    """Return the wheel of `requirement` for one CPython and one of `platforms`; download it when it is missing."""
    name, version = requirement.split("==")
    for platform in platforms:
        if found := list(directory.glob(f"{name}-{version}-*{platform}.whl")):
            return found[0]
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=directory) as unfinished:
        selection = ["--no-deps", "--only-binary=:all:", f"--python-version={python}"]
        selection += [f"--platform={platform}" for platform in platforms]
        command = [sys.executable, "-m", "pip", "download", *selection, "--dest", unfinished, requirement]
        subprocess.run(command, check=True)
        (wheel,) = Path(unfinished).glob("*.whl")
        return wheel.rename(directory / wheel.name)
