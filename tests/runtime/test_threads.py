"""Python's threads and processes together with Julia's threads. Each case runs in its own process."""

import pytest
import versions
from child import last_line, run, succeeds

PREAMBLE = "import running, _running as r, os, sys, threading, time\n"


def test_another_thread_is_refused_or_served(julia, version):
    code = PREAMBLE + (
        "def call():\n"
        "    try: print(r.threads())\n"
        "    except RuntimeError as error: print(error)\n"
        "thread = threading.Thread(target=call)\n"
        "thread.start(); thread.join()\n"
        "print(r.threads())"
    )
    first, second = succeeds(code, julia, JULIA_NUM_THREADS="1").splitlines()
    if version < versions.ANY_THREAD:
        assert first.startswith("this Julia serves only the thread that started it (Julia 1.9 and later serve any")
    else:
        assert first == "1"
    assert second == "1"


def test_threads_that_follow_one_another_are_told_apart(julia, version):
    """The system reuses the number of a thread that has ended."""
    code = (
        "import threading\n"
        "def call():\n"
        "    import _running\n"
        "    try: print(_running.threads())\n"
        "    except RuntimeError as error: print('refused:', error)\n"
        "def first():\n"
        "    import running\n"
        "    call()\n"
        "for work in (first, call, call, call):\n"
        "    thread = threading.Thread(target=work); thread.start(); thread.join()\n"
    )
    first, *others = succeeds(code, julia, JULIA_NUM_THREADS="1").splitlines()
    assert first == "1"
    assert len(others) == 3
    for told in others:
        assert (
            told == "1"
            if version >= versions.ANY_THREAD
            else told.startswith("refused: this Julia serves only the thread")
        )


def test_what_a_function_says_of_itself_needs_no_julia(julia):
    code = PREAMBLE + (
        "import functools, inspect, pickle, typing, weakref, joblib\n"
        "def ask():\n"
        "    wrapper = functools.wraps(r.total)(lambda array: r.total(array))\n"
        "    print(r.total.__doc__, r.total.__name__, r.total, inspect.signature(r.total), wrapper.__name__)\n"
        "    print(typing.get_type_hints(r.threads), weakref.ref(r.total)() is r.total, len({r.total}))\n"
        "    print(pickle.loads(pickle.dumps(r.total)) is r.total, joblib.delayed(r.total)(1)[0] is r.total)\n"
        "thread = threading.Thread(target=ask); thread.start(); thread.join()\n"
    )
    first, second, third = succeeds(code, julia).splitlines()
    assert first.startswith("None total <Julia function Running.total> (")
    assert first.endswith(" total")
    assert second == "{'return': <class 'int'>} True 1"
    assert third == "True True"


@pytest.mark.parametrize(
    ("value", "default", "interactive"),
    [("2", 2, 0), ("2,1", 2, 1), ("auto", None, 0), ("auto,1", None, 1), ("1,auto", 1, 1)],
)
def test_numbers_of_threads_in_all_forms(julia, version, value, default, interactive):
    code = PREAMBLE + (
        "import jnumpy\n"
        "pools = 'isdefined(Threads, :nthreadpools) ? map(Threads.nthreads, (:default, :interactive)) : '\n"
        "pools += '(Threads.nthreads(), 0)'\n"
        "print(*jnumpy.eval_julia(pools), len(os.sched_getaffinity(0)), r.total(r.ones_of(3)))"
    )
    if version < versions.ANY_THREAD:
        interactive = 0
    for variables in ({"JULIA_NUM_THREADS": value}, {"TYPY_JL_OPTS": f"--threads={value}"}):
        found = succeeds(code, julia, **variables).split()
        assert found == [str(default) if default else found[2], str(interactive), found[2], "3.0"]


def test_threads_without_the_lock_collect_together(julia, version):
    """Four threads of Python allocate in Julia at once, while a fifth sits in Python; an old Julia serves only one."""
    code = PREAMBLE + (
        "served = []\n"
        "def work():\n"
        "    try: served.append(r.churning(60))\n"
        "    except RuntimeError as error: served.append(str(error)[:12])\n"
        "sleeping = threading.Event()\n"
        "def sleep():\n"
        "    try: r.call(lambda: sleeping.wait(60))\n"
        "    except RuntimeError: pass\n"
        "sleeper = threading.Thread(target=sleep); sleeper.start()\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "mine = r.churning(60)\n"
        "for thread in threads: thread.join()\n"
        "sleeping.set(); sleeper.join()\n"
        "print(mine, *served)"
    )
    for threads in ("1", "4"):
        mine, served = succeeds(code, julia, JULIA_NUM_THREADS=threads).rstrip().split(maxsplit=1)
        assert mine == "60000"
        assert served == " ".join(["60000" if version >= versions.ANY_THREAD else "this Julia s"] * 4)


