"""What Python users pass, get and expect: values beyond numbers and arrays, names, types."""

from __future__ import annotations

import concurrent.futures
import copy
import inspect
import multiprocessing
import pickle
import subprocess
import sys
import typing
from collections.abc import Callable
from typing import Any

import jnumpy
import numpy as np
import pytest


def test_keywords_are_normalized_as_python_does(export: Callable) -> None:
    f = export("f(x::Float64; ϕ::Float64=1.0, ϵ::Float64=0.0)::Float64 = x + ϕ + ϵ")
    assert f(1.0, ϕ=5.0, ϵ=0.5) == 6.5
    assert f(1.0, **{"φ": 5.0}) == 6.0
    assert list(inspect.signature(f).parameters) == ["x", "φ", "ε"]
    with pytest.raises(TypeError, match=r"^f\(\) argument `φ`: expected float type"):
        f(1.0, ϕ=5)


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (
            "f(; ε::Float64=1.0, ϵ::Float64=1.0)::Float64 = ε",
            "arguments `ε` and `ϵ` of `f` have the same name in Python",
        ),
        ("f(ϕ::Int, φ::Int)::Int = 1", "arguments `ϕ` and `φ` of `f` have the same name in Python, `φ`; rename one"),
    ],
)
def test_two_parameters_with_one_name_in_python(contract: Any, definition: str, words: str) -> None:
    with pytest.raises(jnumpy.JuliaError) as raised:
        jnumpy.exec_julia(f"module Refused\nusing TyPython.CPython\n@export_py {definition}\nend")
    assert words in str(raised.value)


def test_functions_whose_name_python_normalizes(contract: Any) -> None:
    jnumpy.exec_julia(
        "module Greek\nusing TyPython.CPython\n@export_py ϕ(x::Int)::Int = x\n"
        "init() = @export_pymodule _greek begin\nϕ = Pyfunc(ϕ)\nend\nend\nGreek.init()"
    )
    scope: dict[str, Any] = {}
    exec("from _greek import ϕ\nassert ϕ(3) == 3\nf = ϕ", scope)
    assert scope["f"].__name__ == scope["f"].__qualname__ == "φ"
    assert pickle.loads(pickle.dumps(scope["f"])) is scope["f"]
    with pytest.raises(jnumpy.JuliaError, match="@export_pymodule _both: `ϕ` and `φ` are the same name in Python"):
        jnumpy.exec_julia("import TyPython; TyPython.CPython.@export_pymodule _both begin\nϕ = 1\nφ = 2\nend")


def test_named_tuples_have_one_real_class() -> None:
    a, b = jnumpy.eval_julia("(value=1.5, iterations=3)"), jnumpy.eval_julia("(value=2, iterations=nothing)")
    assert type(a) is type(b)
    assert type(a) is not type(jnumpy.eval_julia("(iterations=3, value=1.5)"))
    assert type(a)._fields == ("value", "iterations")
    assert repr(a) == "NamedTuple(value=1.5, iterations=3)"
    assert a._replace(iterations=4) == (1.5, 4)
    for again in (pickle.loads(pickle.dumps(a)), copy.copy(a), copy.deepcopy(a)):
        assert again == a
        assert type(again) is type(a)
    assert pickle.loads(pickle.dumps(type(a))) is type(a)
    odd = jnumpy.eval_julia("(class=1, ϕ=2, def=3)")
    assert odd._fields == ("_0", "φ", "_2")
    assert odd.ϕ == 2
    assert pickle.loads(pickle.dumps(odd)) == odd
    assert len(jnumpy.eval_julia("(; (Symbol(:x, i) => i for i in 1:40)...)")) == 40


def in_a_worker(code: str) -> Any:
    return jnumpy.eval_julia(code)


def start_in_worker() -> None:
    jnumpy.init_jl()


def test_named_tuples_and_errors_cross_a_process_pool(contract: Any) -> None:
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), initializer=start_in_worker
    ) as pool:
        found = pool.submit(in_a_worker, "(value=1.5, iterations=3)").result()
        failed = pool.submit(in_a_worker, "sqrt(-1.0)").exception()
    assert type(found) is type(jnumpy.eval_julia("(value=1.5, iterations=3)"))
    assert found.iterations == 3
    assert isinstance(failed, ValueError)
    assert isinstance(failed, jnumpy.JuliaError)
    assert failed.julia_type == "DomainError"


def test_a_process_without_julia_reads_them(contract: Any) -> None:
    data = pickle.dumps(jnumpy.eval_julia("(value=1.5, iterations=3)"))
    code = f"import pickle; print(pickle.loads({data!r}).iterations)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "3\n"


