"""Julia prints to and reads from Python's streams. Each case runs in its own process."""

import os
import pty
import subprocess
import sys
import termios

import pytest
from child import environment, run, succeeds

START = "import jnumpy, sys; jnumpy.init_jl(); julia = jnumpy.exec_julia\n"


def test_everything_arrives_in_order(julia):
    code = START + (
        "print('python 1')\n"
        'julia(\'println("julia 2"); print(3, " is "); @show(1 + 2)\')\n'
        "print('python 4')\n"
        "julia('run(`echo child 5`); println(\"julia 6\"); run(pipeline(`echo child 7`, stdout=stdout))')\n"
        "print('python 8')\n"
        'julia(\'Core.println("core 9"); write(stdout, "julia 10\\\\n"); display(11); println()\')\n'
        'julia(\'print(stdout, "julia 12\\\\n"); printstyled("13"; color=:red); println()\')\n'
        "julia('atexit(() -> println(\"last\"))')\n"
        "print('python 14')"
    )
    assert (
        succeeds(code, julia, buffered=True).split()
        == (
            "python 1 julia 2 3 is 1 + 2 = 3 python 4 child 5 julia 6 child 7 python 8 core 9 julia 10 11 julia 12 13 "
            "python 14 last"
        ).split()
    )


def test_what_goes_to_stderr(julia):
    code = START + (
        "print('python', file=sys.stderr)\n"
        'julia(\'@info "message" x=1; @warn "warning"; @error "failure"; println(stderr, "plain")\')\n'
        "julia('@async try; error(\"in a task\"); catch failure; showerror(stderr, failure); end; yield()')\n"
        "julia('watch = isdefined(Base, :errormonitor) ? Base.errormonitor : (_ -> println(stderr, \"watched\"))')\n"
        "julia('watch(@async error(\"watched\")); sleep(0.3)')\n"
        "julia('run(pipeline(`sh -c \"echo child >&2\"`, stderr=stderr))')\n"
        "julia('f() = 1; f() = 2')\n"
    )
    outcome = run(code, julia)
    assert (outcome.returncode, outcome.stdout) == (0, "")
    said = outcome.stderr
    expected = [
        "python\n",
        "Info: message",
        "x = 1",
        "Warning: warning",
        "Error: failure",
        "plain\n",
        "in a task",
        "watched",
        "child\n",
    ]
    places = [said.find(text) for text in expected]
    assert -1 not in places, said
    assert places == sorted(places), said


def test_streams_are_those_of_the_moment(julia):
    code = START + (
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:\n"
        '    julia(\'println("α"); display([1 2]); print(stdout, "x"); @warn "w"; write(stderr, "e")\')\n'
        "    julia('write(stdout, 0xce); write(stdout, 0xb2); write(stdout, 0xff, 0x41)')\n"
        "print(ascii(out.getvalue()), err.getvalue().split()[2], err.getvalue()[-1])\n"
        "class Own:\n"
        "    def write(self, text): print('own', text, file=sys.__stdout__)\n"
        "sys.stdout = Own()\n"
        "julia('print(\"to an object\")')\n"
        "sys.stdout = None\n"
        "julia('println(\"to nobody\"); flush(stdout)')\n"
    )
    said = succeeds(code, julia).splitlines()
    assert said[0].startswith(r"'\u03b1\n1\xd72 "), said
    assert said[0].endswith(r"x\u03b2\ufffdA' w e"), said
    assert said[1:] == ["own to an object"]


def test_bytes_and_encodings(julia):
    code = START + 'julia(\'println("α"); write(stdout, 0xff, 0x00); write(stdout, "β"); print("\\\\n")\')'
    assert run(code, julia, text=False).stdout == "α\n".encode() + b"\xff\x00" + "β\n".encode()
    assert run(code, julia, text=False, PYTHONIOENCODING="ascii").stdout.startswith(rb"\u03b1")


def test_an_exception_of_the_stream_is_the_callers(julia):
    code = START + (
        "class Full:\n"
        "    def write(self, text): raise OSError(28, 'full')\n"
        "sys.stdout = Full()\n"
        "try: julia('println(1)')\n"
        "except OSError as error: print(error, file=sys.stderr)\n"
        "julia('try; println(1); catch failure; println(stderr, typeof(failure)); end')\n"
        "sys.stdout = sys.__stdout__\n"
    )
    outcome = run(code, julia)
    assert outcome.returncode == 0
    assert outcome.stderr.splitlines()[0] == "[Errno 28] full"
    assert outcome.stderr.splitlines()[1].endswith("PyException")


