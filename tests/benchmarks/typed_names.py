#!/usr/bin/env python3
"""How often a defined name is found first, however it is typed.

    python tests/benchmarks/typed_names.py [--each N] [--seed N] [--missed] DIRECTORY...

For each directory, a real daemon is asked for names that its source defines once, drawn at random: as they are, in
lower case, as words, with the type around them, without one letter in the middle, and by their first
and last parts. A name is found if its line is in the first hit. A part is found if the first hit is of a name that has
it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from codeindexd.analysis.tokens import split_identifier
from codeindexd.search.file_roles import FileRole, role_of_definition
from support.daemons import RealDaemon, real_daemon

_LEAST_CHARS = 5
_SHARE_OF_BEGINNING = 0.65
_NOT_TYPED = frozenset({"block", "declaration", "impl", "key", "namespace", "package", "section", "table"})
_PARTS = frozenset({"beginning", "end"})


@dataclass(frozen=True)
class Name:
    """A name, the type around it ("" if none), and the line of its definition."""

    name: str
    container: str
    path: str
    line: int


def main() -> None:
    """Print how many of the names are found first, by the way they are typed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", metavar="DIRECTORY", type=Path, nargs="+")
    parser.add_argument("--each", type=int, default=50, help="names of each directory (default: 50)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--missed", action="store_true", help="print what is not found first")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    typed, found = Counter[str](), Counter[str]()
    with real_daemon() as daemon:
        for directory in arguments.directories:
            root = directory.resolve()
            daemon.call("roots.add", path=str(root), wait=True)
            names = defined_once(daemon, root)
            for name in draw.sample(names, min(arguments.each, len(names))):
                for way, text in ways_to_type(name, draw):
                    hits = daemon.call("search", query=text, roots=[str(root)], limit=1)["hits"]
                    is_found = bool(hits) and is_meant(hits[0], name, text if way in _PARTS else "")
                    typed[way] += 1
                    found[way] += is_found
                    if arguments.missed and not is_found:
                        print(f"missed: {text!r} ({way}) at {root.name}/{name.path}:{name.line}")
            daemon.call("roots.remove", path=str(root))
    for way, number in typed.items():
        print(f"{way:12} {found[way]:5} of {number:5} ({found[way] / number:.1%})")


def defined_once(daemon: RealDaemon, root: Path) -> list[Name]:
    """Return the longer names that the source of a root defines once, ignoring case."""
    names = [name for file in sorted(root.rglob("*")) if file.is_file() for name in names_in(daemon, root, file)]
    times = Counter(name.name.lower() for name in names)
    return [
        name
        for name in names
        if times[name.name.lower()] == 1 and len(name.name) >= _LEAST_CHARS and name.name.isidentifier()
    ]


def names_in(daemon: RealDaemon, root: Path, file: Path) -> Iterator[Name]:
    """Yield the names that a file of source defines; none of a file that is not indexed."""
    path = file.relative_to(root).as_posix()
    client = daemon.client()
    reply = client.call("outline", path=str(file))
    client.close()
    if "result" not in reply:
        return
    outline = reply.result
    waiting: list[tuple[str, dict[str, Any]]] = [("", one) for one in outline["definitions"]]
    while waiting:
        container, one = waiting.pop()
        waiting += [(one["name"], child) for child in one.get("children", ())]
        role = role_of_definition(path.encode(), outline["language"], one["kind"], one["symbol"].replace("::", "."))
        if role is FileRole.SOURCE and one["kind"] not in _NOT_TYPED:
            yield Name(one["name"], container, path, one["line"])


def ways_to_type(name: Name, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Yield the ways to type a name, and what is typed."""
    words = split_identifier(name.name)
    yield "as it is", name.name
    yield "lower case", name.name.lower()
    if name.container:
        yield "qualified", f"{name.container}.{name.name}"
    if len(words) > 1:
        yield "words", " ".join(words)
        yield "beginning", name.name[: int(len(name.name) * _SHARE_OF_BEGINNING)]
        left_out = draw.randrange(2, len(name.name) - 2)
        yield "misspelt", name.name[:left_out] + name.name[left_out + 1 :]
    if len(words) > 2:
        yield "end", joined(words[1:], like=name.name)


def joined(words: Sequence[str], *, like: str) -> str:
    return "_".join(words) if "_" in like else "".join(word.capitalize() for word in words)


def is_meant(hit: dict[str, Any], name: Name, part: str) -> bool:
    """Return True if a hit has the definition of ``name``, or is of a definition whose name has ``part``, if given."""
    if hit["path"] == name.path and hit["start_line"] <= name.line <= hit["end_line"]:
        return True
    own = "".join(split_identifier(hit["symbol"].replace("::", ".").rpartition(".")[2]))
    return bool(part) and "".join(split_identifier(part)) in own


if __name__ == "__main__":
    main()
