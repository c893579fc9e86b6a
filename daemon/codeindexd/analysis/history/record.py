"""The record of a commit: what is stored, searched and shown. It needs no repository and no library."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

import msgspec

_TRAILER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\s*:\s")
_GIT_TRAILERS = ("Signed-off-by: ", "(cherry picked from commit ")
_NUMBER = re.compile(
    r"(?:(?<![\w&/])|(?<=[\w.-]/[\w.-]))(?:[\w.-]+/[\w.-]+)?#(\d{1,9})\b"  # #12, owner/name#12
    r"|(?<!\w)GH-(\d{1,9})\b"
    r"|(?<![\w/!])(?:[\w.-]+/[\w./-]+)?!(\d{1,9})\b"  # a merge request of GitLab
    r"|https?://[^\s/]+/\S+/(?:pull|pulls|issues|merge_requests)/(\d{1,9})\b"
)


class ChangeKind(enum.StrEnum):
    """What a commit did to a path, as ``git log --raw`` names it."""

    ADDED = "A"
    MODIFIED = "M"
    DELETED = "D"
    RENAMED = "R"
    TYPE_CHANGED = "T"


class Person(msgspec.Struct, frozen=True, array_like=True):
    """An author or a committer."""

    name: str
    email: str


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A changed path. ``added`` and ``removed`` count lines, -1 for a binary file or if they were not counted.

    ``old_path`` is b"" unless the path was renamed. ``definitions`` are the qualified names of the definitions that
    the change touches.
    """

    path: bytes
    kind: ChangeKind
    added: int = 0
    removed: int = 0
    old_path: bytes = b""
    definitions: tuple[str, ...] = ()


class Commit(msgspec.Struct, frozen=True, array_like=True):
    """A commit: ids are 20 bytes, times are seconds since the epoch with offsets from UTC in minutes.

    The ``message`` is decoded, and credentials in it are masked. A merge has no ``changes``, as in ``git log``;
    ``changes_left_out`` counts those of a commit that has too many.
    """

    id: bytes
    parents: tuple[bytes, ...]
    author: Person
    author_time: int
    author_offset: int
    committer: Person
    commit_time: int
    commit_offset: int
    message: str
    changes: tuple[Change, ...] = ()
    changes_left_out: int = 0

    @property
    def subject(self) -> str:
        """The first paragraph of the message in one line, as git shows it."""
        return subject_of(self.message)

    @property
    def body(self) -> str:
        """The message after its subject, without trailers."""
        return _split(self.message)[0]

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The trailers of the message, such as ("Signed-off-by", "A. Person <a@example.org>")."""
        return _split(self.message)[1]

    @property
    def references(self) -> list[int]:
        """The numbers of issues and pull requests that the message names, each once."""
        return references_in(self.message)


class IndexedCommit(msgspec.Struct, frozen=True, array_like=True):
    """A commit as the indexes need it.

    ``words`` and ``identifiers`` are terms of its message, ``context`` words of its paths and of the definitions that
    it touches, ``names`` the names of these definitions; ``vector`` is a row of int8, b"" without the bundled model.
    """

    commit: Commit
    words: str
    identifiers: str
    context: str
    names: tuple[str, ...]
    vector: bytes


def subject_of(message: str) -> str:
    """Return the first paragraph of a message in one line."""
    lines: list[str] = []
    for line in message.lstrip("\n").split("\n"):
        if not line.strip():
            break
        lines.append(line.strip())
    return " ".join(lines)


def references_in(message: str) -> list[int]:
    """Return the numbers of issues and pull requests that a message names, in order, each once."""
    found = (int(next(filter(None, match.groups()))) for match in _NUMBER.finditer(message))
    return list(dict.fromkeys(found))


def _split(message: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the body and the trailers of a message."""
    lines = message.strip("\n").split("\n")
    start = next((place for place, line in enumerate(lines) if not line.strip()), len(lines))
    rest = "\n".join(lines[start:]).strip("\n")
    before, _, last = rest.rpartition("\n\n")
    paragraph = last.split("\n")
    if not _are_trailers(paragraph):
        return rest, []
    return before.strip("\n"), list(_trailers(paragraph))


def _are_trailers(lines: list[str]) -> bool:
    """Return True if a last paragraph holds trailers, by git's rule: all lines, or a quarter with one of git's own."""
    starts = [line for line in lines if line[:1] not in (" ", "\t")]
    matching = [line for line in starts if _TRAILER.match(line) or line.startswith(_GIT_TRAILERS[1])]
    if not matching or not lines[0].strip() or lines[0][:1] in (" ", "\t"):
        return False
    known = any(line.startswith(_GIT_TRAILERS) for line in starts)
    return len(matching) == len(starts) or (known and 4 * len(matching) >= len(starts))


def _trailers(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (key, value) of the trailers in a paragraph; an indented line continues the value before it."""
    key, value = "", ""
    for line in lines:
        if line[:1] in (" ", "\t") and key:
            value = f"{value} {line.strip()}"
            continue
        if key:
            yield key, value
        key, value = "", ""
        if _TRAILER.match(line):
            key, _, value = line.partition(":")
            key, value = key.strip(), value.strip()
    if key:
        yield key, value
