"""Stubs of exported modules, for type checkers and editors. Imported when it is needed."""

from __future__ import annotations

import importlib
import os
import re
import sys
from keyword import iskeyword
from types import ModuleType
from typing import Any

from jnumpy._async import awaited
from jnumpy._function import Overloaded
from jnumpy._runtime import JuliaFunction, JuliaMethod, JuliaObject

#: The first line of every stub. A file without it was not written by this module.
MARK = "# Written by jnumpy.write_stubs: edit the Julia source instead."
_NOTE = (
    "# At run time, arguments must have exactly the declared types: an `int` is refused for `float` and `complex`,\n"
    "# although type checkers accept it."
)
# The names in annotations, and the modules that define them.
_ORIGINS = {
    **dict.fromkeys(
        (
            "bool",
            "bytearray",
            "bytes",
            "complex",
            "dict",
            "float",
            "int",
            "list",
            "memoryview",
            "object",
            "set",
            "str",
            "tuple",
        ),
        "builtins",
    ),
    **dict.fromkeys(
        ("AbstractSet", "Any", "Callable", "Iterable", "Iterator", "Mapping", "SupportsIndex", "overload"), "typing"
    ),
    **dict.fromkeys(("date", "datetime", "time", "timedelta"), "datetime"),
    "Fraction": "fractions",
    "IntEnum": "enum",
    "np": "numpy",
    "NDArray": "numpy.typing",
}
_NAME = re.compile(rf"(?<![\w.])(?:{'|'.join(_ORIGINS)}|JuliaClass\d+)\b")
_WIDTH = 120


def namespace(annotation: str) -> dict[str, object]:
    """Return the objects that the names in an annotation refer to."""
    names: dict[str, object] = {}
    for name in _NAME.findall(annotation):
        if name.startswith("JuliaClass"):
            names[name] = _class(name) or Any
            continue
        origin = importlib.import_module(_ORIGINS[name])
        names[name] = origin if name == "np" else getattr(origin, name)
    return names


def _class(name: str) -> type | None:
    """Return the class of an exported Julia type by its name in annotations."""
    from jnumpy._classes import CLASSES

    return CLASSES.get(int(name.removeprefix("JuliaClass")))


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
    """Write a file atomically."""
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
        # An imported module has a `__spec__`, but an exported module, which Julia has made, has none.
        and isinstance(module, ModuleType)
        and getattr(module, "__spec__", None) is None
        and all(map(str.isidentifier, name.split(".")))
    }


