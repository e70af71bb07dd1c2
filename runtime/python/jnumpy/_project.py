"""The user's directory, and reading the top of a ``Project.toml`` (``tomllib`` came with Python 3.11)."""

from __future__ import annotations

import os


def home() -> str:
    """The directory of installed Julias and of files that packages write."""
    return os.environ.get("JNUMPY_HOME") or os.path.join(os.path.expanduser("~"), ".jnumpy")


def top_level(path: str, key: str) -> str | None:
    """The text of ``key`` at the top level of a ``Project.toml``, if it exists and is not empty."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line.startswith("["):
                break
            found, _, value = line.partition("=")
            value = value.strip()
            if found.strip().strip("\"'") == key and value[:1] in ("'", '"'):
                return value[1:].partition(value[0])[0] or None
    return None
