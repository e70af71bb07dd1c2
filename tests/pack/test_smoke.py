"""`jnumpy-pack smoke`: a wheel in a new environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def smoke(pack, kmeans_wheel, tmp_path):
    """Run the command; what it leaves in its directory for temporary files would be seen."""

    def run(*options) -> subprocess.CompletedProcess[str]:
        command = [pack, "--quiet", "smoke", kmeans_wheel, "--python", sys.executable, "--json", *options]
        environment = os.environ | {
            "TMPDIR": str(temporary),
            "TYPY_JL_EXE": "/nonexistent",
            "PYTHONPATH": "/nonexistent",
        }
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    yield run
    assert [path for path in temporary.iterdir() if not path.name.startswith("jnumpy-output-")] == []


CHECK = """
import os, pathlib, socket, sys
import jl_kmeans1d, numpy
assert [name for _, name in socket.if_nameindex()] == ["lo"], "there is a network"
assert list(jl_kmeans1d.jl_cluster(numpy.array([1.0, 2.0, 9.0]), 2)[0]) == [0, 0, 1]
assert "PYTHONPATH" not in os.environ
assert os.fspath(pathlib.Path(jl_kmeans1d.__file__)).startswith(sys.prefix) and "größe " in sys.prefix
"""


def test_a_wheel_that_works(smoke, kmeans_wheel, tmp_path):
    script = tmp_path / "a check.py"
    script.write_text(CHECK)
    done = smoke("--run", script)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["version"], told["wheel"], told["package"]) == (1, kmeans_wheel.name, "jl_kmeans1d")
    assert told["python"] == ".".join(map(str, sys.version_info[:3]))
    assert told["network_cut"]
    assert [name.split()[0] for name in told["dependencies"]] == ["numpy"]
    assert told["peak_memory"] > 50e6
    assert min(told["install_seconds"], told["first_import_seconds"], told["import_seconds"]) > 0
    assert [Path(run["script"]) for run in told["runs"]] == [script]


def test_a_script_that_fails(smoke, tmp_path):
    script = tmp_path / "check.py"
    script.write_text("raise SystemExit('the answer is wrong')")
    done = smoke("--run", script)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "error": {
            "causes": ["the answer is wrong"],
            "kind": "smoke",
            "message": "`jl_kmeans1d` is imported, but a script fails",
            "remedy": None,
        },
        "version": 1,
    }


def test_what_a_wheel_requires_is_not_downloaded(smoke, tmp_path):
    done = smoke("--find-links", tmp_path)
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["message"].endswith(".whl` cannot be installed")
    assert "numpy" in error["causes"][0]
    assert "`--find-links DIR`" in error["remedy"]
