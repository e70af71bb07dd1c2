"""Stubs: the annotations for each type. A type checker accepts correct programs and reports wrong ones."""

import ast
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import jnumpy
import pytest
from paths import PROJECTS
from type_checker import mypy, wrong_lines

MARK = "# Written by jnumpy.write_stubs: edit the Julia source instead."


@pytest.fixture(scope="module")
def typed(contract, tmp_path_factory):
    """Return a directory with the contract project as a user would install it, stub included."""
    site = tmp_path_factory.mktemp("typed")
    (site / "contract").mkdir()
    shutil.copy(PROJECTS / "contract/__init__.py", site / "contract")
    (site / "contract/py.typed").touch()
    assert jnumpy.write_stubs("contract", site / "contract") == [str(site / "contract/_contract.pyi")]
    return site


@pytest.fixture(scope="module")
def stub(typed):
    return (typed / "contract/_contract.pyi").read_text()


@pytest.mark.parametrize(
    "line",
    [
        "def none(x: None) -> None: ...",
        "def bool(x: _bool | np.bool_) -> _bool: ...",
        "def int(x: SupportsIndex) -> _int: ...",
        "def bigint(x: SupportsIndex) -> _int: ...",
        "def float32(x: _float | np.floating[Any]) -> _float: ...",
        "def any_complex(x: _complex | np.complexfloating[Any, Any]) -> _complex: ...",
        "def text(x: str) -> str: ...",
        "def pair(x: tuple[SupportsIndex, str]) -> tuple[str, _int]: ...",
        "def optional(x: SupportsIndex | None) -> _int | None: ...",
        "def object(x: Any) -> Any: ...",
        "def seen_as(x: NDArray[Any]) -> tuple[Any, ...]: ...",
        "def float_matrix(x: NDArray[np.float64]) -> NDArray[np.float64]: ...",
        "def reals(x: NDArray[np.floating[Any] | np.integer[Any] | np.bool_]) -> _float: ...",
        "def kept_total() -> _float: ...",
        "def warmer(x: Any) -> Any: ...",
        "def two_kinds() -> _int | str | None: ...",
        "def texts() -> list[str]: ...",
        "def counts() -> dict[str, _int]: ...",
        "def third() -> Fraction: ...",
        "def prime(_1: SupportsIndex, /, b: SupportsIndex = ...) -> _int: ...",
        "version: _int",
        "# `bang!` is not a valid name in Python: `getattr(module, 'bang!')`",
    ],
)
def test_each_type_has_its_counterpart(stub, line):
    assert line in stub.splitlines()


def test_keywords_and_docstrings(stub):
    assert (
        "def with_defaults(\n    a: SupportsIndex,\n    b: _float | np.floating[Any] = ...,\n    *,\n"
        "    n: SupportsIndex = ...,\n    label: str | None = ...,\n) -> tuple[Any, ...]: ...\n"
    ) in stub
    assert (
        "# Julia: Contract.int_add(a::Int64, b::Int64)::Int64\n"
        "def int_add(a: SupportsIndex, b: SupportsIndex) -> _int:\n"
        '    """Adds two numbers.\n\n        int_add(1, 2)\n    """\n'
    ) in stub
    assert '    """Says \\"\\"\\"quoted\\"\\"\\" and \\\\alpha, and ends with \\""""\n' in stub


def test_docstrings_survive_the_quoting(stub, contract):
    texts = {item.name: ast.get_docstring(item) for item in ast.parse(stub).body if isinstance(item, ast.FunctionDef)}
    for name in ("quotes", "int_add"):
        assert texts[name] == inspect.getdoc(getattr(contract, name))


RIGHT = """\
import numpy as np
from numpy.typing import NDArray
from contract import _contract as c

a: int = c.int_add(1, b=np.int8(2))
b: float = c.float(np.float32(0.5))
d: str | int | None = c.two_kinds()
x: NDArray[np.float64] = c.float_vector(np.zeros(3))
e: float = c.reals(np.arange(3)) + c.reals(np.zeros(3, np.float32))
f: bool = c.bool(np.True_)
g: str = c.pair((1, "a"))[0]
c.with_defaults(1, 2.0, n=3, label="x")
c.with_defaults(1)
if (h := c.optional(None)) is not None:
    a = h + c.version
"""

WRONG = """\
import numpy as np
from contract import _contract as c

c.int_add(1.0, 2)  # wrong
c.int_add(1)  # wrong
c.int_add(1, 2, 3)  # wrong
c.int_add(1, c=2)  # wrong
c.int_add(1, "2")  # wrong
c.float("1")  # wrong
c.text(b"bytes")  # wrong
c.pair([1, "a"])  # wrong
c.pair((1, "a", 2))  # wrong
c.vector([1.0])  # wrong
words = np.array(["a"], np.str_)
c.float_vector(words)  # wrong
numbers = np.zeros(3, np.complex128)
c.reals(numbers)  # wrong
c.with_defaults(1, 2.0, 3)  # wrong
c.optional(None) + 1  # wrong
c.no_such_function()  # wrong
c.int_add(1, 2).upper()  # wrong
c.none(None)
"""


def test_a_right_program_is_accepted(typed):
    assert mypy(typed, RIGHT) == (set(), "Success: no issues found in 1 source file\n")


def test_the_right_program_runs(contract):
    exec(compile(RIGHT, "program.py", "exec"), {})


def test_wrong_calls_are_refused(typed):
    faults, said = mypy(typed, WRONG)
    assert faults == wrong_lines(WRONG), said


def test_the_stub_itself_is_accepted(typed):
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", typed / "cache", "contract/_contract.pyi"]
    outcome = subprocess.run(command, cwd=typed, capture_output=True, text=True)
    assert outcome.stdout == "Success: no issues found in 1 source file\n"


def test_writing_again_changes_nothing(contract, tmp_path):
    (path,) = jnumpy.write_stubs(sys.modules["contract"], tmp_path)
    first = Path(path).read_bytes()
    assert jnumpy.write_stubs("contract", str(tmp_path)) == [path]
    assert Path(path).read_bytes() == first
    assert [item.name for item in tmp_path.iterdir()] == ["_contract.pyi"]


def test_a_stub_of_somebody_else_is_left_alone(contract, tmp_path):
    theirs = tmp_path / "_contract.pyi"
    theirs.write_text("def mine() -> None: ...\n")
    with pytest.raises(FileExistsError) as raised:
        jnumpy.write_stubs("contract", tmp_path)
    assert str(raised.value) == (
        f"{theirs} was not written by `write_stubs` and is left as it is; move it away, or name another directory"
    )
    assert theirs.read_text() == "def mine() -> None: ...\n"


@pytest.mark.parametrize(
    ("package", "directory", "error", "words"),
    [
        (7, None, TypeError, "write_stubs() argument `package`: expected a module or its name, got int"),
        ("no_such_package", None, ModuleNotFoundError, "No module named 'no_such_package'"),
        ("json", None, ValueError, "`json` exports no Julia module: it has to call `jnumpy.init_project(__file__)`"),
        ("contract", "/no/such/place", FileNotFoundError, "/no/such/place is not a directory: stubs are written into"),
        ("contract", "/proc", OSError, "the stub cannot be written: "),
    ],
)
def test_what_cannot_be_written_is_named(contract, package, directory, error, words):
    with pytest.raises(error) as raised:
        jnumpy.write_stubs(package, directory)
    assert words in str(raised.value)


def test_the_mark_is_the_first_line(stub):
    assert stub.startswith(f"{MARK}\n# At run time, arguments must have exactly the declared types")
