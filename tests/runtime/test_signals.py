"""Ctrl-C, other signals of Python, and stack overflows. Each case runs in its own process."""

import ast

import pytest
import versions
from child import run, succeeds

# `press(n)`: n times Ctrl-C from outside, since Python's own threads do not run during a call that holds the lock.
PREAMBLE = """
import running, _running as r, os, signal, subprocess, sys, time
def press(times=1, name="INT"):
    text = f"sleep 0.3; for i in $(seq {times}); do kill -{name} {os.getpid()}; sleep 0.01; done"
    return subprocess.Popen(["sh", "-c", text])
"""
ENDLESS = (
    "allocating allocating_nogil asleep asleep_nogil waiting yielding calling asking asking_nogil in_a_task".split()
)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_stops_endless_calls(julia, threads):
    code = PREAMBLE + (
        f"for name in {ENDLESS}:\n"
        "    sender = press()\n"
        "    try:\n"
        "        getattr(r, name)(*[int] * (name == 'calling'))\n"
        "    except KeyboardInterrupt as error:\n"
        "        print(name, type(error).__name__, r.threads())\n"
        "    sender.wait()\n"
    )
    stopped = succeeds(code, julia, JULIA_NUM_THREADS=threads).splitlines()
    assert stopped == [f"{name} KeyboardInterrupt {threads}" for name in ENDLESS]


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("call", ["computing(1.5)", "undisturbed(1.5)", "total(__import__('numpy').ones(3))"])
def test_ctrl_c_that_cannot_stop_a_call_comes_right_after_it(julia, threads, call):
    code = PREAMBLE + (
        "sender = press(5)\n"
        "try:\n"
        f"    r.{call}\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
        "while sender.poll() is None:\n"
        "    try: sender.wait()\n"
        "    except KeyboardInterrupt: pass\n"
        "print(r.threads())"
    )
    assert succeeds(code, julia, JULIA_NUM_THREADS=threads) == f"interrupted\n{threads}\n"


def test_julia_code_may_catch_its_interrupt(julia):
    assert succeeds(PREAMBLE + "press(); print(r.catching())", julia) == "InterruptException\n"


@pytest.mark.parametrize("call", ["allocating", "asleep", "asking"])
def test_a_handler_of_another_signal_raises_its_own_exception(julia, call):
    code = PREAMBLE + (
        "def late(*_): raise TimeoutError('too long')\n"
        "signal.signal(signal.SIGALRM, late)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.3)\n"
        f"try: r.{call}()\n"
        "except TimeoutError as error: print(error)"
    )
    assert succeeds(code, julia) == "too long\n"


def test_a_handler_that_does_not_raise_stops_nothing(julia):
    code = PREAMBLE + (
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(time.monotonic()))\n"
        "signal.setitimer(signal.ITIMER_REAL, 1.0)\n"
        "def late(*_): raise TimeoutError\n"
        "signal.signal(signal.SIGALRM, late)\n"
        "press()\n"
        "try: r.allocating()\n"
        "except TimeoutError: print(len(seen), seen[0] < time.monotonic() - 0.2)"
    )
    assert succeeds(code, julia) == "1 True\n"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_stack_overflow_is_an_exception(julia, threads):
    code = PREAMBLE + (
        "import jnumpy\n"
        "for name in ('overflow', 'overflow_allocating') * 2:\n"
        "    try: getattr(r, name)()\n"
        "    except RecursionError as error: print(isinstance(error, jnumpy.JuliaError), str(error).strip())\n"
        "print(r.threads())"
    )
    told = succeeds(code, julia, JULIA_NUM_THREADS=threads)
    assert told == "True StackOverflowError:\n" * 4 + f"{threads}\n"


def test_a_fault_in_python_is_faulthandlers(julia):
    outcome = run(PREAMBLE + "import ctypes; ctypes.string_at(0)", julia)
    assert outcome.returncode == -11
    assert outcome.stderr.startswith("Fatal Python error: Segmentation fault")
    assert "string_at" in outcome.stderr


def test_other_handlers_are_still_pythons(julia):
    outcome = run("import running, os; os.abort()", julia, JULIA_NUM_THREADS="2")
    assert outcome.returncode == -6
    assert outcome.stderr.startswith("Fatal Python error: Aborted")


