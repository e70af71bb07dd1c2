"""TyPython as Julia code sees it: `py_coerce` and `py_cast`, Python objects, exceptions, Python's lock."""

from __future__ import annotations

import fractions
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import versions


@pytest.fixture(scope="module")
def evaluate(contract: Any) -> Callable[[str], Any]:
    """Evaluate Julia code that sees TyPython and the Python object `x`."""
    import jnumpy

    jnumpy.exec_julia("module Api\nusing TyPython, TyPython.CPython\nconst x = Ref{Any}()\nend")
    put = jnumpy.eval_julia(
        "@eval Api @export_py put(value::Py)::Nothing = (x[] = value; nothing)\nApi.Pyfunc(Api.put)"
    )

    def evaluate(code: str, x: object = None) -> Any:
        put(x)
        return jnumpy.eval_julia(f"Core.eval(Api, :(let x = x[]; {code}; end))")

    return evaluate


#: Type, Python object, what `py_coerce` gives, what `py_cast` gives; `...` for the same.
CONVERTED: list[tuple[str, object, str, Any]] = [
    ("Nothing", None, "nothing", ...),
    ("Bool", True, "true", ...),
    ("Bool", np.bool_(False), "false", ...),
    ("Int", 3, "3", ...),
    ("Int", True, "1", ...),
    ("Int8", -128, "Int8(-128)", ...),
    ("UInt16", 65535, "0xffff", ...),
    ("UInt64", 2**64 - 1, "typemax(UInt64)", ...),
    ("Int128", -(2**127), "typemin(Int128)", ...),
    ("UInt128", 2**128 - 1, "typemax(UInt128)", ...),
    ("Integer", 3, "3", ...),
    ("Signed", 3, "3", ...),
    ("Unsigned", 2**63, "0x8000000000000000", ...),
    ("Float64", 1.5, "1.5", ...),
    ("Float32", 1.5, "1.5f0", ...),
    ("Float16", np.float16(1.5), "Float16(1.5)", ...),
    ("AbstractFloat", np.float32(1.5), "1.5", ...),
    ("ComplexF64", 1 + 2j, "1.0+2.0im", ...),
    ("ComplexF32", np.complex64(1 + 2j), "ComplexF32(1, 2)", ...),
    ("Complex", 1j, "1.0im", ...),
    ("String", "é\0", '"é\\0"', ...),
    ("AbstractString", np.str_("a"), '"a"', ...),
    ("Tuple{Int,String}", (1, "a"), '(1, "a")', ...),
    ("Tuple{Int,Vararg{String}}", (1, "a", "b"), '(1, "a", "b")', ...),
    ("NTuple{2,Float64}", (1.0, 2.0), "(1.0, 2.0)", ...),
    ("Tuple{}", (), "()", ...),
    ("Tuple{Tuple{Int},Nothing}", ((1,), None), "((1,), nothing)", ...),
    ("Union{Nothing,Int}", None, "nothing", ...),
    ("Union{Nothing,Int}", 1, "1", ...),
    ("Union{Missing,Float64}", None, "missing", ...),
    ("Union{Int,String}", "a", '"a"', ...),
    ("Union{Int,String}", 1, "1", ...),
    ("Union{Bool,Int}", True, "true", ...),
    ("Union{Bool,Int}", 1, "1", ...),
    ("Union{Int8,Int64}", 1000, "1000", ...),
    ("Union{Tuple{Int},Tuple{Int,Int}}", (1, 2), "(1, 2)", ...),
    ("Real", True, "true", ...),
    ("Real", 1, "1", ...),
    ("Real", 1.5, "1.5", ...),
    ("Number", 1j, "1.0im", ...),
    # what only the lenient conversion takes
    ("Bool", 7, "", "true"),
    ("Bool", [], "", "false"),
    ("Bool", "x", "", "true"),
    ("Int", 1.9, "", "1"),
    ("Int", -1.9, "", "-1"),
    ("Int", fractions.Fraction(7, 2), "", "3"),
    ("Int8", 1.9, "", "Int8(1)"),
    ("Int128", 1e20, "", "Int128(10)^20"),
    ("Float64", 2, "", "2.0"),
    ("Float64", True, "", "1.0"),
    ("Float64", fractions.Fraction(1, 2), "", "0.5"),
    ("Float32", 2, "", "2.0f0"),
    ("ComplexF64", 1, "", "1.0+0.0im"),
    ("ComplexF64", 1.5, "", "1.5+0.0im"),
    ("Tuple{Int,Float64}", (1.5, 2), "", "(1, 2.0)"),
    ("Union{Nothing,Int}", 1.5, "", "1"),
]


