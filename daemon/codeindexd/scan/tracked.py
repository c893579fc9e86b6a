"""What git tracks in the repositories of a root, and which paths depend on it.

A file that an ignore rule of git matches is indexed if git tracks it. git rewrites its index at nearly every command,
mostly to refresh stats; so a scan notes which paths the index decided about, and a changed index leads to a look at
those whose answer changed, and at nothing else.
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
from dataclasses import dataclass, field
from pathlib import Path

import structlog
import xxhash

from codeindexd.errors import EXHAUSTED
from codeindexd.scan.git_index import IndexFormatError, read_index
from codeindexd.scan.ignore import Verdict
from codeindexd.scan.safe_read import file_stat, is_settled
from codeindexd.types import FileStat

log = structlog.get_logger(__name__)
_MOST_INDEX_BYTES = 128 << 20
_MOST_KEPT_PATHS = 4 << 20
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class _Hashes:
    """Paths as sorted hashes of 64 bits, behind a filter that answers nearly every negative question at once."""

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
    """The tracked files and the directories they are in, relative to the work tree: some 20 bytes a path."""

    __slots__ = ("directories", "files")

    def __init__(self, files: Iterable[bytes] = (), directories: Iterable[bytes] = ()) -> None:
        self.files = _Hashes(files)
        self.directories = _Hashes(directories)

    def __len__(self) -> int:
        return len(self.files) + len(self.directories)


_NONE = TrackedSet()


@dataclass(frozen=True, slots=True)
class _Known:
    """An index that was read: ``stat`` is set if an equal one proves equal content, which ``digest`` does anyway."""

    stat: FileStat | None
    digest: bytes
    tracked: TrackedSet


class _Cache:
    """The sets of the indexes read last, as long as their files stay the same; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def get(self, git_dir: Path, hash_bytes: Callable[[], int]) -> TrackedSet:
        """Return what the index in ``git_dir`` tracks: nothing if it is missing or broken.

        Raises OSError if this process can open no files now.
        """
        path, now_ns = os.fspath(git_dir / "index"), time.time_ns()
        try:
            found = file_stat(os.stat(path))  # noqa: PTH116 - a Path per look costs too much
            with self._lock:
                known = self._known.get(path)
            if known is None or known.stat != found:
                data = _read(Path(path))
                digest = xxhash.xxh3_128_digest(data)
                same = known is not None and known.digest == digest
                tracked = known.tracked if known is not None and same else _parsed(data, git_dir, hash_bytes())
                known = _Known(found if is_settled(found, now_ns) else None, digest, tracked)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in EXHAUSTED:
                raise
            return _NONE
        self._keep(path, known)
        return known.tracked

    def _keep(self, path: str, known: _Known) -> None:
        with self._lock:
            self._known[path] = known
            self._known.move_to_end(path)
            while len(self._known) > 1 and sum(len(one.tracked) for one in self._known.values()) > _MOST_KEPT_PATHS:
                self._known.popitem(last=False)


_CACHE = _Cache()


def _parsed(data: bytes, git_dir: Path, hash_bytes: int) -> TrackedSet:
    """Return what an index tracks: nothing if it is broken. Raises OSError when a shared index cannot be read."""
    try:
        tracked = read_index(
            data, lambda name: _read(git_dir / f"sharedindex.{os.fsdecode(name)}"), hash_bytes=hash_bytes
        )
    except IndexFormatError as error:
        log.warning("git_index_not_understood", index=os.fspath(git_dir / "index"), error=str(error))
        return _NONE
    return TrackedSet(tracked.files, tracked.directories)


def _read(path: Path) -> bytes:
    """Return the content of a regular file. Raises OSError, IndexFormatError for anything else."""
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_INDEX_BYTES:
            raise IndexFormatError("no regular file of a sensible size")
        return file.read(_MOST_INDEX_BYTES)


@dataclass(slots=True)
class RepositoryPaths:
    """Paths below a root that one repository's index decided about.

    ``kept`` are files that would be left out if git did not track them, ``entered`` directories that would be if it
    tracked nothing in them, and ``left`` files and directories that would be looked at if it did.
    """

    kept: set[bytes] = field(default_factory=set)
    entered: set[bytes] = field(default_factory=set)
    left: set[bytes] = field(default_factory=set)

    def add(self, others: RepositoryPaths) -> None:
        """Add what a scan of some part found."""
        self.kept -= others.left
        self.entered -= others.left
        self.left -= others.kept | others.entered
        self.kept |= others.kept
        self.entered |= others.entered
        self.left |= others.left


class TrackedFiles:
    """One repository's index in one scan, read when the first question needs it.

    ``top`` is where the repository is for the root: the work tree's top below it, or the root itself (empty) for a
    repository around it, whose paths then begin with ``above``. ``common`` is what its worktrees share. ``paths``
    collects what was asked.
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
        """Return True if git tracks ``path``, or a file in it, that ``verdict`` would leave out."""
        tracked = self._load() if self._tracked is None else self._tracked
        if self._place(path) not in (tracked.directories if is_dir else tracked.files):
            self.paths.left.add(path)
            return False
        if is_dir:
            self._entered[path] = verdict
            self.paths.entered.add(path)
        else:
            self.paths.kept.add(path)
        return True

    def entered(self, directory: bytes) -> Verdict | None:
        """Return what would leave ``directory`` out if it held no tracked files: in it, only those are kept."""
        return self._entered.get(directory)

    def changed(self, before: RepositoryPaths) -> list[bytes]:
        """Return those paths of an earlier scan for which this index decides otherwise."""
        tracked = self._load() if self._tracked is None else self._tracked
        gone = [path for path in before.kept if self._place(path) not in tracked.files]
        gone += [path for path in before.entered if self._place(path) not in tracked.directories]
        new = [
            path
            for path in before.left
            if (place := self._place(path)) in tracked.directories or place in tracked.files
        ]
        return gone + new

    def _load(self) -> TrackedSet:
        self._tracked = _CACHE.get(self._git_dir, self._hash_bytes)
        return self._tracked

    def _place(self, path: bytes) -> bytes:
        """Return a path of the root relative to the top of the work tree."""
        return self._above + path if self._above else path[self._skip :] if self._skip else path
