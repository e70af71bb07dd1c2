"""What modules do while an image is built, and which of their globals the image preserves."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sites
from paths import PROJECTS, REPOSITORY


@pytest.fixture(scope="module")
def packed(pack, julia, tmp_path_factory) -> tuple[Path, str]:
    """Return the wheel of the project, and what was said."""
    project = shutil.copytree(PROJECTS / "state", tmp_path_factory.mktemp("state") / "state")
    outcome = packing(pack, julia, project)
    assert outcome.returncode == 0, outcome.stderr
    return Path(outcome.stdout.strip()), outcome.stderr


@pytest.fixture(scope="module")
def site(packed, tmp_path_factory) -> Path:
    return sites.install(tmp_path_factory.mktemp("site"), packed[0])


def packing(pack, julia, project) -> subprocess.CompletedProcess:
    command = [pack, "wheel", project, "--julia", julia, "--cpu-target", "generic", "--python", sys.executable]
    return subprocess.run([*command, "--out-dir", project / "out"], capture_output=True, text=True)


def test_every_process_draws_its_own_random_numbers(site):
    printed = [sites.printed(site, "import jl_state; print(jl_state.drawn())") for _ in range(3)]
    for position in range(3):
        assert len({line.split(",")[position] for line in printed}) == 3


def test_what_was_computed_while_loading_is_kept(site):
    code = "import jl_state; print(jl_state.frozen(), jl_state.numbers(), jl_state.documented().strip())"
    first, second = (sites.printed(site, code) for _ in range(2))
    assert first == second
    assert first.endswith(" True What f does.\n")


def test_tables_are_found_in_after_the_paths_have_changed(site):
    assert sites.printed(site, "import jl_state; print(jl_state.found())") == f"{(True,) * 5}\n"


def test_an_exception_at_the_start_of_a_package_is_raised_by_each_import(site):
    code = """
import os
for _ in range(2):
    try:
        import jl_state
    except RuntimeError as error:
        print(error.julia_type, str(error).splitlines()[0])
del os.environ["STATE_FAILS"]
import jl_state
print(jl_state.found()[3])
"""
    said = sites.printed(site, code, STATE_FAILS="1")
    assert said == 2 * "InitError InitError: no license\n" + "True\n"


def test_what_a_recorded_run_has_called_is_compiled(site, tmp_path):
    trace = tmp_path / "trace.jl"
    code = 'import jl_state; print(jl_state.told("yyyy-mm-dd", abs, number=2.5))'
    assert sites.printed(site, code, TYPY_JL_OPTS=f"--trace-compile={trace}") == "2020-01-02  2.50a\n"
    compiled = trace.read_text() if trace.exists() else ""
    assert not [line for line in compiled.splitlines() if re.search(r"told|Dates|Printf", line)]


def test_binary_packages_find_the_libraries_of_the_wheel(site, packed):
    bindir = f"{site}/jl_state/_jnumpy/julia/bin"
    assert sites.printed(site, "import jl_state; print(*jl_state.directories())") == f"{bindir} {bindir}\n"
    assert "Thing_jll" not in packed[1]
    assert "JLLWrappers" not in packed[1]


def test_what_does_not_live_on_is_reported_by_name(pack, julia, packed):
    wheel, said = packed
    warned = {
        re.match(r"[\w., `]*(?:and \d+ more)?", line.removeprefix("warning: "))[0]: line
        for line in said.splitlines()
        if line.startswith("warning: ")
    }
    text = "\n".join(warned.values())
    for name, words in {
        "PIECES": "a part of the path of the build directory",
        "OUTPUT": "an open stream",
        "PASSWORDS": "an open stream",
        "POINTER": "a pointer",
        "TEXT": "a pointer",
        "address": "a pointer",
        "DESCRIPTOR": "an open stream",
        "SCRATCH": "a path of this machine",
        "Inner.HANDLES": "a pointer",
        "TIMER": "a timer",
        "GENERATOR": "seeded while packing",
        "TABLE": "filled again",
        "PLACES": "filled again",
    }.items():
        assert any(f"`State.{name}`" in line and words in line for line in warned.values()), f"{name}: {text}"
    for name in ("SEEDED", "NULL", "ORDER", "LARGE", "MATCH", "DEVICE", "FREE", "SET_AT_START"):
        assert f"State.{name}`" not in text
    # The paths of the standard library's sources are not those of the Julia that packed. REPL of Julia 1.12 includes a
    # file from another directory, and the path of OpenBLAS is in a global.
    assert all(int(times) <= 3 for times in re.findall(r"it names `[^`]+`, times: (\d+)", said))
    # The warnings are repeated if the image comes from the cache.
    again = packing(pack, julia, wheel.parents[1])
    assert [line for line in again.stderr.splitlines() if line.startswith("warning: ")] == list(warned.values())


PARTS = """
foreach(name -> include(joinpath(ARGS[1], name)), ["methods.jl", "inspect.jl", "start.jl"])

