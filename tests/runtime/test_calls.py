"""Optimizations of calls have no visible effect: entries without a `try`, and Julia arrays that are found again."""

from __future__ import annotations

import gc
import types
import weakref
from typing import Any

import numpy as np
import pytest
import versions

# After this many calls in one world age, TyPython tries to prove that a function does not throw.
OFTEN = 10_100


@pytest.fixture(scope="module")
def c(contract: types.ModuleType) -> types.ModuleType:
    return contract


def julia(code: str) -> Any:
    import jnumpy

    return jnumpy.eval_julia(f"using TyPython; using TyPython.CPython\n{code}")


def proven(name: str) -> bool:
    return julia(f"CPython.proven(CPython.unguarded_function({name}))")


@pytest.mark.parametrize(
    ("definition", "certain"),
    [
        ("(a::Int, b::Int)::Int = a + b * 2 - 1", True),
        ("(a::Float64)::Float64 = a / 3", True),
        ("(a::ComplexF64)::ComplexF64 = a * a", True),
        ("(a::Int)::Float64 = a", True),
        ("(a::Int)::Bool = a > 3", True),
        ("(a::Int)::Int = a > 0 ? a : -a", True),
        ("(a::Int, b::Int=2)::Int = xor(a, b)", True),
        ("()::Nothing = nothing", True),
        ("(a::Int)::Int = a > 0 ? a : error(a)", False),
        ("(a::Int, b::Int)::Int = a ÷ b", False),
        ("(a::Float64)::Float64 = sqrt(a)", False),
        ("(a::Int8)::Int = a", False),
        ("(a::Int)::Int = Int8(a)", False),
        ("(a::Int)::Int = (while a > 0; a -= 1; end; a)", False),
        ("(a::Int)::Int = not_yet_defined(a)", False),
        ("(a::Int)::Int = Core.Intrinsics.add_int(a, 0x01)", False),
        ("(a::Int)::Int = (1, 2)[a]", False),
        ("(a::String)::Int = sizeof(a)", False),
        ("(a::Py)::Int = 1", False),
        ("(a::Vector{Float64})::Float64 = a[1]", False),
        ("(a::Union{Nothing,Int})::Int = a", False),
    ],
)
def test_what_julia_can_prove_not_to_throw(c: Any, definition: str, certain: bool) -> None:
    name = f"judged_{abs(hash(definition))}"
    julia(f"@export_py {name}{definition}\n0")
    assert proven(name) == certain


def test_a_function_that_comes_to_throw_raises(c: Any) -> None:
    julia("inner_of_calm(a) = a + 1\n@export_py calm(a::Int)::Int = inner_of_calm(a)\n0")
    calm = julia("Pyfunc(calm)")
    for added in (1, 2):
        julia(f"inner_of_calm(a) = a + {added}\n0")
        assert proven("calm")
        assert {calm(1) for _ in range(OFTEN)} == {1 + added}
        julia('inner_of_calm(a) = error("redefined")\n0')
        assert not proven("calm")
        # The text of an error comes with Julia's backtrace, which takes long.
        for _ in range(OFTEN):
            with pytest.raises(RuntimeError):
                calm(1)
        with pytest.raises(RuntimeError, match="redefined"):
            calm(1)


def test_a_function_of_a_package_that_comes_to_throw_raises(c: Any) -> None:
    module = 'first(m for (id, m) in Base.loaded_modules if id.name == "Contract")'
    define = f"Core.eval({module}, :(int_add(a::Int, b::Int)::Int = %s))\n0"
    assert julia(f"CPython.proven(CPython.unguarded_function({module}.int_add))")
    assert {c.int_add(1, 2) for _ in range(OFTEN)} == {3}
    try:
        julia(define % 'throw(DomainError(a, "redefined"))')
        with pytest.raises(ValueError, match="redefined"):
            c.int_add(1, 2)
    finally:
        julia(define % "a + b")
    assert {c.int_add(1, 2) for _ in range(OFTEN)} == {3}


