"""What the ignore rules of a root rest on where no event of the root tells of it: its files, and whether they changed.

They may lie anywhere, appear where there was not even a directory, be reached through links, or be on a network file
system. So nobody relies on events: a scan notes what it read, and that is compared with what is there now, by stat
where a stat can be trusted and by content where not.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from xxhash import xxh3_128_digest

from codeindexd.errors import EXHAUSTED
from codeindexd.scan.safe_read import file_stat, is_settled
from codeindexd.types import FileStat

MOST_BYTES = 8 << 20
_TOLD_BY_EVENTS = frozenset({".git", "HEAD", "commondir", "config", "config.worktree", "exclude"})


@dataclass(frozen=True, slots=True)
class _Place:
    """A file that was asked for, and how; with a limit of 0 only whether it can be read matters."""

    path: str
    limit: int
    follow: bool


@dataclass(frozen=True, slots=True)
class _State:
    """The hash of a file's content, None when it cannot be had; ``stat`` only when an equal one proves the same."""

    stat: FileStat | None = None
    digest: bytes | None = None


class RuleFiles:
    """Files and how they were found when their rules were read. Immutable."""

    def __init__(self, states: Mapping[_Place, _State] | None = None) -> None:
        self._states = dict(states or {})

    @property
    def paths(self) -> frozenset[str]:
        """Those with rules in them, whether they exist or not: without what only says where a repository is."""
        return frozenset(place.path for place in self._states if place.limit and not place.path.endswith("/.git"))

    def now(self) -> RuleFiles:
        """The same files as they are now; blocking. Raises OSError when this process can open nothing at all now."""
        now_ns = time.time_ns()
        return RuleFiles({place: _look(place, state, now_ns)[0] for place, state in self._states.items()})

    def agree_with(self, others: RuleFiles) -> bool:
        """Whether no file that both know has another content."""
        return all(
            other.digest == state.digest
            for place, state in self._states.items()
            if (other := others._states.get(place, state)) is not state
        )

    def completed(self, others: RuleFiles) -> RuleFiles:
        """These, and of ``others`` those that are not among them."""
        return self if others._states.keys() <= self._states.keys() else RuleFiles(others._states | self._states)


class ReadRuleFile(Protocol):
    """Reads a file that has a say in what is ignored; :func:`read_bounded`, or what notes that besides."""

    def __call__(
        self, path: Path, limit: int = MOST_BYTES, *, within: Path | None = None, follow: bool = True
    ) -> bytes | None:
        """As :func:`read_bounded`."""


class RuleFileRecorder:
    """Reads for one scan of ``root`` and notes what no event of the root would tell of; one thread."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root).rstrip("/") + "/"
        self._states: dict[_Place, _State] = {}

    @property
    def files(self) -> RuleFiles:
        """What was read so far. Of a file that was read several times, as it was at first: then a change shows."""
        return RuleFiles(self._states)

    def read(
        self, path: Path, limit: int = MOST_BYTES, *, within: Path | None = None, follow: bool = True
    ) -> bytes | None:
        """As :func:`read_bounded`."""
        place = _Place(os.fspath(path), limit, follow)
        if place in self._states or _is_told_by_events(place.path, self._root):
            return read_bounded(path, limit, within=within, follow=follow)
        self._states[place], content = _look(place, None, time.time_ns())
        return content if within is None else read_bounded(path, limit, within=within, follow=follow)


def read_bounded(
    path: Path, limit: int = MOST_BYTES, *, within: Path | None = None, follow: bool = True
) -> bytes | None:
    """The content of a regular file, at most ``limit`` bytes; None when it cannot be had.

    With ``within`` it is only had when it lies below that directory, links followed; without ``follow`` not when it is
    a link. Raises OSError when this process can open nothing at all now.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            raise
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (within is not None and not _lies_below(within, path, status)):
            return None
        return os.read(descriptor, limit)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _lies_below(directory: Path, path: Path, status: os.stat_result) -> bool:
    """Whether the file opened through ``path`` is the one that is there with every link on the way resolved."""
    real = Path(os.path.realpath(path))
    return real.is_relative_to(os.path.realpath(directory)) and os.path.samestat(real.lstat(), status)


def _look(place: _Place, before: _State | None, now_ns: int) -> tuple[_State, bytes | None]:
    """How the file is now, and its content unless it is as ``before``; ``now_ns`` is not after the start of this call.

    The stat is older than the content, so that what is written in between shows in the next one.
    """
    try:
        found = file_stat(os.stat(place.path, follow_symlinks=place.follow))  # noqa: PTH116 - no Path a look
    except (OSError, ValueError):
        return _State(), None
    if before is not None and before.stat == found:
        return before, None
    content = read_bounded(Path(place.path), place.limit, follow=place.follow)
    settled = found if is_settled(found, now_ns) else None
    return _State(settled, xxh3_128_digest(content) if content is not None else None), content


def _is_told_by_events(path: str, root: str) -> bool:
    """Whether it is one of git's own files below the root, with no link on the way: the watcher knows those.

    ``root`` ends with a slash.
    """
    directory, _, name = path.rpartition("/")
    if name not in _TOLD_BY_EVENTS or not path.startswith(root):
        return False
    real = f"{os.path.realpath(directory)}/{name}"
    parts = real.removeprefix(root).split("/")
    return real.startswith(root) and ".git" in parts and not ("worktrees" in parts and name == "config.worktree")
