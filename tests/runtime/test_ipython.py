"""IPython: the magics, what they display, completion and help."""

import re
from typing import Any

import jnumpy
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from jnumpy import _reload
from paths import REPOSITORY


@pytest.fixture
def shell(contract: Any) -> InteractiveShell:
    """Return a shell with the extension; `contract` has started Julia."""
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "jnumpy")
    return shell


def ran(shell: InteractiveShell, cell: str) -> Any:
    outcome = shell.run_cell(cell)
    outcome.raise_error()
    return outcome.result


def transcript() -> list[tuple[str, str]]:
    """Return the cells on the page, and what each displays."""
    page = (REPOSITORY / "docs/notebooks.md").read_text()
    blocks = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    cells = []
    for part in re.split(r"^In \[\d+\]: ", "".join(blocks), flags=re.MULTILINE)[1:]:
        code, *displayed = re.split(r"^Out\[\d+\]:", part, flags=re.MULTILINE)
        cells.append((re.sub(r"^   \.\.\.: ", "", code, flags=re.MULTILINE).strip(), "".join(displayed).strip()))
    return cells


def test_the_transcript_on_the_page(shell: InteractiveShell, version: tuple[int, int]) -> None:
    cells = transcript()
    assert len(cells) == 10
    for code, displayed in cells:
        value = ran(shell, code)
        shown = "" if value is None else repr(value)
        if version < (1, 6):
            displayed = displayed.replace("{String, Int64}", "{String,Int64}")
        assert shown == displayed, code


def test_variables_that_do_not_exist_are_named(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_cell("%%julia -i nowhere\n1")
    assert "`-i nowhere`: Python has no variable `nowhere`" in "".join(capsys.readouterr())
    shell.run_cell("%%julia -o neither\n1")
    assert "`-o neither`: Julia's `Main` has no variable `neither`" in "".join(capsys.readouterr())


def test_errors_are_exceptions(shell: InteractiveShell) -> None:
    outcome = shell.run_cell("%julia sqrt(-1.0)")
    assert isinstance(outcome.error_in_exec, ValueError)
    assert isinstance(outcome.error_in_exec, jnumpy.JuliaError)
    with pytest.raises(jnumpy.JuliaError):
        ran(shell, "%%julia\n(1 +")


def test_completion_and_help(shell: InteractiveShell) -> None:
    ran(shell, '%%julia\n"Adds `one`."\nadds_one(x) = x + 1\nnothing')
    ran(shell, "from jnumpy import Main")
    for jedi in (True, False):
        shell.Completer.use_jedi = jedi
        with provisionalcompleter():
            (found,) = shell.Completer.completions("Main.adds_o", len("Main.adds_o"))
        assert "Main.adds_o"[: found.start] + found.text == "Main.adds_one"
    assert shell.object_inspect("Main.adds_one")["docstring"] == "Adds `one`."
    assert jnumpy.Base.sum.getdoc().lstrip().startswith("sum(")
    assert jnumpy.Main.seval("Any[1]").getdoc() is None


def test_projects_are_reloaded_before_a_cell(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(_reload, "run", lambda package: calls.append(package) or ["a.jl"])
    assert ran(shell, "%julia_reload") == ["a.jl"]
    ran(shell, "%julia_reload auto")
    ran(shell, "%julia_reload auto")
    assert len(calls) == 2
    ran(shell, "1")
    assert len(calls) == 3
    ran(shell, "%julia_reload off")
    ran(shell, "1")
    assert len(calls) == 4
    assert isinstance(shell.run_cell("%julia_reload often").error_in_exec, UsageError)
