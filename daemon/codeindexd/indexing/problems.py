"""The problems of a root, by cause. Each is reported once, and cleared when it has ended."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator

from msgspec import Struct

from codeindexd.errors import CodeindexError


class ProblemKey(enum.StrEnum):
    """The cause of a problem; a root has at most one problem of each."""

    CATCH_UP = "catch_up"  # a projection lags behind the catalog
    CONFIG = "config"  # the root's own configuration file
    EMBEDDER = "embedder"
    MAINTENANCE = "maintenance"
    SCAN = "scan"
    STORE = "store"
    UNREADABLE = "unreadable"  # files or directories below the root
    WATCH = "watch"
    WORKERS = "workers"


class RootProblem(Struct, frozen=True):
    """A message about a problem of a root, and a hint what its user can do about it."""

    message: str
    hint: str

    @classmethod
    def from_error(cls, error: CodeindexError) -> RootProblem:
        """Return a problem with the message and the hint of ``error``."""
        return cls(error.message, error.hint)


class RootProblems:
    """The present problems of one root.

    ``on_change(key, problem)`` is called when a problem begins or its message changes, and with None when it has ended.
    """

    def __init__(self, on_change: Callable[[ProblemKey, RootProblem | None], None]) -> None:
        self._by_key: dict[ProblemKey, RootProblem] = {}
        self._on_change = on_change

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[RootProblem]:
        return iter(list(self._by_key.values()))

    def __contains__(self, key: ProblemKey) -> bool:
        return key in self._by_key

    def get(self, key: ProblemKey) -> RootProblem | None:
        """Return the problem of ``key``, or None."""
        return self._by_key.get(key)

    def set(self, key: ProblemKey, problem: RootProblem) -> None:
        """Record the problem of ``key``, replacing an earlier one."""
        before = self._by_key.get(key)
        self._by_key[key] = problem
        if before is None or before.message != problem.message:
            self._on_change(key, problem)

    def clear(self, key: ProblemKey) -> None:
        """Remove the problem of ``key``, if there is one."""
        if self._by_key.pop(key, None) is not None:
            self._on_change(key, None)

    def replace(self, key: ProblemKey, problem: RootProblem | None) -> None:
        """Record ``problem``, or clear ``key`` if it is None."""
        if problem is None:
            self.clear(key)
        else:
            self.set(key, problem)
