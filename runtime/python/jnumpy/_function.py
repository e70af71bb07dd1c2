"""Introspection of exported functions. Imported when it is needed."""

from __future__ import annotations

import inspect
from types import MethodType
from typing import TYPE_CHECKING

from jnumpy._runtime import JuliaObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from jnumpy._runtime import JuliaFunction


class Overloaded:
    """The callable for several exported methods of one Julia function.

    A call picks a method by the types of its arguments, as Julia does: first by the types that the values have by
    themselves, then by those that they are converted to.
    """

    def __init__(
        self, functions: tuple[JuliaFunction, ...], choose: Callable[[int, tuple, dict], int], number: int, doc: str
    ) -> None:
        first = functions[0]
        self.__julia_methods__ = functions
        self.__julia_name__ = first.__julia_name__
        self.__name__ = first.__name__
        self.__qualname__ = first.__qualname__
        self.__module__ = first.__module__
        self.__doc__ = doc or None
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL),
                inspect.Parameter("keywords", inspect.Parameter.VAR_KEYWORD),
            ]
        )
        self._choose = choose
        self._number = number
        self._chosen: dict[tuple, int] = {}

    def __call__(self, *arguments: object, **keywords: object) -> object:
        """Call the method that takes these arguments."""
        key = tuple(map(_kind, arguments))
        chosen = None if keywords else self._chosen.get(key)
        if chosen is None:
            chosen = self._choose(self._number, arguments, keywords)
            if not keywords and None not in key:
                self._chosen[key] = chosen
        return self.__julia_methods__[chosen](*arguments, **keywords)

    def __repr__(self) -> str:
        """Name and number of methods."""
        return f"<Julia function {self.__julia_name__} with {len(self.__julia_methods__)} methods>"

    def __reduce__(self) -> str:
        """Pickles by reference."""
        return self.__qualname__


_SCALARS = frozenset((bool, complex, float, str, type(None)))


def _kind(value: object) -> object:
    """The properties of a value that determine the method which accepts it; ``None`` if the value itself matters."""
    cls = type(value)
    if cls in _SCALARS:
        return cls
    if cls is int:
        return (int, -(2**63) <= value < 2**63)  # type: ignore[operator]
    if cls.__module__ == "numpy" and cls.__name__ == "ndarray":
        flags = value.flags  # type: ignore[attr-defined]
        return (value.dtype, value.ndim, flags.f_contiguous, flags.carray)  # type: ignore[attr-defined]
    if isinstance(value, JuliaObject):
        return cls
    return None


class OverloadedMethod(Overloaded):
    """The methods of a class that share a name."""

    def __init__(
        self,
        functions: tuple[JuliaFunction, ...],
        choose: Callable[[int, tuple, dict], int],
        number: int,
        doc: str,
        operator: bool,
    ) -> None:
        super().__init__(functions, choose, number, doc)
        self._operator = operator

    def __get__(self, instance: object, owner: type | None = None) -> object:
        """Bind to an instance."""
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *arguments: object, **keywords: object) -> object:
        """Call the method that accepts these arguments. An operator returns ``NotImplemented`` for others."""
        if self._operator:
            try:
                chosen = self._choose(self._number, arguments, keywords)
            except TypeError:
                return NotImplemented
            return self.__julia_methods__[chosen](*arguments, **keywords)
        return super().__call__(*arguments, **keywords)


class _JuliaText:
    """A Julia expression, shown as it was written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def signature(function: JuliaFunction) -> inspect.Signature:
    """The signature of an exported function; types and defaults are Julia's."""
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY if keyword else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=inspect.Parameter.empty if default is None else _JuliaText(default),
                annotation=_JuliaText(julia_type),
            )
            for name, julia_type, default, keyword in function.__julia_parameters__
        ],
        return_annotation=_JuliaText(function.__julia_result__),
    )


def annotations(function: JuliaFunction) -> dict[str, object]:  # type: ignore[no-redef]
    """The ``__annotations__`` of an exported function: the Python types of its parameters and of its result."""
    # Evaluated here, because an exported function has no globals in which the names in a text could be looked up.
    lines = function.__julia_annotations__.split("\n")
    names = [name for name, *_ in function.__julia_parameters__] + ["return"]
    return {name: evaluated(line) for name, line in zip(names, lines, strict=True)}


def evaluated(annotation: str) -> object:
    """The Python type that a line of a stub names."""
    from jnumpy._stubs import namespace

    return eval(annotation, namespace(annotation))


def reduce(function: JuliaFunction) -> str:
    """The name of an exported function in its module, for pickle."""
    return function.__qualname__