class _Stub:
    """The stub of one module."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module.__name__
        self.members = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        self.imported: set[str] = set()
        # Classes of other modules: their names in this stub, by module and name.
        self.others: dict[tuple[str, str], str] = {}
        self.taken = set(self.members)
        for value in self.members.values():
            if _is_julia_class(value):
                self.taken |= vars(value).keys()

    def text(self) -> str:
        body = "\n".join(self.member(name, value) for name, value in self.members.items())
        imports = self.imports()
        return "\n".join([MARK, _NOTE, *(["", *imports] if imports else []), "", body]).rstrip("\n") + "\n"

    def member(self, name: str, value: object) -> str:
        if not name.isidentifier() or iskeyword(name):
            return f"# `{name}` is not a valid name in Python: `getattr(module, {name!r})`"
        if isinstance(value, JuliaFunction) or awaited(value):
            return self.function(name, value)
        if isinstance(value, Overloaded):
            decorator = f"@{self.resolve('overload')}\n"
            return "\n".join(decorator + self.function(name, method) for method in value.__julia_methods__)
        if _is_julia_class(value):
            return self.julia_class(name, value)
        return f"{name}: {self.resolve(_annotation(value))}"

    def julia_class(self, name: str, cls: Any) -> str:
        """The stub of an exported class."""
        # `JuliaObject` is left out, because type checkers cannot find it in a packed wheel.
        if issubclass(cls, Exception):
            bases = [_builtin(cls)]
        else:
            bases = [] if cls.__base__ is JuliaObject else [self.class_name(cls.__base__)]
        lines = [_docstring(cls.__doc__)] if cls.__doc__ else []
        lines += self.methods("__init__", vars(cls).get("__julia_new__"), "__julia_new__")
        for member, value in vars(cls).items():
            if not member.isidentifier() or iskeyword(member) or member in _HIDDEN:
                continue
            lines += self.class_member(name, member, value)
        body = "\n".join(lines) or "    ..."
        kind = f"# Julia: {cls.__julia_type__}"
        head = f"{name}({', '.join(bases)})" if bases else name
        return f"{kind}\nclass {head}:\n{body}"

    def class_member(self, cls: str, name: str, value: Any) -> list[str]:
        """The lines of a member of a class."""
        if isinstance(value, property):
            getter = value.fget
            if not hasattr(getter, "__julia_annotations__"):
                return [f"    @property\n    def {name}(self) -> {self.resolve('Any')}: ..."]
            lines = ["    @property", *self.method(name, getter, "self")]
            if value.fset is not None:
                lines += [f"    @{name}.setter", *self.method(name, value.fset, "self")]
            return lines
        if isinstance(value, staticmethod):
            return self.methods(name, value.__func__, "", "    @staticmethod")
        if isinstance(value, classmethod):
            return self.methods(name, value.__func__, "cls", "    @classmethod")
        if lines := self.methods(name, getattr(value, "__julia_method__", value), "self"):
            return lines
        if name == "__enter__":
            return [f"    def __enter__(self) -> {cls}: ..."]
        if name.startswith("__") or callable(value):
            return []
        return [f"    {name}: {self.resolve(_annotation(value))}"]

    def methods(self, name: str, value: Any, first: str, *decorators: str) -> list[str]:
        """The lines of a method for each exported function behind a callable."""
        functions = _functions(value)
        return [
            line
            for function in functions
            for line in [*decorators, *self.method(name, function, first, len(functions) > 1)]
        ]

    def method(self, name: str, function: Any, first: str, overloaded: bool = False) -> list[str]:
        """A method; `first` is the name of the parameter that Python passes first, if any."""
        *annotations, result = (self.resolve(line) for line in function.__julia_annotations__.split("\n"))
        described = function.__julia_parameters__
        if first in ("self", "cls"):
            described, annotations = described[1:], annotations[1:]
        if name in ("__eq__", "__ne__"):
            annotations = [self.resolve("object")]
        if name == "__iter__":
            result = self.resolve("Iterator[Any]")
        parameters = self.parameters(described, annotations)
        if first == "__julia_new__":
            first, result = "self", "None"
        head = (
            f"    {_keyword(function)} {name}({', '.join([first, *parameters] if first else parameters)}) -> {result}:"
        )
        lines = [f"    @{self.resolve('overload')}"] if overloaded else []
        documentation = _docstring(function.__doc__ or "")
        if not documentation:
            return [*lines, f"{head} ..."]
        return [*lines, head, *("    " + line if line else "" for line in documentation.split("\n"))]

    def class_name(self, cls: Any) -> str:
        """The name of an exported class in this module."""
        module, name = str(cls.__module__), str(cls.__qualname__)
        if module == self.module and self.members.get(name) is cls:
            return name
        if getattr(sys.modules.get(module), name, None) is cls:
            local = name
            while local in self.taken or local in _ORIGINS:
                local = f"_{local}"
            return self.others.setdefault((module, name), local)
        return self.resolve_name("Any")

    def function(self, name: str, function: Any) -> str:
        *annotations, result = (self.resolve(line) for line in function.__julia_annotations__.split("\n"))
        parameters = self.parameters(function.__julia_parameters__, annotations)
        declared = ", ".join(f"{name}::{julia_type}" for name, julia_type, _, _ in function.__julia_parameters__)
        definition = f"{_keyword(function)} {name}"
        head = f"{definition}({', '.join(parameters)}) -> {result}:"
        if len(head) > _WIDTH:
            lines = "".join(f"    {parameter},\n" for parameter in parameters)
            head = f"{definition}(\n{lines}) -> {result}:"
        body = _docstring(function.__doc__ or "")
        body = f"\n{body}\n" if body else " ..."
        return f"# Julia: {function.__julia_name__}({declared})::{function.__julia_result__}\n{head}{body}"

    def parameters(self, described: tuple[tuple[str, str, str | None, bool], ...], annotations: list[str]) -> list[str]:
        """Parameters in Python syntax. A parameter without a valid Python name is positional-only."""
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
        """The annotation with the names that this stub uses."""
        return _NAME.sub(lambda match: self.resolve_name(match[0]), annotation)

    def resolve_name(self, name: str) -> str:
        if name.startswith("JuliaClass"):
            cls = _class(name)
            return self.resolve_name("Any") if cls is None else self.class_name(cls)
        self.imported.add(name)
        return self.local_name(name)

    def local_name(self, name: str) -> str:
        """The name, or another name if the module exports this one."""
        while name in self.taken:
            name = f"_{name}"
        return name

    def imports(self) -> list[str]:
        """The import lines: first the standard library, then NumPy."""
        lines: dict[str, list[str]] = {}
        for name in sorted(self.imported):
            local = self.local_name(name)
            if name == "np":
                lines["numpy"] = [f"import numpy as {local}"]
            elif _ORIGINS[name] != "builtins" or local != name:
                lines.setdefault(_ORIGINS[name], []).append(name if local == name else f"{name} as {local}")
        for (module, name), local in self.others.items():
            lines.setdefault(module, []).append(name if local == name else f"{name} as {local}")
        written = {
            origin: names[0] if origin == "numpy" else f"from {origin} import {', '.join(names)}"
            for origin, names in sorted(lines.items())
        }
        standard = [line for origin, line in written.items() if not origin.startswith("numpy")]
        numpy = [line for origin, line in written.items() if origin.startswith("numpy")]
        return [*standard, *([""] if standard and numpy else []), *numpy]


#: The members that every class has.
_HIDDEN = {
    "__module__",
    "__qualname__",
    "__doc__",
    "__julia_type__",
    "__julia_fields__",
    "__julia_new__",
    "__julia_setstate__",
    "__julia_getstate__",
    "__slots__",
    "__weakref__",
    "__reduce__",
    "__setstate__",
    "__signature__",
    "__dict__",
}


def _keyword(function: Any) -> str:
    return "async def" if awaited(function) else "def"


def _is_julia_class(value: object) -> bool:
    return isinstance(value, type) and "__julia_type__" in vars(value)


def _functions(value: Any) -> tuple[Any, ...]:
    """The exported functions that a callable calls."""
    if isinstance(value, Overloaded):
        return value.__julia_methods__
    return (value,) if isinstance(value, JuliaFunction | JuliaMethod) or awaited(value) else ()


def _builtin(cls: type) -> str:
    """The built-in base class of a class of `jnumpy._errors`, which stubs do not name."""
    return next((above.__name__ for above in cls.__mro__ if above.__module__ == "builtins"), "")


def _annotation(value: object) -> str:
    """The type of an exported value that is not a function."""
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
