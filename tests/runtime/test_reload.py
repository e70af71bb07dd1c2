"""`jnumpy.reload()`: edits of a project's Julia sources in a running process."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jnumpy
import pytest
from jnumpy import _reload

PROJECT = """
name = "Edited"
uuid = "5ed17ed0-0000-4000-8000-000000000001"

[deps]
TyPython = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b"
"""
MANIFEST = '[[TyPython]]\nuuid = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b"\n'
INIT = """
from jnumpy import init_jl, init_project

init_jl()
init_project(__file__)

from _edited import {names}
"""
MAIN = """
"The project of the tests."
module Edited
using TyPython.CPython

include("helpers.jl")
include(joinpath("..", "shared.jl"))
@static if VERSION >= v"1.0"
    include(joinpath("more", "classes.jl"))
else
    include("absent.jl")
end

"Doubles a number."
@export_py double(x::Int)::Int = 2x

@export_py tripled(x::Int)::Int = triple(x)

@export_py overloaded(x::Int)::Int = x
@export_py overloaded(x::String)::String = x

@export_py limited(x::Int)::Int = min(x, LIMIT)

@export_py counted()::Int = (COUNTS[:calls] += 1)

@export_py inner()::Int = Inner.value()

@export_py scaled(x::Float64)::Float64 = @scale x

@export_py length_of(x::Float64, y::Float64)::Float64 = size_of(Segment(x, y))

const COUNTS = Dict(:calls => 0)

function init()
    @export_pymodule _edited begin
        double = Pyfunc(double)
        tripled = Pyfunc(tripled)
        overloaded = Pyfunc(overloaded)
        limited = Pyfunc(limited)
        counted = Pyfunc(counted)
        inner = Pyfunc(inner)
        scaled = Pyfunc(scaled)
        length_of = Pyfunc(length_of)
        dispatched = Pyfunc(dispatched)
        Account = Pyclass(Account)
        # more
    end
end

end
"""
HELPERS = """
const LIMIT = 10
const TWICE = 2LIMIT

triple(x) = 3x

macro scale(x)
    :(2.0 * $(esc(x)))
end

module Inner
include("inner.jl")
end

struct Segment
    x::Float64
    y::Float64
end

below() = BELOW
const BELOW = [LIMIT, :CROSSED]
const CROSSED = [LIMIT, :BELOW]

size_of(segment::Segment) = abs(segment.y - segment.x)

which(x) = "any"
which(x::Int) = "integer"
@export_py dispatched(x::Int)::String = which(x)
"""
CLASSES = """
mutable struct Account
    balance::Float64
end

@export_pyclass Account begin
    balance
    deposit(self, amount::Float64)::Float64 = (self.balance += amount)
    close(self)::Nothing = (self.balance = 0.0; nothing)
end
"""
INNER = "value() = 1\n"
SHARED = "beside() = 1\n"


class Source:
    """The sources of a project that is loaded."""

    def __init__(self, directory: Path, package: str) -> None:
        self.directory = directory
        self.package = package

    def path(self, name: str) -> Path:
        return self.directory / "src" / name

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that the file contains once."""
        text = self.path(name).read_text()
        assert text.count(old) == 1, (old, text)
        self.path(name).write_text(text.replace(old, new))

    def reload(self) -> list[str]:
        """Reload the project; return the names of the changed files."""
        return [os.path.relpath(path, self.directory / "src") for path in jnumpy.reload(self.package)]


