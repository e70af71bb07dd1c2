"""Stubs of exported modules: what a type checker or an editor reads instead of asking Julia. Imported only then."""

from __future__ import annotations

import importlib
import os
import re
import sys
from keyword import iskeyword
from types import ModuleType

from jnumpy._function import Overloaded
from jnumpy._runtime import JuliaFunction

#: The first line of every stub; a file without it is somebody else's.
MARK = "# Written by jnumpy.write_stubs: edit the Julia source instead."
_NOTE = (
    "# At run time arguments are taken as strictly as declared: for `float` and `complex` an `int` is refused,\n"
    "# although type checkers let it pass."
)
# What the annotations name, and where it comes from.
_ORIGINS = {
    **dict.fromkeys(
        ("bool", "bytearray", "bytes", "complex", "dict", "float", "int", "list", "memoryview", "set", "str", "tuple"),
        "builtins",
    ),
    **dict.fromkeys(("AbstractSet", "Any", "Callable", "Mapping", "SupportsIndex", "overload"), "typing"),
    **dict.fromkeys(("date", "datetime", "time", "timedelta"), "datetime"),
    "Fraction": "fractions",
    "IntEnum": "enum",
    "np": "numpy",
    "NDArray": "numpy.typing",
}
_NAME = re.compile(rf"(?<![\w.])(?:{'|'.join(_ORIGINS)})\b")
_WIDTH = 120


def namespace(annotation: str) -> dict[str, object]:
    """Return what the names in an annotation stand for."""
    names: dict[str, object] = {}
    for name in _NAME.findall(annotation):
        origin = importlib.import_module(_ORIGINS[name])
        names[name] = origin if name == "np" else getattr(origin, name)
    return names


def write(package: str | ModuleType, directory: str | os.PathLike[str] | None) -> list[str]:
    """See `jnumpy.write_stubs`."""
    if not isinstance(package, (str, ModuleType)):
        raise TypeError(
            f"write_stubs() argument `package`: expected a module or its name, got {type(package).__name__}"
        )
    module = importlib.import_module(package) if isinstance(package, str) else package
    texts = render(module)
    if not texts:
        raise ValueError(
            f"`{module.__name__}` exports no Julia module: it has to call `jnumpy.init_project(__file__)` in its "
            "`__init__.py`, and its Julia module to use `@export_pymodule`"
        )
    if directory is None:
        directory = os.path.dirname(os.path.abspath(str(module.__file__)))
    files = {os.path.join(directory, name): text for name, text in texts.items()}
    for path in files:
        _check(path)
    for path, text in files.items():
        _replace(path, text)
    return sorted(files)


def _check(path: str) -> None:
    """Raise unless a stub may be written to this path."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"{directory} is not a directory: stubs are written into one that exists")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            ours = file.readline().rstrip("\n") == MARK
    except FileNotFoundError:
        return
    if not ours:
        raise FileExistsError(
            f"{path} was not written by `write_stubs` and is left as it is; move it away, or name another directory"
        )


def _replace(path: str, text: str) -> None:
    """Write a file so that nobody ever sees half of it."""
    unfinished = f"{path}.{os.getpid()}.tmp"
    try:
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(unfinished, path)
    except OSError as error:
        raise type(error)(error.errno, f"the stub cannot be written: {error.strerror}", path) from error
    finally:
        if os.path.lexists(unfinished):
            os.unlink(unfinished)


def render(package: ModuleType) -> dict[str, str]:
    """Return the stubs of a package's exported modules, by their paths inside the package."""
    prefix = f"{package.__name__}."
    return {
        name.removeprefix(prefix).replace(".", "/") + ".pyi": _Stub(module).text()
        for name, module in sorted(sys.modules.items())
        if name.startswith(prefix)
        # Whatever was imported from somewhere has a specification; an exported module was made by Julia.
        and isinstance(module, ModuleType)
        and getattr(module, "__spec__", None) is None
        and all(map(str.isidentifier, name.split(".")))
    }


