"""Python packages with native libraries beside Julia, loaded after it and before it.

Symbols of Julia's libraries must not reach others: uvloop and gevent have a libuv in them, readline and libedit
share names, llvmlite has an LLVM, gmpy2 a GMP.
"""

import subprocess

import pytest
from child import last_line, run, succeeds

USES = """
import asyncio, io, os

def uvloop_serves():
    import uvloop
    async def main():
        process = await asyncio.create_subprocess_exec("sh", "-c", "echo hi", stdout=asyncio.subprocess.PIPE)
        assert (await process.communicate())[0] == b"hi\\n"
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
    uvloop.run(main())

def gevent_switches_on_libuv():
    import gevent
    gevent.config.loop = "libuv"
    assert "libuv" in repr(gevent.get_hub().loop)
    def sleeper():
        gevent.sleep(0.01)
        return 3
    jobs = [gevent.spawn(sleeper) for _ in range(5)]
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == [3] * 5

def readline_remembers():
    import readline
    readline.parse_and_bind("tab: complete")
    readline.add_history("x")
    assert readline.get_history_item(readline.get_current_history_length()) == "x"

def pdb_stops():
    import pdb
    pdb.Pdb(stdin=io.StringIO("c\\n"), stdout=io.StringIO()).set_trace()

def ipython_runs_a_cell():
    from IPython.core.interactiveshell import InteractiveShell
    assert InteractiveShell.instance().run_cell("1 + 1").result == 2

def pyarrow_converts():
    import pyarrow, pyarrow.compute, pyarrow.parquet
    table = pyarrow.table({"a": [1, 2, 3], "s": ["ä", "bb", "c"]})
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    file.seek(0)
    assert pyarrow.parquet.read_table(file).equals(table)
    assert pyarrow.compute.utf8_upper(table["s"]).to_pylist() == ["Ä", "BB", "C"]

def h5py_stores():
    import h5py, numpy
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        file["a"] = numpy.arange(10.0)
        assert file["a"][3] == 3

def numba_compiles():
    import numba
    @numba.njit
    def roots(n):
        total = 0.0
        for i in range(n):
            total += i**0.5
        return total
    assert roots(10) > 10

def gmpy2_computes():
    import gmpy2
    assert gmpy2.mpz(2) ** 200 % 7 == pow(2, 200, 7)
    assert 1.41 < gmpy2.sqrt(gmpy2.mpfr(2)) < 1.42

def the_standard_library_works():
    import ctypes, lzma, sqlite3, ssl
    ssl.create_default_context()
    assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)

def julia_works():
    import jnumpy
    jnumpy.init_jl()
    assert jnumpy.eval_julia('string(read(`echo hi`, String), length([rand() for i in 1:3]))') == "hi\\n3"
    assert abs(jnumpy.eval_julia('sum(rand(50, 50) * rand(50, 50))') - 31250) < 3000

uses = [value for name, value in list(globals().items()) if callable(value) and name != "julia_works"]
"""


@pytest.mark.parametrize("first", ["Julia", "others"])
def test_other_native_packages_work(julia, first):
    order = "julia_works(); " if first == "Julia" else ""
    run = "for use in uses: print(use.__name__, flush=True); use()"
    code = f"{USES}\n{order}\n{run}\njulia_works()\n{run}\njulia_works()\nprint('done')"
    assert succeeds(code, julia, limit=300).endswith("done\n")


def test_the_global_scope_has_no_names_but_those_of_julia(julia):
    names = ["uv_close", "uv_run", "rl_initialize", "el_init", "utf8proc_map", "u8_strwidth", "ios_putc", "memhash"]
    code = (
        "import ctypes, jnumpy; jnumpy.init_jl()\n"
        f"print([name for name in {names} if hasattr(ctypes.CDLL(None), name)])\n"
        "print(jnumpy.eval_julia('unsafe_string(ccall(:uv_version_string, Cstring, ()))')[:1])\n"
        "print(jnumpy.eval_julia('f() = ccall(:u8_strwidth, Csize_t, (Cstring,), \"äbc\"); f()'))\n"
        "try: jnumpy.eval_julia('ccall(:no_such_function, Cvoid, ())')\n"
        "except RuntimeError as error: print(str(error).split(':')[0])"
    )
    assert succeeds(code, julia).splitlines() == ["[]", "2", "3", 'could not load symbol "no_such_function"']


def compiled(directory, name):
    """Return a library of this name, which has nothing in it."""
    command = ["cc", "-shared", "-x", "c", "-o", directory / name, "-"]
    subprocess.run(command, input=b"int nothing(void) { return 1; }", check=True)
    return directory / name


def test_another_julia_in_the_process_is_refused_in_words(julia, tmp_path):
    other = compiled(tmp_path, "libjulia.so.1")
    outcome = run(f"import ctypes, jnumpy; ctypes.CDLL({str(other)!r}); jnumpy.init_jl()", julia)
    assert last_line(outcome).startswith(
        f"ImportError: another Julia is loaded in this process, `{other}`, and a process"
    )


def test_a_library_with_a_name_like_julias_is_left_alone(julia, tmp_path):
    source = b"""
    #define _GNU_SOURCE
    #include <dlfcn.h>
    int finds(void) { return dlsym(RTLD_DEFAULT, "uv_version_string") != 0; }
    """
    library = tmp_path / "libjulia_helper.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=source, check=True)
    code = f"import ctypes, jnumpy; c = ctypes.CDLL({str(library)!r}); jnumpy.init_jl(); print(c.finds())"
    assert succeeds(code, julia) == "0\n"
