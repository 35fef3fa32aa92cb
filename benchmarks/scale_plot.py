"""Draws what operations cost as tables grow, from the tables of a page of the documentation.

    python benchmarks/scale_plot.py docs/guides/capacity.md docs/pictures/scale.svg

Each table whose second column is *rows* or *objects* gives a panel for each backend: a line for
each operation, of the client's CPU in us, over the number of rows, by powers of ten.
"""

from __future__ import annotations

import math
import sys
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 170, 40, 26, 34
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of Okabe and Ito: told apart by colour-blind people as well."""
LEFT_OUT = {"added", "list of 1,000", "disk MiB", "offset"}


def cells(line):
    return [each.strip() for each in line.strip().strip("|").split("|")]


def panels(text):
    """Yield a backend's name, its number's unit, and by operation pairs of number and CPU us."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        head = cells(line)
        if not line.startswith("|") or len(head) < 3 or head[1] not in {"rows", "objects"}:
            continue
        found = {}
        for below in lines[at + 2 :]:
            if not below.startswith("|"):
                break
            row = cells(below)
            number = int(row[1].replace(",", ""))
            operations = found.setdefault(row[0], {})
            for name, cell in zip(head[2:], row[2:], strict=True):
                if name not in LEFT_OUT:
                    cpu = float(cell.partition(" ")[0].replace(",", ""))
                    operations.setdefault(name, []).append((number, cpu))
        yield from ((backend, head[1], lines) for backend, lines in found.items())


def short(number):
    """Return *number* as a scale has it: 10k, 1M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            return f"{number / unit:g}{name}"
    return str(number)


def rounded_up(number):
    """Return a round number that is not below *number*, as the end of a scale."""
    step = 10 ** math.floor(math.log10(number)) / 5
    return math.ceil(number / step) * step


def drawn(panel, x, y):
    """Return the SVG of one panel, whose corner is at *x*, *y*."""
    backend, unit, operations = panel
    numbers = sorted({number for line in operations.values() for number, _ in line})
    most = rounded_up(max(cpu for line in operations.values() for _, cpu in line))
    low, high = math.log10(numbers[0]), math.log10(numbers[-1])

    def place(number, cpu):
        across = (math.log10(number) - low) / (high - low)
        return f"{x + LEFT + across * WIDTH:.0f},{y + TOP + HEIGHT * (1 - cpu / most):.0f}"

    yield f'<text x="{x + LEFT}" y="{y + 14}" class="name">{escape(backend)}</text>'
    for share in (0, 0.5, 1):
        height = y + TOP + HEIGHT * (1 - share)
        yield f'<path d="M{x + LEFT},{height:.0f}h{WIDTH}" class="grid"/>'
        label = f"{most * share:,.0f}"
        yield f'<text x="{x + LEFT - 5}" y="{height + 4:.0f}" class="left">{label}</text>'
    for number in numbers:
        across = place(number, 0).partition(",")[0]
        yield f'<text x="{across}" y="{y + TOP + HEIGHT + 16}" class="below">{short(number)}</text>'
    for colour, line in zip(COLOURS, operations.values(), strict=False):
        points = " ".join(place(*point) for point in line)
        yield f'<polyline points="{points}" stroke="{colour}"/>'
    yield f'<text x="{x + LEFT + WIDTH}" y="{y + 14}" class="unit">µs of CPU, by {unit}</text>'


def legend(operations, x, y):
    for at, (colour, name) in enumerate(zip(COLOURS, operations, strict=False)):
        yield f'<path d="M{x + at * 105},{y}h18" stroke="{colour}" stroke-width="2"/>'
        yield f'<text x="{x + at * 105 + 23}" y="{y + 4}">{escape(name)}</text>'


def picture(text):
    """Return the whole SVG: two panels a line, and below each kind of table its legend."""
    parts, y, kinds = [], 0, {}
    for panel in panels(text):
        kinds.setdefault(tuple(panel[2]), []).append(panel)
    for operations, alike in kinds.items():
        for at, panel in enumerate(alike):
            column, line = at % 2, at // 2
            parts += drawn(panel, column * (LEFT + WIDTH + GAP), y + line * (TOP + HEIGHT + GAP))
        y += math.ceil(len(alike) / 2) * (TOP + HEIGHT + GAP)
        parts += legend(operations, LEFT, y)
        y += GAP
    width = 2 * (LEFT + WIDTH + GAP)
    style = (
        "text{font:12px system-ui,sans-serif;fill:#444}.name{font-weight:600;fill:#111}"
        ".left,.unit{text-anchor:end}.below{text-anchor:middle}.grid{stroke:#ddd}"
        "polyline{fill:none;stroke-width:2}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" role="img">'
        f"<title>The cost of operations as tables grow</title><style>{style}</style>"
        f'<rect width="{width}" height="{y}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    page, target = map(Path, sys.argv[1:])
    target.write_text(picture(page.read_text()), encoding="utf-8")
