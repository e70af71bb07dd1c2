"""Julia's life cycle: start, fork, and exit. Each case runs in its own process."""

import re
import subprocess

import pytest
from child import last_line, run, succeeds


def test_exit_with_live_arrays(julia, contract):
    code = "import contract, _contract as c, sys\nsys.keep = [c.zeros_of(10) for _ in range(1000)]\nprint('end')"
    assert succeeds(code, julia) == "end\n"


def test_atexit_hooks_of_julia_run_once(julia, contract):
    code = "import jnumpy; jnumpy.init_jl(); jnumpy.exec_julia('atexit(() -> println(\"bye\"))')"
    assert succeeds(code, julia) == "bye\n"


def test_the_julia_that_is_named_is_the_one_that_runs(julia, contract):
    asked = subprocess.run([julia, "--version"], capture_output=True, text=True, check=True).stdout
    told = succeeds("import jnumpy; jnumpy.init_jl(); print(jnumpy.julia_version)", julia)
    assert asked == f"julia version {told}"


def test_starting_twice_is_no_error(julia, contract):
    assert succeeds("import jnumpy; jnumpy.init_jl(); jnumpy.init_jl(); print(jnumpy.eval_julia('1'))", julia) == "1\n"


def test_calls_before_the_start_are_refused(julia):
    for call in ("exec_julia('1')", "eval_julia('1')", "init_project('/x')", "include_src('x.jl')"):
        outcome = run(f"import jnumpy; jnumpy.{call}", julia)
        assert last_line(outcome) == "RuntimeError: Julia is not running: call `jnumpy.init_jl()` first"


def test_no_julia_lists_what_was_searched(tmp_path):
    outcome = run("import jnumpy; jnumpy.init_jl()", None, PATH="/nowhere", JNUMPY_HOME=str(tmp_path))
    assert last_line(outcome).startswith(
        "jnumpy._errors.JuliaNotFoundError: no Julia found: TYPY_JL_EXE is not set, `julia` is not on PATH (/nowhere), "
        f"and nothing is installed in {tmp_path}/julia; install one with `jnumpy-pack julia install`; more: section "
        "`no-julia` of /"
    )


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TYPY_JL_EXE": "/nowhere/julia"}, "there is no Julia at `/nowhere/julia`, which TYPY_JL_EXE names"),
        ({"TYPY_JL_OPTS": "--frobnicate"}, 'TYPY_JL_OPTS has "--frobnicate", which is not an option of an embedded'),
        (
            {"TYPY_JL_OPTS": "-t none"},
            'TYPY_JL_OPTS has "-t": "none" is not allowed, expected a number above 0 or `auto`',
        ),
        ({"TYPY_JL_OPTS": "--sysimage=/nowhere.so"}, "the system image `/nowhere.so` does not exist"),
        ({"JULIA_NUM_THREADS": "many"}, 'JULIA_NUM_THREADS is "many", but must be a number above 0 or `auto`'),
    ],
)
def test_bad_settings_are_named(julia, variables, words):
    outcome = run("import jnumpy; jnumpy.init_jl()", None if "TYPY_JL_EXE" in variables else julia, **variables)
    assert outcome.returncode == 1
    assert words in last_line(outcome)


def test_options_reach_julia(julia, contract):
    code = (
        "import jnumpy; jnumpy.init_jl(); print(jnumpy.eval_julia('(Base.JLOptions().opt_level, Threads.nthreads())'))"
    )
    assert succeeds(code, julia, TYPY_JL_OPTS="-O1 --threads 2") == "(1, 2)\n"


def test_the_environment_is_as_before(julia, contract):
    code = (
        "import jnumpy, os, subprocess\n"
        "jnumpy.init_jl()\n"
        "print(subprocess.run(['env'], capture_output=True, text=True).stdout.count('JULIA_PROBE'))"
    )
    assert succeeds(code, julia) == "0\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (None, "", "FileNotFoundError: {} does not exist: `init_project(__file__)` loads the Julia project beside"),
        (
            "Project.toml",
            'uuid = "x"\n[deps]\nname = "y"\n',
            "ValueError: {} has no top-level `name`, which is the name of the",
        ),
        ("Project.toml", 'name = "Gone"\n', "src/Gone.jl does not exist: {} names its module `Gone`"),
    ],
)
def test_projects_that_cannot_be_loaded(julia, contract, tmp_path, name, text, words):
    if name is not None:
        (tmp_path / name).write_text(text)
    outcome = run(f"import jnumpy; jnumpy.init_jl(); jnumpy.init_project('{tmp_path}/__init__.py')", julia)
    assert outcome.returncode == 1
    assert words.format(tmp_path / "Project.toml") in outcome.stderr


