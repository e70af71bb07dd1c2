"""Draws the figures of `calls.py` as one SVG, readable in light and in dark surroundings."""

from __future__ import annotations

import argparse
import json
import math
from html import escape
from pathlib import Path

RESULTS = Path(__file__).with_name("results")

LEFT, RIGHT, WIDTH = 248, 120, 860
TOP, STEP = 84, 30
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .soft { fill: #59636e; font-size: 12px; }
  .grid { stroke: #d1d9e0; }
  .base { stroke: #59636e; stroke-dasharray: 3 3; }
  .stem { stroke: #d1d9e0; stroke-width: 3; }
  .target { stroke: #1f2328; stroke-width: 2; }
  .first { fill: #bc4c00; }
  .second { fill: #0969da; }
  .numpy { fill: none; stroke: #59636e; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .soft { fill: #9198a1; }
    .grid, .stem { stroke: #3d444d; }
    .base { stroke: #9198a1; }
    .target { stroke: #e6edf3; }
    .first { fill: #f0883e; }
    .second { fill: #58a6ff; }
    .numpy { stroke: #9198a1; }
  }
"""


def readable(nanoseconds: float) -> str:
    """Return a time in the unit that fits it."""
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.{0 if nanoseconds >= 10 * size else 1}f} {unit}"
    return f"{nanoseconds:.0f} ns"


def mark(kind: str, x: float, y: float) -> str:
    """Return the mark of one Julia: told apart by form as well as by color."""
    if kind == "first":
        return f'<path class="first" d="M{x:.1f} {y - 6.5:.1f} l6.5 6.5 l-6.5 6.5 l-6.5 -6.5z"/>'
    return f'<circle class="second" cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'


def draw(reports: list[dict]) -> str:
    """Return the picture of one or two reports: a row for each kind of call, on a logarithmic axis of time."""
    names = [row["name"] for row in reports[0]["rows"]]
    bottom = TOP + STEP * len(names)
    low = min(report["bases"]["floor"] for report in reports) / 1.6
    high = 4e6
    scale = (WIDTH - LEFT - RIGHT) / math.log(high / low)

    def x(nanoseconds: float) -> float:
        return LEFT + scale * math.log(nanoseconds / low)

    def text(at: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
        return f'<text class="{kind}" x="{at:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

    floor = min(report["bases"]["floor"] for report in reports)
    numpy = min(report["bases"]["numpy"] for report in reports)
    about = f"Python {reports[0]['python']}, NumPy {reports[0]['numpy']}, {reports[0]['processor']}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 62}" role="img">',
        f"<title>What a call from Python into Julia costs</title><style>{STYLE}</style>",
        text(16, 26, "What a call from Python into Julia costs", "title"),
        text(16, 46, about, "soft"),
    ]
    at = WIDTH - 16
    for report, kind in reversed(list(zip(reports, ("first", "second"), strict=False))):
        label = f"Julia {report['julia']}"
        lines += [text(at, 26, label, anchor="end"), mark(kind, at - 7 * len(label) - 14, 22)]
        at -= 7 * len(label) + 44
    for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1):
        time = 10.0**power
        lines.append(f'<path class="grid" d="M{x(time):.1f} {TOP - 12} V{bottom - 8}"/>')
        whole = f"{time / 1e6:g} ms" if time >= 1e6 else f"{time / 1e3:g} µs" if time >= 1e3 else f"{time:g} ns"
        lines.append(text(x(time), bottom + 10, whole, "soft", "middle"))
    lines.append(f'<path class="base" d="M{x(floor):.1f} {TOP - 12} V{bottom - 8}"/>')
    lines.append(text(x(floor), TOP - 18, f"empty C function, {readable(floor)}", "soft", "start"))
    for number, name in enumerate(names):
        y = TOP + STEP * number + STEP / 2 - 8
        rows = [report["rows"][number] for report in reports]
        times = [row["nanoseconds"] for row in rows]
        base = rows[-1]["base"]
        start = numpy if base == "numpy" else floor
        target = rows[-1]["target"] * (reports[-1]["bases"][base] if base else 1)
        lines += [
            text(16, y + 4.5, name),
            f'<path class="stem" d="M{x(start):.1f} {y:.1f} H{x(max(times)):.1f}"/>',
            f'<path class="target" d="M{x(target):.1f} {y - 9:.1f} v18"/>',
        ]
        if base == "numpy":
            lines.append(f'<circle class="numpy" cx="{x(numpy):.1f}" cy="{y:.1f}" r="5"/>')
        lines += [mark(kind, x(time), y) for time, kind in zip(times, ("first", "second"), strict=False)]
        figure = readable(times[-1])
        if base:
            figure += f" · {rows[-1]['ratio']:.1f} ×"
        lines.append(text(WIDTH - 16, y + 4.5, figure, anchor="end"))
    x_of_key, y = 16.0, bottom + 40
    lines.append(f'<path class="target" d="M{x_of_key + 4:.1f} {y - 12} v16"/>')
    lines.append(text(x_of_key + 14, y, "target", "soft"))
    lines.append(f'<circle class="numpy" cx="{x_of_key + 80:.1f}" cy="{y - 4}" r="5"/>')
    lines.append(text(x_of_key + 92, y, f"NumPy's x @ x, {readable(numpy)}", "soft"))
    of = f"right: Julia {reports[-1]['julia']}, × the empty C function or NumPy's x @ x"
    lines.append(text(WIDTH - 16, y, of, "soft", "end"))
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    """Read the JSON files and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS / "calls.svg")
    output = parser.parse_args().output
    reports = [json.loads(path.read_text()) for path in RESULTS.glob("calls-*.json")]
    newest = sorted(reports, key=lambda report: [int(number) for number in report["julia"].split(".")])[-2:]
    output.write_text(draw(newest))


if __name__ == "__main__":
    main()