def test_type_hints(export: Callable) -> None:
    f = export(
        "f(a::Int, b::Vector{Float64}; label::Union{Nothing,String}=nothing)::Tuple{Int,Rational{Int}} = (1, 1//2)"
    )
    hints = typing.get_type_hints(f)
    assert list(hints) == ["a", "b", "label", "return"]
    assert hints["a"] is typing.SupportsIndex
    assert hints["b"] == np.typing.NDArray[np.float64]
    assert hints["label"] == str | None
    assert str(hints["return"]) == "tuple[int, fractions.Fraction]"
    assert f.__annotations__ == {**hints, "label": str | None}
    assert typing.get_type_hints(export("f()::Nothing = nothing")) == {"return": type(None)}


def test_floats_are_rounded_to_the_declared_type_whatever_they_are(export: Callable) -> None:
    f = export("f(x::Float32)::Float64 = x")
    assert f(0.1) == float(np.float32(0.1))
    assert f(1e300) == float("inf")
    assert f(1e-300) == 0.0
    g = export("f(x::Vector{Float32})::Vector{Float32} = x")
    np.testing.assert_array_equal(g(np.array([0.1, 1e300])), np.array([0.1, np.inf], np.float32))


#: Declared element type → dtypes whose arrays are converted, dtypes whose arrays are refused.
CONVERTED: list[tuple[str, str, str]] = [
    ("Bool", "?", "bBhHiIlLefdFD"),
    ("Int8", "?b", "BhHiIlLefdFD"),
    ("UInt8", "?B", "bhHiIlLefdFD"),
    ("Int32", "?bBhHi", "IlLefdFD"),
    ("Int", "?bBhHiIl", "LefdFD"),
    ("UInt64", "?BHIL", "bhilefdFD"),
    ("BigInt", "?bBlL", "efdFD"),
    ("Float16", "?bBlLefd", "FD"),
    ("Float64", "?bBlLefd", "FD"),
    ("ComplexF32", "?bBlLefdFD", ""),
    ("ComplexF64", "?bBlLefdFD", ""),
    ("Complex{Int}", "?bl", "LefdFD"),
    ("Rational{Int}", "?bl", "LefdFD"),
]


@pytest.mark.parametrize(("declared", "converted", "refused"), CONVERTED)
def test_types_decide_whether_arrays_are_converted(
    export: Callable, declared: str, converted: str, refused: str
) -> None:
    f = export(f"f(x::Vector{{{declared}}})::Int = sum(x) == 2 ? 2 : 0")
    for code in converted:
        assert f(np.array([1, 0, 1], code)) == 2
    for code in refused:
        with pytest.raises(TypeError, match="expected an array for"):
            f(np.array([1, 0, 1], code))


COPIES: list[np.ndarray] = [
    np.arange(6.0)[::2],
    np.broadcast_to(1.0, 3),
    np.arange(3),
    np.arange(3, dtype=">f8"),
    np.frombuffer(np.arange(3.0).tobytes()),
]


@pytest.mark.parametrize("value", COPIES, ids=["strided", "broadcast", "integers", "swapped", "read-only"])
def test_functions_that_write_into_arrays_refuse_copies(export: Callable, value: np.ndarray) -> None:
    f = export("zero!(x::Vector{Float64})::Nothing = (fill!(x, 0); nothing)")
    words = r"^zero!\(\) argument `x`: the function writes into the array, but Julia would get a copy: "
    try:
        for policy in ("default", "warn", "error", "allow"):
            jnumpy.set_copy_policy(policy)
            right = np.ones(3)
            f(right)
            assert not right.any()
            if policy == "allow":
                before = value.copy()
                f(value)
                np.testing.assert_array_equal(value, before)
            else:
                with pytest.raises(ValueError, match="an array is copied" if policy == "error" else words):
                    f(value)
    finally:
        jnumpy.set_copy_policy("default")


@pytest.mark.parametrize("digits", [59, 61, 5000])
def test_integers_of_many_digits(export: Callable, digits: int) -> None:
    limit = sys.get_int_max_str_digits()
    number = 10**digits + 7
    f = export("f(x::BigInt)::BigInt = -x")
    assert f(number) == -number
    assert export("f(x::Integer)::Any = x")(2) == 2
    for declared in ("Int", "Int8", "UInt64", "Int128", "Tuple{Int8}"):
        g = export(f"f(x::{declared})::Any = x")
        with pytest.raises(OverflowError) as raised:
            g((number,) if declared == "Tuple{Int8}" else number)
        shown = str(number) if digits < 60 else f"an integer of {number.bit_length()} bits"
        assert f": {shown} is out of range for " in str(raised.value)
    assert sys.get_int_max_str_digits() == limit


def test_long_tuples(export: Callable) -> None:
    values = tuple(range(5000))
    assert export("f(n::Int)::Tuple = ntuple(i -> i - 1, n)")(5000) == values
    assert export("f(n::Int)::Any = Tuple(isodd(i) ? i : string(i) for i in 1:n)")(17) == tuple(
        i if i % 2 else str(i) for i in range(1, 18)
    )
    f = export("f(x::NTuple{40,Int})::Int = sum(x)")
    assert f(tuple(range(40))) == 780
    with pytest.raises(TypeError, match=r"^f\(\) argument `x`\[39\]: expected int type, got str"):
        f((*range(39), "a"))
