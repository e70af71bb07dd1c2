"""Projects as the original JNumPy prescribes them, run unmodified from a source tree that cannot be written to."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from child import run
from paths import FIXTURES

BASIC_INIT = """
from jnumpy import init_jl, init_project

init_jl()
init_project(__file__)

from _basic import jl_int_add, jl_mat_mul
"""

# Loads the module by hand, as JNumPy's oldest examples do; it takes the package's place.
OLD_INIT = """
from jnumpy import init_jl, exec_julia, include_src
import jnumpy as np

init_jl()
include_src("src/basic.jl", __file__)
exec_julia("basic.init()")

from _basic import jl_int_add, jl_mat_mul
assert np.array([1, 2]).sum() == 3
"""

BASIC_JL = """
module basic

using TyPython
using TyPython.CPython
{at_load}

@export_py function int_add(a::Int, b::Int)::Int
    return a + b
end

@export_py function mat_mul(a::StridedArray, b::StridedArray)::StridedArray
    return a * b
end

function init()
    @export_pymodule _basic begin
        jl_int_add = Pyfunc(int_add)
        jl_mat_mul = Pyfunc(mat_mul)
    end
end

precompile(init, ())

end
"""

PROJECT = """
name = "basic"
uuid = "5f6ba1a4-3a0d-44a6-9b3c-91b1f4f3c9a6"
version = "0.1.0"

[deps]
TyPython = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b"
"""

# What `Pkg.add("TyPython")` wrote then; that TyPython is nowhere here.
MANIFEST = """
# This file is machine-generated - editing it directly is not advised

[[TyPython]]
git-tree-sha1 = "3f0b8a0cf0b8a5b7cf2f1c0a6b2f3f6f5d1e4c3b"
uuid = "9c4566a2-237d-4c69-9a5e-9d27b7d0881b"
version = "0.2.7"
"""

USE_BASIC = """
import basic, numpy as np, pickle
x = np.array([[1, 2], [3, 4]]); y = np.array([[3, 4], [2, 1]])
assert basic.jl_int_add(1, 2) == 3
np.testing.assert_array_equal(basic.jl_mat_mul(x, y), [[7, 6], [17, 16]])
import jnumpy
assert jnumpy.eval_julia("basic.int_add(1, 2) + length(names(TyPython.CPython)) > 3")
"""

USE_BENCHES = """
import benches, numpy as np
assert benches.jl_int_add(1, 2) == 3
x = np.arange(6.0).reshape(2, 3)
np.testing.assert_array_equal(benches.jl_mat_mul(x, x.T), x @ x.T)
assert np.shares_memory(benches.jl_convert_array(x), x)
assert benches.jl_convert_complex(1 + 2j) == 1 + 2j
assert benches.jl_convert_string("é") == "é"
"""


def obey_permissions() -> None:
    """Take root's right to write everywhere from this process, and from what it starts."""
    drop_from_bounding_set, dac_override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


def run_read_only(tree: Path, code: str, julia: str) -> None:
    """Run `code` where nothing in `tree` can be written, and check that nothing was."""
    before = sorted(path.relative_to(tree) for path in tree.rglob("*"))
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    probe = f"\ntry: open({str(tree / 'new')!r}, 'w')\nexcept PermissionError: pass\nelse: raise SystemExit('writable')"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TYPY_")}
    environment |= {"PYTHONPATH": str(tree), "TYPY_JL_EXE": julia}
    try:
        outcome = subprocess.run(
            [sys.executable, "-c", code + probe],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            preexec_fn=obey_permissions,
        )
    finally:
        for path in [tree, *tree.rglob("*")]:
            path.chmod(0o755)
    assert outcome.returncode == 0, outcome.stderr
    assert sorted(path.relative_to(tree) for path in tree.rglob("*")) == before


@pytest.mark.parametrize("manifest", [None, MANIFEST], ids=["no manifest", "manifest"])
def test_the_basic_example(julia: str, tmp_path: Path, manifest: str | None) -> None:
    package = tmp_path / "tree/basic"
    (package / "src").mkdir(parents=True)
    (package / "__init__.py").write_text(BASIC_INIT)
    (package / "Project.toml").write_text(PROJECT)
    (package / "src/basic.jl").write_text(BASIC_JL.format(at_load=""))
    if manifest is not None:
        (package / "Manifest.toml").write_text(manifest)
    run_read_only(tmp_path / "tree", USE_BASIC, julia)


def test_an_example_that_includes_its_file(julia: str, tmp_path: Path) -> None:
    package = tmp_path / "tree/basic"
    (package / "src").mkdir(parents=True)
    (package / "__init__.py").write_text(OLD_INIT)
    (package / "src/basic.jl").write_text(BASIC_JL.format(at_load="CPython.init()"))
    run_read_only(tmp_path / "tree", USE_BASIC, julia)


def test_the_talks_functions(julia: str, tmp_path: Path) -> None:
    shutil.copytree(
        FIXTURES / "benches/benches", tmp_path / "tree/benches", ignore=shutil.ignore_patterns("__pycache__")
    )
    run_read_only(tmp_path / "tree", USE_BENCHES, julia)


def test_a_dependency_that_nobody_has_resolved(julia: str, tmp_path: Path) -> None:
    """Julia names the package; what to do is said beside it, unless there is a manifest."""
    package = tmp_path / "lonely"
    (package / "src").mkdir(parents=True)
    (package / "__init__.py").write_text("import jnumpy\njnumpy.init_jl()\njnumpy.init_project(__file__)\n")
    uuid = "d3a1f8c2-0000-4000-8000-0000000000aa"
    (package / "Project.toml").write_text(f'name = "lonely"\n[deps]\nAbsentHere = "{uuid}"\n')
    (package / "src/lonely.jl").write_text("module lonely\nusing AbsentHere\nend\n")
    outcome = run("import lonely", julia, PYTHONPATH=str(tmp_path))
    assert outcome.returncode == 1
    assert "AbsentHere" in outcome.stderr
    assert f"{package} has no manifest" in outcome.stderr
    (package / "Manifest.toml").write_text("")
    outcome = run("import lonely", julia, PYTHONPATH=str(tmp_path))
    assert outcome.returncode == 1
    assert "has no manifest" not in outcome.stderr
