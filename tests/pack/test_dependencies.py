"""Dependencies are found as Julia finds them or refused with a message, and work in a wheel that was moved."""

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import fake_libraries
import pytest
import sites
import versions
from paths import FIXTURES

pytestmark = pytest.mark.every_julia

PACKAGE = "jl_chain"
DEPOT = f"{PACKAGE}/_jnumpy/depot"

specification = importlib.util.spec_from_file_location("make_depot", FIXTURES / "depot/make.py")
make_depot = importlib.util.module_from_spec(specification)
specification.loader.exec_module(make_depot)


@pytest.fixture(scope="module")
def depot(julia, tmp_path_factory) -> Path:
    """Return the fixture's depot."""
    depot = tmp_path_factory.mktemp("depot")
    make_depot.make(depot, julia)
    return depot


@pytest.fixture
def spare(depot, tmp_path) -> Path:
    """Return a copy of the depot that a test may spoil."""
    return Path(shutil.copytree(depot, tmp_path / "depot", symlinks=True))


@pytest.fixture(scope="module")
def manifest(julia, depot, tmp_path_factory) -> str:
    """Return the fixture's manifest, with absolute paths, as Pkg writes it for this Julia."""
    project = tmp_path_factory.mktemp("project")
    typython = FIXTURES.parent / "runtime/python/jnumpy/julia/TyPython"
    code = (
        "using Pkg; Pkg.activate(ARGS[1]); Pkg.develop([PackageSpec(path = path) for path in ARGS[3:end]]); "
        "Pkg.add([PackageSpec(name = name) for name in split(ARGS[2])])"
    )
    command = [
        julia,
        "--startup-file=no",
        "-e",
        code,
        project,
        "Alpha Beta Gamma Dates",
        FIXTURES / "chain/near",
        typython,
    ]
    subprocess.run(
        command, env=environment(depot, julia, JULIA_PKG_PRECOMPILE_AUTO="0"), check=True, capture_output=True
    )
    return (project / "Manifest.toml").read_text()


@pytest.fixture
def project(manifest, tmp_path) -> Path:
    """Return a copy of the fixture's project that is resolved already."""
    project = Path(shutil.copytree(FIXTURES / "chain", tmp_path / "chain"))
    (project / PACKAGE / "Manifest.toml").write_text(manifest)
    return project


def environment(depot: Path, julia: str, **variables: str) -> dict[str, str]:
    """Return the environment with this depot, and the one that Julia brings, without a network."""
    own = Path(julia).parent.parent / "share/julia"
    return os.environ | {"JULIA_DEPOT_PATH": f"{depot}:{own}", "JULIA_PKG_OFFLINE": "true", **variables}


def plan(pack, julia, project, depot, **variables) -> tuple[dict, str]:
    """Return what would be in the wheel without an image, and what was said."""
    command = [pack, "wheel", project, "--julia", julia, "--no-image", "--dry-run", "--json"]
    outcome = subprocess.run(command, env=environment(depot, julia, **variables), capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout), outcome.stderr


def refused(pack, julia, project, depot, **variables) -> str:
    """Return why the project is not packed."""
    command = [pack, "wheel", project, "--julia", julia, "--no-image", "--dry-run"]
    outcome = subprocess.run(command, env=environment(depot, julia, **variables), capture_output=True, text=True)
    assert outcome.returncode == 1, outcome.stderr
    return outcome.stderr[outcome.stderr.index("error: ") :]


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# Dependencies that are found, and messages about the others.


def test_a_project_without_manifest_is_resolved_by_pkg(pack, julia, depot):
    files, said = plan(pack, julia, FIXTURES / "chain", depot)
    paths = {file["path"] for file in files["files"]}
    assert "`Chain` has no manifest: Pkg has chosen the versions" in said
    assert f"{DEPOT}/packages/Near/local/src/Near.jl" in paths
    assert not (FIXTURES / f"chain/{PACKAGE}/Manifest.toml").exists()
    assert {path.split("/")[4] for path in paths if path.startswith(f"{DEPOT}/packages/")} == {
        "Alpha",
        "Beta",
        "Gamma",
        "Near",
    }