@pytest.fixture(scope="module")
def source(contract: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """Load a package from its sources."""
    directory = tmp_path_factory.mktemp("reload") / "edited_package"
    (directory / "src/more").mkdir(parents=True)
    files = {"Edited.jl": MAIN, "helpers.jl": HELPERS, "inner.jl": INNER, "more/classes.jl": CLASSES}
    for name, text in files.items():
        (directory / "src" / name).write_text(text)
    (directory / "shared.jl").write_text(SHARED)
    (directory / "Project.toml").write_text(PROJECT)
    (directory / "Manifest.toml").write_text(MANIFEST)
    (directory / "__init__.py").write_text(INIT.format(names="double"))
    sys.path.insert(0, str(directory.parent))
    importlib.import_module("edited_package")
    yield Source(directory, "edited_package")
    sys.path.remove(str(directory.parent))


@pytest.fixture(scope="module")
def edited(source: Source) -> Any:
    return sys.modules["_edited"]


def test_without_a_change_nothing_is_reloaded(source: Source, edited: Any) -> None:
    assert source.reload() == []
    os.utime(source.path("inner.jl"))
    assert source.reload() == []
    source.path("unused.jl").write_text("syntax error)")
    assert source.reload() == []


def test_a_file_beside_the_sources(source: Source, edited: Any) -> None:
    source.edit("../shared.jl", "beside() = 1", "beside() = 2")
    assert source.reload() == ["../shared.jl"]
    assert jnumpy.eval_julia("Edited.beside()") == 2


def test_a_body(source: Source, edited: Any) -> None:
    double, package = edited.double, sys.modules["edited_package"]
    assert [double(4) for _ in range(3000)] == [8] * 3000  # by then, it is proven and compiled again
    source.edit("Edited.jl", "double(x::Int)::Int = 2x", "double(x::Int)::Int = 20x")
    assert source.reload() == ["Edited.jl"]
    assert double(4) == 80
    assert package.double is edited.double is double
    assert sys.modules["_edited"] is sys.modules["edited_package._edited"] is package._edited is edited
    assert pickle.loads(pickle.dumps(double)) is double


def test_a_function_that_an_exported_one_calls(source: Source, edited: Any) -> None:
    tripled = edited.tripled
    assert [tripled(2) for _ in range(3000)] == [6] * 3000
    source.edit("helpers.jl", "triple(x) = 3x", "triple(x) = 30x # thirty times")
    assert source.reload() == ["helpers.jl"]
    assert tripled(2) == 60
    source.edit("helpers.jl", "triple(x) = 30x # thirty times", "# nothing new\ntriple(x) = 30x")
    assert source.reload() == ["helpers.jl"]
    assert tripled(2) == 60
    source.edit("helpers.jl", "triple(x) = 30x", "triple(x) = (x isa Int ? 30.0x : 0)")
    source.reload()
    source.edit("helpers.jl", "30.0x : 0", "30x : 0")  # expressions that are equal in Julia
    source.reload()
    assert jnumpy.eval_julia("Edited.triple(2) === 60")


def test_a_nested_module(source: Source, edited: Any) -> None:
    assert edited.inner() == 1
    source.edit("inner.jl", "value() = 1", "value() = other() + 1\nother() = 1")
    assert source.reload() == ["inner.jl"]
    assert edited.inner() == 2
    source.edit("helpers.jl", 'include("inner.jl")\nend', 'include("inner.jl")\nmodule Deep\nf() = 5\nend\nend')
    source.edit("inner.jl", "other() = 1", "other() = Deep.f()")
    assert source.reload() == ["helpers.jl", "inner.jl"]
    assert edited.inner() == 6


def test_a_signature_and_a_docstring(source: Source, edited: Any) -> None:
    double = edited.double
    source.edit("Edited.jl", '"Doubles a number."\n', '"Multiplies a text."\n')
    before = source.path("Edited.jl").read_text().split("@export_py double")[1].splitlines()[0]
    source.edit("Edited.jl", f"double{before}", "double(text::String, n::Int=2)::String = text^n")
    source.reload()
    assert (double("ab"), double("ab", 3), double(text="c")) == ("abab", "ababab", "cc")
    assert inspect.getdoc(double) == "Multiplies a text."
    assert list(inspect.signature(double).parameters) == ["text", "n"]
    with pytest.raises(TypeError):
        double(4)
    source.edit("Edited.jl", "double(text::String, n::Int=2)::String = text^n", f"double{before}")
    source.edit("Edited.jl", '"Multiplies a text."\n', '"Doubles a number."\n')
    source.reload()
    assert inspect.getdoc(double) == "Doubles a number."
    assert isinstance(double(4), int)


def test_functions_that_are_new_and_gone(source: Source, edited: Any) -> None:
    source.edit("Edited.jl", "const COUNTS", '@export_py added()::String = "$(1 + 1) \\"\\\\"\nconst COUNTS')
    source.edit("Edited.jl", "# more", "added = Pyfunc(added); constant = 5 # more")
    source.reload()
    assert (edited.added(), edited.constant) == ('2 "\\', 5)
    source.edit("Edited.jl", '@export_py added()::String = "$(1 + 1) \\"\\\\"\n', "")
    source.edit("Edited.jl", "added = Pyfunc(added); constant = 5 # more", "# more")
    source.reload()
    assert not hasattr(edited, "added")
    assert not jnumpy.eval_julia("hasmethod(Edited.added, Tuple{})")


def test_a_method_that_is_gone(source: Source, edited: Any) -> None:
    assert edited.dispatched(1) == "integer"
    source.edit("helpers.jl", 'which(x::Int) = "integer"\n', "")
    source.reload()
    assert edited.dispatched(1) == "any"


def test_several_methods_of_one_function(source: Source, edited: Any) -> None:
    overloaded = edited.overloaded
    assert (overloaded(1), overloaded("a")) == (1, "a")
    source.edit(
        "Edited.jl", "@export_py overloaded(x::String)::String = x", "@export_py overloaded(x::Float64)::Float64 = -x"
    )
    source.reload()
    assert (overloaded(1), overloaded(1.0)) == (1, -1.0)
    with pytest.raises(TypeError):
        overloaded("a")


def test_constants_and_macros_are_in_the_code_that_uses_them(source: Source, edited: Any) -> None:
    assert (edited.counted(), edited.limited(99), edited.scaled(1.0)) == (1, 10, 2.0)
    source.edit("helpers.jl", "const LIMIT = 10", "const LIMIT = 20")
    source.reload()
    assert edited.limited(99) == 20
    assert jnumpy.eval_julia("Edited.TWICE") == 40
    assert jnumpy.eval_julia("Edited.below()[1]") == 20
    source.edit("helpers.jl", ":(2.0 * ", ":(4.0 * ")
    source.reload()
    assert edited.scaled(1.0) == 4.0
    assert edited.counted() == 2, "what has not changed keeps its state"


def test_a_class(source: Source, edited: Any) -> None:
    cls = edited.Account
    account = cls(1.0)
    assert account.deposit(1.0) == 2.0
    source.edit(
        "more/classes.jl",
        "deposit(self, amount::Float64)::Float64 = (self.balance += amount)",
        "deposit(self, amount::Float64, times::Int=10)::Float64 = (self.balance += times * amount)\n"
        "    owes(self)::Bool = self.balance < 0",
    )
    source.edit("more/classes.jl", "    close(self)::Nothing = (self.balance = 0.0; nothing)\n", "")
    assert source.reload() == ["more/classes.jl"]
    assert edited.Account is cls
    assert (account.deposit(1.0), account.deposit(1.0, times=1), account.owes()) == (12.0, 13.0, False)
    assert not hasattr(account, "close")
    account.balance = 3.0
    assert account.balance == 3.0


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("broken(x) = )\n", 2, "unexpected"),
        ('error("told to fail")\n', 2, "told to fail"),
        ("f(x) = absent_function(x)\nconst A = f(1)\n", 3, "absent_function"),
        ('include("nothing.jl")\n', 2, "nothing.jl does not exist"),
        ("function f(x)\n  x = ", 4, "incomplete|Expected `end`|premature end"),
    ],
)
def test_an_error_names_file_and_line(source: Source, edited: Any, text: str, line: int, words: str) -> None:
    inner = source.path("inner.jl").read_text()
    tripled = edited.tripled(1)
    source.edit("helpers.jl", "triple(x) =", "triple(x) = 1 +")
    source.path("inner.jl").write_text(f"# First\n{text}{inner}")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=f"(?s)inner.jl:{line}: .*({words})"):
            source.reload()
    source.path("inner.jl").write_text(inner)
    assert "helpers.jl" in source.reload()
    assert edited.tripled(1) == tripled + 1
    source.edit("helpers.jl", "triple(x) = 1 +", "triple(x) =")
    source.edit("inner.jl", inner, f"# First\n{text}{inner}")
    with pytest.raises(RuntimeError):
        source.reload()
    source.path("inner.jl").write_text(inner)
    source.reload()
    assert edited.tripled(1) == tripled


