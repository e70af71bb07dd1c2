"""Ordinary Julia and Python projects are packed correctly or refused with a message."""

import compileall
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import child
import pytest
import sites
import small_projects
import versions

BUILT = "11111111-2222-4333-8444-555555555555"
PREFERENCES = "21216c6a-2e73-6563-6e65-726566657250"


def new(pack, directory: Path, name: str) -> Path:
    """Make a project to start from; return its directory."""
    subprocess.run([pack, "--quiet", "new", name], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    return directory / name


def packing(pack, julia, project: Path, **variables: str) -> subprocess.CompletedProcess:
    command = [pack, "wheel", project, "--no-image", "--julia", julia, "--out-dir", project.parent / "out"]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)


def packed(pack, julia, project: Path, **variables: str) -> tuple[Path, str]:
    """Return the wheel, and what was said."""
    outcome = packing(pack, julia, project, **variables)
    assert outcome.returncode == 0, outcome.stderr
    return Path(outcome.stdout.strip()), outcome.stderr


def refused(pack, julia, project: Path, **variables: str) -> str:
    outcome = packing(pack, julia, project, **variables)
    assert outcome.returncode == 1, outcome.stderr
    assert "panicked" not in outcome.stderr
    return outcome.stderr[outcome.stderr.index("error: ") :]


# Dependencies with `deps/build.jl`.


@pytest.fixture
def built(pack, julia, tmp_path):
    """Return a project with a dependency that was built, the dependency's directory, and the depot."""
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "deps").mkdir()
    (source / "Project.toml").write_text(f'name = "Built"\nuuid = "{BUILT}"\nversion = "0.3.0"\n')
    (source / "src/Built.jl").write_text(
        'module Built\nconst FILE = joinpath(@__DIR__, "..", "deps", "deps.jl")\n'
        'isfile(FILE) || error("not built")\ninclude(FILE)\nend\n'
    )
    # As BinaryProvider and its like write it: with the path that the package has on this machine.
    (source / "deps/build.jl").write_text(
        'write(joinpath(@__DIR__, "deps.jl"), "const PLACE = $(repr(@__DIR__))\\n")\n'
        'write(joinpath(@__DIR__, "build.log"), "")\n'
    )
    (source / ".gitignore").write_text("/deps/deps.jl\nbuild.log\n")
    code = """
        using Pkg
        hash = Base.SHA1(Pkg.GitTools.tree_hash(ARGS[1]))
        print(hash, " ", Base.version_slug(Base.UUID(ARGS[2]), hash))
    """
    command = [julia, "--startup-file=no", "-e", code, source, BUILT]
    tree_hash, slug = subprocess.check_output(command, text=True).split()
    package = shutil.copytree(source, tmp_path / "depot/packages/Built" / slug)
    subprocess.run([julia, "--startup-file=no", package / "deps/build.jl"], check=True)

    project = new(pack, tmp_path, "uses-built")
    inside = project / "uses_built"
    main = inside / "src/UsesBuilt.jl"
    main.write_text(
        "module UsesBuilt\nusing TyPython.CPython, Built\n@export_py place()::String = Built.PLACE\n"
        "init() = @export_pymodule _uses_built begin\n    place = Pyfunc(place)\nend\nend\n"
    )
    (inside / "__init__.py").write_text(
        "from jnumpy import init_jl, init_project\n\ninit_jl()\ninit_project(__file__)\nfrom _uses_built import place\n"
    )
    listed = (inside / "Project.toml").read_text().replace("[deps]", f'[deps]\nBuilt = "{BUILT}"')
    (inside / "Project.toml").write_text(listed)
    (inside / "Manifest.toml").write_text(
        f'[[Built]]\ngit-tree-sha1 = "{tree_hash}"\nuuid = "{BUILT}"\nversion = "0.3.0"\n'
    )
    return project, package, {"JULIA_DEPOT_PATH": f"{tmp_path / 'depot'}:"}


@pytest.mark.every_julia
def test_what_a_dependency_has_built_is_packed_and_knows_its_new_place(pack, julia, built, tmp_path):
    project, _, variables = built
    wheel, said = packed(pack, julia, project, **variables)
    assert "`Built` is packed with files that its build script has created on this machine: `deps/build.log`" in said
    site = sites.install(tmp_path / "site", wheel)
    place = sites.printed(site, "import uses_built; print(uses_built.place())").strip()
    assert Path(place).is_relative_to(site / "uses_built/_jnumpy/depot/packages/Built")
    assert Path(place).name == "deps"


def test_what_a_dependency_has_not_built_is_said(pack, julia, built):
    project, package, variables = built
    (package / "deps/deps.jl").unlink()
    (package / "deps/build.log").unlink()
    _, said = packed(pack, julia, project, **variables)
    assert "`Built` has a build script that has not been run; if it does not load: `julia --project=" in said


def test_an_edit_beside_what_was_built_is_refused(pack, julia, built):
    project, package, variables = built
    with open(package / "src/Built.jl", "a") as file:
        file.write("# edited\n")
    assert "the package `Built` in `" in refused(pack, julia, project, **variables)