def test_packages_are_added(pack, julia, version, depot, tmp_path):
    variables = environment(depot, julia)
    subprocess.run([pack, "new", "adder"], cwd=tmp_path, check=True, capture_output=True)
    shutil.copytree(FIXTURES / "chain/near", tmp_path / "near")
    file = tmp_path / "adder/adder/Project.toml"
    old = file.read_text().replace("[deps]\n", "[deps] # of mine\n")
    file.write_text(old)

    def add(*words: str, **more: str) -> subprocess.CompletedProcess:
        command = [pack, "add", "--julia", julia, *words]
        return subprocess.run(
            command, cwd=tmp_path / "adder", env=variables | more, capture_output=True, text=True, check=False
        )

    # Neither registry nor depot is needed.
    added = add("LinearAlgebra", JULIA_DEPOT_PATH="")
    assert added.returncode == 0, added.stderr
    assert added.stdout.split()[0] == "LinearAlgebra"
    assert "next: `using LinearAlgebra` in `adder/src/Adder.jl`" in added.stderr
    line = 'LinearAlgebra = "37e2e46d-f89d-539d-b4ee-838fcccc9c8e"\n'
    text = old.replace("# of mine\n", f"# of mine\n{line}")
    assert file.read_text() == text
    assert "`LinearAlgebra` is already a dependency" in add("LinearAlgebra").stderr
    if versions.SLOW_IMAGES <= version < versions.PACKAGE_IMAGES:
        return  # Pkg of such a Julia compiles for a quarter of a minute in each of what follows.

    for words, message, hint in (
        (["../near", "Gama"], "nor a registry has a package `Gama`", "did you mean `Gamma`?"),
        (["./adder"], "`Adder` is the project itself", ""),
        (["Alpha.jl"], "`Alpha.jl` is not the name of a Julia package", "give a name"),
        (["./tests"], "`./tests` is not a Julia package: it has no `Project.toml`", "a package has"),
    ):
        refused = add(*words)
        assert refused.returncode == 1
        assert message in refused.stderr
        assert hint in refused.stderr
    planned = json.loads(add("--dry-run", "--json", "Dates").stdout)
    assert [(one["name"], one["kind"], one["path"]) for one in planned["added"]] == [
        ("Dates", "standard-library", None)
    ]
    assert planned["files"] == [str(file)]
    assert file.read_text() == text
    assert sorted(path.name for path in file.parent.iterdir()) == ["Project.toml", "__init__.py", "src"]

    # One after the other: the second has a manifest to start from.
    assert add("Alpha").stdout == "Alpha\t2.0.0+1\tregistry\n"
    assert add("../near").stdout == "Near\t0.1.0\t../../near\n"
    assert add("Random").returncode == 0
    fetched = add()
    assert (fetched.returncode, fetched.stdout) == (0, ""), fetched.stderr
    assert "Random" in (file.parent / "Manifest.toml").read_text()
    assert '[sources]\nNear = { path = "../../near" }\n' in file.read_text()
    code = "using Alpha, Near, LinearAlgebra; print(nameof(Alpha), nameof(Near))"
    command = [julia, "--startup-file=no", "--compiled-modules=no", f"--project={file.parent}", "-e", code]
    assert subprocess.check_output(command, env=variables, text=True) == "AlphaNear"
    command = [pack, "wheel", tmp_path / "adder", "--julia", julia, "--no-image", "--dry-run"]
    packed = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert packed.returncode == 0, packed.stderr


