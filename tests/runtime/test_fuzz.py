"""Random Python objects and arrays through exported functions: no crash, and what is converted is what NumPy says.

With `JNUMPY_STRESS_SECONDS` each test goes on for so long, with other examples every time.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

STRESS_SECONDS = float(os.environ.get("JNUMPY_STRESS_SECONDS", "0"))
settings.register_profile(
    "jnumpy",
    max_examples=1000 if STRESS_SECONDS else 100,
    derandomize=not STRESS_SECONDS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
settings.load_profile("jnumpy")

REFUSALS = (TypeError, ValueError, OverflowError, UnicodeEncodeError)


def go_through(check: Callable[[], None]) -> None:
    """Run the examples, under stress again and again until the time is over."""
    end = time.monotonic() + STRESS_SECONDS
    check()
    while time.monotonic() < end:
        check()


class Index:
    """An int in disguise."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**66), 2**66),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(), max_size=20),
    st.binary(max_size=5),
    st.integers(-(2**66), 2**66).map(Index),
    npst.scalar_dtypes().flatmap(lambda dtype: npst.arrays(dtype, ())).map(lambda array: array[()]),
    st.fractions(),
    st.decimals(),
)
objects = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.tuples(),
        st.tuples(inner),
        st.tuples(inner, inner),
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(), inner),
    ),
    max_leaves=6,
)


def is_int(value: object) -> bool:
    return hasattr(type(value), "__index__")


def fits(bits: int, signed: bool) -> Callable[[object], bool]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return lambda value: is_int(value) and low <= value.__index__() <= high  # type: ignore[attr-defined]


