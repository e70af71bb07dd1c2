"""What the documentation says, done: its examples run, and what messages point to exists."""

import re
from pathlib import Path

from conftest import REPOSITORY

TOPICS = re.findall(r"^## (.+)$", (REPOSITORY / "docs/errors.md").read_text(), re.MULTILINE)
# As hints of the command, Python and Rust of the runtime write it.
LINK = re.compile(r"jnumpy-pack about ([a-z-]+)|\bmore\((?:py, )?['\"]([a-z-]+)['\"]\)|Refusal::\w+ => \"([a-z-]+)\"")


def test_every_section_about_an_error_is_linked_and_every_link_has_one():
    sources = [
        path
        for directory, pattern in (("packager/src", "*.rs"), ("runtime/src", "*.rs"), ("runtime/python", "*.py"))
        for path in (REPOSITORY / directory).rglob(pattern)
    ]
    linked = {topic for path in sources for groups in LINK.findall(path.read_text()) for topic in groups if topic}
    assert linked == set(TOPICS)


def test_the_runtime_brings_the_page():
    from jnumpy import _errors

    for topic in TOPICS:
        page = _errors.more(topic).removeprefix(f"more: section `{topic}` of ")
        assert f"\n## {topic}\n" in Path(page).read_text()
