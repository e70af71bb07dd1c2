"""Draws the figures of `examples.py` as one SVG, readable in light and in dark surroundings."""

from __future__ import annotations

import math
from html import escape

from draw import STYLE, readable

LEFT, RIGHT, WIDTH = 350, 190, 860
TOP, STEP, GAP = 92, 21, 12
LOW, HIGH = 0.05, 50.0


def duration(seconds: float) -> str:
    """Return a time in the unit that fits it."""
    return f"{seconds:.1f} s" if seconds >= 1 else readable(seconds * 1e9)


def draw(report: dict) -> str:
    """Return the picture: a bar for each row, from 1 to how many times as fast as its peer it is."""
    scale = (WIDTH - LEFT - RIGHT) / math.log(HIGH / LOW)

    def x(ratio: float) -> float:
        return LEFT + scale * math.log(min(max(ratio, LOW), HIGH) / LOW)

    def text(at: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
        return f'<text class="{kind}" x="{at:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

    lines: list[str] = []
    y, example = float(TOP), ""
    for row in report["rows"]:
        if row["example"] != example:
            y += GAP if example else 0
            example = row["example"]
            project, _, threads = example.partition(", ")
            lines.append(text(16, y + 4.5, project, "strong"))
        ratio, seconds = row["times as fast"], row["seconds"]
        start, end = sorted((x(1), x(ratio)))
        kind = "second" if ratio >= 1 else "first"
        lines += [
            text(102, y + 4.5, row["size"] + (f", {threads}" if threads else ""), "strong" if row["talk"] else "small"),
            f'<rect class="{kind}" x="{start:.1f}" y="{y - 6:.1f}" width="{end - start + 1:.1f}" height="12"/>',
            text(WIDTH - 16, y + 4.5, f"{duration(seconds['ours'])} · {duration(seconds['peer'])}", "small", "end"),
            text(WIDTH - RIGHT + 8, y + 4.5, f"{ratio:.2g} ×", "small"),
        ]
        y += STEP
    bottom = y
    about = f"Julia {report['julia']}, Python {report['python']}, "
    about += ", ".join(f"{name} {number}" for name, number in report["peers"].items())
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 30:.0f}" role="img">',
        "<title>The examples beside the libraries that users would otherwise call</title>",
        f"<style>{STYLE} .strong {{ font-weight: 600; }} .small {{ font-size: 12px; }}</style>",
        text(16, 26, "The examples beside the libraries that users would otherwise call", "title"),
        text(16, 46, f"{about}; {report['processor']}; one thread each", "soft"),
        text(x(1) + 6, TOP - 18, "faster than the peer →", "soft"),
        text(WIDTH - 16, TOP - 18, "time · peer's", "soft", "end"),
    ]
    for ratio in (0.1, 1.0, 10.0):
        kind = "base" if ratio == 1 else "grid"
        head.append(f'<path class="{kind}" d="M{x(ratio):.1f} {TOP - 12} V{bottom - 8:.1f}"/>')
        head.append(text(x(ratio), bottom + 8, f"{ratio:g} ×", "soft", "middle"))
    head.append(text(16, bottom + 8, "bold: shown in the talk", "soft"))
    return "\n".join([*head, *lines, "</svg>", ""])
