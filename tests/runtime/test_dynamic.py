"""Julia without declarations: `Main`, `Base`, `jnumpy.julia`, and the values in them."""

import importlib
import math
from pathlib import Path
from typing import Any

import jnumpy
import numpy as np
import pytest
from type_checker import mypy, wrong_lines


@pytest.fixture(scope="module")
def main(contract: Any) -> Any:
    """Return Julia's `Main`; `contract` has started Julia."""
    return jnumpy.Main


@pytest.fixture(scope="module")
def base(contract: Any) -> Any:
    return jnumpy.Base


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1 + 1", 2),
        ("2.5", 2.5),
        ("1im", 1j),
        ("big(2)^70", 2**70),
        ('"text"', "text"),
        ("nothing", None),
        ("(1, (2.0, nothing))", (1, (2.0, None))),
    ],
)
def test_plain_values_are_converted(main: Any, code: str, value: object) -> None:
    found = main.seval(code)
    assert found == value
    assert type(found) is type(value)


def test_arrays_of_numbers_are_shared(main: Any) -> None:
    array = main.seval("shared = [1.0, 2.0]")
    array[0] = 7.0
    assert main.seval("shared[1]") == 7.0
    np.testing.assert_array_equal(main.seval("1:3"), [1, 2, 3])


def test_anything_else_is_a_julia_value(main: Any, base: Any) -> None:
    for code, shown in {"sqrt": "sqrt", "Int": "Int64", "Base": "Base", "Any[1]": "Any[1]", ":a": "a"}.items():
        value = main.seval(code)
        assert type(value) is type(main)
        assert str(value) == shown
    assert repr(main.seval("Any[1, 2]")) == "2-element Vector{Any}:\n 1\n 2".replace(
        "Vector{Any}", main.seval("string(Vector{Any})")
    )
    assert main == base.Main
    assert main != base
    assert {main: 1}[base.Main] == 1
    with pytest.raises(TypeError):
        type(main)()


def test_calls_and_keywords(main: Any, base: Any) -> None:
    np.testing.assert_array_equal(base.sort(np.array([1, 3, 2]), rev=True), [3, 2, 1])
    assert base.convert(base.Float32, 1.5) == 1.5
    assert base.string(1, "a", None, 1.5) == "1anothing1.5"
    assert main.seval("(a, b...; k=1) -> (a, length(b), k)")(1, 2, 3, k=5) == (1, 2, 5)
    with pytest.raises(TypeError, match="MethodError"):
        base.sqrt("a")
    with pytest.raises(ValueError, match="DomainError"):
        base.sqrt(-1.0)
    value = main.seval("[1, 2][end] => :b")
    assert (base.first(value), str(base.last(value))) == (2, "b")


def test_python_functions_are_called(base: Any) -> None:
    doubled = base.map(lambda x: 2 * x, np.array([1.0, 2.0]))
    np.testing.assert_array_equal(doubled, [2.0, 4.0])
    assert doubled.dtype == np.float64
    thing = object()
    assert base.identity(thing) is thing
    assert base.identity(len) is len
    with pytest.raises(KeyError):
        base.map({}.__getitem__, np.array([1.0]))


def test_attributes(main: Any, base: Any) -> None:
    main.from_python = 5
    assert main.seval("from_python + 1") == 6
    assert main.from_python == 5
    assert not hasattr(main, "is_not_there")
    with pytest.raises(AttributeError, match="module Main has no `is_not_there`"):
        _ = main.is_not_there
    values = main.seval("Any[1]")
    assert base.push_b(values, 2) == values
    assert list(values) == [1, 2]
    complex_one = main.seval("Base.RefValue(3)")
    complex_one.x = 4
    assert complex_one.x == 4
    with pytest.raises(AttributeError, match=r"has no `y`"):
        complex_one.y = 1
    with pytest.raises(TypeError, match="is not a Julia module"):
        complex_one.seval("1")


def test_protocols(main: Any, base: Any) -> None:
    values = main.seval('Any[1, "a"]')
    assert (len(values), list(values), values[1], "a" in values, 2 in values) == (2, [1, "a"], 1, True, False)
    values[2] = 2.5
    assert values[2] == 2.5
    with pytest.raises(IndexError):
        _ = values[0]
    table = base.Dict()
    table["a"] = 1
    assert (len(table), list(table), table["a"], "a" in table, "b" in table) == (1, ["a"], 1, True, False)
    with pytest.raises(KeyError):
        _ = table["b"]
    matrix = main.seval("Any[1 2; 3 4]")
    assert matrix[2, 1] == 3
    third = main.seval("using Dates; Date(2024, 1, 3)")
    assert (third - main.seval("Day(2)")).__str__() == "2024-01-01"
    assert third > main.seval("Date(2024, 1, 1)")


