"""Measures each example beside the Python library that users would otherwise call, in one run.

Both run in one process and alternate: what is printed are medians, so Julia's garbage collection has its share and a
machine that changes its speed changes both. Both have one thread, or two where it is said: Julia's own, OpenMP's and
those of the BLAS. Time is that of this thread on a processor, so waiting for one does not count; with two threads it is
that on the clock. The memory is what one call needs beyond its arguments, at most; each side has a process of its own
for that, and the call was made once before.

    python benches/examples.py [EXAMPLE ...]

Writes `results/examples.json`, a table `results/examples.md`, and a picture `results/examples.svg`, unless only some
examples are named. Needs the runtime and the peers in this environment, and a Julia, as `TYPY_JL_EXE` says.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import timeit
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import draw_examples
from calls import RESULTS, ROOT, processor

THREAD_VARIABLES = ("JULIA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Enough of both for medians; a row takes a few seconds.
SECONDS, LEAST_ROUNDS, MOST_ROUNDS = 4.0, 5, 60
BATCH_SECONDS = 0.005


@dataclass(frozen=True)
class Row:
    """A call of one size, and the peer's for the same."""

    size: str
    setup: str
    """Makes what both take, deterministically."""
    ours: str
    peer: str
    talk: bool = False
    """Whether the talk of 2022 shows it."""


@dataclass(frozen=True)
class Example:
    """An example project and the library it is compared with."""

    peer: str
    """As it is called in the table: a distribution's name, or Python."""
    imports: str
    rows: list[Row]
    threads: int = 1


def fourier(package: str) -> Example:
    """Return the rows of one of the two packages with Fourier transforms."""
    sizes = {"1,000 real": (1000, False), "10,007 real, a prime": (10_007, False), "100,000 real": (100_000, True)}
    sizes["1,048,576 real"] = (2**20, False)
    rows = [
        Row(name, f"x = np.random.default_rng(0).random({n})", "jl_fft(x)", "np.fft.fft(x)", talk)
        for name, (n, talk) in sizes.items()
    ]
    return Example("numpy", f"from {package} import jl_fft", rows)


def points(n: int, dimensions: int, clusters: int, *, talk: bool = False) -> Row:
    """Return the row of one clustering; each round has another seed, since the number of iterations depends on it."""
    return Row(
        f"({n:,}, {dimensions}), {clusters} clusters",
        f"data = np.random.default_rng(0).random(({n}, {dimensions})); seeds = itertools.count(), itertools.count()",
        f"jl_kmeans(data, {clusters}, seed=next(seeds[0]))",
        f"KMeans({clusters}, n_init=1, random_state=next(seeds[1])).fit(data)",
        talk,
    )


def plate(points: int) -> Row:
    """Return the row of Poisson's equation on a square, which takes many steps."""
    setup = f"""
h = 1 / ({points} + 1)
f = np.random.default_rng(0).random(({points}, {points}))
line = sp.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=({points}, {points})) / h**2
a = sp.kronsum(line, line, format="csr")
"""
    return Row(
        f"square of {points} × {points}, 200 steps at most",
        setup,
        "jl_poisson(f, h, restart=50, maxiter=4)",
        "gmres(a, f.ravel(), restart=50, maxiter=4)",
    )


LINE = """
x = np.linspace(0, 1, 1000)
h, f = x[1] - x[0], np.sin(2 * np.pi * x[1:-1])
a = sp.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(998, 998), format="csr") / h**2
"""


def grid(n: int) -> str:
    """Return what makes the Laplacian on a square grid, as SciPy's matrix in SciPy's memory."""
    return f"a = jl_laplacian({n}).copy(); x = np.random.default_rng(0).random({n * n})"


ODE = """
import numpy as np
from jl_ode import Event, jl_solve
from scipy.integrate import solve_ivp

def lorenz(t, y):
    a, b, c = y
    return np.array([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c])

def pendulum(t, y):
    return np.array([y[1], -np.sin(y[0])])

def turns(t, y):
    return y[1]

def heat(t, y):
    # Second differences of a rod, whose ends are kept at 0.
    slope = -2 * y
    slope[1:] += y[:-1]
    slope[:-1] += y[1:]
    return slope
"""

KMEANS = "import itertools; from jl_kmeans import jl_kmeans; from sklearn.cluster import KMeans"


def square(n: int) -> str:
    """Return what makes a square matrix."""
    return f"x = np.random.default_rng(0).random(({n}, {n}))"


