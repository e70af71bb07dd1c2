"""One set of cases for both finders: `jnumpy-pack julia find` and the runtime must find the same Julia, or none."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import fake_julias
import pytest
from paths import TESTS

CASES = json.loads((TESTS / "support/julia_cases.json").read_text())
JULIAUP = {
    "Default": "release",
    "InstalledVersions": {
        "1.10.4+0.x64.linux.gnu": {"Path": "./julia-1.10.4+0"},
        "1.11.2+0.x64.linux.gnu": {"Path": "./julia-1.11.2+0", "BinaryPath": None},
    },
    "InstalledChannels": {
        "1.10": {"Version": "1.10.4+0.x64.linux.gnu"},
        "lts": {"Version": "1.10.4+0.x64.linux.gnu"},
        "release": {"Version": "1.11.2+0.x64.linux.gnu"},
        "alias": {"Target": "+release"},
        "mine": {"Command": "{root}/real/1.9.4/bin/julia", "Args": []},
    },
    "Overrides": [],
    "Settings": {},
}
RUNTIME = "import sys; from jnumpy import _find; print(_find.find().executable)"


def build(root: Path, machine: list[dict]) -> None:
    """Put what a case has on its machine below `root`."""
    for thing in machine:
        match thing:
            case {"julia": prefix, **options} if "installed" not in thing:
                version = re.fullmatch(r"(?:.*/)?(?:julia-)?([^/+]+)(?:\+0)?", prefix)[1]
                fake_julias.write(root / prefix, version, **options)
            case {"launcher": path, "of": version}:
                program = fake_julias.write(root / f"real/{version}", version)
                greeting = f"echo '{thing['greets']}'; " if "greets" in thing else ""
                write(root / path, f"#!/bin/sh\n{greeting}exec '{program}' \"$@\"\n", executable=True)
            case {"script": path, "is": text}:
                write(root / path, f"#!/bin/sh\n{text}\n", executable=True)
            case {"text": path, "is": text}:
                write(root / path, text, executable=False)
            case {"link": path, "to": target}:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).symlink_to(target)
            case {"installed": name, "julia": version}:
                fake_julias.install(root / "home", name, version, thing.get("record"))
            case {"juliaup": depot}:
                text = json.dumps(JULIAUP).replace("{root}", str(root))
                write(root / depot / "juliaup/juliaup.json", text, executable=False)
            case _:
                raise AssertionError(thing)


def write(path: Path, text: str, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755 if executable else 0o644)


@pytest.fixture
def finders(pack):
    """Return a function that asks both: executable or None, and all that was said."""

    def ask(environment: dict[str, str], directory: Path) -> list[tuple[str | None, str]]:
        answers = []
        for command in ([pack, "julia", "find"], [sys.executable, "-c", RUNTIME]):
            done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
            assert done.returncode in (0, 1), done.stderr
            answers.append((done.stdout.strip() or None, done.stderr))
        return answers

    return ask


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_both_find_the_same(finders, tmp_path, case):
    unknown = case.keys() - {"case", "variable", "environment", "machine", "finds", "says", "warns"}
    assert not unknown
    assert ("finds" in case) != ("says" in case)
    root = tmp_path.resolve()
    build(root, case.get("machine", []))
    environment = {"PATH": f"{root}/one:{root}/two", "JNUMPY_HOME": f"{root}/home", "HOME": f"{root}/user"}
    if "variable" in case:
        environment["TYPY_JL_EXE"] = case["variable"]
    environment |= case.get("environment", {})
    environment = {name: value.replace("{root}", str(root)) for name, value in environment.items()}
    expected = f"{root}/{case['finds']}/bin/julia" if "finds" in case else None
    for found, said in finders(environment, root):
        assert found == expected, said
        for words in case.get("says", []) + case.get("warns", []):
            assert words.replace("{root}", str(root)) in said
        assert "panicked" not in said
        assert "\x1b" not in said
        if "warns" not in case and expected:
            assert "passed over" not in said
            assert "warning" not in said.lower()


def test_both_find_a_real_julia_behind_links_and_launchers(finders, julia, tmp_path):
    real = os.path.realpath(julia)
    (tmp_path / "link").symlink_to(real)
    write(tmp_path / "launch", f"#!/bin/sh\nexec '{real}' \"$@\"\n", executable=True)
    expected = subprocess.run(
        [real, "--startup-file=no", "-e", "print(realpath(joinpath(Sys.BINDIR, Base.julia_exename())))"],
        capture_output=True,
        text=True,
        check=True,
    )
    for named in (real, tmp_path / "link", tmp_path / "launch"):
        environment = {"TYPY_JL_EXE": str(named), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        assert {found for found, _ in finders(environment, tmp_path)} == {expected.stdout}


def test_a_given_julia_that_does_not_start(pack, tmp_path):
    broken = tmp_path / "julia"
    write(broken, "#!/bin/sh\necho 'cannot open libjulia' >&2\nexit 7\n", executable=True)
    result = subprocess.run([pack, "julia", "find", "--julia", broken], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: the Julia `{broken}` (--julia) does not start\n"
        f"  caused by: `{broken} --startup-file=no -e '…'` failed with exit status: 7\n"
        "  caused by: cannot open libjulia\n\n"
        f"hint: run `{broken} --version` in a terminal to see why\n"
    )
