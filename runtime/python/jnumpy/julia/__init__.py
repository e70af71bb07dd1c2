"""Julia's packages: ``from jnumpy.julia import LinearAlgebra``.

A program written for tyjuliacall imports its names from here: ``JV``, ``JuliaEvaluator``, ``Base``, and packages.
"""

from __future__ import annotations

from typing import Any


class _Evaluator:
    """Runs Julia code in ``Main``, as in tyjuliacall: ``JuliaEvaluator["x = 1", "x + 1"]`` returns the last value."""

    def __getitem__(self, code: str | tuple[str, ...]) -> Any:
        import jnumpy

        main: Any = jnumpy.Main
        value = None
        for part in (code,) if isinstance(code, str) else code:
            value = main.seval(part)
        return value


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'jnumpy.julia' has no attribute {name!r}")
    import jnumpy

    if name == "JV":
        return jnumpy.JuliaValue
    if name == "JuliaEvaluator":
        return _Evaluator()
    if name not in ("Main", "Base", "Core"):
        jnumpy.exec_julia(f"import {name}")
    return getattr(jnumpy.Main, name)
