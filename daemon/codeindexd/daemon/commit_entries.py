"""Commits as JSON, alike in all answers about a history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from codeindexd.analysis.history.record import Commit, Person
from codeindexd.quantities import quantity

Entry = dict[str, Any]
_SHORT_ID_CHARS = 10
_CYCLE_S = 146_097 * 86_400  # 400 years
_LATEST = 67_767_976_233_532_799  # in the year 2,147,483,647, after which git prints the epoch


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


def unfinished_note(known: int, total: int) -> str:
    """Return what is said of a history of which ``known`` of ``total`` commits are indexed; 0 if nobody counted yet."""
    if not total:
        return "the history is not read yet: no commit was looked at"
    return f"the history is still being indexed: {known:,} of {quantity(total, 'commit')}"


def date_of(seconds: int, offset_minutes: int) -> str:
    """Return a time as ISO 8601 with its offset from UTC; in UTC if the offset is impossible.

    As with ``git log --format=%aI``, a year may have more than four digits, and a time beyond that is the epoch.
    """
    try:
        zone = timezone(timedelta(minutes=offset_minutes))
    except ValueError:
        zone = UTC
    if abs(seconds) > _LATEST:
        seconds, zone = 0, UTC
    cycles = max(0, (seconds - _CYCLE_S) // _CYCLE_S)  # datetime ends with the year 9999
    shown = datetime.fromtimestamp(seconds - cycles * _CYCLE_S, zone)
    return f"{shown.year + 400 * cycles:04}{shown.isoformat()[4:]}"


def _person(person: Person) -> Entry:
    return {"name": person.name, "email": person.email}
