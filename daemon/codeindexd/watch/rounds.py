"""Checks the environment of all roots in turn, in one thread.

A thread call per root every two seconds took 0.06 % of a core each: a thousand roots would have kept half a core busy.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

import structlog

from codeindexd.scan.safe_read import file_stat
from codeindexd.types import FileStat
from codeindexd.watch import filesystem

log = structlog.get_logger(__name__)
_INTERVAL_S = 2.0
_REST_PER_CPU = 800  # seconds of rest for each second of CPU time that a round took: an eighth of a percent of a core


class Round:
    """The stats that one round reads: each once, however many roots ask for it."""

    def __init__(self) -> None:
        self._stats: dict[tuple[str, bool], FileStat | None] = {}

    def stat(self, path: str, *, follow: bool) -> FileStat | None:
        """Return the part of a file's stat that shows changes; None if there is no such file or it cannot be read."""
        key = path, follow
        if key not in self._stats:
            try:
                self._stats[key] = file_stat(os.stat(path, follow_symlinks=follow))  # noqa: PTH116 - a Path costs more
            except (OSError, ValueError):
                self._stats[key] = None
        return self._stats[key]


class Member(Protocol):
    """One root's environment, as the rounds check it.

    Both methods are called in the thread of the rounds and must not block. RuntimeError means that the member's event
    loop is closed, and removes it.
    """

    def check(self, this_round: Round) -> None:
        """Look for changes, reading stats through ``this_round``, and act on any found."""

    def report_jump(self, reason: str) -> None:
        """Report that the machine slept or its clock was set."""


class Rounds:
    """A thread that runs while there are members. Any thread may call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._members: dict[int, Member] = {}
        self._thread: threading.Thread | None = None

    def join(self, member: Member) -> None:
        """Check ``member`` from now on, every two seconds or more."""
        with self._changed:
            self._members[id(member)] = member
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="environment", daemon=True)
                self._thread.start()

    def leave(self, member: Member) -> None:
        """Stop checking ``member``; a round that has begun may check it once more."""
        with self._changed:
            self._members.pop(id(member), None)
            self._changed.notify_all()

    def _run(self) -> None:
        """Check all members, round after round, until there are none."""
        clocks = filesystem.JumpDetector()
        rest_s = _INTERVAL_S
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._members, rest_s)
                if not self._members:
                    self._thread = None
                    return
                members = list(self._members.values())
            began = time.thread_time()
            jump = clocks.describe_jump()
            this_round = Round()
            for member in members:
                try:
                    if jump:
                        member.report_jump(jump)
                    member.check(this_round)
                except RuntimeError:  # its event loop is closed
                    self.leave(member)
                except Exception:
                    log.exception("environment_check_failed")
            rest_s = max(_INTERVAL_S, (time.thread_time() - began) * _REST_PER_CPU)


SHARED = Rounds()
