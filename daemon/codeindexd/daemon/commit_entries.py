"""Commits as JSON, alike in all answers about a history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from codeindexd.analysis.history.record import Commit, Person

Entry = dict[str, Any]
_SHORT_ID_CHARS = 10


def commit_entry(commit: Commit, *, short_id: str = "") -> Entry:
    """Return a commit without its changes. ``short_id`` is the unambiguous beginning of its id, if that is known."""
    identity = commit.id.hex()
    return {
        "id": identity,
        "short_id": short_id or identity[:_SHORT_ID_CHARS],
        "parents": [parent.hex() for parent in commit.parents],
        "author": _person(commit.author),
        "date": date_of(commit.author_time, commit.author_offset),
        "committer": _person(commit.committer),
        "commit_date": date_of(commit.commit_time, commit.commit_offset),
        "subject": commit.subject,
        "body": commit.body,
        "trailers": [list(trailer) for trailer in commit.trailers],
        "references": commit.references,
    }


def date_of(seconds: int, offset_minutes: int) -> str:
    """Return a time as ISO 8601 with its offset from UTC; in UTC if the offset is impossible."""
    try:
        zone = timezone(timedelta(minutes=offset_minutes))
    except ValueError:
        zone = UTC
    try:
        return datetime.fromtimestamp(seconds, zone).isoformat()
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC).isoformat()


def _person(person: Person) -> Entry:
    return {"name": person.name, "email": person.email}
