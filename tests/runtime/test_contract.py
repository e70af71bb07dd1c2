"""The contract of conversion and of calls, line by line, on a project run from its source tree."""

from __future__ import annotations

import contextlib
import fractions
import inspect
import math
import pickle
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import versions


@pytest.fixture(scope="module")
def c(contract: types.ModuleType) -> types.ModuleType:
    return contract


INT64 = 2**63


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("none", None, None),
        ("bool", True, False),
        ("bool", np.True_, False),
        ("int", -5, -5),
        ("int", True, 1),
        ("int", np.int8(7), 7),
        ("int", np.uint64(7), 7),
        ("int", INT64 - 1, INT64 - 1),
        ("int", -INT64, -INT64),
        ("int8", -128, -128),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("int128", -(2**127), -(2**127)),
        ("bigint", 10**50, 10**50 + 1),
        ("bigint", -(10**50), -(10**50) + 1),
        ("integer", 3, 3),
        ("float", 1.5, 1.5),
        ("float", np.float32(0.5), 0.5),
        ("float", math.inf, math.inf),
        ("float32", 0.1, float(np.float32(0.1))),
        ("abstract_float", np.float64(2.5), 2.5),
        ("complex", 1 + 2j, 2 + 4j),
        ("complex", np.complex64(1 + 2j), 2 + 4j),
        ("any_complex", 1j, 1j),
        ("text", "", "!"),
        ("text", "a\0é𝄞", "a\0é𝄞!"),
        ("pair", (1, "a"), ("a", 1)),
        ("optional", None, None),
        ("optional", 4, 4),
    ],
)
def test_scalars_arrive_and_return(c: Any, name: str, argument: object, expected: object) -> None:
    result = getattr(c, name)(argument)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("char", "é"),
        ("symbol", "abc"),
        ("missing", None),
        ("rational", fractions.Fraction(1, 3)),
        ("dict", {"a": 1, "b": 2}),
        ("strings", ["a", "b"]),
        ("mixed", [1, "a", None]),
        ("big", 2**100),
        ("uint64", 2**64 - 1),
    ],
)
def test_results_without_an_argument_form(c: Any, name: str, expected: object) -> None:
    result = c.result(name)
    assert result == expected
    assert type(result) is type(expected)


def test_a_named_tuple_becomes_a_namedtuple(c: Any) -> None:
    result = c.result("namedtuple")
    assert isinstance(result, tuple)
    assert (result.x, result.y) == (1, "two")


def test_a_result_without_a_conversion_says_how_to_add_one(c: Any) -> None:
    with pytest.raises(TypeError, match="a DataType has no counterpart in Python; add a method"):
        c.result("type")


@pytest.mark.parametrize(
    ("name", "expected", "shared"),
    [
        ("range", [1, 2, 3], False),
        ("bits", [True] * 3, False),
        ("adjoint", [[1 - 1j, 3], [2, 4]], False),
        ("transpose", [[1, 3, 5], [2, 4, 6]], True),
        ("permuted", np.arange(1.0, 25).reshape((2, 3, 4), order="F").transpose((1, 2, 0)), True),
        ("view", [[2, 3], [5, 6]], True),
        ("strided view", [2, 5, 8], True),
        ("scattered view", [3, 1, 7], False),
        ("reinterpreted", [1, 2, 3, 4], True),
        ("zero-dimensional", 7, True),
        ("empty", np.zeros((0, 3)), True),
    ],
)
def test_arrays_of_julia_arrive_as_ndarrays(c: Any, name: str, expected: object, shared: bool) -> None:
    result = c.result(name)
    np.testing.assert_array_equal(result, expected)
    assert result.flags.writeable
    assert not result.flags.owndata
    if not shared:
        assert result.flags.f_contiguous
    if name == "transpose":
        assert result.flags.c_contiguous