def test_rules_hold_for_the_depot(pack, julia, project, depot):
    edit(project / PACKAGE / "Manifest.toml", str(FIXTURES / "chain/near"), str(project / "near"))
    (project / "near/test").mkdir()
    (project / "near/test/runtests.jl").write_text("error()\n")
    settings = project / "pyproject.toml"
    edit(settings, "[tool.jnumpy]", '[tool.jnumpy]\nexclude = ["depot/artifacts/*/bin/tally"]')
    files, _ = plan(pack, julia, project, depot)
    paths = {file["path"] for file in files["files"] if file["path"].startswith(DEPOT)}
    assert any(path.endswith("/Near/local/src/Near.jl") for path in paths)
    assert [path for path in paths if path.endswith(("/runtests.jl", "/bin/tally"))] == []
    rules = {rule["rule"] for rule in files["left_out"]}
    assert {"package-tests", "depot/artifacts/*/bin/tally"} <= rules

    edit(settings, "*/bin/tally", "*/lib*/libcount.so*")
    said = refused(pack, julia, project, depot)
    assert "libcount.so.2" in said
    assert "libtally.so.1" in said


def test_what_pkg_cannot_resolve_is_told_with_a_way_out(pack, julia, spare):
    shutil.rmtree(spare / "registries/Fixture/Gamma")
    edit(spare / "registries/Fixture/Registry.toml", "Gamma", "Gama")
    said = refused(pack, julia, FIXTURES / "chain", spare)
    assert said.startswith("error: the project `Chain` has no manifest, and Pkg cannot resolve it")
    remedy = "run `JULIA_PKG_PRECOMPILE_AUTO=0 julia --project=PACKAGE_DIRECTORY -e 'using Pkg; Pkg.resolve()"
    assert f"hint: where a registry can be reached, {remedy}" in said


def test_an_empty_depot_path_means_no_depot(pack, julia, project, depot):
    remedy = "hint: `JULIA_DEPOT_PATH` is set but empty, which means no depot at all: unset it, or name a depot in it"
    said = refused(pack, julia, project, depot, JULIA_DEPOT_PATH="")
    assert said.startswith("error: the sources of `")
    assert remedy in said
    said = refused(pack, julia, FIXTURES / "chain", depot, JULIA_DEPOT_PATH="")
    assert said.startswith("error: Pkg cannot resolve the project `Chain` without a depot")
    assert remedy in said


def test_a_package_in_both_tables_is_a_weak_dependency(pack, julia, project, depot, version):
    absent = 'Absent = "0ab5e000-0000-4000-8000-0000000ab5e0"'
    edit(project / PACKAGE / "Project.toml", "[deps]", f"[weakdeps]\n{absent}\n\n[deps]\n{absent}")
    if version < versions.EXTENSIONS:
        said = refused(pack, julia, project, depot)
        assert said.startswith("error: `Absent` is a dependency of `Chain`, but `")
    else:
        assert plan(pack, julia, project, depot)[0]["files"]


def test_extensions_are_told_of(pack, julia, project, depot, version):
    _, said = plan(pack, julia, project, depot)
    assert ("the extension `GammaDates` of `Gamma` is packed but never loaded" in said) == (
        version < versions.EXTENSIONS
    )


def test_lazy_artifacts_are_taken_when_named(pack, julia, project, depot):
    (wanted,) = depot.glob("artifacts/*/wanted.txt")
    place = f"{DEPOT}/artifacts/{wanted.parent.name}/wanted.txt"
    assert place in {file["path"] for file in plan(pack, julia, project, depot)[0]["files"]}
    edit(project / "pyproject.toml", 'lazy-artifacts = ["Wanted"]', "")
    assert place not in {file["path"] for file in plan(pack, julia, project, depot)[0]["files"]}
    edit(project / "pyproject.toml", "[tool.jnumpy]", '[tool.jnumpy]\nlazy-artifacts = ["Wated"]')
    assert refused(pack, julia, project, depot).startswith(
        "error: `lazy-artifacts` of `[tool.jnumpy]` names `Wated`, which is none of: `Unwanted`, `Wanted`"
    )


