"""Answers questions about lines in a worker: from which commits they come, and which commits changed them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from codeindexd.analysis import secrets
from codeindexd.analysis.history.blame import blame
from codeindexd.analysis.history.file_versions import FileVersion, FileVersions, VersionsCache
from codeindexd.analysis.history.line_diff import differing_lines
from codeindexd.analysis.history.line_history import commits_of_lines, lines_before
from codeindexd.analysis.history.line_origins import BlamedLines, ChangedLines, Range
from codeindexd.analysis.history.lines import lines_of
from codeindexd.analysis.history.location import GitLocation
from codeindexd.analysis.history.reader import described_commit
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.analysis.history.skipping import CommitGraph, Skips
from codeindexd.analysis.history.working_file import as_stored, committed_versions, ignored_commits
from codeindexd.errors import UsageError
from codeindexd.indexing.line_questions import MOST_TEXT_LINES, LineAnswer, LineQuestion
from codeindexd.quantities import quantity
from codeindexd.scan.safe_read import NO_SUCH_FILE, read_beneath

MOST_FILE_BYTES = 8 << 20
BUDGET_S = 15.0
"""After so many seconds a question is given up; below the time after which a worker is replaced."""

_BINARY_PREFIX = 8000
_MOST_LINE_CHARS = 1000
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def answer(
    question: LineQuestion,
    repository: GitRepository,
    graph: CommitGraph | None,
    *,
    cache: VersionsCache | None = None,
    mask_secrets: bool,
) -> LineAnswer:
    """Answer a question about lines. It takes less time with the ``graph`` of commits, and a ``cache``. Blocking.

    Raises UsageError if there are no such lines, MissingObjectError, and FailedError.
    """
    located = repository.location
    location = GitLocation(located.git_dir, located.common_dir, Path(os.fsdecode(question.top)))
    path = question.tracked_as
    versions = FileVersions(repository, Skips(graph) if graph is not None else None, cache=cache, budget_s=BUDGET_S)
    raw = _content(question)
    head = repository.heads.head
    committed = committed_versions(versions, location, head, path, raw) if head else []
    data = _stored_content(question, raw, [versions.data(version.blob) for version in committed])
    line_count = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    for line in (question.first, question.changed_first):
        if line > line_count:
            raise UsageError(
                f"{_shown(question.path)} has no line {line:,}", hint=f"the file has {quantity(line_count, 'line')}"
            )
    ignored = ignored_commits(location)
    origins: list[BlamedLines] = []
    if question.first:
        first, last = question.first, max(question.first, question.last)
        origins = blame(versions, path, data, committed, first=first, last=last, ignored=ignored)
    changes: list[ChangedLines] = []
    if question.changed_first:
        earlier = _earlier(_changes(versions, data, committed, question), versions, origins)
        changes = list(islice(earlier, question.limit + 1))
    has_more = len(changes) > question.limit
    del changes[question.limit :]
    ids = [lines.commit for lines in origins if lines.commit is not None] + [change.commit for change in changes]
    commits = [described_commit(repository, commit_id, mask_secrets=mask_secrets) for commit_id in dict.fromkeys(ids)]
    boundary = [commit.id for commit in commits if repository.is_boundary(commit.id)]
    return LineAnswer(
        line_count,
        text=_text(question, data, mask_secrets=mask_secrets),
        origins=origins,
        changes=changes,
        commits=commits,
        boundary=boundary,
        has_more=has_more,
        ignored=len(ignored) if question.first else 0,
    )


def _stored_content(question: LineQuestion, raw: bytes, contents: list[bytes]) -> bytes:
    """Return the content of the file as git would store it. Raises UsageError if Git LFS keeps it.

    ``raw`` is its content in the work tree, ``contents`` are those of its committed versions.
    """
    if any(map(_is_pointer, contents)) and not _is_pointer(raw):
        raise UsageError(
            f"{_shown(question.path)} is kept in Git LFS, so its lines have no history",
            hint="for its commits: codeindex history PATH",
        )
    return as_stored(raw, contents)


def _changes(
    versions: FileVersions, data: bytes, committed: Iterable[FileVersion], question: LineQuestion
) -> Iterable[ChangedLines]:
    """Yield the commits that changed the lines of the content ``data`` whose changes are asked for."""
    lines: Range = (question.changed_first - 1, max(question.changed_first, question.changed_last))
    starts = []
    for version in committed:
        hunks = differing_lines(versions.data(version.blob), data, ignore_whitespace=True)
        starts.append((version, lines_before([lines], hunks)[0]))
    return commits_of_lines(versions, starts)


def _earlier(
    changes: Iterable[ChangedLines], versions: FileVersions, origins: Sequence[BlamedLines]
) -> Iterator[ChangedLines]:
    """Yield the changes that are older than the newest origin of lines, and none that is an origin itself."""
    known = {lines.commit for lines in origins if lines.commit is not None}
    newest = max((versions.commit_time(commit) for commit in known), default=None)
    for change in changes:
        if change.commit not in known and (newest is None or versions.commit_time(change.commit) <= newest):
            yield change


def _text(question: LineQuestion, data: bytes, *, mask_secrets: bool) -> list[str]:
    first, last = question.first, max(question.first, question.last)
    lines = lines_of(secrets.mask(data) if mask_secrets else data)[first - 1 : last] if first else []
    if len(lines) > MOST_TEXT_LINES:
        return []
    return [line.decode("utf-8", "replace").rstrip("\r\n")[:_MOST_LINE_CHARS] for line in lines]


def _content(question: LineQuestion) -> bytes:
    """Return the content of the file in the work tree. Raises UsageError if it has no lines."""
    shown = _shown(question.path)
    try:
        data = read_beneath(question.root, question.path, max_bytes=MOST_FILE_BYTES).data
    except OSError as error:
        if error.errno in NO_SUCH_FILE:
            raise _without_lines(question) from error
        raise UsageError(f"{shown} cannot be read: {error.strerror}", hint="check its permissions") from error
    if len(data) > MOST_FILE_BYTES:
        raise UsageError(f"{shown} is larger than {MOST_FILE_BYTES >> 20} MB", hint="ask git: git blame PATH")
    if b"\0" in data[:_BINARY_PREFIX]:
        raise UsageError(f"{shown} is binary, so it has no lines", hint="for its commits: codeindex history PATH")
    return data


def _without_lines(question: LineQuestion) -> UsageError:
    """Return the error for a path that is not a regular file."""
    shown = _shown(question.path)
    place = Path(os.fsdecode(question.root)) / os.fsdecode(question.path)
    if place.is_symlink():
        return UsageError(f"{shown} is a symbolic link", hint="ask about the file that it leads to")
    if place.is_dir():
        return UsageError(f"{shown or 'this'} is a directory", hint="give the path of a file")
    if place.exists():
        return UsageError(f"{shown} is not a regular file", hint="give the path of a file")
    return UsageError(
        f"there is no file {shown}", hint=f"for the commits that changed it: codeindex history {shlex.quote(shown)}"
    )


def _is_pointer(data: bytes) -> bool:
    return data.startswith(_LFS_POINTER)


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "replace")
