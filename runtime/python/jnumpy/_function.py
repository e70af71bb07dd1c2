"""What an exported function says of itself when asked; imported only then."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jnumpy._runtime import JuliaFunction


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


def annotations(function: JuliaFunction) -> dict[str, object]:
    """What ``__annotations__`` of an exported function is: the Python types of its parameters and of its result."""
    # Evaluated here, and not left as texts: an exported function has no globals in which they could be found.
    lines = function.__julia_annotations__.split("\n")
    names = [name for name, *_ in function.__julia_parameters__] + ["return"]
    return {name: evaluated(line) for name, line in zip(names, lines, strict=True)}


def evaluated(annotation: str) -> object:
    """The Python type that a line of a stub names."""
    from jnumpy._stubs import namespace

    return eval(annotation, namespace(annotation))


def reduce(function: JuliaFunction) -> str:
    """The name under which the module of an exported function holds it, for pickle."""
    return function.__qualname__
