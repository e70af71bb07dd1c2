"""Files that are left out of a wheel, the reasons, and the project's settings for this."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from paths import FIXTURES

FIXTURE = FIXTURES / "kmeans1d"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the fixture, whose settings may be changed."""
    copy = tmp_path / "project"
    shutil.copytree(FIXTURE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def settings(project: Path):
    """Write keys into `[tool.jnumpy]` of the project."""
    path = project / "pyproject.toml"
    before = re.sub(r"\n\[tool\.jnumpy\].*?(?=\n\[|\Z)", "", path.read_text(), flags=re.DOTALL)
    return lambda text: path.write_text(f"{before}\n[tool.jnumpy]\n{text}\n")


@pytest.fixture
def wheel(pack, julia, project, tmp_path):
    """Run `wheel` on the project without an image of its own; most of the tests write none."""

    def run(*options: str, check: bool = True, julia: str | Path = julia) -> subprocess.CompletedProcess[str]:
        command = [
            pack,
            "-q",
            "wheel",
            project,
            "--julia",
            julia,
            "--no-image",
            "--out-dir",
            tmp_path / "out",
            *options,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=check)

    return run


def planned(wheel) -> dict:
    """What the wheel would be."""
    return json.loads(wheel("--dry-run", "--json").stdout)


def names(plan: dict) -> set[str]:
    """The paths below `_jnumpy`."""
    return {file["path"].partition("_jnumpy/")[2] for file in plan["files"]}


def find(plan: dict, name: str) -> list[dict]:
    return [file for file in plan["files"] if file["path"].rsplit("/", 1)[1] == name]


def test_explain(wheel, tmp_path):
    asked = (
        "libopenblas64_.so.0",
        "libm.so.6",
        "libgfortran.so.5",
        "libmpfr.so",
        "runtests.jl",
        "sys.so",
        "bundle.json",
    )
    text = wheel(*(word for name in asked for word in ("--explain", name))).stdout
    stored = r"libopenblas64_-[0-9a-f]{8}\.so\.0`"
    assert re.search(rf"`julia/lib/\S*libopenblas64_\.so\.0`: in: a second name of `julia/lib/\S*{stored}\n", text)
    assert re.search(rf"`julia/lib/\S*{stored}: in: needed by `lib/\S*libcholmod\.so", text)
    chain = "in: needed by `lib/\\S*`, .*needed by Julia's code in the image"
    assert re.search(rf"`julia/lib/\S*libgfortran-[0-9a-f]{{8}}\.so\.5`: {chain}", text)
    assert "`libm.so.6` of the user's system, needed by " in text
    assert re.search(
        r"`julia/share/julia/stdlib/v1\.\d/\w+/test/runtests\.jl`: out: rule `stdlib-tests`: Julia's own tests; "
        r"`include = \[\"stdlib-tests\"\]` in `\[tool\.jnumpy\]` keeps it\n",
        text,
    )
    assert re.search(r"sys\.so`: in: the image\n  without the sections of rule `image-index`: an index", text)
    assert "`bundle.json`: in: says what is inside" in text
    assert not (tmp_path / "out").exists()


def test_explain_of_a_stem(wheel):
    text = wheel("--explain", "libLLVM").stdout
    assert re.search(r"`julia/lib/\S*libLLVM\S*`: in: needed by ", text)


def test_explain_of_nothing(wheel):
    outcome = wheel("--explain", "libnothing.so", check=False)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr == (
        "error: `libnothing.so` is neither in the wheel nor among Julia's libraries, and no rule left it out\n\n"
        "hint: give a file's name, or its path below `_jnumpy`\n"
    )


def test_rules_are_named_with_what_they_left_out(wheel):
    plan = planned(wheel)
    rules = {rule["rule"]: rule for rule in plan["left_out"]}
    assert all(rule["reason"] and rule["files"] > 0 for rule in rules.values())
    assert {"base-sources", "stdlib-sources", "stdlib-tests", "downloads", "z3", "line-editor", "terminal"} <= set(
        rules
    )
    # `using` finds what is in the image by these two files.
    stdlib = {name.split("/stdlib/", 1)[1].split("/", 1)[1] for name in names(plan) if "/stdlib/" in name}
    assert {"Dates/Project.toml", "Dates/src/Dates.jl"} <= stdlib
    assert not any(name.startswith("Dates/src/") and name != "Dates/src/Dates.jl" for name in stdlib)


def test_the_project_has_the_last_word(wheel, settings):
    before = names(planned(wheel))
    settings('exclude = ["julia/share/julia/stdlib/*/Dates/**"]\ninclude = ["debug-builds"]')
    after = planned(wheel)
    gone = before - names(after)
    assert gone
    assert all("/Dates/" in name for name in gone)
    own = [rule for rule in after["left_out"] if rule["rule"] == "julia/share/julia/stdlib/*/Dates/**"]
    assert own[0]["reason"] == "the project excludes it"
    explained = wheel("--explain", "Dates.jl").stdout
    assert (
        "/Dates/src/Dates.jl`: out: `exclude` `julia/share/julia/stdlib/*/Dates/**`: the project excludes it"
        in explained
    )


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        (
            'exclude = ["julia/lib/**/libno*"]',
            "`exclude` of `[tool.jnumpy]` matches nothing: `julia/lib/**/libno*`",
            "patterns are",
        ),
        (
            'include = ["stdlib-test"]',
            "`include` of `[tool.jnumpy]` matches nothing: `stdlib-test`",
            "did you mean `stdlib-tests`?",
        ),
        (
            'exclude = ["julia/**/libjulia.so*"]',
            "`exclude` of `[tool.jnumpy]` leaves out `julia/lib/",
            "also leave out the files that need it",
        ),
        ('exclude = ["a***"]', "`a***` in `[tool.jnumpy]` is not a valid pattern: ", None),
        ('exlude = ["x"]', "has an unknown key in `[tool.jnumpy]`: `exlude`", "did you mean `exclude`?"),
        (
            'libraries = ["native/libno.so"]',
            "`libraries` of `[tool.jnumpy]` names a file that does not exist: `",
            "paths are relative",
        ),
        (
            'libraries = ["libnowhere"]',
            "not found: `libnowhere` (needed by `libraries` of `[tool.jnumpy]`; looked in",
            "in `library-dirs`",
        ),
        (
            'data = { "x.csv" = "no.csv" }',
            "`data` of `[tool.jnumpy]` names a file that does not exist: `",
            "paths are relative",
        ),
    ],
)
def test_settings_that_do_nothing(wheel, settings, text, error, hint):
    settings(text)
    outcome = wheel(check=False)
    assert outcome.returncode == 1
    first, _, rest = outcome.stderr.partition("\n")
    assert error in first
    assert hint is None or hint in rest.partition("hint: ")[2]


