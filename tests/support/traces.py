"""The use of files, programs, locks, and the network by a command, as traced by strace."""

import re
from dataclasses import dataclass
from pathlib import Path

_OPENING = re.compile(r"(?:open|openat|openat2|creat)\(")
_OPENED = re.compile(r".*\) += \d+<(.*)>(?:\(deleted\))?")
_EXECUTED = re.compile(r'execve\("((?:[^"\\]|\\.)*)", .* = 0')
_FOR_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|^creat\(")
_CHANGED = re.compile(
    r"((?:rename|mkdir|mknod|unlink|rmdir|link|symlink|chmod|fchmodat|chown|lchown|truncate|utime)\w*)\(.*\) += 0"
)
_LOCKED = re.compile(r"(?:flock\(|fcntl\(.*F_(?:OFD_)?SETLKW?\b)")
_NETWORK = re.compile(r"(?:socket|connect|sendto|sendmsg)\((?!.*\bAF_UNIX\b)")
_NOTHING_DONE = re.compile(r".* = (?:-1 E|\?).*")


@dataclass(frozen=True)
class Trace:
    """What a command, its threads and its children did with files: absolute paths inside its root."""

    opened: frozenset[str]
    """Files and directories opened, each under its real name: symbolic links are followed."""
    executed: frozenset[str]
    """Programs started, each as it was named."""
    written: frozenset[str]
    """Files opened for writing, and calls that changed a directory or a file's properties."""
    locked: frozenset[str]
    """Calls that lock a file."""
    network: frozenset[str]
    """Calls that use sockets, but for those that stay on the machine."""


def command(records: Path) -> list[str]:
    """Return the start of a command line that traces the rest of it into the empty directory `records`."""
    # One record for each thread: no two calls are interleaved. `-y` adds the real path to what is opened.
    options = ["-ff", "-y", "-e", "trace=file,network,flock,fcntl", "-e", "signal=none", "-o"]
    return ["strace", *options, str(records / "thread"), "--"]


def read(records: Path, root: Path) -> Trace:
    """Read the trace of a command that was started by `chroot` in `root`.

    :param records: the directory that was given to `command`
    :param root: the directory that the paths are relative to
    :raises ValueError: a line is in a form that strace is not known to write
    """
    opened, executed, written, locked, network = set(), set(), set(), set(), set()
    for record in records.iterdir():
        lines = record.read_text().splitlines()
        for line in _after_chroot(lines):
            if _OPENING.match(line):
                if match := _OPENED.fullmatch(line):
                    path = _inside(_unescape(match[1]), root)
                    opened.add(path)
                    if _FOR_WRITING.search(line):
                        written.add(path)
                elif not _NOTHING_DONE.fullmatch(line):
                    raise ValueError(f"strace wrote a line in an unknown form: {line}")
            elif match := _EXECUTED.fullmatch(line):
                executed.add(_unescape(match[1]))
            elif _CHANGED.fullmatch(line):
                written.add(line)
            elif _LOCKED.match(line):
                locked.add(line)
            elif _NETWORK.match(line):
                network.add(line)
    return Trace(*map(frozenset, (opened, executed, written, locked, network)))


def _after_chroot(lines: list[str]) -> list[str]:
    """Return the lines from the command's own start on: what `chroot` did before is no part of it."""
    chroot = next((number for number, line in enumerate(lines) if line.startswith("chroot(")), None)
    if chroot is None:
        return lines
    starts = (n for n, line in enumerate(lines) if n > chroot and _EXECUTED.fullmatch(line))
    return lines[next(starts, len(lines)) :]


def _unescape(text: str) -> str:
    """Turn strace's octal and C escapes back into the path."""
    return text.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")


def _inside(path: str, root: Path) -> str:
    """Return `path` as the traced command sees it; what lies outside of `root` stays as it is."""
    prefix = str(root)
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