def test_a_reader_that_has_gone_is_an_exception(julia):
    code = START + (
        "import os\n"
        "r, w = os.pipe(); os.dup2(w, 1); os.close(r)\n"
        "try: julia('for _ in 1:10; println(1); end')\n"
        "except BrokenPipeError as error: print('gone', file=sys.stderr); os.dup2(2, 1)\n"
    )
    outcome = run(code, julia)
    assert (outcome.returncode, outcome.stderr) == (0, "gone\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_in_the_same_process_is_no_deadlock(julia, stream):
    number = {"stdout": 1, "stderr": 2}[stream]
    code = START + (
        "import os, threading\n"
        "reader, writer = os.pipe(); saved, received = os.dup(1), []\n"
        "def drain():\n"
        "    while data := os.read(reader, 65536): received.append(len(data))\n"
        "thread = threading.Thread(target=drain); thread.start()\n"
        f"before = os.dup({number}); os.dup2(writer, {number}); os.close(writer)\n"
        f'julia(\'for _ in 1:1000; println({stream}, "x"^1000); end; print({stream}, "y"^1_000_000)\')\n'
        f"os.dup2(before, {number}); thread.join()\n"
        "os.write(saved, str(sum(received)).encode())"
    )
    assert succeeds(code, julia) == "2001000"


def test_threads_of_julia_print_too(julia):
    code = START + (
        "import time\n"
        "julia('Threads.@threads for i in 1:100; println(\"line \", i); end')\n"
        "print('after')\n"
        'julia(\'background = Threads.@spawn (sleep(0.3); println("late"); println(stderr, "later"))\')\n'
        "julia('wait(background)')\n"
        "sys.stdout = None\n"
    )
    outcome = run(code, julia, JULIA_NUM_THREADS="2")
    lines = outcome.stdout.splitlines()
    assert (outcome.returncode, outcome.stderr) == (0, "later\n")
    assert sorted(lines[:100]) == sorted(f"line {i}" for i in range(1, 101))
    assert lines[100:] == ["after", "late"]


def test_threads_of_julia_print_while_python_ends(julia):
    code = START + (
        "julia('for _ in 1:3; Threads.@spawn while true; flush(stdout); ccall(:sched_yield, Cint, ()); end; end')\n"
    )
    # Whether a thread prints in the moment after the interpreter has gone is chance: nearly always with three threads.
    for _ in range(2):
        outcome = run(code, julia, JULIA_NUM_THREADS="4")
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_functions_without_the_lock_print_too(julia):
    code = START + (
        "import threading, time\n"
        "f = jnumpy.eval_julia('''module Loud\n"
        "using TyPython.CPython\n"
        "@export_py nogil=true function loud(n::Int)::Nothing\n"
        '    for i in 1:n; println("line ", i); end\n'
        "    flush(stdout)\n"
        "end\n"
        "end; Loud.Pyfunc(Loud.loud)''')\n"
        "print('before'); f(1000); print('after')"
    )
    assert succeeds(code, julia).splitlines() == ["before", *(f"line {i}" for i in range(1, 1001)), "after"]


def test_printing_while_an_exception_is_on_its_way(julia):
    code = START + (
        "import io, contextlib\n"
        "julia('mutable struct Loud; end; make() = (finalizer(_ -> println(\"collected\"), Loud()); nothing)')\n"
        "julia('make(); make()')\n"
        "class Failing:\n"
        "    @property\n"
        "    def value(self):\n"
        "        try: raise KeyError('inner')\n"
        "        finally: julia('GC.gc(); println(\"in between\")')\n"
        "jnumpy.eval_julia('using TyPython.CPython')\n"
        "try: Failing().value\n"
        "except KeyError as error: print(error)\n"
    )
    said = succeeds(code, julia).splitlines()
    assert said[-2:] == ["in between", "'inner'"]
    assert said[:-2] == ["collected"] * (len(said) - 2)


def test_pytest_captures_it(julia, tmp_path):
    (tmp_path / "test_loud.py").write_text(
        "import jnumpy\n"
        "jnumpy.init_jl()\n"
        "def test_sys(capsys):\n"
        "    jnumpy.exec_julia('println(1); @warn \"w\"')\n"
        "    out, err = capsys.readouterr()\n"
        "    assert out == '1\\n' and 'Warning: w' in err\n"
        "def test_fd(capfd):\n"
        "    jnumpy.exec_julia('println(1); run(`echo 2`); Core.println(3); @warn \"w\"')\n"
        "    out, err = capfd.readouterr()\n"
        "    assert out == '1\\n2\\n3\\n' and 'Warning: w' in err\n"
        "def test_failing():\n"
        "    jnumpy.exec_julia('println(\"said before\")')\n"
        "    assert False\n"
    )
    for capture in ("fd", "sys"):
        command = [sys.executable, "-m", "pytest", "-q", f"--capture={capture}", "-p", "no:cacheprovider", tmp_path]
        if capture == "sys":
            command += ["-k", "not fd"]
        outcome = subprocess.run(command, env=environment(julia), capture_output=True, text=True, cwd=tmp_path)
        passed = 2 if capture == "fd" else 1
        assert f"1 failed, {passed} passed" in outcome.stdout, outcome.stdout
        assert "Captured stdout call" in outcome.stdout
        assert "said before" in outcome.stdout


def test_a_terminal_has_its_size_and_colors(julia):
    main, other = pty.openpty()
    termios.tcsetwinsize(other, (33, 111))
    code = START + (
        "julia('println(displaysize(stdout)); printstyled(\"red\"; color=:red); println()')\n"
        "julia('println(get(stdout, :color, false))')\n"
        "julia('println(stderr, displaysize(stderr) == displaysize()); println(get(IOContext(stderr), :color, false))')"
    )
    variables = {name: value for name, value in environment(julia).items() if name not in ("LINES", "COLUMNS")}
    variables["TERM"] = "xterm"
    outcome = subprocess.run(
        [sys.executable, "-c", code], stdin=other, stdout=other, stderr=subprocess.PIPE, text=True, env=variables
    )
    os.close(other)
    said = b""
    while True:
        try:
            block = os.read(main, 4096)
        except OSError:
            break
        if not block:
            break
        said += block
    os.close(main)
    assert (outcome.returncode, outcome.stderr) == (0, "true\n")
    assert said.decode().splitlines() == ["(33, 111)", "\x1b[31mred\x1b[39m", "true", "false"]


def test_julia_code_may_redirect_its_streams(julia, tmp_path):
    code = START + (
        "julia('''\n"
        "before = stdout\n"
        "(reader, writer) = redirect_stdout()\n"
        'println("hidden")\n'
        "redirect_stdout(before)\n"
        "close(writer)\n"
        'println("read: ", read(reader, String))\n'
        f'open("{tmp_path}/file", "w") do file\n'
        "    redirect_stdout(file) do\n"
        '        println("to the file"); flush(stdout); Core.println("core"); run(`echo child`)\n'
        "    end\n"
        "end\n"
        "redirect_stderr(stdout)\n"
        'println(stderr, "as stdout")\n'
        'Core.println("core again")\n'
        "redirect_stderr(TyPython.CPython.ERRORS)\n"
        'println(stderr, "to stderr")\n'
        "''')\n"
        "print('python')\n"
        "julia('run(`echo child`)')\n"
    )
    outcome = run(code, julia)
    assert (outcome.returncode, outcome.stderr) == (0, "to stderr\n")
    assert outcome.stdout.splitlines() == ["read: hidden", "", "as stdout", "core again", "python", "child"]
    assert sorted((tmp_path / "file").read_text().splitlines()) == ["child", "core", "to the file"]


def test_input_is_shared_line_by_line(julia):
    code = START + (
        "print(sys.stdin.readline().strip())\n"
        "julia('println(readline()); println(readline(stdin; keep=true) == \"three\\\\n\")')\n"
        "print(input())\n"
        "julia('println(read(stdin, Char), read(stdin, UInt8), eof(stdin)); println(readavailable(stdin))')\n"
        "print(sys.stdin.readline().strip())\n"
        "julia('println(read(stdin, String)); println(eof(stdin))')"
    )
    said = succeeds(code, julia, input="one\ntwo\nthree\nfour\nβ5 rest\nsix\nseven\neight")
    assert said.splitlines() == [
        "one",
        "two",
        "true",
        "four",
        f"β{ord('5')}false",
        str(list(b" rest\n"))
        .replace("[", "UInt8[")
        .replace("32, 114, 101, 115, 116, 10", "0x20, 0x72, 0x65, 0x73, 0x74, 0x0a"),
        "six",
        "seven",
        "eight",
        "true",
    ]


def test_input_may_be_bytes(julia):
    code = START + "julia('write(stdout, read(stdin))')"
    content = bytes(range(256)) * 1000 + b"\r\n"
    assert run(code, julia, text=False, input=content).stdout == content


def test_input_is_not_touched_unless_it_is_read(julia):
    code = START + ("julia('println(\"no input\"); run(`cat`)')\nprint(sys.stdin.read(), end='')")
    assert succeeds(code, julia, input="for the child\n") == "no input\nfor the child\n"
    assert succeeds(START + "julia('sleep(0.2)'); print(sys.stdin.read())", julia, input="one\n") == "one\n\n"


def test_a_thread_of_julia_may_read(julia):
    code = START + "julia('println(fetch(Threads.@spawn readline()))')"
    assert succeeds(code, julia, JULIA_NUM_THREADS="2", input="one\n") == "one\n"