@pytest.mark.parametrize(("julia_type", "value", "coerced", "cast"), CONVERTED)
def test_conversion_from_python(evaluate: Callable, julia_type: str, value: object, coerced: str, cast: Any) -> None:
    if coerced:
        assert evaluate(f"py_coerce({julia_type}, x) === {coerced}", value)
    else:
        with pytest.raises(TypeError):
            evaluate(f"py_coerce({julia_type}, x)", value)
    cast = coerced if cast is ... else cast
    assert evaluate(f"py_cast({julia_type}, x) === {cast}", value)


def test_bigints_and_arrays_from_python(evaluate: Callable) -> None:
    assert evaluate("py_coerce(BigInt, x) == big(10)^50", 10**50)
    assert evaluate("py_cast(BigInt, x) == big(2)^70", 2.0**70)
    array = np.arange(6.0).reshape(2, 3)
    assert evaluate("py_coerce(AbstractMatrix, x) isa CPython.LinearAlgebra.Transpose", array)
    assert evaluate("py_cast(Matrix{Int}, x) == [0 1 2; 3 4 5]", array)
    assert evaluate("py_cast(Array, x) isa Matrix{Float64}", array)
    evaluate("py_coerce(AbstractMatrix, x)[2, 1] = 42", array)
    assert array[1, 0] == 42


