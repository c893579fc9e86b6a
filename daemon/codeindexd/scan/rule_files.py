"""Rule files that no event of the root covers, and whether they changed.

They may lie anywhere, appear where there was not even a directory, be reached through links, or be on a network file
system. So events are not relied on: a scan records what it read, and that is compared with what is there now, by stat
where a stat can be trusted and by content elsewhere.
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
INDEX = b".git/index"
"""What a change of a repository's index hints, below the top of its work tree, wherever the index itself is."""

_COVERED_BY_EVENTS = frozenset({".git", "HEAD", "commondir", "config", "config.worktree", "exclude"})


@dataclass(frozen=True, slots=True)
class _Place:
    """A file that was read, and how; with a limit of 0 only whether it can be read matters.

    A change hints the path ``hint`` below the root. Of a file with a hint other than the root, only the stat counts:
    its writers replace it.
    """

    path: str
    limit: int
    follow: bool
    hint: bytes = b""


@dataclass(frozen=True, slots=True)
class _State:
    """The hash of a file's content, None if unreadable; ``stat`` is set only if an equal one proves equal content."""

    stat: FileStat | None = None
    digest: bytes | None = None


class RuleFiles:
    """Rule files and their state when they were read. Immutable."""

    def __init__(self, states: Mapping[_Place, _State] | None = None) -> None:
        self._states = dict(states or {})

    @property
    def paths(self) -> frozenset[str]:
        """The files that can hold rules, existing or not, without those that only locate a repository, and indexes."""
        return frozenset(place.path for place in self._states if place.limit and not place.path.endswith("/.git"))

    def now(self) -> RuleFiles:
        """Return the same files as they are now; blocking. Raises OSError if this process can open no files now."""
        now_ns = time.time_ns()
        return RuleFiles({place: _look(place, state, now_ns)[0] for place, state in self._states.items()})

    def agree_with(self, others: RuleFiles) -> bool:
        """Return True if every file that both know has the same content."""
        return not self.changed_from(others)

    def changed_from(self, others: RuleFiles) -> set[bytes]:
        """Return what to look at below the root because a file that both know has another content."""
        return {
            place.hint
            for place, state in self._states.items()
            if (other := others._states.get(place, state)) is not state and other.digest != state.digest
        }

    def seem_unchanged(self, stat_of: StatOf) -> bool:
        """Return False if a file may have changed; :meth:`now` then tells. Opens no file."""
        return all(
            (state.stat is not None or state.digest is None) and stat_of(place.path, follow=place.follow) == state.stat
            for place, state in self._states.items()
        )

    def completed(self, others: RuleFiles) -> RuleFiles:
        """Return these files, and those of ``others`` that are not among them."""
        return self if others._states.keys() <= self._states.keys() else RuleFiles(others._states | self._states)


class StatOf(Protocol):
    """Returns the stat of a file, None if it has none."""

    def __call__(self, path: str, *, follow: bool) -> FileStat | None:
        """Return the stat of ``path``, with ``follow`` of what a link leads to."""


class ReadRuleFile(Protocol):
    """Reads a file that affects what is ignored, as :func:`read_bounded` does."""

    def __call__(
        self,
        path: Path,
        limit: int = MOST_BYTES,
        *,
        within: Path | None = None,
        follow: bool = True,
        hint: bytes = b"",
    ) -> bytes | None:
        """Read as :func:`read_bounded`."""


class RuleFileRecorder:
    """Reads rule files for one scan of ``root`` and records those that no event of the root covers; one thread."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root).rstrip("/") + "/"
        self._states: dict[_Place, _State] = {}

    @property
    def files(self) -> RuleFiles:
        """The files read so far, each as it was when first read, so that a later change shows."""
        return RuleFiles(self._states)

    def read(
        self,
        path: Path,
        limit: int = MOST_BYTES,
        *,
        within: Path | None = None,
        follow: bool = True,
        hint: bytes = b"",
    ) -> bytes | None:
        """Read as :func:`read_bounded`, and record the file."""
        place = _Place(os.fspath(path), 0 if hint else limit, follow, hint)
        if place in self._states or _is_covered_by_events(place.path, self._root):
            return read_bounded(path, limit, within=within, follow=follow, hint=hint)
        self._states[place], content = _look(place, None, time.time_ns())
        return content if within is None else read_bounded(path, limit, within=within, follow=follow)


def read_bounded(
    path: Path,
    limit: int = MOST_BYTES,
    *,
    within: Path | None = None,
    follow: bool = True,
    hint: bytes = b"",
) -> bytes | None:
    """Return the content of a regular file, at most ``limit`` bytes; None if it cannot be read.

    With ``within``, the file must lie below that directory after following links; without ``follow``, it must not be a
    link. With ``hint`` it is not read: a recorder only follows its changes, each of which hints that path. Raises
    OSError if this process can open no files now.
    """
    if hint:
        return None
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
    """Return True if the file opened through ``path`` lies below ``directory`` with every link resolved."""
    real = Path(os.path.realpath(path))
    return real.is_relative_to(os.path.realpath(directory)) and os.path.samestat(real.lstat(), status)


def _look(place: _Place, before: _State | None, now_ns: int) -> tuple[_State, bytes | None]:
    """Return the file's state, and its content unless it is as ``before``; ``now_ns`` is not after this call's start.

    The stat is older than the content, so that a write in between changes the next stat.
    """
    try:
        found = file_stat(os.stat(place.path, follow_symlinks=place.follow))  # noqa: PTH116 - a Path per look costs too much
    except (OSError, ValueError):
        return _State(), None
    if before is not None and before.stat == found:
        return before, None
    if place.hint:
        return _State(found, xxh3_128_digest(repr(found).encode())), None
    content = read_bounded(Path(place.path), place.limit, follow=place.follow)
    settled = found if is_settled(found, now_ns) else None
    return _State(settled, xxh3_128_digest(content) if content is not None else None), content


def _is_covered_by_events(path: str, root: str) -> bool:
    """Return True for git's own files below ``root`` (ending in a slash) without a link on the way.

    The watcher reports changes of those.
    """
    directory, _, name = path.rpartition("/")
    if name == "index" and directory.endswith("/.git") and path.startswith(root):
        return not Path(directory).is_symlink() and os.path.realpath(directory) == directory
    if name not in _COVERED_BY_EVENTS or not path.startswith(root):
        return False
    real = f"{os.path.realpath(directory)}/{name}"
    parts = real.removeprefix(root).split("/")
    return real.startswith(root) and ".git" in parts and not ("worktrees" in parts and name == "config.worktree")
