"""The public functions, which are thin layers over the extension module."""

from __future__ import annotations

import atexit
import os
import sys

from jnumpy import _runtime
from jnumpy._errors import JuliaError, more
from jnumpy._project import home, top_level
from jnumpy._trace import trace

TYPE_CHECKING = False  # importing `typing` takes 10 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from jnumpy._bundle import Bundle

_ready = False


def init_jl() -> None:
    """Start Julia in this process; do nothing if it is already running.

    Inside a bundled wheel it is the bundle's Julia. Otherwise the one of ``TYPY_JL_EXE``, ``julia`` on ``PATH``, or
    one that ``jnumpy-pack julia install`` has installed.

    Raises:
        JuliaNotFoundError: there is no Julia; the message lists every location searched.
        ImportError: a library of the bundle is damaged.
        MemoryError: a limit of this process leaves Julia too little memory to start.
        RuntimeError: Julia does not start.

    """
    if _ready:
        return
    if sys.implementation.name != "cpython":
        raise ImportError(f"jnumpy needs CPython, this is {sys.implementation.name}")
    from jnumpy import _bundle

    with _bundle.lock:
        _start()


def _start() -> None:
    global _ready
    if _ready:
        return
    from jnumpy import _bundle

    bundle = _bundle.candidate()
    if bundle is not None:
        paths = _bundle.start(bundle.home)
    else:
        from jnumpy import _find  # imports `subprocess` and more, which a bundle does not need

        paths = _find.start()
    # A bundle has no `julia` program that could precompile a package, and no directory for the result.
    own_options = [] if bundle is None else ["--compiled-modules=no"]
    options, environment = os.environ.get("TYPY_JL_OPTS", ""), _environment(bundle)
    trace(f"jnumpy {_runtime.__version__} in {os.path.dirname(__file__)} starts Julia")
    trace(
        f"libjulia {paths[0]}, image {paths[2]}, options {' '.join([*own_options, options])!r}, "
        f"environment {dict(environment)}"
    )
    _runtime.start(paths, own_options, options, environment)
    trace(f"Julia {_runtime.julia_version()} runs")
    atexit.register(_runtime.end)
    _ready = True
    _bundle.started(bundle)


def _environment(bundle: Bundle | None) -> list[tuple[str, str]]:
    """Environment variables that are set only while Julia starts."""
    # Without this, libjulia forks a child process to look for a newer libstdc++. If Julia does not contain one, the
    # system's is already loaded.
    variables = [("JULIA_PROBE_LIBSTDCXX", "0")]
    if bundle is not None:
        depots = os.pathsep.join((_writable_depot(), *bundle.home.depots))
        projects = os.pathsep.join(("@", os.path.dirname(bundle.directory), "@stdlib"))
        variables += [
            ("JULIA_DEPOT_PATH", depots),
            ("JULIA_LOAD_PATH", projects),
            ("JULIA_PROJECT", _writable_project(bundle)),
        ]
    return variables


#: Replaces the user's directory if there is none, so that packages that write get an exception.
_NOWHERE = "/nonexistent"


def _writable_depot() -> str:
    """The first depot, in which packages write their own files, such as scratch spaces.

    That of the bundle may belong to somebody else, and is the same for all users. Nothing is created here.
    """
    from jnumpy import _bundle

    # Without `HOME` and an entry for the user, the path begins with `~`.
    directory = os.path.abspath(home()) if os.environ.get("JNUMPY_HOME") else home()
    usable = os.path.isabs(directory) and _bundle.is_nameable(directory)
    return os.path.join(directory if usable else _NOWHERE, "depot")


def _writable_project(bundle: Bundle) -> str:
    """The directory of the active project, in which packages write preferences: a named environment in that depot."""
    return os.path.join(_writable_depot(), "environments", os.path.basename(os.path.dirname(bundle.directory)))


#: The Julia package `Preferences`, which writes into the directory of the active project but does not create it.
_PREFERENCES = "21216c6a-2e73-6563-6e65-726566657250"


def _create_project(directory: str) -> None:
    """Create the directory of the active project, unless its parent belongs to another user, as with ``sudo``."""
    if directory.startswith(_NOWHERE):
        return
    parent = directory
    while parent and not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    try:
        if parent and parent != directory and os.stat(parent).st_uid == os.geteuid():
            os.makedirs(directory, exist_ok=True)
    except OSError:
        pass  # setting a preference will fail because the directory does not exist


def _require() -> None:
    if not _ready:
        raise RuntimeError("Julia is not running: call `jnumpy.init_jl()` first")


