"""The trait for binary formats also fits Mach-O and PE files, which the packager does not write yet.

The files are those of a wheel with Julia's libraries. The example that reads them implements the packager's own trait.
"""

import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import downloads
import pytest
from paths import REPOSITORY

WHEEL = "ace_jax_coupling==0.2.0"
LIB = "ace_jax_coupling/_lib/lib"
BIN = "ace_jax_coupling/_lib/bin"


@dataclass
class Binary:
    name: str
    floor: str
    #: What is needed, and the file that the loader takes for it: "-" when there is none in the tree.
    needed: dict[str, str]
    #: The entries of the run path, and the directories that they lead to.
    run_path: dict[str, str]


@pytest.fixture(scope="module")
def read_all(cache, tmp_path_factory):
    """Return a function that reads all files of the wheel for a platform."""
    subprocess.run(["cargo", "build", "--quiet", "--package", "jnumpy-elf", "--examples"], cwd=REPOSITORY, check=True)

    def read_all(platform: str) -> dict[str, Binary]:
        directory = tmp_path_factory.mktemp(platform)
        with zipfile.ZipFile(downloads.wheel(WHEEL, cache / "wheels", platform)) as wheel:
            wheel.extractall(directory)
        lines = said(REPOSITORY / "target/debug/examples/foreign_binaries", directory)
        return {
            path: Binary(name, floor, pairs(needed), pairs(run_path)) for path, name, floor, needed, run_path in lines
        }

    return read_all


def said(*command: Path) -> list[list[str]]:
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return [line.split("\t") for line in outcome.stdout.splitlines()]


def pairs(text: str) -> dict[str, str]:
    return dict(part.split("=") for part in text.split(",") if part)


def test_macos(read_all):
    files = read_all("macosx_11_0_arm64")
    assert len(files) == 35
    # The wheel's tag promises the same.
    assert {file.floor for file in files.values()} == {"11.0"}
    assert files[f"{LIB}/julia/JXacdAlp_libjulia-internal.1.13.dylib"] == Binary(
        "@rpath/JXacdAlp_libjulia-internal.1.13.1.dylib",
        "11.0",
        {
            "@rpath/JXacdAlp_libjulia.1.13.1.dylib": f"{LIB}/JXacdAlp_libjulia.1.13.1.dylib",
            "@rpath/libunwind.1.dylib": f"{LIB}/julia/libunwind.1.dylib",
            "@rpath/libz.1.dylib": f"{LIB}/julia/libz.1.dylib",
            "@rpath/libzstd.1.dylib": f"{LIB}/julia/libzstd.1.dylib",
            "/usr/lib/libSystem.B.dylib": "-",
            "/usr/lib/libc++.1.dylib": "-",
            "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation": "-",
        },
        {"@loader_path/": f"{LIB}/julia", "@loader_path/..": LIB},
    )
    # The loader of macOS does not know `$ORIGIN`, so this library loads only after the one that it needs.
    amd = files[f"{LIB}/julia/libamd.3.dylib"]
    assert amd.run_path == {"$ORIGIN": "-"}
    assert amd.needed["@rpath/libsuitesparseconfig.7.dylib"] == "-"


def test_windows(read_all):
    files = read_all("win_amd64")
    assert len(files) == 35
    assert {file.floor for file in files.values()} == {"5.2"}
    assert files[f"{BIN}/libetcouple.dll"] == Binary(
        "libetcouple.dll",
        "5.2",
        {
            "KERNEL32.dll": "-",
            "msvcrt.dll": "-",
            "libgcc_s_seh-1.dll": f"{BIN}/libgcc_s_seh-1.dll",
            "libjulia.dll": f"{BIN}/libjulia.dll",
            "libjulia-internal.dll": f"{BIN}/libjulia-internal.dll",
        },
        {},
    )
    # A library of an artifact needs one of Julia's, which lies in another directory.
    (openspecfun,) = (file for file in files.values() if file.name == "libopenspecfun.dll")
    assert openspecfun.needed["libgfortran-5.dll"] == "-"
