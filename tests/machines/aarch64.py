"""Packs fixtures/kmeans1d for aarch64 Linux and runs the wheel, on a Debian for that processor: `make aarch64`.

The Debian is made of packages from the mirror that this machine's apt uses, and kept. No maintainer script runs, and
root is not needed. QEMU runs its programs. The kernel knows of that only in the user namespace that they are started
in, so this machine stays as it is.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import downloads
import foreign
from paths import REPOSITORY

QEMU = "qemu-aarch64-static"
PACKAGES = ("base-files", "bash", "coreutils", "gcc", "libc6-dev", "python3-venv")
NUMPY = "numpy==2.2.6"
NAMESPACES = ("unshare", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
# Programs for aarch64 begin with these bytes. `F` opens QEMU now, so that it is found after `chroot`, too. The shell
# stays: QEMU ends a program that has crashed with a signal, which does nothing to the first process of a namespace.
REGISTER = r"""
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
printf '%s' ':qemu-aarch64:M::'\
'\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:'\
'\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$0:F" \
    > /proc/sys/fs/binfmt_misc/register
"$@"
exit $?
"""
INSIDE = """
mount --rbind /proc "$0/proc"
mount --rbind /dev "$0/dev"
chroot "$0" "$@"
exit $?
"""
ENVIRONMENT = {
    "PATH": "/opt/tools/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "JNUMPY_HOME": "/opt/home",
}


class Debian:
    """A Debian for aarch64 in a directory."""

    def __init__(self, root: Path, qemu: str) -> None:
        self.root = root
        self.qemu = qemu

    def outside(self, *command: str | Path, environment: dict[str, str]) -> None:
        """Run a command of this machine that starts programs of the other one."""
        step(command, [*NAMESPACES, "--", "sh", "-e", "-c", REGISTER, self.qemu, *command], environment)

    def run(self, *command: str) -> None:
        """Run a command of the Debian."""
        inside = ["sh", "-e", "-c", INSIDE, self.root, *command]
        step(command, [*NAMESPACES, "--", "sh", "-e", "-c", REGISTER, self.qemu, *inside], ENVIRONMENT)

    def prepare(self, cache: Path) -> None:
        """Provide a Julia, and a Python with NumPy and our commands."""
        if not (self.root / "opt/home/julia").is_dir():
            # Only the name of the processor differs, and this is faster here.
            (self.root / "opt/dpkg").mkdir(parents=True, exist_ok=True)
            name = self.root / "opt/dpkg/dpkg"
            name.write_text("#!/bin/sh\necho arm64\n")
            name.chmod(0o755)
            (self.root / "opt/home").mkdir()
            environment = {
                **os.environ,
                "PATH": f"{name.parent}:{os.environ['PATH']}",
                "QEMU_LD_PREFIX": str(self.root),
                "JNUMPY_HOME": str(self.root / "opt/home"),
            }
            pack = REPOSITORY / "target/release/jnumpy-pack"
            self.outside(pack, "julia", "install", "--from", "debian", environment=environment)
        if not (self.root / "opt/tools/lib/python3.11/site-packages/numpy").is_dir():
            self.put(downloads.wheel(NUMPY, cache / "wheels", "manylinux_2_17_aarch64", python="3.11"))
            self.run("python3", "-m", "venv", "/opt/tools")
            self.run("pip", "install", "--quiet", "--no-index", "--find-links", "/opt/wheels", "numpy")

    def put(self, *wheels: Path) -> None:
        """Put wheels where its pip looks for them."""
        (self.root / "opt/wheels").mkdir(parents=True, exist_ok=True)
        for wheel in wheels:
            shutil.copy(wheel, self.root / "opt/wheels")


def step(shown: tuple, command: list, environment: dict[str, str]) -> None:
    """Run a command, and say how long it took."""
    print(f"$ {' '.join(map(str, shown))}", flush=True)
    start = time.monotonic()
    outcome = subprocess.run(command, env=environment)
    print(f"  status {outcome.returncode} after {time.monotonic() - start:.0f} s", flush=True)
    if outcome.returncode != 0:
        sys.exit(f"make aarch64: `{' '.join(map(str, shown))}` failed")


def main() -> None:
    """Pack, and use the wheel in an environment that has none of the tools."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "wheels", type=Path, help="directory with the wheels of jnumpy-pack and jnumpy-runtime for aarch64"
    )
    parser.add_argument("--cache", type=Path, required=True, help="directory that keeps the Debian and its wheels")
    parser.add_argument("--image", default="none", help="what is compiled ahead of time")
    arguments = parser.parse_args()
    qemu = shutil.which(QEMU)
    if qemu is None:
        sys.exit(f"make aarch64: no `{QEMU}` on PATH; `apt-get install qemu-user-static` installs it")
    # apt-get works in a directory of its own.
    cache = arguments.cache.absolute()
    debian = Debian(foreign.machine(cache, "arm64", PACKAGES), qemu)
    debian.prepare(cache)
    debian.put(*arguments.wheels.glob("*.whl"))
    shutil.rmtree(debian.root / "opt/kmeans1d", ignore_errors=True)
    shutil.copytree(REPOSITORY / "fixtures/kmeans1d", debian.root / "opt/kmeans1d")
    for directory in ("opt/dist", "opt/user"):
        shutil.rmtree(debian.root / directory, ignore_errors=True)
    offline = ("pip", "install", "--quiet", "--no-index", "--find-links", "/opt/wheels")
    debian.run(*offline, "--no-deps", "--force-reinstall", "jnumpy-pack")
    packing = ("--image", arguments.image, "--cpu-target", "generic", "--python", "/opt/tools/bin/python3")
    debian.run("jnumpy-pack", "wheel", "/opt/kmeans1d", "--out-dir", "/opt/dist", *packing)
    (wheel,) = (debian.root / "opt/dist").glob("*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB", flush=True)
    debian.run("python3", "-m", "venv", "--without-pip", "/opt/user")
    debian.run(*("pip", "--python", "/opt/user/bin/python3"), *offline[1:], f"/opt/dist/{wheel.name}")
    debian.run("/opt/user/bin/python3", "/opt/kmeans1d/examples/galaxies.py")


if __name__ == "__main__":
    main()
