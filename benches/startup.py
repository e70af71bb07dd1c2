"""Measures a fresh process of a packed package, from its start to the first result, and where the time goes.

The wheel of `fixtures/kmeans1d` is installed into an environment of its own. Beside it, in the same rounds: a bare
Python that imports NumPy, and a bare Julia on the image that the wheel holds. What counts is the fastest process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results")
ROUNDS = 15
TARGET = 1.3

FIRST_RESULT = "import numpy, jl_kmeans1d; jl_kmeans1d.jl_cluster(numpy.array([1.0, 1.1, 5.0]), 2)"

# One step after the other, by the same functions that an import calls. What the extension does in one go is taken apart
# by opening libraries before it does: the dynamic loader opens none twice.
STEPS = """
import time
steps = [("interpreter", time.monotonic() - float(__import__("sys").argv[1]))]
def step(name, work):
    start = time.monotonic()
    result = work()
    steps.append((name, time.monotonic() - start))
    return result
def load(name):
    return __import__(name)
import ctypes, importlib.util, json, os
numpy = step("NumPy", lambda: load("numpy"))
package = os.path.dirname(importlib.util.find_spec("jl_kmeans1d").origin)
__import__("sys").path.insert(0, os.path.join(package, "_jnumpy"))
jnumpy = step("the runtime's Python modules and extension", lambda: load("jnumpy"))
from jnumpy import _bundle, _runtime
bundle = _bundle.Bundle(os.path.join(package, "_jnumpy"))
step("checking the bundle", lambda: _bundle.Bundle(os.path.join(package, "_jnumpy")).check())
libjulia, _, image, *_ = _bundle.start(bundle)
libraries = [step("libjulia and what it needs", lambda: ctypes.CDLL(libjulia, os.RTLD_NOW | os.RTLD_GLOBAL))]
libraries.append(step("opening the image", lambda: ctypes.CDLL(image, os.RTLD_LAZY)))
def timed(name, function):
    return lambda *arguments: step(name, lambda: function(*arguments))
_runtime.start = timed("Julia's start on the image, TyPython", _runtime.start)
_runtime.load_project = timed("the project's `init()`", _runtime.load_project)
import jl_kmeans1d
data = numpy.array([1.0, 1.1, 5.0])
step("first call", lambda: jl_kmeans1d.jl_cluster(data, 2))
step("second call", lambda: jl_kmeans1d.jl_cluster(data, 2))
print(json.dumps(steps))
"""


def install(wheel: Path, directory: Path) -> Path:
    """Install the wheel and NumPy into a fresh environment; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
    python = directory / "bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "numpy==2.*", wheel], check=True)
    return python


def clean_environment() -> dict[str, str]:
    """Return variables that say nothing about a Julia or a Python."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("JULIA_", "TYPY_", "PYTHON"))}


def seconds(command: list[str | Path], environment: dict[str, str]) -> float:
    """Return how long a process takes."""
    start = time.monotonic()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="the packed wheel of fixtures/kmeans1d")
    parser.add_argument("--julia", type=Path, required=True, help="the Julia that the wheel was packed with")
    parser.add_argument("--output", type=Path, default=RESULTS / "startup.json")
    arguments = parser.parse_args()
    python = install(arguments.wheel, ROOT / "build" / "bench" / "startup")
    environment = clean_environment()
    (bundle,) = (ROOT / "build/bench/startup/lib").glob("python*/site-packages/jl_kmeans1d/_jnumpy")
    description = json.loads((bundle / "bundle.json").read_text())
    julia = [arguments.julia, "--startup-file=no", f"--sysimage={bundle / description['image']['path']}", "-e", "0"]
    commands = {
        "bare Python and NumPy": [python, "-c", "import numpy"],
        "bare Julia on the image": julia,
        "import and first result": [python, "-c", FIRST_RESULT],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    steps: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(seconds(command, environment))
        told = subprocess.run(
            [python, "-c", STEPS, str(time.monotonic())], env=environment, check=True, stdout=subprocess.PIPE
        )
        for name, spent in json.loads(told.stdout):
            steps.setdefault(name, []).append(spent)
    fastest = {name: min(measured) for name, measured in times.items()}
    bare = fastest["bare Python and NumPy"] + fastest["bare Julia on the image"]
    report = {
        "version": 1,
        "wheel": arguments.wheel.name,
        "julia": description["julia"]["version"],
        "milliseconds": {name: round(spent * 1e3, 1) for name, spent in fastest.items()},
        "ratio": round(fastest["import and first result"] / bare, 3),
        "target": TARGET,
        "steps_milliseconds": {name: round(min(measured) * 1e3, 2) for name, measured in steps.items()},
    }
    for name, spent in report["milliseconds"].items():
        print(f"{name:46}{spent:8.1f} ms")
    verdict = "met" if report["ratio"] <= TARGET else "missed"
    print(f"{'ratio to both bare ones':46}{report['ratio']:8.2f} ×   ≤ {TARGET} ×  {verdict}")
    for name, spent in report["steps_milliseconds"].items():
        print(f"  {name:44}{spent:8.2f} ms")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
