"""Iterators in both directions, one value at a time."""

import gc
import itertools
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import jnumpy
import numpy as np
import pytest
from child import succeeds
from refusals import refused


def counted(produced: list[int]) -> Iterator[int]:
    """Yield 0, 1, 2, …, and note what was asked for."""
    for number in itertools.count():
        produced.append(number)
        yield number


# --- Julia's iterators in Python


def test_a_julia_iterator_is_a_lazy_python_iterator(export: Callable) -> None:
    squares = export("squares(n::Int)::Base.Generator = (x^2 for x in 1:n)")
    iterator = squares(10**12)
    assert isinstance(iterator, Iterator)
    assert iter(iterator) is iterator
    assert [next(iterator) for _ in range(3)] == [1, 4, 9]
    assert repr(iterator).startswith("<Julia iterator Base.Generator{UnitRange{Int64}")
    finite = squares(3)
    assert list(finite) == [1, 4, 9]
    assert list(finite) == []
    assert next(finite, "ended") == "ended"
    assert repr(finite) == "<Julia iterator that has ended>"


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("zip(1:2, ['a', 'b'])", [(1, "a"), (2, "b")]),
        ("enumerate([1.5, 2.5])", [(1, 1.5), (2, 2.5)]),
        ("Iterators.filter(isodd, 1:5)", [1, 3, 5]),
        ("Channel{Int}(c -> foreach(i -> put!(c, i), 1:3))", [1, 2, 3]),
        ('eachline(IOBuffer("one\\ntwo"))', ["one", "two"]),
        ('values(Dict(1 => "a"))', ["a"]),
        ("(nothing for _ in 1:2)", [None, None]),
        ("(i for i in Int[])", []),
    ],
)
def test_what_is_iterated(contract: Any, code: str, values: list) -> None:
    assert list(jnumpy.eval_julia(code)) == values


def test_values_are_made_when_they_are_asked_for(export: Callable) -> None:
    produced: list[int] = []
    double = export("double(x::PyIterable{Int})::Any = (2y for y in x)")
    iterator = double(counted(produced))
    assert produced == []
    assert [next(iterator), next(iterator)] == [0, 2]
    assert produced == [0, 1]


def test_an_iterator_shares_arrays(export: Callable) -> None:
    columns = export("columns(x::AbstractMatrix{Float64})::Any = (view(x, :, j) for j in axes(x, 2))")
    matrix = np.asfortranarray(np.ones((2, 3)))
    for number, column in enumerate(columns(matrix)):
        column[:] = number
    np.testing.assert_array_equal(matrix, [[0, 1, 2], [0, 1, 2]])


def test_an_exception_ends_a_julia_iterator(contract: Any) -> None:
    iterator = jnumpy.eval_julia('(x == 3 ? error("third") : x for x in 1:5)')
    assert [next(iterator), next(iterator)] == [1, 2]
    with pytest.raises(RuntimeError, match="third"):
        next(iterator)
    assert list(iterator) == []


def test_an_iterator_that_asks_itself(export: Callable) -> None:
    later: list = []
    through = export("through(x::PyIterable{Int})::Any = (y for y in x)")
    later.append(through(next(later[0]) for _ in range(3)))
    with pytest.raises(ValueError, match="the Julia iterator is already running"):
        next(later[0])


def test_what_has_ended_is_given_back(export: Callable) -> None:
    class Numbers:
        def __iter__(self) -> Iterator[int]:
            return iter([1, 2])

    through = export("through(x::PyIterable{Int})::Any = (y for y in x)")
    numbers = Numbers()
    gone = weakref.ref(numbers)
    iterator = through(numbers)
    assert list(iterator) == [1, 2]
    del numbers
    for _ in range(5):
        jnumpy.exec_julia("GC.gc()")
        gc.collect()
        through([1])
    assert gone() is None
    assert repr(iterator) == "<Julia iterator that has ended>"


def test_an_iterator_is_not_pickled_and_not_made_by_hand(contract: Any) -> None:
    iterator = jnumpy.eval_julia("(i for i in 1:2)")
    with pytest.raises(TypeError, match="cannot pickle 'JuliaIterator' object"):
        pickle.dumps(iterator)
    with pytest.raises(TypeError):
        type(iterator)()


def test_other_values_stay_what_they_were(contract: Any) -> None:
    for code in ("Ref(1)", "sin", "Int", "CartesianIndex(1, 2)"):
        with pytest.raises(TypeError, match="has no counterpart in Python"):
            jnumpy.eval_julia(code)
    assert isinstance(jnumpy.eval_julia("1:3"), np.ndarray)
    assert jnumpy.eval_julia("keys(Dict(1 => 2))") == {1}