def test_a_changed_struct(source: Source, edited: Any, version: tuple[int, int, int]) -> None:
    assert edited.length_of(1.0, 3.0) == 2.0
    former = source.path("helpers.jl").read_text()
    source.edit(
        "helpers.jl", "    y::Float64\nend", "    y::Float64\n    width::Int\nend\nSegment(x, y) = Segment(x, y, 7)"
    )
    source.edit("helpers.jl", "abs(segment.y - segment.x)", "segment.width + abs(segment.y - segment.x)")
    if version >= (1, 12):
        source.reload()
        assert edited.length_of(1.0, 3.0) == 9.0
    else:
        with pytest.raises(RuntimeError, match=r"helpers.jl:\d+: Julia .* restart Python"):
            source.reload()
        source.path("helpers.jl").write_text(former)
        source.reload()
        assert edited.length_of(1.0, 3.0) == 2.0


def test_a_file_that_is_new_and_deleted(source: Source, edited: Any) -> None:
    source.edit("helpers.jl", "triple(x) =", 'include("extra.jl")\ntriple(x) =')
    source.path("extra.jl").write_text("extra(x) = 1\nextra(x::Int) = 2\n")
    assert source.reload() == ["extra.jl", "helpers.jl"]
    assert jnumpy.eval_julia("Edited.extra(1)") == 2
    source.path("extra.jl").write_text("extra(x) = 1\n")
    assert source.reload() == ["extra.jl"]
    assert jnumpy.eval_julia("Edited.extra(1)") == 1
    source.path("extra.jl").unlink()
    with pytest.raises(RuntimeError, match=r"helpers.jl:\d+: .*extra.jl does not exist"):
        source.reload()
    source.edit("helpers.jl", 'include("extra.jl")\n', "")
    assert source.reload() == ["extra.jl", "helpers.jl"]
    assert not jnumpy.eval_julia("hasmethod(Edited.extra, Tuple{Int})")