def test_a_function_that_comes_to_throw_raises_after_calls_of_another_thread(julia):
    code = PREAMBLE + (
        "import jnumpy\n"
        "def define(body): jnumpy.exec_julia(f'@export_py calm(a::Int)::Int = {body}')\n"
        "jnumpy.exec_julia('using TyPython.CPython')\n"
        "define('a + 1')\n"
        "calm = jnumpy.eval_julia('Pyfunc(calm)')\n"
        "def many(): return {calm(1) for _ in range(3000)}\n"
        "def other():\n"
        "    try: many()\n"
        "    except RuntimeError: pass\n"
        "for _ in range(2):\n"
        "    print(many())\n"
        "    thread = threading.Thread(target=other); thread.start(); thread.join()\n"
        "jnumpy.exec_julia('calm(a::Int) = error(\"redefined\")')\n"
        "for _ in range(3000):\n"
        "    try: calm(1)\n"
        "    except RuntimeError as error: last = str(error).split(chr(10))[0]\n"
        "print(last)"
    )
    assert succeeds(code, julia) == "{2}\n{2}\nredefined\n"


@pytest.mark.parametrize("threads", ["1", "2", "auto"])
def test_julia_threads_collect_while_python_threads_allocate(julia, threads):
    code = PREAMBLE + (
        "import gc, numpy\n"
        "stop = False\n"
        "def churn():\n"
        "    while not stop:\n"
        "        cycle = [numpy.zeros(100)]; cycle.append(cycle); gc.collect(0)\n"
        "churning = [threading.Thread(target=churn) for _ in range(2)]\n"
        "for thread in churning: thread.start()\n"
        "sums = {r.parallel(200_000) for _ in range(20)}\n"
        "stop = True\n"
        "for thread in churning: thread.join()\n"
        "print(sums == {sum(i * i for i in range(1, 200_001))}, r.threads(), len(os.sched_getaffinity(0)))"
    )
    right, found, usable = succeeds(code, julia, JULIA_NUM_THREADS=threads).split()
    assert right == "True"
    assert found == (usable if threads == "auto" else threads)


def test_auto_counts_the_processors_that_may_be_used(julia):
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + PREAMBLE + "print(r.threads())"
    assert succeeds(code, julia, JULIA_NUM_THREADS="auto") == "1\n"


def test_python_runs_beside_a_call_without_the_lock(julia):
    code = PREAMBLE + (
        "count, stop = 0, False\n"
        "def work():\n"
        "    global count\n"
        "    while not stop: count += 1\n"
        "thread = threading.Thread(target=work); thread.start()\n"
        "before = count; r.computing(0.5); after = count\n"
        "stop = True; thread.join()\n"
        "print(after - before > 1000)"
    )
    assert succeeds(code, julia) == "True\n"


def test_python_runs_while_a_call_waits(julia):
    """In a sleep, for a task, for a child, and for another thread of Julia; afterwards the call has the lock again."""
    code = PREAMBLE + (
        "import jnumpy\n"
        "jnumpy.exec_julia('using TyPython.CPython')\n"
        "jnumpy.exec_julia('@export_py later(f::Function, code::String)::Any = '\n"
        "    '(include_string(Main, code); (a=f([1.0, 2.0]), b=[3.0], c=\"text\"))')\n"
        "later = jnumpy.eval_julia('Pyfunc(later)')\n"
        "count, stop = 0, threading.Event()\n"
        "def work():\n"
        "    global count\n"
        "    while not stop.wait(0.001): count += 1\n"
        "thread = threading.Thread(target=work); thread.start()\n"
        "task = 'c = Channel(0); @async (sleep(0.2); put!(c, 1)); take!(c)'\n"
        "spawned = 'fetch(Threads.@spawn sleep(0.2))'\n"
        "for code in ('sleep(0.2)', task, 'run(`sleep 0.2`)', spawned, 'sleep(0.1); println(1)'):\n"
        "    before = count; found = later(sum, code); during = count - before\n"
        "    print(during > 5, *found)\n"
        "try: jnumpy.exec_julia('sleep(0.01); error(\"late\")')\n"
        "except RuntimeError as error: print(str(error).splitlines()[0])\n"
        "stop.set(); thread.join()"
    )
    lines = succeeds(code, julia, JULIA_NUM_THREADS="2").splitlines()
    assert lines == ["True 3.0 [3.] text"] * 4 + ["1", "True 3.0 [3.] text", "late"]