DTYPES = "?bBhHiIlLqQefdFD"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "shape", [(), (0,), (5,), (2, 3), (0, 3), (1, 4), (4, 1), (2, 3, 4), (1, 2, 1, 2, 1), (2,) * 8]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_go_there_and_back_in_the_same_memory(c: Any, dtype: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.arange(math.prod(shape)).astype(dtype).reshape(shape, order=order)
    result = c.identity_of(array)
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)
    assert np.shares_memory(result, array) or array.size == 0


def made_readonly(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


COPIED: dict[str, Callable[[], np.ndarray]] = {
    "every second": lambda: np.arange(10.0)[::2],
    "backwards": lambda: np.arange(10.0)[::-1],
    "broadcast": lambda: np.broadcast_to(np.float64(3), (3, 4)),
    "inner block": lambda: np.arange(20.0).reshape(4, 5)[1:3, 1:4],
    "read-only": lambda: made_readonly(np.arange(4.0)),
    "byte-swapped": lambda: np.arange(6, dtype=">i4").reshape(2, 3),
    "unaligned": lambda: np.frombuffer(bytearray(b"x" + np.arange(3.0).tobytes()), np.uint8)[1:].view("f8"),
}


@pytest.mark.parametrize("name", COPIED)
def test_memory_that_cannot_be_shared_is_copied_with_the_right_values(c: Any, name: str) -> None:
    array = COPIED[name]()
    before = array.copy()
    result = c.identity_of(array)
    np.testing.assert_array_equal(result, array)
    assert not np.shares_memory(result, array)
    c.set_first(array)
    np.testing.assert_array_equal(array, before)


def test_writes_in_julia_are_seen_in_numpy(c: Any) -> None:
    for order in ("C", "F"):
        array = np.zeros((2, 3), order=order)
        c.set_first(array)
        assert array[0, 0] == 42


def test_what_julia_sees(c: Any) -> None:
    assert c.seen_as(np.zeros((2, 3)))[0] == "Transpose"
    assert c.seen_as(np.zeros((2, 3), order="F"))[0] == "Array"
    assert c.seen_as(np.zeros((2, 3, 4)))[0] == "PermutedDimsArray"
    assert c.seen_as(np.zeros(3, "f4")) == ("Array", "Float32", (3,))


def test_declared_types_convert(c: Any) -> None:
    integers = np.arange(3)
    result = c.float_vector(integers)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, integers)
    rows = np.arange(6.0).reshape(2, 3)
    result = c.float_matrix(rows)
    np.testing.assert_array_equal(result, rows)
    assert not np.shares_memory(result, rows)
    assert c.strided(np.arange(3.0)) == 0.0


@pytest.mark.parametrize("policy", ["warn", "error"])
def test_copy_policy(c: Any, policy: str) -> None:
    import jnumpy

    strided = np.arange(10.0)[::2]
    jnumpy.set_copy_policy(policy)
    try:
        if policy == "warn":
            with pytest.warns(RuntimeWarning, match="an array is copied on its way into Julia"):
                assert c.total(strided) == 20
        else:
            with pytest.raises(ValueError, match="an array is copied on its way into Julia"):
                c.total(strided)
        assert c.total(np.arange(3.0)) == 3
    finally:
        jnumpy.set_copy_policy("allow")
    assert c.total(strided) == 20
    with pytest.raises(ValueError, match='copy policy is "never", but must be'):
        jnumpy.set_copy_policy("never")


def test_an_array_that_julia_keeps_outlives_its_owner(c: Any) -> None:
    for _ in range(20):
        c.keep(np.full(100_000, 1.0))
    c.collect_garbage()
    assert c.kept_total() == 20 * 100_000
    c.forget()


def test_an_array_of_julia_outlives_julias_interest(c: Any) -> None:
    arrays = [c.zeros_of(1000) for _ in range(100)]
    views = [array[::2] for array in arrays]
    del arrays
    c.collect_garbage()
    [c.zeros_of(1000) for _ in range(1000)]
    assert all(np.all(view == 0) for view in views)


