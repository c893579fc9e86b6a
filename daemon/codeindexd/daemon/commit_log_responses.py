"""Builds the JSON entries of commits found by ``history.log``, and of the last commits of search hits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from codeindexd.analysis.history.record import Change
from codeindexd.daemon.commit_entries import commit_entry, date_of, unfinished_note
from codeindexd.indexing.history import HistoryIndexer
from codeindexd.indexing.history_status import HistoryPhase, HistoryStatus
from codeindexd.protocol.places import path_to_json
from codeindexd.quantities import quantity
from codeindexd.search.history.last_commit import LastCommit
from codeindexd.search.history.log import CommitHit

MOST_CHANGES = 20
"""Changed paths of one commit in an answer."""

_MOST_DEFINITIONS = 20

Entry = dict[str, Any]


def hit_entry(history: HistoryIndexer, hit: CommitHit, prefix: bytes) -> Entry:
    """Return a commit in the result of ``history.log``; its paths are relative to the root, or a repository in it."""
    return {
        **commit_entry(hit.commit, short_id=hit.short_id),
        **path_to_json(os.fsencode(history.path), key="root"),
        "score": hit.score,
        "lines": list(hit.lines),
        "files": len(hit.changes) + hit.commit.changes_left_out,
        "changes": [change_entry(change, prefix) for change in hit.changes[:MOST_CHANGES]],
    }


def change_entry(change: Change, prefix: bytes) -> Entry:
    """Return a changed path, relative to the directory ``prefix``; lines that were not counted are -1."""
    old_path = path_to_json(change.old_path.removeprefix(prefix), key="old_path") if change.old_path else {}
    return {
        **path_to_json(change.path.removeprefix(prefix)),
        "kind": change.kind.value,
        "added": change.added,
        "removed": change.removed,
        **old_path,
        "definitions": list(change.definitions[:_MOST_DEFINITIONS]),
    }


def last_commit_entry(found: LastCommit) -> Entry:
    """Return the last commit of a search hit."""
    commit = found.commit
    return {
        "id": commit.id.hex(),
        "short_id": found.short_id,
        "date": date_of(commit.author_time, commit.author_offset),
        "author": commit.author.name,
        "subject": commit.subject,
        "of": "definition" if found.of_definition else "file",
    }


def notes_on(histories: Sequence[HistoryIndexer]) -> list[str]:
    """Return what some histories lack, as sentences for users."""
    return [
        f"{history.path}: {note}" if len(histories) > 1 else note
        for history in histories
        for note in _notes(history.status())
    ]


def _notes(status: HistoryStatus) -> list[str]:
    notes = []
    if status.phase is HistoryPhase.INDEXING:
        notes.append(unfinished_note(status.commits, status.total))
    if status.is_truncated:
        notes.append(f"only the newest {status.total:,} commits are indexed (history.max_commits)")
    if status.is_shallow:
        notes.append("the repository is a shallow clone: older commits were not fetched (git fetch --unshallow)")
    if status.missing:
        notes.append("the repository lacks commits that it refers to, and what is before them (git fsck)")
    if status.unreadable:
        notes.append(
            f"{quantity(status.unreadable, 'commit')} cannot be read: objects are missing, as in a partial clone, "
            "or damaged (git fsck; git fetch --refetch)"
        )
    if status.reason and status.phase is not HistoryPhase.UNAVAILABLE:
        notes.append(f"the history may be behind: {status.reason}")
    return notes
