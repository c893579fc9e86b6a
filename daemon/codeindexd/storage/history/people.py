"""The authors and committers of a history store."""

from __future__ import annotations

from codeindexd.analysis.history.record import Person
from codeindexd.storage.sqlite import Reader


class People:
    """All authors and committers of a store, with their ids. Thread-safe; they are only ever added."""

    def __init__(self) -> None:
        self._known: list[tuple[int, Person]] = []

    def all(self, reader: Reader) -> list[tuple[int, Person]]:
        """Return them in the order of their ids, after reading those that are new."""
        known = self._known
        last = known[-1][0] if known else 0
        rows = reader.rows("SELECT id, name, email FROM people WHERE id > ? ORDER BY id", (last,))
        if rows:
            known = [*known, *((number, Person(name, email)) for number, name, email in rows)]
            self._known = known
        return known