def refused_if_shared(version: tuple[int, ...]) -> contextlib.AbstractContextManager[object]:
    """Expect an error where a shared vector cannot be resized."""
    if version >= versions.SHARED_VECTORS_GROW:
        return contextlib.nullcontext()
    return pytest.raises(RuntimeError, match="cannot resize array with shared data")


def test_memory_shown_to_python_does_not_move(c: Any, version: tuple[int, ...]) -> None:
    buffer = c.buffer()
    with refused_if_shared(version):
        c.grow_buffer()
    assert list(buffer) == [1.0, 2.0]


def test_memory_lent_by_python_is_not_resized(c: Any, version: tuple[int, ...]) -> None:
    array = np.arange(4.0)
    with refused_if_shared(version):
        assert list(c.shortened(array)) == [0, 1, 2]
    assert list(array) == [0, 1, 2, 3]


def test_many_arrays_give_their_memory_back(c: Any) -> None:
    import resource

    def peak_megabytes() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    array = np.zeros((10, 10))
    for _ in range(20_000):
        c.total(array)
        c.zeros_of(100)
    before = peak_megabytes()
    for _ in range(200_000):
        c.total(array)
        c.zeros_of(100)
    assert peak_megabytes() - before < 200


def test_calls_take_keywords_and_defaults(c: Any) -> None:
    assert c.with_defaults(1) == (1, 1.5, 2, None)
    assert c.with_defaults(1, 2.0, n=5, label="x") == (1, 2.0, 5, "x")
    assert c.with_defaults(b=2.0, a=7) == (7, 2.0, 8, None)
    assert c.int_add(b=1, a=2) == 3
    assert c.int_add(*(1, 2), **{}) == 3
    assert c.many(*range(10)) == 45
    assert c.nothing_at_all() is None
    assert c.slow_sum(3) == 0


def test_functions_say_what_they_are(c: Any) -> None:
    assert c.int_add.__name__ == "int_add"
    assert c.int_add.__qualname__ == "int_add"
    assert c.int_add.__module__ == "contract._contract"
    assert c.int_add.__doc__ == "Adds two numbers.\n\n    int_add(1, 2)"
    assert c.bool.__doc__ is None
    assert repr(c.int_add) == "<Julia function Contract.int_add>"
    assert str(inspect.signature(c.int_add)) == "(a: Int64, b: Int64) -> Int64"
    assert list(inspect.signature(c.with_defaults).parameters) == ["a", "b", "n", "label"]
    assert inspect.signature(c.with_defaults).parameters["n"].kind is inspect.Parameter.KEYWORD_ONLY
    assert pickle.loads(pickle.dumps(c.int_add)) is c.int_add
    with pytest.raises(TypeError, match="made by `Pyfunc`"):
        type(c.int_add)()


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("MethodError", TypeError),
        ("BoundsError", IndexError),
        ("KeyError", KeyError),
        ("ArgumentError", ValueError),
        ("DimensionMismatch", ValueError),
        ("DomainError", ValueError),
        ("UndefVarError", NameError),
        ("EOFError", EOFError),
        ("OutOfMemoryError", MemoryError),
        ("OverflowError", OverflowError),
        ("InexactError", OverflowError),
        ("DivideError", ZeroDivisionError),
        ("AssertionError", AssertionError),
        ("StackOverflowError", RecursionError),
        ("ErrorException", RuntimeError),
        ("OwnError", RuntimeError),
    ],
)
def test_julia_exceptions_arrive_as_python_exceptions(c: Any, name: str, builtin: type[Exception]) -> None:
    import jnumpy

    with pytest.raises(builtin) as raised:
        c.fail_with(name)
    error = raised.value
    assert isinstance(error, jnumpy.JuliaError)
    assert error.julia_type.rpartition(".")[2] == name
    assert str(error)
    assert "fail_with" in error.backtrace
    assert "Contract.jl" in error.backtrace
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.backtrace) == (type(error), str(error), error.backtrace)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ArgumentError", "ArgumentError: n is negative"),
        ("text", "only text"),
        ("number", "42"),
        ("UnshowableError", "an exception of type Contract.UnshowableError, whose `showerror` fails"),
    ],
)
def test_exceptions_keep_julias_words(c: Any, name: str, text: str) -> None:
    import jnumpy

    with pytest.raises(jnumpy.JuliaError) as raised:
        c.fail_with(name)
    assert str(raised.value) == text


