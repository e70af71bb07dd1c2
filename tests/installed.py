"""An installed package apart from the tests' own environment: where it is, and how code is run there."""

import os
import subprocess
import sys
from pathlib import Path


def install(wheel: Path, site: Path) -> None:
    """Install the wheel into the directory `site`, with NumPy beside it and no other `jnumpy`."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel]
    subprocess.run(command, check=True)
    numpy = Path(
        subprocess.check_output([sys.executable, "-c", "import numpy; print(numpy.__path__[0])"], text=True).strip()
    )
    for name in ("numpy", "numpy.libs"):
        (site / name).symlink_to(numpy.parent / name)


def run(site: Path, code: str, streams: int = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess:
    """Run Python code with what is in `site`, in the root directory, without the variables that Julia reads."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TYPY_", "JULIA_"))}
    environment |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    # `-S` leaves out the environment's own packages, the installed runtime among them.
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=streams,
        stderr=streams,
        text=True,
        timeout=120,
        cwd="/",
    )
