"""Directories that stand for environments: packed packages and NumPy, and no other `jnumpy`."""

import os
import subprocess
import sys
from pathlib import Path

import numpy
import tomllib
from paths import REPOSITORY

#: The format of `bundle.json` and the protocol number of the runtime in this repository.
FORMAT = tomllib.loads((REPOSITORY / "manifests/contract.toml").read_text())["bundle"]["format"]
PROTOCOL = (REPOSITORY / "runtime/python/jnumpy/protocol").read_text().strip()


def install(site: Path, *wheels: Path) -> Path:
    """Install the wheels and NumPy into the directory `site`."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site]
    subprocess.run([*command, *wheels], check=True)
    origin = Path(numpy.__path__[0]).parent
    for name in ("numpy", "numpy.libs"):
        (site / name).symlink_to(origin / name)
    return site


def environment(place: Path, *words: object) -> Path:
    """Create a virtual environment, let its pip install what the words say, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip_install(place / "bin/python", *words)
    return place / "bin/python"


def pip_install(python: Path, *words: object) -> None:
    """Let the pip of an environment install what the words say."""
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words], check=True)


def variables(**more: str) -> dict[str, str]:
    """Return variables with which a Python finds no Julia and no packages but its own, and `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TYPY_", "JULIA_", "PYTHON"))}
    return kept | more


def run(site: Path, code: str, streams=subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess:
    """Run Python code that can import from `site` alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TYPY_", "JULIA_"))}
    environment |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    # `-S` leaves out the environment's own packages, the installed runtime among them.
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=streams,
        stderr=streams,
        text=True,
        timeout=600,  # ends what hangs: without an image, Julia 1.12 compiles for 15 s of processor time
        cwd="/",
    )


def printed(site: Path, code: str, **variables: str) -> str:
    """Return the output of code, which must not print to stderr."""
    outcome = run(site, code, **variables)
    assert (outcome.returncode, outcome.stderr) == (0, ""), outcome
    return outcome.stdout


def refused(site: Path, code: str, **variables: str) -> str:
    """Return the last line of the traceback of a run that ends with an exception, not with a signal or `exit(1)`."""
    outcome = run(site, code, **variables)
    assert outcome.returncode == 1, outcome
    assert "Traceback" in outcome.stderr
    return outcome.stderr.strip().splitlines()[-1]


def more(topic: str, bundle: Path) -> str:
    """Return the end of a message that points to a section of the page in a bundle, where it has to be."""
    page = bundle / "jnumpy/errors.md"
    assert f"\n## {topic}\n" in page.read_text()
    return f"; more: section `{topic}` of {page}"