def test_an_earlier_export_reads_its_arguments_its_own_way(c: Any) -> None:
    julia("@export_py renewed(a::Int)::Int = a\n0")
    earlier = julia("Pyfunc(renewed)")
    julia("@export_py renewed(a::Float64, b::Float64)::Float64 = a + b\n0")
    assert {earlier(7) for _ in range(OFTEN)} == {7}


def test_a_call_that_defines_a_function_meanwhile(c: Any) -> None:
    julia("@export_py settled(a::Int)::Int = a\n0")
    settled = julia("Pyfunc(settled)")

    class Index:
        def __index__(self) -> int:
            julia('settled(a::Int)::Int = error("redefined")\n0')
            return 1

    assert {settled(7) for _ in range(OFTEN)} == {7}
    with pytest.raises(RuntimeError, match="redefined"):
        settled(Index())


@pytest.fixture(scope="module")
def identity(c: Any) -> Any:
    julia("@export_py where_it_is(x::Array)::UInt64 = UInt64(UInt(pointer_from_objref(x)))\n0")
    return julia("Pyfunc(where_it_is)")


def test_an_ndarray_that_comes_again_is_the_same_array(c: Any, identity: Any) -> None:
    array = np.zeros(10)
    assert identity(array) == identity(array)
    assert identity(array) != identity(array[:])


def test_an_ndarray_changed_in_place_is_seen_as_it_is(c: Any, version: tuple[int, ...]) -> None:
    array = np.arange(6.0)
    assert c.seen_as(array) == ("Array", "Float64", (6,))
    array.shape = (2, 3)
    assert c.seen_as(array) == ("Transpose", "Float64", (2, 3))
    array.shape = (3, 2)
    assert c.seen_as(array) == ("Transpose", "Float64", (3, 2))
    array.dtype = np.int64
    assert c.seen_as(array) == ("Transpose", "Int64", (3, 2))
    array.dtype = np.complex128
    assert c.seen_as(array)[1:] == ("Complex{Float64}" if version < versions.SHORT_NAMES else "ComplexF64", (3, 1))
    array.dtype = np.float64
    array.shape = (6,)
    array.resize(200_000, refcheck=False)
    array[:] = 1
    assert c.seen_as(array) == ("Array", "Float64", (200_000,))
    assert c.total(array) == 200_000
    array.setflags(write=False)
    c.set_first(array)
    assert array[0] == 1
    array.setflags(write=True)
    c.set_first(array)
    assert array[0] == 42


@pytest.mark.parametrize("order", ["C", "F"])
def test_ndarrays_at_the_same_address_are_told_apart(c: Any, order: Any) -> None:
    for number in range(3000):
        shape = (number % 3 + 1, number % 5 + 1)
        array = np.full(shape, number, "f8" if number % 2 else "i8", order=order)
        for _ in range(2):
            assert c.total(array) == array.sum()
        if number % 500 == 0:
            c.collect_garbage()


def test_an_array_that_julia_keeps_stays_whatever_else_comes(c: Any) -> None:
    for number in range(20):
        array = np.full(1000, float(number))
        for _ in range(3):
            assert c.total(array) == 1000 * number
            c.keep(array)
            c.collect_garbage()
        assert c.total(array) == 1000 * number
        del array
        c.collect_garbage()
        [np.full(1000, -1.0) for _ in range(5)]
    assert c.kept_total() == 3 * 1000 * sum(range(20))
    c.forget()


def test_an_ndarray_is_given_back_however_often_it_came(c: Any) -> None:
    array = np.zeros(1000)
    for _ in range(100):
        c.total(array)
        c.identity_of(array)
    c.collect_garbage()
    c.total(array)
    gone = weakref.ref(array)
    del array
    gc.collect()
    for _ in range(3):
        c.collect_garbage()
    c.nothing_at_all()
    assert gone() is None
