"""Mailmaps (``.mailmap``): the names and addresses under which a project shows its people, read as git reads them."""

from __future__ import annotations

import string
from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from codeindexd.analysis.history.record import Commit, Person

FILE_NAME = b".mailmap"
MOST_BYTES = 4 << 20

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class _Entry(Struct):
    """The replacement for people with one address; "" keeps what the commit has. ``by_name`` takes precedence."""

    name: str = ""
    email: str = ""
    by_name: dict[str, tuple[str, str]] = field(default_factory=dict)


class Mailmap:
    """Replaces the names and addresses in commits by those that a mailmap gives. Immutable."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = entries

    @classmethod
    def parse(cls, data: bytes) -> Mailmap:
        """Parse the content of a mailmap. Invalid lines are skipped, as by git."""
        entries: dict[str, _Entry] = {}
        for line in data.decode("utf-8", "replace").split("\n"):
            if line.startswith("#"):
                continue
            new = _person(line)
            if new is None or not new[1]:
                continue
            name, email, rest = new
            old = _person(rest)
            entry = entries.setdefault(_folded(old[1] if old else email), _Entry())
            if old and old[0]:
                entry.by_name[_folded(old[0])] = name, email
            else:
                entry.name = name or entry.name
                entry.email = (email if old else "") or entry.email
        return cls(entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def person(self, person: Person) -> Person:
        """Return a person with the name and address from the mailmap; unchanged if it has neither."""
        entry = self._entries.get(_folded(person.email))
        if entry is None:
            return person
        name, email = entry.by_name.get(_folded(person.name), (entry.name, entry.email))
        return Person(name or person.name, email or person.email)

    def commit(self, commit: Commit) -> Commit:
        """Return a commit with its author and committer as :meth:`person` returns them."""
        author, committer = self.person(commit.author), self.person(commit.committer)
        if (author, committer) == (commit.author, commit.committer):
            return commit
        return msgspec.structs.replace(commit, author=author, committer=committer)


NO_MAILMAP = Mailmap({})


def _person(line: str) -> tuple[str, str, str] | None:
    """Return the name and the address at the beginning of a line, and the rest; None if there is no address."""
    start = line.find("<")
    end = line.find(">", start)
    if start < 0 or end < 0:
        return None
    return line[:start].strip(), line[start + 1 : end], line[end + 1 :]


def _folded(text: str) -> str:
    """Return a name or an address with ASCII letters in lower case, for comparisons."""
    return text.translate(_LOWER)
