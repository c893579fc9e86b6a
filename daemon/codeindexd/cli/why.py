"""The commands about the history of lines, files and definitions: their options, and their results as text."""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from typing import TYPE_CHECKING, Any

from codeindexd.cli.ages import age_of
from codeindexd.cli.columns import cut_around, width_of
from codeindexd.cli.common_options import add_colour, add_limit, add_roots
from codeindexd.cli.render import shown_path
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.client.core import absolute
from codeindexd.errors import NotIndexedError, UsageError
from codeindexd.protocol.printable import day_of
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from codeindexd.client.results import CompanionEntry, HistoryResult, TogetherResult, WhyResult

_HOW_TO_ASK = "for example: codeindex why src/auth.py:42; for a file or a definition: codeindex history {}"
_LINES = re.compile(r"(?P<path>.+?):(?P<first>[0-9]+)(?:[-:,](?P<last>[0-9]+))?", re.DOTALL)
_PLACE = re.compile(r"(?P<path>.+?):(?P<line>[0-9]+)(?:[-:][0-9]+)?", re.DOTALL)
_MAX_LINE_CHARS = 200  # where output does not go to a terminal
_LEAST_TEXT = 10  # columns; less of a line says nothing
_BODY_LINES = 12
_AUTHOR_CHARS = 20