# Modules of the package's own that are compiled for one CPython.


def compiled(directory: Path, name: str) -> Path:
    source = directory / "module.c"
    module = name.partition(".")[0]
    source.write_text(
        "#include <Python.h>\n"
        f'static PyModuleDef definition = {{PyModuleDef_HEAD_INIT, "{module}", 0, -1, 0}};\n'
        f"PyMODINIT_FUNC PyInit_{module}(void) {{ return PyModule_Create(&definition); }}\n"
    )
    include = sysconfig.get_path("include")
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{include}", source, "-o", directory / name], check=True)
    source.unlink()
    return directory / name


def test_the_tag_says_which_python_a_compiled_module_is_for(pack, julia, tmp_path):
    project = new(pack, tmp_path, "own-extension")
    compiled(project / "own_extension", f"helper{sysconfig.get_config_var('EXT_SUFFIX')}")
    wheel, _ = packed(pack, julia, project)
    abi = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert f"-{abi}-{abi}-manylinux" in wheel.name
    # A wheel whose tag promises more fails the audit.
    renamed = wheel.with_name(wheel.name.replace(f"-{abi}-{abi}-", "-cp310-abi3-"))
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(renamed, "w") as after:
        for entry in before.infolist():
            content = before.read(entry)
            if entry.filename.endswith("/WHEEL"):
                content = content.replace(f"{abi}-{abi}-".encode(), b"cp310-abi3-")
            after.writestr(entry, content)
    audited = subprocess.run([pack, "audit", renamed], capture_output=True, text=True)
    assert audited.returncode == 1
    assert f"it is compiled for `{abi}`, but the wheel's tag is for `abi3`" in audited.stdout + audited.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("helper.so", "its name does not say for which"),
        ("helper.cpython-39-x86_64-linux-gnu.so", "jnumpy runs in CPython 3.10 and later"),
        ("helper.cpython-313t-x86_64-linux-gnu.so", "in its usual build"),
    ],
)
def test_a_compiled_module_that_no_tag_fits_is_refused(pack, julia, tmp_path, name, words):
    project = new(pack, tmp_path, "own-extension")
    compiled(project / "own_extension", name)
    assert words in refused(pack, julia, project)


# Other Python packages, `setup.py`.


