"""Measures calls from Python into Julia beside an empty C extension and NumPy, in one process.

Prints a table and writes it as JSON. A time is what `timeit` shows, its loop included, but in seconds of this thread
on a processor: waiting for one does not count. Times and ratios are medians over many rounds; in each the base is timed
right before the row, so a machine that changes its speed changes both, and Julia's garbage collection has its share.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import sysconfig
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results")
ROUNDS = 15
# As long as `timeit` makes one, so that calls that make objects of Julia pay for several of its collections.
BATCH_SECONDS = 0.2
# Before each batch. Julia 1.5 and 1.6 keep so many empty pages from one quick collection to the next; those of the rows
# before would count, and each page of this row would be given back to the system and taken from it again.
COLLECT = "GC.gc()"


@dataclass(frozen=True)
class Row:
    """A statement, what it is compared with, and the most that it should cost."""

    name: str
    statement: str
    base: str | None
    """The name of a base; without one the target is an absolute time."""
    target: float
    """Times the base, or nanoseconds."""


BASES = {
    "floor": "floor(1, 2)",
    "numpy": "x @ x",
    "encode": "[item.encode() for item in texts]",
    "decode": "[item.decode() for item in raw]",
    "python": "call_often(square, 1000)",
    "function": "advance(counter, 1)",
    "class": "PlainCounter(1, 2.5)",
}

ROWS = [
    Row("int_add(1, 2)", "int_add(1, 2)", "floor", 3.0),
    Row("float → float", "convert_float(1.5)", "floor", 3.5),
    Row("complex → complex", "convert_complex(number)", "floor", 3.5),
    Row("str → str, 11 bytes", "convert_string(text)", "floor", 5.0),
    Row("sum of a 10×10 array, F order", "total(columns)", "floor", 10.0),
    Row("sum of a 10×10 array, C order", "total(x)", "floor", 10.0),
    Row("10×10 array there and back", "convert_array(x)", "floor", 12.0),
    Row("new 10×10 array of Julia", "new_matrix(10, 10)", "floor", 20.0),
    Row("matrix product 10×10", "mat_mul(x, x)", "numpy", 1.5),
    Row("list of 1,000 str into Vector{String}", "count_texts(texts)", "encode", 3.0),
    Row("Vector{String} of 1,000 out", "kept_texts()", "decode", 3.0),
    Row("1,000 callbacks, float → float", "callbacks(square, 1000)", "python", 3.0),
    Row("method of an object, int → int", "counter.advance(1)", "function", 1.2),
    Row("field of an object read, int", "counter.count", "floor", 3.0),
    Row("field of an object read, float", "counter.step", "floor", 3.0),
    Row("field of an object set, int", "counter.count = 1", "floor", 3.0),
    Row("object made of an int and a float", "Counter(1, 2.5)", "class", 3.0),
    Row("exception caught", "try: fail()\nexcept ValueError: pass", None, 20e3),
    Row(
        "exception with text and backtrace",
        "try: fail()\nexcept ValueError as error: str(error), error.backtrace",
        None,
        2e6,
    ),
]


#: What `calls.jl` exports for the statements.
CALLS = (
    "convert_float",
    "total",
    "new_matrix",
    "fail",
    "count_texts",
    "kept_texts",
    "callbacks",
    "advance",
    "Counter",
)


class PlainCounter:
    """What `Counter` in `calls.jl` is, in Python."""

    __slots__ = ("count", "step")

    def __init__(self, count: int, step: float) -> None:
        self.count = count
        self.step = step


def square(x: float) -> float:
    """Stand for a callback."""
    return x * x


def call_often(function: Callable[[float], float], count: int) -> float:
    """Do what `callbacks` in `calls.jl` does."""
    total = 0.0
    for number in range(count):
        total += function(float(number))
    return total


def build_floor(directory: Path) -> ModuleType:
    """Compiles and loads the C extension that is the floor."""
    directory.mkdir(parents=True, exist_ok=True)
    library = directory / f"floor{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_paths()["include"]
    source = Path(__file__).with_name("floor.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(library)], check=True)
    spec = importlib.util.spec_from_file_location("floor", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load() -> dict[str, object]:
    """Start Julia and return the names that the statements use."""
    floor = build_floor(ROOT / "build" / "bench")
    sys.path.insert(0, str(ROOT / "fixtures" / "benches"))
    import jnumpy
    import numpy as np

    import benches

    jnumpy.include_src("calls.jl", __file__)
    calls = sys.modules["_calls"]
    texts = [f"item {number}" for number in range(1000)]
    x = np.random.default_rng(0).random((10, 10))
    return {
        "floor": floor.int_add,
        "int_add": benches.jl_int_add,
        "convert_complex": benches.jl_convert_complex,
        "convert_string": benches.jl_convert_string,
        "convert_array": benches.jl_convert_array,
        "mat_mul": benches.jl_mat_mul,
        **{name: getattr(calls, name) for name in CALLS},
        "texts": texts,
        "raw": [text.encode() for text in texts],
        "counter": calls.Counter(1, 2.5),
        "PlainCounter": PlainCounter,
        "square": square,
        "call_often": call_often,
        "x": x,
        "columns": np.asfortranarray(x),
        "number": complex(1, 0.5),
        "text": "hello world",
    }


class Stopwatch:
    """Times batches of one statement; in nanoseconds for each time it is run."""

    def __init__(self, statement: str, names: dict[str, object]) -> None:
        # As locals of the timed loop, names cost next to nothing.
        setup = "; ".join(f"{name} = names[{name!r}]" for name in names)
        self._timer = timeit.Timer(statement, setup, timer=time.thread_time, globals={"names": names})
        self._timer.timeit(1)  # the first call compiles
        number, seconds = self._timer.autorange()
        self._number = max(1, int(number * BATCH_SECONDS / seconds))
        self.times: list[float] = []

    def run(self) -> float:
        """Time one batch."""
        self.times.append(self._timer.timeit(self._number) / self._number * 1e9)
        return self.times[-1]


def measure(names: dict[str, object]) -> tuple[dict[str, float], list[dict[str, object]]]:
    """Time every row beside its base; returns the bases' times and what is known of each row."""
    import jnumpy

    bases = {name: Stopwatch(statement, names) for name, statement in BASES.items()}
    rows = [(row, Stopwatch(row.statement, names)) for row in ROWS]
    ratios: dict[str, list[float]] = {row.name: [] for row in ROWS}
    for _ in range(ROUNDS):
        for row, stopwatch in rows:
            jnumpy.exec_julia(COLLECT)
            base = None if row.base is None else bases[row.base].run()
            own = stopwatch.run()
            if base is not None:
                ratios[row.name].append(own / base)
    base_times = {name: statistics.median(stopwatch.times) for name, stopwatch in bases.items()}
    measured: list[dict[str, object]] = []
    for row, stopwatch in rows:
        nanoseconds = statistics.median(stopwatch.times)
        ratio = statistics.median(ratios[row.name]) if row.base is not None else None
        measured.append(
            {
                "name": row.name,
                "nanoseconds": round(nanoseconds, 1),
                "base": row.base,
                "ratio": None if ratio is None else round(ratio, 2),
                "target": row.target,
                "met": (nanoseconds if ratio is None else ratio) <= row.target,
            }
        )
    return base_times, measured