def init_project(package_file: str) -> None:
    """Load the Julia project beside a Python file, and run the ``init()`` of its module.

    Args:
        package_file: ``__file__`` of the package; its directory contains ``Project.toml`` with a top-level ``name``.

    Raises:
        RuntimeError: Julia is not running.
        FileNotFoundError: ``Project.toml`` or the source of its module does not exist.
        ValueError: ``Project.toml`` has no ``name``.
        ImportError: the package is packed and cannot join the running Julia.
        JuliaError: the project does not load.

    """
    from jnumpy import _bundle

    _require()
    directory = os.path.dirname(os.path.abspath(package_file))
    paths = [os.path.join(directory, name) for name in ("JuliaProject.toml", "Project.toml")]
    path = next(filter(os.path.isfile, paths), None)
    if path is None:
        raise FileNotFoundError(
            f"{paths[1]} does not exist: `init_project(__file__)` loads the Julia project beside the file"
        )
    name = top_level(path, "name")
    if name is None:
        raise ValueError(f"{path} has no top-level `name`, which is the name of the Julia module in `src`")
    source = os.path.join(directory, "src", f"{name}.jl")
    if not os.path.isfile(source):
        raise FileNotFoundError(f"{source} does not exist: {path} names its module `{name}`")
    bundle = _bundle.of(directory)
    if bundle is not None:
        _bundle.join(bundle)
    elif _bundle.host() is not None:
        _runtime.extend_paths("", "\0".join(_user_depots()), "")
    first = _bundle.first()
    if bundle is not None and first is not None and _PREFERENCES in bundle.packages:
        _create_project(_writable_project(first))
    # A bundle that joins is found without being active. `using` in `Main` searches the active project.
    stay = bundle is None or bundle is first
    package = _package_of(package_file)
    if bundle is None:
        from jnumpy import _reload

        _reload.remember(directory, name, package)
    trace(f"loading the Julia project {name} in {directory}")
    try:
        _runtime.load_project(directory, name, package, stay)
    except JuliaError as error:
        if bundle is not None and bundle.runtime_is_newer:
            raise ImportError(
                f"{bundle} was packed with jnumpy {bundle.description['runtime']}, but jnumpy {_runtime.__version__} "
                f"in {os.path.dirname(__file__)} is loaded, and {name} does not load with it: update that jnumpy, or "
                "use one process for each"
            ) from error
        if bundle is None:
            _reload.forget(directory)
            if not _has_manifest(directory):
                error.__notes__ = [_NO_MANIFEST.format(directory), *error.__notes__]
        raise
    trace(f"{name} is loaded")


#: Without the variable, `Pkg.resolve()` would compile the project with the registry's TyPython, which is older.
_NO_MANIFEST = (
    "{0} has no manifest, which tells Julia where the project's dependencies are. If a dependency is missing: "
    "`JULIA_PKG_PRECOMPILE_AUTO=0 julia --project={0} -e 'using Pkg; Pkg.resolve(); Pkg.instantiate()'`; "
    f"{more('no-manifest')}"
)


def _has_manifest(directory: str) -> bool:
    """Whether Julia has a manifest for a project: beside it, or in the root of its workspace."""
    names = os.listdir(directory)
    if any(name.removeprefix("Julia").startswith("Manifest") and name.endswith(".toml") for name in names):
        return True
    parent = os.path.dirname(directory)
    return parent != directory and os.path.isfile(os.path.join(parent, "Project.toml")) and _has_manifest(parent)


def _user_depots() -> list[str]:
    """The depots in which the packages of a source tree are.

    As for Julia, an empty entry stands for the default, but an empty variable means none.
    """
    default = os.path.join(os.path.expanduser("~"), ".julia")
    paths = os.environ.get("JULIA_DEPOT_PATH", default)
    return [depot or default for depot in paths.split(os.pathsep)] if paths else []


def _package_of(package_file: str) -> str:
    """The dotted name of the package that this file is the ``__init__.py`` of, or nothing."""
    for name, module in list(sys.modules.items()):
        if name != "__main__" and getattr(module, "__file__", None) == package_file and hasattr(module, "__path__"):
            return name
    return ""


def reload(package: str | ModuleType | None = None) -> list[str]:
    """Let edits of Julia sources take effect in this process, in projects that ``init_project`` loaded from source.

    What has changed in the files of a project is evaluated in its modules, and its ``init()`` runs again. References to
    exported functions and modules stay valid and call the new code. See :doc:`/development`.

    Args:
        package: the package whose ``__init__.py`` calls ``init_project``, or its name; default: all projects.

    Returns:
        The paths of the changed files of each project, sorted.

    Raises:
        RuntimeError: Julia is not running, the project is packed, or another thread reloads.
        TypeError: ``package`` is neither a module nor a name.
        ValueError: ``package`` is not imported, or has no project.
        JuliaError: a file has an error, which the message names with file and line, or contains a change that needs a
            restart. Definitions before that line are new, and the others are as before. The next call tries again.

    """
    from jnumpy import _reload

    _require()
    return _reload.run(package)


def exec_julia(code: str, use_gil: bool = True) -> None:
    """Run Julia code in ``Main``.

    Args:
        code: Julia source, any number of lines.
        use_gil: ignored; for projects of the original JNumPy. The lock is always held, because the code may touch
            Python objects.

    Raises:
        RuntimeError: Julia is not running.
        JuliaError: the code does not parse, or throws.

    """
    _require()
    _runtime.evaluate(code, False)