def test_another_package_is_packed_or_left_out_as_the_project_says(pack, julia, tmp_path):
    project = new(pack, tmp_path, "has-others")
    (project / "helpers").mkdir()
    (project / "helpers/__init__.py").write_text("VALUE = 5\n")
    (project / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    (project / "MANIFEST.in").write_text("exclude helpers/*\n")
    # No package, but the project's package imports it.
    (project / "helper.py").write_text("VALUE = 6\n")
    with open(project / "has_others/__init__.py", "a") as file:
        file.write("import helper\n")
    assert "the project has other Python packages or modules: `" in (said := refused(pack, julia, project))
    assert 'hint: to pack them too: `packages = ["helper.py", "helpers"]` in `[tool.jnumpy]`' in said

    settings = project / "pyproject.toml"
    text = settings.read_text() + "[tool.setuptools]\npackages = []\n"
    assert "[tool.jnumpy]\n" in text
    both = ["helper.py", "helpers/__init__.py"]
    for packages, names in (('["helpers", "helper.py"]', both), ("[]", [])):
        settings.write_text(text.replace("[tool.jnumpy]\n", f"[tool.jnumpy]\npackages = {packages}\n"))
        wheel, said = packed(pack, julia, project)
        assert "warning: `setup.py` is not run" in said
        assert "warning: not read: `MANIFEST.in`, `[tool.setuptools]`; every file" in said
        with zipfile.ZipFile(wheel) as archive:
            assert [name for name in archive.namelist() if name.startswith("helper")] == names
        wheel.unlink()


# Where packages are installed, and where they write.


@pytest.mark.parametrize("name", ["a b", "it's", 'say "$HOME"', "Straße", "$(exit 1)", "back\\slash"])
def test_any_directory_will_do(small, tmp_path, name):
    site = sites.install(tmp_path / name, small.wheels[0])
    assert sites.printed(site, "import jl_one; print(jl_one.text())") == "beside One\n"


@pytest.mark.parametrize("name", [b"a:b", b"latin-\xe4"])
def test_a_directory_that_julia_cannot_name_is_refused_in_words(small, tmp_path, name):
    usual = sites.install(tmp_path / "usual", small.wheels[0])
    site = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    shutil.copytree(usual, site, symlinks=True)
    code = f"import sys; sys.path.insert(0, {os.fspath(site)!r}); import jl_one"
    said = sites.refused(tmp_path, code)
    assert said.startswith("ImportError: b'")
    assert said.endswith(": install the package in another directory")


def test_a_zip_file_is_refused_in_words(small, tmp_path):
    usual = sites.install(tmp_path / "usual", small.wheels[0])
    archive = shutil.make_archive(os.fspath(tmp_path / "application"), "zip", usual, "jl_one")
    said = sites.refused(tmp_path, f"import sys; sys.path.insert(0, {archive!r}); import jl_one")
    assert said.startswith("ImportError: ")
    assert "is not a directory: the package is in a zip file" in said


def test_compiled_python_files_will_do(small, tmp_path):
    site = sites.install(tmp_path / "site", small.wheels[0])
    assert compileall.compile_dir(site / "jl_one", quiet=2, legacy=True)
    for source in (site / "jl_one").rglob("*.py"):
        source.unlink()
    assert sites.printed(site, "import jl_one; print(jl_one.text())") == "beside One\n"


@pytest.mark.every_julia
def test_packages_write_into_a_directory_of_the_users(small, tmp_path):
    site = sites.install(tmp_path / "site", small.wheels[0])
    home = tmp_path / "home"
    code = "import jl_one, jnumpy; print(jnumpy.eval_julia('first(DEPOT_PATH)'))"
    assert sites.printed(site, code, JNUMPY_HOME=str(home)) == f"{home}/depot\n"
    assert not home.exists()
    assert sites.printed(site, code, JNUMPY_HOME="", HOME=str(home)) == f"{home}/.jnumpy/depot\n"
    assert sites.printed(site, code, JNUMPY_HOME="relative") == "/relative/depot\n"
    # Never into the bundle, which is the same for all users.
    for unusable in ("relative", "/a:b", os.fsdecode(b"/latin-\xe4")):
        assert sites.printed(site, code, JNUMPY_HOME="", HOME=unusable) == "/nonexistent/depot\n"


@pytest.mark.every_julia
def test_preferences_are_the_users_and_come_first(small, version, tmp_path):
    site = sites.install(tmp_path / "site", small.wheels[0])
    (site / "jl_one/LocalPreferences.toml").write_text('[Shared]\ncolor = "green"\nsize = "large"\n')
    home = tmp_path / "home"
    project = home / "depot/environments/jl_one"
    code = f"""
import jl_one, jnumpy
print(jnumpy.eval_julia('Base.active_project()'))
if {version >= versions.PREFERENCES}:
    found = jnumpy.eval_julia('Base.get_preferences(Base.UUID("{small_projects.SHARED}"))')
    print(found["color"], found["size"])
"""

    def printed() -> list[str]:
        return sites.printed(site, code, JNUMPY_HOME=str(home)).splitlines()

    active, *preferences = printed()
    assert Path(active) == project / "Project.toml"
    assert preferences == ["green large"] * len(preferences)
    assert not home.exists()
    # As Preferences.jl writes them.
    project.mkdir(parents=True)
    (project / "Project.toml").write_text(f'[extras]\nShared = "{small_projects.SHARED}"\n')
    (project / "LocalPreferences.toml").write_text('[Shared]\ncolor = "red"\n')
    assert printed()[1:] == ["red large"] * len(preferences)


def test_a_directory_for_preferences_is_there_where_packages_have_any(small, tmp_path):
    site = sites.install(tmp_path / "site", small.wheels[0])
    path = site / "jl_one/_jnumpy/bundle.json"
    description = json.loads(path.read_text())
    description["packages"][PREFERENCES] = {"name": "Preferences", "version": "1.4.3", "sources": ""}
    path.write_text(json.dumps(description))
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    foreign.mkdir()
    if os.geteuid() == 0:
        os.chown(foreign, 12345, 12345)
    else:
        foreign.chmod(0o500)
    for home in (own, foreign):
        sites.printed(site, "import jl_one", JNUMPY_HOME=str(home / "home"))
    assert (own / "home/depot/environments/jl_one").is_dir()
    assert not list(foreign.iterdir())


@pytest.mark.long
def test_pyinstaller_takes_a_packed_package_along(small, tmp_path):
    site = sites.install(tmp_path / "site", small.wheels[0])
    script = tmp_path / "program.py"
    script.write_text("import jl_one\nprint(jl_one.text(), jl_one.scaled(3.0))\n")
    options = ["--noconfirm", "--log-level", "ERROR", "--distpath", tmp_path / "dist", "--workpath", tmp_path / "work"]
    command = [sys.executable, "-m", "PyInstaller", *options, "--specpath", tmp_path, script]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(site)}, check=True)
    shutil.rmtree(site)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TYPY_", "JULIA_"))}
    program = tmp_path / "dist/program/program"
    ran = subprocess.run([program], env=environment, capture_output=True, text=True, cwd="/")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "beside One 6.0\n", "")


# Development.


def test_without_a_depot_julia_does_not_start_and_says_why(julia):
    """As for Julia itself, an empty variable is not the default: `using` a package that is not compiled fails."""
    outcome = child.run("import jnumpy\njnumpy.init_jl()", julia, JULIA_DEPOT_PATH="")
    assert child.last_line(outcome) == (
        "RuntimeError: TyPython could not be loaded: Julia has no depot for compiled code, because `JULIA_DEPOT_PATH` "
        "is set but empty; unset it, or name a directory in it"
    )
