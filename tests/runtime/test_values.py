"""What Python users pass, get and expect: values beyond numbers and arrays, names, types."""

from __future__ import annotations

import array
import collections
import concurrent.futures
import copy
import dataclasses
import datetime
import enum
import fractions
import importlib
import inspect
import math
import mmap
import multiprocessing
import pickle
import subprocess
import sys
import typing
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jnumpy
import numpy as np
import pytest
from refusals import refused


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
    assert words in refused(f"@export_py {definition}")


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
    words = r"^zero!\(\) argument `x`: the function writes into the array, but Julia would get a copy: it is "
    words += "" if value.flags.writeable else "read-only; pass a writeable array"
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
        if value.dtype == int:
            # An `AbstractArray` of the declared elements would be a copy too.
            jnumpy.set_copy_policy("default")
            for declared in ("Vector", "AbstractVector"):
                g = export(f"zero!(x::{declared}{{Float64}})::Nothing = (fill!(x, 0); nothing)")
                with pytest.raises(ValueError, match="; pass an array of dtype float64; more"):
                    g(value)
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


class Colors(enum.IntEnum):
    red = 1
    green = 3


class NotColors(enum.IntEnum):
    red = 3


Pair = namedtuple("Pair", ["node", "weight"])


@dataclasses.dataclass
class Edge:
    node: int
    weight: float


class Names(collections.abc.Mapping):
    """A mapping that is not a dict."""

    def __init__(self, **items: object) -> None:
        self.items_ = items

    def __getitem__(self, key: str) -> object:
        return self.items_[key]

    def __iter__(self) -> Any:
        return iter(self.items_)

    def __len__(self) -> int:
        return len(self.items_)