@pytest.mark.parametrize(
    ("code", "value", "error", "words"),
    [
        ("py_coerce(Int, x)", 1.0, TypeError, "expected int type, got float"),
        ("py_coerce(Int8, x)", 200, OverflowError, "200 is out of range for Int8"),
        ("py_coerce(Int8, x)", 2**70, OverflowError, f"{2**70} is out of range for Int8"),
        ("py_cast(Int8, x)", 200.5, OverflowError, "200 is out of range for Int8"),
        ("py_cast(Int, x)", "abc", TypeError, "expected int type, got str"),
        ("py_cast(Int, x)", float("nan"), ValueError, "cannot convert float NaN to integer"),
        ("py_cast(Int, x)", 1j, TypeError, "int() argument must be a string, a bytes-like object or a real number"),
        ("py_cast(Float64, x)", "1", TypeError, "must be real number, not str"),
        ("py_cast(ComplexF64, x)", "1", TypeError, "expected complex type, got str"),
        ("py_cast(Nothing, x)", 0, TypeError, "expected None, got int"),
        ("py_cast(String, x)", 0, TypeError, "expected str type, got int"),
        ("py_cast(Array, x)", "abc", TypeError, "expected numpy.ndarray, got str"),
        ("py_cast(Tuple{Int,String}, x)", (1, 1), TypeError, "[1]: expected str type, got int"),
        ("py_coerce(Regex, x)", "a", TypeError, "no conversion from Python to Regex; add a method"),
        ("py_cast(Regex, x)", "a", TypeError, "no conversion from Python to Regex; add a method"),
        ("py_cast(Py, Int)", None, TypeError, "a DataType has no counterpart in Python; add a method"),
    ],
)
def test_what_cannot_be_converted_is_a_python_exception(
    evaluate: Callable, code: str, value: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as raised:
        evaluate(code, value)
    assert raised.type is error
    assert str(raised.value).startswith(words)
    assert evaluate(f"try; {code}; catch failure; failure isa PyException && failure.type; end", value) is error


def test_a_tuple_of_the_wrong_length_is_an_error_exception_in_julia(evaluate: Callable) -> None:
    code = "try; {}(Tuple{{Int,Int}}, x); catch failure; failure isa ErrorException && failure.msg; end"
    for conversion in ("py_coerce", "py_cast"):
        assert evaluate(code.format(conversion), (1,)) == "expected a tuple of 2 values, got 1"


#: A Julia expression, and the result.
RESULTS: list[tuple[str, object]] = [
    ("nothing", None),
    ("missing", None),
    ("true", True),
    ("Int8(-1)", -1),
    ("0xff", 255),
    ("typemax(UInt64)", 2**64 - 1),
    ("typemin(Int128)", -(2**127)),
    ("typemax(UInt128)", 2**128 - 1),
    ("big(10)^50", 10**50),
    ("-big(10)^50", -(10**50)),
    ("big(0)", 0),
    ("1.5", 1.5),
    ("1.5f0", 1.5),
    ("Float16(1.5)", 1.5),
    ("big(1.5)", 1.5),
    ("Float64(pi) == py_coerce(Float64, py_cast(Py, pi))", True),
    ("1 + 2im", 1 + 2j),
    ("ComplexF16(1, 2)", 1 + 2j),
    ("ComplexF32(1, 2)", 1 + 2j),
    ("1//3", fractions.Fraction(1, 3)),
    ("big(10)^30//3", fractions.Fraction(10**30, 3)),
    ('"é\\0𝄞"', "é\0𝄞"),
    ('SubString("abc", 2)', "bc"),
    ("String([0x61, 0xff])", "a\udcff"),
    ("'é'", "é"),
    (":abc", "abc"),
    ("()", ()),
    ('(1, ("a", nothing), 2.5)', (1, ("a", None), 2.5)),
    ("ntuple(identity, 40)", tuple(range(1, 41))),
    ('Dict("a" => (1, 2), 3 => "x")', {"a": (1, 2), 3: "x"}),
    ("Dict{String,Int}()", {}),
    ("Base.ImmutableDict(:a => 1)", {"a": 1}),
    ('["a", "b"]', ["a", "b"]),
    ("String[]", []),
    ("Union{}[]", []),
    ("['a', 'b']", ["a", "b"]),
    ('Any[1, "a", nothing, [1, 2] == [1, 2]]', [1, "a", None, True]),
    ("[1, missing]", [1, None]),
    ("Union{Int64,Float64}[1, 2.5]", [1, 2.5]),
    ("Union{Int64,Bool}[1, true]", [1, True]),
    ("Real[1, 2.5]", [1, 2.5]),
    ("[big(2)^100]", [2**100]),
    ("[typemax(Int128)]", [2**127 - 1]),
    ("[1//2]", [fractions.Fraction(1, 2)]),
    ("[ComplexF16(1, 2)]", [1 + 2j]),
    ("[(1, 2), (3, 4)]", [(1, 2), (3, 4)]),
    ("[:a, :b]", ["a", "b"]),
    ('[["a"], ["b", "c"]]', [["a"], ["b", "c"]]),
    ('view(["a", "b", "c"], [3, 1])', ["c", "a"]),
    ('split("a b")', ["a", "b"]),
    ("(x for x in 1:2) |> collect |> sum", 3),
]


@pytest.mark.parametrize(("code", "expected"), RESULTS)
def test_results(evaluate: Callable, code: str, expected: object) -> None:
    result = evaluate(code)
    assert result == expected
    assert type(result) is type(expected)
    assert evaluate(f"py_cast(Py, {code}) isa Py")


def test_bools_in_lists_stay_bools(evaluate: Callable) -> None:
    assert [type(item) for item in evaluate("Union{Int64,Bool}[1, true]")] == [int, bool]


def test_named_tuples(evaluate: Callable) -> None:
    one, other = evaluate("((a=1, b=(c=2,)), (a=3, b=4))")
    assert (one.a, one.b.c, one._fields) == (1, 2, ("a", "b"))
    assert type(one) is type(other)
    # A keyword of Python's cannot be a name.
    assert evaluate("(class=1, ok=2)")._asdict() == {"_0": 1, "ok": 2}
    assert evaluate("NamedTuple()") == ()


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("reshape([1.0], ntuple(_ -> 1, 65))", ValueError, "NumPy does not support an array of 65 dimensions"),
        ("(1, sin)", TypeError, "a typeof(sin) has no counterpart in Python; add a method"),
        ("Dict([1, 2] => 3)", TypeError, "unhashable type"),
        ("1//0", ZeroDivisionError, "Fraction(1, 0)"),
        ("Ptr{Nothing}(0)", TypeError, "a Ptr{Nothing} has no counterpart in Python"),
        ("Any[Any[sin]]", TypeError, "a typeof(sin) has no counterpart in Python"),
    ],
)
def test_results_that_python_has_nothing_for(
    version: tuple[int, ...], evaluate: Callable, code: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as raised:
        evaluate(code)
    if version >= versions.SHORT_NAMES:
        words = words.replace("Complex{Float16}", "ComplexF16")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("code", "expected", "shared", "order"),
    [
        ("[1 2; 3 4]", [[1, 2], [3, 4]], True, "F"),
        ("fill(7)", 7, True, "F"),
        ("zeros(0, 3)", np.zeros((0, 3)), True, "F"),
        ("zeros(3, 0, 2)", np.zeros((3, 0, 2)), True, "F"),
        ("ones(1, 3, 1, 1)", np.ones((1, 3, 1, 1)), True, "F"),
        ("transpose([1 2; 3 4])", [[1, 3], [2, 4]], True, "C"),
        ("transpose([1, 2])", [[1, 2]], True, "C"),
        ("PermutedDimsArray(reshape(1:6, 1, 2, 3) |> collect, (3, 1, 2))", [[[1, 2]], [[3, 4]], [[5, 6]]], True, ""),
        ("view([1 2; 3 4], 1:2, 2)", [2, 4], True, "F"),
        ("view([1 2; 3 4], 2, :)", [3, 4], True, ""),
        ("view([1, 2, 3, 4], 4:-2:1)", [4, 2], True, ""),
        ("view([1, 2, 3], [3, 1])", [3, 1], False, "F"),
        ("reinterpret(Int32, [1, 2])", [1, 0, 2, 0], True, "F"),
        ("reinterpret(ComplexF64, [1.0, 2.0])", [1 + 2j], True, "F"),
        ("reshape(view([1, 2, 3, 4], 1:4), 2, 2)", [[1, 3], [2, 4]], False, "F"),
        ("adjoint([1 2; 3 4])", [[1, 3], [2, 4]], False, "F"),
        ("adjoint([1.0im, 2])", [[-1j, 2]], False, "F"),
        ("1:3", [1, 2, 3], False, "F"),
        ("1:0", np.zeros(0), False, "F"),
        ("range(0, 1; length=3)", [0, 0.5, 1], False, "F"),
        ("trues(2, 2)", np.ones((2, 2), bool), False, "F"),
        ("CPython.LinearAlgebra.Diagonal([1.0, 2.0])", [[1, 0], [0, 2]], False, "F"),
        ("CPython.LinearAlgebra.Symmetric([1 2; 3 4])", [[1, 2], [2, 4]], False, "F"),
        ("Base.OneTo(2)", [1, 2], False, "F"),
    ],
)
def test_arrays_to_python(evaluate: Callable, code: str, expected: object, shared: bool, order: str) -> None:
    result = evaluate(f"global last_array = {code}")
    np.testing.assert_array_equal(result, expected)
    assert result.flags.writeable
    assert not result.flags.owndata
    if order:
        assert result.flags[f"{order}_CONTIGUOUS"]
    if result.size:
        before = result.flat[0]
        result[(0,) * result.ndim] = before + 1
        assert evaluate("first(last_array)") == (before + 1 if shared else before)


