"""Several packed packages in one process: the first starts its Julia, and the others join it or are refused."""

import json
import shutil
from pathlib import Path

import pytest
import sites
import small_projects
import versions

pytestmark = pytest.mark.every_julia

COMPUTE = "print([(m.scaled(3.0), m.year(), m.text()) for m in (jl_one, jl_two)])"
COMPUTED = "[(6.0, 2022, 'beside One'), (6.0, 2022, 'beside Two')]\n"
ONE_VERSION = (
    "a process has one version of a package: resolve both projects to the same version and pack them again, "
    "or use one process for each"
)


@pytest.fixture(scope="module")
def site(small, tmp_path_factory):
    return sites.install(tmp_path_factory.mktemp("site"), *small.wheels)


def test_a_wrong_option_is_quoted_as_the_user_wrote_it(site):
    said = sites.refused(site, "import jl_one", TYPY_JL_OPTS="'x")
    assert said == 'RuntimeError: TYPY_JL_OPTS is "\'x": a quote is not closed'


@pytest.fixture
def bundles(site):
    return {name: site / name / "_jnumpy" for name in ("jl_one", "jl_two", "jl_later")}


@pytest.fixture
def changed():
    """Let a test change files, and restore them afterwards."""
    kept = {}

    def change(path, text):
        kept.setdefault(path, path.read_text())
        path.write_text(text)

    yield change
    for path, text in kept.items():
        path.write_text(text)


@pytest.fixture
def described(changed):
    """Let a test change the description of a bundle."""

    def describe(bundle, change):
        path = bundle / "bundle.json"
        description = json.loads(path.read_text())
        change(description)
        changed(path, json.dumps(description))

    return describe


@pytest.fixture
def from_source(small, bundles, site, tmp_path, julia):
    """Return the environment in which `jl_one` is imported from its source tree, by an installed jnumpy."""
    shutil.copytree(bundles["jl_one"] / "jnumpy", tmp_path / "jnumpy")
    path = f"{tmp_path}:{small.sources['jl_one']}:{site}"
    return {"PYTHONPATH": path, "TYPY_JL_EXE": julia, "JULIA_DEPOT_PATH": f"{small.depot}:"}


@pytest.mark.parametrize("order", [("jl_one", "jl_two"), ("jl_two", "jl_one")])
def test_any_order_works_and_says_who_joined(site, bundles, order):
    code = f"""
import json
import {order[0]}, {order[1]}, jnumpy
{COMPUTE}
print(jl_one.shared() == jl_two.shared())
print(json.dumps(jnumpy.bundle_info()))
"""
    computed, same, info = sites.printed(site, code).splitlines()
    assert (computed + "\n", same) == (COMPUTED, "True")
    info = json.loads(info)
    first, second = (bundles[name] for name in order)
    assert info["bundle"] == str(first)
    assert info["jnumpy"]["directory"] == str(first / "jnumpy")
    (joined,) = info["joined"]
    assert joined["bundle"] == str(second)
    for said, bundle in ((info, first), (joined, second)):
        description = json.loads((bundle / "bundle.json").read_text())
        assert {key: said[key] for key in description} == description
    shared = {"name": "Shared", "version": "2.0.1"}
    assert shared.items() <= joined["packages"][small_projects.SHARED].items()


def test_active_project_and_environment_stay_the_users(site, tmp_path):
    code = """
import os, subprocess
before = dict(os.environ)
import jl_one, jl_two, jnumpy
child = subprocess.run(["env"], stdout=subprocess.PIPE, text=True).stdout
print(dict(os.environ) == before, "\\nJULIA_" in f"\\n{child}", jnumpy.eval_julia("Base.active_project()"))
"""
    project = f"{tmp_path}/depot/environments/jl_one/Project.toml"
    assert sites.printed(site, code, JNUMPY_HOME=str(tmp_path)) == f"True False {project}\n"


def test_a_library_that_the_first_leaves_out_is_found_in_the_second(site, bundles, version):
    left_out = [name for name in bundles if not list((bundles[name] / "julia").rglob("libgit2.so*"))]
    opened_at_start = versions.LIBRARIES_AT_START <= version < versions.FEWER_IN_STOCK_IMAGE
    assert left_out == ([] if opened_at_start else ["jl_one", "jl_later"])
    printed = sites.printed(site, "import jl_one, jl_two; print(jl_two.library())")
    assert printed.strip()[0].isdigit()


@pytest.mark.parametrize("order", ["jl_one, jl_two", "jl_two, jl_one"])
def test_an_extension_waits_for_a_package_of_either_bundle(site, order, version):
    printed = sites.printed(site, f"import {order}; print([jl_one.extensions(), jl_two.extensions()])")
    assert printed == f"{['SharedTrigger' if version >= versions.EXTENSIONS else ''] * 2}\n"


