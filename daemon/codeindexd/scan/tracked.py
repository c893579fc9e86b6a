"""The files that git tracks in the repositories of a root, and the paths that are indexed or left out because of it.

A file that one of git's ignore rules matches is indexed nevertheless if git tracks it. Nearly every git command
rewrites the index, mostly to refresh stats. So a scan records the paths about which the index decided, and after a
change of the index only those are scanned about which it decides differently.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
import xxhash
from msgspec import Struct, field

from codeindexd.errors import EXHAUSTED
from codeindexd.scan.git_index import IndexFormatError, read_index
from codeindexd.scan.ignore import Verdict
from codeindexd.scan.safe_read import file_stat, is_settled
from codeindexd.types import FileStat

log = structlog.get_logger(__name__)
_MOST_INDEX_BYTES = 128 << 20
_MOST_KEPT_PATHS = 4 << 20
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class _HashedPaths:
    """A set of paths, stored as sorted 64-bit hashes behind a filter that rejects most other paths at once."""

    __slots__ = ("_filter", "_mask", "_sorted")

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._sorted = array("Q", sorted(map(xxhash.xxh3_64_intdigest, paths)))
        self._mask = (1 << max(6, (len(self._sorted) * 8).bit_length())) - 1
        self._filter = bytearray(self._mask + 1)
        for digest in self._sorted:
            self._filter[digest & self._mask] = 1

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, path: bytes) -> bool:
        digest = xxhash.xxh3_64_intdigest(path)
        if not self._filter[digest & self._mask]:
            return False
        at = bisect_left(self._sorted, digest)
        return at < len(self._sorted) and self._sorted[at] == digest


class TrackedSet:
    """The tracked files and all directories above them, relative to the work tree's top; about 20 bytes per path."""

    __slots__ = ("directories", "files")

    def __init__(self, files: Iterable[bytes] = (), directories: Iterable[bytes] = ()) -> None:
        self.files = _HashedPaths(files)
        self.directories = _HashedPaths(directories)

    def __len__(self) -> int:
        return len(self.files) + len(self.directories)


_NONE = TrackedSet()


class _CachedIndex(Struct, frozen=True):
    """An index that was read: its stat (None if an equal one would not prove equal content), its hash, its paths."""

    stat: FileStat | None
    digest: bytes
    tracked: TrackedSet


class _Cache:
    """The parsed indexes used last, up to a total number of paths. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _CachedIndex] = OrderedDict()

    def get(self, git_dir: Path, hash_bytes: Callable[[], int]) -> TrackedSet:
        """Return the paths in the index of ``git_dir``; none if it is missing or broken.

        ``hash_bytes()`` returns the size of object ids. Raises OSError if the process has no free file descriptor.
        """
        path, now_ns = os.fspath(git_dir / "index"), time.time_ns()
        try:
            found = file_stat(os.stat(path))  # noqa: PTH116 - making a Path costs too much
            with self._lock:
                known = self._known.get(path)
            if known is None or known.stat != found:
                data = _read(Path(path))
                digest = xxhash.xxh3_128_digest(data)
                same = known is not None and known.digest == digest
                tracked = known.tracked if known is not None and same else _parsed(data, git_dir, hash_bytes())
                known = _CachedIndex(found if is_settled(found, now_ns) else None, digest, tracked)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in EXHAUSTED:
                raise
            return _NONE
        self._keep(path, known)
        return known.tracked

    def _keep(self, path: str, known: _CachedIndex) -> None:
        with self._lock:
            self._known[path] = known
            self._known.move_to_end(path)
            while len(self._known) > 1 and sum(len(index.tracked) for index in self._known.values()) > _MOST_KEPT_PATHS:
                self._known.popitem(last=False)


_CACHE = _Cache()


def _parsed(data: bytes, git_dir: Path, hash_bytes: int) -> TrackedSet:
    """Return the paths in the index ``data``; none if it is broken. Raises OSError if a shared index cannot be read."""
    try:
        tracked = read_index(
            data, lambda name: _read(git_dir / f"sharedindex.{os.fsdecode(name)}"), hash_bytes=hash_bytes
        )
    except IndexFormatError as error:
        log.warning("git_index_not_understood", index=os.fspath(git_dir / "index"), error=str(error))
        return _NONE
    return TrackedSet(tracked.files, tracked.directories)


def _read(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises OSError, and IndexFormatError if the path is not a regular file or exceeds 128 MiB.
    """
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_INDEX_BYTES:
            raise IndexFormatError("not a regular file, or larger than 128 MiB")
        return file.read(_MOST_INDEX_BYTES)


