"""Measures what worker processes with a packed package cost: start, memory, throughput, and use of the file system.

The wheel of `fixtures/kmeans1d` is installed into an environment of its own. Each number of workers is started at once;
every worker imports the package, makes one call, and stays until the memory of all has been read. The use of the file
system is that of one process: the system calls by strace, and, with an empty page cache, the bytes from the disk by the
kernel's counters (needs root).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

from startup import FIRST_RESULT, RESULTS, ROOT, clean_environment, install

WORKERS = (1, 2, 8, 32)
IMPORTS = {"NumPy": "import numpy", "NumPy and the package": FIRST_RESULT}
KINDS = {"resident": ["Rss"], "share": ["Pss"], "private": ["Private_Clean", "Private_Dirty"]}

#: The end of a program that stays until it gets a line.
STAY = "\nprint(flush=True)\ninput()"

#: One process clusters numbers for some time, and says how many times it did.
WORK = """
import numpy, time
from jl_kmeans1d import jl_cluster
data = numpy.random.default_rng(1).standard_normal(100_000)
jl_cluster(data, 8)
print("ready", flush=True)
input()
end, count = time.monotonic() + 5, 0
while time.monotonic() < end:
    jl_cluster(data, 8)
    count += 1
print(count)
"""


def start(python: Path, code: str) -> subprocess.Popen:
    """Start a process that says something when it is ready, and then waits for a line."""
    pipe = subprocess.PIPE
    return subprocess.Popen([python, "-c", code], env=clean_environment(), stdin=pipe, stdout=pipe, text=True)


def memory(process: subprocess.Popen) -> dict[str, int]:
    """Return the memory of a process in kB: resident, its share (pages divided by their users), and private."""
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    found = {name: int(size) for name, size in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}
    return {kind: sum(found[name] for name in names) for kind, names in KINDS.items()}


def together(python: Path, code: str, count: int) -> dict[str, float]:
    """Start `count` processes at once; return seconds until all are ready, and the mean of their memory in MB."""
    began = time.monotonic()
    started = [start(python, code + STAY) for _ in range(count)]
    for process in started:
        process.stdout.readline()
    spent = time.monotonic() - began
    sizes = [memory(process) for process in started]
    for process in started:
        process.communicate("\n")
    mean = {f"{kind}_mb": round(sum(size[kind] for size in sizes) / count / 1024, 1) for kind in KINDS}
    return {"seconds": round(spent, 2), **mean}


def throughput(python: Path, count: int) -> int:
    """Return how many calls `count` processes make in five seconds."""
    started = [start(python, WORK) for _ in range(count)]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(int(process.communicate()[0]) for process in started)


def file_calls(python: Path, code: str) -> dict[str, int]:
    """Return how many system calls of one process name a file, by kind, and how many MB it reads with `read`."""
    with tempfile.TemporaryDirectory() as records:
        command = ["strace", "-ff", "-e", "trace=%file,read,pread64", "-e", "signal=none", "-o", f"{records}/thread"]
        subprocess.run([*command, "--", python, "-c", code], env=clean_environment(), check=True)
        text = "\n".join(record.read_text() for record in Path(records).iterdir())
    opened = re.findall(r"^open(?:at)?\(.* = (-?\d+)", text, re.MULTILINE)
    others = re.findall(
        r"^(?:newfstatat|stat|lstat|access|faccessat2?|readlink(?:at)?)\((?!\d+, \"\")", text, re.MULTILINE
    )
    return {
        "opens": sum(result != "-1" for result in opened),
        "opens_of_nothing": opened.count("-1"),
        "stats": len(others),
        "read_mb": round(sum(map(int, re.findall(r"^(?:read|pread64)\(.* = (\d+)$", text, re.MULTILINE))) / 1e6, 1),
    }


def bytes_from_disk(python: Path, code: str) -> float:
    """Return how many MB one process fetches from the disk if nothing is in the page cache."""
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("3")
    process = start(python, code + STAY)
    process.stdout.readline()
    counters = Path(f"/proc/{process.pid}/io").read_text()
    process.communicate("\n")
    return round(int(re.search(r"^read_bytes: (\d+)$", counters, re.MULTILINE)[1]) / 1e6, 1)


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="the packed wheel of fixtures/kmeans1d")
    parser.add_argument("--output", type=Path, default=RESULTS / "workers.json")
    arguments = parser.parse_args()
    python = install(arguments.wheel, ROOT / "build" / "bench" / "workers")
    julia = subprocess.check_output(
        [python, "-c", "import jl_kmeans1d, jnumpy; print(jnumpy.julia_version)"], text=True
    )
    report = {"version": 1, "wheel": arguments.wheel.name, "julia": julia.strip(), "workers": [], "files": {}}
    print(f"{'workers':24}{'all ready':>12}{'resident':>12}{'share':>12}{'private':>12}")
    for what, code in IMPORTS.items():
        for count in WORKERS:
            row = {"imports": what, "count": count, **together(python, code, count)}
            report["workers"].append(row)
            sizes = "".join(f"{row[f'{kind}_mb']:9.1f} MB" for kind in KINDS)
            print(f"{count:3} {what:20}{row['seconds']:10.2f} s{sizes}")
    report["calls_in_5_s"] = {str(count): throughput(python, count) for count in (1, 2)}
    print(f"calls in 5 s: {report['calls_in_5_s']['1']} by one process, {report['calls_in_5_s']['2']} by two")
    for what, code in IMPORTS.items():
        report["files"][what] = {**file_calls(python, code), "from_disk_mb": bytes_from_disk(python, code)}
        print(what, report["files"][what])
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