def test_backtraces_show_all_of_julia_and_nothing_of_python(c: Any) -> None:
    with pytest.raises(OverflowError) as raised:
        c.fail_with("OverflowError")
    frames = raised.value.backtrace
    files = ("combinatorics.jl", "Contract.jl", "export.jl")
    places = [frames.index(file) for file in files]  # from Julia's image, compiled just now, the last of Julia's
    assert places == sorted(places)
    assert frames.count("\n [") == 4


def test_ctrl_c_and_wrong_results(c: Any) -> None:
    with pytest.raises(KeyboardInterrupt) as raised:
        c.fail_with("InterruptException")
    assert raised.type is KeyboardInterrupt
    assert raised.value.args == ()
    with pytest.raises(TypeError, match="Cannot `convert` an object of type String to an object of type Int64"):
        c.wrong_result()


def test_python_exceptions_pass_through_julia(c: Any) -> None:
    class OwnError(Exception):
        pass

    def fails(_: object = None) -> None:
        raise OwnError("mine")

    with pytest.raises(OwnError, match="mine"):
        c.call(fails, 1)
    assert c.call_catching(fails) == "OwnError"
    assert c.call(lambda x: x + 1, 41) == 42
    with pytest.raises(ValueError, match="ArgumentError"):
        c.call(lambda _: c.fail_with("ArgumentError"), 1)


def test_python_objects_in_julia(c: Any) -> None:
    assert c.use_objects([1, 2, 3]) == (3, 10, True, False, (2, 3), "[10, 2, 3]", True, 4.0, 15, True, False)
    marker = object()
    assert c.anything(marker) is marker
    assert c.object(marker) is marker


def test_coerce_is_strict_and_cast_is_lenient(c: Any) -> None:
    *scalars, matrix = c.coercions()
    assert scalars == [3, 1, 2.0, True, 1 + 0j, (1, "a")]
    assert matrix.dtype == np.int32
    np.testing.assert_array_equal(matrix, [[1, 2], [3, 4]])
    assert c.coerce_fails("int") == "PyException"
    assert c.coerce_fails("float") == "PyException"
    assert c.coerce_fails("tuple") == "ErrorException"


def test_a_project_adds_conversions(c: Any) -> None:
    assert c.warmer(types.SimpleNamespace(degrees=20)).degrees == 21.0
    with pytest.raises(AttributeError):
        c.warmer(20)


def test_code_is_evaluated_in_main(c: Any) -> None:
    import jnumpy

    assert jnumpy.exec_julia("x_of_test = 20\ny_of_test = 22") is None
    assert jnumpy.eval_julia("x_of_test + y_of_test") == 42
    with pytest.raises(jnumpy.JuliaError, match=r"syntax|ParseError"):
        jnumpy.exec_julia("1 +")
    with pytest.raises(NameError, match=r"nowhere_defined`? not defined"):
        jnumpy.eval_julia("nowhere_defined")


def test_files_are_included_relative_to_the_caller(c: Any, tmp_path: Any) -> None:
    import jnumpy

    (tmp_path / "more.jl").write_text("from_included_file = 5\n")
    jnumpy.include_src("more.jl", str(tmp_path / "__init__.py"))
    assert jnumpy.eval_julia("from_included_file") == 5
    with pytest.raises(FileNotFoundError, match=r"missing\.jl does not exist"):
        jnumpy.include_src("missing.jl", str(tmp_path / "__init__.py"))
