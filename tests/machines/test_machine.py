"""The clean machine has the properties that the other tests rely on."""

import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import machines
import pytest
import traces
from paths import TESTS


def python(machine, code, **options):
    return machine.run(["python3", "-c", code], **options)


def is_running(*command):
    wanted = "".join(f"{word}\0" for word in command).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes() == wanted:
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return False


def ends(*command):
    """Whether a killed process goes; the kernel takes a moment for it."""
    deadline = time.monotonic() + 10
    while is_running(*command):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_versions(machine):
    code = "import os, sys; print(*sys.version_info[:2], os.confstr('CS_GNU_LIBC_VERSION'))"
    assert python(machine, code).output == "3 13 glibc 2.41\n"


def test_no_julia(machine):
    assert machine.run(["which", "julia"], check=False).status == 1
    assert [path for path in machine.root.rglob("*") if "julia" in path.name.lower()] == []


def test_no_network(machine):
    connect = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    outcome = python(machine, connect, check=False)
    assert outcome.status == 1
    assert "OSError: [Errno 101] Network is unreachable" in outcome.errors
    look_up = "import socket; socket.getaddrinfo('example.org', 443)"
    assert "socket.gaierror" in python(machine, look_up, check=False).errors
    assert python(machine, "import socket; print(socket.if_nameindex())").output == "[(1, 'lo')]\n"


def test_user_and_environment(machine):
    code = "import os; print(os.getuid(), os.getgid(), os.getgroups(), sorted(os.environ), os.getcwd())"
    assert python(machine, code).output == "12345 12345 [] ['LANG', 'PATH'] /\n"
    assert python(machine, code, user=0).output.startswith("0 0 []")
    assert "'SETTING'" in python(machine, code, environment={"SETTING": "1"}).output


def test_own_processes_only(machine):
    processes = "import os; print(sum(name.isdigit() for name in os.listdir('/proc')))"
    assert int(python(machine, processes).output) <= 3
    devices = "print(len(open('/dev/urandom', 'rb').read(8)), open('/dev/null', 'w').write('x'))"
    assert python(machine, devices).output == "8 1\n"


def test_failure_is_told(machine):
    with pytest.raises(machines.MachineError, match=r"`sh -c .*` failed with status 3:\nwhy"):
        machine.run(["sh", "-c", "echo why >&2; exit 3"])


def test_nothing_is_left(base_machine):
    with machines.copy(base_machine) as lent:
        lent.run(["touch", "/tmp/file"])
        assert (lent.root / "tmp/file").stat().st_uid == machines.USER
        python(lent, "import subprocess; subprocess.Popen(['sleep', '1000'])")
    assert not lent.root.parent.exists()
    assert not (base_machine / "tmp/file").exists()
    assert str(lent.root) not in Path("/proc/mounts").read_text()
    assert ends("sleep", "1000")


def test_timeout_kills(machine):
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run(["sleep", "1001"], timeout=0.5)
    assert ends("sleep", "1001")


