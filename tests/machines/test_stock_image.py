"""A wheel with Julia's own image and the project's sources works on a clean machine too, whichever Julia it is."""

import shutil
import subprocess
from pathlib import Path

import pytest
from paths import REPOSITORY

pytestmark = pytest.mark.every_julia

ENVIRONMENT = "/opt/environment"


@pytest.fixture(scope="module")
def wheel(pack, julia, tmp_path_factory):
    """Pack a project without an image of its own."""
    command = [pack, "wheel", "--no-image", "--julia", julia, "--out-dir", tmp_path_factory.mktemp("wheels")]
    packed = subprocess.run([*command, REPOSITORY / "fixtures/kmeans1d"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(packed.stdout.strip())


def test_it_computes_without_julia(machine, wheel, numpy_wheel):
    machine.install(ENVIRONMENT, [wheel, numpy_wheel])
    script = shutil.copy(Path(__file__).with_name("cluster_galaxies.py"), machine.root / "opt")
    outcome = machine.run([f"{ENVIRONMENT}/bin/python", f"/opt/{Path(script).name}"])
    assert outcome.output.splitlines() == [
        "galaxies as int64: 82 numbers in clusters of [7, 2, 36, 25, 9, 3]",
        "galaxies as float32: 82 numbers in clusters of [7, 2, 36, 25, 9, 3]",
        "random: 1500 numbers in clusters of [285, 539, 500, 176]",
    ]
    assert outcome.errors == ""
