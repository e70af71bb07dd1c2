"""Makes the Julia bundled in this package usable: written by jnumpy-pack, imported by the package's ``__init__.py``.

Offers the runtime in ``_jnumpy/jnumpy`` as ``jnumpy`` when no compatible ``jnumpy`` is installed or loaded.
"""

import importlib.util
import os
import sys


def _protocol(directory):
    """The protocol number of the runtime in a directory, or nothing if it is another package of that name."""
    try:
        with open(os.path.join(directory, "protocol"), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def _load():
    here = os.path.dirname(os.path.abspath(__file__))
    vendored = os.path.join(here, "jnumpy")
    wanted = _protocol(vendored)
    if wanted is None:
        raise ImportError(f"{vendored} is missing or damaged; reinstall the package")
    loaded = sys.modules.get("jnumpy")
    if loaded is not None:
        found = _protocol(os.path.dirname(os.path.abspath(loaded.__file__)))
        if found != wanted:
            raise ImportError(
                f"{here} needs jnumpy with protocol {wanted}, but {loaded.__file__}, which is loaded already, has "
                f"{'protocol ' + found if found else 'another origin'}; use one process for each"
            )
    else:
        installed = importlib.util.find_spec("jnumpy")
        places = (installed.submodule_search_locations if installed is not None else None) or []
        if not any(_protocol(place) == wanted for place in places):
            spec = importlib.util.spec_from_file_location(
                "jnumpy", os.path.join(vendored, "__init__.py"), submodule_search_locations=[vendored]
            )
            module = importlib.util.module_from_spec(spec)
            sys.modules["jnumpy"] = module
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules["jnumpy"]
                raise
    from jnumpy import _bundle

    _bundle.register(here)


_load()
