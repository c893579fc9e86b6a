#!/usr/bin/env python3
"""How often what a developer types leads to the right place: names, messages, traces, places, literals, regexes.

    python tests/benchmarks/typed.py --repositories DIR [--json FILE]

``--repositories`` holds the sources as ``<name>/...``, as for quality.py. A real daemon answers `search`. An input is
answered if one of the first three hits lies in the wanted file and holds the wanted text. The inputs were written with
these repositories in view, so the figure says what works, not how it generalises.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.daemons import RealDaemon, real_daemon

FIRST = 3


@dataclass(frozen=True)
class Input:
    """What is typed, and the place wanted: a file and a text that its hit holds."""

    kind: str
    repository: str
    typed: str
    path: str
    text: str = ""


INPUTS = [Input(**row) for row in tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["input"]]


def main() -> None:
    """Ask everything and print what was not answered, and the shares by kind."""
    parser = argparse.ArgumentParser(description="Measure how often typed text leads to the right place.")
    parser.add_argument("--repositories", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    asked, answered, times = Counter[str](), Counter[str](), list[float]()
    with real_daemon() as daemon:
        for name in sorted({item.repository for item in INPUTS}):
            root = arguments.repositories / name
            daemon.call("roots.add", path=str(root), wait=True)
            for item in INPUTS:
                if item.repository == name:
                    asked[item.kind] += 1
                    answered[item.kind] += is_answered(daemon, root, item, times)
            daemon.call("roots.remove", path=str(root))
    for kind, number in asked.items():
        print(f"{kind:10} {answered[kind]:3} of {number}")
    share = answered.total() / asked.total()
    print(f"all        {answered.total():3} of {asked.total()} ({share:.0%})")
    print(f"the server's own time: median {sorted(times)[len(times) // 2]:.1f} ms, most {max(times):.1f} ms")
    if arguments.json:
        arguments.json.write_text(json.dumps({"share": share, "answered": answered, "asked": asked}, indent=1))


def is_answered(daemon: RealDaemon, root: Path, item: Input, times: list[float]) -> bool:
    """Return True if one of the first hits is the place wanted; print the others where none is."""
    wanted = root / item.path
    assert item.text in wanted.read_text(), f"{item.path} lacks {item.text!r}: other version of {item.repository}?"
    answer = daemon.call("search", query=item.typed, roots=[str(root)], limit=FIRST)
    times.append(answer["took_ms"])
    if any(hit["path"] == item.path and item.text in hit["snippet"] for hit in answer["hits"]):
        return True
    places = [f"{hit['path']}:{hit['start_line']}" for hit in answer["hits"]]
    print(
        f"missed: {item.typed.strip().splitlines()[0]!r}: wanted {item.path}, first are {', '.join(places) or 'none'}"
    )
    return False


if __name__ == "__main__":
    main()
