"""Exported functions that Python awaits: Julia 1.9 and later run them in threads, older ones refuse the definition."""

import asyncio
import inspect
import pickle
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any

import jnumpy
import numpy as np
import pytest
import versions
from jnumpy import _stubs
from refusals import refused

MODULE = """
module Awaited
using TyPython.CPython

"Add two numbers."
@export_py async=true add(a::Int, b::Int=1)::Int = a + b

const ENTERED = Threads.Atomic{Int}(0)
@export_py async=true function meet(number::Int)::Int
    Threads.atomic_add!(ENTERED, 1)
    while ENTERED[] < number
        check_signals()
    end
    return Threads.threadid()
end

@export_py async=true function until_set(flag::Vector{Float64})::Float64
    while flag[1] == 0
        check_signals()
    end
    return flag[1]
end

@export_py async=true function until_cancelled(flag::Vector{Float64})::Nothing
    flag[1] = 1
    try
        while true
            check_signals()
        end
    catch failure
        flag[1] = failure isa InterruptException ? 2 : 3
        rethrow()
    end
end

@export_py async=true fails(x::Int)::Float64 = throw(DomainError(x))
@export_py async=true sleeps()::Int = (sleep(0.05); 1)
@export_py async=true spawns()::Int = fetch(Threads.@spawn 2)

@export_py async=true kind(x::Int)::String = "an integer"
@export_py async=true kind(x::String)::String = "a text"

mutable struct Counter
    count::Int
end
@export_py async=true advance(self::Counter, by::Int)::Int = self.count += by
@export_pyclass Counter begin
    count, advance
end

init() = @export_pymodule _awaited begin
    add = Pyfunc(add)
    Counter = Pyclass(Counter)
end
end
Awaited.init()
"""
NAMES = ("add", "meet", "until_set", "until_cancelled", "fails", "sleeps", "spawns", "kind")


@pytest.fixture(scope="module")
def awaited(contract: Any, version: tuple[int, int, int]) -> Callable[[Callable[[Any], Awaitable]], Any]:
    """Return a function that runs a test in an event loop, with the exported functions; an old Julia refuses them."""
    if version < versions.ANY_THREAD:

        def is_refused(test: Callable[[Any], Awaitable]) -> None:
            words = "`f` has `async=true`, which needs Julia 1.9 or later; this is "
            assert words in refused("@export_py async=true f()::Int = 1")

        return is_refused
    jnumpy.exec_julia(MODULE)
    functions = types.SimpleNamespace(**{name: jnumpy.eval_julia(f"Awaited.Pyfunc(Awaited.{name})") for name in NAMES})
    return lambda test: asyncio.run(asyncio.wait_for(test(functions), 100))


def test_a_call_gives_an_awaitable(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        waiting = f.add(2, b=3)
        assert inspect.iscoroutine(waiting)
        assert await waiting == 5
        assert await asyncio.gather(*(f.add(n) for n in range(100))) == list(range(1, 101))

    awaited(test)


def test_calls_run_at_the_same_time(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        # Each returns only when both have begun.
        threads = await asyncio.gather(f.meet(2), f.meet(2))
        assert len({1, *threads}) == 3

    awaited(test)


def test_the_event_loop_goes_on(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        flag = np.zeros(1)
        task = asyncio.create_task(f.until_set(flag))
        for _ in range(10):
            await asyncio.sleep(0.01)
            assert not task.done()
        flag[0] = 7
        assert await task == 7.0

    awaited(test)


def test_a_cancelled_call_learns_of_it(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        flag = np.zeros(1)
        task = asyncio.create_task(f.until_cancelled(flag))
        while flag[0] == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while flag[0] == 1:
            await asyncio.sleep(0.01)
        assert flag[0] == 2
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(f.until_cancelled(flag), 0.1)
        # The thread is used again, and nothing of the cancellation is left.
        assert await asyncio.gather(*(f.until_set(np.ones(1)) for _ in range(20))) == [1.0] * 20

    awaited(test)


def test_exceptions(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        with pytest.raises(ValueError, match="DomainError") as raised:
            await f.fails(3)
        assert isinstance(raised.value, jnumpy.JuliaError)
        assert "fails" in raised.value.backtrace
        with pytest.raises(TypeError, match=r"^add\(\) argument `a`: expected int type, got str"):
            await f.add("1")
        with pytest.raises(TypeError, match=r"add\(\) missing"):
            await f.add()
        found = await asyncio.gather(f.add(1), f.fails(1), return_exceptions=True)
        assert found[0] == 2
        assert isinstance(found[1], ValueError)

    awaited(test)


def test_julia_code_that_waits(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        assert await asyncio.gather(f.sleeps(), f.spawns(), f.sleeps()) == [1, 2, 1]
        # After a pause in which nothing was awaited.
        await asyncio.sleep(0.05)
        assert await f.sleeps() == 1

    awaited(test)


def test_methods(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        assert [await f.kind(1), await f.kind("a")] == ["an integer", "a text"]
        counter = jnumpy.eval_julia("Awaited.Counter(1)")
        assert await counter.advance(2) == counter.count == 3
        with pytest.raises(TypeError, match="expected int type"):
            await counter.advance(1.5)

    awaited(test)


def test_what_a_function_says_of_itself(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        assert inspect.iscoroutinefunction(f.add)
        assert str(inspect.signature(f.add)) == "(a: Int64, b: Int64 = 1) -> Int64"
        assert (f.add.__name__, f.add.__module__, f.add.__doc__) == ("add", "_awaited", "Add two numbers.")
        assert f.add.__annotations__["return"] is int
        assert pickle.loads(pickle.dumps(f.add)) is f.add
        stub = _stubs._Stub(sys.modules["_awaited"]).text()
        assert "\nasync def add(a: SupportsIndex, b: SupportsIndex = ...) -> int:\n" in stub
        assert "\n    async def advance(self, by: SupportsIndex) -> int: ...\n" in stub

    awaited(test)


def test_definitions_that_are_refused(awaited: Callable) -> None:
    async def test(f: Any) -> None:
        for definition, words in {
            "async=true f(g::Function)::Int = 1": "needs Python's lock (GIL); omit `async=true`",
            "async=1 f()::Int = 1": "unknown option `async = 1`; the options are `nogil=true` and `async=true`",
        }.items():
            assert words in refused(f"@export_py {definition}")

    awaited(test)