def eval_julia(code: str) -> Any:
    """Run Julia code in ``Main`` and return the value of its last expression.

    Args:
        code: Julia source, any number of lines.

    Returns:
        The value, as an exported function would return it. An ``Array`` of numbers becomes an ndarray of shape
        ``size(A)`` that shares its memory; numbers, strings, tuples, and dictionaries become Python objects.

    Raises:
        RuntimeError: Julia is not running.
        JuliaError: the code does not parse, or throws.
        TypeError: the value has no counterpart in Python.

    """
    _require()
    return _runtime.evaluate(code, True)


def include_src(src_file: str, current_file_path: str = "./__init__.py") -> None:
    """Include a Julia file in ``Main``.

    Args:
        src_file: its path, relative to the directory of ``current_file_path``.
        current_file_path: ``__file__`` of the caller; by default, paths are relative to the working directory.

    Raises:
        RuntimeError: Julia is not running.
        FileNotFoundError: there is no such file.
        JuliaError: the code in it does not parse, or throws.

    """
    _require()
    directory = os.path.dirname(os.path.abspath(current_file_path))
    path = os.path.join(directory, src_file)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} does not exist")
    _runtime.include(path)


def set_julia_path(path: str | os.PathLike[str]) -> None:
    """Use the Julia at ``path`` in this process, instead of any other that could be found.

    Args:
        path: the executable ``julia``, or a launcher. It is checked when Julia starts.

    Raises:
        RuntimeError: Julia is already running.

    """
    if _ready:
        raise RuntimeError("Julia is already running: call `set_julia_path` before `init_jl`")
    os.environ["TYPY_JL_EXE"] = os.fspath(path)


def set_julia_mirror(server: str = "") -> None:
    """Set the package server of this process, unless ``JULIA_PKG_SERVER`` is set already.

    Args:
        server: the URL; by default, the known server that answers first within 1 s, if any.

    """
    if os.environ.get("JULIA_PKG_SERVER"):
        return
    if not server:
        from jnumpy import _mirror

        server = _mirror.fastest() or ""
    if server:
        os.environ["JULIA_PKG_SERVER"] = server


def use_logging(level: int | str | None = 20) -> None:
    """Send Julia's log messages (``@debug``, ``@info``, ``@warn``, ``@error``) to Python's ``logging``.

    The logger of a message is ``julia.<module>``. Without a call of this function, Julia prints messages to ``stderr``.

    Args:
        level: the lowest level to send, as a number or name of ``logging``; ``None`` prints messages again.

    Raises:
        RuntimeError: Julia is not running.
        TypeError: ``level`` is not a level.
        ValueError: there is no level of that name, or the number is negative.

    """
    from jnumpy import _logs  # importing `logging` takes some milliseconds

    _require()
    _logs.use(level)


def show_progress(show: bool = True) -> None:
    """Show the progress of Julia code as bars, on ``stderr`` or in a notebook.

    Log messages with the keyword ``progress`` report the progress: a fraction, or ``"done"``. ``@progress`` and
    ``@withprogress`` of the Julia package ProgressLogging send them. By default they are not shown.

    Args:
        show: whether to show bars from now on.

    Raises:
        ModuleNotFoundError: ``tqdm``, which draws the bars, is not installed.
        RuntimeError: Julia is not running.

    """
    from jnumpy import _progress

    _require()
    _progress.show(bool(show))


def write_stubs(package: str | ModuleType, directory: str | os.PathLike[str] | None = None) -> list[str]:
    """Write a stub (``.pyi``) for each module that a package's Julia project exports, for type checkers and editors.

    The types are those that the exported functions declare, and the texts are their docstrings. The same functions give
    the same bytes. A stub is written beside the package's own modules, as ``<package>/<module>.pyi``. Type checkers
    read it in an installed package if the package also has a file ``py.typed``. Packing a wheel adds both.

    Args:
        package: the package whose ``__init__.py`` calls ``init_project``, or its name, which is imported.
        directory: the directory for the stubs; default: the package's own directory.

    Returns:
        The paths written, sorted.

    Raises:
        TypeError: ``package`` is neither a module nor a name.
        ValueError: the package exports no module.
        FileNotFoundError: the directory does not exist.
        FileExistsError: a file that this function has not written is in the way; nothing is changed.

    """
    from jnumpy import _stubs

    return _stubs.write(package, directory)


def bundle_info() -> dict[str, Any] | None:
    """Describe the running Julia; ``None`` before the start.

    Returns:
        ``julia_version``; ``jnumpy``, version and directory of the runtime; ``bundle``, the directory of the bundle
        from which Julia was started (``None`` for an installed Julia), with the contents of its ``bundle.json``; and
        ``joined``, a list with the same for every bundle that joined this Julia.

    """
    from jnumpy import _bundle

    if not _ready:
        return None
    info: dict[str, Any] = {
        "julia_version": _runtime.julia_version(),
        "jnumpy": {"version": _runtime.__version__, "directory": os.path.dirname(__file__)},
        "bundle": None,
        "joined": [{"bundle": bundle.directory, **bundle.description} for bundle in _bundle.joined()],
    }
    host = _bundle.host()
    if host is not None:
        info.update(bundle=host.directory, **host.description)
    return info
