"""Julia's log messages in Python's ``logging``."""

from __future__ import annotations

import logging

from jnumpy import _runtime
from jnumpy._dynamic import TYPYTHON


def use(level: int | str | None) -> None:
    """Do what ``jnumpy.use_logging`` documents."""
    number = -1 if level is None else _level(level)
    _runtime.evaluate(f"{TYPYTHON}.log_to_python({number})", False)


def _level(level: int | str) -> int:
    # Checks the type and the name as the standard library does.
    number = logging.Handler(level).level
    if number < 0:
        raise ValueError(f"a level is 0 or greater, got {number}")
    return number


def record(data: bytes) -> None:
    """Handle a record: level, module, file, line, and message, with NUL between them. The runtime calls it.

    A record of progress has the word ``progress``, an identity, a fraction, and a name.
    """
    level, rest = data.decode("utf-8", "replace").split("\0", 1)
    if level == "progress":
        from jnumpy import _progress

        _progress.advance(*rest.split("\0", 2))
        return
    module, file, line, message = rest.split("\0", 3)
    logger = logging.getLogger(f"julia.{module}")
    if logger.isEnabledFor(int(level)):
        logger.handle(logger.makeRecord(logger.name, int(level), file, int(line), message, (), None))