def test_interrupt_leaves_nothing(base_machine):
    code = """
import sys
from pathlib import Path
import machines
with machines.copy(Path(sys.argv[1])) as lent:
    print(lent.root, flush=True)
    lent.run(["sleep", "1002"], trace=True)
"""
    command = [sys.executable, "-c", code, str(base_machine)]
    with subprocess.Popen(
        command, cwd=TESTS / "support", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        root = Path(run.stdout.readline().strip())
        deadline = time.monotonic() + 30
        while not is_running("sleep", "1002"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
    assert run.returncode == -signal.SIGINT
    assert ends("sleep", "1002")
    assert not root.parent.exists()


def test_trace_of_a_known_command(machine):
    command = ["cat", "/etc/hostname", "/etc/missing"]
    trace = machine.run(command, environment={"LC_ALL": "C"}, trace=True, check=False).trace
    assert trace.executed == {"/usr/bin/cat"}
    libc = "/usr/lib/x86_64-linux-gnu/libc.so.6"
    assert trace.opened == {"/etc/ld.so.cache", libc, "/etc/hostname"}


def test_trace_follows_children_threads_links_and_names(machine):
    code = """
import os, subprocess, threading
os.chdir("/tmp")
for name in ("a child", "a thread", 'q"uote', "<angle> = 3<x>", "größe", "line\\nbreak"):
    open(name, "w").close()
os.symlink("größe", "link")
os.remove("<angle> = 3<x>"), open("<angle> = 3<x>", "w").close()
thread = threading.Thread(target=lambda: open("a thread"))
thread.start(), thread.join()
subprocess.run(["sh", "-c", "cd /tmp; cat 'a child'"], check=True)
open("link"), open('q"uote'), open("line\\nbreak")
"""
    trace = python(machine, code, trace=True).trace
    names = {path.removeprefix("/tmp/") for path in trace.opened if path.startswith("/tmp/")}
    assert names == {"a child", "a thread", 'q"uote', "<angle> = 3<x>", "größe", "line\nbreak"}
    assert trace.executed == {"/usr/bin/python3", "/usr/bin/sh", "/usr/bin/cat"}


def test_trace_tells_writes_locks_and_the_network(machine):
    code = """
import fcntl, os, socket
os.mkdir("/tmp/made")
file = open("/tmp/made/file", "w")
fcntl.flock(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_UN)
os.rename("/tmp/made/file", "/tmp/made/other")
socket.socketpair()
try:
    socket.socket().connect(("127.0.0.1", 9))
except OSError:
    pass
"""
    trace = python(machine, code, trace=True).trace
    assert "/tmp/made/file" in trace.written
    assert {call.partition("(")[0] for call in trace.written if "/tmp/made" in call} >= {"mkdir", "rename"}
    assert {call.partition("(")[0] for call in trace.locked} == {"flock", "fcntl"}
    assert {call.partition("(")[0] for call in trace.network} >= {"socket", "connect"}


def test_unknown_line_is_refused(tmp_path):
    (tmp_path / "thread.1").write_text('openat(AT_FDCWD</>, "x", O_RDONLY <unfinished ...>\n')
    with pytest.raises(ValueError, match="unknown form: openat"):
        traces.read(tmp_path, Path("/root"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "debian.sources",
            "Types: deb\nURIs: http://a.example/debian/\nSuites: {0} {0}-updates\nComponents: main\n",
        ),
        ("debian.list", "deb [arch=amd64] http://a.example/debian {0} contrib main\n"),
    ],
)
def test_mirror_is_read_from_both_forms(tmp_path, name, text):
    codename = next(
        line.partition("=")[2]
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("VERSION_CODENAME=")
    )
    other = "deb http://other.example/x tools-stable main\n"
    (tmp_path / "another.list").write_text(other)
    (tmp_path / name).write_text(text.format(codename))
    places = ["-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={tmp_path}"]
    assert machines.debian_mirror(*places) == "http://a.example/debian"
    (tmp_path / name).unlink()
    with pytest.raises(machines.MachineError, match="names no mirror"):
        machines.debian_mirror(*places)


def test_install(base_machine, tmp_path):
    wheel = tmp_path / "probe-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("probe.py", "print(__file__)\n")
        archive.writestr("probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("probe-1.0.dist-info/WHEEL", tag)
        archive.writestr("probe-1.0.dist-info/RECORD", "")
    environment = "/opt/a räum"
    with machines.copy(base_machine) as lent:
        lent.install(environment, [wheel])
        outcome = lent.run([f"{environment}/bin/python", "-c", "import probe"], trace=True)
        package = f"{environment}/lib/python3.13/site-packages"
        assert outcome.output == f"{package}/probe.py\n"
        assert {path for path in outcome.trace.opened if "probe" in path} == {
            f"{package}/__pycache__/probe.cpython-313.pyc"
        }
        assert lent.run(["touch", f"{package}/new"], check=False).status == 1
