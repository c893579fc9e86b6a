"""The reading side of a history store: the history of one root at one moment."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.history.location import GitLocation
from codeindexd.analysis.history.mailmap import NO_MAILMAP, Mailmap
from codeindexd.analysis.history.packed_ids import ID_BYTES
from codeindexd.analysis.history.record import ChangeKind, Commit, Person
from codeindexd.storage.dense.arithmetic import Int8Rows, Single
from codeindexd.storage.history import commit_rows, dictionary, renamed_paths
from codeindexd.storage.history.codec import Numbers
from codeindexd.storage.history.commit_columns import CommitColumns
from codeindexd.storage.history.members import Members, Places
from codeindexd.storage.history.people import People
from codeindexd.storage.history.renamed_paths import NO_COPIES, PathChange, PresentNames
from codeindexd.storage.history.vectors import similarities
from codeindexd.storage.history.view import View
from codeindexd.storage.lexical import LexicalQuery, LexicalSnapshot
from codeindexd.storage.sqlite import Reader

MESSAGE_FIELD, CONTEXT_FIELD = "symbol", "name"
"""The fields of the lexical index that hold the words of messages, and those of paths and definitions."""

_SHORT_ID_CHARS = 7
_MOST_PATHS = 1_000  # of a commit that are compared


class HistoryState(Struct, frozen=True):
    """How complete the history of a root is: ``known`` of ``total`` commits.

    ``is_truncated``: there are older commits, beyond the configured limit. ``is_shallow``: older commits were not
    fetched. ``missing`` and ``unreadable`` count commits that the repository lacks or cannot deliver.
    """

    known: int
    total: int
    is_complete: bool
    is_truncated: bool
    is_shallow: bool
    missing: int
    unreadable: int


class DefinitionChange(Struct, frozen=True):
    """A commit that touched a definition with the qualified ``name``."""

    number: int
    name: str


class TouchedNames(Struct, frozen=True):
    """Paths that a commit changed, and the qualified names of definitions that it touched."""

    paths: tuple[bytes, ...]
    definitions: tuple[str, ...]


class HistorySnapshot:
    """The history of one root. Thread-safe and blocking; commits are named by their numbers in the store.

    Paths are below the top of the repository. A root below the top has only the commits that changed something in it,
    and sees only the paths in it; the names of a rename that crosses its border are both seen. Methods raise
    StoreFullError, StoreDamagedError, and FailedError once the store is closed.
    """

    def __init__(
        self,
        reader: Reader,
        lexical: LexicalSnapshot,
        rows: Int8Rows,
        columns: CommitColumns,
        view: View,
        members: Members,
        mailmap: Mailmap = NO_MAILMAP,
        people: People | None = None,
    ) -> None:
        """Commits name people as the ``mailmap`` says; snapshots of one store share its ``people``."""
        self._reader = reader
        self._lexical = lexical
        self._rows = rows
        self._columns = columns
        self._view = view
        self._members = members
        self.mailmap = mailmap
        self._people = people or People()

    # the whole

    @property
    def view(self) -> View:
        """What the history was read from."""
        return self._view

    @property
    def location(self) -> GitLocation:
        """Where the repository is, and the root in it."""
        view = self._view
        top = Path(os.fsdecode(view.top)) if view.top else None
        return GitLocation(Path(os.fsdecode(view.git_dir)), Path(os.fsdecode(view.common_dir)), top, view.prefix)

    @property
    def state(self) -> HistoryState:
        """How complete the history is."""
        view = self._view
        return HistoryState(
            known=len(self._members.order),
            total=view.wanted,
            is_complete=view.is_complete,
            is_truncated=view.is_truncated,
            is_shallow=view.is_shallow,
            missing=view.missing,
            unreadable=view.unreadable,
        )

    @property
    def _own(self) -> Members:
        """The commits that changed something in the root."""
        if not self._view.prefix:
            return self._members
        if self._members.inside is None:
            order = self._members.order
            self._members.inside = Members(order[np.isin(order, self.changed_below(self._view.prefix))])
        return self._members.inside

    @property
    def order(self) -> Numbers:
        """The commits of the root, newest first."""
        return self._own.order

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The commits of the root, sorted by number."""
        return self._own.numbers

    def places(self) -> Places:
        """Return the place of each commit in the order, 0 for the newest."""
        return self._own.places

    def newest_first(self, numbers: Iterable[int] | NDArray[np.int64]) -> list[int]:
        """Return those of ``numbers`` that are commits of the root, newest first, each once."""
        if isinstance(numbers, np.ndarray):
            newest: list[int] = self.order[np.isin(self.order, numbers)].tolist()
            return newest
        places = self.places()
        return sorted({number for number in numbers if number in places}, key=places.__getitem__)

    def times(self, numbers: Sequence[int] | Numbers | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return when commits were committed, in seconds since the epoch."""
        found: NDArray[np.int64] = self._columns.times[np.asarray(numbers, dtype=np.int64)]
        return found

    # commits

    def commit(self, number: int) -> Commit | None:
        """Return a commit; None if it was pruned meanwhile."""
        return self.commits([number]).get(number)

    def commits(self, numbers: Sequence[int]) -> dict[int, Commit]:
        """Return commits by number; those that were pruned meanwhile are missing."""
        found = commit_rows.read(self._reader, numbers)
        return {number: self.mailmap.commit(commit) for number, commit in found.items()}

    def messages(self, numbers: Sequence[int]) -> dict[int, str]:
        """Return the messages of commits by number, much faster than :meth:`commits`."""
        return commit_rows.read_messages(self._reader, numbers)

    def ids(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Return the ids of commits by number."""
        return dict(
            self._reader.rows_in(
                lambda marks: f"SELECT number, id FROM commits WHERE number IN ({marks})",  # noqa: S608
                list(numbers),
            )
        )

    def paths_of(self, numbers: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        """Return the paths that commits changed, by number, without the former names of renames."""
        packed = commit_rows.read_changes(self._reader, numbers)
        paths = dictionary.paths_of(self._reader, {change.path for changes in packed.values() for change in changes})
        return {
            number: tuple(paths[change.path] for change in changes if change.path in paths)
            for number, changes in packed.items()
        }

    def touched(self, numbers: Sequence[int], most: int) -> dict[int, TouchedNames]:
        """Return the first 1,000 paths and ``most`` definitions that each commit changed, by number."""
        every = commit_rows.read_changes(self._reader, numbers)
        packed = {number: changes[:_MOST_PATHS] for number, changes in every.items()}
        ids = {
            number: tuple(islice(chain.from_iterable(change.names for change in changes), most))
            for number, changes in packed.items()
        }
        paths = dictionary.paths_of(self._reader, {change.path for changes in packed.values() for change in changes})
        names = dictionary.names_of(self._reader, set(chain.from_iterable(ids.values())))
        return {
            number: TouchedNames(
                tuple(paths[change.path] for change in changes if change.path in paths),
                tuple(names[name_id] for name_id in ids[number] if name_id in names),
            )
            for number, changes in packed.items()
        }

    def number_of(self, commit_id: bytes) -> int | None:
        """Return the number of a commit of the root; None if it has no such commit."""
        row = self._reader.row("SELECT number FROM commits WHERE id = ?", (commit_id,))
        return row[0] if row is not None and row[0] in self.places() else None

    def find(self, prefix: str) -> list[int]:
        """Return the commits of the root whose id begins with the hexadecimal digits ``prefix``, newest first."""
        if not prefix or len(prefix) > 2 * ID_BYTES:
            return []
        low = bytes.fromhex(prefix.ljust(2 * ID_BYTES, "0"))
        high = bytes.fromhex(prefix.ljust(2 * ID_BYTES, "f"))
        rows = self._reader.rows("SELECT number FROM commits WHERE id BETWEEN ? AND ?", (low, high))
        return self.newest_first(number for (number,) in rows)

    def short_id(self, commit_id: bytes) -> str:
        """Return the shortest unambiguous beginning of an id, at least seven digits."""
        neighbours = self._reader.rows(
            "SELECT id FROM (SELECT id FROM commits WHERE id < ?1 ORDER BY id DESC LIMIT 1) UNION ALL "
            "SELECT id FROM (SELECT id FROM commits WHERE id > ?1 ORDER BY id LIMIT 1)",
            (commit_id,),
        )
        text = commit_id.hex()
        common = max((_common(text, other.hex()) for (other,) in neighbours), default=0)
        return text[: max(_SHORT_ID_CHARS, common + 1)]

    # what changed what

    def changed_path(
        self, path: bytes, *, follow: bool = True, copies: Mapping[tuple[int, bytes], bytes] = NO_COPIES
    ) -> list[PathChange]:
        """Return the commits that changed a path, newest first; with ``follow``, also under its former names.

        ``copies`` says what else to follow: what was copied, by the commit and the path of the copy.
        """
        return renamed_paths.changes_of(self._reader, self._all_places(), path, follow=follow, copies=copies)

    def additions(self, changes: Sequence[PathChange]) -> list[PathChange]:
        """Return those of ``changes`` that added their path, which may have been a copy of another."""
        packed = commit_rows.read_changes(self._reader, [change.number for change in changes if not change.old_path])
        ids = dictionary.known_ids_of_paths(self._reader, {change.path for change in changes})
        added = {(number, one.path) for number, all_ in packed.items() for one in all_ if one.kind is ChangeKind.ADDED}
        return [change for change in changes if (change.number, ids.get(change.path)) in added]

    def _all_places(self) -> Places:
        """Return the place of each commit, also of those that changed nothing in the root."""
        return self._members.places

    def present_names(self, paths: Collection[bytes]) -> PresentNames:
        """Return what tells the present names of ``paths``, as far as they were renamed."""
        return renamed_paths.present_names(self._reader, self._all_places(), paths)

    def changed_below(self, directory: bytes) -> NDArray[np.int64]:
        """Return the sorted numbers of all stored commits that changed something below ``directory``."""
        prefix = directory.rstrip(b"/") + b"/"
        rows = self._reader.rows(
            "SELECT DISTINCT number FROM touched_paths "
            "WHERE path IN (SELECT id FROM paths WHERE path > ? AND path < ?)",
            (prefix, prefix[:-1] + b"0"),  # "0" follows "/"
        )
        return np.sort(np.array([number for (number,) in rows], dtype=np.int64))

    def changed_paths(self, paths: Sequence[int]) -> NDArray[np.int64]:
        """Return the sorted numbers of all stored commits that changed one of ``paths``, given by their ids."""
        rows = self._reader.rows_in(
            lambda marks: f"SELECT DISTINCT number FROM touched_paths WHERE path IN ({marks})",  # noqa: S608
            list(paths),
        )
        return np.unique(np.array([number for (number,) in rows], dtype=np.int64))

    def paths_below(self, directory: bytes) -> list[tuple[int, bytes]]:
        """Return every path at or below ``directory`` (b"" for the top) that was ever changed, with its id."""
        directory = directory.rstrip(b"/")
        if not directory:
            return self._reader.rows("SELECT id, path FROM paths")
        return self._reader.rows(
            "SELECT id, path FROM paths WHERE path = ? OR (path > ? AND path < ?)",
            (directory, directory + b"/", directory + b"0"),  # "0" follows "/"
        )

    def last_changes(self, paths: Sequence[bytes]) -> dict[bytes, int]:
        """Return the newest commit that changed each path, renames included; paths without one are missing."""
        asked = set(paths)
        rows = self._reader.rows_in(
            lambda marks: (
                "SELECT p.path, t.number FROM paths AS p JOIN touched_paths AS t ON t.path = p.id "  # noqa: S608
                f"WHERE p.key IN ({marks})"
            ),
            [dictionary.key_of(path) for path in asked],
        )
        places = self._all_places()
        newest: dict[bytes, int] = {}
        for path, number in rows:
            if path in asked and number in places and (path not in newest or places[number] < places[newest[path]]):
                newest[path] = number
        return newest

    def counts_of_paths(self, paths: Collection[bytes]) -> dict[bytes, int]:
        """Return how many of all stored commits changed each path."""
        asked = set(paths)
        rows = self._reader.rows_in(
            lambda marks: (
                "SELECT p.path, count(*) FROM paths AS p JOIN touched_paths AS t ON t.path = p.id "  # noqa: S608
                f"WHERE p.key IN ({marks}) GROUP BY p.id"
            ),
            [dictionary.key_of(path) for path in asked],
        )
        return {path: count for path, count in rows if path in asked}

    def counts_of_names(self, names: Collection[str]) -> dict[str, int]:
        """Return how many of all stored commits touched definitions with each qualified name."""
        asked = set(names)
        rows = self._reader.rows_in(
            lambda marks: (
                "SELECT n.id, count(*) FROM names AS n JOIN touched_names AS t ON t.name = n.id "  # noqa: S608
                f"WHERE n.key IN ({marks}) GROUP BY n.id"
            ),
            sorted({dictionary.key_of(name.rpartition(".")[2]) for name in asked}),
        )
        called = dictionary.names_of(self._reader, [number for number, _ in rows])
        return {called[number]: count for number, count in rows if called.get(number) in asked}

    def changed_definition(self, name: str) -> list[DefinitionChange]:
        """Return the commits that touched a definition, newest first.

        ``name`` is its qualified name or the last parts of it; without such a definition, letter case is ignored, and
        then what the history does not know at its beginning is left out, such as a package.
        """
        found = dictionary.ids_called(self._reader, name.rpartition(".")[2])
        matching = {number: qualified for number, qualified in found.items() if f".{qualified}".endswith(f".{name}")}
        if not matching:
            lower = name.lower()
            matching = {
                number: qualified
                for number, qualified in found.items()
                if f".{qualified.lower()}".endswith(f".{lower}")
            }
        return self._touching(matching or dictionary.longest_ends(found, name))

    def changed_inside(self, name: str) -> list[DefinitionChange]:
        """Return the commits that touched a definition inside the one with the qualified ``name``, newest first.

        What the history does not know at the beginning of the name is left out, such as a package.
        """
        found = dictionary.ids_called(self._reader, name.rpartition(".")[2])
        return self._touching(dictionary.inside(self._reader, [*dictionary.longest_ends(found, name)]))

    def _touching(self, names: dict[int, str]) -> list[DefinitionChange]:
        rows = self._reader.rows_in(
            lambda marks: f"SELECT name, number FROM touched_names WHERE name IN ({marks})",  # noqa: S608
            sorted(names),
        )
        places = self.places()
        found = {(number, names[name]) for name, number in rows if number in places}
        return [DefinitionChange(*item) for item in sorted(found, key=lambda item: (places[item[0]], item[1]))]

    def naming_issue(self, issue: int) -> list[int]:
        """Return the commits whose messages name an issue or pull request, newest first."""
        return self.newest_first(
            number for (number,) in self._reader.rows("SELECT number FROM issues WHERE issue = ?", (issue,))
        )

    def people(self) -> list[tuple[int, Person]]:
        """Return all authors and committers as commits name them, with their ids."""
        return self._people.all(self._reader)

    def written_by(self, people: Collection[int]) -> NDArray[np.int64]:
        """Return the sorted numbers of all stored commits whose author is one of ``people``, given by their ids."""
        numbers = self._columns.numbers
        return np.sort(numbers[np.isin(self._columns.authors[numbers], np.array(sorted(people), dtype=np.int32))])

    # searching

    def search(self, query: LexicalQuery, limit: int) -> list[tuple[int, float]]:
        """Return the best ``limit`` commits among ``query.chunk_ids`` as (number, BM25 score), best first."""
        return [(number, score) for number, _, score in self._lexical.search(query, limit)]

    def similarities(self, vector: Single, numbers: NDArray[np.int64]) -> Single:
        """Return the cosines of commits with the ``vector`` of a question, which the bundled model computed."""
        if len(numbers) * 4 > len(self._rows):
            found: Single = similarities(self._rows, vector)[numbers]
            return found
        return similarities(self._rows[numbers], vector)

    def document_frequency(self, word: str) -> int:
        """Return how many commits have ``word``, a stem, in their messages."""
        return self._lexical.document_frequency(word, MESSAGE_FIELD)

    def has_word(self, word: str) -> bool:
        """Return True if some commit has ``word``, a stem, in its message, or in what it changes."""
        return any(self._lexical.document_frequency(word, field) for field in (MESSAGE_FIELD, CONTEXT_FIELD))

    @property
    def is_everything(self) -> bool:
        """True if every commit of the store is one of the root's, so that no filter is needed."""
        return len(self.order) == len(self._columns.numbers)


def _common(first: str, second: str) -> int:
    """Return how many characters two ids have in common at their beginning."""
    return next((place for place, (a, b) in enumerate(zip(first, second, strict=True)) if a != b), len(first))