def test_threads_that_wait_at_once_do_not_mix_what_they_pass(julia, version):
    others = 4 if version >= versions.ANY_THREAD else 0
    code = PREAMBLE + (
        "import jnumpy\n"
        "jnumpy.exec_julia('using TyPython.CPython')\n"
        "jnumpy.exec_julia('@export_py several(f::Function, n::Int)::Any = '\n"
        "    '(sleep(0.001 * rand(0:3)); a = f(n, string(n)); sleep(0.001); '\n"
        "    'iseven(n) || error(n); (x=[a], y=string(a), z=a:a))')\n"
        "several = jnumpy.eval_julia('Pyfunc(several)')\n"
        "right, stop = [], False\n"
        "def back(number, text):\n"
        "    assert str(number) == text\n"
        "    if number % 3 == 0: time.sleep(0.001)\n"
        "    return number\n"
        "def work(first):\n"
        "    for n in range(first, first + 40):\n"
        "        try: found = several(back, n)\n"
        "        except RuntimeError as error: right.append(str(error).splitlines()[0] == str(n) and n % 2 == 1)\n"
        "        else: right.append((found.x.tolist(), found.y, list(found.z)) == ([n], str(n), [n]))\n"
        "def churn():\n"
        "    while not stop: [[] for _ in range(100)]\n"
        f"threads = [threading.Thread(target=work, args=[1000 * i]) for i in range({others})]\n"
        "for thread in [*threads, threading.Thread(target=churn)]: thread.start()\n"
        "work(0)\n"
        "for thread in threads: thread.join()\n"
        "stop = True\n"
        "print(all(right), len(right))"
    )
    found = succeeds(code, julia, JULIA_NUM_THREADS="2")
    assert found == f"True {40 * (others + 1)}\n"


@pytest.mark.parametrize("work", ["jnumpy.exec_julia('sleep(0.001)')", "r.computing(0.001)", "r.call(nap)"])
def test_the_process_ends_while_daemon_threads_call(julia, version, work):
    """While the interpreter ends, they ask for its lock: after a wait, a function without the lock, and in Python."""
    code = (
        "import threading, time\n"
        "def nap(): time.sleep(0.001)\n"
        "calling = threading.Event()\n"
        "def work():\n"
        "    import jnumpy, running, _running as r\n"
        "    while True:\n"
        f"        {work}\n"
        "        calling.set()\n"
        "def start(): threading.Thread(target=work, daemon=True).start(); calling.wait(); calling.clear()\n"
    )
    # The thread that starts Julia; and others beside it.
    assert succeeds(f"{code}start(); print('end')", julia) == "end\n"
    if version >= versions.ANY_THREAD:
        several = "import running\nfor _ in range(3): start()\nprint('end')"
        assert succeeds(code + several, julia, JULIA_NUM_THREADS="2") == "end\n"


def test_the_process_ends_while_a_daemon_thread_waits_for_long(julia):
    code = (
        "import threading, time\n"
        "def work():\n"
        "    import jnumpy; jnumpy.init_jl(); began.set(); jnumpy.exec_julia('sleep(600)')\n"
        "began = threading.Event()\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "began.wait(); time.sleep(0.5); print('end')"
    )
    assert succeeds(code, julia) == "end\n"


def test_a_forked_pool_is_refused_in_words(julia):
    code = PREAMBLE + (
        "import multiprocessing\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    try: pool.map(r.ones_of, [3] * 4)\n"
        "    except RuntimeError as error: print(error)\n"
        "print(r.threads())"
    )
    first, second = succeeds(code, julia, JULIA_NUM_THREADS="2").splitlines()
    assert first.startswith("Julia does not survive fork(): start worker processes with the `spawn`")
    assert second == "2"