ROWS = datetime.date(2020, 2, 29)
#: Julia type → what Python passes → what comes back; `...` for the argument itself.
ACCEPTED: list[tuple[str, object, object]] = [
    ("Vector{String}", ["a", "é\0"], ...),
    ("Vector{String}", ("a",), ["a"]),
    ("Vector{String}", np.array(["a", "b"]), ["a", "b"]),
    ("Vector{String}", np.array(["a", "b"], object), ["a", "b"]),
    ("AbstractVector{<:AbstractString}", ["a"] * 200, ...),
    ("Vector{Union{Nothing,String}}", ["a", None], ...),
    ("Vector{Union{Missing,Float64}}", [1.5, None], ...),
    ("Vector{Union{Nothing,Int}}", [1, None], ...),
    ("Vector{Bool}", np.array([True]), np.array([True])),
    ("Vector{Any}", [1, "a", None, [2]], ...),
    ("Vector{Py}", [1, "a"], ...),
    ("Vector{Tuple{Int,String}}", [(1, "a")], ...),
    ("Vector{Vector{String}}", [["a"], []], ...),
    ("Vector{Vector{Float64}}", [np.ones(2)], [np.ones(2)]),
    ("Vector{Symbol}", ["a", "b"], ...),
    ("Vector{Dict{String,Int}}", [{"a": 1}], ...),
    ("Matrix{String}", np.array([["a", "b", "c"], ["d", "e", "f"]]), np.array([["a", "b", "c"], ["d", "e", "f"]], "O")),
    ("Union{Int,Vector{String}}", ["a"], ...),
    ("Union{Nothing,Vector{String}}", None, ...),
    ("Set{Int}", {1, 2}, ...),
    ("AbstractSet{String}", frozenset("ab"), {"a", "b"}),
    ("Dict{String,Float64}", {"a": 1.0}, ...),
    ("Dict{String,Vector{Int}}", collections.OrderedDict(a=np.arange(2)), {"a": np.arange(2)}),
    ("Dict", {"a": 1, 2: "b"}, ...),
    ("AbstractDict{Symbol,Any}", Names(a=1), {"a": 1}),
    ("Dict{Tuple{Int,Int},String}", {(1, 2): "a"}, ...),
    ("NamedTuple{(:node, :weight),Tuple{Int,Float64}}", Pair(1, 2.0), (1, 2.0)),
    ("NamedTuple{(:node, :weight),Tuple{Int,Float64}}", {"weight": 2.0, "node": 1}, (1, 2.0)),
    ("NamedTuple{(:node, :weight),Tuple{Int,Float64}}", Names(weight=2.0, node=1), (1, 2.0)),
    ("NamedTuple{(:node, :weight),Tuple{Int,Float64}}", Edge(1, 2.0), (1, 2.0)),
    ("NamedTuple{(:node, :weight)}", Edge(1, 2.0), (1, 2.0)),
    ("Char", "é", ...),
    ("Symbol", "some name", ...),
    ("Rational{Int}", fractions.Fraction(-1, 3), ...),
    ("Rational{BigInt}", fractions.Fraction(2**70, 3), ...),
    ("Rational", 7, fractions.Fraction(7)),
    ("Pair{Int,String}", (1, "a"), ...),
    ("Date", datetime.date(2020, 2, 29), ...),
    ("DateTime", datetime.datetime(2020, 2, 29, 23, 59, 58, 123_000), ...),
    ("DateTime", datetime.datetime(1, 1, 1, 0, 0, 0, 999_999), datetime.datetime(1, 1, 1, 0, 0, 0, 999_000)),
    ("Time", datetime.time(1, 2, 3, 456_789), ...),
    ("Week", datetime.timedelta(7), ...),
    ("Day", datetime.timedelta(-3), ...),
    ("Minute", datetime.timedelta(hours=2), ...),
    ("Microsecond", datetime.timedelta(microseconds=1), ...),
    ("Nanosecond", datetime.timedelta(days=-1, microseconds=1), ...),
    ("Period", datetime.timedelta.max, ...),
    ("Vector{Date}", [datetime.date(2020, 2, 29)], ...),
    ("Vector{Date}", np.array(["2020-02-29", "0001-01-01"], "M8[D]"), [ROWS, datetime.date(1, 1, 1)]),
    ("Vector{DateTime}", np.array(["1969-12-31T23"], "M8[h]"), [datetime.datetime(1969, 12, 31, 23)]),
    (
        "Vector{DateTime}",
        np.array(["1969-12-31T23:00:00.001"], "M8[ms]"),
        [datetime.datetime(1969, 12, 31, 23, 0, 0, 1000)],
    ),
    ("Vector{UInt8}", b"abc", np.array([97, 98, 99], "u1")),
    ("Vector{UInt8}", bytearray(b"abc"), np.array([97, 98, 99], "u1")),
    ("Vector{UInt8}", memoryview(b"abc")[::2], np.array([97, 99], "u1")),
    ("Vector{Float64}", array.array("d", [1.5]), np.array([1.5])),
]


