"""`jnumpy-pack` installed from its wheel, as a command and as the build backend of pip and uv."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import http_servers
import pages
import pytest
from paths import REPOSITORY


def run(*command: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, check=False)


def succeeds(*command: object, cwd: Path | None = None, **variables: str) -> str:
    outcome = run(*command, cwd=cwd, **variables)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """Return an environment with NumPy, and with the two wheels that `make dist` makes."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=True)
    dist = REPOSITORY / "dist"
    wheels = [*dist.glob("jnumpy_pack-*.whl"), *dist.glob("jnumpy_runtime-*.whl")]
    succeeds(directory / "bin/pip", "install", "--quiet", *wheels)
    return directory


@pytest.fixture(scope="module")
def project(environment, tmp_path_factory) -> Path:
    """Return a new project, which asks for `jnumpy-pack` to build it."""
    directory = tmp_path_factory.mktemp("project")
    succeeds(environment / "bin/jnumpy-pack", "new", "adder", "--directory", directory)
    return directory / "adder"


def mean(environment: Path, julia: str | None) -> str:
    """Return what the project's function gives in an environment, far from its source."""
    code = "import adder; print(adder.running_mean([1.0, 2.0, 6.0], 2))"
    outcome = subprocess.run(
        [environment / "bin/python", "-c", code],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"} | ({"TYPY_JL_EXE": julia} if julia else {}),
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.strip()


@pytest.fixture(scope="module")
def settings(julia) -> dict[str, str]:
    """Return what makes a wheel quickly."""
    return {"julia": julia, "no-image": "true", "compress": "fast"}


def passed(settings: dict[str, str], option: str) -> list[str]:
    """Return the words that pass the settings to a front end."""
    return [word for name, value in settings.items() for word in (option, f"{name}={value}")]


@pytest.fixture(scope="module")
def wheel(environment, project, settings, tmp_path_factory) -> Path:
    """Return the wheel that pip builds in an environment of its own."""
    directory = tmp_path_factory.mktemp("wheel")
    words = passed(settings, "--config-settings")
    find = ["--find-links", REPOSITORY / "dist", "--no-deps", "--wheel-dir", directory]
    succeeds(environment / "bin/pip", "wheel", project, *words, *find)
    (wheel,) = directory.glob("*.whl")
    return wheel


def test_the_wheel_that_pip_builds_works(wheel, tmp_path):
    assert wheel.name.startswith("adder-0.1.0-cp310-abi3-manylinux_")
    other = tmp_path / "other"
    venv.create(other, with_pip=True)
    succeeds(other / "bin/pip", "install", "--quiet", wheel)
    assert mean(other, None) == "[1.5 4. ]"


def test_the_archive_of_sources_builds_the_same_wheel(environment, project, wheel, settings, tmp_path):
    uv = [
        sys.executable,
        "-m",
        "uv",
        "build",
        "--quiet",
        "--python",
        environment / "bin/python",
        "--no-build-isolation",
    ]
    words = passed(settings, "--config-setting")
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    succeeds(*uv, *words, "--out-dir", tmp_path, project, PATH=path)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert names[0] == "adder-0.1.0/PKG-INFO"
    assert "adder-0.1.0/tests/test_adder.py" in names
    succeeds(sys.executable, "-m", "twine", "check", "--strict", sdist)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_pdm_builds_the_same_wheel(environment, project, wheel, settings, tmp_path):
    # PDM leaves files of its own in a project.
    own = shutil.copytree(project, tmp_path / "adder")
    words = passed(settings, "--config-setting")
    pdm = [sys.executable, "-m", "pdm", "build", "--no-isolation", "--no-sdist", "--project", own]
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    succeeds(*pdm, *words, "--dest", tmp_path / "dist", PATH=path, VIRTUAL_ENV=str(environment), PDM_CHECK_UPDATE="0")
    assert (tmp_path / "dist" / wheel.name).read_bytes() == wheel.read_bytes()


def test_hatch_builds_in_an_environment_of_its_own(project, tmp_path):
    own = shutil.copytree(project, tmp_path / "adder")
    find = str(REPOSITORY / "dist")
    variables = {"PIP_FIND_LINKS": find, "UV_FIND_LINKS": find, "HATCH_DATA_DIR": str(tmp_path / "data")}
    succeeds(sys.executable, "-m", "hatch", "build", "--target", "sdist", cwd=own, **variables)
    with tarfile.open(own / "dist/adder-0.1.0.tar.gz") as archive:
        assert archive.getnames()[0] == "adder-0.1.0/PKG-INFO"


def test_an_editable_install_follows_the_sources(environment, project, julia):
    pip = environment / "bin/pip"
    succeeds(pip, "install", "--quiet", "--no-build-isolation", "--editable", project)
    assert mean(environment, julia) == "[1.5 4. ]"
    source = project / "adder/__init__.py"
    text = source.read_text()
    source.write_text(text.replace("return _running_mean(", "return -_running_mean("))
    try:
        assert mean(environment, julia) == "[-1.5 -4. ]"
    finally:
        source.write_text(text)
    assert "Requires: jnumpy-runtime, numpy" in succeeds(pip, "show", "adder")
    succeeds(pip, "uninstall", "--quiet", "--yes", "adder")


def test_uv_runs_a_new_project(environment, julia, tmp_path):
    succeeds(environment / "bin/jnumpy-pack", "new", "adder", "--directory", tmp_path)
    uv = [sys.executable, "-m", "uv", "--quiet", "--project", tmp_path / "adder"]
    variables = {"UV_FIND_LINKS": str(REPOSITORY / "dist"), "TYPY_JL_EXE": julia, "VIRTUAL_ENV": ""}
    code = "import adder; print(adder.running_mean([1.0, 2.0, 6.0], 2))"
    assert succeeds(*uv, "run", "python", "-c", code, **variables) == "[1.5 4. ]\n"


@pytest.fixture(scope="module")
def front_ends(tmp_path_factory) -> Path:
    """Return the directory with the commands of front ends that take long to install."""
    directory = tmp_path_factory.mktemp("front-ends")
    venv.create(directory, with_pip=True)
    tools = ["poetry==2.*", "nox==2026.*", "tox==4.*", "cibuildwheel==4.*"]
    succeeds(directory / "bin/pip", "install", "--quiet", *tools)
    return directory / "bin"


@pytest.mark.long
def test_poetry_builds_the_same_wheel(front_ends, project, wheel, settings, tmp_path):
    """Poetry reads an index, not a directory with wheels."""
    own = shutil.copytree(project, tmp_path / "adder")
    downloads = tmp_path / "downloads"
    download = ["download", "--quiet", "--no-deps", "--dest", downloads, "numpy"]
    succeeds(sys.executable, "-m", "pip", *download)
    with http_servers.serve() as server:
        for file in [*(REPOSITORY / "dist").glob("jnumpy_*.whl"), *downloads.iterdir()]:
            place = f"/simple/{file.name.split('-')[0].replace('_', '-')}/"
            server.files[place] = f'<a href="{file.name}">{file.name}</a>'.encode()
            server.files[place + file.name] = file.read_bytes()
        with (own / "pyproject.toml").open("a") as text:
            text.write(f'[[tool.poetry.source]]\nname = "local"\nurl = "{server.url}/simple/"\npriority = "primary"\n')
        words = passed(settings, "--config-settings")
        poetry = [front_ends / "poetry", "--no-interaction", "--directory", own, "build", "--format", "wheel", *words]
        succeeds(*poetry, POETRY_CACHE_DIR=str(tmp_path / "cache"))
    assert (own / "dist" / wheel.name).read_bytes() == wheel.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize(("tool", "file"), [("nox", "noxfile.py"), ("tox", "tox.ini")])
def test_sessions_run_the_tests_of_a_project(front_ends, project, julia, tmp_path, tool, file):
    own = shutil.copytree(project, tmp_path / "adder")
    (own / file).write_text(pages.files(REPOSITORY / "docs/publishing.md")[file])
    variables = {"PIP_FIND_LINKS": str(REPOSITORY / "dist"), "TYPY_JL_EXE": julia}
    outcome = run(front_ends / tool, cwd=own, **variables)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "2 passed" in outcome.stdout + outcome.stderr


@pytest.mark.long
def test_cibuildwheel_selects_one_python(front_ends, project, tmp_path):
    own = shutil.copytree(project, tmp_path / "adder")
    blocks = pages.blocks(REPOSITORY / "docs/publishing.md")
    (lines,) = [block.text for block in blocks if "cibuildwheel]" in block.text]
    with (own / "pyproject.toml").open("a") as text:
        text.write(lines)
    options = ["--platform", "linux", "--archs", "x86_64", "--print-build-identifiers"]
    assert succeeds(front_ends / "cibuildwheel", *options, own).split() == ["cp310-manylinux_x86_64"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("cpu-targets=generic", "there is no setting `cpu-targets`; the settings are `no-image`, `no-compiler`"),
        ("no-image=perhaps", "the setting `no-image` is `true` or `false`, not `perhaps`"),
        ("compress=hardest", "invalid value 'hardest' for '--compress <HOW>'"),
    ],
)
def test_settings_that_are_none(environment, project, tmp_path, setting, words):
    pip = [environment / "bin/pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", tmp_path]
    outcome = run(*pip, "--config-settings", setting, project)
    assert outcome.returncode != 0
    assert words in outcome.stdout + outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_module_runs_the_command(environment):
    version = succeeds(environment / "bin/python", "-m", "jnumpy_pack", "--version", PATH="/usr/bin")
    assert version == succeeds(environment / "bin/jnumpy-pack", "--version")
