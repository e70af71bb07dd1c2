"""`jnumpy-pack doctor`: what this machine has and lacks."""

import json
import os
import subprocess

import fake_julias
import pytest


@pytest.fixture
def doctor(pack, tmp_path):
    """Run the command on a machine with nothing on `PATH` but what a test puts there."""

    def run(*arguments: str, prefix: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "JNUMPY_HOME": str(tmp_path / "home")}
        command = ["/bin/sh", "-c", f'{prefix} exec "$@"', "sh", pack, "doctor", *arguments]
        return subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=False)

    (tmp_path / "bin").mkdir()
    return run


def test_a_machine_with_nothing(doctor):
    done = doctor("--json")
    assert done.returncode == 1
    assert done.stderr.startswith("error: this machine lacks something that packing needs: julia, linker")
    told = json.loads(done.stdout)
    assert done.stdout == json.dumps(told, indent=2, sort_keys=True) + "\n"
    assert (told["version"], told["ready"]) == (1, False)
    checks = {check["name"]: check for check in told["checks"]}
    assert "no Julia found" in checks["julia"]["found"]
    assert "`jnumpy-pack julia install`" in checks["julia"]["remedy"]
    assert "C compiler" in checks["linker"]["remedy"]
    assert checks["python"]["result"] == "warning"
    assert checks["cache"]["found"].startswith("0 bytes in 0 images in ")


def test_a_machine_with_all(doctor, tmp_path):
    fake_julias.install(tmp_path / "home", "official-1.10.4", "1.10.4")
    for name, says in (("cc", "cc 12.2.0"), ("python3", "3 11")):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\necho {says}\n")
        program.chmod(0o755)
    done = doctor(prefix="ulimit -v 8000000;", TMPDIR=os.environ.get("TMPDIR", "/tmp"))
    lines = {line.split()[1]: line for line in done.stdout.splitlines()}
    program = tmp_path / "home/julia/official-1.10.4/bin/julia"
    assert lines["julia"] == f"ok       julia            1.10.4 at {program} (installed as official-1.10.4)"
    assert lines["linker"] == "ok       linker           cc 12.2.0"
    assert lines["python"] == "ok       python           python3"
    assert lines["address-space"].startswith("warning  address-space    limited to 8,192,000,000 bytes; ")
    assert "failed" not in "".join(line for name, line in lines.items() if name != "runtime")