def alike(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    return isinstance(a, type(b)) and a == b


@pytest.mark.parametrize(("declared", "value", "expected"), ACCEPTED)
def test_values_go_there_and_back(export: Callable, declared: str, value: object, expected: object) -> None:
    if declared == "Period":
        with pytest.raises(OverflowError, match="is out of range for"):
            export(f"f(x::{declared})::Any = x", "using Dates")(value)
        return
    result = export(f"f(x::{declared})::Any = x", "using Dates")(value)
    assert alike(result, value if expected is ... else expected), result


STRUCTS = """
struct Edge
    node::Int
    weight::Float64
end
struct Graph
    name::String
    edges::Vector{Edge}
    next::Union{Nothing,Graph}
end
@enum Color red=1 green=3
const KEPT = Any[]
"""


def test_structs_from_mappings_and_dataclasses(export: Callable) -> None:
    f = export("f(x::Graph)::Any = (x.name, map(e -> e.weight, x.edges), x.next === nothing)", STRUCTS)
    edges = [{"node": 1, "weight": 2.0}, Edge(2, 3.0), Pair(3, 4.0)]
    name, weights, last = f({"name": "g", "edges": edges, "next": None})
    assert (name, list(weights), last) == ("g", [2.0, 3.0, 4.0], True)
    edges[2] = Pair(3, 4)
    for depth in range(3):
        graph: Any = {"name": "g", "edges": edges, "next": None}
        for _ in range(depth):
            graph = {"name": "g", "edges": [], "next": graph}
        with pytest.raises(TypeError) as raised:
            f(graph)
        path = ".next" * depth + ".edges[2].weight"
        assert str(raised.value) == f"f() argument `x`{path}: expected float type, got int"
    loop: dict[str, Any] = {"name": "g", "edges": []}
    loop["next"] = loop
    with pytest.raises(RecursionError, match="more than 500 containers inside each other"):
        f(loop)


def test_structured_arrays_are_shared(export: Callable) -> None:
    dtype = np.dtype([("node", "i8"), ("weight", "f8")])
    write = export("w!(x::Vector{Edge})::Int = (x[1] = Edge(7, 7.5); push!(KEPT, x); x[end].node)", STRUCTS)
    values = np.zeros(3, dtype)
    values["node"][2] = 5
    assert write(values) == 5
    assert values[0].item() == (7, 7.5)
    with pytest.raises(ValueError, match="the function writes into the array, but Julia would get a copy"):
        write(values[::2])
    read = export("f(x::Array{Edge})::Any = (size(x), mapreduce(e -> e.node, +, x; init=0))", STRUCTS)
    assert read(np.zeros((2, 3), dtype)) == ((2, 3), 0)
    assert read(np.asfortranarray(np.zeros((2, 3), dtype))) == ((2, 3), 0)
    assert read(np.zeros(0, dtype)) == ((0,), 0)
    wrong = [[("node", "i8"), ("mass", "f8")], [("node", "i4"), ("weight", "f8")], [("weight", "f8"), ("node", "i8")]]
    for other in [*wrong, {"names": ["node", "weight"], "formats": ["i8", "f8"], "itemsize": 24}]:
        with pytest.raises(TypeError, match="expected an array of a dtype with the layout of"):
            read(np.zeros(2, np.dtype(other)))  # type: ignore[call-overload]


def test_enums_are_int_enums(export: Callable) -> None:
    f = export("f(x::Color)::Color = x", STRUCTS)
    red = f("red")
    assert isinstance(red, enum.IntEnum)
    assert (red.name, red.value, red) == ("red", 1, 1)
    assert f(red) is red is f(Colors.red)
    for again in (pickle.loads(pickle.dumps(red)), copy.deepcopy(red)):
        assert again is red
    assert pickle.loads(pickle.dumps(type(red))) is type(red)
    for wrong, error in ((1, TypeError), ("blue", ValueError), (NotColors.red, ValueError)):
        with pytest.raises(error, match=r"^f\(\) argument `x`: "):
            f(wrong)


class NaTType(datetime.datetime):
    """What the NaT of pandas looks like."""


@pytest.mark.parametrize(
    ("declared", "value", "error", "words"),
    [
        ("Date", datetime.datetime(2020, 1, 1), TypeError, "expected a date, got datetime"),
        ("DateTime", datetime.date(2020, 1, 1), TypeError, "expected a datetime, got date"),
        ("DateTime", datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), ValueError, "has no time zone; pass"),
        ("DateTime", NaTType(2020, 1, 1), ValueError, "argument `x`: NaT has no counterpart in Julia"),
        ("Time", datetime.time(tzinfo=datetime.timezone.utc), ValueError, "has no time zone; pass"),
        ("Minute", datetime.timedelta(seconds=90), ValueError, "0:01:30 is not a whole number of"),
        ("Minute", 3, TypeError, "expected a timedelta, got int"),
        (
            "Vector{DateTime}",
            np.array([0], "M8[ns]"),
            TypeError,
            'got datetime64[ns]; pass `x.astype("datetime64[ms]")`',
        ),
        ("Vector{DateTime}", np.array([0], "M8[D]"), TypeError, "got datetime64[D]; pass"),
        ("Vector{Date}", np.array([0], "M8[s]"), TypeError, 'got datetime64[s]; pass `x.astype("datetime64[D]")`'),
        ("Vector{Date}", np.array([0, "NaT"], "M8[D]"), ValueError, "argument `x`[1]: NaT has no counterpart in Julia"),
    ],
)
def test_dates_that_are_refused(
    export: Callable, declared: str, value: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as raised:
        export(f"f(x::{declared})::Any = x", "using Dates")(value)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("declared", "wanted", "instead"),
    [
        ("Ptr{Cvoid}", "Ptr{Nothing}", "declare `Py`"),
        ("Vector{Module}", "Module", "declare `Py`"),
        ("Tuple{Int,IO}", "IO", "declare `Py`"),
        ("Dict{String,Task}", "Task", "declare `Py`"),
        ("Union{Regex,Type}", "Regex", "declare `Py`"),
        ("UnitRange{Int}", "UnitRange{Int64}", "declare `AbstractVector`"),
        ("typeof(sin)", "typeof(sin)", "declare `Function`"),
        ("NamedTuple", "NamedTuple", "declare `Py`"),
    ],
)
def test_parameters_that_no_call_can_satisfy(contract: Any, declared: str, wanted: str, instead: str) -> None:
    words = refused(f"@export_py f(x::{declared})::Any = x")
    assert f"argument `x` of `f`: no Python object is converted to {wanted}" in words or "Union" in declared
    assert instead in words