def test_a_missing_lazy_artifact_is_named_when_it_is_asked_for(pack, julia, project, spare):
    (wanted,) = spare.glob("artifacts/*/wanted.txt")
    digest = wanted.parent.name
    shutil.rmtree(wanted.parent)
    said = refused(pack, julia, project, spare)
    assert said.startswith(
        f"error: the artifact `Wanted` of `Beta` (tree hash {digest}) is in no depot, looked in: `{spare}/artifacts`"
    )
    edit(project / "pyproject.toml", 'lazy-artifacts = ["Wanted"]', "")
    assert plan(pack, julia, project, spare)[0]["files"]


def test_a_missing_artifact_is_named(pack, julia, project, spare):
    (numbers,) = spare.glob("artifacts/*/numbers.txt")
    digest = numbers.parent.name
    shutil.rmtree(numbers.parent)
    said = refused(pack, julia, project, spare)
    assert said.startswith(
        f"error: the artifact `Numbers` of `Beta` (tree hash {digest}) is in no depot, looked in: `{spare}/artifacts`"
    )
    assert "Pkg.instantiate()" in said


def test_an_edited_artifact_is_refused_unless_allowed(pack, julia, project, spare):
    (numbers,) = spare.glob("artifacts/*/numbers.txt")
    numbers.write_text("4\n")
    (found,) = make_depot.ask(julia, make_depot.TREE_HASHES, numbers.parent)
    said = refused(pack, julia, project, spare)
    assert said.startswith(
        f"error: the artifact `Numbers` in `{numbers.parent}` has the tree hash {found}, not {numbers.parent.name}: "
        "its files were changed"
    )
    assert '`unverified = ["Numbers"]` in `[tool.jnumpy]`' in said
    edit(project / "pyproject.toml", "[tool.jnumpy]", '[tool.jnumpy]\nunverified = ["Numbers"]')
    assert f"the artifact `Numbers` is packed with the tree hash {found}" in plan(pack, julia, project, spare)[1]


def test_an_artifact_can_be_overridden(pack, julia, project, spare, tmp_path):
    (numbers,) = spare.glob("artifacts/*/numbers.txt")
    digest = numbers.parent.name
    shutil.rmtree(numbers.parent)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/other.txt").write_text("4\n")
    (spare / "artifacts/Overrides.toml").write_text(f'{digest} = "{tmp_path}/other"\n')
    files, said = plan(pack, julia, project, spare)
    assert f"the artifact `Numbers` of `Beta` is overridden by `{tmp_path}/other`" in said
    assert f"{DEPOT}/artifacts/{digest}/other.txt" in {file["path"] for file in files["files"]}


@pytest.mark.parametrize("target", ["/etc/hostname", "../../outside"])
def test_a_link_that_leaves_an_artifact_is_refused(pack, julia, project, spare, target):
    (numbers,) = spare.glob("artifacts/*/numbers.txt")
    (numbers.parent / "link").symlink_to(target)
    assert refused(pack, julia, project, spare).startswith(
        f"error: `{numbers.parent}/link` cannot be packed: it is a link that leads out of its package or artifact"
    )


def test_a_library_that_nothing_has_is_named(pack, julia, project, spare):
    (count,) = spare.glob("artifacts/*/lib/libcount.so.2.0")
    for path in count.parent.iterdir():
        path.unlink()
    edit(project / "pyproject.toml", "[tool.jnumpy]", '[tool.jnumpy]\nunverified = ["Count"]')
    said = refused(pack, julia, project, spare)
    assert said.startswith("error: not found: `libcount.so.2` (needed by `depot/artifacts/")


def test_an_edited_package_is_refused(pack, julia, project, spare):
    (source,) = spare.glob("packages/Gamma/*/src/Gamma.jl")
    source.write_text("module Gamma end")
    (found,) = make_depot.ask(julia, make_depot.TREE_HASHES, source.parent.parent)
    said = refused(pack, julia, project, spare)
    assert f"the package `Gamma` in `{source.parent.parent}` has the tree hash {found}, not " in said


# Hostile files.


