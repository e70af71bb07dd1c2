"""Edits of Julia sources, seen without a restart. Imported when a project is loaded from its sources."""

from __future__ import annotations

import os
import re
import sys
from threading import Lock
from types import ModuleType
from typing import Any, NamedTuple

from jnumpy import _bundle, _runtime
from jnumpy._dynamic import TYPYTHON
from jnumpy._trace import trace

#: `include("a.jl")` and `include(joinpath("b", "c.jl"))`, and the texts in it.
_INCLUDE = re.compile(rb"\binclude\(((?:[^()]|\([^()]*\))*)\)")
_TEXT = re.compile(rb'"([^"$\\]+)"')

#: The attributes that every module has.
_OF_MODULES = vars(ModuleType("")).keys()

#: The attributes of a coroutine function that are not in its dictionary.
_OF_FUNCTIONS = ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__")

_lock = Lock()


class _File(NamedTuple):
    """A file as Julia has read it."""

    stamp: tuple[int, int] | None
    text: bytes


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size)


def _read(path: str) -> _File:
    stamp = _stamp(path)
    try:
        with open(path, "rb") as file:
            return _File(stamp, file.read())
    except OSError:
        return _File(None, b"")


def _identity(path: str) -> str:
    """Resolve symbolic links of directories, as TyPython does."""
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name)


class _Project:
    """A project that was loaded from its sources."""

    def __init__(self, directory: str, name: str, package: str) -> None:
        self.directory = directory
        self.name = name
        self.package = package
        # Whether a reload has failed, after which Julia may have evaluated a part of the changes.
        self.unfinished = False
        # All files that may be included. Only Julia can tell which ones are.
        self.files: dict[str, _File] = {}
        self._find_files()

    def _find_files(self) -> None:
        for place, _, names in os.walk(os.path.join(self.directory, "src")):
            for file in names:
                if file.endswith(".jl"):
                    self._add(os.path.join(place, file))

    def _add(self, path: str) -> None:
        path = _identity(os.path.normpath(path))
        if path in self.files or not os.path.isfile(path):
            return
        file = self.files[path] = _read(path)
        for argument in _INCLUDE.findall(file.text):
            self._add(os.path.join(os.path.dirname(path), *map(os.fsdecode, _TEXT.findall(argument))))

    def changed(self) -> dict[str, _File]:
        """The files that have another text than Julia has read."""
        files: dict[str, _File] = {}
        for path, known in self.files.items():
            if _stamp(path) == known.stamp:
                continue
            file = _read(path)
            if (file.stamp is None, file.text) != (known.stamp is None, known.text):
                files[path] = file
        return files

    def reload(self) -> list[str]:
        """Let Julia evaluate the changes, and return the changed files."""
        changed = self.changed()
        if not changed and not self.unfinished:
            return []
        trace(f"reloading the Julia project {self.name} in {self.directory}: {', '.join(changed)}")
        texts = ", ".join(f"{_literal(path)} => {_literal(self.files[path].text)}" for path in changed)
        arguments = f"{_literal(self.directory)}, {_literal(self.name)}, {_literal(self.package)}"
        code = f"{TYPYTHON}.reload_project({arguments}, Dict{{String,String}}({texts}))"
        before = dict(sys.modules)
        self.unfinished = True
        try:
            included = _runtime.evaluate(code, True).split("\0")
        finally:
            _keep_modules(before)
        reloaded = {path for path in changed if path in included or changed[path].stamp is None}
        reloaded |= set(included) - self.files.keys()
        # A file may change while Julia reads it. Then the next call reads it again.
        self.files |= changed
        self.files = {path: file for path, file in self.files.items() if file.stamp is not None}
        for path in included:
            self._add(path)
        self._find_files()
        self.unfinished = False
        trace(f"{self.name} is reloaded")
        return sorted(reloaded)


#: The projects by their directories, in the order in which they were loaded.
_projects: dict[str, _Project] = {}


def remember(directory: str, name: str, package: str) -> None:
    """Note the sources of a project before Julia loads it."""
    if directory not in _projects:
        _projects[directory] = _Project(directory, name, package)


def forget(directory: str) -> None:
    """Forget a project that Julia could not load."""
    _projects.pop(directory, None)


def loaded() -> bool:
    """Whether a project was loaded from its sources."""
    return bool(_projects)


def run(package: str | ModuleType | None) -> list[str]:
    """See `jnumpy.reload`."""
    projects = list(_projects.values()) if package is None else [_project_of(package)]
    if not projects:
        raise RuntimeError(
            "no project runs from its sources: `reload()` is for development, and a packed project does not change"
        )
    if not _lock.acquire(blocking=False):
        raise RuntimeError("another call of `reload()` is running")
    try:
        return [path for project in projects for path in project.reload()]
    finally:
        _lock.release()


def _project_of(package: str | ModuleType) -> _Project:
    if not isinstance(package, (str, ModuleType)):
        raise TypeError(f"reload() argument `package`: expected a module or its name, got {type(package).__name__}")
    module = sys.modules.get(package) if isinstance(package, str) else package
    if module is None:
        raise ValueError(f"`{package}` is not imported")
    directory = os.path.dirname(os.path.abspath(module.__file__ or ""))
    project = _projects.get(directory)
    if project is not None:
        return project
    if _bundle.of(directory) is not None:
        raise RuntimeError(
            f"`{module.__name__}` is packed in {directory}: `reload()` is for projects that run from their sources"
        )
    raise ValueError(f"`{module.__name__}` has not loaded a Julia project with `init_project(__file__)`")


def _literal(text: str | bytes) -> str:
    """A Julia string literal."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return '"' + escaped.replace("\r", "\\r").replace("\0", "\\0") + '"'


def _keep_modules(before: dict[str, ModuleType]) -> None:
    """Let modules that Julia has made again be the modules they were, with the new attributes."""
    for name, new in list(sys.modules.items()):
        old = before.get(name)
        # A module of Julia's has no `__spec__`.
        if old is None or old is new or getattr(new, "__spec__", None) is not None:
            continue
        _update(old, new)
        sys.modules[name] = old
        above, _, attribute = name.rpartition(".")
        if above and vars(sys.modules[above]).get(attribute) is new:
            setattr(sys.modules[above], attribute, old)


def _update(old: ModuleType, new: ModuleType) -> None:
    attributes = {name: value for name, value in vars(new).items() if name not in _OF_MODULES}
    for name, value in list(vars(old).items()):
        exported = hasattr(value, "__julia_name__") or hasattr(value, "__julia_type__")
        if exported and name not in attributes:
            delattr(old, name)
    for name, value in attributes.items():
        setattr(old, name, _replaced(vars(old).get(name), value))


def _replaced(old: Any, new: Any) -> Any:
    """The object for an attribute: if possible the old one, so that other references to it call the new code."""
    if old is new or getattr(old, "__julia_name__", "") != getattr(new, "__julia_name__", None):
        return new
    if type(old) is not type(new):
        return new
    if isinstance(new, _runtime.JuliaFunction):
        _runtime.take_over(old, new)
    elif hasattr(new, "__wrapped__"):  # a coroutine function
        _runtime.take_over(old.__wrapped__, new.__wrapped__)
        _copy_attributes(old.__wrapped__, new.__wrapped__)
        for name in _OF_FUNCTIONS:
            setattr(old, name, getattr(new, name))
        vars(old).update({name: value for name, value in vars(new).items() if name != "__wrapped__"})
        return old
    _copy_attributes(old, new)
    return old


def _copy_attributes(old: Any, new: Any) -> None:
    attributes = dict(vars(new))
    vars(old).clear()
    vars(old).update(attributes)
