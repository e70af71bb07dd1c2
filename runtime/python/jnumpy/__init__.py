"""Julia in Python: call exported Julia functions on NumPy memory without copies.

A package whose core is Julia starts it and loads its own project::

    from jnumpy import init_jl, init_project

    init_jl()
    init_project(__file__)
    from _kmeans1d import _jl_cluster
"""

from __future__ import annotations

from jnumpy import _supported  # noqa: F401 - first, to refuse an unsupported interpreter
from jnumpy._errors import JuliaError, JuliaNotFoundError
from jnumpy._runtime import JuliaFunction, JuliaObject, set_copy_policy
from jnumpy._session import (
    bundle_info,
    eval_julia,
    exec_julia,
    include_src,
    init_jl,
    init_project,
    reload,
    set_julia_mirror,
    set_julia_path,
    show_progress,
    use_logging,
    write_stubs,
)

TYPE_CHECKING = False  # `typing` costs 10 ms to import
if TYPE_CHECKING:
    from typing import Any

# The names that `__getattr__` provides.
__version__: str
julia_version: str
Main: Any
Base: Any
JuliaValue: Any

__all__ = [
    "JuliaError",
    "JuliaFunction",
    "JuliaNotFoundError",
    "JuliaObject",
    "bundle_info",
    "eval_julia",
    "exec_julia",
    "include_src",
    "init_jl",
    "init_project",
    "julia_version",
    "reload",
    "set_copy_policy",
    "set_julia_mirror",
    "set_julia_path",
    "show_progress",
    "use_logging",
    "write_stubs",
]


def load_ipython_extension(shell: object) -> None:
    """Start Julia and offer ``%julia`` and ``%%julia``: called by ``%load_ext jnumpy``."""
    from jnumpy import _ipython

    _ipython.load(shell)  # type: ignore[arg-type]


def __getattr__(name: str) -> object:
    if name == "julia_version":
        from jnumpy import _runtime

        return _runtime.julia_version()
    if name == "__version__":
        from jnumpy import _runtime

        return _runtime.__version__
    if name in ("Main", "Base", "JuliaValue"):
        from jnumpy._dynamic import main
        from jnumpy._session import _require

        _require()
        if name == "JuliaValue":
            return type(main())
        return main() if name == "Main" else main().Base
    # Projects for the original JNumPy use `import jnumpy as np`.
    if not name.startswith("_"):
        import numpy

        if hasattr(numpy, name):
            return getattr(numpy, name)
    raise AttributeError(f"module 'jnumpy' has no attribute {name!r}")
