"""The commands about the code graph: their options, and their results as text."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codeindexd.cli.columns import cut_around, width_of
from codeindexd.cli.common_options import add_colour, add_limit, add_roots, whole_number
from codeindexd.cli.render import shown_path
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.client.core import absolute
from codeindexd.errors import NotIndexedError, UsageError
from codeindexd.protocol.methods import MAX_DEPTH, MAX_TOKENS
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from codeindexd.client.results import (
        CalleesResult,
        CallersResult,
        GraphTarget,
        ImpactResult,
        MapResult,
        OutlineEntry,
        OutlineResult,
        ReferenceEntry,
        RefsResult,
    )

HELP = """\
NAME may be qualified as in your language: Client.get, geo::Point, Billing::Engine
"by name" marks references that only the name leads to; all others follow from scopes, imports or plain types
Exit codes: 0 found, 1 nothing found, 2 usage error, 3 not indexed, 4 no daemon, 5 failed, 6 timed out
"""
_PLACE = re.compile(r"(?P<path>.+?):(?P<line>[0-9]+)(?:-[0-9]+|:(?P<column>[0-9]+))?")
_MAX_LINE_CHARS = 200  # where output does not go to a terminal
_LEAST_TEXT = 10  # columns; less of a line says nothing


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands about the code graph."""
    refs = _asking(command("refs", "find what refers to a definition", epilog=HELP))
    add_limit(refs, "number of references (100)", 100)
    refs.add_argument(
        "--possible", action="store_true", help="also where only the name is equal and other definitions are as likely"
    )
    callers = _asking(command("callers", "find what calls a definition, as a tree", epilog=HELP))
    callees = _asking(command("callees", "find what a definition calls, as a tree", epilog=HELP))
    for parser in (callers, callees):
        parser.add_argument(
            "--depth", type=whole_number(1, MAX_DEPTH), default=1, metavar="N", help="levels of the tree (1)"
        )
        add_limit(parser, "entries at each level (100)", 100)
    impact = command("impact", "find what a change reaches: callers, users, subclasses, importing files, tests")
    impact.add_argument("asked", nargs="?", metavar="NAME|PATH[:LINE]")
    impact.add_argument("--changed", action="store_true", help="all files that differ from git's index")
    impact.add_argument(
        "--depth", type=whole_number(1, MAX_DEPTH), default=4, metavar="N", help="references to follow (4)"
    )
    add_limit(impact, "number of definitions (100)", 100)
    _where(impact)
    outline = command("outline", "show the definitions of a file as a tree")
    outline.add_argument("path", metavar="PATH")
    add_colour(outline)
    mapped = command("map", "show the most central definitions, in one screen")
    mapped.add_argument("path", nargs="?", metavar="PATH")
    mapped.add_argument(
        "--tokens",
        type=whole_number(100, MAX_TOKENS),
        default=1000,
        metavar="N",
        help="size for a language model (1000)",
    )
    add_colour(mapped)


