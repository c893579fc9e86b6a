"""What is known of a root's history: its settings, what it is doing and how far it is, and the result of a check."""

from __future__ import annotations

import enum

from msgspec import Struct


class HistoryPhase(enum.StrEnum):
    """What a root's history is doing."""

    OFF = "off"  # by configuration
    WAITING = "waiting"  # for the code to be indexed first
    INDEXING = "indexing"
    COMPLETE = "complete"
    UNAVAILABLE = "unavailable"  # no repository, or one that cannot be read


class HistorySettings(Struct, frozen=True):
    """The part of the configuration that histories need."""

    enabled: bool
    max_commits: int
    branches: tuple[str, ...]


class HistoryStatus(Struct, frozen=True):
    """The status of a root's history: ``commits`` of ``total`` are known; ``reason`` and ``hint`` say why not.

    - ``is_truncated``: commits older than the newest ``history.max_commits`` are left out.
    - ``is_shallow``: older commits were not fetched. ``missing``, ``unreadable``: commits that the repository lacks,
      or cannot deliver.
    """

    phase: HistoryPhase
    commits: int = 0
    total: int = 0
    branch: str = ""
    is_truncated: bool = False
    is_shallow: bool = False
    missing: int = 0
    unreadable: int = 0
    reason: str = ""
    hint: str = ""


class HistoryCheck(Struct, frozen=True):
    """The result of comparing a history with its repository; ``note`` says why it was not compared."""

    commits: int
    differences: tuple[str, ...]
    note: str = ""
