"""Says how long ago something was."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = (
    ("year", 31_557_600),
    ("month", 2_629_800),
    ("week", 604_800),
    ("day", 86_400),
    ("hour", 3600),
    ("minute", 60),
)


def age_of(date: str, now: datetime | None = None) -> str:
    """Return how long ago a date in ISO 8601 was, in the largest unit of which there are at least two.

    ``now`` is the present time, for tests.
    """
    try:
        seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(date)).total_seconds()
    except ValueError:  # a year of more than four digits, as git prints it
        return "just now"
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}s ago"
    return "just now"
