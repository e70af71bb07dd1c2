"""Python classes for values that Julia returns, and their pickling. Imported when the first class is made."""

from __future__ import annotations

import copyreg
import functools
import os
import sys
from collections import namedtuple
from collections.abc import Callable
from enum import EnumMeta, IntEnum


class NamedTupleType(type):
    """The metaclass of the classes for Julia's ``NamedTuple`` types."""


@functools.cache
def named_tuple(names: tuple[str, ...]) -> type:
    """Return the class of the named tuples with these names. There is one for each process.

    A name that Python cannot have, such as ``class``, becomes ``_`` and its place.
    """
    base = namedtuple("NamedTuple", names, rename=True)  # type: ignore[misc]

    def __reduce__(self: tuple) -> tuple[object, ...]:
        """Pickles by the names. The process that reads the pickle makes the class if it does not have it."""
        return restorer(), ("named_tuple", names, tuple(self))

    return NamedTupleType(
        "NamedTuple",
        (base,),
        {
            "__slots__": (),
            "__module__": __name__,
            "__doc__": base.__doc__,
            "__reduce__": __reduce__,
            "_julia_names": names,
        },
    )


copyreg.pickle(NamedTupleType, lambda cls: (restorer(), ("named_tuple", cls._julia_names)))  # type: ignore[attr-defined]


class JuliaEnumType(EnumMeta):
    """The metaclass of the classes for Julia's ``Enum`` types."""


class JuliaEnum(IntEnum, metaclass=JuliaEnumType):
    """Base of the classes for Julia's ``Enum`` types."""


@functools.cache
def int_enum(name: str, members: tuple[tuple[str, int], ...]) -> JuliaEnumType:
    """Return the class of a Julia ``Enum`` type. There is one for each process."""
    return JuliaEnum(name, members, module=__name__)  # type: ignore[call-arg, arg-type, return-value]


copyreg.pickle(
    JuliaEnumType,
    lambda cls: (
        (restorer(), ("int_enum", cls.__name__, tuple((one.name, one.value) for one in cls)))  # type: ignore[var-annotated]
        if cls is not JuliaEnum
        else "JuliaEnum"
    ),
)


def restore(factory: str, *state: object) -> object:
    """Return the object that a pickle of :func:`restorer` describes."""
    return _FACTORIES[factory](*state)


def _named_tuple(names: tuple[str, ...], *values: tuple) -> object:
    cls = named_tuple(names)
    return cls(*values[0]) if values else cls


def _error(cls: str | type, message: str, parts: dict[str, str]) -> object:
    from jnumpy import _errors

    return _errors.restore(getattr(_errors, cls) if isinstance(cls, str) else cls, message, parts)


_FACTORIES: dict[str, Callable] = {"named_tuple": _named_tuple, "int_enum": int_enum, "error": _error}


def restorer() -> Callable:
    """Return the function that pickles name, one that another process can import.

    That is :func:`restore`, unless this ``jnumpy`` lies in a packed package, where it can be imported only after
    that package: then it is the function of the same name in the package's ``_jnumpy``.
    """
    outside = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.basename(outside) == "_jnumpy":
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name.endswith("._jnumpy") and file and os.path.dirname(os.path.abspath(file)) == outside:
                return module.restore
    return restore
