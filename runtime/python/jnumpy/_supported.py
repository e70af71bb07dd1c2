"""Refuses unsupported interpreters with a message, before the extension module is used."""

from __future__ import annotations

import sys

if "t" in getattr(sys, "abiflags", ""):
    raise ImportError(
        "jnumpy needs Python's global lock, and this is the free-threaded build of CPython: use the usual one, "
        f"python{sys.version_info[0]}.{sys.version_info[1]}"
    )

from jnumpy import _runtime

_runtime.refuse_subinterpreter()
