"""Follows renames through a history: to the former names of a path, and to the present ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from msgspec import Struct

from codeindexd.storage.history import dictionary
from codeindexd.storage.history.members import Places
from codeindexd.storage.sqlite import Reader

_MOST_RENAMES = 1000  # followed from one path
NO_COPIES: Mapping[tuple[int, bytes], bytes] = MappingProxyType({})


class PathChange(Struct, frozen=True):
    """A commit that changed a path, which was called ``path`` then; renames have the former name, too."""

    number: int
    path: bytes
    old_path: bytes = b""


class PresentNames(Struct, frozen=True):
    """The renames of a history: by former path, the places in the order and the new paths, oldest first."""

    _later: dict[bytes, list[tuple[int, bytes]]]

    def of(self, path: bytes, place: int) -> bytes:
        """Return the present name of the file that a commit, given by its place in the order, left at ``path``."""
        for _ in range(_MOST_RENAMES):
            later = next(((when, new) for when, new in self._later.get(path, ()) if when < place), None)
            if later is None:
                break
            place, path = later
        return path


def changes_of(
    reader: Reader, places: Places, path: bytes, *, follow: bool, copies: Mapping[tuple[int, bytes], bytes] = NO_COPIES
) -> list[PathChange]:
    """Return the commits with ``places`` that changed a path, newest first; with ``follow``, under former names too.

    ``copies`` are other former names: by the commit that made a copy, and the path of that.
    """
    found: list[PathChange] = []
    after = -1
    seen: set[tuple[bytes, int]] = set()
    for _ in range(_MOST_RENAMES):
        rows = reader.rows(
            "SELECT t.number, o.path FROM paths AS p JOIN touched_paths AS t ON t.path = p.id "
            "LEFT JOIN renames AS r ON r.path = p.id AND r.number = t.number "
            "LEFT JOIN paths AS o ON o.id = r.old_path "
            "WHERE p.key = ? AND p.path = ?",
            (dictionary.key_of(path), path),
        )
        ordered = sorted((places[number], number, old) for number, old in rows if number in places)
        former: bytes | None = None
        for place, number, old in ordered:
            if place <= after:
                continue
            old = old or copies.get((number, path), b"")
            found.append(PathChange(number, path, old))
            if old and follow:
                former, after = old, place
                break
        if former is None or (former, after) in seen:
            break
        seen.add((former, after))
        path = former
    return found


def present_names(reader: Reader, places: Places, paths: Collection[bytes]) -> PresentNames:
    """Return what tells the present names of ``paths``, as far as they were renamed."""
    later: dict[bytes, list[tuple[int, bytes]]] = {}
    seen: set[bytes] = set()
    asked = set(paths)
    while asked:
        seen |= asked
        rows = reader.rows_in(
            lambda marks: (
                "SELECT o.path, p.path, r.number FROM paths AS o JOIN renames AS r ON r.old_path = o.id "  # noqa: S608
                f"JOIN paths AS p ON p.id = r.path WHERE o.key IN ({marks})"
            ),
            [dictionary.key_of(path) for path in asked],
        )
        for old, new, number in rows:
            if old in asked and number in places:
                later.setdefault(old, []).append((places[number], new))
        asked = {new for old, new, _ in rows if old in asked} - seen
    return PresentNames({old: sorted(renames, reverse=True) for old, renames in later.items()})