EXAMPLES = {
    "basic": Example(
        "numpy",
        "from basic import jl_mat_mul",
        [Row(f"{n} × {n} matrix product", square(n), "jl_mat_mul(x, x)", "x @ x") for n in (30, 100, 300, 1000)],
    ),
    "benches": Example(
        "Python, numpy",
        "import operator; from benches import *",
        [
            Row("int_add(1, 2)", "", "jl_int_add(1, 2)", "operator.add(1, 2)", True),
            Row("mat_mul, 10 × 10", square(10), "jl_mat_mul(x, x)", "x @ x", True),
            Row("convert_array, 10 × 10", square(10), "jl_convert_array(x)", "x.view()", True),
            Row("convert_array, 1000 × 1000", square(1000), "jl_convert_array(x)", "x.view()"),
            Row("convert_complex", "z = complex(1, 0.5)", "jl_convert_complex(z)", "operator.pos(z)", True),
            Row(
                "convert_string, 11 bytes",
                "s = 'hello world'; b = s.encode()",
                "jl_convert_string(s)",
                "b.decode()",
                True,
            ),
            Row("convert_string, 10 kB", "s = 'hello' * 2000; b = s.encode()", "jl_convert_string(s)", "b.decode()"),
            Row("convert_string, 10 MB", "s = 'hello' * 2000000; b = s.encode()", "jl_convert_string(s)", "b.decode()"),
        ],
    ),
    "fft": fourier("jl_fft"),
    "fftw": fourier("jl_fftw"),
    "kmeans": Example(
        "scikit-learn",
        KMEANS,
        [points(1000, 10, 5), points(10_000, 50, 20), points(100_000, 8, 50), points(10_000, 500, 3, talk=True)],
    ),
    "kmeans, 2 threads": Example("scikit-learn", KMEANS, [points(10_000, 500, 3, talk=True)], 2),
    "kmeans1d": Example(
        "kmeans1d",
        "from jl_kmeans1d import jl_cluster; from kmeans1d import cluster",
        [
            Row(
                f"{n:,} numbers, {k} clusters",
                f"x = np.random.default_rng(0).random({n})",
                f"jl_cluster(x, {k})",
                f"cluster(x, {k})",
                talk,
            )
            for n, k, talk in ((1000, 32, False), (10_000, 32, False), (100_000, 32, True), (1_000_000, 4, False))
        ],
    ),
    "ode": Example(
        "scipy",
        ODE,
        [
            Row(
                "3 equations, chaotic",
                "y = np.ones(3)",
                "jl_solve(lorenz, (0, 10), y, rtol=1e-6)",
                "solve_ivp(lorenz, (0, 10), y, rtol=1e-6, dense_output=True)",
            ),
            Row(
                "pendulum, 32 events",
                "y = np.array([1.0, 0.0])",
                "jl_solve(pendulum, (0, 107), y, rtol=1e-6, events=[turns])",
                "solve_ivp(pendulum, (0, 107), y, rtol=1e-6, events=[turns], dense_output=True)",
            ),
            Row(
                "10,000 equations, heat",
                "y = np.random.default_rng(0).random(10_000)",
                "jl_solve(heat, (0, 20), y)",
                "solve_ivp(heat, (0, 20), y, dense_output=True)",
            ),
            Row(
                "10,000 values of a solution",
                "ours = jl_solve(lorenz, (0, 10), np.ones(3)); "
                "theirs = solve_ivp(lorenz, (0, 10), np.ones(3), dense_output=True).sol; "
                "t = np.linspace(0, 10, 10_000)",
                "ours(t)",
                "theirs(t)",
            ),
        ],
    ),
    "poisson": Example(
        "scipy",
        "from jl_poisson import jl_poisson; import scipy.sparse as sp; from scipy.sparse.linalg import gmres",
        [
            Row("line of 998", LINE, "jl_poisson(f, h)", "gmres(a, f, restart=50)", True),
            *(plate(size) for size in (31, 63, 127)),
        ],
    ),
    "sparse": Example(
        "scipy",
        "from jl_sparse import jl_laplacian, jl_matmul, jl_matvec",
        [
            *(Row(f"{n * n:,} rows, a @ x", grid(n), "jl_matvec(a, x)", "a @ x") for n in (30, 100, 300)),
            *(Row(f"{n * n:,} rows, a @ a", grid(n), "jl_matmul(a, a)", "a @ a") for n in (30, 100, 300)),
        ],
    ),
}


def names(example: str) -> dict[str, object]:
    """Import what an example's statements use."""
    found: dict[str, object] = {}
    # The repository has a directory by the name of an example.
    project, _, _ = example.partition(",")
    sys.path[:] = [str(ROOT / "fixtures" / project), *(path for path in sys.path if path != str(ROOT))]
    exec(f"import numpy as np; {EXAMPLES[example].imports}", found)
    return found


