"""``codeindex log``: its options, and commits as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codeindexd.cli.columns import cut_around, width_of
from codeindexd.cli.common_options import add_colour, add_limit, add_roots
from codeindexd.cli.render import highlighted, matches, wanted_words
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.protocol.printable import day_of
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from codeindexd.client.results import CommitChange, LoggedCommit, LogResult

HELP = """\
filters: author:ada since:2024-05 until:"2 weeks ago" path:src/** touches:Client.get "exact phrase" /regex/ #1234
a - before a filter, a phrase or a regex excludes what it matches; an id or its beginning finds that commit
without words, the newest commits are listed; with words, the best ones come first
Exit codes: 0 found, 1 nothing found, 2 usage error, 3 not indexed, 4 no daemon, 5 failed, 6 timed out
"""
_FILES_SHOWN = 3
_MAX_LINE_CHARS = 200  # where output does not go to a terminal
_LEAST_TEXT = 10  # columns; less of a line says nothing
_FILTER = re.compile(r'-?(?:author|since|after|until|before|path|touches):(?:"[^"]*"|\S*)', re.IGNORECASE)


def add_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command ``log``."""
    log = command("log", "find commits by what they say, change and touch", epilog=HELP)
    log.add_argument("query", nargs="*", metavar="QUERY", default=[])
    add_roots(log)
    add_limit(log, "number of commits (10)", 10)
    log.add_argument("--sync", action="store_true", help="first wait until all earlier commits are indexed")
    log.add_argument("--oneline", action="store_true", help="print one line a commit")
    add_colour(log)


def print_log(terminal: Terminal, result: LogResult, *, one_line: bool = False) -> None:
    """Print commits: one line each, or with matching lines of the body and changed paths."""
    words = wanted_words(_FILTER.sub(" ", result["query"]))
    several = len({commit["root"] for commit in result["commits"]}) > 1
    for number, commit in enumerate(result["commits"]):
        if number and not one_line:
            terminal.print()
        terminal.print(commit_line(terminal, commit, words, root=commit["root"] if several else ""))
        if one_line:
            continue
        for line in commit["lines"]:
            terminal.print(f"    {_shown(terminal, safe(line), words)}")
        if files := _files(commit):
            room = terminal.out_width - 4 if terminal.full_screen else 4 * _MAX_LINE_CHARS
            terminal.print(f"    {terminal.style('dim', cut_around(safe_line(files), 0, room))}")


def nothing_found(searched: int) -> str:
    """Return what is said if none of the commits that pass the filters answers a query."""
    if not searched:
        return "no commit passes the filters"
    return f"no commit among {quantity(searched, 'that passes', 'that pass')} the filters"


def commit_line(terminal: Terminal, commit: LoggedCommit, words: frozenset[str], root: str = "") -> str:
    """Return the short id, the day, the author and the subject of a commit."""
    head = [commit["short_id"], day_of(commit["date"]), safe_line(commit["author"]["name"])]
    place = f"  {safe_line(root)}" if root else ""
    room = terminal.out_width - width_of("  ".join(head) + place) - 2 if terminal.full_screen else _MAX_LINE_CHARS
    subject = _shown(terminal, safe_line(commit["subject"]), words, max(room, _LEAST_TEXT))
    styled = [terminal.style("path", head[0]), terminal.style("dim", head[1]), terminal.style("symbol", head[2])]
    return "  ".join([*styled, subject]) + terminal.style("dim", place)


def _shown(terminal: Terminal, text: str, words: frozenset[str], room: int | None = None) -> str:
    room = room or (terminal.out_width - 4 if terminal.full_screen else _MAX_LINE_CHARS)
    start = next((begin for begin, _ in matches(text, words)), 0)
    return highlighted(terminal, cut_around(text, start, room), words)


def _files(commit: LoggedCommit) -> str:
    """Return the first changed paths of a commit with their lines."""
    if not commit["changes"]:
        return "merge" if len(commit["parents"]) > 1 else ""
    shown = [_change(change) for change in commit["changes"][:_FILES_SHOWN]]
    if left := commit["files"] - len(shown):
        shown.append(quantity(left, "more file"))
    return ", ".join(shown)


def _change(change: CommitChange) -> str:
    added, removed = change["added"], change["removed"]
    counts = f" +{added} -{removed}" if added >= 0 else ""
    renamed = f" (was {change['old_path']})" if "old_path" in change else ""
    return f"{'deleted ' if change['kind'] == 'D' else ''}{change['path']}{renamed}{counts}"