def test_a_type_of_the_module_may_get_its_conversion_later(contract: Any) -> None:
    code = "module Late\nusing TyPython.CPython\nstruct Handle; p::Ptr{Cvoid}; end\n@export_py f(x::Handle)::Int = 1\n"
    with pytest.raises(jnumpy.JuliaError, match=r"no Python object is converted to .*Handle"):
        jnumpy.exec_julia(f"{code}end\nLate.Pyfunc(Late.f)")
    late = "CPython.py_coerce(::Type{Handle}, object::Py) = Handle(C_NULL)\n"
    assert jnumpy.eval_julia(f"{code}{late}end\nLate.Pyfunc(Late.f)")(0) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("Set([1, 2])", {1, 2}),
        ('1 => "a"', (1, "a")),
        ('[1 => "a"]', [(1, "a")]),
        ('["a" "b"; "c" "d"]', np.array([["a", "b"], ["c", "d"]], object)),
        ("fill(1//2)", np.array(fractions.Fraction(1, 2), object)),
        ("ones(Complex{Float16}, 1, 2)", np.ones((1, 2), complex).astype(object)),
        ("reshape(Any[[1], 2], 1, 2)", np.array([[None, 2]], object)),
    ],
)
def test_more_results(contract: Any, code: str, expected: object) -> None:
    result = jnumpy.eval_julia(code)
    if code.startswith("reshape"):
        assert (result.dtype, result.shape, list(result[0, 0]), result[0, 1]) == (object, (1, 2), [1], 2)
    else:
        assert alike(result, expected), result


