#!/usr/bin/env python3
"""Draw the plots of the README from the figures in docs/figures.json, or check that the committed ones are these.

python tests/documentation/plots.py [--check]
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent.parent
IMAGES = PROJECT / "docs/images"
WIDTH, HEIGHT = 640, 300
# One style for light and dark pages: a card of its own, colours that people with colour blindness can tell apart.
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:15px}.small{font-size:12px;"
    "fill:#666}.grid{stroke:#ddd}.value{font-weight:600}</style>"
)
COLOURS = ("#0072b2", "#d55e00", "#777777")


def main() -> int:
    """Write the plots, or with ``--check`` return 1 if a committed one differs."""
    figures = json.loads((PROJECT / "docs/figures.json").read_text())
    plots = {"recall.svg": recall(figures["recall"]), "freshness.svg": freshness(figures["freshness"])}
    if "--check" not in sys.argv[1:]:
        IMAGES.mkdir(exist_ok=True)
        for name, text in plots.items():
            (IMAGES / name).write_text(text)
        return 0
    stale = [name for name, text in plots.items() if (IMAGES / name).read_text() != text]
    for name in stale:
        print(f"docs/images/{name} is not what docs/figures.json says: python tests/documentation/plots.py")
    return 1 if stale else 0


def recall(figures: Mapping[str, Any]) -> str:
    """Return the plot of recall by tokens."""
    left, top, right, bottom = 60, 60, WIDTH - 170, HEIGHT - 45
    tokens: Sequence[int] = figures["tokens"]

    def x(place: int) -> float:
        return left + (right - left) * place / (len(tokens) - 1)

    def y(value: float) -> float:
        return bottom - (bottom - top) * value

    parts = [*titles("What an agent gets to see", "share of the wanted files named in an answer, by its tokens")]
    for value in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(value):.0f}" y2="{y(value):.0f}"/>')
        parts.append(f'<text class="small" x="{left - 10}" y="{y(value) + 4:.0f}" text-anchor="end">{value:.0%}</text>')
    for place, count in enumerate(tokens):
        parts.append(f'<text class="small" x="{x(place):.0f}" y="{bottom + 20}" text-anchor="middle">{count:,}</text>')
    ends = spread([y(values[-1]) for values in figures["lines"].values()], 18)
    for (name, values), colour, end in zip(figures["lines"].items(), COLOURS, ends, strict=True):
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="3"/>')
        parts += [
            f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="4" fill="{colour}"/>' for at, value in enumerate(values)
        ]
        label = "codeindex search" if name == "search" else name
        parts.append(f'<text x="{right + 14}" y="{end + 4:.0f}" style="fill:{colour}">{label}</text>')
    return svg(parts, f"{figures['what']}. {json.dumps(figures['lines'])}")


def freshness(figures: Mapping[str, Any]) -> str:
    """Return the plot of the time until a change can be searched, on a logarithmic scale."""
    left, top, right = 200, 75, WIDTH - 90
    bars: Sequence[tuple[str, float, str]] = figures["bars"]
    longest = math.log10(max(milliseconds for _, milliseconds, _ in bars))
    parts = [*titles("How fresh an answer is", "time until a change can be searched (logarithmic scale)")]
    for place, (name, milliseconds, _) in enumerate(bars):
        length = (right - left) * math.log10(milliseconds) / longest
        y = top + 52 * place
        colour = COLOURS[2] if milliseconds >= 1000 else COLOURS[0]
        shown = f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.0f}" height="30" rx="3" fill="{colour}"/>')
        parts.append(f'<text x="{left - 12}" y="{y + 20}" text-anchor="end">{name}</text>')
        parts.append(f'<text class="value" x="{left + length + 8:.0f}" y="{y + 20}">{shown}</text>')
    return svg(parts, f"{figures['what']}. {json.dumps(bars)}")


def titles(title: str, subtitle: str) -> Iterator[str]:
    """Yield the two lines at the top of a plot."""
    yield f'<text class="title" x="20" y="28">{title}</text>'
    yield f'<text class="small" x="20" y="47">{subtitle}</text>'


def spread(places: Sequence[float], least: float) -> list[float]:
    """Return the places of labels, moved down where they would overlap."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + least) if moved else place)
    return moved


def svg(parts: Sequence[str], description: str) -> str:
    """Return an image made of ``parts``, described for those who cannot see it."""
    text = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "'")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">'
    card = f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff" stroke="#ddd"/>'
    return "\n".join([head, f"<desc>{text}</desc>", STYLE, card, *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
