"""`jnumpy-pack show`: the contents of a wheel as text, JSON, and an HTML page."""

import fcntl
import html.parser
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import zipfile

import pytest


@pytest.fixture(scope="module")
def show(pack):
    """Run the command, which must succeed, and return its stdout."""

    def run(*arguments) -> str:
        return subprocess.run([pack, "--quiet", "show", *arguments], capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return tmp_path_factory.mktemp("page") / "page.html"


@pytest.fixture(scope="module")
def shown(show, kmeans_wheel, page) -> dict:
    return json.loads(show("--json", kmeans_wheel, "--html", page))


@pytest.fixture
def tiny(tmp_path):
    """Return an unpacked wheel with a text in its metadata that would break out of a page."""
    text = "Metadata-Version: 2.4\nName: a\nVersion: 1\nSummary: </script><script>alert(1)</script>\n"
    directory = tmp_path / "tiny"
    (directory / "a-1.dist-info").mkdir(parents=True)
    (directory / "a-1.dist-info/METADATA").write_text(text)
    (directory / "a-1.dist-info/WHEEL").write_text("Wheel-Version: 1.0\nTag: py3-none-any\n")
    return directory


@pytest.fixture(scope="module")
def unpacked(kmeans_wheel, tmp_path_factory):
    directory = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(kmeans_wheel) as wheel:
        wheel.extractall(directory)
    return directory


def test_what_the_wheel_says_of_itself(shown, kmeans_wheel):
    assert (shown["version"], shown["wheel"]) == (1, kmeans_wheel.name)
    assert shown["size"] == kmeans_wheel.stat().st_size
    distribution = shown["distribution"]
    assert (distribution["name"], distribution["requires"]) == ("jl-kmeans1d", ["numpy"])
    assert [f"{distribution['name'].replace('-', '_')}-0.1.0-{tag}.whl" for tag in distribution["tags"]] == [
        kmeans_wheel.name
    ]
    bundle = shown["bundle"]
    assert (bundle["package"], bundle["image"], bundle["compiler"]) == ("jl_kmeans1d", "full", True)
    assert bundle["cpu_targets"][0] == "generic"


def test_the_floor_is_the_tag_and_has_its_symbol(shown):
    floor = shown["floor"]
    assert shown["distribution"]["tags"] == [f"cp310-abi3-{floor['platform']}"]
    assert floor["platform"].startswith(f"manylinux_{floor['glibc'].replace('.', '_')}_")
    named = floor["because"]
    assert named["file"] in {library["path"] for library in shown["libraries"]}
    assert named["symbol_version"].startswith(("GLIBC", "CXXABI", "GCC"))


def test_sizes_add_up(shown, kmeans_wheel):
    with zipfile.ZipFile(kmeans_wheel) as wheel:
        expected = sorted((info.filename, info.file_size, info.compress_size) for info in wheel.infolist())
    assert [(file["path"], file["size"], file["compressed"]) for file in shown["files"]] == expected
    assert sum(part["size"] for part in shown["parts"]) == shown["unpacked"] == sum(size for _, size, _ in expected)
    assert shown["parts"][0]["name"] == "system image"


def test_every_library_has_its_reason(shown):
    libraries = {library["path"].rsplit("/", 1)[-1]: library for library in shown["libraries"]}
    (llvm,) = [library for name, library in libraries.items() if re.match(r"libLLVM-\d+-[0-9a-f]{8}\.so", name)]
    assert llvm["needed_by"][-1] == f"julia {shown['bundle']['julia']}"
    assert any("libjulia" in link for link in llvm["needed_by"])
    assert libraries["_runtime.abi3.so"]["needed_by"] == [f"jnumpy-runtime {shown['bundle']['runtime']}"]
    assert libraries["_runtime.abi3.so"]["system"]


def test_packages_and_licenses(shown):
    packages = {package["name"]: package for package in shown["packages"]}
    assert packages["Kmeans1d"]["version"] == "0.1.0"
    assert packages["Unicode"]["needed_by"][0] == "Printf"
    assert any("julia" in license["of"] for license in shown["licenses"])
    assert any(license["of"] == ["jnumpy-runtime"] for license in shown["licenses"])


def on_terminal(command, columns: int, **variables: str) -> str:
    """Return what a command prints on a terminal of that width."""
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(command, stdout=its, env=os.environ | variables):
        os.close(its)
        said = b""
        # Linux reports the end as an error.
        try:
            while piece := os.read(own, 65536):
                said += piece
        except OSError:
            pass
    os.close(own)
    return said.decode().replace("\r\n", "\n")


def test_lines_fit_the_terminal(pack, kmeans_wheel):
    lines = on_terminal([pack, "--quiet", "show", kmeans_wheel], 72, NO_COLOR="1").splitlines()
    assert max(map(len, lines)) == 72
    assert any(line.startswith("floor        glibc 2.") for line in lines)
    assert any(line.endswith("/sys.so") and "…" in line for line in lines)


def test_only_a_terminal_gets_escapes_and_short_lines(pack, show, tiny):
    command = [pack, "--quiet", "show", tiny]
    assert "\x1b[1m" in on_terminal(command, 45, NO_COLOR="")
    assert "…" in on_terminal(command, 45)
    assert "\x1b" not in on_terminal(command, 45, NO_COLOR="1")
    assert not {"\x1b", "…"} & set(show(tiny))


class Page(html.parser.HTMLParser):
    """Collects the addresses that a page names, its title, and the data in it."""

    def __init__(self):
        super().__init__()
        self.addresses, self.title, self.data, self.within = [], "", "", ""

    def handle_starttag(self, tag, attributes):
        self.within = dict(attributes).get("id", tag)
        self.addresses += [value for name, value in attributes if name in {"src", "href", "action"}]

    def handle_data(self, data):
        if self.within in {"title", "data"}:
            setattr(self, self.within, getattr(self, self.within) + data)

    def handle_endtag(self, tag):
        self.within = ""


def test_the_page_has_everything_in_it(shown, kmeans_wheel, page):
    read = Page()
    read.feed(page.read_text())
    assert (read.addresses, read.title) == ([], kmeans_wheel.name)
    assert json.loads(read.data) == shown
    assert [entry.name for entry in page.parent.iterdir()] == ["page.html"]


def test_a_name_cannot_become_a_part_of_the_page(show, tiny, tmp_path):
    show(tiny, "--html", tmp_path / "page.html")
    read = Page()
    read.feed((tmp_path / "page.html").read_text())
    assert json.loads(read.data)["distribution"]["summary"].startswith("</script>")


def test_a_directory_shows_the_same(show, shown, unpacked):
    sizes = {"size": None, "wheel": None}
    whole = json.loads(show("--json", unpacked))
    assert (whole["size"], whole["wheel"]) == (None, None)
    # As installed, beside others: RECORD says what belongs to the package.
    (unpacked / "other").mkdir(exist_ok=True)
    (unpacked / "other/file").write_text("not of it")
    (unpacked / "other-1.dist-info").mkdir(exist_ok=True)
    package = json.loads(show("--json", unpacked / "jl_kmeans1d"))
    bundle = json.loads(show("--json", unpacked / "jl_kmeans1d/_jnumpy"))
    assert whole == package == bundle
    for key in shown.keys() - sizes.keys() - {"files", "libraries", "parts"}:
        assert whole[key] == shown[key], key
    chains = [{library["path"]: library["needed_by"] for library in told["libraries"]} for told in (whole, shown)]
    assert chains[0] == chains[1]


def test_what_is_no_wheel_is_refused(pack, kmeans_wheel, unpacked, tmp_path):
    def error(path) -> str:
        done = subprocess.run([pack, "show", path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    assert f"`{tmp_path}` is neither a wheel nor a directory with the files of one" in error(tmp_path)
    text = tmp_path / "text"
    text.write_text("not a wheel\n" * 20)
    assert "hint: name a wheel, the directory of an installed package" in error(text)
    cut = tmp_path / kmeans_wheel.name
    cut.write_bytes(kmeans_wheel.read_bytes()[:100_000])
    assert "cannot be read as a wheel: it is not a zip archive, is cut off" in error(cut)
    description = unpacked / "jl_kmeans1d/_jnumpy/bundle.json"
    for package in ("one", "two"):
        (tmp_path / package / "_jnumpy").mkdir(parents=True)
        shutil.copy(description, tmp_path / package / "_jnumpy")
    assert "has several packages with a bundle: one, two" in error(tmp_path)
    (tmp_path / "one/_jnumpy/bundle.json").write_text('{"format": 99}')
    assert "`one/_jnumpy/bundle.json` cannot be read: it has the format 99" in error(tmp_path / "one")
