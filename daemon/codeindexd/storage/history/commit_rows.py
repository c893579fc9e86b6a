"""The rows of commits in a history store: how they are written, read and deleted."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from codeindexd.analysis.history.packed_ids import ID_BYTES
from codeindexd.analysis.history.record import Change, ChangeKind, Commit, IndexedCommit, Person
from codeindexd.errors import StoreDamagedError
from codeindexd.storage.history import dictionary
from codeindexd.storage.history.codec import PackedChange, pack_changes, pack_message, unpack_changes, unpack_message
from codeindexd.storage.sqlite import Reader, in_lists


def insert(
    connection: sqlite3.Connection, commits: Sequence[IndexedCommit], numbers: Mapping[bytes, int]
) -> dict[Person, int]:
    """Write the rows of new commits by their ``numbers``, and return the ids of the people in them."""
    run = connection.executemany
    people = _ids_of_people(
        connection, {who for indexed in commits for who in (indexed.commit.author, indexed.commit.committer)}
    )
    changes = [change for indexed in commits for change in indexed.commit.changes]
    paths = dictionary.ids_of_paths(
        connection, {path for change in changes for path in (change.path, change.old_path) if path}
    )
    names = dictionary.ids_of_names(connection, {name for change in changes for name in change.definitions})
    rows: list[tuple[Any, ...]] = []
    touched_paths: set[tuple[int, int]] = set()
    touched_names: set[tuple[int, int]] = set()
    renames: list[tuple[int, int, int]] = []
    issues: set[tuple[int, int]] = set()
    for indexed in commits:
        commit, number = indexed.commit, numbers[indexed.commit.id]
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
    run("DELETE FROM unreadable WHERE id = ?", [(indexed.commit.id,) for indexed in commits])
    return people


def read(reader: Reader, numbers: Sequence[int]) -> dict[int, Commit]:
    """Return commits by number, with people as they were written; those that do not exist are missing.

    Raises StoreDamagedError.
    """
    rows = reader.rows_in(
        lambda marks: (
            "SELECT number, c.id, parents, a.name, a.email, author_time, author_offset, b.name, b.email, "  # noqa: S608
            "commit_time, commit_offset, message, changes, left_out FROM commits AS c JOIN people AS a ON "
            f"a.id = author JOIN people AS b ON b.id = committer WHERE number IN ({marks})"
        ),
        list(numbers),
    )
    try:
        changes = {row[0]: unpack_changes(row[12]) for row in rows}
        messages = {row[0]: unpack_message(row[11]) for row in rows}
    except (zlib.error, UnicodeError, IndexError) as error:
        raise StoreDamagedError(f"{reader.path} has a commit that cannot be read") from error
    every = [change for packed in changes.values() for change in packed]
    path_ids = {number for change in every for number in (change.path, change.old_path) if number}
    paths = dictionary.paths_of(reader, path_ids)
    names = dictionary.names_of(reader, {number for change in every for number in change.names})
    return {
        number: Commit(
            id=commit_id,
            parents=tuple(parents[at : at + ID_BYTES] for at in range(0, len(parents), ID_BYTES)),
            author=Person(author, author_email),
            author_time=author_time,
            author_offset=author_offset,
            committer=Person(committer, committer_email),
            commit_time=commit_time,
            commit_offset=commit_offset,
            message=messages[number],
            changes=tuple(
                Change(
                    paths.get(change.path, b""),
                    change.kind,
                    change.added,
                    change.removed,
                    paths.get(change.old_path, b"") if change.kind is ChangeKind.RENAMED else b"",
                    tuple(names.get(name, "") for name in change.names),
                )
                for change in changes[number]
            ),
            changes_left_out=left_out,
        )
        for (
            number, commit_id, parents, author, author_email, author_time, author_offset,
            committer, committer_email, commit_time, commit_offset, _, _, left_out,
        ) in rows
    }  # fmt: skip


def read_messages(reader: Reader, numbers: Sequence[int]) -> dict[int, str]:
    """Return the messages of commits by number. Raises StoreDamagedError."""
    wanted = set(numbers)
    low, high = min(wanted, default=0), max(wanted, default=0)
    if high - low < 2 * len(wanted):  # most of a range is read in one go
        every = reader.rows("SELECT number, message FROM commits WHERE number BETWEEN ? AND ?", (low, high))
        rows = [row for row in every if row[0] in wanted]
    else:
        rows = reader.rows_in(
            lambda marks: f"SELECT number, message FROM commits WHERE number IN ({marks})",  # noqa: S608
            list(numbers),
        )
    try:
        return {number: unpack_message(message) for number, message in rows}
    except (zlib.error, UnicodeError) as error:
        raise StoreDamagedError(f"{reader.path} has a message that cannot be read") from error


def read_changes(reader: Reader, numbers: Sequence[int]) -> dict[int, list[PackedChange]]:
    """Return the packed changes of commits by number. Raises StoreDamagedError."""
    rows = reader.rows_in(
        lambda marks: f"SELECT number, changes FROM commits WHERE number IN ({marks})",  # noqa: S608
        list(numbers),
    )
    try:
        return {number: unpack_changes(changes) for number, changes in rows}
    except IndexError as error:
        raise StoreDamagedError(f"{reader.path} has a commit that cannot be read") from error


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
