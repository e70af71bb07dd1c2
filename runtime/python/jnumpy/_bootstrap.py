"""Makes the Julia bundled in this package usable: written by jnumpy-pack, imported by the package's ``__init__.py``.

Offers the runtime in ``_jnumpy/jnumpy`` as ``jnumpy`` when no compatible ``jnumpy`` is installed or loaded.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _protocol(directory):
    """The protocol number of the runtime in a directory; ``None`` if another package has that name."""
    try:
        with open(os.path.join(directory, "protocol"), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


class _Finder:
    """Finds only ``jnumpy``, in one directory."""

    def __init__(self, directory):
        self.directory = directory

    def find_spec(self, name, path=None, target=None):
        if name != "jnumpy":
            return None
        # Python files may be there in compiled form only.
        return importlib.machinery.PathFinder.find_spec(name, [os.path.dirname(self.directory)])


def restore(*state):
    """Make a value from its pickle.

    To find this function, pickle has already imported the package, and so ``jnumpy``.
    """
    from jnumpy import _values

    return _values.restore(*state)


def _shared_runtime(here):
    """The directory of the runtime in the wheel of Julia that the package requires."""
    import json

    try:
        with open(os.path.join(here, "bundle.json"), encoding="utf-8") as file:
            shared = json.load(file)["shared"]
        name, requirement = shared["package"], shared["requirement"]
    except (OSError, ValueError, KeyError, TypeError):
        return os.path.join(here, "jnumpy")
    site = os.path.dirname(os.path.dirname(here))
    directory = os.path.join(site, name)
    runtime = os.path.join(directory, "_jnumpy", "jnumpy")
    if _protocol(runtime) is not None:
        return runtime
    if os.path.isdir(directory):
        raise ImportError(
            f"{here} needs {requirement}, and {directory} is damaged or incompletely installed; `pip install "
            f"--force-reinstall '{requirement}'` installs it again"
        )
    remedy = f"`pip install '{requirement}'` installs it"
    elsewhere = importlib.util.find_spec(name)
    if elsewhere is not None and elsewhere.origin:
        found = os.path.dirname(os.path.dirname(elsewhere.origin))
        remedy = (
            f"it is in {found}, but Julia's libraries are found only in the same directory: install both packages there"
        )
    raise ImportError(f"{here} needs {requirement}, which is not installed in {site}; {remedy}")


def _load():
    here = os.path.dirname(os.path.abspath(__file__))
    if not os.path.isdir(here):
        raise ImportError(
            f"{here} is not a directory: the package is in a zip file, from which Julia's libraries cannot be loaded; "
            "install the wheel with pip, or unpack the file"
        )
    vendored = os.path.join(here, "jnumpy")
    if not os.path.isdir(vendored):
        vendored = _shared_runtime(here)
    wanted = _protocol(vendored)
    if wanted is None:
        raise ImportError(f"{vendored} is missing or damaged; reinstall the package")
    loaded = sys.modules.get("jnumpy")
    if loaded is not None:
        # A directory `jnumpy` on the path is imported as a namespace package, which has no file.
        origin = loaded.__file__ or next(iter(loaded.__path__), "jnumpy")
        found = _protocol(os.path.dirname(os.path.abspath(origin)))
        if found != wanted:
            raise ImportError(
                f"{here} needs jnumpy with protocol {wanted}, but {origin}, which is loaded already, has "
                f"{'protocol ' + found if found else 'another origin'}; pack both with the same jnumpy-pack, or use "
                "one process for each"
            )
    else:
        installed = importlib.util.find_spec("jnumpy")
        directories = (installed.submodule_search_locations if installed is not None else None) or []
        if not any(_protocol(directory) == wanted for directory in directories):
            # An ordinary import, so that another thread waits until it is done.
            finder = _Finder(vendored)
            sys.meta_path.insert(0, finder)
            try:
                importlib.import_module("jnumpy")
            finally:
                sys.meta_path.remove(finder)
    from jnumpy import _bundle

    _bundle.register(here)


_load()