def test_sigterm_ends_the_process(julia):
    code = "import running, os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
    assert run(code, julia, JULIA_NUM_THREADS="2").returncode == -15


def test_out_of_memory_is_an_exception(julia):
    code = PREAMBLE + (
        "for n in (10**15, 10**18):\n"
        "    try: r.huge(n)\n"
        "    except (MemoryError, ValueError) as error: print(type(error).__name__)\n"
        "print(r.huge(3).size)"
    )
    assert succeeds(code, julia) == "JuliaMemoryError\nJuliaMemoryError\n3\n"


SIGNALS = (
    "HUP INT QUIT USR1 USR2 PIPE ALRM TERM CHLD CONT TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR".split()
)
HANDLED = f"""
seen = []
for name in {SIGNALS}: signal.signal(getattr(signal, 'SIG' + name), lambda number, frame: seen.append(number))
"""


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_every_handler_of_pythons_is_called(julia, threads, order):
    start = "import jnumpy; jnumpy.init_jl(); jnumpy.exec_julia('run(`true`)')\n"
    code = (
        "import signal, os\n"
        + (HANDLED + start if order == "before" else start + HANDLED)
        + "seen.clear()\n"
        + f"for name in {SIGNALS}: os.kill(os.getpid(), getattr(signal, 'SIG' + name)); seen and None\n"
        + f"missing = [name for name in {SIGNALS} if getattr(signal, 'SIG' + name) not in seen]\n"
        + "print(missing, len(seen))"
    )
    assert succeeds(code, julia, JULIA_NUM_THREADS=threads) == f"[] {len(SIGNALS)}\n"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_handler_of_sigchld_runs_before_what_follows(julia, threads):
    code = (
        "import signal, jnumpy\n"
        "jnumpy.init_jl(); seen, late = [], 0\n"
        "signal.signal(signal.SIGCHLD, lambda number, frame: seen.append(number))\n"
        "for number in range(1, 31):\n"
        "    jnumpy.exec_julia('run(`true`)')\n"
        "    late += len(seen) != number\n"
        "print(late)"
    )
    assert succeeds(code, julia, JULIA_NUM_THREADS=threads) == "0\n"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_dispositions_and_mask_are_as_before(julia, threads, version):
    code = (
        "import re, jnumpy\n"
        "def state():\n"
        "    with open('/proc/self/status') as status:\n"
        "        found = dict(re.findall(r'(Sig(?:Blk|Ign|Cgt)):\\t(\\w+)', status.read()))\n"
        "    return {name: {n for n in range(1, 65) if int(mask, 16) >> (n - 1) & 1} for name, mask in found.items()}\n"
        "before = state()\n"
        "jnumpy.init_jl(); jnumpy.exec_julia('run(`true`)')\n"
        "after = state()\n"
        "print({name: sorted(before[name] ^ after[name]) for name in before})"
    )
    changed = ast.literal_eval(succeeds(code, julia, JULIA_NUM_THREADS=threads, PYTHONFAULTHANDLER=""))
    # If any thread may call, the collector has to stop threads.
    several = threads == "2" or version >= versions.ANY_THREAD
    # The signals above 31 are the C library's own.
    caught = [signal for signal in changed.pop("SigCgt") if signal < 32]
    assert (changed, caught) == ({"SigBlk": [], "SigIgn": []}, [11, 12] if several else [11])


