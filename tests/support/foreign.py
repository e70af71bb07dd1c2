"""Debian's packages for other processors: libraries to read and rewrite here, and programs for an emulator.

`packages` and `machine` fetch packages once and keep what is in them in a cache directory. apt gets a root of its own
for it, with the mirror and the settings of this machine; nothing on the machine changes, and root is not needed.
"""

import hashlib
import subprocess
import tempfile
from pathlib import Path

import machines

SUITE = "bookworm"
PACKAGES = ("libc6", "libgcc-s1", "libgfortran5", "libgmp10", "libopenblas0-pthread", "libssl3", "libstdc++6", "zlib1g")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def packages(cache: Path, architecture: str) -> Path:
    """Return the directory with what is in `PACKAGES` for `architecture`, a name of Debian's such as `arm64`."""
    return _kept(cache / f"{SUITE}-{architecture}", architecture, ["download", *PACKAGES])


def machine(cache: Path, architecture: str, names: tuple[str, ...]) -> Path:
    """Return the directory with what is in packages and in all that they depend on; no maintainer script has run."""
    recipe = hashlib.sha256(repr((SUITE, names)).encode()).hexdigest()[:12]
    words = ["install", "--download-only", "--yes", "--no-install-recommends", *names]
    root = _kept(cache / f"{SUITE}-{architecture}-{recipe}", architecture, words)
    compiler = root / "usr/bin/cc"
    if not compiler.is_symlink():
        # A maintainer script would make this link.
        compiler.symlink_to("gcc")
    return root


def _kept(target: Path, architecture: str, words: list[str]) -> Path:
    """Return the directory with what is in packages; it is made when it is missing."""
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=target.parent) as unfinished:
            _fetch(Path(unfinished), architecture, words).rename(target)
    return target


def _fetch(directory: Path, architecture: str, words: list[str]) -> Path:
    """Fetch packages with these words of apt-get, and unpack them."""
    for name in ("state/lists/partial", "cache", "packages/partial", "root"):
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
        "Dir::Cache::archives": directory / "packages",
        "Dir::Etc::sourcelist": directory / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
    }
    options = ["-c", directory / "cleared.conf"]
    for name, value in settings.items():
        options += ["-o", f"{name}={value}"]
    for step in (["update"], words):
        command = ["apt-get", *options, *step]
        outcome = subprocess.run(command, cwd=directory / "packages", capture_output=True, text=True)
        if outcome.returncode != 0:
            raise machines.MachineError(f"`apt-get {step[0]}` for `{architecture}` failed:\n{outcome.stderr}")
    for package in (directory / "packages").glob("*.deb"):
        subprocess.run(["dpkg", "--extract", package, directory / "root"], check=True)
    return directory / "root"