def add_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands about histories."""
    why = command("why", "show which commit wrote a line, and why")
    why.add_argument("place", metavar="PATH:LINE[-LINE]")
    add_limit(why, "number of earlier commits (5)", 5, least=0)
    add_colour(why)
    history = command("history", "show the commits that changed a file or a definition")
    history.add_argument("asked", metavar="PATH|NAME|PATH:LINE")
    _add_options(history, "number of commits (20)")
    together = command("together", "show what usually changes together with a file or a definition")
    together.add_argument("asked", metavar="PATH|NAME")
    _add_options(together, "number of files (20)")


def _add_options(parser: argparse.ArgumentParser, limit_help: str) -> None:
    add_limit(parser, limit_help, 20)
    add_roots(parser)
    add_colour(parser)


def requested_lines(args: argparse.Namespace) -> tuple[str, int, int | None]:
    """Return the path and the first and last line of a place. Raises UsageError."""
    place = _LINES.fullmatch(args.place)
    if place is None:
        raise UsageError(f"not PATH:LINE: {args.place}", hint=_HOW_TO_ASK.format(shlex.quote(args.place)))
    first, last = int(place["first"]), int(place["last"]) if place["last"] else None
    if first < 1 or (last is not None and last < first):
        raise UsageError(
            f"{args.place} is not a range of lines", hint="lines count from 1; the smaller number comes first"
        )
    return place["path"], first, last


def query_arguments(args: argparse.Namespace, cwd: str) -> dict[str, Any]:
    """Return the arguments of a client's method that say what is asked about.

    What exists as a path is one. Raises NotIndexedError for a path that does not exist.
    """
    where: dict[str, Any] = {"roots": None if args.all else args.roots or [cwd], "limit": args.limit}
    place = _PLACE.fullmatch(args.asked)
    if place is not None and args.command == "history":
        if not os.path.lexists(absolute(place["path"])):
            raise NotIndexedError(f"{absolute(place['path'])} does not exist", hint="check the path")
        return {**where, "path": place["path"], "line": int(place["line"])}
    if os.path.lexists(absolute(args.asked)):
        return {**where, "path": args.asked}
    if os.sep in args.asked and not args.asked.startswith(os.sep):
        # a file that was removed has a history, too
        return {**where, "path": args.asked}
    return {**where, "name": args.asked}


def print_why(terminal: Terminal, result: WhyResult, cwd: str) -> None:
    """Print the lines with their commits, then what the commits say, then earlier ones."""
    commits = {commit["id"]: commit for commit in result["commits"]}
    path = safe_line(shown_path(dict(result), cwd))
    terminal.print(terminal.style("path", path))
    digits = len(str(result["end_line"]))
    for run in result["lines"]:
        origin = commits.get(run["commit"] or "")
        label = "not committed" if origin is None else f"{origin['short_id']}  {day_of(origin['date'])}"
        for line in range(run["line"], run["line"] + run["count"]):
            text = result["text"][line - result["start_line"]] if result["text"] else ""
            head = f"{line:>{digits}}  {label:22}"
            shown = cut_around(safe(text.expandtabs(4)), 0, max(_LEAST_TEXT, _room(terminal, width_of(head) + 2)))
            terminal.print(f"{terminal.style('dim', head)}  {shown}".rstrip())
    for commit in result["commits"]:
        terminal.print()
        _print_commit(terminal, commit)
    if result["earlier"]:
        definition = result["definition"]
        what = safe(definition["symbol"]) if definition else "these lines"
        terminal.print()
        terminal.print(f"earlier changes of {terminal.style('symbol', what)}:")
        for earlier in result["earlier"]:
            _print_brief(terminal, earlier, indent="  ")
        if result["more_earlier"]:
            place = safe_line(shlex.quote(f"{shown_path(dict(result), cwd)}:{result['start_line']}"))
            terminal.print(terminal.style("dim", f"  more: codeindex history {place}"))


def print_history(terminal: Terminal, result: HistoryResult, cwd: str) -> None:
    """Print the commits, one a line, newest first."""
    for definition in result.get("definitions", []):
        place = f"{safe_line(shown_path(dict(definition), cwd))}:{definition['line']}"
        terminal.print(
            f"{terminal.style('path', place)}  {safe(definition['kind'])}  "
            f"{terminal.style('symbol', safe(definition['symbol']))}"
        )
    now = result.get("path", "")
    for commit in result["commits"]:
        notes = []
        changes = commit.get("changes", [])
        if len(changes) == 1:
            notes = [_lines_changed(changes[0])]
            if "old_path" in changes[0]:
                notes.append(f"renamed from {changes[0]['old_path']}")
            elif changes[0]["path"] != now:
                notes.append(f"as {changes[0]['path']}")
            if "copied_from" in changes[0]:
                notes.append(f"copied from {changes[0]['copied_from']}")
        elif changes:
            notes = [quantity(len(changes), "file")]
        _print_brief(terminal, commit, notes=[note for note in notes if note])
    if result["truncated"]:
        shown = len(result["commits"])
        left = f"{result['total'] - shown:,} more" if result["total"] > shown else "there are more"
        terminal.print(terminal.style("dim", f"{left}; to see them: -n {max(result['total'], 5 * shown)}"))


def print_together(terminal: Terminal, result: TogetherResult, cwd: str) -> None:
    """Print what changed together, with how often, tests apart."""
    if not result["commits"]:
        return
    what = safe_line(shown_path(dict(result), cwd)) if "path" in result else safe(result["name"])
    terminal.print(f"{terminal.style('path', what)} changed in {quantity(result['commits'], 'commit')}; with it:")
    for title, entries in (
        ("definitions", result.get("definitions", [])),
        ("files" if "definitions" in result else "", result["files"]),
        ("tests", result["tests"]),
    ):
        if entries and title:
            terminal.print(f"{title}:")
        for companion in entries:
            _print_companion(terminal, companion, result, cwd)


def nothing_together(result: TogetherResult) -> str:
    """Return what is said if nothing changes together with what was asked about."""
    if result["commits"]:
        return "nothing changed together with it more than once"
    return "only large commits changed it" if result["large_commits"] else "no known commit changed it"


def _print_companion(terminal: Terminal, companion: CompanionEntry, result: TogetherResult, cwd: str) -> None:
    percent = f"({companion['confidence']:.0%})"
    share = f"{companion['count']:>5} of {result['commits']} {percent:>6}"
    path = safe_line(shown_path({"root": result["root"], "path": companion["path"]}, cwd))
    symbol = f"  {terminal.style('symbol', safe(companion['symbol']))}" if "symbol" in companion else ""
    last = companion.get("last")
    ago = f"  last {day_of(last['date'])} {last['short_id']}" if last is not None else ""
    terminal.print(f"{share}  {terminal.style('path', path)}{symbol}{terminal.style('dim', ago)}")


def _print_commit(terminal: Terminal, commit: Mapping[str, Any]) -> None:
    """Print a commit with its message."""
    lines = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in commit["lines"][:10])
    more = ", ..." if len(commit["lines"]) > 10 else ""
    head = f"{terminal.style('symbol', commit['short_id'])}  {safe(commit['author']['name'])}, {day_of(commit['date'])}"
    terminal.print(f"{head} ({age_of(commit['date'])})  {terminal.style('dim', f'lines {lines}{more}')}")
    terminal.print(f"    {safe(commit['subject'])}")
    body = commit["body"].split("\n")
    if commit["body"]:
        terminal.print()
        for row in body[:_BODY_LINES]:
            terminal.print(f"    {safe(row)}".rstrip())
        if len(body) > _BODY_LINES:
            left = quantity(len(body) - _BODY_LINES, "more line")
            terminal.print(terminal.style("dim", f"    {left}: git show {commit['short_id']}"))
    if commit["references"]:
        names = ", ".join(f"#{number}" for number in commit["references"][:10])
        terminal.print(terminal.style("dim", f"    names {names}"))
    if commit.get("boundary"):
        terminal.print(terminal.style("dim", "    the oldest commit of this clone: the lines may be older"))


def _print_brief(terminal: Terminal, commit: Mapping[str, Any], *, indent: str = "", notes: Sequence[str] = ()) -> None:
    author = textwrap.shorten(safe(commit["author"]["name"]), _AUTHOR_CHARS, placeholder="…")
    head = f"{indent}{commit['short_id']}  {day_of(commit['date'])}  {author:{_AUTHOR_CHARS}}"
    note = f"  ({', '.join(safe(note) for note in notes)})" if notes else ""
    room = max(_LEAST_TEXT, _room(terminal, width_of(head) + 2 + width_of(note)))
    subject = cut_around(safe(commit["subject"]), 0, room)
    terminal.print(f"{terminal.style('dim', head)}  {subject}{terminal.style('dim', note) if note else ''}")


def _lines_changed(change: Mapping[str, Any]) -> str:
    if change["kind"] == "A":
        return "added"
    if change["kind"] == "D":
        return "removed"
    if change["added"] < 0:
        return "lines not counted"
    return f"+{change['added']} -{change['removed']}" if change["added"] or change["removed"] else ""


def _room(terminal: Terminal, taken: int) -> int:
    return terminal.out_width - taken if terminal.full_screen else _MAX_LINE_CHARS