def test_a_column_of_a_transposed_matrix(evaluate: Callable, version: tuple[int, ...]) -> None:
    result = evaluate("global last_array = view(transpose([1 2; 3 4]), :, 1)")
    assert list(result) == [1, 2]
    result[0] = 5
    assert evaluate("first(last_array)") == (5 if version >= versions.STRIDED_COLUMNS else 1)


@pytest.mark.parametrize("element", "Bool Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64".split())
def test_integer_arrays_to_python(evaluate: Callable, element: str) -> None:
    result = evaluate(f"[zero({element}), one({element}), typemax({element})]")
    name = element.lower()
    assert result.dtype == np.dtype(name)
    assert list(result) == [0, 1, True if name == "bool" else np.iinfo(name).max]


@pytest.mark.parametrize(
    ("element", "dtype"),
    [
        ("Float16", "float16"),
        ("Float32", "float32"),
        ("Float64", "float64"),
        ("ComplexF32", "complex64"),
        ("ComplexF64", "complex128"),
    ],
)
def test_floating_arrays_to_python(evaluate: Callable, element: str, dtype: str) -> None:
    result = evaluate(f"{element}[0.5 -1; 2 Inf]")
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, [[0.5, -1], [2, np.inf]])


def test_types_of_a_project_convert_both_ways(evaluate: Callable) -> None:
    evaluate(
        """Core.eval(Api, quote
            import TyPython.CPython: G_PyBuiltin
            struct Metre <: AbstractFloat
                value::Float64
            end
            CPython.py_coerce(::Type{Metre}, object::Py) = Metre(py_coerce(Float64, object.metres))
            CPython.py_cast(::Type{Py}, metre::Metre) = G_PyBuiltin.dict(metres=metre.value)
            struct Letters <: AbstractVector{Char}
                text::String
            end
            Base.size(letters::Letters) = (length(letters.text),)
            Base.getindex(letters::Letters, index::Int) = letters.text[index]
            CPython.py_coerce(::Type{Py}, letters::Letters) = py_cast(Py, letters.text)
            CPython.py_coerce(::Type{Letters}, object::Py) = Letters(py_coerce(String, object))
            @export_py longer(x::Metre)::Metre = Metre(x.value + 1)
            @export_py longest(x::Union{Nothing,Metre})::Any = x === nothing ? 0 : x
            @export_py letters(x::Letters)::AbstractVector = Letters(x.text * "!")
            nothing
        end)"""
    )
    longer, longest, letters = evaluate("(Pyfunc(longer), Pyfunc(longest), Pyfunc(letters))")

    class Length:
        metres = 1.5

    assert longer(Length()) == {"metres": 2.5}
    assert longest(None) == 0
    assert longest(Length()) == {"metres": 1.5}
    assert letters("ab") == "ab!"
    assert evaluate("(Metre(1), [Metre(2)])") == ({"metres": 1.0}, [{"metres": 2.0}])
    with pytest.raises(AttributeError, match="metres"):
        longer(1.5)
    Length.metres = 1
    with pytest.raises(TypeError, match=r"^longer\(\) argument `x`: expected float type, got int$"):
        longer(Length())
    with pytest.raises(TypeError, match=r"^letters\(\) argument `x`: expected str type, got int$"):
        letters(1)


