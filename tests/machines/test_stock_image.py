"""A wheel with Julia's own image and the project's sources works on a clean machine too, whichever Julia it is."""

import shutil
import subprocess
from pathlib import Path

import pytest
import versions
from paths import REPOSITORY

pytestmark = pytest.mark.every_julia

ENVIRONMENT = "/opt/environment"


@pytest.fixture(scope="module")
def wheel(pack, julia, tmp_path_factory):
    """Pack a project without an image of its own."""
    command = [pack, "wheel", "--no-image", "--julia", julia, "--out-dir", tmp_path_factory.mktemp("wheels")]
    packed = subprocess.run([*command, REPOSITORY / "fixtures/kmeans1d"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(packed.stdout.strip())


@pytest.fixture(scope="module")
def installed(machine, wheel, numpy_wheel):
    """Return the machine with the wheel installed."""
    machine.install(ENVIRONMENT, [wheel, numpy_wheel])
    return machine


def run(machine, name):
    """Run a script of this directory on the machine."""
    script = shutil.copy(Path(__file__).with_name(name), machine.root / "opt")
    return machine.run([f"{ENVIRONMENT}/bin/python", f"/opt/{Path(script).name}"])


def test_it_computes_without_julia(installed):
    outcome = run(installed, "cluster_galaxies.py")
    assert outcome.output.splitlines() == [
        "galaxies as int64: 82 numbers in clusters of [7, 2, 36, 25, 9, 3]",
        "galaxies as float32: 82 numbers in clusters of [7, 2, 36, 25, 9, 3]",
        "random: 1500 numbers in clusters of [285, 539, 500, 176]",
    ]
    assert outcome.errors == ""


def test_four_threads_of_python_call_at_once(installed, version):
    outcome = run(installed, "cluster_in_threads.py")
    if version >= versions.ANY_THREAD:
        assert outcome.output == "4 threads of 4\n"
    else:
        assert outcome.output.startswith("this Julia serves only the thread that started it")
    assert outcome.errors == ""
