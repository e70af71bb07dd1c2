"""`jnumpy-pack julia install VERSION` from a server on this machine, which may misbehave.

The archives are in the official layout. Most hold a Julia that only answers; one holds a real one.
"""

import hashlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import fake_julias
import http_servers
import pytest

INDEX = "/bin/versions.json"
DIRECTORY = "/bin/linux/x64"
DEBIAN = "`jnumpy-pack julia install --from debian` installs Julia 1.5.3 from Debian's packages"
NETWORK = "hint: check the network connection and `https_proxy`; `--server` or `JNUMPY_JULIA_SERVER` names a mirror"


@pytest.fixture
def server():
    with http_servers.serve() as server:
        yield server


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def julia_command(pack, home):
    """Run `jnumpy-pack julia`, on a machine with no Julia but those of `home`."""

    def run(*arguments, check=False, **variables) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [pack, "julia", *arguments], env=environment(home) | variables, capture_output=True, text=True, check=check
        )

    return run


def environment(home: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(home.parent), "JNUMPY_HOME": str(home), "JNUMPY_HTTP_TIMEOUT": "2"}


def offer(server, *versions: str, padding: int = 0, **changed: object) -> dict[str, bytes]:
    """Put archives and an index of them on the server, with `changed` fields; returns the archives by version."""
    archives, index = {}, {}
    for version in versions:
        content = fake_julias.archive(version, padding=padding)
        path = f"{DIRECTORY}/julia-{version}-linux-x86_64.tar.gz"
        server.files[path] = archives[version] = content
        index[version] = fake_julias.entry(server.url + path, content, stable="-" not in version, **changed)
    server.files[INDEX] = json.dumps(index).encode()
    return archives


def path_of(version: str) -> str:
    return f"{DIRECTORY}/julia-{version}-linux-x86_64.tar.gz"


def is_clean(home: Path) -> bool:
    """Whether nothing is installed, completely or partly; parts of downloads may exist."""
    names = {path.name for path in (home / "julia").glob("*")} if home.exists() else set()
    return names <= {".lock", ".downloads"}


