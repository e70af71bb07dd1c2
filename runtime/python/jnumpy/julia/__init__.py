"""Julia's packages: ``from jnumpy.julia import LinearAlgebra``."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'jnumpy.julia' has no attribute {name!r}")
    import jnumpy

    if name not in ("Main", "Base", "Core"):
        jnumpy.exec_julia(f"import {name}")
    return getattr(jnumpy.Main, name)
