"""Which files a command opened and ran, as told by strace."""

import re
from dataclasses import dataclass
from pathlib import Path

_OPENING = re.compile(r"(?:open|openat|openat2|creat)\(")
_OPENED = re.compile(r".*\) += \d+<(.*)>(?:\(deleted\))?")
_EXECUTED = re.compile(r'execve\("((?:[^"\\]|\\.)*)", .* = 0')
_NOTHING_DONE = re.compile(r".* = (?:-1 E|\?).*")


@dataclass(frozen=True)
class Trace:
    """What a command, its threads and its children did with files: absolute paths inside its root."""

    opened: frozenset[str]
    """Files and directories opened, each under its real name: symbolic links are followed."""
    executed: frozenset[str]
    """Programs started, each as it was named."""


def command(records: Path) -> list[str]:
    """Return the start of a command line that traces the rest of it into the empty directory `records`."""
    # One record for each thread: no two calls are interleaved. `-y` adds the real path to what is opened.
    options = ["-ff", "-y", "-e", "trace=file", "-e", "signal=none", "-o"]
    return ["strace", *options, str(records / "thread"), "--"]


def read(records: Path, root: Path) -> Trace:
    """Read the trace of a command that was started by `chroot` in `root`.

    :param records: the directory that was given to `command`
    :param root: the directory that the paths are relative to
    :raises ValueError: a line is in a form that strace is not known to write
    """
    opened, executed = set(), set()
    for record in records.iterdir():
        lines = record.read_text().splitlines()
        for line in _after_chroot(lines):
            if _OPENING.match(line):
                if match := _OPENED.fullmatch(line):
                    opened.add(_inside(_unescape(match[1]), root))
                elif not _NOTHING_DONE.fullmatch(line):
                    raise ValueError(f"strace wrote a line in an unknown form: {line}")
            elif match := _EXECUTED.fullmatch(line):
                executed.add(_unescape(match[1]))
    return Trace(frozenset(opened), frozenset(executed))


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
