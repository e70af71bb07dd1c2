"""TyPython's unit tests, which Julia runs without Python."""

import subprocess

from paths import REPOSITORY


def test_the_units_of_typython(julia):
    project = REPOSITORY / "runtime/python/jnumpy/julia/TyPython"
    script = REPOSITORY / "tests/typython/runtests.jl"
    options = ["--startup-file=no", "--compiled-modules=no", "--compile=min", "-O0"]
    run = subprocess.run(
        [julia, *options, f"--project={project}", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    assert "proofs that an entry does not throw" in run.stdout
