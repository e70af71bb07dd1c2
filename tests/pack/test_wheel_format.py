"""Other tools accept the wheels of the packager: zipfile, wheel, pip, twine, and packaging."""

import base64
import csv
import hashlib
import io
import os
import random
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.utils import parse_wheel_filename
from paths import REPOSITORY

DIST_INFO = "sample-1.0.dist-info"


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


def pack(directory, out, threads=2, **variables):
    """Wheel of a directory, written by the example that does nothing else."""
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"} | variables
    cargo = ["cargo", "run", "--quiet", "--package", "jnumpy-wheel", "--example", "pack_directory", "--"]
    return Path(run(*cargo, directory, out, 6, threads, cwd=REPOSITORY, env=environment).strip())


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Files of every kind: empty, small, large, incompressible, executable, oddly named."""
    root = tmp_path_factory.mktemp("tree")
    noise = random.Random(1)
    files = {
        "sample/__init__.py": b"def main():\n    print('sample runs')\n",
        "sample/empty": b"",
        'sample/größe, "quoted" name.txt': "größe\n".encode() * 1000,
        "sample/image.so": b"".join(
            noise.choice([b"mov ", b"call", b"\0" * 9, noise.randbytes(4)]) for _ in range(900_000)
        ),
        "sample/noise": noise.randbytes(3_000_000),
        "sample/mixed": b"\0" * 1_500_000 + noise.randbytes(2_500_000) + b"text" * 500_000,
        "sample/exactly_one_block": b"\1" * (1 << 20),
        "sample/tool": b"#!/bin/sh\n",
    }
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    (root / "sample/tool").chmod(0o700)
    return root


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory):
    return pack(tree, tmp_path_factory.mktemp("dist"))


def test_zipfile_reads_every_byte(tree, wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        assert archive.comment == b""
        for path in (path for path in tree.rglob("*") if path.is_file()):
            assert archive.read(str(path.relative_to(tree))) == path.read_bytes(), path


def test_headers_are_what_an_index_wants(wheel):
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert len(set(names)) == len(names)
    assert names[-1] == f"{DIST_INFO}/RECORD"
    package = [name for name in names if not name.startswith(DIST_INFO)]
    assert names[: len(package)] == sorted(package, key=str.encode)
    for entry in entries:
        executable = entry.filename == "sample/tool"
        assert entry.external_attr >> 16 == stat.S_IFREG | (0o755 if executable else 0o644)
        assert entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        assert entry.flag_bits == 0x800
        assert entry.create_system == 3
        assert entry.extra == b""
        assert entry.comment == b""
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert entry.compress_size <= entry.file_size * 1.001
    stored = {entry.filename for entry in entries if entry.compress_type == zipfile.ZIP_STORED}
    assert {"sample/noise", "sample/empty"} <= stored
    assert "sample/mixed" not in stored


def test_record_is_true(wheel):
    with zipfile.ZipFile(wheel) as archive:
        rows = list(csv.reader(io.StringIO(archive.read(f"{DIST_INFO}/RECORD").decode(), newline="")))
        assert [row[0] for row in rows] == archive.namelist()
        assert rows[-1][1:] == ["", ""]
        for name, digest, size in rows[:-1]:
            data = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(data))), name


def test_packaging_parses_the_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = Metadata.from_email(archive.read(f"{DIST_INFO}/METADATA"), validate=True)
        tags = {line[5:] for line in archive.read(f"{DIST_INFO}/WHEEL").decode().splitlines() if line[:5] == "Tag: "}
    assert metadata.metadata_version == "2.4"
    assert metadata.author == "Ω Group"
    assert metadata.author_email == '"J. Doe" <doe@example.org>'
    assert metadata.license_expression == "MIT OR Apache-2.0"
    assert metadata.license_files == ["LICENSE"]
    assert [str(needed) for needed in metadata.requires_dist] == [
        "numpy>=1.21",
        'matplotlib; python_full_version < "3.13" and extra == "plot"',
    ]
    assert metadata.description == "# Sample\n\nOf a wheel.\n"
    name, version, _, from_name = parse_wheel_filename(wheel.name)
    assert (name, str(version)) == ("sample", "1.0")
    assert {str(tag) for tag in from_name} == tags


def test_twine_accepts_it(wheel):
    run(sys.executable, "-m", "twine", "check", "--strict", wheel)


def test_wheel_unpacks_it(wheel, tmp_path):
    run(sys.executable, "-m", "wheel", "unpack", wheel, "--dest", tmp_path)


def test_pip_installs_it(tree, wheel, tmp_path):
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", tmp_path, wheel)
    for path in (path for path in tree.rglob("*") if path.is_file()):
        installed = tmp_path / path.relative_to(tree)
        assert installed.read_bytes() == path.read_bytes()
        assert bool(installed.stat().st_mode & 0o111) == (path.name == "tool")
    command = [sys.executable, tmp_path / "bin/sample"]
    assert run(*command, env=os.environ | {"PYTHONPATH": str(tmp_path)}) == "sample runs\n"


def test_same_bytes_whatever_the_threads_and_the_umask(tree, wheel, tmp_path):
    before = os.umask(0o077)
    try:
        again = pack(tree, tmp_path, threads=7)
    finally:
        os.umask(before)
    assert again.read_bytes() == wheel.read_bytes()
    assert stat.S_IMODE(again.stat().st_mode) == 0o600


def test_source_date_epoch_is_every_time_stamp(tree, tmp_path):
    stamped = pack(tree, tmp_path, SOURCE_DATE_EPOCH="1709208896")
    with zipfile.ZipFile(stamped) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2024, 2, 29, 12, 14, 56)}
        assert b"2024-02-29T12:14:56Z" in archive.read(f"{DIST_INFO}/sboms/jnumpy-pack.cdx.json")
