"""Reads one commit as the record that is stored, with its changed paths, their lines and definitions."""

from __future__ import annotations

import codecs
import functools
import re

import msgspec
import numpy as np

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.history.changes import (
    MAX_DIFF_BYTES,
    TreeChange,
    UnifiedHunk,
    changes_of,
    content_of,
    count_lines,
    is_binary,
    quick_hunks,
)
from codeindexd.analysis.history.record import Change, Commit, Person
from codeindexd.analysis.history.repository import LATEST, GitRepository, RawCommit
from codeindexd.analysis.history.touched import has_definitions, touched
from codeindexd.errors import MissingObjectError

MAX_MESSAGE_BYTES = 64 << 10
_MOST_DIFFED = 1000  # files of one commit: of more, lines are not counted
_MOST_COMMIT_BYTES = 32 << 20  # that are compared in one commit
_IDENTITY = re.compile(rb"\A([^<]*+)<([^<>\n]*+)>?[ \t]*+(-?\d{1,20})?\d*+(?:[ \t]++([+-]\d{3,5}))?")
_NEWLINE = 10
_ASCII = b"Az09 <a@b> \\x41 \\u0041"
_MOST_PROSE_BYTES = 2048  # of the lines that a commit adds
_MOST_CODE_BYTES = 2048
_NEWS = frozenset({b"changes", b"changelog", b"changelogs", b"changelog.d", b"news", b"newsfragments", b"releasenotes"})
_PROSE = frozenset({b"md", b"rst", b"txt", b"adoc", b"asciidoc", b"org", b"markdown"})
_MOST_NAME_CHARS = 200


class DiffText:
    """Lines that a commit adds, for the words in them: of documents, and of code; each a bounded part."""

    def __init__(self) -> None:
        self.prose: list[bytes] = []
        self.code: list[bytes] = []
        self._left = {True: _MOST_PROSE_BYTES, False: _MOST_CODE_BYTES}

    def add(self, path: bytes, new: bytes, hunks: list[UnifiedHunk]) -> None:
        """Take the lines that ``hunks`` add to ``new``, as far as there is room."""
        is_prose = _is_prose(path)
        if self._left[is_prose] <= 0:
            return
        ends = np.flatnonzero(np.frombuffer(new, dtype=np.uint8) == _NEWLINE)
        for hunk in hunks:
            if hunk.new_lines and self._left[is_prose] > 0:
                start = int(ends[hunk.new_start - 2]) + 1 if hunk.new_start > 1 else 0
                last = hunk.new_start + hunk.new_lines - 2
                end = int(ends[last]) if last < len(ends) else len(new)
                text = new[start : min(end, start + self._left[is_prose])]
                self._left[is_prose] -= len(text)
                (self.prose if is_prose else self.code).append(text)


@functools.lru_cache(4096)
def _is_prose(path: bytes) -> bool:
    """Return True for documents and for the fragments from which changelogs are made."""
    directory, _, name = path.lower().rpartition(b"/")
    return b"." not in name or name.rpartition(b".")[2] in _PROSE or not _NEWS.isdisjoint(directory.split(b"/"))


def read_commit(
    repository: GitRepository, commit_id: bytes, *, mask_secrets: bool = True, diff: DiffText | None = None
) -> Commit:
    """Return the record of a commit, and add lines that it adds to ``diff``.

    Raises MissingObjectError if the commit or one of its trees is missing. For blobs that are missing or too large,
    lines are not counted and definitions not named.
    """
    raw = repository.commit(commit_id)
    changes, left_out = changes_of(repository, raw)
    return msgspec.structs.replace(
        _described(raw, mask_secrets=mask_secrets),
        changes=tuple(_counted_changes(repository, changes, diff)),
        changes_left_out=left_out,
    )


def described_commit(repository: GitRepository, commit_id: bytes, *, mask_secrets: bool = True) -> Commit:
    """Return the record of a commit without its changes. Raises MissingObjectError if the commit is missing."""
    return _described(repository.commit(commit_id), mask_secrets=mask_secrets)