mutable struct Key
    value::Int
end
Base.hash(key::Key, seed::UInt) = hash(key.value, seed)
Base.:(==)(one::Key, other::Key) = one.value == other.value
table = Dict(key => key.value for key in map(Key, 1:50))
foreach(key -> key.value += 1000, keys(table))
JNumPyStart.fill_again!(table)
println(all(key -> table[key] == key.value - 1000, keys(table)))

JNumPyMethods.hash_at_run_time()
const PLACE = "place"
place() = hash((PLACE, 1)) + hash(PLACE)
code = first(code_typed(place, ()))[1].code
println(length(code) > 1)

module Packed
    const LOG = String[]
    baremodule Bare
        import ..LOG
        import Base
        __init__() = Base.push!(LOG, "Bare")
    end
    __init__() = push!(LOG, "Packed")
    module Later
        module Inner
            import ...LOG
            const POINTER = Ref{Ptr{Cvoid}}()
            const OTHER = Ref(Ptr{Cvoid}(8))
            __init__() = (f = x -> x; push!(LOG, f("Inner")); POINTER[] = C_NULL; length(OTHER))
        end
        import ..LOG
        __init__() = push!(LOG, "Later")
    end
    module Earlier
        import ..LOG
        __init__() = haskey(ENV, "FAILS") ? error("no license") : push!(LOG, "Earlier")
    end
end
println(Packed.LOG)
inspection = JNumPyInspection.Inspection("/sources", String[], Any[])
JNumPyInspection.inspect(inspection, Packed)
println(join([split(name, '.')[end] for (_, name, _) in inspection.findings], ' '))
empty!(Packed.LOG)
JNumPyWaiting.wait_for_python(Module[Packed])
Base.invokelatest(Packed.__init__)
ENV["FAILS"] = ""
try
    JNumPyStart.start_packages()
catch failure
    println(sprint(showerror, failure))
end
delete!(ENV, "FAILS")
foreach(_ -> JNumPyStart.start_packages(), 1:2)
println(Packed.LOG)
Base.invokelatest(Packed.__init__)
println(last(Packed.LOG))
"""


@pytest.mark.every_julia
def test_parts_of_the_build(julia, tmp_path):
    """What images hold and do, without the minutes that one takes."""
    script = tmp_path / "parts.jl"
    script.write_text(PARTS)
    command = [julia, "--startup-file=no", script, REPOSITORY / "packager/src/stages/image"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [
        "true",
        "true",
        '["Bare", "Inner", "Later", "Earlier", "Packed"]',
        "OTHER",
        "InitError: no license",
        "during initialization of module Earlier",
        '["Bare", "Inner", "Later", "Earlier", "Packed"]',
        "Packed",
    ]


@pytest.mark.parametrize(
    ("statement", "error", "remedy"),
    [
        ('const NP = py_import("numpy")', "calls Python while the module is loaded", "in `init()`"),
        ("const HELD = (held = ReentrantLock(); lock(held); held)", "` holds a lock that is locked", "unlock it"),
        ("const TASK = Task(() -> 1)", "`State.TASK` holds a task", "start it in `init()`"),
    ],
)
def test_what_no_image_can_hold_is_refused_in_a_sentence(pack, julia, tmp_path, statement, error, remedy):
    project = shutil.copytree(PROJECTS / "state", tmp_path / "state")
    source = project / "jl_state/src/State.jl"
    source.write_text(f"module State\nusing TyPython.CPython\n{statement}\ninit() = nothing\nend\n")
    (project / "jl_state/__init__.py").write_text(
        "from jnumpy import init_jl, init_project\ninit_jl()\ninit_project(__file__)\n"
    )
    (project / "workload.py").write_text("import jl_state\n")
    outcome = packing(pack, julia, project)
    assert outcome.returncode == 1
    said = outcome.stderr[outcome.stderr.index("error: ") :].splitlines()
    assert len(said) == 3
    assert error in said[0]
    assert "State.jl:3" in said[0] or "`State." in said[0]
    assert said[2].startswith("hint: ")
    assert remedy in said[2]
