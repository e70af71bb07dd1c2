"""Every kind of signature with every kind of wrong argument: the exception, and its exact message."""

from __future__ import annotations

import array
import decimal
import fractions
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import versions


class Stubborn:
    """An int that does not want to be one."""

    def __index__(self) -> int:
        raise LookupError("no number today")


class TooBig:
    def __index__(self) -> int:
        return 2**100


class NotEvenAnInt:
    def __index__(self) -> Any:
        return "7"


# Objects that are not a number, text, or tuple, for all signatures that need one of these.
STRANGE: list[object] = [None, b"x", [1], {}, object(), int, np.zeros(2), np.datetime64("2020-01-01"), ...]

#: Signature → its wrong arguments → the exception, and its words after "f() argument `x`: ". Words that begin with a
#: path into the value follow the name directly.
REFUSED: dict[str, list[tuple[list[object], type[Exception], str]]] = {
    "Nothing": [([0, False, "", (), *STRANGE[1:]], TypeError, "expected None, got {class}")],
    "Bool": [
        (
            [0, 1, 1.0, 1j, "True", (True,), np.int8(1), np.float64(1), *STRANGE],
            TypeError,
            "expected bool type, got {class}",
        )
    ],
    "Int": [
        (
            [1.0, 1j, "1", (1,), np.float32(1), decimal.Decimal(1), fractions.Fraction(1), *STRANGE[:6], STRANGE[7]],
            TypeError,
            "expected int type, got {class}",
        ),
        ([2**63, -(2**63) - 1, 10**40, np.uint64(2**63)], OverflowError, "{value} is out of range for Int64"),
        ([TooBig()], OverflowError, f"{2**100} is out of range for Int64"),
        ([NotEvenAnInt()], TypeError, "__index__ returned non-int (type str)"),
    ],
    "Int8": [([128, -129, 2**63, -(2**70)], OverflowError, "{value} is out of range for Int8")],
    "Int16": [([2**15, -(2**15) - 1, 2**64], OverflowError, "{value} is out of range for Int16")],
    "Int32": [([2**31, -(2**31) - 1, 2**64], OverflowError, "{value} is out of range for Int32")],
    "UInt8": [([256, -1, 2**64], OverflowError, "{value} is out of range for UInt8")],
    "UInt16": [([2**16, -1, 2**64], OverflowError, "{value} is out of range for UInt16")],
    "UInt32": [([2**32, -1, 2**64], OverflowError, "{value} is out of range for UInt32")],
    "UInt64": [([2**64, -1, -(2**64)], OverflowError, "{value} is out of range for UInt64")],
    "Int128": [([2**127, -(2**127) - 1], OverflowError, "{value} is out of range for Int128")],
    "UInt128": [([2**128, -1], OverflowError, "{value} is out of range for UInt128")],
    "BigInt": [([1.0, "1", *STRANGE[:6]], TypeError, "expected int type, got {class}")],
    "Integer": [
        ([1.0, "1", *STRANGE[:6]], TypeError, "expected int type, got {class}"),
        ([2**63], OverflowError, "{value} is out of range for Int64"),
    ],
    "Signed": [([2**63], OverflowError, "{value} is out of range for Int64")],
    "Unsigned": [([-1, 2**64], OverflowError, "{value} is out of range for UInt64")],
    "Union{Nothing,Int8}": [
        ([128, 2**64], OverflowError, "{value} is out of range for Int8"),
        ([1.0, "1", *STRANGE[1:6]], TypeError, "expected int type, got {class}"),
    ],
    "Float64": [
        (
            [0, True, np.int64(1), np.True_, 1j, "1.0", (1.0,), decimal.Decimal(1), *STRANGE],
            TypeError,
            "expected float type, got {class}",
        )
    ],
    "Float32": [([0, "x", None], TypeError, "expected float type, got {class}")],
    "BigFloat": [([0, "x", None], TypeError, "expected float type, got {class}")],
    "AbstractFloat": [([0, "x", None], TypeError, "expected float type, got {class}")],
    "ComplexF64": [
        ([0, True, 1.0, np.float64(1), "1j", (1j,), *STRANGE], TypeError, "expected complex type, got {class}")
    ],
    "Complex": [([0, 1.0, None], TypeError, "expected complex type, got {class}")],
    "ComplexF32": [([0, 1.0, None], TypeError, "expected complex type, got {class}")],
    "String": [
        ([0, 1.0, ("a",), bytearray(b"a"), np.array("a"), *STRANGE], TypeError, "expected str type, got {class}"),
    ],
    "AbstractString": [([0, None], TypeError, "expected str type, got {class}")],
    "Tuple{Int,String}": [
        ([[1, "a"], 1, "ab", *STRANGE], TypeError, "expected a tuple, got {class}"),
        ([()], ValueError, "expected a tuple of 2 values, got 0"),
        ([(1, "a", 2)], ValueError, "expected a tuple of 2 values, got 3"),
        ([("a", 1), (1.0, "a")], TypeError, "[0]: expected int type, got {first}"),
        ([(1, 2)], TypeError, "[1]: expected str type, got int"),
        ([(2**63, "a")], OverflowError, f"[0]: {2**63} is out of range for Int64"),
    ],
    "Tuple{Int,Vararg{String}}": [
        ([()], ValueError, "expected a tuple of at least 1 values, got 0"),
        ([(1, "a", 2)], TypeError, "[2]: expected str type, got int"),
    ],
    "NTuple{3,Float64}": [
        ([(1.0,)], ValueError, "expected a tuple of 3 values, got 1"),
        ([(1.0, 2.0, 3)], TypeError, "[2]: expected float type, got int"),
    ],
    "Tuple{Tuple{Int,Int},String}": [
        ([((1,), "a")], ValueError, "[0]: expected a tuple of 2 values, got 1"),
        ([(1, "a")], TypeError, "[0]: expected a tuple, got int"),
    ],
    "Tuple{}": [([(1,)], ValueError, "expected a tuple of 0 values, got 1")],
    "Tuple": [([[1], None], TypeError, "expected a tuple, got {class}")],
    "Union{Nothing,Tuple{Int,Int}}": [
        ([(1,)], ValueError, "expected a tuple of 2 values, got 1"),
        ([[1, 2]], TypeError, "expected a tuple, got list"),
    ],
    "Union{Int,String}": [([1.0, (), *STRANGE[:6]], TypeError, "expected one of Int64, String, got {class}")],
    "Union{Nothing,Int,String}": [([1.0, (), *STRANGE[1:6]], TypeError, "expected one of Int64, String, got {class}")],
    "Union{Int,Tuple{Int}}": [([(), (1, 2), ""], TypeError, "expected one of Int64, Tuple{Int64}, got {class}")],
    "Real": [(["1", 1j, (), *STRANGE[:6]], TypeError, "expected one of Bool, Int64, Float64, got {class}")],
    "Number": [(["1", (), *STRANGE[:6]], TypeError, "expected one of Bool, Int64, Float64, {ComplexF64}, got {class}")],
    "Missing": [([0, ""], TypeError, "expected None, got {class}")],
    "Dict": [([[], None, "a"], TypeError, "expected a mapping, got {class}")],
    "Dict{String,Float64}": [
        ([{"a": 1}], TypeError, "['a']: expected float type, got int"),
        ([{1: 1.0}], TypeError, " key [1]: expected str type, got int"),
        ([{b"a": 1.0}], TypeError, " key [<bytes>]: expected str type, got bytes"),
    ],
    "Symbol": [
        ([1, None], TypeError, "expected str type, got {class}"),
        (["a\0b"], ValueError, "the name of a Symbol cannot contain a NUL character"),
    ],
    "Char": [
        ([1, b"a", None], TypeError, "expected a str of one character, got {class}"),
        (["", "ab"], ValueError, "expected a str of one character, got {length}"),
    ],
    "Rational{Int}": [
        ([0.5, "1", None, decimal.Decimal(1)], TypeError, "expected a Fraction or int, got {class}"),
        ([fractions.Fraction(1, 2**63)], OverflowError, f"{2**63} is out of range for Int64"),
    ],
    "Vector{String}": [
        ([array.array("d")], TypeError, "expected a list or tuple, got {class}; pass `x.tolist()`"),
        (["ab", None, 1, {"a"}, {"a": 1}, iter("ab")], TypeError, "expected a list or tuple, got {class}"),
        ([["a", 1], ("a", 1)], TypeError, "[1]: expected str type, got int"),
        ([["a"] * 100 + [None]], TypeError, "[100]: expected str type, got NoneType"),
    ],
    "Vector{Union{Nothing,Int8}}": [([[1, None, 128]], OverflowError, "[2]: 128 is out of range for Int8")],
    "Vector{Tuple{Int,Vector{String}}}": [
        ([[(1, []), (2, ["a", 1])]], TypeError, "[1][1][1]: expected str type, got int")
    ],
    "Matrix{String}": [([[["a"]]], TypeError, "expected numpy.ndarray, got list; pass `np.asarray(x, dtype=object)`")],
    "Set{Int}": [
        ([[1], (1,), {}, 1], TypeError, "expected a set or frozenset, got {class}"),
        ([{1.5}], TypeError, "{…}: expected int type, got float"),
    ],
    "Set{Float32}": [([{1.0, 1.00000001}], ValueError, "two items are equal as Float32")],
    "Dict{Float32,Int}": [
        ([{1.0: 1, 1.00000001: 2}], ValueError, " key [1.00000001]: another key is equal as Float32")
    ],
    "Vector{UInt8}": [([[1]], TypeError, "expected numpy.ndarray, got list; pass `np.asarray(x, dtype=np.uint8)`")],
    "AbstractMatrix{ComplexF64}": [
        ([[1]], TypeError, "expected numpy.ndarray, got list; pass `np.asarray(x, dtype=complex)`")
    ],
    "Pair{Int,String}": [([[1, "a"]], TypeError, "expected a tuple, got list")],
    "Function": [([1, "f", None], TypeError, "expected a callable, got {class}")],
    "NamedTuple{(:a,:b),Tuple{Int,String}}": [
        ([1, [1, "x"], (1, "x")], TypeError, "expected a mapping, named tuple or dataclass with `a`, `b`, got {class}"),
        ([{"a": 1}], TypeError, "`b` is missing; expected only `a`, `b`"),
        ([{"a": 1, "b": "x", "c": 1, "d": 2}], TypeError, "unexpected `c`, `d`; expected only `a`, `b`"),
        ([{"a": 1, "b": 2}], TypeError, ".b: expected str type, got int"),
        ([{1: 1}], TypeError, "expected keys of type str, got int"),
    ],
    "AbstractArray": [
        (
            [[1.0], (), 1.0, "a", None, np.float64(1), range(3)],
            TypeError,
            "expected numpy.ndarray, got {class}; pass `np.asarray(x, dtype=float)`",
        ),
        (
            [
                np.array(["a"]),
                np.array([b"a"]),
                np.array([None]),
                np.array([1], "M8[s]"),
                np.array([1], "m8[s]"),
                np.zeros(2, "i4,f8"),
                np.zeros(2, "V3"),
                np.zeros(2, np.longdouble),
                np.zeros(2, np.clongdouble),
            ],
            TypeError,
            "dtype {dtype} has no counterpart in Julia; supported are bool, (u)int8 to 64, float16 to 64, complex64 "
            "and complex128",
        ),
        (
            [np.ma.masked_array([1.0], [True]), np.ma.masked_array([1.0])],
            TypeError,
            "a masked array has no counterpart in Julia; pass `x.filled(value)`, or `x.data` and `x.mask`",
        ),
    ],
    "Union{Nothing,Vector{Float64}}": [
        ([[1.0], 1.0], TypeError, "expected numpy.ndarray, got {class}; pass `np.asarray(x, dtype=float)`")
    ],
    "Union{Vector{Float64},Matrix{Float64}}": [
        ([[1.0], None], TypeError, "expected numpy.ndarray, got {class}; pass `np.asarray(x, dtype=float)`")
    ],
}


