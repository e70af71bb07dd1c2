"""The packed wheel of kmeans1d works without a Julia, a network, a home directory, and a writable directory."""

import re
import shutil
from pathlib import Path

import pytest

ENVIRONMENT = "/opt/clean röom"
SCRIPTS = "/opt/scripts"

# Files that the run may open besides the environment. A file that is not below one of these is a leak.
SYSTEM = {
    SCRIPTS: "the script that clusters",
    "/usr/lib/python3.13": "the standard library of the system's Python, which the environment shares",
    "/etc/python3.13/sitecustomize.py": "Debian's part of that library",
    "/usr/lib/x86_64-linux-gnu": "the system's own shared libraries",
    "/etc/ld.so.cache": "where the dynamic loader looks those up",
    "/usr/lib/locale": "the C library's locale",
    "/usr/share/zoneinfo": "the time zone, which Python reads as it starts",
    "/etc/passwd": "where Python looks for the home directory when there is no HOME",
    "/etc/nsswitch.conf": "how it looks",
    "/etc/ssl/openssl.cnf": "read by Python's own hashlib, which NumPy's random numbers import",
    "/proc": "what the process asks the kernel about itself",
    "/sys/devices/system": "what it asks about the processors",
    "/dev/null": "nothing",
    "/dev/urandom": "random seeds",
}


@pytest.fixture(scope="module")
def cluster(machine, kmeans_wheel, numpy_wheel):
    """Install the wheel, and return the command that clusters."""
    machine.install(ENVIRONMENT, [kmeans_wheel, numpy_wheel])
    scripts = machine.root / SCRIPTS.lstrip("/")
    scripts.mkdir()
    script = shutil.copy(Path(__file__).with_name("cluster_galaxies.py"), scripts)
    return [f"{ENVIRONMENT}/bin/python", f"{SCRIPTS}/{Path(script).name}"]


def is_under(path, directory):
    return path == directory or path.startswith(f"{directory}/")


def test_environment_is_read_only(machine, cluster):
    assert machine.run(["find", ENVIRONMENT, "-writable", "-not", "-type", "l"]).output == ""


def test_clusters(machine, cluster):
    outcome = machine.run(cluster)
    assert outcome.output.splitlines() == [
        "galaxies as int64: 82 numbers in clusters of [7, 2, 36, 25, 9, 3]",
        "galaxies as float32: 82 numbers in clusters of [7, 2, 36, 25, 9, 3]",
        "random: 1500 numbers in clusters of [285, 539, 500, 176]",
    ]
    assert outcome.errors == ""


@pytest.fixture(scope="module")
def trace(machine, cluster):
    """Return what a run of the command did."""
    return machine.run(cluster, trace=True).trace


def test_opens_nothing_outside(trace):
    allowed = [ENVIRONMENT, *SYSTEM]
    leaks = sorted(path for path in trace.opened if not any(is_under(path, place) for place in allowed))
    assert leaks == []


def test_starts_no_other_program(trace, cluster):
    assert trace.executed == {cluster[0]}


def test_writes_nothing(trace):
    # Julia's compiler writes code into the memory of the process through this file.
    own_memory = re.compile(r"/proc/\d+/mem")
    assert {path for path in trace.written if path != "/dev/null" and not own_memory.fullmatch(path)} == set()


def test_waits_for_no_lock_and_uses_no_network(trace):
    assert trace.locked | trace.network == set()
