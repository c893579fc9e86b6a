"""The rows of commits in a history store: how they are written, and deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from codeindexd.analysis.history.record import Change, ChangeKind, IndexedCommit, Person
from codeindexd.storage.history import dictionary
from codeindexd.storage.history.codec import PackedChange, pack_changes, pack_message, unpack_changes
from codeindexd.storage.sqlite import in_lists


def insert(
    connection: sqlite3.Connection, commits: Sequence[IndexedCommit], numbers: Mapping[bytes, int]
) -> dict[Person, int]:
    """Write the rows of new commits by their ``numbers``, and return the ids of the people in them."""
    run = connection.executemany
    people = _ids_of_people(connection, {who for one in commits for who in (one.commit.author, one.commit.committer)})
    changes = [change for one in commits for change in one.commit.changes]
    paths = dictionary.ids_of_paths(
        connection, {path for change in changes for path in (change.path, change.old_path) if path}
    )
    names = dictionary.ids_of_names(connection, {name for change in changes for name in change.definitions})
    rows: list[tuple[Any, ...]] = []
    touched_paths: set[tuple[int, int]] = set()
    touched_names: set[tuple[int, int]] = set()
    renames: list[tuple[int, int, int]] = []
    issues: set[tuple[int, int]] = set()
    for one in commits:
        commit, number = one.commit, numbers[one.commit.id]
        packed = [_packed(change, paths, names) for change in commit.changes]
        rows.append(
            (
                number, commit.id, b"".join(commit.parents),
                people[commit.author], commit.author_time, commit.author_offset,
                people[commit.committer], commit.commit_time, commit.commit_offset,
                pack_message(commit.message), pack_changes(packed), commit.changes_left_out,
            )
        )  # fmt: skip
        for change in packed:
            touched_paths.add((change.path, number))
            if change.kind is ChangeKind.RENAMED:
                touched_paths.add((change.old_path, number))
                renames.append((change.path, number, change.old_path))
            touched_names.update((name, number) for name in change.names)
        issues.update((issue, number) for issue in commit.references)
    run(f"INSERT INTO commits VALUES ({','.join('?' * 12)})", rows)  # noqa: S608
    run("INSERT INTO touched_paths VALUES (?, ?)", sorted(touched_paths))
    run("INSERT INTO touched_names VALUES (?, ?)", sorted(touched_names))
    run("INSERT INTO renames VALUES (?, ?, ?)", renames)
    run("INSERT INTO issues VALUES (?, ?)", sorted(issues))
    run("DELETE FROM unreadable WHERE id = ?", [(one.commit.id,) for one in commits])
    return people


def delete(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete the rows of commits. Paths and names stay, even those that are no longer needed."""
    for marks, part in in_lists(numbers):
        found = connection.execute(f"SELECT number, changes FROM commits WHERE number IN ({marks})", part)  # noqa: S608
        for number, changes in found.fetchall():
            packed = unpack_changes(changes)
            paths = {c.path for c in packed} | {c.old_path for c in packed if c.old_path}
            names = set(chain.from_iterable(c.names for c in packed))
            _delete(connection, "touched_paths", "path", paths, number)
            _delete(connection, "touched_names", "name", names, number)
            _delete(connection, "renames", "path", {c.path for c in packed if c.old_path}, number)
        every = [(number,) for number in set(part)]
        connection.executemany("DELETE FROM issues WHERE number = ?", every)
        connection.executemany("DELETE FROM commits WHERE number = ?", every)


def _ids_of_people(connection: sqlite3.Connection, people: Collection[Person]) -> dict[Person, int]:
    found = {}
    for person in people:
        key = (person.name, person.email)
        connection.execute("INSERT OR IGNORE INTO people (name, email) VALUES (?, ?)", key)
        found[person] = connection.execute("SELECT id FROM people WHERE name = ? AND email = ?", key).fetchone()[0]
    return found


def _delete(connection: sqlite3.Connection, table: str, column: str, values: Iterable[int], number: int) -> None:
    connection.executemany(
        f"DELETE FROM {table} WHERE {column} = ? AND number = ?",  # noqa: S608
        [(value, number) for value in values],
    )


def _packed(change: Change, paths: dict[bytes, int], names: dict[str, int]) -> PackedChange:
    return PackedChange(
        paths[change.path],
        change.kind,
        change.added,
        change.removed,
        paths[change.old_path] if change.old_path else 0,
        tuple(names[name] for name in change.definitions),
    )
