"""Clean Debian 13 machines to try wheels on: no Julia, no network, a newer libc than the builder's.

1. `base` makes the machine once with debootstrap and keeps it in a cache directory.
2. `copy` lends a disposable copy of it.
3. `Machine.run` runs a command in the copy as a user that is not root, without network, and tells
   on request which files it opened.

A command gets mount, network and process namespaces of its own. All that is mounted or started for
it is gone when it ends, in whatever way: nothing is ever mounted where the tests themselves run.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import traces

SUITE = "trixie"
PACKAGES = ("python3", "python3-venv")
TOOLS = ("debootstrap", "strace")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER = 12345
"""A user that the machine does not know and that owns nothing on it."""


# Processes in these namespaces end with the process that created the namespaces.
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


class MachineError(Exception):
    """A machine cannot be made, or a command on it failed."""


def debian_mirror(*options: str) -> str:
    """Return the address of the Debian mirror that this machine's own apt takes its packages from.

    apt itself reads its configuration, so every form of it counts. `options` are further ones for apt-get.
    """
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    codename = release.get("VERSION_CODENAME", "").strip('"')
    if release.get("ID") != "debian" or not codename:
        raise MachineError("clean machines need Debian: `/etc/os-release` names another system")
    addresses = subprocess.run(
        ["apt-get", *options, "--print-uris", "update"], capture_output=True, text=True, check=True
    ).stdout
    if match := re.search(rf"^'(.+)/dists/{codename}/main/", addresses, re.MULTILINE):
        return match[1]
    raise MachineError(f"apt's configuration names no mirror for the component `main` of `{codename}`")


def base(cache: Path) -> Path:
    """Return the directory of the clean machine in `cache`, made there first when it is missing (about 70 s).

    :param cache: directory that outlives the test run; made when missing
    :raises MachineError: without root, without a mirror, or when debootstrap fails
    """
    if os.geteuid() != 0:
        raise MachineError("clean machines need root: debootstrap, chroot and unshare are not for others")
    cache.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(repr((SUITE, PACKAGES)).encode()).hexdigest()[:12]
    target = cache / f"{SUITE}-{recipe}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        provide_tools()
        if not target.is_dir():
            with tempfile.TemporaryDirectory(prefix="unfinished-", dir=cache) as unfinished:
                root = Path(unfinished) / "root"
                _debootstrap(root)
                root.rename(target)
    return target


def provide_tools() -> None:
    """Install those of `TOOLS` that this machine does not have."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not missing:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        outcome = subprocess.run(["apt-get", *step], env=environment, capture_output=True, text=True)
        if outcome.returncode != 0:
            raise MachineError(f"`apt-get {' '.join(step)}` failed:\n{outcome.stderr}")


def _debootstrap(root: Path) -> None:
    # In namespaces of its own, so that an interrupted run leaves no /proc mounted in the directory.
    command = [
        *NAMESPACES,
        *("--", "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
        *(SUITE, str(root), debian_mirror()),
    ]
    outcome = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if outcome.returncode != 0:
        raise MachineError(f"debootstrap failed with status {outcome.returncode}:\n{outcome.stdout[-4000:]}")
    # A third of the size, and nothing that a machine without network could use.
    for packages in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / packages)


@contextlib.contextmanager
def copy(machine: Path) -> Iterator["Machine"]:
    """Lend a copy of `machine`, a directory that `base` returned; it is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="copy-", dir=machine.parent) as directory:
        root = Path(directory).resolve() / "root"
        subprocess.run(["cp", "--archive", "--reflink=auto", machine, root], check=True)
        yield Machine(root)


@dataclass(frozen=True)
class Outcome:
    """The result of a command on a machine."""

    status: int
    output: str
    errors: str
    trace: traces.Trace | None
    """What the command and its children did with files, if that was asked for."""


@dataclass(frozen=True)
class Machine:
    """A machine in the directory `root`."""

    root: Path

    def run(
        self,
        command: Sequence[str],
        *,
        user: int = USER,
        environment: dict[str, str] | None = None,
        trace: bool = False,
        check: bool = True,
        timeout: float = 600,
    ) -> Outcome:
        """Run `command` in the machine's root directory, without network and without the tests' environment.

        :param user: number of the user and of its only group; 0 to prepare the machine
        :param environment: variables beside `PATH` and `LANG`; there is no `HOME` unless given here
        :param trace: follow the command, its threads and children with strace
        :param check: raise when the command does not end with status 0
        :param timeout: seconds after which the command is killed
        :raises MachineError: the command failed, and `check` is set
        :raises subprocess.TimeoutExpired: the command took too long
        """
        with tempfile.TemporaryDirectory() as records:
            # strace stays outside of the root and reads the /proc of its namespace there.
            outcome = subprocess.run(
                [
                    *(*NAMESPACES, "--net", "--"),
                    *("unshare", "--fork", f"--mount-proc={self.root / 'proc'}", "--"),
                    *(traces.command(Path(records)) if trace else ()),
                    *("chroot", f"--userspec=+{user}:+{user}", "--groups=", str(self.root)),
                    *command,
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env={"PATH": PATH, "LANG": "C.UTF-8", **(environment or {})},
                timeout=timeout,
            )
            if check and outcome.returncode != 0:
                raise MachineError(
                    f"`{' '.join(command)}` failed with status {outcome.returncode}:\n{outcome.stdout}{outcome.stderr}"
                )
            trace_read = traces.read(Path(records), self.root) if trace else None
        return Outcome(outcome.returncode, outcome.stdout, outcome.stderr, trace_read)

    def install(self, environment: str, wheels: Iterable[Path]) -> None:
        """Make a virtual environment with `wheels` in it, installed by plain pip without an index, read-only.

        :param environment: absolute path of the environment on the machine
        :param wheels: wheel files, all that the installed distributions need
        """
        wheel_directory = self.root / "opt/wheels"
        wheel_directory.mkdir()
        names = [Path(shutil.copy(wheel, wheel_directory)).name for wheel in wheels]
        self.run(["python3", "-m", "venv", environment], user=0)
        self.run(
            [f"{environment}/bin/pip", "install", "--no-index", *(f"/opt/wheels/{name}" for name in names)],
            user=0,
        )
        self.run(["chmod", "--recursive", "a-w", environment], user=0)
