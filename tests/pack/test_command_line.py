"""Features of all commands: errors as JSON, completions, manual pages."""

import json
import os
import shutil
import subprocess

import pytest


def run(pack, *arguments, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run([pack, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("project", ["wheel", "--json", "/nonexistent"]),
        ("environment", ["wheel", "--json"]),
        ("audit", ["audit", "--json", "/nonexistent.whl"]),
        ("read-wheel", ["show", "--json", "/nonexistent.whl"]),
        ("read-wheel", ["smoke", "--json", "/nonexistent.whl"]),
        ("julia", ["julia", "find", "--json", "--julia", "/nonexistent"]),
        ("julia", ["julia", "list", "--available", "--json", "--index", "/nonexistent"]),
        ("julia", ["julia", "install", "--json", "--index", "/nonexistent"]),
        ("environment", ["cache", "size", "--json"]),
        ("image", ["cache", "prune", "--all", "--json"]),
    ],
)
def test_an_error_is_an_object(pack, tmp_path, kind, arguments):
    home = tmp_path / "home"
    home.mkdir()
    (home / "images").write_text("not a directory")
    variables = {"JNUMPY_CACHE_LIMIT": "much"} if kind == "environment" else {}
    done = run(pack, *arguments, JNUMPY_HOME=str(home), **variables)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert done.stdout == json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert (told["version"], sorted(told["error"])) == (1, ["causes", "kind", "message", "remedy"])
    assert told["error"]["kind"] == kind
    # stderr contains the same message.
    assert done.stderr.startswith(f"error: {told['error']['message']}\n")
    assert all(f"  caused by: {cause}\n" in done.stderr for cause in told["error"]["causes"])
    assert told["error"]["remedy"] is None or f"\nhint: {told['error']['remedy']}\n" in done.stderr


def test_wrong_usage_is_an_object(pack):
    done = run(pack, "audit", "--json", "--nosuch")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["message"]) == ("usage", "unexpected argument '--nosuch' found")
    assert "Usage: jnumpy-pack audit" in done.stderr
    assert run(pack, "audit", "--nosuch").stdout == ""


def test_without_json_stdout_is_empty(pack):
    done = run(pack, "show", "/nonexistent.whl")
    assert (done.returncode, done.stdout) == (1, "")


def test_completions(pack):
    for shell in ("bash", "zsh", "fish"):
        done = run(pack, "completions", shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert all(word in done.stdout for word in ("audit", "smoke", "find-links", "older-than")), shell
        if program := shutil.which(shell):
            subprocess.run([program, "-n"], input=done.stdout, text=True, check=True)
    if shutil.which("bash"):
        words = "COMP_WORDS=(jnumpy-pack s); COMP_CWORD=1; _jnumpy__pack jnumpy-pack s jnumpy-pack"
        code = f'source /dev/stdin; {words}; echo "${{COMPREPLY[@]}}"'
        script = run(pack, "completions", "bash").stdout
        said = subprocess.run(["bash", "-c", code], input=script, capture_output=True, text=True, check=True)
        assert {"show", "smoke", "sdist"} <= set(said.stdout.split())


def test_pages_for_man(pack):
    page = run(pack, "man").stdout
    assert page.startswith(".ie") or page.startswith(".TH")
    assert all(f"jnumpy\\-pack\\-{command}(1)" in page for command in ("wheel", "show", "smoke", "julia"))
    assert ".TH jnumpy-pack-cache-prune 1" in run(pack, "man", "cache", "prune").stdout
    done = run(pack, "man", "nosuch")
    assert (done.returncode, done.stderr) == (
        1,
        "error: there is no command `nosuch`\n\nhint: `jnumpy-pack --help` lists the commands\n",
    )


def test_help_has_two_levels(pack):
    short, whole = (run(pack, "wheel", option).stdout for option in ("-h", "--help"))
    assert len(short.splitlines()) < 50
    for option, is_rare in [("--image", False), ("--shared", False), ("--compress", True), ("--explain", True)]:
        assert (option in short) != is_rare
        assert option in whole