def _asking(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("asked", metavar="NAME|PATH:LINE")
    _where(parser)
    return parser


def _where(parser: argparse.ArgumentParser) -> None:
    add_roots(parser)
    add_colour(parser)


def query_arguments(args: argparse.Namespace, cwd: str) -> dict[str, Any]:
    """Return the arguments of a client's method that say what is asked about.

    Raises UsageError without anything to ask about, NotIndexedError for a line of a file that does not exist.
    """
    where = {"roots": None if args.all else args.roots or [cwd], "limit": args.limit}
    if hasattr(args, "possible"):
        where["possible"] = args.possible
    if hasattr(args, "depth"):
        where["depth"] = args.depth
    if getattr(args, "changed", False):
        if args.asked:
            raise UsageError("give either a name or path, or --changed", hint="leave one of them out")
        return {**where, "changed": True, "path": (args.roots or [cwd])[0]}
    if not args.asked and args.command == "impact":
        raise UsageError("impact needs a name, a path or --changed", hint="for example: codeindex impact --changed")
    if not args.asked:
        raise UsageError(f"{args.command} needs a name, or a path and a line", hint=f"codeindex {args.command} NAME")
    place = _PLACE.fullmatch(args.asked)
    if place is not None:
        if not os.path.lexists(absolute(place["path"])):
            raise NotIndexedError(f"{absolute(place['path'])} does not exist", hint="check the path")
        column = {"column": int(place["column"])} if place["column"] else {}
        return {**where, "path": place["path"], "line": int(place["line"]), **column}
    if args.command == "impact" and os.path.lexists(absolute(args.asked)):
        return {**where, "path": args.asked}
    return {**where, "name": args.asked}


def hint_for_path(asked: str, command: str) -> str:
    """Return what to do about a path that was taken for a name; "" if ``asked`` does not look like a path."""
    if Path(absolute(asked)).is_file():
        return f"to ask about a definition in this file: codeindex {command} {shlex.quote(asked)}:LINE"
    if os.sep in asked and not os.path.lexists(absolute(asked)):
        return f"if it is a path: {absolute(asked)} does not exist"
    return ""


def print_refs(terminal: Terminal, result: RefsResult, cwd: str) -> None:
    """Print the definitions, and below them the references, one a line."""
    _print_targets(terminal, result["targets"], cwd)
    for reference in result["references"]:
        _print_reference(terminal, reference, cwd)
    if (more := result["total"] - len(result["references"])) > 0:
        terminal.print(terminal.style("dim", f"{more:,} more; to see them: -n {result['total']}"))
    if possible := result["possible"]:
        places = quantity(possible, "more place")
        text = f"{places} where the receiver is unknown and other definitions are as likely: --possible"
        terminal.print(terminal.style("dim", text))


def print_calls(terminal: Terminal, result: CallersResult | CalleesResult, direction: str, cwd: str) -> None:
    """Print a tree of calls, each node with the line of its first call; ``direction`` is "callers" or "callees"."""
    _print_targets(terminal, result["targets"], cwd)
    nodes: Sequence[Mapping[str, Any]] = result[direction]  # type: ignore[literal-required]
    _print_nodes(terminal, nodes, direction, cwd, 1)
    if (more := result["total"] - len(nodes)) > 0:
        terminal.print(terminal.style("dim", f"  {more:,} more; to see them: -n {result['total']}"))
    if unresolved := result.get("unresolved"):
        names = ", ".join(str(name) for name in unresolved)  # type: ignore[attr-defined]
        terminal.print(terminal.style("dim", cut_around(f"  not defined here: {safe(names)}", 0, _room(terminal, 0))))


def _print_nodes(terminal: Terminal, nodes: Sequence[Mapping[str, Any]], direction: str, cwd: str, depth: int) -> None:
    for node in nodes:
        first = node["calls"][0]
        line = node["symbol_line"] if direction == "callees" else first["line"]
        label = node["symbol"] or "(outside definitions)"
        note = [f"{node['call_count']} calls"] if node["call_count"] > 1 else []
        note += ["by name"] if node["confidence"] == "name" else []
        note += ["see above"] if node.get("repeated") else []
        _print_line(terminal, node, cwd, f":{line}", [label], first["text"], note, indent="  " * depth)
        _print_nodes(terminal, node.get(direction, []), direction, cwd, depth + 1)
        if more := node.get("more"):
            terminal.print(terminal.style("dim", f"{'  ' * (depth + 1)}{more:,} more"))


def print_impact(terminal: Terminal, result: ImpactResult, cwd: str) -> None:
    """Print what changes, what that reaches by distance, the files that import it, and the tests to run."""
    _print_targets(terminal, result["changed"][:10], cwd)
    if (more := len(result["changed"]) - 10) > 0:
        terminal.print(terminal.style("dim", f"and {quantity(more, 'more definition')}"))
    distance = 0
    for affected in result["affected"]:
        if affected["distance"] != distance:
            distance = affected["distance"]
            terminal.print(terminal.style("dim", f"{quantity(distance, 'reference')} away"))
        note = ["by name"] if affected["confidence"] == "name" else []
        label = affected["symbol"] or "(outside definitions)"
        _print_line(
            terminal,
            affected,
            cwd,
            f":{affected['line']}",
            [label],
            f"{affected['reason']} {affected['via']}",
            note,
            indent="  ",
        )
    for title, files in (("importing files", result["importers"]), ("tests to run", result["tests"])):
        if files:
            terminal.print(terminal.style("dim", title))
        for file in files:
            terminal.print(f"  {terminal.style('path', safe_line(shown_path(file, cwd)))}")
    if stopped := result.get("stopped"):
        terminal.note(f"note: {safe(stopped)}")


def print_outline(terminal: Terminal, result: OutlineResult) -> None:
    """Print the definitions of a file as a tree."""
    for depth, entry in _flat(result["definitions"], 0):
        text = entry["signature"] or f"{entry['kind']} {entry['symbol']}"
        number = terminal.style("dim", f"{entry['line']:>5}:")
        terminal.print(f"{number} {'  ' * depth}{cut_around(safe(text), 0, _room(terminal, 7 + 2 * depth))}")


def _flat(entries: Sequence[OutlineEntry], depth: int) -> Iterator[tuple[int, OutlineEntry]]:
    """Yield every definition of a tree with its depth, outer ones first."""
    for entry in entries:
        yield depth, entry
        yield from _flat(entry.get("children", []), depth + 1)


def print_map(terminal: Terminal, result: MapResult) -> None:
    """Print a map, and how much it leaves out."""
    for line in result["text"].split("\n") if result["text"] else ():
        style = "path" if line.endswith(":") and not line.startswith(" ") else ""
        shown = cut_around(safe(line), 0, _room(terminal, 0))
        terminal.print(terminal.style(style, shown) if style else shown)


def _print_targets(terminal: Terminal, targets: Sequence[GraphTarget], cwd: str) -> None:
    for target in targets:
        labels = [target["kind"], target["symbol"]]
        _print_line(terminal, target, cwd, f":{target['line']}:{target['column']}", labels, target["signature"], [])


def _print_reference(terminal: Terminal, reference: ReferenceEntry, cwd: str) -> None:
    note = {"name": ["by name"], "possible": ["possible"]}.get(reference["confidence"], [])
    labels = [reference["reference"], reference["symbol"]] if reference["symbol"] else [reference["reference"]]
    _print_line(
        terminal,
        reference,
        cwd,
        f":{reference['line']}:{reference['column']}",
        labels,
        reference["text"],
        note,
        indent="  ",
    )


def _print_line(
    terminal: Terminal,
    place: Mapping[str, Any],
    cwd: str,
    suffix: str,
    labels: Sequence[str],
    text: str,
    notes: Sequence[str],
    *,
    indent: str = "",
) -> None:
    """Print a place, labels, as much of a line of code as there is room for, and notes."""
    shown = f"{safe_line(shown_path(place, cwd))}{suffix}"
    target = f"{place['root'].rstrip('/')}/{place['path']}"
    note = f"  ({', '.join(notes)})" if notes else ""
    plain = f"{indent}{shown}  {'  '.join(safe(label) for label in labels)}  {note}"
    room = _room(terminal, width_of(plain))
    parts = [f"{indent}{terminal.link(target, terminal.style('path', shown))}", *map(safe, labels[:-1])]
    parts.append(terminal.style("symbol", safe(labels[-1])))
    if room >= _LEAST_TEXT:
        parts.append(terminal.style("dim", cut_around(safe(text), 0, room)))
    terminal.print("  ".join(parts) + (terminal.style("dim", note) if note else ""))


def _room(terminal: Terminal, taken: int) -> int:
    return terminal.out_width - taken if terminal.full_screen else _MAX_LINE_CHARS