def _described(raw: RawCommit, *, mask_secrets: bool) -> Commit:
    author, author_time, author_offset = _identity(raw.author, raw.encoding)
    committer, _, commit_offset = _identity(raw.committer, raw.encoding)
    return Commit(
        id=raw.id,
        parents=raw.parents,
        author=author,
        author_time=author_time,
        author_offset=author_offset,
        committer=committer,
        commit_time=raw.commit_time,  # by which commits are ordered; that of an impossible date is the latest
        commit_offset=commit_offset,
        message=message_of(raw, mask_secrets=mask_secrets),
    )


def message_of(commit: RawCommit, *, mask_secrets: bool = True) -> str:
    """Return the message of a commit, decoded as git does, with credentials masked. A very long one is cut."""
    text = _decoded(commit.message[:MAX_MESSAGE_BYTES], commit.encoding).replace("\r\n", "\n").strip("\n")
    return secrets.mask(text.encode("utf-8", "replace")).decode("utf-8", "replace") if mask_secrets else text


def _decoded(data: bytes, encoding: str) -> str:
    for name in (_codec(encoding), "utf-8"):
        if name:
            try:
                return _without_surrogates(data.decode(name))
            except (LookupError, UnicodeError, ValueError):
                continue
    if len(data) == MAX_MESSAGE_BYTES:  # the cut may have split a character
        return data.decode("utf-8", "replace")
    return data.decode("latin-1")


@functools.lru_cache(64)
def _codec(encoding: str) -> str:
    """Return Python's name for an encoding; "" for one that is unknown, or cannot be that of a commit.

    Commits are ASCII around their texts, which UTF-16 is not. Python has encodings of its own, with escapes.
    """
    try:
        name = codecs.lookup(encoding).name
        return name if _ASCII.decode(name) == _ASCII.decode("ascii") else ""
    except (LookupError, UnicodeError, ValueError):
        return ""


def _without_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which some encodings let through and UTF-8 does not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _identity(line: bytes, encoding: str) -> tuple[Person, int, int]:
    """Return the person, the time and the offset in minutes of an author's or committer's line."""
    match = _IDENTITY.match(line)
    if match is None:
        return Person(_decoded(line, encoding)[:_MOST_NAME_CHARS], ""), 0, 0
    name, email, time, zone = match.groups()
    name = name.rstrip(b" \t")
    seconds = int(time) if time and 0 <= int(time) < LATEST else 0  # as git prints those that it cannot read
    offset = 0
    if zone:
        minutes = int(zone[-2:])
        offset = (int(zone[1:-2]) * 60 + minutes) * (-1 if zone[:1] == b"-" else 1)
    return (
        Person(_decoded(name, encoding)[:_MOST_NAME_CHARS], _decoded(email, encoding)[:_MOST_NAME_CHARS]),
        seconds,
        offset if abs(offset) <= 24 * 60 else 0,
    )


def _counted_changes(
    repository: GitRepository, changes: list[TreeChange], diff: DiffText | None = None
) -> list[Change]:
    """Return changes with their numbers of lines and the definitions they touch, as far as the budget reaches."""
    found = []
    budget = _MOST_COMMIT_BYTES if len(changes) <= _MOST_DIFFED else 0
    for change in changes:
        added = removed = -1
        names: tuple[str, ...] = ()
        if change.old_id == change.new_id:
            added = removed = 0
        elif budget > 0:
            texts = _texts(repository, change)
            if texts is not None:
                old, new = texts
                budget -= len(old) + len(new)
                hunks = quick_hunks(old, new)
                added, removed = count_lines(hunks)
                language = _language(change.path)
                if diff is not None:
                    diff.add(change.path, new, hunks)
                if has_definitions(language):
                    names = touched(language, old, new, hunks)
        found.append(Change(change.path, change.kind, added, removed, change.old_path, names))
    return found


def _texts(repository: GitRepository, change: TreeChange) -> tuple[bytes, bytes] | None:
    """Return the content before and after a change; None if it is binary, too large or missing."""
    try:
        old = content_of(repository, change.old_mode, change.old_id)
        new = content_of(repository, change.new_mode, change.new_id)
    except MissingObjectError:
        return None
    if len(old) > MAX_DIFF_BYTES or len(new) > MAX_DIFF_BYTES or is_binary(old) or is_binary(new):
        return None
    return old, new


@functools.lru_cache(4096)
def _language(path: bytes) -> str:
    return detect(path, b"")