def processor() -> str:
    """Return the processor's name as Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def readable(nanoseconds: float) -> str:
    """Return a time in the unit that fits it."""
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="JSON file (default: results/calls-<version of Julia>.json)")
    output = parser.parse_args().output
    names = load()
    import jnumpy
    import numpy as np

    bases, rows = measure(names)
    report = {
        "version": 1,
        "julia": jnumpy.julia_version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "processor": processor(),
        "bases": {name: round(nanoseconds, 1) for name, nanoseconds in bases.items()},
        "rows": rows,
    }
    print(f"Julia {report['julia']}, Python {report['python']}, NumPy {report['numpy']}, {report['processor']}")
    print(f"floor, an empty C function: {readable(bases['floor'])}; NumPy's x @ x: {readable(bases['numpy'])}")
    print(f"{'':36}{'time':>9}  {'ratio':>14}  {'target':>9}")
    for row in rows:
        if row["base"] is None:
            ratio, target = "", readable(row["target"])
        else:
            ratio, target = f"{row['ratio']:.2f} × {row['base']}", f"{row['target']:g} ×"
        verdict = "met" if row["met"] else "missed"
        print(f"{row['name']:36}{readable(row['nanoseconds']):>9}  {ratio:>14}  ≤ {target:>7}  {verdict}")
    output = output or RESULTS / f"calls-{report['julia']}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
