"""The dictionaries of a history store: paths and names of definitions, each stored once.

A text is found by the hash of its last part, which takes nine bytes where an index over the texts would store them a
second time. A qualified name is a chain: the row of ``Client.get`` is ``get`` with the row of ``Client`` as its outer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

import xxhash

from codeindexd.storage.sqlite import Reader, in_lists

_DEEPEST = 16


def key_of(text: str | bytes) -> int:
    """Return the key under which a path, or the last part of a name in any letter case, is found."""
    data = text.lower().encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return xxhash.xxh32_intdigest(data)


def ids_of_paths(connection: sqlite3.Connection, paths: Collection[bytes]) -> dict[bytes, int]:
    """Return the ids of paths; those that are new are written. Raises sqlite3.Error."""
    keys = {path: key_of(path) for path in paths}
    found = {
        path: number
        for marks, part in in_lists(list(keys.values()))
        for number, path in connection.execute(f"SELECT id, path FROM paths WHERE key IN ({marks})", part)  # noqa: S608
        if path in keys
    }
    first = _next_id(connection, "paths")
    new = {path: first + place for place, path in enumerate(sorted(keys.keys() - found.keys()))}
    connection.executemany(
        "INSERT INTO paths VALUES (?, ?, ?)", [(number, keys[path], path) for path, number in new.items()]
    )
    return found | new


def ids_of_names(connection: sqlite3.Connection, names: Collection[str]) -> dict[str, int]:
    """Return the ids of qualified names; those that are new are written. Raises sqlite3.Error."""
    parts = {name: name.split(".", _DEEPEST) for name in names}
    known: dict[tuple[int, str], int] = {}
    every = list({key_of(part) for split in parts.values() for part in split})
    for marks, some in in_lists(every):
        rows = connection.execute(f"SELECT id, outer, last FROM names WHERE key IN ({marks})", some)  # noqa: S608
        known.update(((outer, last), number) for number, outer, last in rows)
    next_id = _next_id(connection, "names")
    new: list[tuple[int, int, int, str]] = []
    found = {}
    for name, split in parts.items():
        outer = 0
        for part in split:
            number = known.get((outer, part))
            if number is None:
                number = known[outer, part] = next_id
                new.append((number, key_of(part), outer, part))
                next_id += 1
            outer = number
        found[name] = outer
    connection.executemany("INSERT INTO names VALUES (?, ?, ?, ?)", new)
    return found


def _next_id(connection: sqlite3.Connection, table: str) -> int:
    (last,) = connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # noqa: S608
    return int(last) + 1


def remove_unused(connection: sqlite3.Connection) -> None:
    """Remove the paths and names that no commit mentions. Raises sqlite3.Error."""
    connection.execute("DELETE FROM paths WHERE id NOT IN (SELECT path FROM touched_paths)")
    while connection.execute(
        "DELETE FROM names WHERE id NOT IN (SELECT name FROM touched_names) AND id NOT IN (SELECT outer FROM names)"
    ).rowcount:
        pass


def paths_of(reader: Reader, numbers: Collection[int]) -> dict[int, bytes]:
    """Return the paths with the ids ``numbers``."""
    return dict(
        reader.rows_in(lambda marks: f"SELECT id, path FROM paths WHERE id IN ({marks})", sorted(numbers))  # noqa: S608
    )


def known_ids_of_paths(reader: Reader, paths: Collection[bytes]) -> dict[bytes, int]:
    """Return the ids of those of ``paths`` that some commit changed."""
    rows = reader.rows_in(
        lambda marks: f"SELECT id, path FROM paths WHERE key IN ({marks})",  # noqa: S608
        sorted({key_of(path) for path in paths}),
    )
    return {path: number for number, path in rows if path in paths}


def names_of(reader: Reader, numbers: Collection[int]) -> dict[int, str]:
    """Return the qualified names with the ids ``numbers``."""
    rows: dict[int, tuple[int, str]] = {}
    wanted = set(numbers)
    while wanted:
        found = reader.rows_in(lambda marks: f"SELECT id, outer, last FROM names WHERE id IN ({marks})", sorted(wanted))  # noqa: S608
        rows.update((number, (outer, last)) for number, outer, last in found)
        wanted = {outer for _, outer, _ in found if outer} - rows.keys()
    return {number: _joined(rows, number) for number in numbers if number in rows}


def _joined(rows: dict[int, tuple[int, str]], number: int) -> str:
    parts: list[str] = []
    while number in rows and len(parts) <= _DEEPEST:
        number, last = rows[number]
        parts.append(last)
    return ".".join(reversed(parts))


def ids_called(reader: Reader, last: str) -> dict[int, str]:
    """Return the qualified names whose last part is ``last`` in any letter case, by id."""
    rows = reader.rows("SELECT id, last FROM names WHERE key = ?", (key_of(last),))
    return names_of(reader, [number for number, found in rows if found.lower() == last.lower()])


def inside(reader: Reader, outer: Sequence[int]) -> dict[int, str]:
    """Return the qualified names of the definitions inside those with the ids ``outer``, by id."""
    found: set[int] = set()
    around = list(outer)
    while around:
        rows = reader.rows_in(lambda marks: f"SELECT id FROM names WHERE outer IN ({marks})", around)  # noqa: S608
        around = [number for (number,) in rows if number not in found]
        found.update(around)
    return names_of(reader, found)


def longest_ends(names: Mapping[int, str], name: str) -> dict[int, str]:
    """Return those of ``names`` that are equal to ``name`` or to as many of its last parts as any.

    The last part alone counts only if no name has it inside something else, and what is left out is in lowercase, like
    a package.
    """
    ends = {number: known for number, known in names.items() if f".{name}".endswith(f".{known}")}
    longest = max(map(len, ends.values()), default=0)
    front, _, last = name.rpartition(".")
    if front and longest == len(last) and (not front.islower() or any("." in known for known in names.values())):
        return {}
    return {number: known for number, known in ends.items() if len(known) == longest}