def entries(text: str, manifest: str) -> str:
    """Write the headers of a manifest's entries as its format has them: under `deps` since format 2."""
    return text.replace("[[", "[[deps.") if "manifest_format" in manifest else text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[[Gamma]]", '[["../Gamma"]]', "it lists a package with an invalid name: `../Gamma`"),
        ("[[Gamma]]", '[["/Gamma"]]', "it lists a package with an invalid name: `/Gamma`"),
        ("[[Gamma]]", r'[["G\u001b[31m"]]', r"it lists a package with an invalid name: `G\u{1b}[31m`"),
        ('version = "0.3.1"', r'version = "0.3.1\u0007"', r"not a version: `0.3.1\u{7}`"),
        ('version = "0.3.1"', 'version = "../../x"', "not a version: `../../x`"),
        ("git-tree-sha1 = ", "git-tree-sha1 = '../../../../etc'\nx = ", "not a git tree hash: `../../../../etc`"),
        (
            "[[Gamma]]",
            "[[Other]]\nuuid = '3f1d4f64-7d0b-4f0e-8a39-9b4a4b9a0b02'\n[[Gamma]]",
            "two packages with the same UUID",
        ),
        ('deps = ["Gamma"]', 'deps = ["Gamma", "\\u001b"]', r"depends on `\u{1b}`, which it does not list"),
        ("[[Gamma]]\n", "[[Gamma]]\nversion = '1'\n", "is not valid TOML"),
    ],
)
def test_a_hostile_manifest_is_refused(pack, julia, project, depot, manifest, old, new, words):
    path = project / PACKAGE / "Manifest.toml"
    assert entries(old, manifest) in manifest
    path.write_text(manifest.replace(entries(old, manifest), entries(new, manifest), 1))
    said = refused(pack, julia, project, depot)
    assert words in said
    assert "\x1b" not in said
    assert "\x07" not in said


def test_a_cycle_ends(pack, julia, project, depot):
    """Julia itself says what it thinks of a cycle when the packages are loaded."""
    gamma, alpha = "3f1d4f64-7d0b-4f0e-8a39-9b4a4b9a0c03", "3f1d4f64-7d0b-4f0e-8a39-9b4a4b9a0a01"
    path = project / PACKAGE / "Manifest.toml"
    path.write_text(path.read_text().replace(f'uuid = "{gamma}"', f'uuid = "{gamma}"\ndeps = {{Alpha = "{alpha}"}}'))
    assert plan(pack, julia, project, depot)[0]["files"]


def test_a_manifest_with_a_hundred_thousand_packages(pack, julia, project, depot, manifest):
    path = project / PACKAGE / "Manifest.toml"
    names = [f"P{number}" for number in range(100_000)]
    with path.open("a") as file:
        for number, name in enumerate(names):
            dependency = f'deps = ["{names[-1 - number]}"]\nuuid = "00000000-0000-0000-0000-{number:012}"\n'
            file.write(entries(f"[[{name}]]\n", manifest) + dependency)
    assert plan(pack, julia, project, depot)[0]["files"]


# Comparison with Julia itself.

ORACLE = """
using Pkg
for at in 1:3:length(ARGS)
    hash = bytes2hex(Pkg.GitTools.tree_hash(ARGS[at]))
    println(hash, ' ', Base.version_slug(Base.UUID(ARGS[at + 1]), Base.SHA1(hash), parse(Int, ARGS[at + 2])))
end
"""
NAMES = ["a", "a.b", "a-b", "a b", "a0", "A", "ä", "日本", ".hidden", "a+b", "a=b", "{x}", "'", "%41", "-", "~"]


