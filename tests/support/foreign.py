"""Debian's packages for other processors: their libraries can be read and rewritten here, though not run.

`packages` fetches a few packages once and keeps what is in them in a cache directory. apt gets a root of its own for
it, with the mirror and the settings of this machine; nothing on the machine changes, and root is not needed.
"""

import subprocess
import tempfile
from pathlib import Path

import machines

SUITE = "bookworm"
PACKAGES = ("libc6", "libgcc-s1", "libgfortran5", "libgmp10", "libopenblas0-pthread", "libssl3", "libstdc++6", "zlib1g")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def packages(cache: Path, architecture: str) -> Path:
    """Return the directory with what is in `PACKAGES` for `architecture`, a name of Debian's such as `arm64`."""
    target = cache / f"{SUITE}-{architecture}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=cache) as unfinished:
            _fetch(Path(unfinished), architecture).rename(target)
    return target


def _fetch(directory: Path, architecture: str) -> Path:
    for name in ("state/lists/partial", "cache/archives/partial", "packages", "root"):
        (directory / name).mkdir(parents=True)
    source = f"deb [arch={architecture} signed-by={KEYRING}] {machines.debian_mirror()} {SUITE} main\n"
    (directory / "sources.list").write_text(source)
    (directory / "status").touch()
    (directory / "cleared.conf").write_text("#clear APT::Architectures;\n#clear APT::Update::Post-Invoke;\n")
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Dir::State": directory / "state",
        "Dir::State::status": directory / "status",
        "Dir::Cache": directory / "cache",
        "Dir::Etc::sourcelist": directory / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
    }
    options = ["-c", directory / "cleared.conf"]
    for name, value in settings.items():
        options += ["-o", f"{name}={value}"]
    for words in (["update"], ["download", *PACKAGES]):
        command = ["apt-get", *options, *words]
        outcome = subprocess.run(command, cwd=directory / "packages", capture_output=True, text=True)
        if outcome.returncode != 0:
            raise machines.MachineError(f"`apt-get {words[0]}` for `{architecture}` failed:\n{outcome.stderr}")
    for package in (directory / "packages").glob("*.deb"):
        subprocess.run(["dpkg", "--extract", package, directory / "root"], check=True)
    return directory / "root"