def test_a_project_that_does_not_compile_shows_julias_message(julia, contract, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "Project.toml").write_text('name = "Broken"\nuuid = "6b72cf25-ae05-4424-a22d-66fb947ca700"\n')
    (tmp_path / "src/Broken.jl").write_text("module Broken\nf(x = \nend\n")
    outcome = run(f"import jnumpy; jnumpy.init_jl(); jnumpy.init_project('{tmp_path}/__init__.py')", julia)
    assert outcome.returncode == 1
    assert re.search("syntax|ParseError", outcome.stderr)
    assert "Broken.jl:" in outcome.stderr


def test_a_forked_child_is_refused(julia, contract):
    code = (
        "import contract, _contract as c, os\n"
        "if os.fork() == 0:\n"
        "    try: c.int_add(1, 2)\n"
        "    except RuntimeError as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait(); print(c.int_add(1, 2))"
    )
    first, second = succeeds(code, julia).splitlines()
    assert first.startswith("Julia does not survive fork(): start worker processes with the `spawn`")
    assert second == "3"


def test_spawned_workers_find_functions_by_reference(julia, contract, tmp_path):
    script = tmp_path / "spawn.py"
    script.write_text(
        "import contract, _contract as c, multiprocessing\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.starmap(c.int_add, [(1, 2), (3, 4)]))\n"
    )
    assert succeeds(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", julia) == "[3, 7]\n"


def test_numpy_names_for_projects_that_say_import_jnumpy_as_np(julia):
    assert succeeds("import jnumpy as np; print(np.arange(3).sum())", julia) == "3\n"
    unused = "import contract, _contract, sys; print(_contract.int_add(1, 2), 'numpy' in sys.modules)"
    assert succeeds(unused, julia) == "3 False\n"
    assert "has no attribute 'no_such_name'" in run("import jnumpy as np; np.no_such_name", julia).stderr


START = "import atexit, jnumpy, sys; atexit.register(print, 'before'); jnumpy.init_jl()\n"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("jnumpy.exec_julia('exit(3)')", 3, ""),
        ("jnumpy.exec_julia('exit()')", 0, ""),
        ("jnumpy.exec_julia('try; exit(3); finally; println(\"finally\"); end')", 3, "finally"),
        ("try: jnumpy.exec_julia('exit(4)')\nexcept SystemExit as error: print(error.code)", 0, "4"),
        ("jnumpy.exec_julia('@async exit(5); sleep(1000)')", 5, ""),
        ("jnumpy.exec_julia('wait(@async exit(6))')", 6, ""),
        ("jnumpy.exec_julia('wait(Threads.@spawn (sleep(0.1); exit(7)))')", 7, ""),
        (
            "jnumpy.exec_julia('Threads.@threads for i in 1:2; Threads.threadid() == 2 && exit(8); end')\n"
            "import time\nwhile True: time.sleep(0.01)",
            8,
            "",
        ),
    ],
)
def test_exit_in_julia_ends_python_as_sys_exit_does(julia, code, status, said):
    text = START + "atexit.register(print, 'after'); jnumpy.exec_julia('atexit(() -> println(\"julia\"))')\n" + code
    outcome = run(text, julia, JULIA_NUM_THREADS="2")
    assert outcome.returncode == status, outcome.stderr
    assert outcome.stdout.split() == [*said.split(), "after", "julia", "before"]
    assert outcome.stderr == ""


def test_exit_while_tasks_and_threads_are_busy(julia):
    code = START + (
        "jnumpy.exec_julia('@async while true; sleep(0.001); end; sleep(0.01)')\n"
        "jnumpy.exec_julia('Threads.@spawn while true; yield(); end; sleep(0.01)')\n"
        "print('end')"
    )
    outcome = run(code, julia, JULIA_NUM_THREADS="3")
    assert (outcome.returncode, outcome.stdout) == (0, "end\nbefore\n"), outcome.stderr
