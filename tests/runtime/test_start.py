"""Starting a Julia that is too new, damaged, or incomplete raises an exception, and Python continues."""

import shutil
import subprocess

import fake_julias
import versions
from child import last_line, run, succeeds

START = "import jnumpy\ntry: jnumpy.init_jl()\nexcept ImportError as error: print(error)\n"


def fake_julia(directory, version, source, libraries=()):
    """Return the path of a Julia that is a libjulia of C `source`, and `libraries` in its private directory."""
    julia = fake_julias.write(directory, f"{version}.2")
    for name in libraries:
        compiled(directory / "lib/julia" / name, "")
    compiled(directory / f"lib/libjulia.so.{version}", source)
    # A program, unlike a script, is not started to find out about its Julia.
    return shutil.copy("/bin/false", julia)


def compiled(path, source):
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", path, f"-Wl,-soname,{path.name}"]
    subprocess.run(command, input=source, text=True, check=True)


def ends(*names):
    """C code of what Julia's loader does when a library is missing; here it always is."""
    listed = ":".join(names)
    return (
        f'#include <stdlib.h>\nconst char dep_libs[] = "\\0{listed}:";\n'
        "__attribute__((constructor)) static void load(void) { exit(1); }\n"
    )


def test_a_newer_julia_is_warned_about_and_its_missing_symbol_is_named(tmp_path):
    julia = fake_julia(tmp_path, "1.99", 'const char *jl_ver_string(void) { return "1.99.2"; }')
    outcome = run(START, julia)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == (
        f"Julia 1.99.2 at `{tmp_path}/lib/libjulia.so.1.99` has no symbol `jl_parse_opts`; this version of jnumpy "
        "knows Julia 1.5 to 1.13: update jnumpy, or use an older Julia (`TYPY_JL_EXE` names its `julia`)\n"
    )


def test_an_old_julia_is_refused(tmp_path):
    julia = fake_julia(tmp_path, "1.5", 'const char *jl_ver_string(void) { return "1.4.2"; }')
    assert succeeds(START, julia) == (
        f"Julia 1.4.2 at `{tmp_path}/lib/libjulia.so.1.5` is not supported: 1.5 or later is needed\n"
    )


def test_a_library_that_the_system_lacks_is_named(tmp_path):
    """The loader of a stock Julia ends the process for it, as for `libatomic.so.1` on a small Debian."""
    source = ends("julia/libthatislacking.so.1", "@julia/libjulia-internal.so.1.10", "@julia/libjulia-codegen.so.1.10")
    julia = fake_julia(tmp_path, "1.10", source, ["libjulia-internal.so.1.10", "libjulia-codegen.so.1.10"])
    outcome = run(START, julia)
    assert outcome.returncode == 0
    assert outcome.stdout.startswith(
        "Julia cannot be loaded: `libthatislacking.so.1` cannot be loaded: libthatislacking.so.1: cannot open shared "
        f"object file: No such file or directory, which `{tmp_path}/lib/libjulia.so.1.10` needs; if it is not one of "
        "Julia's own files, install it with the system's packages (on Debian `libatomic1`,"
    )


def test_a_damaged_library_of_julia_is_named(tmp_path):
    source = ends("@julia/libjulia-internal.so.1.10", "@julia/libjulia-codegen.so.1.10")
    julia = fake_julia(tmp_path, "1.10", source, ["libjulia-internal.so.1.10"])
    (tmp_path / "lib/julia/libjulia-codegen.so.1.10").write_bytes(b"\x7fELF")
    outcome = run(START, julia)
    assert outcome.returncode == 0
    assert f"`{tmp_path}/lib/julia/libjulia-codegen.so.1.10` cannot be loaded: " in outcome.stdout
    assert "file too short" in outcome.stdout


def test_no_process_is_started_to_look_for_libraries(julia, tmp_path):
    """Julia's loader since 1.9 forks itself to look at the system's libstdc++, unless it is told not to."""
    code = (
        "import os, resource\n"
        "import jnumpy; jnumpy.init_jl()\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt, 'JULIA_PROBE_LIBSTDCXX' in os.environ)\n"
    )
    # The first start compiles TyPython for the ones after it, in a process of its own.
    succeeds("import jnumpy; jnumpy.init_jl()", julia)
    assert succeeds(code, julia, PATH="/nowhere") == "0 False\n"


# Every function that the runtime looks up, of a Julia that cannot do anything.
LATER = """
const char *jl_ver_string(void) { return "1.99.2"; }
void *jl_stackovf_exception, *jl_uv_stdout, *jl_uv_stderr, *jl_uv_stdin;
void *jl_eval_string(const char *code) { return 0; }
void jl_parse_opts(void) {} void jl_init_with_image_file(void) {} void jl_unbox_voidpointer(void) {}
void jl_atexit_hook(void) {} void jl_throw(void) {} void jl_gc_safe_enter(void) {} void jl_gc_safe_leave(void) {}
void jl_enter_threaded_region(void) {} void jl_exit_threaded_region(void) {} void jl_gc_unsafe_enter(void) {}
"""


def test_a_newer_julia_is_warned_about_and_tried(tmp_path):
    julia = fake_julia(tmp_path, "1.99", LATER)
    outcome = run("import jnumpy; jnumpy.init_jl()", julia)
    assert outcome.stderr.count("is newer than") == 1
    assert last_line(outcome) == (
        "RuntimeError: TyPython could not be loaded: Julia could not evaluate the runtime's first line"
    )


def test_a_warning_that_is_an_error_stops_the_start(tmp_path):
    julia = fake_julia(tmp_path, "1.99", LATER)
    code = "import warnings; warnings.simplefilter('error')\nimport jnumpy; jnumpy.init_jl()"
    assert last_line(run(code, julia)).startswith("RuntimeWarning: Julia 1.99 is newer than 1.13, the newest")


def test_the_second_start_in_development_compiles_no_exported_function(julia, version, contract, tmp_path):
    """The first one has written package images, where Julia makes them."""
    trace = tmp_path / "trace"
    code = "import contract, _contract as c; print(c.int_add(1, 2))"
    assert succeeds(code, julia, TYPY_JL_OPTS=f"--trace-compile={trace}") == "3\n"
    compiled = [line for line in trace.read_text().splitlines() if "entry of" in line or "Contract.int_add" in line]
    if version >= versions.NO_CFUNCTIONS_IN_PACKAGE_IMAGES:
        compiled = [line for line in compiled if "entry_pointer" not in line]
    assert (compiled == []) == (version >= versions.PACKAGE_IMAGES), compiled
