"""Finds the last commit of places in code, from the index of the history alone."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from codeindexd.analysis.history.record import Commit
from codeindexd.storage.history import HistorySnapshot


class LastCommit(Struct, frozen=True):
    """The newest commit of a place: ``of_definition`` if it touched the definition there, else the file."""

    commit: Commit
    short_id: str
    of_definition: bool


def last_commits(snapshot: HistorySnapshot, places: Sequence[tuple[bytes, str]]) -> list[LastCommit | None]:
    """Return the last commit of each place: a path below the root and the definition there, "" for none. Blocking."""
    prefix = snapshot.view.prefix
    of_files = snapshot.last_changes([prefix + path for path, _ in places])
    touching = {
        symbol: [change.number for change in snapshot.changed_definition(symbol)] for _, symbol in places if symbol
    }
    paths = snapshot.paths_of(list({number for numbers in touching.values() for number in numbers[:_MOST_EXAMINED]}))
    last: list[tuple[int | None, bool]] = []  # by place: a commit, and whether it touched the definition
    for path, symbol in places:
        full = prefix + path
        of_definition = next(
            (number for number in touching.get(symbol, [])[:_MOST_EXAMINED] if full in paths.get(number, ())), None
        )
        is_of_definition = of_definition is not None
        last.append((of_definition if is_of_definition else of_files.get(full), is_of_definition))
    commits = snapshot.commits(list({number for number, _ in last if number is not None}))
    found: list[LastCommit | None] = []
    for number, is_of_definition in last:
        commit = commits.get(number) if number is not None else None
        found.append(LastCommit(commit, snapshot.short_id(commit.id), is_of_definition) if commit else None)
    return found


_MOST_EXAMINED = 200  # commits of one name: a common name such as __init__ has thousands, in many files
