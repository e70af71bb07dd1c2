"""A packed wheel in worker processes: the programs of docs/many-machines.md, also when a worker is killed."""

import os
import signal
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import pages
import psutil
import pytest
import sites
from paths import REPOSITORY

PAGE = REPOSITORY / "docs/many-machines.md"

#: Tool → what to install for it.
TOOLS = {
    "pool": [],
    "joblib": ["joblib"],
    "dask": ["distributed"],
    "ray": ["ray==2.*"],
    "mpi": ["mpi4py==4.*", "openmpi==5.*"],
}
#: The tools whose packages are large or that start slowly.
LONG = {"ray", "mpi"}

#: What the tools say of a killed worker. The others get the result all the same.
ERRORS = {"joblib": "TerminatedWorkerError", "mpi": "signal 9"}

SETTINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def parameters(tools) -> list:
    return [pytest.param(tool, marks=pytest.mark.long) if tool in LONG else tool for tool in tools]


@pytest.fixture(scope="module")
def python(kmeans_wheel, tmp_path_factory) -> Path:
    """Return the Python of an environment with the wheel; tests add the tools."""
    return sites.environment(tmp_path_factory.mktemp("environment"), kmeans_wheel, f"numpy=={version('numpy')}")


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """Return the directory of the page's programs."""
    place = tmp_path_factory.mktemp("programs")
    for name, text in pages.files(PAGE).items():
        (place / name).write_text(text)
    return place


@pytest.fixture(scope="module")
def expected(python, programs) -> float:
    """Return the result of one process that does all the work."""
    code = "from work import spread; print(sum(spread(seed) for seed in range(24)))"
    return float(subprocess.check_output([python, "-c", code], cwd=programs, env=environment(python), text=True))


def environment(python: Path) -> dict[str, str]:
    """Return the variables of the programs, which find the commands of the environment."""
    return sites.variables(PATH=f"{python.parent}:{os.environ['PATH']}", **SETTINGS)


def start(tool: str, python: Path, programs: Path) -> subprocess.Popen:
    """Start the program of a tool, which is installed first."""
    needed = [name if "==" in name else f"{name}=={version(name)}" for name in TOOLS[tool]]
    if needed:
        sites.pip_install(python, *needed)
    command = [python, f"with_{tool}.py"]
    if tool == "mpi":
        command = ["mpirun", "-n", "2", *command]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=programs, env=environment(python), stdout=pipe, stderr=pipe, text=True)


def workers(program: subprocess.Popen) -> list[psutil.Process]:
    """Return the processes below a program in which Julia runs."""

    def has_julia(process: psutil.Process) -> bool:
        try:
            return any("/_jnumpy/julia/" in area.path for area in process.memory_maps())
        except psutil.Error:
            return False

    return list(filter(has_julia, psutil.Process(program.pid).children(recursive=True)))


@pytest.mark.parametrize("tool", parameters(ERRORS))
def test_two_workers_give_the_result_of_one_process(python, programs, expected, tool):
    program = start(tool, python, programs)
    output, errors = program.communicate(timeout=300)
    assert (program.returncode, float(output)) == (0, pytest.approx(expected)), errors


@pytest.mark.parametrize("tool", parameters(TOOLS))
def test_a_worker_is_killed(python, programs, expected, tool):
    program = start(tool, python, programs)
    while len(found := workers(program)) < 2:
        assert program.poll() is None, program.communicate()
        time.sleep(0.05)
    found[0].send_signal(signal.SIGKILL)
    output, errors = program.communicate(timeout=300)
    if tool in ERRORS:
        assert program.returncode != 0
        assert ERRORS[tool] in errors
    else:
        assert program.returncode == 0, errors
        assert pytest.approx(expected) in [float(line) for line in output.splitlines() if line[:1].isdigit()]


@pytest.mark.long
def test_actors_of_ray_get_their_array(python, programs):
    program = start("ray", python, programs)
    output, errors = program.communicate(timeout=300)
    assert program.returncode == 0, errors
    assert output.splitlines()[-1] == "[0.5 9. ] [0.5 9. ]"
