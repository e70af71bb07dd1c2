"""`jnumpy-pack audit` on wheels that were changed after they were packed."""

import io
import json
import os
import resource
import stat
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest
from test_wheel_format import DIST_INFO, REPOSITORY, pack

COMMAND = Path(os.environ.get("JNUMPY_PACK", REPOSITORY / "target/release/jnumpy-pack")).resolve()
NAME = "sample-1.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


def audit(wheel, *options):
    assert COMMAND.is_file(), f"`{COMMAND}` is missing: build it, or name another with JNUMPY_PACK"
    return subprocess.run([COMMAND, "--quiet", "audit", *options, wheel], capture_output=True, text=True)


def findings(wheel, *options):
    """Return the findings of the audit as `check file: what` lines; its exit status must match."""
    done = audit(wheel, "--json", *options)
    report = json.loads(done.stdout)
    assert report["version"] == 1
    assert report["passed"] == (done.returncode == 0), done.stderr
    assert report["passed"] == all(finding["level"] == "warning" for finding in report["findings"])
    return [f"{finding['check']} {finding['file']}: {finding['what']}" for finding in report["findings"]]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    tree = tmp_path_factory.mktemp("tree")
    (tree / "sample").mkdir()
    (tree / "sample/__init__.py").write_text("def main():\n    print('sample runs')\n")
    (tree / "sample/data").write_bytes(b"data" * 1000)
    return pack(tree, tmp_path_factory.mktemp("dist"))


@pytest.fixture
def changed(good, tmp_path):
    """Write the good wheel again with some files changed (bytes), removed (None) or added."""

    def change(files, mode=0o644, **header):
        wheel = tmp_path / NAME
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as new:
            contents = {name: old.read(name) for name in old.namelist()} | files
            for name, data in contents.items():
                if data is not None:
                    entry = zipfile.ZipInfo(name)
                    entry.external_attr = (stat.S_IFREG | mode) << 16
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    for field, value in header.items():
                        setattr(entry, field, value)
                    new.writestr(entry, data)
        return wheel

    return change


def test_the_wheel_itself_passes(good):
    assert good.name == NAME
    assert findings(good) == []
    done = audit(good)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_another_writer_passes_too(changed):
    assert findings(changed({})) == []


def test_an_edited_file_is_named(changed):
    same_size = findings(changed({"sample/data": b"DATA" * 1000}))
    assert same_size == ["record sample/data: its content does not match its hash in RECORD"]
    shorter = findings(changed({"sample/data": b"data"}))
    assert shorter == ["record sample/data: its size is not the one in RECORD"]


def test_missing_and_extra_files_are_named(changed):
    assert findings(changed({"sample/data": None, "sample/extra": b""})) == [
        "record sample/data: RECORD lists it, but the wheel does not contain it",
        "record sample/extra: RECORD does not list it",
    ]


@pytest.mark.parametrize("name", ["METADATA", "WHEEL", "RECORD"])
def test_a_missing_description_is_named(changed, name):
    said = findings(changed({f"{DIST_INFO}/{name}": None}))
    check = "record" if name == "RECORD" else "metadata"
    assert f"{check} {DIST_INFO}/{name}: it is missing or cannot be read" in said


def test_metadata_of_another_version_is_named(changed):
    text = b"Metadata-Version: 2.4\nName: sample\nVersion: 1.1\n"
    said = findings(changed({f"{DIST_INFO}/METADATA": text}))
    assert f"metadata {DIST_INFO}/METADATA: `Version: 1.1` contradicts the file name or the standard" in said


def test_versions_of_metadata(changed):
    text = "Metadata-Version: {}\nName: sample\nVersion: 1.0\n"
    said = [findings(changed({f"{DIST_INFO}/METADATA": text.format(version)})) for version in ("2.5", "2.6", "3.0")]
    others = [[line for line in found if not line.startswith("record")] for found in said]
    assert others[0] == []
    assert others[1] == [f"metadata {DIST_INFO}/METADATA: its version 2.6 is newer than this audit knows: 2.5"]
    assert "contradicts the file name or the standard" in others[2][0]


def test_findings_that_differ_in_the_file_alone_are_one_line(changed):
    files = {f"sample/extra{number}": b"" for number in range(5)}
    assert len(findings(changed(files))) == 5
    (line,) = audit(changed(files)).stdout.splitlines()
    assert line == (
        "failure: `sample/extra0`, `sample/extra1`, `sample/extra2`, and 2 more files: RECORD does not list it "
        "(installers use RECORD to check and to remove files)"
    )


def test_unsafe_names_are_named_and_escaped(changed):
    said = findings(changed({"../evil": b"", "/etc/evil": b"", "a\x1b[2Jb": b""}))
    assert "zip ../evil: the path `../evil` cannot be in a wheel: it has a part `.` or `..`" in said
    assert "zip /etc/evil: the path `/etc/evil` cannot be in a wheel: it is absolute" in said
    assert any(line.startswith("zip a\\u{1b}[2Jb: ") for line in said)