def refused(done: subprocess.CompletedProcess[str], home: Path, *words: str) -> None:
    """Check that an installation was refused with a message and left nothing."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    for text in words:
        assert text in done.stderr, done.stderr
    assert "\nhint: " in done.stderr
    assert "panicked" not in done.stderr
    assert is_clean(home)


def test_versions_side_by_side(julia_command, server, home):
    offer(server, "1.9.4", "1.10.9", "1.10.10", "1.11.2", "1.12.0-rc1", "1.3.1")
    for wanted, version in [("lts", "1.10.10"), ("release", "1.11.2"), ("1.9", "1.9.4"), ("1.12.0-rc1", "1.12.0-rc1")]:
        done = julia_command("install", wanted, "--server", server.url)
        assert done.stdout == f"{home}/julia/official-{version}/bin/julia\n", done.stderr
        assert done.stderr.endswith(f"Julia {version}: installed\n")
        assert not re.search(r"[\r\x1b]", done.stderr)
    assert julia_command("find").stdout == f"{home}/julia/official-1.12.0-rc1/bin/julia\n"
    again = julia_command("install", "--server", server.url, "--json", check=True)
    assert again.stderr == "Julia 1.10.10: already installed, nothing to do\n"
    assert json.loads(again.stdout)["julia"]["julia_version"] == "1.10.10"

    record = json.loads((home / "julia/official-1.9.4/jnumpy-julia.json").read_text())
    archive = server.files[path_of("1.9.4")]
    assert record["archive"] == {
        "url": server.url + path_of("1.9.4"),
        "sha256": hashlib.sha256(archive).hexdigest(),
        "size": len(archive),
    }
    program = home / "julia/official-1.9.4/bin/julia"
    assert (program.stat().st_mode & 0o777, program.stat().st_mtime) == (0o755, 1_000_000_000)
    assert os.readlink(home / "julia/official-1.9.4/lib/libjulia.so") == "libjulia.so.1.9"
    assert {path.name for path in (home / "julia").glob(".*")} == {".lock"}

    chosen = julia_command("use", "1.10", check=True)
    assert chosen.stdout == f"{home}/julia/official-1.10.10/bin/julia\n"
    assert julia_command("find").stdout == chosen.stdout
    listed = json.loads(julia_command("list", "--json").stdout)["julias"]
    assert [row["origin"] for row in listed] == [
        "installed as official-1.10.10, the default",
        "installed as official-1.12.0-rc1",
        "installed as official-1.11.2",
        "installed as official-1.9.4",
    ]
    removed = julia_command("remove", "1.10.10", check=True)
    assert removed.stdout == f"{home}/julia/official-1.10.10\n"
    assert julia_command("find").stdout == f"{home}/julia/official-1.12.0-rc1/bin/julia\n"
    julia_command("use", "official-1.9.4", check=True)
    assert julia_command("use", "--none").stderr == "no installed Julia is the default\n"
    assert julia_command("find").stdout == f"{home}/julia/official-1.12.0-rc1/bin/julia\n"


def test_remove_and_use_of_what_is_not_there_or_not_one(julia_command, server, home):
    none = julia_command("use", "1.10")
    assert none.stderr == (
        "error: no Julia `1.10` is installed\n\nhint: none is installed; `jnumpy-pack julia install` installs one\n"
    )
    fake_julias.install(home, "official-1.10.9", "1.10.9")
    fake_julias.install(home, "official-1.10.10", "1.10.10")
    two = julia_command("remove", "1.10")
    assert "`1.10` matches several installed Julias: `official-1.10.10`, `official-1.10.9`" in two.stderr
    other = julia_command("remove", "../../x")
    assert "hint: installed: `official-1.10.10`, `official-1.10.9`" in other.stderr
    assert len(list((home / "julia").iterdir())) == 2


def test_what_can_be_installed_is_listed(julia_command, server, home):
    offer(server, "1.3.1", "1.9.4", "1.10.10", "1.11.2", "1.12.0-rc1")
    julia_command("install", "1.9.4", "--server", server.url, check=True)
    listed = julia_command("list", "--available", JNUMPY_JULIA_SERVER=server.url, check=True).stdout
    assert listed == "1.9.4\tinstalled\n1.10.10\tlts\n1.11.2\trelease\n1.12.0-rc1\tprerelease\n"
    rows = json.loads(julia_command("list", "--available", "--json", JULIAUP_SERVER=server.url).stdout)
    assert rows["version"] == 1
    assert rows["available"][1] == {
        "channels": ["lts"],
        "installed": False,
        "julia_version": "1.10.10",
        "sha256": hashlib.sha256(server.files[path_of("1.10.10")]).hexdigest(),
        "size": len(server.files[path_of("1.10.10")]),
        "stable": True,
        "url": server.url + path_of("1.10.10"),
    }


def test_an_index_in_a_file_with_archives_beside_it(julia_command, home, tmp_path):
    content = fake_julias.archive("1.10.4")
    (tmp_path / "julia-1.10.4-linux.tar.gz").write_bytes(content)
    index = {"1.10.4": fake_julias.entry("julia-1.10.4-linux.tar.gz", content)}
    (tmp_path / "versions.json").write_text(json.dumps(index))
    done = julia_command("install", "lts", "--index", tmp_path / "versions.json")
    assert done.stdout == f"{home}/julia/official-1.10.4/bin/julia\n", done.stderr


def test_a_mirror_serves_what_the_official_index_lists(julia_command, server, home):
    archives = offer(server, "1.10.4")
    official = "https://julialang-s3.julialang.org"
    server.files[INDEX] = server.files[INDEX].replace(server.url.encode(), official.encode())
    server.files |= {f"/mirror{path}": content for path, content in server.files.items()}
    done = julia_command("install", "--server", f"{server.url}/mirror/")
    assert done.returncode == 0, done.stderr
    assert server.requests == [(f"/mirror{INDEX}", None), (f"/mirror{path_of('1.10.4')}", None)]
    assert json.loads((home / "julia/official-1.10.4/jnumpy-julia.json").read_text())["archive"]["size"] == len(
        archives["1.10.4"]
    )


def test_a_proxy_is_asked(julia_command, server, home):
    offer(server, "1.10.4")
    server.files[INDEX] = server.files[INDEX].replace(server.url.encode(), b"http://julia.invalid")
    done = julia_command("install", "--server", "http://julia.invalid", http_proxy=server.url)
    assert done.returncode == 0, done.stderr
    assert ("julia.invalid:80", None) in server.requests
    direct = julia_command(
        "install", "1.9", "--server", "http://julia.invalid", http_proxy=server.url, no_proxy="julia.invalid"
    )
    assert "cannot fetch the index of Julia versions from `http://julia.invalid/bin/versions.json`" in direct.stderr


def test_without_the_index_an_installed_one_of_the_series_will_do(julia_command, server, home):
    offer(server, "1.10.4")
    julia_command("install", "1.10.4", "--server", server.url, check=True)
    server.behaviors[INDEX] = http_servers.status(500)
    exact = julia_command("install", "1.10.4", "--server", "http://127.0.0.1:9")
    assert exact.stderr == "Julia 1.10.4: already installed, nothing to do\n"
    done = julia_command("install", "--server", server.url)
    assert done.returncode == 0
    assert "warning: cannot fetch the index of Julia versions" in done.stderr
    assert "so a newer version than 1.10.4 may exist" in done.stderr
    assert julia_command("install", "release", "--server", server.url).returncode == 1


def test_a_broken_connection_is_taken_up_again(julia_command, server, home):
    content = offer(server, "1.10.4", padding=5_000_000)["1.10.4"]
    server.behaviors[path_of("1.10.4")] = http_servers.cut(len(content) // 3, times=2)
    done = julia_command("install", "--server", server.url)
    assert done.returncode == 0, done.stderr
    third = len(content) // 3
    asked = [span for path, span in server.requests if path != INDEX]
    assert asked == [None, f"bytes={third}-", f"bytes={2 * third}-"]
    assert f"the connection ended after {third} of {len(content)} bytes; trying again" in done.stderr


def test_an_interrupted_download_is_resumed_by_the_next_run(julia_command, pack, server, home):
    content = offer(server, "1.10.4", padding=3_000_000)["1.10.4"]
    server.behaviors[path_of("1.10.4")] = http_servers.slowly(20)
    for stop, status in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        process = subprocess.Popen(
            [pack, "julia", "install", "--server", server.url],
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        before = downloaded(home)
        while downloaded(home) < before + 100_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(stop)
        stdout, stderr = process.communicate(timeout=20)
        assert (process.returncode, stdout) == (status, "")
        assert json.loads(julia_command("list", "--json").stdout)["julias"] == []
    assert stderr.endswith("error: interrupted; no partly written files were left\n")
    assert is_clean(home)
    server.behaviors.clear()
    have = downloaded(home)
    assert 200_000 <= have < len(content)
    done = julia_command("install", "--server", server.url)
    assert done.returncode == 0, done.stderr
    assert server.requests[-1] == (path_of("1.10.4"), f"bytes={have}-")
    assert "of it by an earlier run" in done.stderr
    assert not (home / "julia/.downloads").exists()


def downloaded(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("julia/.downloads/*"))


@pytest.mark.parametrize("behavior", [http_servers.without_ranges, http_servers.well], ids=["no ranges", "ranges"])
def test_what_is_left_of_another_file_is_thrown_away(julia_command, server, home, behavior):
    content = offer(server, "1.10.4")["1.10.4"]
    server.behaviors[path_of("1.10.4")] = behavior
    part = home / "julia/.downloads" / f"{hashlib.sha256(content).hexdigest()}.tar.gz"
    for left in (b"\0" * 300, content[:-1] + b"\0", content + b"more"):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(left)
        done = julia_command("install", "--server", server.url)
        assert done.returncode == 0, done.stderr
        julia_command("remove", "1.10.4", check=True)


def test_the_index_is_out_of_reach(julia_command, server, home):
    url = f"{server.url}{INDEX}"
    failed = f"error: cannot fetch the index of Julia versions from `{url}`\n  caused by: "
    refused(julia_command("install", "--server", server.url), home, f"{failed}the server answered 404 Not Found\n")
    for behavior, reason in [
        (http_servers.status(500), "the server answered 500 Internal Server Error"),
        (http_servers.status(403), "the server answered 403 Forbidden"),
        (http_servers.mute, "the server sent less than 1000 bytes a second for 2 s"),
        (http_servers.redirect("/elsewhere"), "the server answered 404 Not Found"),
        (http_servers.redirect(INDEX), "the server redirected more than 10 times"),
        (http_servers.redirect("file:///etc/passwd"), f"refusing to follow `{url}` to `file:///etc/passwd`"),
    ]:
        server.behaviors[INDEX] = behavior
        refused(julia_command("install", "--server", server.url), home, failed + reason)
    done = julia_command("install", "--server", "http://127.0.0.1:9")
    refused(done, home, "`http://127.0.0.1:9/bin/versions.json`", "onnection refused", NETWORK, DEBIAN)
    done = julia_command("install", "--server", "http://me:secret@nowhere.invalid")
    refused(done, home, "`http://nowhere.invalid/bin/versions.json`", "Name or service not known", DEBIAN)
    assert "secret" not in done.stderr
    refused(julia_command("install", "--server", "ftp://server.invalid"), home, "the address must begin with https://")
    refused(julia_command("install", "--index", "/none.json"), home, "`file:///none.json`", "No such file")


def test_an_index_that_is_none(julia_command, server, home):
    offer(server, "1.10.4")
    index = server.files[INDEX]
    failed = f"error: `{server.url}{INDEX}` is not an index of Julia versions\n  caused by: "
    for content in (index[: len(index) // 2], b"", b"<html>", b"\x1f\x8b\0\xff", b"[1, 2]"):
        server.files[INDEX] = content
        refused(julia_command("install", "--server", server.url), home, failed)
    server.files[INDEX] = index
    server.behaviors[INDEX] = http_servers.cut(100)
    done = julia_command("install", "--server", server.url)
    refused(done, home, f"the connection ended after 100 of {len(index)} bytes")


def test_versions_that_are_not_listed(julia_command, server, home):
    offer(server, "1.3.1", "1.10.4", "1.13.0-alpha1")
    index = f"the index `{server.url}{INDEX}` has no Julia"
    for wanted, words, hint in [
        ("1.99", f"{index} 1.99 for {fake_julias.TRIPLET}", "hint: the index has 1.10.4, 1.3.1; "),
        ("1.13", f"{index} 1.13 for", "hint: the index has 1.13.0-alpha1; "),
        ("1.10.5", f"{index} 1.10.5 for", "hint: the index has 1.10.4; "),
        (
            "1.3",
            "Julia 1.3.1 is older than 1.5.0, the oldest supported version",
            "`jnumpy-pack julia list --available`",
        ),
        ("latest", "`latest` is not a version of Julia", "hint: give `lts`, `release`, a series such as `1.10`"),
    ]:
        refused(julia_command("install", wanted, "--server", server.url), home, words, hint)
    offer(server, "1.10.4", triplet="s390x-linux-gnu")
    refused(julia_command("install", "--server", server.url), home, f"{index} 1.10 for {fake_julias.TRIPLET}")


@pytest.mark.parametrize(
    ("behavior", "reason"),
    [
        (http_servers.status(404), "the server answered 404 Not Found"),
        (http_servers.status(503), "the server answered 503 Service Unavailable"),
        (http_servers.cut(1000), "the connection ended after 4000 of "),
        (http_servers.silent, "the server sent less than 1000 bytes a second for 2 s"),
        (http_servers.redirect("http://127.0.0.1:9/x"), "onnection refused"),
        (http_servers.redirect("http://[bad"), "the server redirected to `http://[bad`, which is not a valid address"),
    ],
    ids=["404", "503", "cut", "silent", "redirect", "garbage"],
)
def test_an_archive_that_does_not_arrive(julia_command, server, home, behavior, reason):
    offer(server, "1.10.4", padding=50_000)
    server.behaviors[path_of("1.10.4")] = behavior
    done = julia_command("install", "--server", server.url)
    refused(done, home, f"error: cannot download `{server.url}{path_of('1.10.4')}`\n  caused by: ", reason)


def test_a_server_that_fails_for_a_moment(julia_command, server, home):
    offer(server, "1.10.4")
    server.behaviors[path_of("1.10.4")] = http_servers.status(503, times=2)
    server.behaviors[INDEX] = http_servers.status(500, times=1)
    done = julia_command("install", "--server", server.url)
    assert done.returncode == 0, done.stderr
    assert "the server answered 503 Service Unavailable; trying again from byte 0" in done.stderr


def test_an_archive_that_is_not_the_one_in_the_index(julia_command, server, home):
    url = f"`{server.url}{path_of('1.10.4')}`"
    offer(server, "1.10.4", sha256="0" * 64)
    refused(julia_command("install", "--server", server.url), home, f"error: {url} has SHA-256 ", f"says {'0' * 64}")
    assert downloaded(home) == 0
    size = len(server.files[path_of("1.10.4")])
    offer(server, "1.10.4", size=size + 1)
    refused(
        julia_command("install", "--server", server.url), home, f"{url} has {size} bytes, but the index says {size + 1}"
    )
    offer(server, "1.10.4", size=0)
    refused(julia_command("install", "--server", server.url), home, "has an invalid `size` for Julia 1.10.4: `0`")
    offer(server, "1.10.4", size=10**12)
    refused(julia_command("install", "--server", server.url), home, "exceeds the limit for an archive, 2000 MB")
    offer(server, "1.10.4", sha256="short")
    refused(julia_command("install", "--server", server.url), home, "has an invalid `sha256` for Julia 1.10.4: `short`")
    offer(server, "1.10.4")
    server.behaviors[path_of("1.10.4")] = http_servers.wrong_range
    (home / "julia/.downloads").mkdir(parents=True, exist_ok=True)
    content = server.files[path_of("1.10.4")]
    (home / f"julia/.downloads/{hashlib.sha256(content).hexdigest()}.tar.gz").write_bytes(content[:10])
    done = julia_command("install", "--server", server.url)
    refused(done, home, "a different part of the file than requested: `bytes 0-")


def hostile(*members: tuple[str, bytes, str]) -> bytes:
    """Return an archive of a Julia with more entries: name, type, and link target or content."""
    content = io.BytesIO(fake_julias.archive("1.10.4"))
    out = io.BytesIO()
    with tarfile.open(fileobj=content) as good, tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as bad:
        for member in good:
            bad.addfile(member, good.extractfile(member) if member.isfile() else None)
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(text)
                bad.addfile(member, io.BytesIO(text.encode()))
            else:
                member.linkname = text
                bad.addfile(member)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            hostile(("../../evil", tarfile.REGTYPE, "x")),
            ["refusing the entry `../../evil`", "leads out of the archive"],
        ),
        (hostile(("/tmp/evil", tarfile.REGTYPE, "x")), ["refusing the entry `/tmp/evil`", "leads out of the archive"]),
        (
            hostile(("julia-1.10.4/x", tarfile.SYMTYPE, "/etc")),
            ["`julia-1.10.4/x`", "a link that leads out of the archive"],
        ),
        (
            hostile(("julia-1.10.4/x", tarfile.SYMTYPE, "bin"), ("julia-1.10.4/x/julia2", tarfile.REGTYPE, "x")),
            ["`julia-1.10.4/x/julia2`", "already in use"],
        ),
        (hostile(("julia-1.10.4/x", tarfile.LNKTYPE, "/etc/passwd")), ["`julia-1.10.4/x`", "leads out of the archive"]),
        (hostile(("julia-1.10.4/null", tarfile.CHRTYPE, "")), ["neither a file, a directory, nor a link"]),
        (hostile(("julia-1.10.4/\x1b[2J", tarfile.FIFOTYPE, "")), [r"`julia-1.10.4/\u{1b}[2J`"]),
        (hostile(("julia-1.10.4/zeros", tarfile.REGTYPE, "\0" * 50_000_000)), ["MB unpacked"]),
        (hostile()[:-100], ["is a damaged archive"]),
        (b"\x1f\x8b\x08" + b"\0" * 50, ["is a damaged archive"]),
        (b"<html>not found</html>", ["is a damaged archive"]),
        (fake_julias.archive("1.10.5"), ["contains Julia 1.10.5, but the index says 1.10.4"]),
    ],
)
def test_an_archive_that_is_not_to_be_trusted(julia_command, server, home, tmp_path, content, words):
    """Its hash is right nevertheless, because an attacker may control the index."""
    server.files[path_of("1.10.4")] = content
    index = {"1.10.4": fake_julias.entry(server.url + path_of("1.10.4"), content)}
    server.files[INDEX] = json.dumps(index).encode()
    done = julia_command("install", "--server", server.url)
    refused(done, home, *words)
    assert "\x1b" not in done.stderr
    assert not Path("/tmp/evil").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_encryption_is_not_given_up(julia_command, pack, home, tmp_path):
    file, context = http_servers.certificate(tmp_path)
    with http_servers.serve() as plain, http_servers.serve(context) as server, http_servers.serve(context) as other:
        offer(server, "1.10.4")
        plain.files, other.files = dict(server.files), dict(server.files)
        unknown = julia_command("install", "--server", server.url)
        refused(unknown, home, f"`{server.url}{INDEX}`", "ertificate", NETWORK)
        trusted = {"SSL_CERT_FILE": str(file)}

        server.behaviors[INDEX] = http_servers.redirect(plain.url + INDEX)
        done = julia_command("install", "--server", server.url, **trusted)
        refused(
            done,
            home,
            f"refusing to follow `{server.url}{INDEX}` to `{plain.url}{INDEX}`: an https address may lead only to",
        )
        del server.behaviors[INDEX]
        server.behaviors[path_of("1.10.4")] = http_servers.redirect(plain.url + path_of("1.10.4"))
        done = julia_command("install", "--server", server.url, **trusted)
        refused(done, home, f"to `{plain.url}{path_of('1.10.4')}`: an https address may lead only to https")
        listed = server.files[INDEX]
        server.files[INDEX] = listed.replace(server.url.encode(), plain.url.encode())
        done = julia_command("install", "--server", server.url, **trusted)
        refused(done, home, f"follow `{server.url}{INDEX}` to `{plain.url}{path_of('1.10.4')}`")
        assert plain.requests == []

        # A redirect to another host over https is followed, because the hash is checked.
        server.files[INDEX] = listed
        server.behaviors[path_of("1.10.4")] = http_servers.redirect(other.url + path_of("1.10.4"))
        done = julia_command("install", "--server", server.url, **trusted)
        assert done.returncode == 0, done.stderr
        assert [path for path, _ in other.requests] == [path_of("1.10.4")]


def test_no_space(pack, server, home, tmp_path):
    """On a file system of a few pages, in a name space of its own."""
    offer(server, "1.10.4", padding=3_000_000)
    home.mkdir()
    program = f"mount -t tmpfs -o size=$0k none '{home}' && '{pack}' julia install --server {server.url}"
    for kilobytes, words in ((1000, "has 1 MB free, the installation needs 4 MB"), (4500, "free")):
        command = ["unshare", "--mount", "--map-root-user", "sh", "-c", program, str(kilobytes)]
        done = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert words in done.stderr
        assert "hint: free some space" in done.stderr


def test_progress_is_for_terminals(pack, server, home):
    offer(server, "1.10.4", padding=3_000_000)
    server.behaviors[path_of("1.10.4")] = http_servers.slowly(2)
    primary, secondary = pty.openpty()
    with subprocess.Popen(
        [pack, "julia", "install", "--server", server.url],
        env=environment(home) | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=secondary,
    ) as process:
        os.close(secondary)
        drawn = b""
        while True:
            try:
                drawn += os.read(primary, 65536)
            except OSError:
                break
    os.close(primary)
    assert process.returncode == 0, drawn
    assert b"\x1b" in drawn
    assert re.search(rb"download.*\d+\.\d+ MB/3\.\d+ MB", drawn)


def test_killed_at_any_moment(julia_command, pack, server, home, tmp_path):
    offer(server, "1.10.4", padding=20_000_000)
    command = [pack, "julia", "install", "1.10.4", "--server", server.url]
    started = time.monotonic()
    subprocess.run(command, env=environment(home), check=True, capture_output=True)
    seconds = time.monotonic() - started
    for number in range(10):
        julia_command("remove", "1.10.4")
        process = subprocess.Popen(command, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds * (number + 0.5) / 10)
        process.kill()
        process.wait()
        for row in json.loads(julia_command("list", "--json").stdout)["julias"]:
            assert row["problem"] is None
            assert (home / "julia/official-1.10.4/share/padding").stat().st_size == 20_000_000
    # The last one may have been killed when it had installed everything; only an installation removes what others left.
    julia_command("remove", "1.10.4")
    processes = [
        subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    assert {stdout for stdout, _ in ends} == {f"{home}/julia/official-1.10.4/bin/julia\n"}
    assert not list(home.glob("julia/.tmp-*"))


def test_a_damaged_installation_is_installed_again(julia_command, server, home):
    offer(server, "1.10.4")
    julia_command("install", "1.10.4", "--server", server.url, check=True)
    (home / "julia/official-1.10.4/lib/julia/sys.so").unlink()
    done = julia_command("install", "1.10.4", "--server", server.url)
    assert done.returncode == 0
    assert "warning: installing it again: the sysimage of " in done.stderr
    (home / "julia/official-1.10.4/jnumpy-julia.json").write_text('{"version": 1')
    done = julia_command("install", "1.10.4", "--server", server.url)
    assert done.returncode == 0
    assert "warning: installing it again: the record " in done.stderr
    assert julia_command("find").returncode == 0


def test_a_real_julia(julia_command, julia, server, home, tmp_path):
    """Its tree, packed as an official archive is, runs where it was unpacked."""
    prefix = Path(os.path.realpath(julia)).parents[1]
    ask = [julia, "--startup-file=no", "-e", "print(VERSION)"]
    version = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    path = tmp_path / f"julia-{version}-linux.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=0) as tar:
        skipped = (
            f"julia-{version}/jnumpy-julia.json",
            f"julia-{version}/share/julia/test",
            f"julia-{version}/share/doc",
        )
        tar.add(prefix, f"julia-{version}", filter=lambda member: None if member.name.startswith(skipped) else member)
    server.files["/julia.tar.gz"] = path.read_bytes()
    path.unlink()
    content = server.files["/julia.tar.gz"]
    entry = fake_julias.entry(f"{server.url}/julia.tar.gz", content)
    server.files[INDEX] = json.dumps({version: entry}).encode()
    done = julia_command("install", version, "--server", server.url)
    assert done.returncode == 0, done.stderr
    program = "using LinearAlgebra; print(inv([2.0 0.0; 0.0 4.0])[1], ' ', Sys.BINDIR)"
    command = [done.stdout.strip(), "--startup-file=no", "-e", program]
    said = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=True).stdout
    assert said == f"0.5 {home}/julia/official-{version}/bin"