class _Stub:
    """The stub of one module."""

    def __init__(self, module: ModuleType) -> None:
        self.members = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        self.imported: set[str] = set()

    def text(self) -> str:
        body = "\n".join(self.member(name, value) for name, value in self.members.items())
        imports = self.imports()
        return "\n".join([MARK, _NOTE, *(["", *imports] if imports else []), "", body]).rstrip("\n") + "\n"

    def member(self, name: str, value: object) -> str:
        if not name.isidentifier() or iskeyword(name):
            return f"# `{name}` is no name in Python: `getattr(module, {name!r})`"
        if isinstance(value, JuliaFunction):
            return self.function(name, value)
        if isinstance(value, Overloaded):
            decorator = f"@{self.resolve('overload')}\n"
            return "\n".join(decorator + self.function(name, method) for method in value.__julia_methods__)
        return f"{name}: {self.resolve(_annotation(value))}"

    def function(self, name: str, function: JuliaFunction) -> str:
        *annotations, result = (self.resolve(line) for line in function.__julia_annotations__.split("\n"))
        parameters = self.parameters(function.__julia_parameters__, annotations)
        declared = ", ".join(f"{name}::{julia_type}" for name, julia_type, _, _ in function.__julia_parameters__)
        head = f"def {name}({', '.join(parameters)}) -> {result}:"
        if len(head) > _WIDTH:
            lines = "".join(f"    {parameter},\n" for parameter in parameters)
            head = f"def {name}(\n{lines}) -> {result}:"
        body = _docstring(function.__doc__ or "")
        body = f"\n{body}\n" if body else " ..."
        return f"# Julia: {function.__julia_name__}({declared})::{function.__julia_result__}\n{head}{body}"

    def parameters(self, described: tuple[tuple[str, str, str | None, bool], ...], annotations: list[str]) -> list[str]:
        """Parameters as Python writes them; those whose name Python cannot write can only be given by position."""
        positional: list[str] = []
        keywords: list[str] = []
        others: list[str] = []
        by_position = 0
        for (name, _, default, keyword), annotation in zip(described, annotations, strict=True):
            nameable = name.isidentifier() and not iskeyword(name)
            shown = name if nameable else f"_{len(positional) + 1}"
            shown += f": {annotation}" if default is None else f": {annotation} = ..."
            if not keyword:
                positional.append(shown)
                by_position = by_position if nameable else len(positional)
            elif nameable:
                keywords.append(shown)
            else:
                others = [f"**others: {self.resolve('Any')}"]
        if by_position:
            positional.insert(by_position, "/")
        return [*positional, *(["*"] if keywords else []), *keywords, *others]

    def resolve(self, annotation: str) -> str:
        """The annotation with each name as this module can say it."""
        return _NAME.sub(lambda match: self.resolve_name(match[0]), annotation)

    def resolve_name(self, name: str) -> str:
        self.imported.add(name)
        return self.local_name(name)

    def local_name(self, name: str) -> str:
        """The name, or another if the module exports something that is called so."""
        while name in self.members:
            name = f"_{name}"
        return name

    def imports(self) -> list[str]:
        """The import lines: the standard library's, then NumPy's."""
        lines: dict[str, list[str]] = {}
        for name in sorted(self.imported):
            local = self.local_name(name)
            if name == "np":
                lines["numpy"] = [f"import numpy as {local}"]
            elif _ORIGINS[name] != "builtins" or local != name:
                lines.setdefault(_ORIGINS[name], []).append(name if local == name else f"{name} as {local}")
        written = {
            origin: names[0] if origin == "numpy" else f"from {origin} import {', '.join(names)}"
            for origin, names in sorted(lines.items())
        }
        standard = [line for origin, line in written.items() if not origin.startswith("numpy")]
        numpy = [line for origin, line in written.items() if origin.startswith("numpy")]
        return [*standard, *([""] if standard and numpy else []), *numpy]


def _annotation(value: object) -> str:
    """The type of an exported value that is no function."""
    if value is None:
        return "None"
    kind = type(value)
    if kind in (bool, int, float, complex, str):
        return kind.__name__
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        return f"NDArray[np.{value.dtype.type.__name__}]"  # type: ignore[attr-defined]
    generic: dict[type, str] = {tuple: "tuple[Any, ...]", list: "list[Any]", dict: "dict[Any, Any]"}
    return generic.get(kind, "Any")


def _docstring(text: str) -> str:
    """A docstring in a function's body, or nothing."""
    if not text:
        return ""
    text = text.replace("\\", "\\\\")
    if '"""' in text or text.endswith('"'):
        text = text.replace('"', '\\"')
    text = re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", lambda match: f"\\x{ord(match[0]):02x}", text)
    lines = [f"    {line}".rstrip() for line in text.split("\n")]
    lines[0] = f'    """{lines[0].lstrip()}'
    if len(lines) == 1:
        return f'{lines[0]}"""'
    return "\n".join([*lines, '    """'])
