"""Limits of the process and its environment: Julia starts, or an exception gives the reason."""

import subprocess
import sys

import pytest
from child import environment, run, succeeds

# Finding a Julia runs it, which should happen without the limits.
FOUND = """
import jnumpy, resource
from jnumpy import _find
place = _find.start()
_find.start = lambda: place
"""
START = "jnumpy.init_jl(); print(jnumpy.eval_julia('string(sum([1 2; 3 4] * [1 2; 3 4]))'))"


def said(outcome):
    """Return what a run has printed, or the exception it ended with; any other end is an error."""
    if outcome.returncode == 0:
        return outcome.stdout.strip()
    assert (outcome.returncode, "Traceback" in outcome.stderr) == (1, True), outcome
    return outcome.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_too_little_memory_is_an_exception(julia, limit):
    ends = []
    for more in (20, 150, 300, 4000):
        code = FOUND + (
            "mapped = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
            f"bytes = mapped + ({more} << 20)\n"
            f"resource.setrlimit(resource.{limit}, (bytes, bytes))\n{START}"
        )
        ends.append(said(run(code, julia)))
    assert any(end.startswith("MemoryError: Julia needs ") and "`ulimit -v`" in end for end in ends), ends
    *refused, last = ends
    assert last == "54"
    assert all(end == "54" or end.startswith(("ImportError: ", "MemoryError: ")) for end in refused), ends


@pytest.mark.parametrize("kib", ["256", "unlimited"])
def test_stacks_of_all_sizes(julia, kib):
    command = ["sh", "-c", f'ulimit -s {kib} && exec "$0" -c "$1"', sys.executable, f"import jnumpy; {START}"]
    outcome = subprocess.run(command, env=environment(julia), capture_output=True, text=True, timeout=600, cwd="/")
    assert said(outcome) == "54"


def test_the_stacks_of_threads_count(julia):
    code = FOUND + (
        "mapped = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (mapped + (900 << 20),) * 2)\n{START}"
    )
    command = ["sh", "-c", 'ulimit -s 1048576 && exec "$0" -c "$1"', sys.executable, code]
    outcome = subprocess.run(command, env=environment(julia), capture_output=True, text=True, timeout=600, cwd="/")
    assert said(outcome).startswith("MemoryError: Julia needs 1")


@pytest.mark.parametrize(("directory", "file"), [("/proc", "/proc/self/exe"), ("/dev", "/dev/null")])
def test_a_machine_without_these_is_refused_in_words(julia, directory, file):
    mount = f"subprocess.run(['mount', '-t', 'tmpfs', 'none', {directory!r}], check=True)"
    code = f"import subprocess\n{FOUND}\n{mount}\n{START}"
    command = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", code]
    outcome = subprocess.run(command, env=environment(julia), capture_output=True, text=True, timeout=600, cwd="/")
    end = said(outcome)
    assert end.startswith(f"RuntimeError: Julia needs {directory}, which is not mounted here (`{file}`")


@pytest.mark.parametrize("option", ["--heap-size-hint=many", "--heap-size-hint=0", "--gcthreads=many", "--gcthreads=0"])
def test_an_option_at_which_julia_would_end_the_process(julia, option):
    end = said(run(f"import jnumpy; {START}", julia, TYPY_JL_OPTS=option))
    assert end.startswith(f'RuntimeError: TYPY_JL_OPTS has "{option}": ')


@pytest.mark.parametrize("target", ["no-such-processor", "generic;haswell", ",", "generic,clone_all"])
def test_a_processor_at_which_julia_would_end_the_process(julia, target):
    end = said(run(f"import jnumpy; {START}", julia, TYPY_JL_OPTS=f"--cpu-target='{target}'"))
    assert end == "54" or end.startswith(
        f'RuntimeError: TYPY_JL_OPTS has "--cpu-target={target}": Julia does not start'
    )
    assert end != "54" or target == "no-such-processor"


@pytest.mark.parametrize(
    ("name", "value"), [("JULIA_COPY_STACKS", "x"), ("JULIA_LLVM_ARGS", "--no-such"), ("JULIA_NUM_GC_THREADS", "0")]
)
def test_a_variable_at_which_julia_would_end_the_process(julia, name, value):
    code = f"import jnumpy; {START}; jnumpy.eval_julia('GC.gc()')"
    end = said(run(code, julia, **{name: value}))
    assert end == "54" or end.startswith(f'RuntimeError: {name} has "{value}": ')


def test_a_processor_that_julia_knows_is_accepted(julia):
    assert said(run(f"import jnumpy; {START}", julia, TYPY_JL_OPTS="--cpu-target=native")) == "54"


def test_too_few_descriptors_are_an_exception(julia):
    ends = []
    for more in (3, 40):
        code = FOUND + (
            "import os\n"
            f"number = len(os.listdir('/proc/self/fd')) + {more}\n"
            "before = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))\n"
            "try: jnumpy.init_jl()\n"
            "except (OSError, RuntimeError) as error: print(error)\n"
            f"resource.setrlimit(resource.RLIMIT_NOFILE, before)\n{START}"
        )
        ends.append(said(run(code, julia)))
    *refused, last = [end.splitlines() for end in ends]
    assert last == ["54"]
    assert all("`ulimit -n`" in first or "Too many open files" in first for first, _ in refused), ends
    assert all(second == "54" for _, second in refused), ends


@pytest.mark.parametrize("number", ["1", "3"])
def test_too_few_threads_are_an_exception(julia, number):
    """Even with one thread, Julia starts another thread, for signals."""
    code = FOUND + (
        # The limit does not hold for the superuser.
        f"import os\nos.getuid() or os.setuid(12345)\nresource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n{START}"
    )
    end = said(run(code, julia, JULIA_NUM_THREADS=number))
    assert end.startswith("RuntimeError: the system refuses the threads that Julia starts (number: ")
    assert "`ulimit -u`" in end


def test_the_state_of_the_process_is_as_before(julia):
    code = FOUND + (
        "import ctypes, locale, os, subprocess\n"
        "names = [name for name in dir(resource) if name.startswith('RLIMIT_')]\n"
        "limits = lambda: [resource.getrlimit(getattr(resource, name)) for name in names]\n"
        # A child gets the variables of the C library, which `os.environ` does not show.
        "variables = lambda: sorted(subprocess.check_output(['env']).splitlines())\n"
        "libc = ctypes.CDLL(None)\n"
        "settings = lambda: (locale.setlocale(locale.LC_ALL), os.getcwd(), os.umask(0o22), libc.fegetround())\n"
        "state = lambda: (variables(), limits(), settings())\n"
        "libc.srand(7)\nnumbers = [libc.rand() for _ in range(3)]\nlibc.srand(7)\n"
        "before = state()\n"
        f"{START}\n"
        "print(state() == before, [libc.rand() for _ in range(3)] == numbers)"
    )
    assert succeeds(code, julia, LC_ALL="C.UTF-8") == "54\nTrue True\n"


def test_a_start_can_be_tried_again_with_more_memory(julia):
    code = FOUND + (
        "mapped = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "before = resource.getrlimit(resource.RLIMIT_AS)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (mapped + (300 << 20), before[1]))\n"
        "try: jnumpy.init_jl()\n"
        "except MemoryError: print('too little')\n"
        f"resource.setrlimit(resource.RLIMIT_AS, before)\n{START}"
    )
    assert succeeds(code, julia) == "too little\n54\n"
