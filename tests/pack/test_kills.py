"""Kill -9 at random moments: no file is incomplete, and the next run succeeds.

The moments come from a seed that is printed; `JNUMPY_TEST_SEED` gives it again.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import FIXTURES

SEED = int(os.environ.get("JNUMPY_TEST_SEED", time.time_ns() % 1_000_000))


@pytest.fixture
def chance():
    print(f"JNUMPY_TEST_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture(autouse=True)
def temporary_files(tmp_path, monkeypatch):
    """Let the killed commands leave their temporary files with the test's own, so that these are removed too."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))


def killed(after: float, *command: str | Path, **variables: str) -> bool:
    """Run a command and kill it after so many seconds; return whether it was still at work then."""
    environment = os.environ | variables
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def timed(*command: str | Path, **variables: str) -> tuple[float, str]:
    """Run a command that has to do its work; return how long it took, and what it printed."""
    started = time.monotonic()
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started, done.stdout


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(image: Path) -> bool:
    """Whether an entry of the cache is what its record says."""
    record = json.loads((image / "image.json").read_text())
    assert record["files"], image
    return all(digest(image / name) == file["sha256"] for name, file in record["files"].items())


def images(home: Path) -> list[Path]:
    """Return what looks like an image in the cache."""
    return [path for path in home.glob("images/*") if path.is_dir() and not path.name.endswith(".partial")]


def test_wheel(pack, julia, small, tmp_path, chance):
    out = tmp_path / "out"
    project, depot = small.sources["jl_one"], str(small.depot)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    command = (pack, "wheel", "--no-image", "--compress", "fast", project, "--out-dir", out, "--julia", julia)
    # The same input gives the same bytes, so there is one right answer; it has been audited.
    seconds, printed = timed(*command, JULIA_DEPOT_PATH=depot)
    wheel = Path(printed.strip())
    right = digest(wheel)
    stopped = 0
    for number in range(30):
        # A wheel of an earlier run does not change, and a new one is complete.
        if number % 2:
            wheel.unlink(missing_ok=True)
        stopped += killed(chance.uniform(0, 1.1 * seconds), *command, JULIA_DEPOT_PATH=depot)
        assert {digest(path) for path in out.rglob("*.whl") if path.parent == out} <= {right}
    assert stopped >= 15
    wheel.unlink(missing_ok=True)
    timed(*command, JULIA_DEPOT_PATH=depot)
    assert digest(wheel) == right
    assert os.listdir(out) == [wheel.name], "a killed run's directory was not removed"
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_wheel_with_a_cached_image(pack, julia, kmeans_wheel, tmp_path, chance):
    home = Path(os.environ.get("JNUMPY_HOME", Path.home() / ".jnumpy"))
    project = FIXTURES / "kmeans1d"
    options = ("--julia", julia, "--cpu-target", "generic", "--python", sys.executable, "--compress", "fast")
    command = (pack, "wheel", project, "--out-dir", tmp_path, "--json", *options)
    seconds, printed = timed(*command)
    packed = json.loads(printed)
    wheel, image = Path(packed["path"]), home / "images" / packed["image"]["key"]
    assert packed["image"]["cached"]
    right = digest(wheel)
    for _ in range(10):
        wheel.unlink(missing_ok=True)
        killed(chance.uniform(0, seconds), *command)
        assert {digest(path) for path in tmp_path.glob("*.whl")} <= {right}
    assert is_whole(image)
    assert json.loads(timed(*command)[1])["image"] == packed["image"]
    assert digest(wheel) == right


def test_packing_bounds_the_cache(pack, julia, kmeans_wheel, tmp_path):
    shared, home = Path(os.environ.get("JNUMPY_HOME", Path.home() / ".jnumpy")), tmp_path / "home"
    options = ("--julia", julia, "--cpu-target", "generic", "--python", sys.executable, "--compress", "fast", "--json")
    command = (pack, "wheel", FIXTURES / "kmeans1d", "--out-dir", tmp_path, *options)
    key = json.loads(timed(*command, "--dry-run")[1])["image"]["key"]
    shutil.copytree(shared / "images" / key, home / "images" / key)
    record = json.loads((home / "images" / key / "image.json").read_text())
    for number in (1, 2):
        old = home / "images" / f"{number:064}"
        old.mkdir()
        (old / "sys.so").write_bytes(b"image")
        files = {"sys.so": {"size": 5, "sha256": "0"}}
        (old / "image.json").write_text(json.dumps(record | {"files": files}))
        os.utime(old / "image.json", (time.time() - 86_400 * number,) * 2)
    # Room for one of the two.
    limit = sum(file["size"] for file in record["files"].values()) + 5
    environment = os.environ | {"JNUMPY_HOME": str(home), "JNUMPY_CACHE_LIMIT": str(limit)}
    done = subprocess.run([*command, "-v"], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["image"]["cached"]
    assert "removed from the cache: 5 bytes for Julia " in done.stderr
    assert sorted(path.name for path in images(home)) == sorted([key, f"{1:064}"])


@pytest.mark.long
def test_a_new_image(pack, julia, small, tmp_path, chance):
    """Killed while the finished image is written, read again and given its name."""
    home, options = tmp_path / "home", ("--cpu-target", "generic", "--julia", julia, "--out-dir", tmp_path / "out")
    command = (pack, "wheel", small.sources["jl_one"], *options)
    environment = os.environ | {"JNUMPY_HOME": str(home), "JULIA_DEPOT_PATH": str(small.depot)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not any(home.glob("images/*/sys.so")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 1))
    process.kill()
    process.wait()
    assert all(is_whole(image) for image in images(home))
    assert not any(tmp_path.glob("out/*.whl"))
    said = timed(pack, "cache", "prune", "--all", "--json", JNUMPY_HOME=str(home))[1]
    assert json.loads(said)["left"] == 0
    assert not [path for path in home.glob("images/*") if path.is_dir()]
