"""Julia exceptions as Python exceptions.

Julia renders message and backtrace when somebody reads them: most exceptions are caught and dropped.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `typing` costs 10 ms to import
if TYPE_CHECKING:
    from typing import Any

    from jnumpy._runtime import Root


def more(topic: str) -> str:
    """The text that names the help topic of an error: a section of ``errors.md``, which is beside this file."""
    return f"more: section `{topic}` of {os.path.join(os.path.dirname(__file__), 'errors.md')}"


class JuliaNotFoundError(ImportError):
    """No Julia was found; the message lists every location that was searched."""


class JuliaError(Exception):
    """Base of every exception that Julia raised.

    Each one is an instance of the matching built-in exception too, so both ``except ValueError`` and
    ``except JuliaError`` work.
    """

    def __init__(self, exception: Root | object = "") -> None:
        super().__init__()
        if not isinstance(exception, str):
            from jnumpy import _runtime

            # An exception that Python code makes has a message but no fields.
            if not isinstance(exception, _runtime.Root):
                exception = str(exception)
        self._exception: Root | str = exception
        self._parts: dict[str, Any] = {}

    def _part(self, part: str) -> str:
        if part not in self._parts:
            if isinstance(self._exception, str):
                return self._exception if part == "message" else ""
            try:
                self._parts[part] = self._exception.describe(part)
            except JuliaError:
                return "a Julia exception that Julia cannot describe"
            except RuntimeError as refused:
                return f"a Julia exception whose text is not available: {refused}"
        return self._parts[part]

    def _field(self, name: str, number: int) -> object:
        """A field of an exported exception, which is cached so that a pickle contains it."""
        key = f"field {name}"
        if key not in self._parts:
            if isinstance(self._exception, str):
                raise AttributeError(f"this {type(self).__name__} was not raised by Julia, and has no `{name}`")
            self._parts[key] = self._exception.field(number)
        return self._parts[key]

    @property
    def args(self) -> tuple[str]:  # type: ignore[override]
        """Julia's message, as in other exceptions."""
        return (str(self),)

    def __str__(self) -> str:
        """Julia's message."""
        return self._part("message")

    def __repr__(self) -> str:
        """Class and message."""
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles as text."""
        from jnumpy._values import restorer

        for part in ("message", "backtrace", "type"):
            self._part(part)
        if not isinstance(self._exception, str):
            for name in getattr(self, "__julia_fields__", ()):
                getattr(self, name)
        # A class of this module is pickled by its name, because the copy in a packed wheel cannot be imported.
        cls = type(self)
        return (restorer(), ("error", cls.__name__ if cls.__module__ == __name__ else cls, str(self), self._parts))

    @property
    def julia_type(self) -> str:
        """The Julia type of the exception, such as ``ArgumentError``."""
        return self._part("type")

    @property
    def backtrace(self) -> str:
        """Julia's backtrace."""
        return self._part("backtrace")

    @property
    def __notes__(self) -> list[str]:
        """The Julia backtrace, for Python's traceback (3.11 and later)."""
        notes = self.__dict__.get("_notes")
        if notes is None:
            backtrace = self.backtrace
            notes = self.__dict__["_notes"] = [f"Julia backtrace:{backtrace}"] if backtrace else []
        return notes

    @__notes__.setter
    def __notes__(self, notes: list[str]) -> None:
        self.__dict__["_notes"] = notes


def restore(cls: type[JuliaError], message: str, parts: dict[str, str]) -> JuliaError:
    """Return the exception that was pickled as text."""
    error = cls(message)
    error._parts = parts
    return error


def exported(name: str, namespace: dict[str, object], base: str, key: str) -> type[JuliaError]:
    """Return the class of an exported exception type, a subclass of the built-in exception `base`."""
    import builtins

    above: object = CLASSES.get(base) or getattr(builtins, base, None)
    if not (isinstance(above, type) and issubclass(above, Exception)):
        raise TypeError(f"`__base__` of the exception `{name}` is `{base}`, which is not a built-in exception")
    bases = (above,) if issubclass(above, JuliaError) else (JuliaError, above)
    CLASSES[key] = cls = type(name, bases, namespace)
    return cls


def _combine(base: type[Exception]) -> type[JuliaError]:
    name = f"Julia{base.__name__}"
    doc = f"A Julia exception that stands for ``{base.__name__}``."
    combined = type(name, (JuliaError, base), {"__doc__": doc, "__module__": __name__})
    globals()[name] = combined
    return combined


# By the names that TyPython's `python_class` returns.
CLASSES: dict[str, type[JuliaError]] = {
    base.__name__: _combine(base)
    for base in (
        AssertionError,
        EOFError,
        IndexError,
        KeyError,
        MemoryError,
        NameError,
        OverflowError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
        ZeroDivisionError,
    )
}
