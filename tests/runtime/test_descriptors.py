"""Descriptors 0 to 2 of every kind do not change. Each case runs in its own process."""

import os
import socket
import subprocess
import sys

import pytest
from child import environment, succeeds

START = "import jnumpy, sys; jnumpy.init_jl(); julia = jnumpy.exec_julia\n"
FLAGS = "import fcntl, os\nflags = lambda: [fcntl.fcntl(n, fcntl.F_GETFL) for n in range(3)]\n"


def both_ends(kind, tmp_path):
    """Return two descriptors of a file of this kind, the first for the child."""
    match kind:
        case "pipe":
            reader, writer = os.pipe()
            return writer, reader
        case "socket":
            return tuple(end.detach() for end in socket.socketpair())
        case "terminal":
            main, other = os.openpty()
            return other, main
        case _:
            path = tmp_path / "file" if kind == "file" else "/dev/null"
            return os.open(path, os.O_RDWR | os.O_CREAT), os.open(path, os.O_RDWR)


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal", "file", "device"])
def test_flags_are_the_callers(julia, tmp_path, kind):
    code = (
        FLAGS
        + "before = flags()\n"
        + START
        + "assert flags() == before\n"
        + "julia('println(1); println(stderr, 2); run(`true`); Core.println(3)')\n"
        + "assert flags() == before"
    )
    ours, theirs = both_ends(kind, tmp_path)
    before = os.get_blocking(ours)
    child = subprocess.run(
        [sys.executable, "-c", code],
        stdin=ours if kind != "pipe" else theirs,
        stdout=ours,
        stderr=ours,
        env=environment(julia),
    )
    said = b"" if kind == "device" else os.read(theirs, 1000)
    assert (child.returncode, os.get_blocking(ours)) == (0, before), said
    os.close(ours)
    os.close(theirs)
    assert kind == "device" or said.split() == [b"1", b"2", b"3"]


def test_nothing_is_lost_on_the_way_to_a_late_reader(julia):
    code = START + (
        "import os\n"
        "os.close(int(sys.argv[1]))\n"
        "julia('for _ in 1:1000; println(\"x\"^999); end')\n"
        "for _ in range(1000): print('y' * 999)\n"
        "julia('print(\"z\"^1_000_000)')"
    )
    started, starting = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(starting)], stdout=subprocess.PIPE, env=environment(julia), pass_fds=[starting]
    )
    os.close(starting)
    os.read(started, 1)
    assert len(child.stdout.read()) == 3_000_000
    assert child.wait() == 0
    os.close(started)


@pytest.mark.parametrize("closed", [(0, 1, 2), (0, 1), (2,), (1,)])
def test_closed_descriptors_become_the_null_device(julia, closed, tmp_path):
    result = tmp_path / "result"
    code = (
        "import os, subprocess, sys\n"
        f"result = os.open({str(result)!r}, os.O_WRONLY | os.O_CREAT)\n"
        "os.dup2(result, 100); os.close(result)\n"
        "import jnumpy\n"
        "jnumpy.init_jl()\n"
        "jnumpy.exec_julia('println(1); println(stderr, 2); @warn 3; flush(stdout); Core.println(4); eof(stdin)')\n"
        'jnumpy.exec_julia(\'run(`true`); read(`echo 1`, String) == "1\\n" || error(); open(`cat`, "w") do p; end\')\n'
        f"assert all(os.path.samestat(os.fstat(n), os.stat(os.devnull)) for n in {closed})\n"
        "code = 's=0; for n in 0 1 2; do [ -e /proc/$$/fd/$n ] || s=$((s + (1 << n))); done; exit $s'\n"
        "os.write(100, str(subprocess.run(['sh', '-c', code]).returncode).encode())\n"
        "os.write(100, b' done')"
    )
    shell = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    command = ["sh", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, code]
    outcome = subprocess.run(command, env=environment(julia), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    missing = sum(1 << number for number in closed)
    assert (outcome.returncode, result.read_text()) == (0, f"{missing} done"), outcome.stderr


def test_other_threads_may_print_while_julia_starts(julia):
    code = (
        "import threading, os, sys\n"
        "import jnumpy\n"
        "done = False\n"
        "count = 0\n"
        "def work():\n"
        "    global count\n"
        "    while not done:\n"
        "        os.write(1, b'x\\n'); count += 1\n"
        "thread = threading.Thread(target=work); thread.start()\n"
        "jnumpy.init_jl()\n"
        "done = True; thread.join()\n"
        "print(count)"
    )
    *lines, count = succeeds(code, julia).splitlines()
    assert lines == ["x"] * int(count)
