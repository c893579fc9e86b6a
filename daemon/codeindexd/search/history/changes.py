"""Which commits changed a file, a directory or a definition, and what changed with it, from the indexed history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import NamedTuple, Protocol

from msgspec import Struct

from codeindexd.analysis.history.record import Change, Commit
from codeindexd.errors import NoHistoryError
from codeindexd.search.history.together import CommitItems, Companions, companions
from codeindexd.storage.history import HistorySnapshot, HistoryState

_MOST_COMMITS = 3000  # the newest ones that are looked at for what changes together


class History(Protocol):
    """The history of a root, as these questions need it."""

    def snapshot(self) -> AbstractContextManager[HistorySnapshot]:
        """Provide the present history inside a block. Raises NoHistoryError."""


class ChangedFile(Struct, frozen=True):
    """A commit and what it did to the file or directory asked about; ``short_id`` is unambiguous.

    ``copied_from`` is the file of which the one asked about began as a copy in this commit, or b"".
    """

    commit: Commit
    short_id: str
    changes: Sequence[Change]
    copied_from: bytes = b""


class Addition(NamedTuple):
    """A commit that added a file, which may have been a copy of another one; the path is below the repository's top."""

    commit: bytes
    path: bytes


NO_COPIES: Mapping[Addition, bytes] = MappingProxyType({})
"""No copies are followed."""


class FileChanges(Struct, frozen=True):
    """The newest commits that changed a path, of ``total``. Paths are below the top of the repository.

    ``additions`` are those of all of them that added a file, newest first.
    """

    commits: Sequence[ChangedFile]
    total: int
    prefix: bytes
    state: HistoryState
    additions: Sequence[Addition] = ()


class TouchedDefinition(Struct, frozen=True):
    """A commit that touched a definition, with the names and paths that match."""

    commit: Commit
    short_id: str
    touched: Sequence[tuple[bytes, str]]
    prefix: bytes


class TogetherFiles(Struct, frozen=True):
    """The files that changed with a file, with the commits that show it. Paths are below the top of the repository."""

    found: Companions[bytes]
    commits: Mapping[int, Commit]
    prefix: bytes
    state: HistoryState
    former: Sequence[bytes] = ()


class TogetherDefinitions(Struct, frozen=True):
    """The definitions and files that changed with a definition. ``names`` are the definitions that were meant."""

    definitions: Companions[tuple[bytes, str]]
    files: Companions[bytes]
    names: Sequence[str]
    commits: Mapping[int, Commit]
    prefix: bytes
    state: HistoryState


def of_path(history: History, path: bytes, limit: int, copies: Mapping[Addition, bytes] = NO_COPIES) -> FileChanges:
    """Return the newest commits that changed a path of the root. Blocking. Raises NoHistoryError.

    A file is followed through renames, and through ``copies`` to what was copied.
    """
    with history.snapshot() as snapshot:
        whole = snapshot.location.prefix + path
        changed = snapshot.changed_path(whole, copies=_by_number(snapshot, copies)) if path else []
        found = [(change.number, change.path) for change in changed]
        if not found:  # a directory, or nothing
            below = snapshot.changed_below(whole) if whole else snapshot.numbers
            found = [(number, whole) for number in snapshot.newest_first(below.tolist())]
        commits = snapshot.commits([number for number, _ in found[:limit]])
        shown = [
            ChangedFile(
                commits[number],
                snapshot.short_id(commits[number].id),
                _at(commits[number], name),
                copies.get(Addition(commits[number].id, name), b""),
            )
            for number, name in found[:limit]
            if number in commits
        ]
        added = snapshot.additions(changed)
        ids = snapshot.ids([change.number for change in added])
        additions = [Addition(ids[change.number], change.path) for change in added if change.number in ids]
        return FileChanges(shown, len(found), snapshot.location.prefix, snapshot.state, additions)


def _by_number(snapshot: HistorySnapshot, copies: Mapping[Addition, bytes]) -> dict[tuple[int, bytes], bytes]:
    """Return ``copies`` with commits as their numbers."""
    numbers = {addition: snapshot.number_of(addition.commit) for addition in copies}
    return {(number, addition.path): copies[addition] for addition, number in numbers.items() if number is not None}


def is_known_path(history: History, path: bytes) -> bool:
    """Return True if some commit changed a file or something in a directory of the root. Blocking.

    Raises NoHistoryError.
    """
    with history.snapshot() as snapshot:
        whole = snapshot.location.prefix + path
        return bool(snapshot.changed_path(whole, follow=False)) or bool(
            snapshot.newest_first(snapshot.changed_below(whole).tolist())
        )


def of_name(history: History, name: str, limit: int) -> list[TouchedDefinition]:
    """Return the newest commits that touched a definition of a name. Blocking. Raises NoHistoryError."""
    with history.snapshot() as snapshot:
        names: defaultdict[int, set[str]] = defaultdict(set)
        for change in snapshot.changed_definition(name):
            names[change.number].add(change.name)
        numbers = list(names)[:limit]
        commits = snapshot.commits(numbers)
        return [
            TouchedDefinition(
                commits[number],
                snapshot.short_id(commits[number].id),
                [
                    (change.path, name)
                    for change in commits[number].changes
                    for name in change.definitions
                    if name in names[number]
                ],
                snapshot.location.prefix,
            )
            for number in numbers
            if number in commits
        ]


