"""Traces the decisions of the runtime to ``stderr`` if the environment variable ``JNUMPY_LOG`` is set."""

import os
import sys
from time import perf_counter

_START = perf_counter()
_IS_ON = os.environ.get("JNUMPY_LOG", "") not in ("", "0")


def trace(text: str) -> None:
    """Write a line, with the seconds since jnumpy was imported."""
    if _IS_ON:
        sys.stderr.write(f"jnumpy {perf_counter() - _START:8.3f}s: {text}\n")