class Holder:
    number = 1

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError("cannot be compared")

    __hash__ = object.__hash__


#: Code, the object, the result.
OBJECTS: list[tuple[str, object, object]] = [
    ("x.number", Holder(), 1),
    ("x.number = 5; x.number", Holder(), 5),
    ("(hasproperty(x, :number), hasproperty(x, :other))", Holder(), (True, False)),
    ("x[0]", [7, 8], 7),
    ('x["a"]', {"a": 1}, 1),
    ("x[1, 0]", np.arange(4).reshape(2, 2), 2),
    ("x[1, 0] = 9; x[1, 0]", np.arange(4).reshape(2, 2), 9),
    ('x["b"] = (1, 2); length(x)', {}, 1),
    ("length(x)", "abc", 3),
    ("x(2, 3)", pow, 8),
    ('x("ff"; base=16)', int, 255),
    ("x()", dict, {}),
    ("sum(py_coerce(Int, item) for item in x)", [1, 2, 3], 6),
    ("2 in x", [1, 2], True),
    ("5 in x", [1, 2], False),
    ("string(x)", [1], "[1]"),
    ("repr(x)", "a", "Py('a')"),
    ("(x == x, x != x, x < x, x <= x, x > x, x >= x)", 3, (True, False, False, True, False, True)),
    ("CPython.py_eq(x, py_cast(Py, 1))", 1, True),
    ("CPython.py_ne(x, py_cast(Py, 1))", 1, False),
    ("CPython.py_lt(x, py_cast(Py, 2))", 1, True),
    ("CPython.py_le(x, py_cast(Py, 1))", 1, True),
    ("CPython.py_gt(x, py_cast(Py, 2))", 1, False),
    ("CPython.py_ge(x, py_cast(Py, 2))", 1, False),
    ("CPython.py_tuple_create(x, py_cast(Py, 2))", 1, (1, 2)),
    ("CPython.py_tuple_create()", 1, ()),
    ("CPython.py_dir(x)[py_cast(Py, 0)]", 1, "__abs__"),
    (":real in propertynames(x)", 1, True),
    ('py_import("numpy.linalg").norm(x)', np.array([3.0, 4.0]), 5.0),
    ("get_numpy().zeros((2, 3)).shape", None, (2, 3)),
    ("get_py_builtin().len(x)", [1, 2], 2),
    ("CPython.G_PyBuiltin.max(x)", [1, 2], 2),
    ("CPython.G_PyBuiltin isa Py && hasproperty(CPython.G_PyBuiltin, :print)", None, True),
    ("(PyAPI.Py_None, PyAPI.Py_True, PyAPI.Py_False)", None, (None, True, False)),
    ("x == PyAPI.Py_None", None, True),
    ("CPython.init()", None, None),
    ("WITH_GIL(() -> x)", 1, 1),
    ("WITH_GIL(GILNoRaise()) do; WITH_GIL(() -> x); end", 1, 1),
    ("state = CPython.GIL_BEGIN(); CPython.GIL_END(state)", 1, None),
    ("Dict(x => 1)[py_cast(Py, 5)]", 5, 1),
    ("py_cast(Py, x) === x", 5, True),
    ("py_coerce(Any, x) === x", 5, True),
]