# --- Python's iterables in Julia


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0],
        (1.0, 2.0),
        np.array([1.0, 2.0]),
        {1.0: None, 2.0: None},
        map(float, "12"),
        (float(x) for x in (1, 2)),
        itertools.islice(itertools.count(1.0), 2),
    ],
    ids=lambda values: type(values).__name__,
)
def test_anything_that_python_iterates(export: Callable, values: Any) -> None:
    assert export("total(x::PyIterable{Float64})::Float64 = sum(x)")(values) == 3.0


def test_an_iterable_is_iterated_as_far_as_julia_goes(export: Callable) -> None:
    produced: list[int] = []
    numbers = counted(produced)
    first = export("first_of(x::PyIterable{Int}, n::Int)::Vector{Int} = collect(Int, Iterators.take(x, n))")
    assert list(first(numbers, 3)) == [0, 1, 2]
    assert produced == [0, 1, 2]
    assert next(numbers) == 3


def test_a_list_is_iterated_again_and_a_generator_once(export: Callable) -> None:
    twice = export("twice(x::PyIterable{Int})::Tuple{Int,Int} = (sum(x), sum(x))")
    assert twice([1, 2]) == (3, 3)
    lengths = export("lengths(x::PyIterable{Int})::Tuple{Int,Int} = (length(collect(x)), length(collect(x)))")
    assert lengths(iter([1, 2])) == (2, 0)


def test_items_without_a_type_are_python_objects(export: Callable) -> None:
    same = export("same(x::PyIterable)::Any = collect(x)")
    item = object()
    assert same(x for x in (item,))[0] is item
    back = export("back(x::PyIterable)::PyIterable = x")
    numbers = iter([1])
    assert back(numbers) is numbers


@pytest.mark.parametrize(
    ("declared", "value", "words"),
    [
        ("PyIterable{Float64}", 3, "f() argument `x`: expected an iterable, got int"),
        ("PyIterable{Float64}", [1.0, 2], "f() argument `x`[1]: expected float type, got int"),
        ("PyIterable{Vector{String}}", [["a"], ["b", 1]], "f() argument `x`[1][1]: expected str type, got int"),
        ("Vector{PyIterable{Int}}", [[1], 2], "f() argument `x`[1]: expected an iterable, got int"),
        ("Union{Nothing,PyIterable{Int}}", 1.5, "f() argument `x`: expected an iterable, got float"),
    ],
)
def test_errors_name_the_item(export: Callable, declared: str, value: Any, words: str) -> None:
    f = export(f"f(x::{declared})::Nothing = (foreach(y -> y isa PyIterable ? collect(y) : y, x); nothing)")
    with pytest.raises(TypeError) as raised:
        f(value)
    assert str(raised.value) == words