def test_a_forked_child_ends_well(julia):
    code = PREAMBLE + (
        "kept = [r.ones_of(3) for _ in range(100)]\n"
        "if os.fork() == 0:\n"
        "    kept.clear()\n"
        "    sys.exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]), r.total(kept[0]))"
    )
    assert succeeds(code, julia) == "7 3.0\n"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_executors_find_functions_by_reference(julia, tmp_path, method):
    script = tmp_path / "main.py"
    script.write_text(
        "import running, _running as r, concurrent.futures, multiprocessing\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context('{method}')\n"
        "    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:\n"
        "        print(list(executor.map(r.total, map(r.ones_of, [1, 2, 3]))))\n"
        "        print(repr(executor.submit(r.fail, 3).exception()).splitlines()[0])\n"
    )
    told = succeeds(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", julia)
    assert told.splitlines()[0] == "[1.0, 2.0, 3.0]"
    assert told.splitlines()[1].startswith("JuliaValueError('DomainError with 3")


@pytest.mark.parametrize("first", ["main", "sub"])
def test_subinterpreters_are_refused(julia, first):
    code = (
        f"if {first == 'main'}: import running\n"
        "import _xxsubinterpreters as subinterpreters\n"
        "other = subinterpreters.create()\n"
        "text = 'try: import jnumpy\\nexcept ImportError as error: print(error, flush=True)'\n"
        "subinterpreters.run_string(other, text)\n"
        "import running, _running\n"
        "print(_running.threads())"
    )
    refusal, served = succeeds(code, julia, JULIA_NUM_THREADS="1").splitlines()
    assert refusal.startswith("jnumpy works in the main interpreter only")
    assert served == "1"


def test_free_threaded_builds_are_refused(julia):
    # What such a build says of itself; it cannot load the extension at all.
    outcome = run("import sys; sys.abiflags = 't'; import jnumpy", julia)
    assert last_line(outcome).startswith("ImportError: jnumpy needs Python's global lock, and this is")


@pytest.mark.parametrize("daemon", [False, True])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_exit_while_threads_are_alive(julia, daemon, threads):
    code = PREAMBLE + (
        "kept = [r.ones_of(10) for _ in range(100)]; r.keep(1, kept[0]); r.keep(2, __import__('numpy').ones(5))\n"
        "def work():\n"
        f"    while {daemon} or threading.main_thread().is_alive(): sum(range(1000))\n"
        f"threading.Thread(target=work, daemon={daemon}).start()\n"
        "print('end')"
    )
    assert succeeds(code, julia, JULIA_NUM_THREADS=threads) == "end\n"


@pytest.mark.parametrize(("leave", "status"), [("sys.exit(3)", 3), ("os._exit(4)", 4)])
def test_exit_inside_a_callback(julia, leave, status):
    outcome = run(PREAMBLE + f"r.call(lambda: r.call(lambda: {leave}))", julia, JULIA_NUM_THREADS="2")
    assert (outcome.returncode, outcome.stderr) == (status, "")


def test_exceptions_cross_nested_callbacks(julia):
    code = PREAMBLE + (
        "def again(n): return r.down(again, n)\n"
        "for depth in (0, 1, 50):\n"
        "    try: again(depth)\n"
        "    except ValueError as error: print(type(error).__name__, error)\n"
        "class Own(Exception): pass\n"
        "own = Own()\n"
        "def bottom(n):\n"
        "    if n == 0: raise own\n"
        "    return r.down(bottom, n)\n"
        "try: bottom(20)\n"
        "except Own as error: print(error is own)"
    )
    assert succeeds(code, julia) == "JuliaValueError ArgumentError: the bottom\n" * 3 + "True\n"


def test_what_waits_works_in_a_thread_of_python(julia, version):
    """The thread that started Julia runs Python code, and cannot run Julia's event loop meanwhile."""
    if version < versions.ANY_THREAD:
        return
    code = PREAMBLE + (
        "import jnumpy\n"
        "codes = ['sleep(0.05); 1', 'read(`echo child`, String)', 'c = Channel(1); @async put!(c, 3); take!(c)',\n"
        "         'success(`sh -c \"exit 1\"`)', 'ccall(:jl_in_threaded_region, Cint, ()) > 0']\n"
        "answers = [[], [], []]\n"
        "work = lambda found: found.extend(map(jnumpy.eval_julia, codes))\n"
        "several = [threading.Thread(target=work, args=[found]) for found in answers]\n"
        "several[0].start(); several[0].join(); print(answers[0])\n"
        # At the same time as the thread that started Julia.
        "for thread in several[1:]: thread.start()\n"
        "jnumpy.exec_julia('sleep(0.1); run(`true`)')\n"
        "for thread in several[1:]: thread.join()\n"
        "print(*answers[1:])\n"
        "jnumpy.exec_julia('Threads.@threads :static for i in 1:2; end')\n"
        "print(jnumpy.eval_julia(codes[-1]))"
    )
    answers = "[1, 'child\\n', 3, False, True]"
    assert succeeds(code, julia).splitlines() == [answers, f"{answers} {answers}", "False"]


def test_threads_that_wait_run_the_event_loop_one_after_the_other(julia, version):
    """The thread that runs the event loop returns to Python first, so another one has to run it."""
    if version < versions.ANY_THREAD:
        return
    code = PREAMBLE + (
        "import jnumpy\n"
        "jnumpy.exec_julia('module Naps; using TyPython, TyPython.CPython; '\n"
        "                  '@export_py nogil=true nap(seconds::Float64)::Nothing = sleep(seconds); '\n"
        "                  '@export_pymodule _naps begin; nap = Pyfunc(nap); end; end')\n"
        "from _naps import nap\n"
        "done = []\n"
        "def work(seconds): nap(seconds); done.append(seconds)\n"
        "for seconds in [0.1, 0.5, 0.3, 0.7]: threading.Thread(target=work, args=[seconds]).start()\n"
        "nap(0.2); print('starting thread')\n"
        "while threading.active_count() > 1: time.sleep(0.01)\n"
        "print(sorted(done))"
    )
    assert succeeds(code, julia) == "starting thread\n[0.1, 0.3, 0.5, 0.7]\n"