class Interface:
    """An array by `__array_interface__`."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.__array_interface__ = values.__array_interface__


class InterfaceByClass(Interface):
    @property
    def __array_interface__(self) -> Any:
        return self.values.__array_interface__

    @__array_interface__.setter
    def __array_interface__(self, _: object) -> None:
        pass


class Tensor:
    """A tensor by DLPack."""

    device = (1, 0)

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


class DeviceTensor(Tensor):
    device = (2, 0)


def test_memory_of_others_is_shared(export: Callable, tmp_path: Any) -> None:
    f = export("f!(x::Vector{Float64})::Float64 = (x[1] = 9; sum(x))")
    buffer = array.array("d", [1, 2])
    assert f(buffer) == 11
    assert buffer[0] == 9
    raw = bytearray(np.arange(3.0).tobytes())
    assert f(memoryview(raw).cast("d")) == 12
    assert np.frombuffer(raw)[0] == 9
    path = tmp_path / "numbers"
    path.write_bytes(np.arange(4.0).tobytes())
    g = export("f!(x::Vector{UInt8})::Int = (x[1] = 1; length(x))")
    with open(path, "r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert g(mapped) == 32
    assert mapped[0] == 1
    for kind in (InterfaceByClass, Tensor):
        values = np.arange(3.0)
        assert f(kind(values)) == 12
        assert values[0] == 9
    with pytest.raises(TypeError, match="on another device cannot be accessed; copy it to the CPU first"):
        f(DeviceTensor(np.zeros(1)))
    with pytest.raises(ValueError, match="Julia would get a copy"):
        g(b"abc")


def test_data_frames(export: Callable) -> None:
    f = export("f(x::Vector{Float64})::Float64 = sum(x)")
    libraries = {"pandas": None, "polars": None, "pyarrow": "array", "torch": "tensor", "xarray": "DataArray"}
    for library, make in libraries.items():
        try:
            module = importlib.import_module(library)
        except ImportError:
            continue
        made = getattr(module, make or "Series")
        value = made(np.arange(3.0)) if make else made([0.0, 1.0, 2.0])
        assert f(value) == 3, library


def test_callbacks(export: Callable) -> None:
    f = export(
        "function f(g::Function, n::Int)::Float64\ntotal = 0.0\nfor i in 1:n\ntotal += g(Float64(i))::Float64\nend\n"
        "return total\nend"
    )
    assert f(lambda x: x * x, 3) == 14.0
    assert f(math.sqrt, 1) == 1.0
    assert f(lambda x: f(lambda y: x * y, 2), 2) == 9.0

    class OwnError(Exception):
        pass

    for error in (OwnError("mine"), KeyboardInterrupt(), SystemExit(3), StopIteration()):

        def fails(_: float, error: BaseException = error) -> float:
            raise error

        for g in (fails, lambda x, fails=fails: f(fails, 1)):
            with pytest.raises(type(error)) as raised:
                f(g, 2)
            assert raised.value is error
    for result, got in ((1, "int"), (None, "NoneType"), ("a", "str"), ([1.0], "list")):
        with pytest.raises(TypeError, match=f"^result of `g`: expected float type, got {got}"):
            f(lambda _, result=result: result, 1)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (1.5, "Float64"),
        (7, "Int64"),
        (2**70, "BigInt"),
        (True, "Bool"),
        (1j, "Complex{Float64}"),
        ("é", "String"),
        (None, "Nothing"),
        ((1, "a"), "Tuple{Int64, String}"),
        ([1], "Py"),
        ({"a": 1}, "Py"),
        (object(), "Py"),
        (np.float64(1.5), "Float64"),
        (np.float32(1.5), "Float32"),
        (np.int8(3), "Int8"),
        (np.True_, "Bool"),
        ((np.float64(1.5), np.int8(3)), "Tuple{Float64, Int8}"),
        (np.datetime64("2020-01-01"), "Py"),
        (np.array(["a"]), "Py"),
    ],
)
def test_what_a_callback_returns(export: Callable, value: object, seen: str) -> None:
    f = export('f(g::Function)::Any = (y = g(); (replace(string(typeof(y)), r"\\w+\\.|(?<=,)(?! )" => ""), y))')
    kind, result = f(lambda: value)
    assert kind.replace(" ", "").replace("ComplexF64", "Complex{Float64}") == seen.replace(" ", "")
    assert result is value or result == value


@pytest.mark.parametrize(
    ("values", "shared"),
    [
        (np.arange(3.0), True),
        (np.arange(6).reshape(2, 3), True),
        (np.arange(24).reshape(2, 3, 4).astype("c8", order="F"), True),
        (np.array(2.5), True),
        (np.arange(6.0)[::2], False),
        (np.arange(3.0, dtype=">f8"), False),
    ],
    ids=["vector", "C order", "F order", "no dimensions", "strided", "swapped"],
)
def test_arrays_that_a_callback_returns_are_shared(export: Callable, values: np.ndarray, *, shared: bool) -> None:
    f = export(
        "function f(g::Function)::Any\n"
        "for _ in 1:100; g(); end\ny = g()\nGC.gc(false)\nreturn y isa AbstractArray, y\nend"
    )
    before = sys.getrefcount(values)
    is_array, result = f(lambda: values)
    assert is_array
    np.testing.assert_array_equal(result, values)
    assert (result.dtype, result.shape) == (values.dtype.newbyteorder("="), values.shape)
    assert np.shares_memory(result, values) == shared
    del result
    # A value left on Julia's stack may keep the array alive once.
    for _ in range(3):
        jnumpy.exec_julia("GC.gc()")
        export("g()::Nothing = nothing")()
    assert sys.getrefcount(values) <= before


def read_only(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values


@pytest.mark.parametrize(
    ("values", "copied"),
    [
        (read_only(np.arange(3.0)), False),
        (np.arange(3.0), False),
        (read_only(np.arange(6.0).reshape(2, 3)), False),
        (read_only(np.arange(24.0).reshape(2, 3, 4).T), False),
        (read_only(np.arange(6.0)[::2]), True),
        (read_only(np.arange(3, dtype="i2")), True),
    ],
    ids=["vector", "writeable", "C order", "F order", "strided", "integers"],
)
def test_read_only_memory_is_shared_with_what_only_reads(export: Callable, values: np.ndarray, *, copied: bool) -> None:
    f = export("f(x::PyReadOnlyArray{Float64})::Any = (sum(x), size(x), x)")
    nested = export('g(x::Dict{String,PyReadOnlyArray{Float64}})::Any = sum(x["a"])')
    jnumpy.set_copy_policy("error")
    try:
        if copied:
            reason = "it is not contiguous" if values.dtype == float else "is declared"
            with pytest.raises(ValueError, match=f"an array is copied on its way into Julia: .*{reason}"):
                f(values)
            jnumpy.set_copy_policy("allow")
        total, shape, same = f(values)
        assert nested({"a": values}) == total == values.sum()
    finally:
        jnumpy.set_copy_policy("default")
    assert shape == values.shape
    np.testing.assert_array_equal(same, values)
    assert np.shares_memory(same, values) != copied
    # What Julia gives back does not make the memory writeable.
    assert copied or same.flags.writeable == values.flags.writeable


def test_what_only_reads_takes_bytes_and_no_lists(export: Callable) -> None:
    f = export("f(x::PyReadOnlyVector{UInt8})::Int = sum(Int, x)")
    jnumpy.set_copy_policy("error")
    try:
        assert f(b"abc") == f(bytearray(b"abc")) == sum(b"abc")
    finally:
        jnumpy.set_copy_policy("default")
    with pytest.raises(TypeError, match=r"f\(\) argument `x`: expected numpy.ndarray, got list"):
        f([1, 2])
    with pytest.raises(TypeError, match="expected an array for"):
        f(np.ones(3))
    with pytest.raises(jnumpy.JuliaError, match=r"no Python object is converted to .*declare `AbstractVector`"):
        jnumpy.exec_julia("module No\nusing TyPython.CPython\n@export_py f(x::PyReadOnlyVector{String})::Int = 1\nend")


def test_what_only_reads_cannot_be_written_into(export: Callable) -> None:
    # A copy that a function writes into is refused; this one does not write.
    f = export("f!(x::PyReadOnlyVector{Float64}, y::AbstractVector{Float64})::Nothing = (y .= 2 .* x; nothing)")
    x, y = read_only(np.arange(3.0)), np.zeros(3)
    f(x, y)
    assert y.tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(jnumpy.JuliaError):
        export("f(x::PyReadOnlyVector{Float64})::Nothing = (x .= 1; nothing)")(x)
    assert x.tolist() == [0.0, 1.0, 2.0]
    # Elsewhere the same array is copied, as before.
    assert export("f(x::Vector{Float64})::Float64 = (x[1] = 7; x[1])")(x) == 7.0
    assert x[0] == 0.0


def test_the_copy_policy_is_asked_for_what_a_callback_returns(export: Callable) -> None:
    f = export("f(g::Function)::Float64 = sum(g())")
    jnumpy.set_copy_policy("error")
    try:
        assert f(lambda: np.arange(3.0)) == 3.0
        with pytest.raises(ValueError, match="it is not contiguous"):
            f(lambda: np.arange(6.0)[::2])
    finally:
        jnumpy.set_copy_policy("default")


def test_callbacks_take_anything(export: Callable) -> None:
    f = export('f(g::Function)::Any = g(1, 2.5, \'a\', "t", 1//2, nothing, [1.0], Dict("a" => 1); k=3, w="x")')
    arguments, keywords = f(lambda *arguments, **keywords: (arguments, keywords))
    assert arguments[:6] == (1, 2.5, "a", "t", fractions.Fraction(1, 2), None)
    assert (list(arguments[6]), arguments[7], keywords) == ([1.0], {"a": 1}, {"k": 3, "w": "x"})
    assert export("f(g::Function)::Any = map(g, [1.0, 2.0])")(lambda x: x + 1).tolist() == [2.0, 3.0]
    assert export("f(g::Function)::Any = length(g()::Vector{String})")(lambda: ["a", "b"]) == 2
    assert export("f(g::Union{Nothing,Function}=nothing)::Any = g === nothing ? 0 : g(1)::Int")() == 0
    with pytest.raises(jnumpy.JuliaError, match="`f` calls `g`, which needs Python's lock"):
        jnumpy.exec_julia("module No\nusing TyPython.CPython\n@export_py nogil=true f(g::Function)::Int = g()\nend")


def test_containers_that_change_while_they_are_read(export: Callable) -> None:
    values: list[Any] = []

    class Clears:
        def __index__(self) -> int:
            values.clear()
            return 1

    values.extend([1, Clears(), *range(500)])
    assert export("f(x::Vector{Union{Nothing,Int}})::Int = length(x)")(values) == 502
    table: dict[Any, Any] = {}

    class Grows:
        def __index__(self) -> int:
            table[len(table)] = 0
            return 1

    table.update({0: Grows(), 1: Grows()})
    assert export("f(x::Dict{Int,Int})::Int = length(x)")(table) == 2


def exported_methods(definitions: str) -> Any:
    module = f"Methods{abs(hash(definitions))}"
    return jnumpy.eval_julia(
        f"module {module}\nusing TyPython.CPython\n{definitions}\nend\n{module}.Pyfunc({module}.f)"
    )


METHODS = """
"Says which method it is."
@export_py f(x::Int)::String = "Int"
@export_py f(x::Float64)::String = "Float64"
@export_py f(x::Bool)::String = "Bool"
@export_py f(x::BigInt)::String = "BigInt"
@export_py f(x::String)::String = "String"
@export_py f(x::Nothing)::String = "Nothing"
@export_py f(x::Vector{Float64})::String = "Vector{Float64}"
@export_py f(x::AbstractMatrix{Float64})::String = "AbstractMatrix{Float64}"
@export_py f(x::AbstractArray{<:Real})::String = "AbstractArray{<:Real}"
@export_py f(x::Vector{String})::String = "Vector{String}"
@export_py f(x::Dict{String,Int})::String = "Dict"
@export_py f(x::Int, y::Int; k::Int=0)::Tuple{String,Int} = ("two", k)
"""


def test_a_call_picks_the_method_as_julia_does(contract: Any) -> None:
    f = exported_methods(METHODS)
    cases: list[tuple[object, str]] = [
        (1, "Int"),
        (2**70, "BigInt"),
        (1.5, "Float64"),
        (True, "Bool"),
        ("a", "String"),
        (None, "Nothing"),
        (np.ones(2), "Vector{Float64}"),
        (np.ones((2, 2)), "AbstractMatrix{Float64}"),
        (np.ones((2, 2), order="F"), "AbstractMatrix{Float64}"),
        (np.ones(2, "i8"), "AbstractArray{<:Real}"),
        (np.ones((1, 2, 3)), "AbstractArray{<:Real}"),
        (["a"], "Vector{String}"),
        ({"a": 1}, "Dict"),
        (np.float64(1.5), "Float64"),
        (np.int8(1), "Int"),
    ]
    for _ in range(2):
        for value, expected in cases:
            assert f(value) == expected, value
    assert f(1, 2) == ("two", 0)
    assert f(1, y=2, k=3) == ("two", 3)
    for arguments, keywords, given in (
        ((1, 2.0), {}, "(int, float)"),
        ((1j,), {}, "(complex)"),
        (([1],), {}, "(list)"),
        ((1,), {"z": 1}, "(int, z=int)"),
        ((), {}, "()"),
    ):
        with pytest.raises(TypeError) as raised:
            f(*arguments, **keywords)
        assert str(raised.value).startswith(f"f() has no method for {given}; its methods are f(x::")
    assert (f.__name__, f.__doc__) == ("f", "Says which method it is.")
    assert repr(f).endswith(".f with 12 methods>")


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("x::Int, y::Any", "x::Any, y::Int", "`f` is ambiguous for Tuple{Int64,Int64}"),
        ("x::Int8", "x::Int16", "Python cannot tell two methods of `f` apart by their arguments"),
        ("x::Symbol", "x::Char", "Python cannot tell two methods of `f` apart by their arguments"),
        ("x::Vector{String}", "x::Vector{Symbol}", "Python cannot tell two methods of `f` apart by their arguments"),
        (
            "x::Int, y::Int=1",
            "x::Int",
            "two methods of `f` take Tuple{Int64}; Julia would replace the first by the second",
        ),
    ],
)
def test_methods_that_cannot_be_told_apart(contract: Any, first: str, second: str, words: str) -> None:
    with pytest.raises(jnumpy.JuliaError) as raised:
        exported_methods(f"@export_py f({first})::Int = 1\n@export_py f({second})::Int = 2")
    assert words in str(raised.value).replace("Int64, Int64", "Int64,Int64")


def test_arrays_select_the_method_of_their_own_type(contract: Any) -> None:
    kinds = {"Vector{Float64}": "vector", "Matrix{Float64}": "matrix", "Py": "other"}
    f = exported_methods("\n".join(f'@export_py f(x::{T})::String = "{name}"' for T, name in kinds.items()))
    values = (np.ones(2), np.ones(4)[::2], np.ones((2, 2), order="F"), np.ones((2, 2)), [1.0])
    assert [f(value) for value in values] == ["vector", "vector", "matrix", "other", "other"]


def test_a_method_for_the_common_case_resolves_an_ambiguity(contract: Any) -> None:
    f = exported_methods(
        "@export_py f(x::Int, y::Any)::Int = 1\n@export_py f(x::Int, y::Int)::Int = 2\n"
        "@export_py f(x::Any, y::Int)::Int = 3"
    )
    assert [f(1, "a"), f(1, 1), f("a", 1)] == [1, 2, 3]


def test_stubs_of_methods_and_containers(contract: Any, tmp_path: Any) -> None:
    (tmp_path / "manymethods.py").write_text("")
    sys.path.insert(0, str(tmp_path))
    try:
        package = importlib.import_module("manymethods")
        jnumpy.exec_julia(
            "module Many\nusing TyPython.CPython, Dates\n@export_py f(x::Int)::Int = x\n"
            "@export_py f(x::String, n::Int=1)::String = x\n"
            "@export_py g(a::Vector{String}, b::Dict{String,Float64}, c::Set{Int}, d::DateTime; e::Function)::Set{Date}"
            '=1\nfunction init()\nCPython.PACKAGE[] = "manymethods"\n'
            "@export_pymodule many begin\nf = Pyfunc(f)\ng = Pyfunc(g)\nend\nend\n"
            'end\ntry; Many.init(); finally; Many.CPython.PACKAGE[] = ""; end'
        )
        (path,) = jnumpy.write_stubs(package, tmp_path)
        text = Path(path).read_text(encoding="utf-8")
        assert pickle.loads(pickle.dumps(sys.modules["manymethods.many"].f)) is sys.modules["manymethods.many"].f
    finally:
        sys.path.remove(str(tmp_path))
    assert text.count("@overload\n# Julia: ") == 2
    assert "def f(x: SupportsIndex) -> int: ...\n" in text
    assert "def f(x: str, n: SupportsIndex = ...) -> str: ...\n" in text
    for line in (
        "    a: list[str] | tuple[str, ...],",
        "    b: Mapping[str, float | np.floating[Any]],",
        "    c: AbstractSet[SupportsIndex],",
        "    d: datetime,",
        "    e: Callable[..., Any],",
        ") -> set[date]: ...",
    ):
        assert line in text.split("\n"), text