def encodable(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def is_float(value: object) -> bool:
    return isinstance(value, (float, np.floating))


def is_complex(value: object) -> bool:
    return isinstance(value, (complex, np.complexfloating))


#: Julia type → what it takes, and what comes back.
TYPES: dict[str, tuple[Callable[[Any], bool], Callable[[Any], object]]] = {
    "Nothing": (lambda value: value is None, lambda value: None),
    "Bool": (lambda value: isinstance(value, (bool, np.bool_)), bool),
    "Int": (fits(64, True), lambda value: value.__index__()),
    "UInt64": (fits(64, False), lambda value: value.__index__()),
    "Int8": (fits(8, True), lambda value: value.__index__()),
    "UInt16": (fits(16, False), lambda value: value.__index__()),
    "Int128": (fits(128, True), lambda value: value.__index__()),
    "BigInt": (is_int, lambda value: value.__index__()),
    "Float64": (is_float, float),
    "ComplexF64": (is_complex, complex),
    "String": (encodable, str),
    "Any": (lambda value: True, lambda value: value),
    "Union{Nothing,Float64}": (
        lambda value: value is None or is_float(value),
        lambda v: None if v is None else float(v),
    ),
    "Tuple{Int,Union{Nothing,String}}": (
        lambda value: (
            isinstance(value, tuple)
            and len(value) == 2
            and fits(64, True)(value[0])
            and (value[1] is None or encodable(value[1]))
        ),
        lambda value: (value[0].__index__(), value[1]),
    ),
    "Union{Int,String,Tuple{Float64}}": (
        lambda value: (
            fits(64, True)(value)
            or encodable(value)
            or (isinstance(value, tuple) and len(value) == 1 and is_float(value[0]))
        ),
        lambda value: value.__index__() if is_int(value) else value if isinstance(value, str) else (float(value[0]),),
    ),
}


def same(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a is b or (type(a) is type(b) and repr(a) == repr(b))


@pytest.mark.parametrize("julia_type", TYPES)
def test_objects(export: Callable, julia_type: str) -> None:
    f = export(f"f(x::{julia_type})::Any = x")
    takes, gives = TYPES[julia_type]

    @given(objects)
    def check(value: object) -> None:
        if takes(value):
            result = f(value)
            assert result is value or same(result, gives(value))
        else:
            with pytest.raises(REFUSALS):
                f(value)

    go_through(check)


ELEMENTS = "?bBhHiIlLqQefdFD"
dtypes = st.one_of(
    st.sampled_from(ELEMENTS).flatmap(lambda code: st.sampled_from([np.dtype(code), np.dtype(code).newbyteorder()])),
    npst.unicode_string_dtypes(),
    npst.datetime64_dtypes(),
    npst.array_dtypes(),
)


@st.composite
def arrays(draw: Callable, max_dims: int = 6) -> np.ndarray:
    """Arrays of every dtype, order, stride and flag, empty ones too."""
    shapes = npst.array_shapes(min_dims=0, max_dims=max_dims, min_side=0, max_side=4)
    array = draw(npst.arrays(draw(dtypes), draw(shapes)))
    array = np.array(array, order=draw(st.sampled_from("CF")))
    if draw(st.booleans()) and array.ndim:
        array = array[draw(npst.basic_indices(array.shape, allow_ellipsis=False))]
    if draw(st.booleans()):
        array = np.transpose(array, draw(st.permutations(range(np.ndim(array)))))
    if draw(st.integers(0, 5)) == 0:
        array = np.broadcast_to(array, (draw(st.integers(0, 3)), *np.shape(array)))
    array = np.asarray(array)
    if draw(st.integers(0, 5)) == 0:
        array.setflags(write=False)
    return array


def is_supported(array: np.ndarray) -> bool:
    return array.dtype.kind in "biufc" and array.dtype.newbyteorder("=").char in ELEMENTS


def is_shared(array: np.ndarray) -> bool:
    flags = array.flags
    return flags.forc and flags.writeable and flags.aligned and array.dtype.isnative


def test_arrays_go_there_and_back(export: Callable) -> None:
    f = export("f(x::AbstractArray)::Any = (x, size(x), isempty(x) ? nothing : (x[1], x[end]))")

    @given(arrays())
    def check(array: np.ndarray) -> None:
        if not is_supported(array):
            with pytest.raises(TypeError, match="has no counterpart in Julia"):
                f(array)
            return
        result, shape, ends = f(array)
        assert shape == array.shape
        assert result.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(result, array)
        if array.size:
            assert np.shares_memory(result, array) == is_shared(array)
            np.testing.assert_array_equal(ends, (array.flat[0], array.flat[-1]))

    go_through(check)


DECLARED = ["Matrix{Float64}", "Array{Int}", "StridedArray{Float32}"]


@pytest.mark.parametrize("declared", DECLARED)
def test_arrays_of_declared_types(export: Callable, declared: str) -> None:
    f = export(f"f(x::{declared})::Any = x")
    dimensions = {"Vector": 1, "Matrix": 2}.get(declared.partition("{")[0])
    wanted = {"Float64": "f8", "ComplexF64": "c16", "Int": "i8", "Float32": "f4"}[
        declared[declared.index("{") + 1 : -1]
    ]

    @given(arrays(max_dims=2))
    def check(array: np.ndarray) -> None:
        assume(is_supported(array))
        # The types decide, whatever the values are: integers in range, floats rounded, nothing cut off.
        fits = array.dtype.kind != "c" and (wanted != "i8" or np.can_cast(array.dtype, wanted))
        if fits and (dimensions is None or array.ndim == dimensions):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = array.astype(wanted)
            np.testing.assert_array_equal(f(array), expected)
        else:
            with pytest.raises(TypeError, match="expected an array for"):
                f(array)

    go_through(check)


def test_calls_of_every_shape(export: Callable) -> None:
    f = export(
        "f(a::Int, b::Float64=1.5, c::Any=nothing; d::Union{Nothing,String}=nothing, e::Int=a)::Any = (a, b, c, d, e)"
    )

    @given(st.lists(objects, max_size=5), st.dictionaries(st.sampled_from("abcdefx"), objects, max_size=4))
    def check(positional: list[object], keywords: dict[str, object]) -> None:
        try:
            result = f(*positional, **keywords)
        except REFUSALS:
            return
        given_by_name = dict(zip("abc", positional, strict=False)) | keywords
        assert result[0] == given_by_name["a"].__index__()  # type: ignore[attr-defined]
        assert len(positional) <= 3
        assert set(keywords) <= set("abcde")

    go_through(check)


def test_matrix_products(export: Callable) -> None:
    f = export("f(a::AbstractMatrix, b::AbstractMatrix)::AbstractMatrix = a * b")
    matrices = npst.arrays(
        "f8", npst.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5), elements=st.integers(-9, 9)
    )

    @given(matrices, matrices, st.sampled_from("CF"), st.sampled_from("CF"))
    def check(a: np.ndarray, b: np.ndarray, first: Any, second: Any) -> None:
        a, b = np.array(a, order=first), np.array(b, order=second)
        if a.shape[1] == b.shape[0]:
            np.testing.assert_array_equal(f(a, b), a @ b)
        else:
            with pytest.raises(ValueError, match="DimensionMismatch"):
                f(a, b)

    go_through(check)


class Liar:
    """An object that implements every protocol wrongly, raises an exception, or changes its container."""

    def __init__(self, container: list[Any], what: int) -> None:
        self.container = container
        self.what = what

    def answer(self) -> Any:
        if self.what == 0:
            raise LookupError("not today")
        if self.what == 1:
            self.container.clear()
        if self.what == 2:
            self.container.append(self)
        return (1, "1", None, self)[self.what % 4]

    def __index__(self) -> Any:
        return self.answer()

    def __float__(self) -> Any:
        return self.answer()

    def __eq__(self, _: object) -> Any:
        return self.answer()

    def __hash__(self) -> int:
        return 7

    def __iter__(self) -> Any:
        return self.answer()

    def __len__(self) -> Any:
        return self.answer()

    def __dlpack__(self, **_: object) -> Any:
        return self.answer()

    def __dlpack_device__(self) -> Any:
        return (1, 0) if self.what % 2 else self.answer()

    @property
    def __array_interface__(self) -> Any:
        return self.answer()

    @property
    def __class__(self) -> Any:
        return (dict, list, str, tuple, set, int)[self.what % 6]

    @__class__.setter
    def __class__(self, _: object) -> None:
        pass


NESTED = """
struct Leaf
    id::Int
    weight::Float64
end
struct Tree
    name::Union{Nothing,String}
    leaves::Vector{Leaf}
    table::Dict{String,Vector{Int}}
    below::Vector{Tree}
end
"""
leaves = st.fixed_dictionaries({"id": st.integers(-(2**63), 2**63 - 1), "weight": st.floats(allow_nan=False)})
trees = st.recursive(
    st.just([]),
    lambda below: st.lists(
        st.fixed_dictionaries(
            {
                "name": st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
                "leaves": st.lists(leaves, max_size=3),
                "table": st.dictionaries(st.text("ab", max_size=2), st.just(0).map(lambda _: np.arange(3)), max_size=2),
                "below": below,
            }
        ),
        max_size=3,
    ),
    max_leaves=8,
)


def count(tree: dict[str, Any]) -> int:
    return len(tree["leaves"]) + sum(map(count, tree["below"]))


def places(value: Any, path: str = "") -> list[tuple[Any, Any, str]]:
    """Each place in a nested value: its container, its key, and the path that an error names."""
    found = []
    if isinstance(value, dict):
        for key, item in value.items():
            step = f".{key}" if {"id", "weight", "name", "leaves", "table", "below"} & set(value) else f"[{key!r}]"
            found += [(value, key, path + step), *places(item, path + step)]
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += [(value, index, f"{path}[{index}]"), *places(item, f"{path}[{index}]")]
    return found


def test_nested_values_wrong_at_a_random_depth(export: Callable) -> None:
    f = export(
        "f(x::Tree)::Int = (count(t) = length(t.leaves) + mapreduce(count, +, t.below; init=0); count(x))", NESTED
    )

    @given(trees, st.integers(0, 10**6), st.booleans())
    def check(below: list[Any], place: int, spoil: bool) -> None:
        tree = {"name": "root", "leaves": [], "table": {}, "below": below}
        if not spoil:
            assert f(tree) == count(tree)
            return
        container, key, path = (found := places(tree))[place % len(found)]
        container[key] = object()
        with pytest.raises(TypeError) as raised:
            f(tree)
        assert str(raised.value).startswith(f"f() argument `x`{path}: expected "), path

    go_through(check)


LIED_TO = ["Int", "Float64", "String", "Vector{Int}", "Vector{String}", "Vector{Union{Nothing,Int}}", "Set{Int}"]
LIED_TO += ["Dict{String,Int}", "Tuple{Int,Int}", "NamedTuple{(:a,),Tuple{Int}}", "Rational{Int}", "Char", "Leaf"]


@pytest.mark.parametrize("declared", LIED_TO)
def test_objects_that_lie(export: Callable, declared: str) -> None:
    f = export(f"f(x::{declared})::Int = 1", NESTED)

    @given(st.integers(0, 11), st.integers(0, 4), st.integers(0, 3))
    def check(what: int, shape: int, before: int) -> None:
        container: list[Any] = [1] * before
        liar = Liar(container, what)
        container.append(liar)
        value: Any = (liar, container, tuple(container), {"a": liar, "id": liar}, [container])[shape]
        with contextlib.suppress(*REFUSALS, LookupError, AttributeError, RecursionError, BufferError):
            f(value)

    go_through(check)