def test_links_and_odd_modes(changed):
    odd = findings(changed({}, mode=0o664))
    assert odd
    assert all(line.endswith("installers do not keep other modes") for line in odd)
    links = findings(changed({}, external_attr=(stat.S_IFLNK | 0o777) << 16))
    assert links
    assert all("it is a link, a device, or another special file" in line for line in links)


def test_other_features_of_zip_are_refused(changed, tmp_path):
    assert all("it has a comment" in line for line in findings(changed({}, comment=b"hello")))
    extra = findings(changed({}, extra=b"\x55\x54\x05\x00\x01\x00\x00\x00\x00"))
    assert extra
    assert all("extra fields" in line for line in extra)
    bzip2 = findings(changed({"sample/data": b"data" * 1000}, compress_type=zipfile.ZIP_BZIP2))
    assert "zip sample/data: it is compressed by method 12, not stored or deflated" in bzip2
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(changed({}), "a") as archive:
        archive.writestr(archive.namelist()[0], b"")
    assert "zip sample/__init__.py: the archive has this name twice" in findings(tmp_path / NAME)


def test_data_descriptors_are_refused(tmp_path):
    class Pipe(io.BytesIO):
        """A file without `seek`, for which sizes are written behind the data."""

        def seekable(self):
            return False

        def tell(self):
            raise OSError

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as new:
        new.writestr("sample/data", b"data")
    wheel = tmp_path / NAME
    wheel.write_bytes(pipe.getvalue())
    assert any("has its size after its data" in line for line in findings(wheel))


def test_what_is_no_wheel_is_an_error(tmp_path):
    wheel = tmp_path / NAME
    wheel.write_bytes(b"PK" + bytes(1000))
    done = audit(wheel)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be read as a wheel: it is not a zip archive" in done.stderr
    assert audit(tmp_path / "none.whl").returncode == 1


def test_forbidden_directories_are_named(changed):
    wheel = changed({"sample/__init__.py": b"open('/secret/place/x')\n"})
    assert "build-path sample/__init__.py: it names `/secret/place`, times: 1" in findings(
        wheel, "--forbid", "/secret/place"
    )
    assert not any(line.startswith("build-path") for line in findings(wheel))


def hostile(wheel, entries, records, count=None):
    """Write an archive of deflated entries (name, data, claimed size), and of records of them (index, name)."""
    body, places, directory = io.BytesIO(), [], io.BytesIO()
    for name, data, size in entries:
        fields = (20, 0, 8, 0, 33, 0, len(data), size)
        places.append((body.tell(), fields))
        body.write(b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fields, len(name), 0) + name + data)
    for index, name in records:
        offset, fields = places[index]
        directory.write(b"PK\1\2" + struct.pack("<HHHHHHIII", 0x314, *fields))
        directory.write(struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0o100644 << 16, offset) + name)
    count = len(records) if count is None else count
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, directory.tell(), body.tell(), 0)
    wheel.write_bytes(body.getvalue() + directory.getvalue() + end)
    return wheel


def modestly(wheel):
    """Audit with little memory and time; return what was said."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    done = subprocess.run([COMMAND, "audit", wheel], capture_output=True, text=True, preexec_fn=limit, timeout=30)
    assert done.returncode == 1, done
    assert "panicked" not in done.stderr
    return done.stdout + done.stderr


def deflated(size):
    """Return a deflate stream of so many zeros."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return block * (size >> 20) + b"\3\0"


def test_bombs_are_refused(tmp_path):
    wheel = tmp_path / NAME
    large = deflated(3 << 30)
    assert len(large) < 4 << 20
    bomb = hostile(wheel, [(b"sample/bomb", large, 3 << 30)], [(0, b"sample/bomb")])
    assert "`sample/bomb`: its declared size is impossible for its data" in modestly(bomb)
    # The declared size is too small.
    modest = hostile(wheel, [(b"sample/bomb", large, 1000)], [(0, b"sample/bomb")])
    assert "`sample/bomb`: its data does not unpack to the declared size" in modestly(modest)
    # Thirty entries for the data of one file.
    one = [(b"sample/bomb", deflated(256 << 20), 256 << 20)]
    shared = hostile(wheel, one, [(0, b"sample/%d" % number) for number in range(30)])
    assert "its files overlap each other" in modestly(shared)
    # A hundred such files are not unpacked one after the other either.
    many = [(b"sample/%d" % number, one[0][1], 256 << 20) for number in range(100)]
    assert "the declared uncompressed size, 26843545600 bytes, is larger" in modestly(
        hostile(wheel, many, [(number, name) for number, (name, _, _) in enumerate(many)])
    )


def test_counts_are_not_believed(tmp_path):
    wheel = tmp_path / NAME
    entry, record = [(b"sample/data", b"\3\0", 0)], [(0, b"sample/data")]
    assert "its directory is not at the declared position" in modestly(hostile(wheel, entry, record, count=0xFFFF))
    assert "does not have the declared number of entries" in modestly(hostile(wheel, entry, record * 3, count=2))
    many = [(b"sample/%d" % number, b"\3\0", 0) for number in range(60_000)]
    said = modestly(hostile(wheel, many, [(number, name) for number, (name, _, _) in enumerate(many)]))
    assert "RECORD" in said
