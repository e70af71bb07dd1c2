"""`jnumpy-pack julia install --from debian`: a real installation from the Debian mirror that this machine's apt uses.

Needs a Debian machine (apt, dpkg, ldd), its mirror, and 2 GB in the temporary directory.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from paths import REPOSITORY

COMMAND = Path(os.environ.get("JNUMPY_PACK", REPOSITORY / "target/release/jnumpy-pack")).resolve()
# The libraries of the machine that a Julia from Debian's packages uses.
FROM_THE_MACHINE = {
    "linux-vdso.so.1", "ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0",
    "librt.so.1", "libresolv.so.2", "libutil.so.1", "libstdc++.so.6", "libgcc_s.so.1", "libz.so.1",
}  # fmt: skip
INSTALL = ("install", "--from", "debian")
INSTALL_YOURSELF = (
    "hint: install Julia in another way (juliaup, or an official archive), "
    "then name it with `--julia PATH` or put it on `PATH`\n"
)


def environment(home: Path, **extra: str) -> dict[str, str]:
    """This process's environment with no Julia in it but those of `home`."""
    path = [part for part in os.environ["PATH"].split(":") if not Path(part, "julia").exists()]
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("JULIA_", "LD_", "TYPY_", "JNUMPY_"))
    }
    return kept | {"PATH": ":".join(path), "JNUMPY_HOME": str(home)} | extra