def test_another_version_of_a_package_is_refused(site, bundles):
    code = f"""
import jl_one
for attempt in range(2):
    try:
        import jl_later
    except ImportError as error:
        print(error)
import jl_two
{COMPUTE}
"""
    told = (
        f"the bundle in {bundles['jl_later']} contains the Julia package Shared 2.5.0, but the bundle in "
        f"{bundles['jl_one']}, which is loaded, contains Shared 2.0.1; {ONE_VERSION}"
        f"{sites.more('one-julia', bundles['jl_one'])}\n"
    )
    assert sites.printed(site, code) == told + told + COMPUTED


def test_another_package_under_the_same_version_is_refused(site, bundles, described):
    def edit(description):
        description["packages"][small_projects.SHARED]["sources"] = "0123456789abcdef"

    described(bundles["jl_two"], edit)
    theirs = json.loads((bundles["jl_one"] / "bundle.json").read_text())["packages"][small_projects.SHARED]["sources"]
    assert sites.refused(site, "import jl_one, jl_two") == (
        f"ImportError: the bundle in {bundles['jl_two']} contains the Julia package Shared 2.0.1 (sources 0123456789ab)"
        f", but the bundle in {bundles['jl_one']}, which is loaded, contains Shared 2.0.1 (sources {theirs[:12]}); "
        f"{ONE_VERSION}{sites.more('one-julia', bundles['jl_one'])}"
    )


def test_a_copied_uuid_is_refused(site, bundles, described):
    one, two = small_projects.UUIDS["One"], small_projects.UUIDS["Two"]
    described(
        bundles["jl_two"], lambda description: description["packages"].update({one: description["packages"][two]})
    )
    assert sites.refused(site, "import jl_one, jl_two") == (
        f"ImportError: the bundle in {bundles['jl_two']} contains the Julia package Two, and the bundle in "
        f"{bundles['jl_one']}, which is loaded, contains One with the same UUID {one}; give one of them another UUID "
        "and pack it again"
    )


def test_another_julia_is_refused(site, bundles, described):
    running = json.loads((bundles["jl_one"] / "bundle.json").read_text())["julia"]["version"]
    described(bundles["jl_two"], lambda description: description["julia"].update(version="1.99.0"))
    assert sites.refused(site, "import jl_one, jl_two") == (
        f"ImportError: the bundle in {bundles['jl_two']} contains Julia 1.99.0, but this process runs Julia {running}, "
        f"that of the bundle in {bundles['jl_one']}; a process has one Julia: pack with the same Julia, or use one "
        f"process for each{sites.more('one-julia', bundles['jl_one'])}"
    )


def test_another_protocol_is_refused(site, bundles, changed):
    changed(bundles["jl_two"] / "jnumpy/protocol", "99\n")
    assert sites.refused(site, "import jl_one, jl_two") == (
        f"ImportError: {bundles['jl_two']} needs jnumpy with protocol 99, but {bundles['jl_one']}/jnumpy/__init__.py, "
        f"which is loaded already, has protocol {sites.PROTOCOL}; pack both with the same jnumpy-pack, or use one "
        "process for each"
    )


@pytest.mark.parametrize("version", ["0.0.1", "99.0"])
def test_other_versions_of_jnumpy_work_together(site, bundles, described, version):
    described(bundles["jl_two"], lambda description: description.update(runtime=version))
    assert sites.printed(site, f"import jl_one, jl_two\n{COMPUTE}") == COMPUTED


def test_what_needs_a_newer_jnumpy_says_so(site, bundles, described, changed):
    described(bundles["jl_two"], lambda description: description.update(runtime="99.0"))
    source = site / "jl_two/src/Two.jl"
    changed(source, source.read_text().replace("using TyPython.CPython", "using TyPython.CPython: not_yet_there"))
    runtime = bundles["jl_one"] / "jnumpy"
    outcome = sites.run(site, "import jl_one, jl_two")
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: the bundle in {bundles['jl_two']} was packed with jnumpy 99.0, but jnumpy ")
    assert last.endswith(
        f" in {runtime} is loaded, and Two does not load with it: update that jnumpy, or use one process for each"
    )
    assert "not_yet_there" in outcome.stderr


def test_a_failed_import_can_be_tried_again_and_harms_no_other(site):
    code = f"""
import os
def failing(name):
    os.environ[f"{{name.capitalize()}}_FAILS"] = "yes"
    try:
        __import__(f"jl_{{name}}")
    except RuntimeError as error:
        print(error)
    del os.environ[f"{{name.capitalize()}}_FAILS"]

failing("one")
failing("two")
import jl_two, jl_one
{COMPUTE}
"""
    assert sites.printed(site, code) == f"One was told to fail\nTwo was told to fail\n{COMPUTED}"


def test_a_damaged_first_one_leaves_the_others(site, bundles, changed):
    library = next((bundles["jl_one"] / "julia").rglob("libjulia.so.1*"))
    aside = library.rename(library.with_name("aside"))
    try:
        code = """
try:
    import jl_one
except ImportError as error:
    print(error)
import jl_two
print(jl_two.scaled(3.0))
"""
        told = f"{library} cannot be used (No such file or directory); reinstall the package\n6.0\n"
        assert sites.printed(site, code) == told
    finally:
        aside.rename(library)


