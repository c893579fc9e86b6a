"""Rule files whose changes send no event of the root, and the detection of such changes.

The files may lie anywhere, even in directories that do not exist yet, behind links, or on a network file system. So
events are not relied on: a scan records what it read, and that is compared with the present files, by stat if an equal
stat proves equal content, else by content.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from xxhash import xxh3_128_digest

from codeindexd.errors import EXHAUSTED
from codeindexd.scan.safe_read import file_stat, is_settled
from codeindexd.types import FileStat

MOST_BYTES = 8 << 20
INDEX = b".git/index"
"""The hint for a changed index of a repository: this path below the top of the work tree, wherever the index is."""

_COVERED_BY_EVENTS = frozenset({".git", "HEAD", "commondir", "config", "config.worktree", "exclude"})


class _RuleFile(Struct, frozen=True):
    """A file that was read: with which ``limit`` in bytes, and whether links are followed.

    With a limit of 0, only whether it can be read matters. A change hints the path ``hint`` (relative to the root; b""
    is the root). If a hint is given, only the stat is compared: the file's writers replace it.
    """

    path: str
    limit: int
    follow: bool
    hint: bytes = b""


class _State(Struct, frozen=True):
    """A file's state: the hash of its content (None if unreadable), and its stat if an equal one proves no change."""

    stat: FileStat | None = None
    digest: bytes | None = None


class RuleFiles:
    """Rule files and their state when they were read. Immutable."""

    def __init__(self, states: Mapping[_RuleFile, _State] | None = None) -> None:
        self._states = dict(states or {})

    @property
    def paths(self) -> frozenset[str]:
        """The absolute paths of files that can contain rules, existing or not; no indexes and ``.git`` files."""
        return frozenset(file.path for file in self._states if file.limit and not file.path.endswith("/.git"))

    def now(self) -> RuleFiles:
        """Return the same files in their present state; blocking.

        Raises OSError if the process has no free file descriptor.
        """
        now_ns = time.time_ns()
        return RuleFiles({file: _read_state(file, state, now_ns)[0] for file, state in self._states.items()})

    def changed_from(self, others: RuleFiles) -> set[bytes]:
        """Return the hints of all files that are in both and whose content differs."""
        return {
            file.hint
            for file, state in self._states.items()
            if (other := others._states.get(file, state)) is not state and other.digest != state.digest
        }

    def seem_unchanged(self, stat_of: StatOf) -> bool:
        """Return False if a file may have changed, judged by stats alone; compare with :meth:`now` to be sure."""
        return all(
            (state.stat is not None or state.digest is None) and stat_of(file.path, follow=file.follow) == state.stat
            for file, state in self._states.items()
        )

    def with_missing_from(self, others: RuleFiles) -> RuleFiles:
        """Return these files plus the files that only ``others`` has."""
        return self if others._states.keys() <= self._states.keys() else RuleFiles(others._states | self._states)


class StatOf(Protocol):
    """Returns the stat of a file, or None if it cannot be read."""

    def __call__(self, path: str, *, follow: bool) -> FileStat | None:
        """Return the stat of ``path``; with ``follow``, that of a link's target."""


class ReadRuleFile(Protocol):
    """A function like :func:`read_bounded`, for files that affect what is ignored."""

    def __call__(
        self,
        path: Path,
        limit: int = MOST_BYTES,
        *,
        within: Path | None = None,
        follow: bool = True,
        hint: bytes = b"",
    ) -> bytes | None:
        """Return the content of ``path``, as :func:`read_bounded`."""


class RuleFileRecorder:
    """Reads rule files for one scan of ``root``, and records those outside the reach of its events. Not thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root).rstrip("/") + "/"
        self._states: dict[_RuleFile, _State] = {}

    @property
    def files(self) -> RuleFiles:
        """The files read so far, each in the state of its first read, so that any later change is noticed."""
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
        """Return the content of ``path``, as :func:`read_bounded`, and record the file."""
        file = _RuleFile(os.fspath(path), 0 if hint else limit, follow, hint)
        if file in self._states or _is_covered_by_events(file.path, self._root):
            return read_bounded(path, limit, within=within, follow=follow, hint=hint)
        self._states[file], content = _read_state(file, None, time.time_ns())
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

    With ``within``, the file must lie below that directory after all links are resolved; without ``follow``, it must
    not be a link. With ``hint``, nothing is read and None is returned: only a :class:`RuleFileRecorder` uses it, to
    have changes of the file noticed. Raises OSError if the process has no free file descriptor.
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
    """Return True if the open file with this ``status`` lies below ``directory`` once all links are resolved.

    ``path`` is the path through which it was opened.
    """
    real = Path(os.path.realpath(path))
    return real.is_relative_to(os.path.realpath(directory)) and os.path.samestat(real.lstat(), status)


def _read_state(file: _RuleFile, before: _State | None, now_ns: int) -> tuple[_State, bytes | None]:
    """Return the file's state and its content; the latter is None if nothing changed since ``before``.

    ``now_ns`` must not be later than the start of the call. The stat is read before the content, so that a write in
    between changes the next stat.
    """
    try:
        found = file_stat(os.stat(file.path, follow_symlinks=file.follow))  # noqa: PTH116 - making a Path costs too much
    except (OSError, ValueError):
        return _State(), None
    if before is not None and before.stat == found:
        return before, None
    if file.hint:
        return _State(found, xxh3_128_digest(repr(found).encode())), None
    content = read_bounded(Path(file.path), file.limit, follow=file.follow)
    settled = found if is_settled(found, now_ns) else None
    return _State(settled, xxh3_128_digest(content) if content is not None else None), content


def _is_covered_by_events(path: str, root: str) -> bool:
    """Return True if the watcher reports changes of the file ``path``.

    These are git's own files below ``root`` (which ends in a slash) whose path contains no link.
    """
    directory, _, name = path.rpartition("/")
    if name == "index" and directory.endswith("/.git") and path.startswith(root):
        return not Path(directory).is_symlink() and os.path.realpath(directory) == directory
    if name not in _COVERED_BY_EVENTS or not path.startswith(root):
        return False
    real = f"{os.path.realpath(directory)}/{name}"
    parts = real.removeprefix(root).split("/")
    return real.startswith(root) and ".git" in parts and not ("worktrees" in parts and name == "config.worktree")