def run(home: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    assert COMMAND.is_file(), f"`{COMMAND}` is missing: build it, or name another with JNUMPY_PACK"
    return subprocess.run(
        [COMMAND, "julia", *arguments],
        env=environment(home, **extra),
        capture_output=True,
        text=True,
        check=False,
    )


def start(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "julia", *INSTALL],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def work_in_progress(home: Path) -> list[Path]:
    return list(home.glob("julia/.tmp-*"))


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with one installed Julia. Tests only read it."""
    home = tmp_path_factory.mktemp("home")
    result = run(home, *INSTALL)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{home}/julia/debian-1.5.3/bin/julia\n"
    assert "Julia 1.5.3: installed" in result.stderr
    assert not work_in_progress(home)
    return home


@pytest.fixture(scope="session")
def prefix(installed: Path) -> Path:
    return installed / "julia/debian-1.5.3"


def test_a_second_run_does_nothing_and_says_so(installed: Path, prefix: Path) -> None:
    before = (prefix / "jnumpy-julia.json").stat().st_ino
    result = run(installed, *INSTALL)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{prefix}/bin/julia\n"
    assert result.stderr == "Julia 1.5.3: already installed, nothing to do\n"
    assert (prefix / "jnumpy-julia.json").stat().st_ino == before


def test_find_and_list_show_it(installed: Path, prefix: Path) -> None:
    assert run(installed, "find").stdout == f"{prefix}/bin/julia\n"
    found = json.loads(run(installed, "find", "--json").stdout)
    row = {
        "executable": f"{prefix}/bin/julia",
        "julia_version": "1.5.3",
        "libjulia": f"{prefix}/lib/x86_64-linux-gnu/libjulia.so.1.5",
        "origin": "installed as debian-1.5.3",
        "prefix": str(prefix),
        "problem": None,
    }
    assert found == {"version": 1, "julia": row}
    listed = run(installed, "list", "--json").stdout
    assert json.loads(listed) == {"version": 1, "julias": [row]}
    assert listed == json.dumps(json.loads(listed), indent=2, sort_keys=True) + "\n"


def test_it_runs_from_another_place(prefix: Path, tmp_path: Path) -> None:
    moved = tmp_path / "a place, é" / "julia"
    shutil.copytree(prefix, moved, symlinks=True)
    program = """
        using LinearAlgebra, SparseArrays, LibGit2, Random
        @assert inv([2.0 0.0; 0.0 4.0]) == [0.5 0.0; 0.0 0.25]
        @assert big(2)^100 == parse(BigInt, "1267650600228229401496703205376")
        @assert startswith(Sys.STDLIB, abspath(Sys.BINDIR, ".."))
        print(Sys.BINDIR)
    """
    result = subprocess.run(
        [moved / "bin/julia", "--startup-file=no", "-e", program],
        env=environment(tmp_path, JULIA_DEPOT_PATH=str(tmp_path / "depot")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, str(moved / "bin")), result.stderr


def test_every_library_is_found_in_the_tree_or_is_the_machines(prefix: Path) -> None:
    record = json.loads((prefix / "jnumpy-julia.json").read_text())
    assert len(record["files"]) > 50
    links = [path for path in (prefix / "lib").rglob("*.so*") if path.is_symlink()]
    # A link is another name to be opened by, with another directory to look from.
    for opened in [prefix / name for name in record["files"]] + links:
        result = subprocess.run(["ldd", opened], env=environment(prefix), capture_output=True, text=True, check=False)
        if result.returncode != 0:
            assert "not a dynamic executable" in result.stderr, f"{opened}: {result.stderr}"
        for line in result.stdout.splitlines():
            library, _, place = line.strip().partition(" => ")
            name = Path(library.split()[0]).name
            known = name in FROM_THE_MACHINE or library == "statically linked"
            assert known or place.startswith(str(prefix)), f"{opened}: {line}"


def test_the_record_names_packages_files_and_licenses(prefix: Path) -> None:
    record = json.loads((prefix / "jnumpy-julia.json").read_text())
    assert (record["version"], record["source"], record["julia"]) == (1, "debian", "1.5.3")
    assert not {"libc6", "libstdc++6", "libgcc-s1", "zlib1g"} & record["packages"].keys()
    assert set(record["files"].values()) <= record["packages"].keys()
    assert record["files"]["lib/x86_64-linux-gnu/libjulia.so.1.5"] == "libjulia1"
    for package in record["packages"].values():
        assert "opyright" in (prefix / package["license"]).read_text(errors="replace")
    binaries = {
        str(path.relative_to(prefix))
        for directory in ("bin", "lib")
        for path in (prefix / directory).rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert binaries == record["files"].keys()


def test_a_killed_run_leaves_nothing_that_is_found(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(lambda: list(tmp_path.glob("julia/.tmp-*/prefix/bin/julia")))
    process.kill()
    process.communicate()
    assert work_in_progress(tmp_path)
    result = run(tmp_path, "find")
    assert (result.returncode, result.stdout) == (1, "")
    assert "no Julia found, looked in: `TYPY_JL_EXE` (not set); " in result.stderr
    assert f"`{tmp_path}/julia`" in result.stderr
    assert "hint: `jnumpy-pack julia install` installs one" in result.stderr
    assert json.loads(run(tmp_path, "list", "--json").stdout) == {"version": 1, "julias": []}

    # Now two installations at once: one cleans up and installs, and the other waits and has nothing to do.
    processes = [start(tmp_path), start(tmp_path)]
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    said = sorted(stderr.splitlines()[-1] for _, stderr in ends)
    assert said == ["Julia 1.5.3: already installed, nothing to do", "Julia 1.5.3: installed"]
    assert any("left by an installation that was killed" in stderr for _, stderr in ends)
    assert any("waiting for another installation" in stderr for _, stderr in ends)
    assert not work_in_progress(tmp_path)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(lambda: list(tmp_path.glob("julia/.tmp-*/apt-0/state/lists/partial/*")))
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (130, "")
    assert stderr == "error: interrupted; no partly written files were left\n"
    assert not work_in_progress(tmp_path)


def apt_configuration(directory: Path, sources: str) -> str:
    """A configuration for apt whose only sources file holds `sources`; returns its path."""
    (directory / "parts").mkdir()
    (directory / "test.list").write_text(sources)
    (directory / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{directory}/test.list";\nDir::Etc::sourceparts "{directory}/parts";\n'
    )
    return str(directory / "apt.conf")


def test_no_debian_mirror(tmp_path: Path) -> None:
    sources = "deb http://vendor.invalid/debian bookworm stable\n# deb http://debian.invalid/debian bookworm main\n"
    result = run(tmp_path, *INSTALL, APT_CONFIG=apt_configuration(tmp_path, sources))
    assert (result.returncode, result.stdout) == (1, "")
    error = "error: no apt source of this machine is a mirror of Debian's `main`\n"
    assert result.stderr == f"{error}\n{INSTALL_YOURSELF}"
    assert not work_in_progress(tmp_path)


def test_a_mirror_out_of_reach(tmp_path: Path) -> None:
    sources = "deb http://user:secret@127.0.0.1:9/debian bookworm main\n"
    result = run(tmp_path, *INSTALL, APT_CONFIG=apt_configuration(tmp_path, sources), http_proxy="")
    assert (result.returncode, result.stdout) == (1, "")
    mirror = "`http://127.0.0.1:9/debian` (Failed to fetch http://127.0.0.1:9/debian/"
    start = f"error: no Debian mirror of this machine delivers `julia` of `bullseye`: {mirror}"
    assert result.stderr.startswith(start), result.stderr
    assert "connect" in result.stderr
    assert "secret" not in result.stderr
    assert not work_in_progress(tmp_path)


def test_a_machine_without_apt(tmp_path: Path) -> None:
    result = run(tmp_path, *INSTALL, PATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    message = "error: `dpkg` is not installed: the source `debian` needs Debian's apt and dpkg\n"
    assert result.stderr == f"{message}\n{INSTALL_YOURSELF}"
