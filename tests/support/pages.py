"""The code blocks of a Markdown page, as one shell script that does what the page says.

- `sh` is run, in one shell for the whole page.
- `python` is run as a program; blocks with only prose between them are one program.
- Whatever the language, a block whose first line is a comment with a path is that file. With `above "LINE"` or
  `below "LINE"` after the path, it is put there into the file, before or after the line that begins so.
- `text` after one that is run holds lines of its output, in this order.
- `<!-- not run: REASON -->` above a block leaves it out.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r'# (?P<path>[\w./-]+\.\w+)(?:, (?P<where>above|below) "(?P<line>.+)":)?\n')


@dataclass
class Block:
    """A code block, and why it is not run if it is not."""

    line: int
    language: str
    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    text = page.read_text()
    return [
        Block(text.count("\n", 0, match.start("language")) + 1, match["language"], match["text"], match["reason"])
        for match in _FENCE.finditer(text)
    ]


def files(page: Path) -> dict[str, str]:
    """Return the text of each whole file that a block of the page is, whether the block is run or not."""
    whole = [(match, block.text) for block in blocks(page) if (match := _FILE.match(block.text)) and not match["where"]]
    return {match["path"]: text[match.end() :] for match, text in whole}


def script(found: list[Block], outputs: Path) -> tuple[str, dict[int, str]]:
    """Return a script for bash, and the lines it has to print: by the line of the block, which names the file too."""
    steps = ["set -euo pipefail"]
    told: dict[int, str] = {}
    last: Block | None = None  # that is run
    for block in found:
        if block.reason is not None:
            last = None
        elif file := _FILE.match(block.text):
            place = [file["path"], *([file["where"], file["line"]] if file["where"] else [])]
            steps.append(_fed([sys.executable, __file__, *place], block.text[file.end() :]))
        elif block.language == "sh":
            last = block
            steps.append(f"{{\n{block.text}}} >{outputs}/{block.line} 2>&1")
        elif block.language == "python" and last is not None and last.language == "python":
            steps[-1] = steps[-1].removesuffix("END\n") + f"\n{block.text}END\n"
        elif block.language == "python":
            last = block
            steps.append(f">{outputs}/{block.line} 2>&1 " + _fed(["python", "-"], block.text))
        elif block.language == "text" and last is not None:
            told[last.line] = told.get(last.line, "") + block.text
        else:
            raise AssertionError(f"line {block.line}: a block in `{block.language}` is neither run nor marked")
    return "\n".join(steps) + "\n", told


def _fed(command: list[str], text: str) -> str:
    return f"{shlex.join(command)} <<'END'\n{text}END\n"


def put(path: Path, text: str, where: str | None = None, start: str = "") -> None:
    """Write a file, or put text above or below the line of it that begins with `start`."""
    if where is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return
    lines = path.read_text().splitlines(keepends=True)
    (index,) = [index for index, line in enumerate(lines) if line.lstrip().startswith(start)]
    lines.insert(index + (where == "below"), text)
    path.write_text("".join(lines))


if __name__ == "__main__":
    put(Path(sys.argv[1]), sys.stdin.read(), *sys.argv[2:])
