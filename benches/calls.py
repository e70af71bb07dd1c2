"""Measures calls from Python into Julia beside an empty C extension and NumPy, in one run.

Prints a table and writes it as JSON. Figures are ratios to the floor, or to NumPy, of medians over rounds in which
everything is measured in turn, so that a machine that changes its speed changes both sides.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import sysconfig
import timeit
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15


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


def measure(cases: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Nanoseconds per call: the median of rounds, each the time of one batch."""
    batches = {}
    for name, case in cases.items():
        case()  # the first call compiles
        timer = timeit.Timer(case)
        number, seconds = timer.autorange()
        batches[name] = (timer, max(1, int(number * 0.02 / seconds)))
    rounds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, (timer, number) in batches.items():
            rounds[name].append(timer.timeit(number) / number * 1e9)
    return {name: statistics.median(times) for name, times in rounds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench-calls.json")
    output = parser.parse_args().output

    floor = build_floor(ROOT / "build" / "bench")
    sys.path.insert(0, str(ROOT / "fixtures" / "benches"))
    import jnumpy
    import numpy as np

    import benches

    x = np.random.default_rng(0).random((10, 10))
    number, text = complex(1, 0.5), "hello world"
    # Everything is called through a lambda: its cost, that of an empty one, is taken off on both sides.
    floor_add, int_add = floor.int_add, benches.jl_int_add
    convert_complex, convert_string = benches.jl_convert_complex, benches.jl_convert_string
    convert_array, mat_mul = benches.jl_convert_array, benches.jl_mat_mul
    cases: dict[str, Callable[[], object]] = {
        "lambda": lambda: None,
        "floor": lambda: floor_add(1, 2),
        "int_add": lambda: int_add(1, 2),
        "convert_complex": lambda: convert_complex(number),
        "convert_string": lambda: convert_string(text),
        "convert_array": lambda: convert_array(x),
        "mat_mul": lambda: mat_mul(x, x),
        "numpy x @ x": lambda: x @ x,
    }
    raw = measure(cases)
    times = {name: time - raw["lambda"] for name, time in raw.items() if name != "lambda"}
    targets = {
        "int_add": ("floor", 3.0),
        "convert_complex": ("floor", 3.5),
        "convert_string": ("floor", 5.0),
        "convert_array": ("floor", 12.0),
        "mat_mul": ("numpy x @ x", 1.5),
    }
    rows = []
    for name, (base, target) in targets.items():
        ratio = times[name] / times[base]
        rows.append({"name": name, "nanoseconds": times[name], "base": base, "ratio": ratio, "target": target})
    print(f"Julia {jnumpy.julia_version}, Python {sys.version.split()[0]}, floor {times['floor']:.1f} ns")
    print(f"{'':18}{'time':>12}  {'ratio':>22}  {'target':>7}")
    for row in rows:
        compared = f"{row['ratio']:.2f} × {row['base']}"
        met = "met" if row["ratio"] <= row["target"] else "missed"
        print(f"{row['name']:18}{row['nanoseconds']:9.1f} ns  {compared:>22}  ≤ {row['target']:<5} {met}")
    output.parent.mkdir(parents=True, exist_ok=True)
    report = {"version": 1, "julia": jnumpy.julia_version, "floor_nanoseconds": times["floor"], "rows": rows}
    output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