def test_own_libraries_and_data(wheel, settings, project, tmp_path):
    """A C library with a dependency of its own, and a file from elsewhere, used by code that runs from the wheel."""
    native = project / "native"
    native.mkdir()
    (native / "deep.c").write_text("int deep(void) { return 40; }")
    (native / "answer.c").write_text("int deep(void); int answer(void) { return deep() + 2; }")
    shared = ["cc", "-shared", "-fPIC", "-g"]
    (native / "deps").mkdir()
    subprocess.run(
        [*shared, native / "deep.c", "-o", native / "deps/libdeep.so.2", "-Wl,-soname,libdeep.so.2"], check=True
    )
    answer = [
        *shared,
        native / "answer.c",
        native / "deps/libdeep.so.2",
        "-o",
        native / "libanswer.so",
        "-Wl,-rpath,/nonexistent",
    ]
    subprocess.run(answer, check=True)
    (project / "tables").mkdir()
    (project / "tables/word.txt").write_text("data")
    settings(
        'package = "jl_kmeans1d"\nlibraries = ["native/libanswer.so"]\nlibrary-dirs = ["native/deps"]\n'
        'data = { "assets" = "tables" }'
    )
    packed = Path(wheel("--compress", "fast").stdout.strip())
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import jl_kmeans1d, jnumpy, pathlib; "
        "word = pathlib.Path(jl_kmeans1d.__file__).with_name('assets') / 'word.txt'; "
        "print(jnumpy.eval_julia('ccall((:answer, \"libanswer\"), Cint, ())'), word.read_text())"
    )
    environment = {"PYTHONPATH": str(tmp_path / "site"), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert outcome.stdout == "42 data\n", outcome.stderr
    sbom = json.loads(zipfile.ZipFile(packed).read("jl_kmeans1d-0.1.0.dist-info/sboms/jnumpy-pack.cdx.json"))
    graph = {node["ref"]: node.get("dependsOn", []) for node in sbom["dependencies"]}
    (own,) = (ref for ref in graph if ref.endswith("libanswer.so"))
    assert any(re.search(r"/libdeep-[0-9a-f]{8}\.so\.2$", needed) for needed in graph[own])
    assert all(needed in graph for needs in graph.values() for needed in needs)
    assert {component["bom-ref"] for component in sbom["components"]} | {
        sbom["metadata"]["component"]["bom-ref"]
    } == set(graph)


def test_platform_on_demand(wheel):
    deserved = planned(wheel)["name"]
    refused = wheel("--platform", "manylinux_2_17", "--dry-run", check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "error: these files need symbols newer than `manylinux_2_17_x86_64` provides: `"
    ), refused.stderr
    assert re.search(r"`\S*lib\S+` needs `(GLIBC|GLIBCXX|CXXABI|GCC)_[\d.]+` of `lib\S+`", refused.stderr)
    assert re.search(r"hint: name `manylinux_2_\d+` or newer", refused.stderr)
    newer = json.loads(wheel("--platform", "manylinux_2_39", "--dry-run", "--json").stdout)["name"]
    assert newer != deserved
    assert newer.endswith("-manylinux_2_39_x86_64.whl")
    for tag, words in [("linux", "`linux` is not a manylinux platform tag"), ("manylinux_2_28_aarch64", "for x86_64")]:
        assert words in wheel("--platform", tag, "--dry-run", check=False).stderr


def test_a_library_stored_three_times_is_packed_once(wheel, julia, tmp_path):
    """A tree whose links have become copies, as an archive without links unpacks."""
    prefix = Path(julia).parent.parent
    copy = tmp_path / "julia"
    subprocess.run(["cp", "-a", prefix, copy], check=True)
    for path in [path for path in copy.glob("lib/**/*.so*") if path.is_symlink()]:
        target = path.resolve()
        path.unlink()
        shutil.copyfile(target, path)
    of_links = planned(wheel)
    of_copies = json.loads(wheel("--dry-run", "--json", julia=copy / "bin/julia").stdout)

    def libraries(plan: dict) -> list[tuple[str, bool]]:
        """Names, and whether it is the library itself; in which directory a copy is found first does not matter."""
        files = [file for file in plan["files"] if "/julia/lib/" in file["path"]]
        return sorted((file["path"].rsplit("/", 1)[1], file["size"] > 10_000) for file in files)

    assert libraries(of_copies) == libraries(of_links)
    assert sum(file["size"] for file in of_copies["files"]) < sum(file["size"] for file in of_links["files"]) + 100_000


# A new function is compiled, and another library that needs a real one has it: curses knows the colors of a terminal.
WITHOUT = """
import curses, numpy, jl_kmeans1d, jnumpy
print(jl_kmeans1d.jl_cluster(numpy.array([1.0, 9.0, 1.5]), 2)[0].tolist())
print(jnumpy.eval_julia('(function (x); s = zero(x); for i in 1:9; s += x / i; end; round(s; digits=3); end)(2.0)'))
curses.setupterm('xterm')
print(curses.tigetnum('colors'))
"""


def test_what_only_a_compiler_is_linked_to_is_not_there_and_not_missed(wheel, tmp_path):
    packed = Path(wheel("--compress", "fast").stdout.strip())
    with zipfile.ZipFile(packed) as archive:
        entries = {info.filename.rsplit("/", 1)[1]: info.file_size for info in archive.infolist()}
        archive.extractall(tmp_path / "site")
    small = {name: size for name, size in entries.items() if name.startswith("no-")}
    # An official Julia's LLVM needs none of them.
    assert all(size < 20_000 for size in small.values())
    real = {"lib" + name.removeprefix("no-") for name in small}
    assert not real & entries.keys()
    assert not any(name.startswith(("libicu", "libbsd.", "libmd.")) for name in entries)
    julia = tmp_path / "site/jl_kmeans1d/_jnumpy/julia"
    (llvm,) = [path for path in julia.rglob("libLLVM*.so*") if path.stat().st_size > 1_000_000]
    dynamic = subprocess.run(["readelf", "-dW", llvm], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
    assert small.keys() <= needed
    assert not real & needed
    explained = wheel(*(word for name in real for word in ("--explain", name))).stdout if real else ""
    assert len(re.findall(r"lib\S+`: out: rule `[a-z0-9-]+`: .* keeps it\n", explained)) == len(real), explained
    for code in (WITHOUT, WITHOUT.replace("import curses, ", "import ").replace("jnumpy\n", "jnumpy, curses\n", 1)):
        # Every symbol is looked for at once.
        environment = {"PYTHONPATH": str(tmp_path / "site"), "LD_BIND_NOW": "1", "HOME": "/nonexistent"}
        outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert (outcome.stdout, outcome.stderr) == ("[0, 1, 0]\n5.658\n8\n", "")


def fill(home: Path, count: int) -> Path:
    """A cache of small images."""
    images = home / "images"
    for number in range(count):
        entry = images / f"{number:064}"
        entry.mkdir(parents=True)
        for part in range(50):
            (entry / f"part{part}").write_bytes(b"x" * 1000)
        (entry / "sys.so").write_bytes(b"image")
        record = {"version": 8, "julia": "1.5.3", "cpu_target": "generic", "statements": 1, "stubs": {}}
        files = {"sys.so": {"size": 5, "sha256": "0"}}
        (entry / "image.json").write_text(
            json.dumps(record | {"warnings": [], "unused": [], "packages": [], "files": files})
        )
        os.utime(entry / "image.json", (time.time() - 86_400 * number - 3600,) * 2)
    return images


def test_cache_commands(pack, tmp_path):
    images = fill(tmp_path, 5)

    def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"JNUMPY_HOME": str(tmp_path)}
        return subprocess.run([pack, "cache", *words], capture_output=True, text=True, env=environment, check=check)

    assert run("dir").stdout == f"{images}\n"
    listing = json.loads(run("size", "--json").stdout)
    assert (listing["size"], listing["limit"], len(listing["images"])) == (25, 10 << 30, 5)
    ages = [image["age"] for image in listing["images"]]
    assert ages == sorted(ages)
    assert "25 bytes in 5 images" in run("size").stderr
    assert "used 4 days ago" in run("size").stdout
    assert run("prune", check=False).returncode == 2
    assert "expected a whole number of bytes" in run("prune", "--max-size", "5GB", check=False).stderr
    # An entry of another version of the command cannot be used, so it is removed with the first entry that is removed.
    (images / ("f" * 64)).mkdir()
    (images / ("f" * 64) / "image.json").write_text('{"version": 1}')
    pruned = json.loads(run("prune", "--older-than", "3", "--json").stdout)
    assert not (images / ("f" * 64)).exists()
    assert (len(pruned["removed"]), pruned["left"]) == (2, 15)
    assert "5 bytes freed, 10 left" in run("prune", "--max-size", "12").stderr
    assert "10 bytes freed, 0 left" in run("prune", "--all").stderr
    assert list(images.iterdir()) == []


def test_a_killed_prune_leaves_no_half_image(pack, tmp_path):
    environment = os.environ | {"JNUMPY_HOME": str(tmp_path)}
    killed = 0
    for attempt in range(50):
        images = fill(tmp_path / str(attempt), 6)
        environment["JNUMPY_HOME"] = str(tmp_path / str(attempt))
        process = subprocess.Popen([pack, "-q", "cache", "prune", "--all"], env=environment, stdout=subprocess.DEVNULL)
        time.sleep(attempt * 0.0002)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        for entry in images.iterdir():
            if entry.is_dir() and not entry.name.endswith(".partial"):
                assert len(list(entry.iterdir())) == 52, "a half image under a whole one's name"
        subprocess.run([pack, "-q", "cache", "prune", "--all"], env=environment, stdout=subprocess.DEVNULL, check=True)
        assert list(images.glob("*.partial")) == []
        assert [path for path in images.iterdir() if path.is_dir()] == []
    assert killed > 10