def test_numbers(main: Any) -> None:
    pi = main.seval("pi")
    assert (float(pi), complex(pi)) == (math.pi, complex(math.pi))
    assert (pi + 1, pi - 1, pi * 2, pi / 2) == (math.pi + 1, math.pi - 1, math.pi * 2, math.pi / 2)
    assert (pi // 2, pi % 2, pi**2, 2**pi) == (1.0, math.pi % 2, math.pi**2, 2**math.pi)
    assert (-pi, +pi == pi, abs(pi) == pi) == (-math.pi, True, True)
    wrapped = main.seval("Some(2)")
    with pytest.raises(TypeError, match="MethodError"):
        _ = wrapped | 1
    matrix = main.seval("Any[1 2; 3 4]")
    assert (matrix @ matrix)[2, 1] == 15
    set_bits = main.seval(
        "module Flags\nstruct F; bits::Int; end\nimport Base: &, |, ~, <<, xor\n"
        "for op in (:&, :|, :xor)\n@eval $op(a::F, b::F) = F($op(a.bits, b.bits))\nend\n"
        "~(a::F) = F(~a.bits)\n<<(a::F, n::Int) = F(a.bits << n)\nend\nFlags.F"
    )
    one, two = set_bits(5), set_bits(6)
    assert [value.bits for value in (one & two, one | two, one ^ two, ~one, one << 2)] == [4, 7, 3, -6, 20]


def test_names_of_tyjuliacall(contract: Any) -> None:
    from jnumpy.julia import JV, Base, JuliaEvaluator

    texts = JuliaEvaluator["String[]"]
    assert isinstance(texts, JV)
    assert JV is jnumpy.JuliaValue
    JuliaEvaluator["push!"](texts, "2")
    assert list(texts) == ["2"]
    point = JuliaEvaluator["struct TyPoint; x::Int; z::String; end", 'TyPoint(1, "3")']
    assert (point.x, point.z) == (1, "3")
    table = Base.Dict()
    table[1, 2] = 3
    assert table[1, 2] == 3
    assert Base.haskey(table, (1, 2))


def test_packages(contract: Any) -> None:
    from jnumpy.julia import LinearAlgebra

    assert LinearAlgebra.norm(np.array([3.0, 4.0])) == 5.0
    assert importlib.import_module("jnumpy.julia").Main == jnumpy.Main
    with pytest.raises(jnumpy.JuliaError, match="NotThere"):
        _ = importlib.import_module("jnumpy.julia").NotThere


TYPED = """
from jnumpy import Base, Main, julia_version
from jnumpy.julia import LinearAlgebra

found: float = Main.half(Base.sum([1.0, 2.0])) + LinearAlgebra.norm([3.0, 4.0])
version: str = julia_version
number: int = julia_version  # wrong
"""


def test_type_checkers_know_the_names(tmp_path: Path) -> None:
    faults, said = mypy(tmp_path, TYPED)
    assert faults == wrong_lines(TYPED), said


def test_completion_and_rich_display(main: Any, base: Any) -> None:
    main.completed = 1
    assert {"completed", "seval"} <= set(dir(main))
    assert {"sqrt", "push_b"} <= set(dir(base))
    shown = main.seval('HTML("<b>x</b>")')._repr_mimebundle_()
    assert shown["text/html"] == "<b>x</b>"
    assert set(main.seval("Any[1]")._repr_mimebundle_()) == {"text/plain"}
    class_with_png = main.seval(
        "module Pictures\nstruct P end\n"
        'Base.show(io::IO, ::MIME"image/png", ::P) = write(io, UInt8[1, 2])\nend\nPictures.P()'
    )
    assert class_with_png._repr_mimebundle_()["image/png"] == b"\x01\x02"


def test_exported_classes_stay_what_they_are(main: Any, export: Any) -> None:
    add = export("dynamic_add(x::Int)::Int = x + 1")
    assert main.seval("identity")(add) is add
    main.added = add
    assert main.seval("added(2)") == 3