PROFILED = """
using Profile
work() = sum(sin(number) for number in 1:3*10^7)
work()
@profile work()
print(any(frame -> frame.func === :work, Iterators.flatten(values(Profile.getdict(Profile.fetch())))))
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_profiler_takes_no_signal_of_pythons(julia, threads, version):
    code = (
        "import jnumpy, os, signal\n"
        "jnumpy.init_jl(); seen = []\n"
        "signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))\n"
        f"try: jnumpy.exec_julia({PROFILED!r})\n"
        "except jnumpy.JuliaError as error: print(error.args[0])\n"
        "print(len(seen)); os.kill(os.getpid(), signal.SIGUSR1); print(len(seen))"
    )
    # With one thread, an older Julia has no handlers.
    possible = threads == "2" or version >= versions.ANY_THREAD
    expected = "true" if possible else "cannot create the timer for profiling\n"
    assert succeeds(code, julia, JULIA_NUM_THREADS=threads) == f"{expected}0\n1\n"


CHILDREN = """
import jnumpy, signal, subprocess, sys, time
jnumpy.init_jl()
seen = []
note = lambda number, frame: seen.append(number)
"""


def test_children_of_both(julia):
    code = CHILDREN + (
        "signal.signal(signal.SIGCHLD, note)\n"
        "jnumpy.exec_julia('run(`true`)')\n"
        "print(len(seen), signal.getsignal(signal.SIGCHLD) is note); seen.clear()\n"
        "subprocess.run(['true']); subprocess.run(['true']); print(len(seen))\n"
        # A child of Julia's runs while Python sets handlers, has children of its own, and asks for the old handler.
        "jnumpy.exec_julia('process = open(`sleep 0.7`)')\n"
        "other = lambda number, frame: seen.append('other')\n"
        "print(signal.signal(signal.SIGCHLD, other) is note); seen.clear()\n"
        "subprocess.run(['true']); print(seen); seen.clear()\n"
        "jnumpy.exec_julia('wait(process); process.exitcode == 0 || error()'); print(seen); seen.clear()\n"
        "subprocess.run(['true']); print(seen)\n"
        "seen.clear(); jnumpy.exec_julia('run(`true`); run(`true`)')\n"
        "while not seen: time.sleep(0.01)\n"
        "print(set(seen))\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_DFL); jnumpy.exec_julia('run(`true`)')\n"
        "print(signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL)"
    )
    said = succeeds(code, julia).splitlines()
    assert said == ["1 True", "2", "True", "['other']", "['other']", "['other']", "{'other'}", "True"]


def test_julia_waits_for_its_child_although_another_library_takes_the_signal(julia):
    code = CHILDREN + (
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "jnumpy.exec_julia('process = open(`sleep 0.5`)')\n"
        "libc.signal(signal.SIGCHLD, None)\n"
        "jnumpy.exec_julia('wait(process)'); print('ended')"
    )
    assert succeeds(code, julia) == "ended\n"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_faulthandler_may_come_at_any_time(julia, threads):
    code = (
        "import faulthandler, running, _running as r, os\n"
        "for switch in (faulthandler.enable, faulthandler.disable, faulthandler.enable, faulthandler.enable):\n"
        "    switch()\n"
        "    try: r.overflow()\n"
        "    except RecursionError: print('overflow')\n"
        "    print(r.parallel(100_000))\n"
        "import ctypes; ctypes.string_at(0)"
    )
    outcome = run(code, julia, JULIA_NUM_THREADS=threads, PYTHONFAULTHANDLER="")
    assert outcome.stdout.split() == ["overflow", "333338333350000"] * 4, outcome.stderr
    assert outcome.returncode == -11
    # Newer Julias warn of each stack overflow.
    said = [line for line in outcome.stderr.splitlines() if not line.startswith("Warning: detected a stack overflow;")]
    assert said[0] == "Fatal Python error: Segmentation fault", outcome.stderr
    assert "string_at" in outcome.stderr


def test_a_fault_without_faulthandler_ends_the_process(julia):
    code = "import faulthandler, jnumpy; jnumpy.init_jl(); faulthandler.enable(); faulthandler.disable()\n"
    outcome = run(code + "import ctypes; ctypes.string_at(0)", julia, PYTHONFAULTHANDLER="")
    assert (outcome.returncode, outcome.stderr) == (-11, "")


def test_a_child_of_julias_that_python_has_waited_for_is_no_hang(julia):
    """As the handlers of gunicorn and gevent do, and asyncio's FastChildWatcher."""
    code = CHILDREN + (
        "import os\n"
        "jnumpy.exec_julia('process = open(`sh -c \"exit 3\"`)')\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]))\n"
        "jnumpy.exec_julia('wait(process)'); print(jnumpy.eval_julia('process.exitcode'))\n"
        "print(jnumpy.eval_julia('success(`true`)'))"
    )
    assert succeeds(code, julia).split() == ["3", "255", "True"]