class Interrupting:
    """An iterator that raises a given exception."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __iter__(self) -> Iterator[int]:
        yield 1
        raise self.error


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), StopAsyncIteration(), GeneratorExit()], ids=repr)
def test_exceptions_pass_through_both_ways(export: Callable, error: BaseException) -> None:
    total = export("total(x::PyIterable{Int})::Int = sum(x)")
    through = export("through(x::PyIterable{Int})::Any = (y for y in x)")
    for call in (lambda x: total(x), lambda x: list(through(x)), lambda x: total(through(through(x)))):
        with pytest.raises(type(error)) as raised:
            call(Interrupting(error))
        assert isinstance(error, KeyboardInterrupt) or raised.value is error


def test_a_class_may_lie_about_its_iterator(export: Callable) -> None:
    class Lying:
        def __iter__(self) -> Any:
            return 3

    class Never:
        __iter__ = None

    total = export("total(x::PyIterable{Int})::Int = sum(x)")
    with pytest.raises(TypeError, match="iter"):
        total(Lying())
    with pytest.raises(TypeError, match="expected an iterable, got Never"):
        total(Never())


def test_numbers_and_texts_are_dropped_at_once(export: Callable) -> None:
    class Text(str):
        alive = 0

        def __init__(self, _: str) -> None:
            Text.alive += 1
            assert Text.alive < 3

        def __del__(self) -> None:
            Text.alive -= 1

    total = export("total(x::PyIterable{String})::Int = sum(length, x)")
    assert total(Text("line") for _ in range(1000)) == 4000
    assert Text.alive == 0


@pytest.mark.parametrize("code", ["x -> GC.gc(), xs", "n -> f(GC.gc()) === nothing, 1:30"])
def test_other_objects_are_dropped_when_julia_has_collected_them(export: Callable, code: str) -> None:
    alive = []

    class Thing:
        def __init__(self, *_: object) -> None:
            things.add(self)
            alive.append(len(things))

    things: weakref.WeakSet[Thing] = weakref.WeakSet()
    run = export(f"run(xs::PyIterable, f::Function)::Nothing = foreach({code})")
    run((Thing() for _ in range(30)), Thing)
    assert len(alive) == 30
    assert max(alive) < 10


def test_ctrl_c_and_other_tasks(julia: str) -> None:
    """Ctrl-C ends an endless iterable, and only the task that Python called iterates one."""
    code = (
        "import running, jnumpy, itertools, os, subprocess\n"
        "f, spawned = jnumpy.eval_julia('''module Endless\nusing TyPython.CPython\n"
        "@export_py f(x::PyIterable{Int})::Int = sum(x)\n"
        "@export_py spawned(x::PyIterable{Int})::Int = fetch(Threads.@spawn sum(x))\n"
        "end\n(Endless.Pyfunc(Endless.f), Endless.Pyfunc(Endless.spawned))''')\n"
        "for endless in (itertools.repeat(0), (0 for _ in itertools.count())):\n"
        "    sender = subprocess.Popen(['sh', '-c', f'sleep 0.3; kill -INT {os.getpid()}'])\n"
        "    try: f(endless)\n"
        "    except KeyboardInterrupt: print('stopped')\n"
        "    sender.wait()\n"
        "for _ in range(20):\n"
        "    try: assert spawned([1, 2]) == 3\n"
        "    except RuntimeError as error: assert 'only by the task that Python called' in str(error), error\n"
    )
    assert succeeds(code, julia, JULIA_NUM_THREADS="2") == "stopped\nstopped\n"


def test_several_threads_take_from_one_iterator(julia: str, contract: Any) -> None:
    iterator = jnumpy.eval_julia("(i for i in 1:1000)")
    taken: list[int] = []
    failed: list[BaseException] = []

    def take() -> None:
        try:
            taken.extend(iterator)
        except (RuntimeError, ValueError) as error:
            failed.append(error)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    take()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 1001))
    # Julia before 1.9 refuses the other threads.
    assert all("serves only the thread" in str(error) for error in failed)


# --- errors of definitions


def test_definitions_that_are_refused(contract: Any) -> None:
    for definition, words in {
        "nogil=true f(x::PyIterable{Int})::Int = 1": "`f` calls `x`, which needs Python's lock",
        "nogil=true f(x::Union{Nothing,PyIterable})::Int = 1": "`f` calls `x`, which needs Python's lock",
        "f(x::PyIterable{Ptr{Int}})::Int = 1": "argument `x` of `f`: no Python object is converted to Ptr{Int64}",
    }.items():
        assert words in refused(f"@export_py {definition}")


def test_annotations(export: Callable) -> None:
    f = export("f(x::PyIterable{String})::Channel{Int} = Channel{Int}(1)")
    assert f.__julia_annotations__ == "Iterable[str]\nIterator[int]"
    g = export("g(x::PyIterable)::Base.Generator = (y for y in x)")
    assert g.__julia_annotations__ == "Iterable[Any]\nIterator[Any]"
    assert export("h(x::Py)::Py = x").__julia_annotations__ == "Any\nAny"


def test_methods_that_take_iterables(export: Callable) -> None:
    above = '@export_py kind(x::String)::String = "a text"\n@export_py kind(x::Vector{String})::String = "a list"'
    kind = export('kind(x::PyIterable{String})::String = "an iterable"', above)
    assert [kind("a"), kind(["a"]), kind(x for x in "ab")] == ["a text", "a list", "an iterable"]


def test_an_exported_class_iterates_itself(contract: Any) -> None:
    countdown, own = jnumpy.eval_julia(
        """
        module Countdowns
        using TyPython.CPython
        mutable struct Countdown
            left::Int
        end
        @export_py numbers(self::Countdown)::Any = (i for i in self.left:-1:1)
        @export_pyclass Countdown begin
            __iter__ = numbers
        end
        mutable struct Own
            left::Int
        end
        @export_py next_own(self::Own)::Int = self.left == 0 ? py_throw(:StopIteration, "") : (self.left -= 1)
        @export_pyclass Own begin
            __next__ = next_own
        end
        end
        (Countdowns.Pyclass(Countdowns.Countdown), Countdowns.Pyclass(Countdowns.Own))
        """
    )
    assert list(countdown(3)) == [3, 2, 1]
    iterator = own(3)
    assert iter(iterator) is iterator
    assert list(iterator) == [2, 1, 0]