def test_a_file_that_is_included_in_a_loop(source: Source, edited: Any) -> None:
    source.path("looped.jl").write_text("looped() = 1\n")
    source.edit("helpers.jl", "triple(x) =", 'for name in ("looped.jl",)\ninclude(name)\nend\ntriple(x) =')
    source.reload()
    assert jnumpy.eval_julia("Edited.looped()") == 1
    source.path("looped.jl").write_text("looped() = 2\n")
    with pytest.raises(RuntimeError, match=r"looped.jl has changed, but .*helpers.jl:\d+ includes files .* restart"):
        source.reload()
    source.edit("helpers.jl", 'for name in ("looped.jl",)\ninclude(name)\nend\ntriple(x) =', "triple(x) =")
    source.reload()


def test_an_init_that_fails_runs_again(source: Source, edited: Any) -> None:
    source.edit(
        "Edited.jl", "function init()\n", 'const FAILS = Ref(true)\nfunction init()\n    FAILS[] && error("not yet")\n'
    )
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not yet"):
            source.reload()
    jnumpy.exec_julia("Edited.FAILS[] = false")
    assert source.reload() == ["Edited.jl"]
    source.edit("Edited.jl", '    FAILS[] && error("not yet")\n', "")
    source.reload()


def test_a_function_that_is_awaited(source: Source, edited: Any, version: tuple[int, int, int]) -> None:
    if version < (1, 9):
        return
    source.edit("Edited.jl", "const COUNTS", "@export_py async=true awaited()::Int = 1\nconst COUNTS")
    source.edit("Edited.jl", "# more", "awaited = Pyfunc(awaited)# more")
    source.reload()
    awaited = edited.awaited
    assert asyncio.run(awaited()) == 1
    source.edit("Edited.jl", "awaited()::Int = 1", "awaited(x::String)::String = 2x".replace("2x", "x^2"))
    source.reload()
    assert edited.awaited is awaited
    assert asyncio.run(awaited("a")) == "aa"
    assert awaited.__julia_result__ == "String"


def test_what_cannot_be_reloaded(source: Source, contract: ModuleType) -> None:
    with pytest.raises(TypeError, match="argument `package`: expected a module or its name, got int"):
        jnumpy.reload(1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`nowhere` is not imported"):
        jnumpy.reload("nowhere")
    with pytest.raises(ValueError, match=r"`pytest` has not loaded a Julia project with `init_project\(__file__\)`"):
        jnumpy.reload(pytest)
    with _reload._lock, pytest.raises(RuntimeError, match="another call of `reload"):
        source.reload()
    assert jnumpy.reload() == []