def time_rows(example: str) -> list[dict[str, float]]:
    """Return the median times of both, in seconds, and the median ratio of each round."""
    found = names(example)
    measured = []
    clock = time.thread_time if EXAMPLES[example].threads == 1 else time.perf_counter
    for row in EXAMPLES[example].rows:
        exec(row.setup, found)
        timers = [timeit.Timer(statement, timer=clock, globals=found) for statement in (row.ours, row.peer)]
        numbers = []
        for timer in timers:
            # The first call compiles; the second one says how many make a batch.
            timer.timeit(1)
            numbers.append(max(1, round(BATCH_SECONDS / timer.timeit(1))))
        times: list[list[float]] = [[], []]
        began = time.monotonic()
        while (rounds := len(times[1])) < LEAST_ROUNDS or (rounds < MOST_ROUNDS and time.monotonic() - began < SECONDS):
            for timer, number, spent in zip(timers, numbers, times, strict=True):
                spent.append(timer.timeit(number) / number)
        ratios = [peer / ours for ours, peer in zip(*times, strict=True)]
        ours, peer = map(statistics.median, times)
        measured.append({"ours": ours, "peer": peer, "times as fast": statistics.median(ratios)})
    return measured


def peak_rows(example: str, side: str) -> list[int]:
    """Return how many bytes each call of one side needs at most, beyond what is there before it."""
    found = names(example)
    measured = []
    libc = ctypes.CDLL(None)
    for row in EXAMPLES[example].rows:
        exec(row.setup, found)
        statement = compile(getattr(row, side), "statement", "eval")
        # Code that is compiled and libraries that are opened are no part of a call.
        eval(statement, found)
        if "jnumpy" in sys.modules:
            sys.modules["jnumpy"].exec_julia("GC.gc()")
        gc.collect()
        libc.malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        result = eval(statement, found)
        measured.append(max(0, resident("VmHWM") - before))
        del result
    return measured


def resident(name: str) -> int:
    """Return a size of this process as Linux tells it, in bytes."""
    return int(re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1]) * 1024


def child(task: str, example: str) -> list:
    """Return what this program answers in a process of its own."""
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(EXAMPLES[example].threads))
    command = [sys.executable, __file__, "--child", task, example]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def measure(example: str) -> list[dict[str, object]]:
    """Return what is known of each row of an example."""
    times, ours, peers = child("time", example), child("ours", example), child("peer", example)
    return [
        {
            "example": example,
            "size": row.size,
            "talk": row.talk,
            "peer": EXAMPLES[example].peer,
            "threads": EXAMPLES[example].threads,
            "seconds": {"ours": float(f"{time['ours']:.4g}"), "peer": float(f"{time['peer']:.4g}")},
            "times as fast": float(f"{time['times as fast']:.3g}"),
            "peak bytes": {"ours": own, "peer": other},
        }
        for row, time, own, other in zip(EXAMPLES[example].rows, times, ours, peers, strict=True)
    ]


def table(report: dict) -> str:
    """Return the figures as a table in Markdown."""
    lines = [
        f"Julia {report['julia']}, Python {report['python']}, "
        + ", ".join(f"{name} {number}" for name, number in report["peers"].items())
        + f"; {report['processor']}. Rows in bold are the talk's. "
        "Both sides have one thread where nothing else is said. "
        "Memory is what a call needs beyond its arguments, at most.",
        "",
        "| example | size | time | peer | | times as fast | memory | peer's |",
        "|---|---|--:|--:|---|--:|--:|--:|",
    ]
    for row in report["rows"]:
        bold = "**" if row["talk"] else ""
        seconds, memory = row["seconds"], row["peak bytes"]
        cells = [
            row["example"],
            f"{bold}{row['size']}{bold}",
            draw_examples.duration(seconds["ours"]),
            draw_examples.duration(seconds["peer"]),
            row["peer"],
            f"{bold}{row['times as fast']:.2g}{bold}",
            *(f"{memory[side] / 1e6:.1f} MB" for side in ("ours", "peer")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print the table, and write all three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", help=f"only some of: {', '.join(EXAMPLES)}")
    parser.add_argument("--child", choices=("time", "ours", "peer"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := set(arguments.examples) - set(EXAMPLES):
        parser.error(f"no such example: {', '.join(sorted(unknown))}")
    if side := arguments.child:
        (example,) = arguments.examples
        print(json.dumps(time_rows(example) if side == "time" else peak_rows(example, side)))
        return
    julia = subprocess.run(
        [sys.executable, "-c", "import jnumpy; jnumpy.init_jl(); print(jnumpy.julia_version)"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    report = {
        "version": 1,
        "julia": julia.stdout.strip(),
        "python": platform.python_version(),
        "peers": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "kmeans1d")},
        "processor": processor(),
        "thread variables": THREAD_VARIABLES,
        "rows": [row for example in arguments.examples or EXAMPLES for row in measure(example)],
    }
    text = table(report)
    print(text)
    if not arguments.examples:
        (RESULTS / "examples.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        (RESULTS / "examples.md").write_text(f"# The examples beside their peers\n\n{text}")
        (RESULTS / "examples.svg").write_text(draw_examples.draw(report))


if __name__ == "__main__":
    main()
