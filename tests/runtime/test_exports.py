"""Exports and their names; exceptions as Python objects; settings of a process."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import os
import pickle
import socket
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import jnumpy
import numpy as np
import pytest
from jnumpy import _mirror
from refusals import refused


@pytest.mark.parametrize("count", range(21))
def test_any_number_of_arguments(export: Callable, count: int) -> None:
    names = [f"x{index}" for index in range(count)]
    f = export(f"f({', '.join(f'{name}::Int' for name in names)})::Tuple = ({''.join(f'{name},' for name in names)})")
    values = tuple(range(count))
    assert f(*values) == values
    assert f(**dict(zip(names, values, strict=True))) == values
    assert list(inspect.signature(f).parameters) == names
    with pytest.raises(TypeError, match="positional argument"):
        f(*values, 0)


@pytest.mark.parametrize(
    ("definition", "arguments", "expected"),
    [
        ("f(x::Int)::Int = x + 1", (1,), 2),
        ("function f(x::Int)::Int x + 1 end", (1,), 2),
        ("function f(x::Int)::Int; return x + 1; end", (1,), 2),
        ("f(f::Int)::Int = f + 1", (1,), 2),
        ("f(result::Int, arguments::Int, slot::Int, failure::Int)::Int = result", (1, 2, 3, 4), 1),
        ("f(x::Int, y::Int=2x, z::Int=x + y)::Int = z", (1,), 3),
        ("f(ä::Int)::Int = ä", (1,), 1),
        ("größer(x::Int)::Int = x + 1", (1,), 2),
        ("f!(x::Int)::Int = x", (1,), 1),
        ("nogil=true f(x::Int)::Int = x", (1,), 1),
        ("nogil=false function f(x::Int; k::Int=1)::Int; x + k; end", (1,), 2),
    ],
)
def test_forms_of_definitions(export: Callable, definition: str, arguments: tuple[int, ...], expected: int) -> None:
    assert export(definition)(*arguments) == expected


def test_an_exported_function_is_a_function_like_any_other(export: Callable) -> None:
    f = export("likeany(x::Int)::Int = x + 1")
    assert weakref.ref(f)() is f
    assert weakref.WeakKeyDictionary({f: 1})[f] == 1
    assert inspect.isroutine(f)
    assert vars(f)["__name__"] == "likeany"
    assert functools.wraps(f)(lambda x: f(x)).__name__ == "likeany"

    class Holder:
        held = f

    # Like a built-in function it does not become a method.
    assert Holder().held is f
    assert Holder().held(1) == 2
    f.__doc__ = "Another text."
    assert inspect.getdoc(f) == "Another text."


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("f(a)::Int = a", "argument `a` of `f` needs a name and a type"),
        ("f(::Int)::Int = 1", "argument `::Int` of `f` needs a name and a type"),
        ("f(a::Int...)::Int = 1", "of `f` is variadic; take a tuple or an array"),
        ("f((a, b)::Tuple{Int,Int})::Int = 1", "of `f` needs a name and a type"),
        ("f(; k=1)::Int = 1", "argument `k` of `f` needs a name and a type"),
        ("f(a::Int) = a", "`f` has no result type"),
        ("f(a::T)::T where {T} = a", "has type parameters (`where`)"),
        ("function f(a::T) where {T}; a; end", "`f(a::T)` has type parameters (`where`)"),
        ("Base.f(a::Int)::Int = a", "`Base.f` is not a plain name"),
        ("x", "expects a function definition, got `x`"),
        ("fast=true f(a::Int)::Int = a", "unknown option `fast = true`; the options are `nogil=true` and `async=true`"),
        ("nogil=1 f(a::Int)::Int = a", "unknown option `nogil = 1`"),
    ],
)
def test_definitions_that_are_refused(contract: Any, definition: str, words: str) -> None:
    message = refused(f"@export_py {definition}")
    assert "@export_py" in message
    assert words in message


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("@export_pymodule a.b begin end", "@export_pymodule expects a name"),
        ("@export_pymodule a x", "@export_pymodule a: expected a `begin … end` block"),
        ("@export_pymodule a begin\nx\nend", "@export_pymodule a: expected lines `attribute = value`, got `x`"),
        ("Pyfunc(sin)", "`sin` is not exported to Python; define it with `@export_py`"),
    ],
)
def test_modules_that_are_refused(contract: Any, code: str, words: str) -> None:
    assert words in refused(code)


def test_a_function_defined_again(contract: Any) -> None:
    def define(definition: str) -> Any:
        return jnumpy.eval_julia(f"Core.eval(Again, :(@export_py {definition})); Again.Pyfunc(Again.f)")

    jnumpy.exec_julia("module Again\nusing TyPython.CPython\nend")
    first = define("f(x::Int)::Int = x + 1")
    assert first is jnumpy.eval_julia("Again.Pyfunc(Again.f)")
    # With another parameter type the first one still reads an Int, and not an address as a text.
    second = define("f(x::String)::String = x * x")
    assert (first(1), second("a")) == (2, "aa")
    third = define("f(x::Int)::Int = x + 100")
    assert (first(1), third(1), second("b")) == (101, 101, "bb")


def test_a_function_in_two_modules(contract: Any) -> None:
    jnumpy.exec_julia(
        "module Twice\nusing TyPython.CPython\n@export_py f(x::Int)::Int = x\n"
        "function init()\n@export_pymodule _twice_a begin\nf = Pyfunc(f)\nnumber = 1\nend\n"
        "@export_pymodule _twice_b begin\ng = Pyfunc(f)\nend\nend\nend\nTwice.init()"
    )
    a, b = sys.modules["_twice_a"], sys.modules["_twice_b"]
    assert inspect.ismodule(a)
    assert (a.__name__, a.number) == ("_twice_a", 1)
    assert a.f is b.g
    assert pickle.loads(pickle.dumps(a.f)) is a.f


# --- exceptions as Python objects


def raised_by(code: str) -> jnumpy.JuliaError:
    with pytest.raises(jnumpy.JuliaError) as raised:
        jnumpy.exec_julia(code)
    return raised.value


@pytest.mark.parametrize("text", ["", "é𝄞\n2", "a\0b", "x" * 5_000_000, "%s {}"])
def test_messages_arrive_whole(contract: Any, text: str) -> None:
    thrower = jnumpy.eval_julia(
        "module Thrower\nusing TyPython.CPython\n@export_py f(x::String)::Nothing = throw(x)\nend\n"
        "Thrower.Pyfunc(Thrower.f)"
    )
    with pytest.raises(jnumpy.JuliaError) as raised:
        thrower(text)
    assert str(raised.value) == text
    assert raised.value.args == (text,)
    assert repr(raised.value) == f"JuliaRuntimeError({text!r})"


def test_exceptions_are_copied_pickled_chained_and_noted(contract: Any) -> None:
    error = raised_by('throw(ArgumentError("mine"))')
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert isinstance(again, ValueError)
        assert str(again) == "ArgumentError: mine"
        assert (again.julia_type, again.backtrace) == ("ArgumentError", error.backtrace)
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("outer") from error
    assert raised.value.__cause__ is error
    if sys.version_info >= (3, 11):
        error.add_note("a note of mine")
        text = "".join(traceback.format_exception(error))
        assert text.index("ArgumentError: mine") < text.index("Julia backtrace:") < text.index("a note of mine")


def test_exceptions_are_kept_for_long_and_given_back(contract: Any) -> None:
    errors = [raised_by(f'error("number {index}")') for index in range(50)]
    contract.collect_garbage()
    assert [str(error) for error in errors] == [f"number {index}" for index in range(50)]
    jnumpy.exec_julia("mutable struct Watched <: Exception end; const freed = Ref(0)")
    for _ in range(20):
        with pytest.raises(RuntimeError):
            jnumpy.exec_julia("throw(finalizer(_ -> freed[] += 1, Watched()))")
    gc.collect()
    contract.collect_garbage()
    assert jnumpy.eval_julia("freed[]") >= 15


def test_types_that_cannot_be_shown(contract: Any) -> None:
    error = raised_by(
        "module Ugly\nstruct T{N} <: Exception end\nBase.showerror(::IO, ::T) = throw(T{1}())\n"
        'Base.show(::IO, ::Type{<:T}) = error("no")\nend\nthrow(Ugly.T{2}())'
    )
    assert "whose `showerror` fails" in str(error)
    assert error.julia_type == "T"
    assert error.backtrace


# --- copies under the policy


def test_a_copy_for_a_declared_type_is_reported(export: Callable) -> None:
    f = export("f(x::Matrix{Float64})::Float64 = sum(x)")
    rows = np.ones((2, 3))
    jnumpy.set_copy_policy("error")
    try:
        assert f(np.asfortranarray(rows)) == 6
        with pytest.raises(ValueError, match=r"an array is copied on its way into Julia: f\(\) argument `x`: it is "):
            f(rows)
        jnumpy.set_copy_policy("warn")
        with pytest.warns(RuntimeWarning, match="is declared; declare `AbstractArray`"):
            assert f(rows) == 6
    finally:
        jnumpy.set_copy_policy("allow")


def test_a_signature_shows_defaults_as_they_were_written(export: Callable) -> None:
    f = export("f(a::String=\"x, y\", b::Char='c', d::Symbol=:e)::Any = 0")
    assert str(inspect.signature(f)) == "(a: String = \"x, y\", b: Char = 'c', d: Symbol = :e) -> Any"


# --- settings


def test_the_mirror_is_the_first_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        answering = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(_mirror, "SERVERS", (f"http://127.0.0.1:{silent.getsockname()[1]}", answering))
        monkeypatch.setenv("JULIA_PKG_SERVER", "")
        jnumpy.set_julia_mirror()
        assert os.environ["JULIA_PKG_SERVER"] == answering
        jnumpy.set_julia_mirror("https://other.example")
        assert os.environ["JULIA_PKG_SERVER"] == answering
        monkeypatch.setenv("JULIA_PKG_SERVER", "")
        jnumpy.set_julia_mirror("https://other.example")
        assert os.environ["JULIA_PKG_SERVER"] == "https://other.example"


def test_no_mirror_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def never(*_: object, **__: object) -> None:
        released.wait(30)
        raise OSError("too late")

    monkeypatch.setattr(socket, "create_connection", never)
    monkeypatch.setattr(_mirror, "PATIENCE", 0.1)
    monkeypatch.setenv("JULIA_PKG_SERVER", "")
    before = time.monotonic()
    jnumpy.set_julia_mirror()
    assert time.monotonic() - before < 20
    released.set()
    assert os.environ["JULIA_PKG_SERVER"] == ""


def test_the_path_of_julia_is_not_changed_under_a_running_one(contract: Any) -> None:
    with pytest.raises(RuntimeError, match="Julia is already running: call `set_julia_path` before `init_jl`"):
        jnumpy.set_julia_path("/other/julia")
    info = jnumpy.bundle_info()
    assert (info["julia_version"], info["bundle"], info["joined"]) == (jnumpy.julia_version, None, [])
