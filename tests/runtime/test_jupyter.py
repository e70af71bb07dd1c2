"""A real Jupyter kernel: what Julia prints, shows and raises reaches the notebook, and the stop button stops it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import child
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel

LIMIT = 120


@dataclass
class Shown:
    """What a notebook shows below a cell."""

    text: str = ""
    errors: str = ""
    result: dict[str, str] = field(default_factory=dict)
    exception: tuple[str, str] | None = None


@dataclass
class Notebook:
    """A kernel and the client that sends it cells."""

    manager: KernelManager
    client: Any

    def run(self, cell: str, stop_after: str | None = None) -> Shown:
        """Run a cell; press the stop button when the text `stop_after` is shown."""
        shown = Shown()

        def show(message: dict[str, Any]) -> None:
            nonlocal stop_after
            content = message["content"]
            match message["msg_type"]:
                case "stream" if content["name"] == "stdout":
                    shown.text += content["text"]
                case "stream":
                    shown.errors += content["text"]
                case "execute_result":
                    shown.result = content["data"]
                case "error":
                    shown.exception = (content["ename"], content["evalue"])
            if stop_after is not None and stop_after in shown.text:
                stop_after = None
                time.sleep(1)
                self.manager.interrupt_kernel()

        self.client.execute_interactive(cell, output_hook=show, timeout=LIMIT)
        return shown


@pytest.fixture(scope="module")
def notebook(julia: str) -> Iterator[Notebook]:
    """Lend a notebook whose kernel has started Julia."""
    manager, client = start_new_kernel(startup_timeout=LIMIT, env=child.environment(julia))
    lent = Notebook(manager, client)
    try:
        assert lent.run("import running, _running, jnumpy\n%load_ext jnumpy").exception is None
        yield lent
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_output_of_both_languages_in_order(notebook: Notebook) -> None:
    cell = "for turn in range(3):\n    print('Python', turn)\n    jnumpy.exec_julia(f'println(\"Julia \", {turn})')"
    expected = [f"{language} {turn}" for turn in range(3) for language in ("Python", "Julia")]
    assert notebook.run(cell).text.splitlines() == expected


def test_a_megabyte_and_stderr(notebook: Notebook) -> None:
    shown = notebook.run("%%julia\nforeach(_ -> println('x'^1000), 1:1000)\n@warn \"careful\"\nnothing")
    assert shown.text.count("x") == 1_000_000
    assert "careful" in shown.errors


def test_results_and_exceptions(notebook: Notebook) -> None:
    assert notebook.run("%julia [1, 2]").result["text/plain"].startswith(("array([1, 2])", "2-element"))
    shown = notebook.run("%julia sqrt(-1.0)")
    assert shown.exception is not None
    assert "DomainError" in " ".join(shown.exception)
    assert notebook.run("1 + 1").result["text/plain"] == "2"


@pytest.mark.parametrize("function", ["allocating", "asleep", "waiting", "asking_nogil"])
def test_the_stop_button(notebook: Notebook, function: str) -> None:
    # A call keeps Python's lock, which the kernel's own threads need to send the text.
    cell = f"import time\nprint('started', flush=True)\ntime.sleep(0.5)\n_running.{function}()"
    shown = notebook.run(cell, stop_after="started")
    assert shown.exception is not None
    assert shown.exception[0] == "KeyboardInterrupt"
    assert notebook.run("1 + 1").result["text/plain"] == "2"