class RepositoryPaths(Struct):
    """Paths below a root about which one repository's index decided.

    ``kept`` are files that are indexed only because git tracks them, ``entered`` are directories that are walked only
    because git tracks files in them, and ``left_out`` are files and directories that are left out because git does not
    track them, or anything in them.
    """

    kept: set[bytes] = field(default_factory=set)
    entered: set[bytes] = field(default_factory=set)
    left_out: set[bytes] = field(default_factory=set)

    def add(self, others: RepositoryPaths) -> None:
        """Add the paths of a later scan, which override these."""
        self.kept -= others.left_out
        self.entered -= others.left_out
        self.left_out -= others.kept | others.entered
        self.kept |= others.kept
        self.entered |= others.entered
        self.left_out |= others.left_out


class TrackedFiles:
    """One repository's index during one scan, read when it is first needed.

    ``top`` is the top of the work tree relative to the root, b"" if the work tree contains the root. In that case
    ``above`` is the root's path relative to the work tree, ending in a slash (b"" if they are the same). ``common`` is
    the directory that all worktrees share. ``hash_bytes()`` returns the size of object ids. ``paths`` collects the
    paths about which the index decided.
    """

    def __init__(
        self, git_dir: Path, common: Path, hash_bytes: Callable[[], int], *, top: bytes = b"", above: bytes = b""
    ) -> None:
        self.top = top
        self.common = common
        self.paths = RepositoryPaths()
        self._git_dir = git_dir
        self._hash_bytes = hash_bytes
        self._skip = len(top) + 1 if top else 0
        self._above = above
        self._tracked: TrackedSet | None = None
        self._entered: dict[bytes, Verdict] = {}

    def keeps(self, path: bytes, verdict: Verdict, *, is_dir: bool) -> bool:
        """Return True if git tracks ``path`` or a file in it, so that it is kept although ``verdict`` leaves it out.

        Raises OSError if the process has no free file descriptor.
        """
        tracked = self._load() if self._tracked is None else self._tracked
        if self._in_work_tree(path) not in (tracked.directories if is_dir else tracked.files):
            self.paths.left_out.add(path)
            return False
        if is_dir:
            self._entered[path] = verdict
            self.paths.entered.add(path)
        else:
            self.paths.kept.add(path)
        return True

    def overridden_verdict(self, directory: bytes) -> Verdict | None:
        """Return the verdict that :meth:`keeps` overrode for ``directory``, or None.

        It applies to everything in the directory that git does not track.
        """
        return self._entered.get(directory)

    def changed(self, before: RepositoryPaths) -> list[bytes]:
        """Return the paths of an earlier scan about which this index decides differently. Raises as ``keeps``."""
        tracked = self._load() if self._tracked is None else self._tracked
        gone = [path for path in before.kept if self._in_work_tree(path) not in tracked.files]
        gone += [path for path in before.entered if self._in_work_tree(path) not in tracked.directories]
        new = [
            path
            for path in before.left_out
            if (relative := self._in_work_tree(path)) in tracked.directories or relative in tracked.files
        ]
        return gone + new

    def _load(self) -> TrackedSet:
        self._tracked = _CACHE.get(self._git_dir, self._hash_bytes)
        return self._tracked

    def _in_work_tree(self, path: bytes) -> bytes:
        """Return ``path``, which is relative to the root, relative to the top of the work tree."""
        return self._above + path if self._above else path[self._skip :] if self._skip else path
