"""Classes of exported Julia types; imported when the first one is made."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jnumpy import _errors
from jnumpy._runtime import JuliaObject

if TYPE_CHECKING:
    import inspect

#: The classes of this process, by their numbers in annotations.
CLASSES: dict[int, type] = {}

#: The names of the constructors of a class.
_CONSTRUCTORS = {
    "__init__": "__julia_new__",
    "__setstate__": "__julia_setstate__",
    "__getstate__": "__julia_getstate__",
}


def _namespace(texts: tuple[str, str, str, str]) -> dict[str, object]:
    name, module, doc, julia_type = texts
    return {"__module__": module, "__qualname__": name, "__doc__": doc or None, "__julia_type__": julia_type}


def new_class(texts: tuple[str, str, str, str], number: int, base: type) -> type:
    """Return a class without members; `texts` are its name, the Julia module, the docstring and the Julia type."""
    namespace = _namespace(texts)
    if base is JuliaObject:
        # Subclasses in Python have a `__dict__`. The class itself does not accept other attributes.
        namespace |= {
            "__slots__": ("__weakref__",),
            "__reduce__": _reduce,
            "__setstate__": _setstate,
            "__signature__": _Signature(),
        }
    else:
        namespace["__slots__"] = ()
    CLASSES[number] = cls = type(texts[0], (base,), namespace)
    # The constructor of a supertype does not make an instance of this class.
    for name in _CONSTRUCTORS.values():
        setattr(cls, name, None)
    return cls


def renew(cls: Any, texts: tuple[str, str, str, str], number: int) -> None:
    """Give a class the state in which `new_class` returns one."""
    bare = vars(new_class(texts, number, cls.__bases__[0]))
    CLASSES[number] = cls
    for name in vars(cls).keys() - bare.keys():
        delattr(cls, name)
    for name in ("__doc__", *_CONSTRUCTORS.values()):
        setattr(cls, name, bare[name])


def new_exception(texts: tuple[str, str, str, str], number: int, base: str) -> type:
    """Return the class of an exception type without fields; the texts are those of `new_class`."""
    namespace = {**_namespace(texts), "__julia_fields__": ()}
    CLASSES[number] = cls = _errors.exported(texts[0], namespace, base, f"JuliaClass{number}")
    return cls


def add_exception_field(cls: Any, name: str, number: int) -> None:
    """Add an attribute to the class of an exception."""
    setattr(cls, name, property(lambda self: self._field(name, number)))
    cls.__julia_fields__ += (name,)


def add(cls: type, name: str, kind: str, value: Any, setter: Callable | None) -> None:
    """Add a member to a class."""
    if kind == "method" and name not in _CONSTRUCTORS:
        _name(value, cls, name)
        if name == "__iter__":
            value = _iterates(value)
    elif kind == "property":
        value = property(value, setter, None, value.__doc__)
    elif kind == "static":
        value = staticmethod(value)
    elif kind == "class":
        _name(value, cls, name)
        value = classmethod(value)
    setattr(cls, _CONSTRUCTORS.get(name, name), value)


def complete(cls: Any) -> None:
    """Add the attributes that depend on the members of a class."""
    own = vars(cls)
    if "__eq__" in own and "__hash__" not in own:
        cls.__hash__ = None
    if "__exit__" in own and "__enter__" not in own:
        cls.__enter__ = _itself
    if "__next__" in own and "__iter__" not in own:
        cls.__iter__ = _itself


def place(cls: Any, module: str, name: str) -> None:
    """Set the module from which a class is imported."""
    cls.__module__, cls.__name__, cls.__qualname__ = module, name, name
    for member, value in vars(cls).items():
        function = value.__func__ if isinstance(value, classmethod) else value
        if hasattr(function, "__julia_name__") and member not in _CONSTRUCTORS.values():
            function.__module__, function.__qualname__ = module, f"{name}.{member}"


def _name(function: Any, cls: type, name: str) -> None:
    function.__name__ = name
    function.__qualname__ = f"{cls.__qualname__}.{name}"


def _itself(self: object) -> object:
    """Return the object itself."""
    return self


def _iterates(function: Callable[[object], Any]) -> Callable:
    """An `__iter__` for a method that returns something that can be iterated."""

    def __iter__(self: object) -> Any:
        found = function(self)
        return found if found is self else iter(found)

    __iter__.__julia_method__ = function  # type: ignore[attr-defined]
    return __iter__


def _reduce(self: Any) -> tuple[object, ...]:
    """Pickle by the class and a state of plain values."""
    cls = type(self)
    save = cls.__julia_getstate__
    if save is None:
        raise TypeError(
            f"cannot pickle '{cls.__qualname__}' object: not all fields of the Julia type {cls.__julia_type__} are "
            "plain data; list `__getstate__` and `__setstate__` in its `@export_pyclass`"
        )
    return copyreg.__newobj__, (cls,), (save(self), getattr(self, "__dict__", None))  # type: ignore[attr-defined]


def _setstate(self: Any, state: tuple[object, dict[str, object] | None]) -> None:
    """Restore the state of a pickle."""
    value, attributes = state
    self._restore(value)
    if attributes:
        self.__dict__.update(attributes)


class _Signature:
    """The signature of a class, which is that of its constructor; computed on request."""

    def __get__(self, instance: object, owner: Any) -> inspect.Signature:
        if instance is None and owner.__init__ is JuliaObject.__init__ and owner.__julia_new__ is not None:
            import inspect

            return inspect.signature(owner.__julia_new__)
        raise AttributeError("__signature__")
