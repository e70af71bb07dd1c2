"""Exported functions that Python awaits; imported when the first one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine

    from jnumpy._runtime import JuliaFunction, JuliaMethod

_COPIED = (
    "__name__",
    "__qualname__",
    "__module__",
    "__doc__",
    "__annotations__",
    "__julia_name__",
    "__julia_parameters__",
    "__julia_result__",
    "__julia_annotations__",
)

#: Seconds between two times that an event loop lets Julia's tasks run.
_PAUSE = 0.01

#: The calls that run, or will run, in some thread. A call that never starts is removed.
_running: WeakSet[object] = WeakSet()

#: The event loops that let Julia's tasks run.
_serving: WeakSet[AbstractEventLoop] = WeakSet()


def awaitable(function: JuliaFunction | JuliaMethod, cancellation: Any) -> Callable[..., Coroutine]:
    """Return a coroutine function that calls an exported function in a thread of the event loop's executor.

    `cancellation` is the class of what tells the call that it was cancelled.
    """

    async def call(*arguments: Any, **keywords: Any) -> Any:
        import asyncio

        cancelled = cancellation()
        _running.add(cancelled)

        def run() -> Any:
            try:
                cancelled.begin_call()
                return function(*arguments, **keywords)
            finally:
                cancelled.end_call()
                _running.discard(cancelled)

        loop = asyncio.get_running_loop()
        if loop not in _serving:
            _serving.add(loop)
            loop.call_later(_PAUSE, _serve, loop, cancellation.serve_tasks)
        try:
            return await asyncio.to_thread(run)
        except asyncio.CancelledError:
            # The thread continues until Julia code checks for the cancellation.
            cancelled.cancel_call()
            raise

    for name in _COPIED:
        setattr(call, name, getattr(function, name))
    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call


def _serve(loop: AbstractEventLoop, serve_tasks: Callable[[], None]) -> None:
    """Let Julia's tasks run from time to time while calls are running."""
    if _running:
        serve_tasks()
        loop.call_later(_PAUSE, _serve, loop, serve_tasks)
    else:
        _serving.discard(loop)


def awaited(value: Any) -> JuliaFunction | JuliaMethod | None:
    """Return the exported function that a coroutine function calls; ``None`` for any other object."""
    return getattr(value, "__wrapped__", None) if hasattr(value, "__julia_name__") else None