def named(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("declared", REFUSED)
def test_wrong_values(version: tuple[int, ...], export: Callable, declared: str) -> None:
    f = export(f"f(x::{declared})::Any = 0")
    for values, error, words in REFUSED[declared]:
        for value in values:
            text = (
                words.replace("{class}", named(value))
                .replace("{value}", str(value))
                .replace("{length}", str(len(value) if isinstance(value, str) else 0))
                .replace("{first}", named(value[0]) if isinstance(value, tuple) and value else "")
                .replace("{ComplexF64}", "Complex{Float64}" if version < versions.SHORT_NAMES else "ComplexF64")
                .replace("{dtype}", str(getattr(value, "dtype", "")))
            )
            with pytest.raises(error) as raised:
                f(value)
            assert raised.type is error, repr(value)
            separator = "" if text.startswith(("[", ".", "{…", " key")) else ": "
            assert str(raised.value) == f"f() argument `x`{separator}{text}", repr(value)
            with pytest.raises(error, match=r"^f\(\) argument `x`"):
                f(x=value)


#: Signature → arrays that are not accepted → their types in Julia.
UNFITTING: list[tuple[str, np.ndarray, str]] = [
    ("Vector{Float64}", np.zeros((2, 3)), "2×3 <Transpose>"),
    ("Vector{Float64}", np.zeros((2, 3), order="F"), "2×3 <Matrix>"),
    ("Vector{Float64}", np.zeros(()), "0-dimensional Array{Float64,0}"),
    ("Matrix{Float64}", np.zeros(3), "3-element <Vector>"),
    (
        "Matrix{Float64}",
        np.zeros((1, 2, 3)),
        "1×2×3 <Permuted>",
    ),
    ("Array{Float64,3}", np.zeros((2, 3), order="F"), "2×3 <Matrix>"),
    ("StridedVector{Float64}", np.zeros((2, 3)), "2×3 <Transpose>"),
    ("Vector{Int}", np.array([1.5]), "1-element <Vector>"),
    ("Vector{UInt8}", np.array([256.0]), "1-element <Vector>"),
    ("Vector{Float64}", np.array([1j]), "1-element <ComplexVector>"),
    ("AbstractArray{String}", np.zeros(3), "3-element <Vector>"),
]


@pytest.mark.parametrize(("declared", "value", "seen"), UNFITTING)
def test_arrays_that_do_not_fit(
    version: tuple[int, ...], export: Callable, declared: str, value: np.ndarray, seen: str
) -> None:
    old = version < versions.SHORT_NAMES
    names = {
        "Transpose": "LinearAlgebra.Transpose{Float64,Array{Float64,2}}"
        if old
        else "transpose(::Matrix{Float64}) with eltype Float64",
        "Matrix": "Array{Float64,2}" if old else "Matrix{Float64}",
        "Permuted": "PermutedDimsArray(::Array{Float64,3}, (3, 2, 1)) with eltype Float64",
        "Vector": "Array{Float64,1}" if old else "Vector{Float64}",
        "ComplexVector": "Array{Complex{Float64},1}" if old else "Vector{ComplexF64}",
    }
    f = export(f"f(x::{declared})::Any = 0")
    with pytest.raises(TypeError) as raised:
        f(value)
    words = str(raised.value)
    assert words.startswith("f() argument `x`: expected an array for ")
    got, _, advice = words.partition(", got one that Julia sees as ")[2].partition("; ")
    for name, text in names.items():
        seen = seen.replace(f"<{name}>", text)
    assert got == (seen if old else seen.replace("Float64,", "Float64, "))
    assert advice == (
        "declare `AbstractArray`, or pass an array with that element type and number of dimensions, such as "
        "`x.astype(…)`, `x.T` or `np.asfortranarray(x)`"
    )


def test_errors_of_an_arguments_own_code_pass_unchanged(export: Callable) -> None:
    with pytest.raises(LookupError, match=r"^no number today$"):
        export("f(x::Int)::Any = 0")(Stubborn())


def test_errors_of_encoding_name_the_argument(export: Callable) -> None:
    for declared, value in (("String", "\ud800"), ("Tuple{String}", ("\ud800",))):
        with pytest.raises(UnicodeEncodeError) as raised:
            export(f"f(x::{declared})::Any = 0")(value)
        text = "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed (f() argument `x`)"
        assert str(raised.value) == text


#: Parameters of a Python function, and of the Julia function with the same ones.
PARAMETERS = [
    ("", ""),
    ("a", "a::Int"),
    ("a, b", "a::Int, b::Int"),
    ("a, b, c", "a::Int, b::Int, c::Int"),
    ("a=1", "a::Int=1"),
    ("a, b=1", "a::Int, b::Int=1"),
    ("a, b=1, c=2", "a::Int, b::Int=1, c::Int=2"),
    ("*, k", "; k::Int"),
    ("*, k, l", "; k::Int, l::Int"),
    ("a, *, k", "a::Int; k::Int"),
    ("a, b=1, *, k=2", "a::Int, b::Int=1; k::Int=2"),
]
CALLS: list[tuple[tuple[int, ...], dict[str, int]]] = [
    (tuple(range(count)), {name: 7 for name in names})
    for count in range(5)
    for names in itertools.chain.from_iterable(itertools.combinations(("a", "b", "k", "wrong"), n) for n in range(3))
]


@pytest.mark.parametrize(("python", "parameters"), PARAMETERS)
def test_calls_that_do_not_fit_are_refused_in_pythons_own_words(export: Callable, python: str, parameters: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def f({python}): return 0", scope)
    f = export(f"f({parameters})::Int = 0")
    for arguments, keywords in CALLS:
        try:
            expected: object = scope["f"](*arguments, **keywords)
        except TypeError as error:
            expected = str(error)
        try:
            actual: object = f(*arguments, **keywords)
        except TypeError as error:
            actual = str(error)
        assert actual == expected, (arguments, keywords)


def test_keywords_of_every_kind(export: Callable) -> None:
    f = export("f(ä::Int; b::Int=2)::Int = 10ä + b")
    assert f(ä=1) == 12
    assert f(**{"".join("ä"): 1, "b": 5}) == 15
    assert type(f).__call__(f, 1, b=3) == 13
    for call in (lambda: f(1, **{"\ud800": 1}), lambda: type(f).__call__(f, 1, **{"\ud800": 1})):
        with pytest.raises(TypeError, match="got an unexpected keyword argument"):
            call()
    for call in (lambda: f(1, **{1: 2}), lambda: type(f).__call__(f, 1, **{1: 2})):  # type: ignore[misc]
        with pytest.raises(TypeError, match="keywords must be strings"):
            call()
