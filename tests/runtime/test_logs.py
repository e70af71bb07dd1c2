"""Julia's log messages in Python's `logging`."""

import logging
from collections.abc import Iterator
from typing import Any

import jnumpy
import pytest
from jnumpy import _progress


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def records(contract: Any) -> Iterator[list[logging.LogRecord]]:
    """Return what `logging` gets while Julia's messages go there."""
    logger, handler = logging.getLogger("julia"), Kept()
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    jnumpy.use_logging(logging.DEBUG)
    yield handler.records
    jnumpy.use_logging(None)
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_levels_names_and_places(records: list[logging.LogRecord]) -> None:
    jnumpy.exec_julia("""
    module Speaks
    speak() = (@debug "a"; @info "b\nc"; @warn "d" x = [1, 2] y = "z"; @error "e" exception = ErrorException("bad"))
    end
    Speaks.speak()
    """)
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("DEBUG", "a"),
        ("INFO", "b\nc"),
        (
            "WARNING",
            'd\n  x = 2-element Vector{Int64}:\n 1\n 2\n  y = "z"'.replace(
                "Vector{Int64}", jnumpy.eval_julia("string(Vector{Int64})")
            ),
        ),
        ("ERROR", "e\n  exception = bad"),
    ]
    assert {record.name for record in records} == {"julia.Main.Speaks"}
    assert {record.lineno for record in records} == {3, 4}


def test_the_level_is_kept(records: list[logging.LogRecord], capsys: pytest.CaptureFixture[str]) -> None:
    jnumpy.use_logging("WARNING")
    jnumpy.exec_julia('@info "no"; @warn "yes"')
    assert [record.getMessage() for record in records] == ["yes"]
    logging.getLogger("julia").setLevel(logging.ERROR)
    jnumpy.exec_julia('@warn "no"')
    assert len(records) == 1
    jnumpy.use_logging(None)
    jnumpy.exec_julia('@warn "printed"')
    assert "printed" in capsys.readouterr().err
    assert len(records) == 1


def test_a_message_with_maxlog_comes_so_often(records: list[logging.LogRecord]) -> None:
    jnumpy.exec_julia('for n in 1:5; @info "some" n maxlog = 2; end')
    assert [record.getMessage() for record in records] == ["some\n  n = 1", "some\n  n = 2"]


def test_tasks_and_threads(records: list[logging.LogRecord]) -> None:
    jnumpy.exec_julia("""
    Threads.@threads for n in 1:20
        @info "task $n"
    end
    wait(@async @info "async")
    """)
    # What other threads left is written before the next call returns.
    jnumpy.exec_julia("nothing")
    wanted = {*(f"task {n}" for n in range(1, 21)), "async"}
    assert {record.getMessage() for record in records} == wanted
    assert len(records) == len(wanted)


def test_what_a_filter_throws_is_raised(records: list[logging.LogRecord]) -> None:
    class Fails(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise KeyError(record.getMessage())

    logger, rule = logging.getLogger("julia.Main"), Fails()
    logger.addFilter(rule)
    try:
        with pytest.raises(KeyError, match="bad"):
            jnumpy.exec_julia('@info "bad"')
    finally:
        logger.removeFilter(rule)
    assert jnumpy.eval_julia("1 + 1") == 2


def test_what_is_no_level_is_refused(contract: Any) -> None:
    with pytest.raises(TypeError):
        jnumpy.use_logging(2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NOISE"):
        jnumpy.use_logging("NOISE")
    with pytest.raises(ValueError, match="0 or greater"):
        jnumpy.use_logging(-5)


# --- progress

LOOP = """
using Logging
for step in 0:4
    @logmsg LogLevel(-1) "fit" progress = step / 4 _id = :fit
end
@info "between"
@logmsg LogLevel(-1) "quiet"
"""


@pytest.fixture
def progress(contract: Any) -> Iterator[None]:
    jnumpy.show_progress()
    yield
    jnumpy.show_progress(False)


def test_progress_is_a_bar_and_the_rest_is_printed(progress: None, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        jnumpy.exec_julia(LOOP)
        said = capsys.readouterr().err
        assert "fit:   0%|" in said
        assert "fit: 100%|" in said
        assert "between" in said
        assert "quiet" not in said


def test_progress_ends_as_its_messages_say(progress: None, capsys: pytest.CaptureFixture[str]) -> None:
    for last in ('"done"', "2"):
        code = '@logmsg LogLevel(-1) "fit" progress = {} _id = :{}\n'
        jnumpy.exec_julia("using Logging\n" + "".join(code.format(value, "open") for value in ("NaN", "nothing", last)))
        # How often a bar is drawn depends on the time.
        assert "fit: 100%|" in capsys.readouterr().err
        assert not _progress._bars


def test_progress_goes_beside_logging(
    progress: None, records: list[logging.LogRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    jnumpy.exec_julia(LOOP)
    assert "fit: 100%|" in capsys.readouterr().err
    assert [record.getMessage() for record in records] == ["between", "quiet"]


def test_progress_is_shown_no_more(contract: Any, capsys: pytest.CaptureFixture[str]) -> None:
    jnumpy.show_progress()
    jnumpy.exec_julia('using Logging; @logmsg LogLevel(-1) "fit" progress = 0.5 _id = :left')
    jnumpy.show_progress(False)
    capsys.readouterr()
    jnumpy.exec_julia(LOOP)
    said = capsys.readouterr().err
    assert "fit" not in said
    assert "between" in said
