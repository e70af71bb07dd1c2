"""Julia without declarations: ``jnumpy.Main`` and ``jnumpy.Base``. Imported when one of them is used."""

from __future__ import annotations

from functools import cache
from typing import Any

from jnumpy import _runtime

#: The formats that a notebook may show besides plain text. Text formats come first.
_TEXTS = ("text/html", "text/markdown", "text/latex", "image/svg+xml", "application/json")
_BYTES = ("image/png", "image/jpeg", "application/pdf")

#: The module, wherever it was loaded from.
TYPYTHON = 'first(loaded for (id, loaded) in Base.loaded_modules if id.name == "TyPython").CPython'


def _call(self: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call it as a Julia function."""
    return self.call_value(arguments, keywords)


def _setattr(self: Any, name: str, value: Any) -> None:
    self.set_value(name, value)


def _dir(self: Any) -> list[str]:
    return sorted({*object.__dir__(self), *filter(str.isidentifier, self.names_of())})


def _mime_bundle(self: Any, include: Any = None, exclude: Any = None) -> dict[str, Any]:
    """Return the formats for a notebook."""
    shown = {"text/plain": repr(self)}
    shown |= {mime: text for mime in _TEXTS if (text := self.shown(mime)) is not None}
    return shown | {mime: bytes(data) for mime in _BYTES if (data := self.shown_bytes(mime)) is not None}


@cache
def main() -> Any:
    """Return Julia's ``Main``."""
    found = _runtime.evaluate(f"{TYPYTHON}.dynamic_main()", True)
    cls = type(found)
    cls.__call__ = _call
    cls.__setattr__ = _setattr  # type: ignore[assignment]
    cls.__dir__ = _dir  # type: ignore[assignment]
    cls._repr_mimebundle_ = _mime_bundle
    return found
