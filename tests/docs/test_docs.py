"""Run the examples in the documentation, and check that the sections which messages name exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest
from paths import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
TOPICS = re.findall(r"^## (.+)$", (REPOSITORY / "docs/errors.md").read_text(), re.MULTILINE)
# The forms in hints of the command, and in the Python and Rust code of the runtime.
LINK = re.compile(r"jnumpy-pack about ([a-z-]+)|\bmore\((?:py, )?['\"]([a-z-]+)['\"]\)|Refusal::\w+ => \"([a-z-]+)\"")


@pytest.mark.parametrize("page", [page for page in PAGES if pages.blocks(page)], ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page, pack, julia, cache, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    script, told = pages.script(pages.blocks(page), outputs)
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {
        "HOME": str(home),
        "PATH": f"{pack.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "JNUMPY_HOME": os.environ.get("JNUMPY_HOME", str(Path.home() / ".jnumpy")),
        "PIP_CACHE_DIR": str(cache / "pip"),
        "TYPY_JL_EXE": julia,
    }
    # The README starts in the repository, and then changes to another directory.
    place = REPOSITORY if page.name == "README.md" else home
    ran = subprocess.run(
        ["bash", "-c", script], cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    said = {int(path.name): path.read_text() for path in outputs.iterdir()}
    if ran.returncode != 0:
        line = max(said, default=0)
        pytest.fail(f"{page.name}, block at line {line}:\n{said.get(line)}{ran.stdout}{ran.stderr}", pytrace=False)
    for line, text in told.items():
        rest = iter(said[line].splitlines())
        for wanted in text.splitlines():
            assert wanted in rest, f"{page.name}, block at line {line} does not say `{wanted}`:\n{said[line]}"


def test_few_blocks_are_not_run():
    reasons = [block.reason for page in PAGES for block in pages.blocks(page) if block.reason is not None]
    named = [re.search(r"tests/\S+\.py", reason) for reason in reasons]
    assert all((REPOSITORY / test[0]).is_file() for test in named if test), reasons
    assert named.count(None) <= 5, reasons


def test_every_fence_names_a_language():
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(pages.blocks(page))
        assert all(language for language in fences[::2]), page


def test_every_link_of_a_page_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
            path, _, section = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), f"{page.name}: {target}"
            if section:
                headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
                slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
                assert section in slugs, f"{page.name}: {target}"


def test_the_reference_has_every_public_name():
    import jnumpy

    reference = (REPOSITORY / "docs/reference/python.rst").read_text()
    assert set(re.findall(r":: jnumpy\.(\w+)$", reference, re.MULTILINE)) == set(jnumpy.__all__)


def test_the_messages_that_the_readme_explains_are_said():
    table = (REPOSITORY / "README.md").read_text().partition("### What goes wrong")[2].partition("\n## ")[0]
    messages = re.findall(r"^\| `(.+?)` ", table, re.MULTILINE)
    assert len(messages) > 5
    # Messages of Julia and Python themselves.
    foreign = {"Failed to precompile", "No module named '_my_solver'"}
    sources = " ".join(re.sub(r"\\\n\s*|\"\n\s*f?\"", "", path.read_text()) for path in _sources())
    for message in set(messages) - foreign:
        assert message.replace(", got list", "") in sources, message


def test_every_section_about_an_error_is_linked_and_every_link_has_one():
    texts = [path.read_text() for path in _sources()]
    linked = {topic for text in texts for groups in LINK.findall(text) for topic in groups if topic}
    assert linked == set(TOPICS)


def _sources():
    for directory, pattern in (
        ("packager", "*.rs"),
        ("runtime/src", "*.rs"),
        ("runtime/python", "*.py"),
        ("runtime/python", "*.jl"),
    ):
        yield from (REPOSITORY / directory).rglob(pattern)


def test_the_runtime_brings_the_page():
    from jnumpy import _errors

    for topic in TOPICS:
        page = _errors.more(topic).removeprefix(f"more: section `{topic}` of ")
        assert f"\n## {topic}\n" in Path(page).read_text()