def of_definition(
    history: History, path: bytes, name: str, *, older_than: float, without: Collection[bytes], limit: int
) -> tuple[list[TouchedDefinition], bool] | None:
    """Return the newest commits that touched the definition ``name`` of a file, and True if there are more. Blocking.

    Only commits that are not newer than ``older_than`` (seconds since the epoch) and not among ``without`` (ids) count.
    None if that cannot be said: the history is not complete, or knows no such definition.
    """
    try:
        with history.snapshot() as snapshot:
            if not snapshot.state.is_complete:
                return None
            whole = snapshot.location.prefix + path
            numbers = [change.number for change in snapshot.changed_definition(name) if change.name == name]
            of_file = {change.number: change.path for change in snapshot.changed_path(whole)}
            numbers = [number for number in dict.fromkeys(numbers) if number in of_file]
            if not numbers:
                return None
            times = dict(zip(numbers, snapshot.times(numbers).tolist(), strict=True))
            ids = snapshot.ids(numbers)
            kept = [number for number in numbers if times[number] <= older_than and ids.get(number, b"") not in without]
            commits = snapshot.commits(kept[:limit])
            prefix = snapshot.location.prefix
            found = [
                TouchedDefinition(
                    commits[number], snapshot.short_id(commits[number].id), [(of_file[number], name)], prefix
                )
                for number in kept[:limit]
                if number in commits
            ]
            return found, len(kept) > limit
    except NoHistoryError:
        return None


def together_with_path(history: History, path: bytes) -> TogetherFiles:
    """Return the files that changed with a file or directory of the root. Blocking. Raises NoHistoryError."""
    with history.snapshot() as snapshot:
        whole = snapshot.location.prefix + path
        changed = snapshot.changed_path(whole)
        asked = {change.path for change in changed} | {change.old_path for change in changed if change.old_path}
        numbers = [change.number for change in changed]
        if not changed:
            numbers = snapshot.newest_first(snapshot.changed_below(whole).tolist())
        del numbers[_MOST_COMMITS:]
        paths = snapshot.paths_of(numbers)
        if not changed:
            inside = whole.rstrip(b"/") + b"/"
            asked = {path for found in paths.values() for path in found if path.startswith(inside)}
        items = [CommitItems(number, paths[number], len(paths[number])) for number in numbers if number in paths]
        found = companions(items, asked, snapshot.counts_of_paths)
        return TogetherFiles(
            found,
            snapshot.commits(_shown(found)),
            snapshot.location.prefix,
            snapshot.state,
            sorted(asked - {whole}) if changed else (),
        )


def together_with_definition(history: History, name: str) -> TogetherDefinitions | None:
    """Return what changed with the definitions of a name; None if no commit touched one. Blocking.

    Raises NoHistoryError.
    """
    with history.snapshot() as snapshot:
        touched = snapshot.changed_definition(name)
        if not touched:
            return None
        names = {change.name for change in touched}
        numbers = list(dict.fromkeys(change.number for change in touched))[:_MOST_COMMITS]
        commits = snapshot.commits(numbers)
        own: set[bytes] = set()
        definitions, files = [], []
        for number in numbers:
            if number not in commits:
                continue
            found = list(_definitions(commits[number]))
            own.update(path for path, qualified in found if qualified in names)
            paths = [change.path for change in commits[number].changes]
            definitions.append(CommitItems(number, found, len(paths)))
            files.append(CommitItems(number, paths, len(paths)))
        asked = {(path, qualified) for path in own for qualified in names} | {
            (path, outer) for path in own for qualified in names for outer in _around(qualified)
        }

        def totals(items: Collection[tuple[bytes, str]]) -> dict[tuple[bytes, str], int]:
            counts = snapshot.counts_of_names({qualified for _, qualified in items})
            return {item: counts.get(item[1], 0) for item in items}

        with_definition = companions(definitions, asked, totals)
        with_file = companions(files, own, snapshot.counts_of_paths)
        shown = {*_shown(with_definition), *_shown(with_file)}
        return TogetherDefinitions(
            with_definition,
            with_file,
            sorted(names),
            snapshot.commits(sorted(shown)),
            snapshot.location.prefix,
            snapshot.state,
        )


def _at(commit: Commit, path: bytes) -> list[Change]:
    """Return the changes of a file, or of what is below a directory."""
    inside = path.rstrip(b"/") + b"/" if path else b""
    exact = [change for change in commit.changes if path in (change.path, change.old_path)]
    return exact or [change for change in commit.changes if change.path.startswith(inside)]


def _definitions(commit: Commit) -> Iterator[tuple[bytes, str]]:
    for change in commit.changes:
        for name in change.definitions:
            yield change.path, name


def _around(name: str) -> Iterator[str]:
    """Yield the names of what is around a definition, which changes whenever it does."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _shown(found: Companions[bytes] | Companions[tuple[bytes, str]]) -> list[int]:
    """Return the newest commit of each companion."""
    return sorted({companion.commits[0] for companion in found.found[:200]})