def test_a_package_may_import_another_before_it_starts_julia(site, changed):
    init = site / "jl_one/__init__.py"
    changed(init, init.read_text().replace("from jnumpy import", "import jl_two\nfrom jnumpy import", 1))
    code = f"import jl_one, jl_two, jnumpy\n{COMPUTE}\nprint(jnumpy.bundle_info()['project']['name'])"
    assert sites.printed(site, code) == f"{COMPUTED}Two\n"


def test_a_child_process_may_unpickle_in_another_order(site):
    code = """
import multiprocessing, pickle, subprocess, sys
import jl_one, jl_two
print([f(3.0) for f in pickle.loads(pickle.dumps([jl_two.scaled, jl_one.scaled]))])
text = pickle.dumps([jl_two.scaled, jl_one.scaled])
child = "import pickle; two, one = pickle.loads(%r); print(two(3.0), one(3.0), two.__module__)" % text
subprocess.run([sys.executable, "-S", "-c", child], check=True)
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.map(jl_two.scaled, [1.0]), pool.map(jl_one.scaled, [1.0]))
"""
    script = "if __name__ == '__main__':\n" + "\n".join("    " + line for line in code.splitlines())
    printed = sites.printed(site, script)
    assert sorted(printed.splitlines()) == ["6.0 6.0 jl_two._two", "[2.0] [2.0]", "[6.0, 6.0]"]


def test_two_threads_may_import_the_same_package_at_once(site, version):
    code = """
import importlib, threading
together, outcomes = threading.Barrier(2), []
def work():
    together.wait()
    module = importlib.import_module("jl_one")
    try:
        outcomes.append(module.scaled(3.0))
    except RuntimeError as refused:
        outcomes.append(str(refused))
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
first, second = sorted(outcomes, key=str)
print(first, second)
"""
    second = "6.0" if version >= versions.ANY_THREAD else "this Julia serves only the thread that started it"
    assert sites.printed(site, code).startswith(f"6.0 {second}")


def test_two_threads_may_import_two_packages_at_once(site, version):
    """If Julia serves one thread only, the one that comes second is refused, and the first one can import both."""
    code = f"""
import importlib, threading
together, outcomes = threading.Barrier(2), {{}}
def work(name):
    together.wait()
    try:
        importlib.import_module(name)
    except RuntimeError as refused:
        outcomes[name] = str(refused)
        together.wait()
    else:
        together.wait()
        import jl_one, jl_two
        if name == "jl_one" or outcomes:
            {COMPUTE}
threads = [threading.Thread(target=work, args=(name,)) for name in ("jl_one", "jl_two")]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(*outcomes.values())
"""
    told = sites.printed(site, code)
    refused = "" if version >= versions.ANY_THREAD else "this Julia serves only the thread that started it"
    assert told.startswith(COMPUTED + refused)


def test_a_bundle_joins_an_installed_julia(site, bundles, from_source):
    code = f"import jl_one, jl_two, jnumpy\n{COMPUTE}\ninfo = jnumpy.bundle_info()"
    code += "\nprint(jl_one.__file__, info['bundle'], [joined['bundle'] for joined in info['joined']])"
    outcome = sites.run(site, code, **from_source)
    source = Path(from_source["PYTHONPATH"].split(":")[1])
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == f"{COMPUTED}{source}/jl_one/__init__.py None {[str(bundles['jl_two'])]}\n"


def test_a_source_tree_is_loaded_into_the_julia_of_a_bundle(site, bundles, from_source):
    code = f"import jl_two, jl_one, jnumpy\n{COMPUTE}\nprint(jnumpy.bundle_info()['bundle'])"
    outcome = sites.run(site, code, **from_source)
    assert (outcome.stdout, outcome.stderr) == (f"{COMPUTED}{bundles['jl_two']}\n", "")


def test_another_version_in_a_source_tree_is_named(site, bundles, small, from_source):
    last = sites.refused(site, "import jl_one, jl_later", **from_source)
    start = (
        f"ImportError: the bundle in {bundles['jl_later']} contains the Julia package Shared 2.5.0, but Shared 2.0.1 "
    )
    assert last.startswith(f"{start}is loaded from {small.depot}/packages/Shared/")
    assert f"; {ONE_VERSION}; more: section `one-julia` of " in last


def test_another_installed_julia_is_named(site, bundles, described, from_source):
    described(bundles["jl_two"], lambda description: description["julia"].update(version="1.99.0"))
    last = sites.refused(site, "import jl_one, jl_two", **from_source)
    assert f"the bundle in {bundles['jl_two']} contains Julia 1.99.0, but this process runs Julia 1." in last
    told = ", an installed one; a process has one Julia: pack with the same Julia, or use one process for each; more: "
    assert told in last
