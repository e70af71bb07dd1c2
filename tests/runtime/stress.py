"""Random calls with threads, garbage collections, exceptions, and arrays kept on both sides, for a given time.

    python tests/runtime/stress.py SECONDS [SEED]

Prints the seed, which repeats the order of the calls, and at last how many there were.
"""

import contextlib
import gc
import os
import random
import sys
import threading
import time

import numpy as np
from running import _running as r


def resident() -> int:
    """Return the resident size in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


class Stress:
    """Makes random calls, and knows the expected contents of every array that is kept."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.in_julia: dict[int, tuple[float, int]] = {}
        self.in_python: dict[int, tuple[float, np.ndarray]] = {}

    def array(self) -> np.ndarray:
        """Return an array of one value, in any order and layout."""
        shape = [self.chance.randrange(1, 30) for _ in range(self.chance.randrange(1, 4))]
        array = np.full(shape, float(self.chance.randrange(1000)), order=self.chance.choice("CF"))
        return array[::-1] if self.chance.random() < 0.2 else array

    def keep_in_julia(self) -> None:
        key, array = self.chance.randrange(200), self.array()
        r.keep(key, array)
        self.in_julia[key] = float(array.flat[0]), array.size

    def look_in_julia(self) -> None:
        for key in self.chance.sample(sorted(self.in_julia), min(3, len(self.in_julia))):
            value, size = self.in_julia[key]
            found = r.kept(key)
            assert found.size == size, key
            assert (found == value).all(), key

    def forget_in_julia(self) -> None:
        key = self.chance.randrange(200)
        r.forget(key)
        self.in_julia.pop(key, None)

    def keep_in_python(self) -> None:
        size = self.chance.randrange(1, 2000)
        self.in_python[self.chance.randrange(200)] = float(size), r.ones_of(size)

    def look_in_python(self) -> None:
        for total, array in self.in_python.values():
            assert array.sum() == total

    def fail(self) -> None:
        try:
            self.chance.choice([lambda: r.fail(1), lambda: r.fail("x"), lambda: r.ones_of(-1), lambda: self.down(5)])()
        except (ValueError, TypeError) as error:
            text = str(error) if self.chance.random() < 0.1 else "not asked for"
        else:
            text = ""
        assert text

    def down(self, depth: int) -> object:
        """Call back and forth between the languages, and fail in the innermost call."""
        if self.chance.random() < 0.1:
            gc.collect()
        return r.down(self.down, depth)

    def collect(self) -> None:
        if self.chance.random() < 0.5:
            gc.collect()
        else:
            r.collect_garbage(self.chance.random() < 0.1)

    def callback(self) -> None:
        assert r.collecting_call(lambda: r.ones_of(100), self.array()) == 0.0

    def parallel(self) -> None:
        assert r.parallel(3000) == sum(i * i for i in range(1, 3001))

    def step(self) -> None:
        """Make one call, most often a cheap one."""
        cheap = [self.keep_in_julia, self.look_in_julia, self.forget_in_julia, self.keep_in_python, self.fail]
        dear = [self.look_in_python, self.collect, self.callback, self.parallel]
        self.chance.choice(cheap if self.chance.random() < 0.99 else dear)()


def churn(stop: threading.Event) -> None:
    """Allocate, make cycles, and try what a thread may not."""
    while not stop.is_set():
        cycle: list[object] = [np.zeros(1000)]
        cycle.append(cycle)
        with contextlib.suppress(RuntimeError):
            r.threads()
        time.sleep(0.001)


def main(seconds: float, seed: int) -> None:
    """Run for so long."""
    print("seed", seed, flush=True)
    stress, stop = Stress(seed), threading.Event()
    threads = [threading.Thread(target=churn, args=(stop,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    end, steps, most = time.monotonic() + seconds, 0, 0
    try:
        while time.monotonic() < end:
            for _ in range(100):
                stress.step()
            steps += 100
            most = max(most, resident())
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert most < 2500, f"{most} MB"
    print(steps, "calls,", r.threads(), "threads of Julia, at most", most, "MB")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32))