@pytest.mark.parametrize(("code", "value", "expected"), OBJECTS)
def test_python_objects(evaluate: Callable, code: str, value: object, expected: object) -> None:
    result = evaluate(code, value)
    assert result == expected
    assert type(result) is type(expected) or isinstance(result, np.generic)


def test_comparison_of_arrays_is_numpys(evaluate: Callable) -> None:
    result = evaluate("CPython.py_eq(x, py_cast(Py, 1))", np.array([1, 2]))
    np.testing.assert_array_equal(result, [True, False])
    with pytest.raises(ValueError, match="truth value of an array"):
        evaluate("x == x", np.array([1, 2]))


@pytest.mark.parametrize(
    ("code", "value", "error"),
    [
        ("x.other", Holder(), AttributeError),
        ("x.other = 1", 1, AttributeError),
        ("x[5]", [1], IndexError),
        ('x["a"]', {}, KeyError),
        ("x[0] = 1", (1,), TypeError),
        ("length(x)", 1, TypeError),
        ("x()", 1, TypeError),
        ("x(sin)", print, TypeError),
        ("x == x", Holder(), ArithmeticError),
        ("hash(x)", [], TypeError),
        ("collect(x)", 1, TypeError),
        ("1 in x", 1, TypeError),
        ('py_import("no_such_module")', None, ModuleNotFoundError),
        ('CPython.py_throw(:LookupError, "mine")', None, LookupError),
    ],
)
def test_errors_of_python_objects(evaluate: Callable, code: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        evaluate(code, value)
    assert raised.type is error
    assert evaluate(f"try; {code}; catch failure; failure isa PyException; end", value) is True


def test_a_generator_that_fails_does_so_in_julia(evaluate: Callable) -> None:
    def items() -> Any:
        yield 1
        raise LookupError("no more")

    assert evaluate("n = 0; try; for _ in x; n += 1; end; catch failure; n, failure.value; end", items())[0] == 1
    with pytest.raises(LookupError, match="no more"):
        evaluate("collect(x)", items())


#: Any value can be in a `PyException`, but Python always gets an exception.
EXCEPTIONS: list[tuple[str, object, type[Exception], str]] = [
    ('PyException(CPython.G_PyBuiltin.ValueError, py_cast(Py, "mine"), PyAPI.Py_None)', None, ValueError, "mine"),
    ("PyException(x, x(1, 2), PyAPI.Py_None)", LookupError, LookupError, "(1, 2)"),
    (
        "PyException(CPython.G_PyBuiltin.int, py_cast(Py, 5), PyAPI.Py_None)",
        None,
        TypeError,
        "holds a Python exception",
    ),
    ("PyException(PyAPI.Py_None, PyAPI.Py_None, PyAPI.Py_None)", None, TypeError, "not callable"),
    ("PyException(x, x(), py_cast(Py, 1))", LookupError, LookupError, ""),
    # An exception in the `__init__` of a module.
    ("InitError(:Given, PyException(x, x(7), PyAPI.Py_None))", SystemExit, SystemExit, "7"),
    ("InitError(:Given, InterruptException())", None, KeyboardInterrupt, ""),
    (
        'LoadError("given.jl", 1, InitError(:Given, ErrorException("no license")))',
        None,
        RuntimeError,
        "of module Given",
    ),
]


@pytest.mark.parametrize(("code", "value", "error", "words"), EXCEPTIONS)
def test_exceptions_made_in_julia(
    evaluate: Callable, code: str, value: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as raised:
        evaluate(f"throw({code})", value)
    assert words in str(raised.value)


def test_a_python_exception_keeps_its_identity_and_its_traceback(contract: Any, evaluate: Callable) -> None:
    original = LookupError("mine")

    def inner(_: int) -> None:
        raise original

    with pytest.raises(LookupError) as raised:
        contract.call(lambda x: contract.call(inner, x), 1)
    assert raised.value is original
    names = [entry.name for entry in raised.traceback]
    assert names[-1] == "inner"
    assert names.count("<lambda>") == 1
    assert evaluate("try; x(1); catch failure; failure.value; end", inner) is original
    assert evaluate("try; x(1); catch failure; sprint(showerror, failure); end", inner) == "Python: LookupError: mine"
    assert evaluate("try; x(1); catch failure; try; throw(failure); catch again; again === failure; end; end", inner)


def test_backtraces_end_where_python_has_called(evaluate: Callable) -> None:
    def frames(nested: int = 0) -> int:
        return next(map(frames, [nested - 1])) if nested else evaluate("length(backtrace())")

    frames()
    assert frames(nested=30) == frames()


def test_julia_exceptions_pass_through_python_and_back(contract: Any, evaluate: Callable) -> None:
    with pytest.raises(IndexError) as raised:
        contract.call(lambda _: contract.fail_with("BoundsError"), 1)
    assert raised.value.julia_type == "BoundsError"
    assert "fail_with" in raised.value.backtrace
    caught = evaluate("try; x(); catch failure; failure.value; end", lambda: contract.fail_with("KeyError"))
    assert (type(caught).__name__, caught.julia_type) == ("JuliaKeyError", "KeyError")
