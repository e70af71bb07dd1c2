"""Memory that both sides use is kept as long as it is needed, and then freed. Each case runs in its own process."""

from child import succeeds

PREAMBLE = """
import running, _running as r, gc, os, random
import numpy as np
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
def settle():
    for _ in range(3):
        gc.collect(); r.collect_garbage(True); r.threads()
"""


def test_a_million_calls_each_way_leave_nothing(julia):
    code = PREAMBLE + (
        "seed = random.randrange(2**32); print('seed', seed); chance = random.Random(seed)\n"
        "lent = np.ones(64)\n"
        "def calls(count):\n"
        "    for _ in range(count):\n"
        "        r.first_of(lent); r.ones_of(8)\n"
        "        if chance.random() < 1e-4: gc.collect()\n"
        "        if chance.random() < 1e-4: r.collect_garbage(chance.random() < 0.02)\n"
        "calls(200_000); settle(); before = resident()\n"
        "calls(1_000_000); settle(); after = resident()\n"
        "print(after - before)"
    )
    seed, grown = succeeds(code, julia, limit=300).splitlines()
    assert int(grown) < 64, seed


def test_julias_collector_hears_of_lent_memory(julia):
    # 40 GB are shared, 40 MB at a time, while Julia itself allocates almost nothing.
    code = PREAMBLE + (
        "most = 0\nfor _ in range(1000):\n    r.first_of(np.ones(5_000_000)); most = max(most, resident())\nprint(most)"
    )
    assert int(succeeds(code, julia)) < 3000


def test_arrays_outlive_their_first_owner(julia):
    code = PREAMBLE + (
        "for key in range(100): r.keep(key, np.full(10_000, float(key)))\n"
        "made = [r.ones_of(10_000) for _ in range(100)]\n"
        "settle()\n"
        "print(all((r.kept(key) == key).all() for key in range(100)), all(x.sum() == 10_000 for x in made))\n"
        "before = resident(); [r.keep(key, np.ones(1_000_000)) for key in range(50)]; held = resident()\n"
        "[r.forget(key) for key in range(100)]; settle(); print(held - before > 300, resident() - before < 100)"
    )
    assert succeeds(code, julia) == "True True\nTrue True\n"


def test_a_finalizer_leaves_python_objects_to_the_next_call(julia):
    # `__del__` runs Python code, and here Julia too: neither may happen inside Julia's collector.
    code = PREAMBLE + (
        "log = []\n"
        "class Loud:\n"
        "    def __del__(self): log.append(r.total(np.ones(3)))\n"
        "for _ in range(100): r.hold_once(Loud())\n"
        "settle(); print(log == [3.0] * 100)"
    )
    assert succeeds(code, julia) == "True\n"


def test_a_deallocator_leaves_julia_values_to_the_collector(julia):
    # Python's garbage collector runs as often as possible, and frees arrays of Julia during conversions.
    code = PREAMBLE + (
        "gc.set_threshold(1)\n"
        "for _ in range(20_000):\n"
        "    cycle = [r.ones_of(4)]; cycle.append(cycle)\n"
        "gc.set_threshold(700); settle(); print(r.ones_of(3).sum())"
    )
    assert succeeds(code, julia) == "3.0\n"


def test_collections_during_callbacks(julia):
    code = PREAMBLE + (
        "x = np.arange(100.0)\n"
        "def inside():\n"
        "    gc.collect(); r.collect_garbage(True); np.ones(10_000); return r.ones_of(10)\n"
        "print({r.collecting_call(inside, x + i) for i in range(25)})"
    )
    assert succeeds(code, julia) == "{0.0}\n"
