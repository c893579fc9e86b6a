"""Reads the references of a repository from its files: HEAD, branches, replacements, grafts and the shallow boundary.

Only files are read, no configuration, so a repository cannot lead the reader elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct, field

from codeindexd.analysis.history.location import GitLocation
from codeindexd.errors import NoHistoryError

_ID = re.compile(rb"[0-9a-f]{40}\Z")
_LONG_ID = re.compile(rb"[0-9a-f]{64}\Z")
_DEEPEST = 5  # references that refer to references
_MOST_REFERENCE_BYTES = 4096
_MOST_LISTED = 10_000  # branches and replacements
_BRANCHES = (b"refs/heads/", b"refs/remotes/")
_REPLACE = b"refs/replace/"


class Heads(Struct, frozen=True):
    """The commits from which a history is read, and what changes the parents of commits.

    - ``head``: the commit that is checked out; b"" for a branch without a commit.
    - ``branches``: the other commits asked for, sorted.
    - ``branch``: the name of the branch that is checked out, "" if HEAD is detached.
    - ``shallow``: commits whose parents were not fetched. ``grafts``: other parents of commits. ``replaced``: the
      objects to read instead of others.
    """

    head: bytes
    branches: tuple[bytes, ...] = ()
    branch: str = ""
    shallow: frozenset[bytes] = frozenset()
    grafts: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    replaced: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def tips(self) -> tuple[bytes, ...]:
        """All commits from which the history is read."""
        return tuple(dict.fromkeys([self.head, *self.branches] if self.head else self.branches))


def read_heads(location: GitLocation, branches: Sequence[str] = ()) -> Heads:
    """Return the heads of a repository; ``branches`` are patterns for the names of further branches. Blocking.

    Raises NoHistoryError if the references cannot be read: they are damaged, or in a format that is not supported.
    """
    names = _References(location)
    head, branch = names.head()
    others: set[bytes] = set()
    if branches:
        for prefix in _BRANCHES:
            for name, value in names.below(prefix):
                short = os.fsdecode(name[len(prefix) :])
                if any(fnmatchcase(short, pattern) for pattern in branches):
                    others.add(value)
    replaced = {
        bytes.fromhex(name[len(_REPLACE) :].decode()): value
        for name, value in names.below(_REPLACE)
        if _ID.match(name[len(_REPLACE) :])
    }
    return Heads(
        head,
        tuple(sorted(others - {head})),
        branch,
        shallow=frozenset(_ids_in(location.common_dir / "shallow")),
        grafts=_grafts(location.common_dir / "info" / "grafts"),
        replaced=replaced,
    )


def files_of_heads(location: GitLocation, branches: Sequence[str] = ()) -> list[Path]:
    """Return the files and directories of which one changes whenever :func:`read_heads` would find something else."""
    common = location.common_dir
    found = [location.git_dir / "HEAD", common / "packed-refs", common / "shallow", common / "info" / "grafts"]
    found.append(common / "refs" / "replace")
    target = _target_of(_read(location.git_dir / "HEAD") or b"")
    if target is not None:
        found += [base / os.fsdecode(target) for base in dict.fromkeys((location.git_dir, common))]
    if branches:
        for prefix in _BRANCHES:
            top = common / os.fsdecode(prefix)
            found += [top, *(Path(directory) for directory, _, _ in os.walk(top))]
    return found


def places_of_objects(location: GitLocation) -> list[Path]:
    """Return the files and directories of which one changes when a repository gains objects that it lacked."""
    objects = location.common_dir / "objects"
    alternates = objects / "info" / "alternates"
    found = [objects, objects / "pack", alternates]
    found += [objects / f"{number:02x}" for number in range(256)]
    found += [
        objects / os.fsdecode(line)
        for line in (_read(alternates, limit=1 << 16) or b"").splitlines()
        if line and not line.startswith(b"#") and b"\0" not in line
    ]
    return found


class _References:
    """The references of one repository, read once."""

    def __init__(self, location: GitLocation) -> None:
        self._location = location
        self._packed: dict[bytes, bytes] | None = None

    def head(self) -> tuple[bytes, str]:
        """Return the commit of HEAD, b"" if there is none yet, and the name of its branch, "" if it is detached."""
        file = self._location.git_dir / "HEAD"
        content = _read(file)
        if content is None:
            raise NoHistoryError(f"{file} cannot be read", hint="check the repository: git fsck")
        target = _target_of(content)
        if target is None:
            return self._parsed(content.strip(), b"HEAD"), ""
        if (self._location.common_dir / "reftable").is_dir():
            raise NoHistoryError(
                f"{self._location.common_dir} keeps its references in a reftable, which cannot be read",
                hint="convert them: git refs migrate --ref-format=files",
            )
        return self.resolve(target) or b"", os.fsdecode(target.removeprefix(b"refs/heads/"))

    def resolve(self, name: bytes, depth: int = 0) -> bytes | None:
        """Return the id that a reference holds; None if it does not exist."""
        if depth > _DEEPEST or b"\0" in name or b".." in name.split(b"/"):
            return None
        for base in dict.fromkeys((self._location.git_dir, self._location.common_dir)):
            content = _read(base / os.fsdecode(name))
            if content is not None:
                target = _target_of(content)
                return self._parsed(content.strip(), name) if target is None else self.resolve(target, depth + 1)
        return self._in_packed().get(name)

    def below(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (name, id) of the references below ``prefix``, a bounded number."""
        found = {name for name in self._in_packed() if name.startswith(prefix)}
        top = os.fsencode(self._location.common_dir)
        for directory, _, files in os.walk(os.path.join(top, prefix)):  # noqa: PTH118 - bytes
            relative = os.path.relpath(directory, top)
            found.update(os.path.join(relative, name) for name in files)  # noqa: PTH118
            if len(found) > _MOST_LISTED:
                break
        for name in sorted(found)[:_MOST_LISTED]:
            try:
                value = self.resolve(name)
            except NoHistoryError:
                continue
            if value is not None:
                yield name, value

    def _in_packed(self) -> dict[bytes, bytes]:
        if self._packed is None:
            self._packed = {}
            for line in (_read(self._location.common_dir / "packed-refs", limit=-1) or b"").splitlines():
                value, _, name = line.partition(b" ")
                if _ID.match(value):
                    self._packed[name] = bytes.fromhex(value.decode())
                elif _LONG_ID.match(value):
                    self._parsed(value, name)
        return self._packed

    def _parsed(self, text: bytes, name: bytes) -> bytes:
        if _ID.match(text):
            return bytes.fromhex(text.decode())
        if _LONG_ID.match(text):
            raise NoHistoryError(
                f"{self._location.common_dir} has SHA-256 object ids, which cannot be read",
                hint="only repositories with SHA-1 ids have a searchable history",
            )
        raise NoHistoryError(
            f"{name.decode('utf-8', 'replace')} in {self._location.common_dir} is not a commit id",
            hint="check the repository: git fsck",
        )


def _target_of(content: bytes) -> bytes | None:
    """Return the reference that ``content`` refers to; None if it holds an id."""
    return content[5:].strip() if content.startswith(b"ref: ") else None


def _grafts(file: Path) -> dict[bytes, tuple[bytes, ...]]:
    """Return the parents that a file of grafts gives to commits, by commit id."""
    found = {}
    for line in (_read(file, limit=1 << 20) or b"").splitlines():
        ids = line.split()
        if ids and all(_ID.match(hex_id) for hex_id in ids):
            commit, *parents = (bytes.fromhex(hex_id.decode()) for hex_id in ids)
            found[commit] = tuple(parents)
    return found


def _ids_in(file: Path) -> list[bytes]:
    return [bytes.fromhex(line.decode()) for line in (_read(file, limit=-1) or b"").split() if _ID.match(line)]


def _read(file: Path, limit: int = _MOST_REFERENCE_BYTES) -> bytes | None:
    """Return at most ``limit`` bytes of a regular file; None if it cannot be read."""
    try:
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            return stream.read(limit)
    except OSError:
        return None