def grow(directory: Path, chance: random.Random, depth: int = 0) -> None:
    """Fill a directory with files, programs, links, directories, empty ones, and a repository of git."""
    for name in chance.sample(NAMES, chance.randint(0 if depth else 2, 6)):
        path = directory / name
        match chance.randrange(6 if depth < 3 else 4):
            case 0 | 1:
                path.write_bytes(chance.randbytes(chance.choice([0, 1, 100, 70_000])))
                path.chmod(chance.choice([0o644, 0o755, 0o600, 0o444, 0o744, 0o611]))
            case 2:
                # For the target of a link, Julia counts characters where Git counts bytes.
                files = [other.name for other in directory.iterdir() if other.is_file() and other.name.isascii()]
                path.symlink_to(chance.choice(["nothing", "./not/there", *files]))
            case 3:
                (path / "empty").mkdir(parents=True)
            case _:
                path.mkdir()
                grow(path, chance, depth + 1)
    if chance.random() < 0.3:
        (directory / ".git").mkdir()
        (directory / ".git/HEAD").write_text("ref")


def test_slugs_and_tree_hashes_are_those_of_julia(pack, julia, project, depot, manifest, tmp_path):
    """Each package is found by its slug, and its files are compared with its hash: both come from Julia."""
    chance = random.Random(20261124)
    other = tmp_path / "depot"
    generated = []
    for number in range(40):
        root = tmp_path / f"trees/P{number}"
        (root / "src").mkdir(parents=True)
        (root / f"src/P{number}.jl").write_text(f"module P{number} end")
        grow(root, chance)
        uuid = "-".join(f"{chance.getrandbits(4 * digits):0{digits}x}" for digits in (8, 4, 4, 4, 12))
        generated.append((root, uuid, chance.choice([4, 5])))
    answers = subprocess.run(
        [julia, "--startup-file=no", "-e", ORACLE, *(str(word) for words in generated for word in words)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    stanzas, deps = [], []
    for (root, uuid, _), answer in zip(generated, answers, strict=True):
        digest, slug = answer.split()
        make_depot.move(root, other / "packages" / root.name / slug)
        header = entries(f"[[{root.name}]]\n", manifest)
        stanzas.append(f'{header}git-tree-sha1 = "{digest}"\nuuid = "{uuid}"\nversion = "1.0.0"\n')
        deps.append(f'{root.name} = "{uuid}"\n')
    with (project / PACKAGE / "Manifest.toml").open("a") as file:
        file.write("\n".join(["", *stanzas]))
    edit(project / PACKAGE / "Project.toml", "[deps]\n", "[deps]\n" + "".join(deps))
    files, _ = plan(pack, julia, project, f"{other}:{depot}")
    packages = {path.split("/")[4] for file in files["files"] if (path := file["path"]).startswith(f"{DEPOT}/packages")}
    assert packages >= {f"P{number}" for number in range(40)}


CHOICES = [
    {"os": "linux", "arch": "x86_64", "libc": "glibc"},
    {"os": "linux", "arch": "x86_64", "libc": "glibc", "cxxstring_abi": "cxx03"},
    {"os": "linux", "arch": "x86_64", "libc": "glibc", "cxxstring_abi": "cxx11"},
    {"os": "linux", "arch": "x86_64", "libc": "glibc", "libgfortran_version": "3.0.0"},
    {"os": "linux", "arch": "x86_64", "libc": "glibc", "libgfortran_version": "4.0.0"},
    {"os": "linux", "arch": "x86_64", "libc": "glibc", "libgfortran_version": "5.0.0"},
    {"os": "linux", "arch": "x86_64", "libc": "glibc", "julia_version": "1.6.0"},
    {"os": "linux", "arch": "x86_64", "libc": "glibc", "julia_version": "1.9.0"},
    {"os": "linux", "arch": "x86_64", "libc": "musl"},
    {"os": "linux", "arch": "aarch64", "libc": "glibc"},
    {"os": "macos", "arch": "x86_64"},
    {"os": "windows", "arch": "x86_64"},
]
SELECTION = """
using Pkg
for name in sort!(collect(keys(Pkg.Artifacts.load_artifacts_toml(ARGS[1]))))
    println(name, ' ', something(Pkg.Artifacts.artifact_hash(name, ARGS[1]), "none"))
end
"""


def test_artifacts_are_selected_as_julia_does(pack, julia, project, spare):
    """Tables with some of the platforms each: what is in the wheel is what Julia takes."""
    chance = random.Random(5)
    hashes = []
    for number in range(len(CHOICES)):
        place = spare / f"artifacts/made-{number}"
        place.mkdir()
        (place / "file.txt").write_text(f"{number}")
        (digest,) = make_depot.ask(julia, make_depot.TREE_HASHES, place)
        place.rename(place.with_name(digest))
        hashes.append(digest)
    text = ""
    for table in range(30):
        for number in sorted(chance.sample(range(len(CHOICES)), chance.randint(1, 5))):
            tags = "".join(f'{key} = "{value}"\n' for key, value in CHOICES[number].items())
            text += f'[[T{table:02}]]\n{tags}git-tree-sha1 = "{hashes[number]}"\n\n'
    path = project / PACKAGE / "Artifacts.toml"
    path.write_text(text)
    answers = make_depot.ask(julia, SELECTION, path)
    expected = set(answers[1::2]) - {"none"}
    assert expected < set(hashes)
    files, _ = plan(pack, julia, project, spare)
    packed = {file["path"].split("/")[4] for file in files["files"] if file["path"].endswith("/file.txt")}
    assert packed == expected


# A finished wheel: with an image on Julia 1.5, and without one on other Julias, where an image takes many minutes.


@pytest.fixture(scope="module")
def wheel(pack, julia, depot, version, tmp_path_factory) -> Path:
    """Return the packed fixture; Pkg resolves it."""
    out_dir = tmp_path_factory.mktemp("wheels")
    how = ["--cpu-target", "generic", "--python", sys.executable] if version < versions.SLOW_IMAGES else ["--no-image"]
    command = [pack, "wheel", FIXTURES / "chain", "--out-dir", out_dir, "--julia", julia, *how]
    subprocess.run(command, env=environment(depot, julia), stdout=subprocess.DEVNULL, check=True)
    (wheel,) = out_dir.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def site(wheel, depot, tmp_path_factory):
    """Return where the wheel is installed; the depot that it was made from is away meanwhile."""
    site = tmp_path_factory.mktemp("site")
    sites.install(site, wheel)
    away = depot.with_name("away")
    depot.rename(away)
    yield site
    away.rename(depot)


@pytest.fixture(scope="module")
def seen(site) -> dict:
    """Return what the installed package's functions say."""
    code = f"""if True:
        import json, numpy, {PACKAGE} as chain
        try:
            chain.fail()
        except RuntimeError as error:
            backtrace = error.backtrace
        print(json.dumps(dict(
            tally=chain.tally(numpy.array([1.0, 2.5])), program=chain.program(), numbers=chain.numbers().tolist(),
            wanted=chain.wanted(), styles=chain.styles(), words=chain.words(), near=chain.near(21), day=chain.day(),
            file=chain.file(), places=chain.places(), backtrace=backtrace,
        )))
    """
    outcome = sites.run(site, code)
    assert (outcome.returncode, outcome.stderr) == (0, ""), outcome.stderr
    return json.loads(outcome.stdout)


def test_a_library_of_an_artifact_is_called(seen):
    assert seen["tally"] == 10.5


def test_a_library_of_the_same_name_that_was_loaded_first_is_not_taken(site, tmp_path):
    foreign = fake_libraries.make(tmp_path / "libcount.so.2", "libcount.so.2")
    code = f"import ctypes; ctypes.CDLL('{foreign}'); import {PACKAGE}, numpy; print({PACKAGE}.tally(numpy.ones(3)))"
    assert sites.printed(site, code) == "9.0\n"


def test_a_program_of_an_artifact_runs(seen):
    assert seen["program"] == "three times\n"


def test_data_of_artifacts_is_read(seen):
    assert (seen["numbers"], seen["wanted"]) == ([2, 4, 6], "here\n")


def test_files_beside_sources_are_read(seen):
    assert seen["words"] == ["one two three"] * 2


def test_a_package_from_a_directory_works(seen):
    assert seen["near"] == 42


def test_preferences_hold(seen, version):
    assert seen["styles"] == (["plain", "plain"] if version < versions.PREFERENCES else ["fancy", "fancy"])


def test_an_extension_is_loaded_where_julia_has_them(seen, version):
    assert seen["day"] == ("Thursday" if version >= versions.EXTENSIONS else "")


def test_packages_are_where_julia_says(seen, site):
    names = {"Alpha", "Beta", "Gamma", "Near"}
    assert set(seen["places"]) == names
    for name in names:
        path, directory = map(Path, seen["places"][name])
        assert path.is_relative_to(site / DEPOT / "packages" / name)
        assert path.is_file()
        assert directory == path.parent.parent
    assert os.path.normpath(seen["file"]) == f"{site}/{PACKAGE}/src/Chain.jl"


def test_a_backtrace_names_files_that_exist(seen, site):
    (line,) = {line for line in seen["backtrace"].splitlines() if "Gamma.jl" in line}
    place = line[line.index("/") :].split(":")[0]
    assert Path(place).is_file()
    assert Path(place).is_relative_to(site)
    assert "/tmp/jnumpy-" not in seen["backtrace"]


def test_another_place_and_yet_another(site, tmp_path, seen):
    for name in ("short", "a long name with blanks, which is longer than the first one was " * 2):
        place = tmp_path / name.strip()
        shutil.copytree(site, place, symlinks=True)
        outcome = sites.run(place, f"import {PACKAGE} as chain; print(chain.words()[0], chain.numbers().tolist())")
        assert (outcome.stdout, outcome.stderr) == ("one two three [2, 4, 6]\n", "")


def test_a_place_with_too_long_a_name_is_refused(site, tmp_path, version):
    if version >= versions.SLOW_IMAGES:
        pytest.skip("without an image nothing is written over")
    place = tmp_path / ("n" * 250)
    shutil.copytree(site, place, symlinks=True)
    outcome = sites.run(place, f"import {PACKAGE}")
    assert outcome.returncode == 1
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: the path {place}/{PACKAGE} has ")
    bundle = place / PACKAGE / "_jnumpy"
    assert last.endswith(
        f"at most 255: install the package in a directory with a shorter path{sites.more('long-path', bundle)}"
    )


def test_the_wheel_lists_packages_and_artifacts(wheel, depot, seen):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (bill,) = [name for name in names if name.endswith(".cdx.json")]
        components = json.loads(archive.read(bill))["components"]
        manifest = archive.read(f"{PACKAGE}/Manifest.toml").decode()
    by_name = {component["name"]: component for component in components}
    for name in ("Alpha", "Beta", "Gamma"):
        digest = by_name[name]["hashes"][0]["content"]
        assert f'git-tree-sha1 = "{digest}"' in manifest
        assert "?uuid=3f1d4f64-" in by_name[name]["purl"]
    away = depot.with_name("away")
    for name, file in {"Numbers": "numbers.txt", "Wanted": "wanted.txt", "Count": "lib/libcount.so"}.items():
        (digest,) = [path.name for path in (away / "artifacts").iterdir() if (path / file).exists()]
        assert by_name[name]["hashes"] == [{"alg": "SHA-1", "content": digest}]
    assert [name for name in names if name.endswith("licenses/packages/Gamma/LICENSE")]
    assert [name for name in names if "/licenses/artifacts/" in name and name.endswith("/COPYING")]
    assert str(depot) not in manifest


def test_the_wheel_brings_stubs_where_a_workload_was_recorded(wheel, version):
    with zipfile.ZipFile(wheel) as archive:
        own = [name for name in archive.namelist() if "/_jnumpy/" not in name]
        brought = {name for name in own if name.endswith((".pyi", "/py.typed"))}
        if version < versions.SLOW_IMAGES:
            assert brought == {f"{PACKAGE}/_chain.pyi", f"{PACKAGE}/py.typed"}
            assert "def tally(" in archive.read(f"{PACKAGE}/_chain.pyi").decode()
        else:
            assert brought == set()
