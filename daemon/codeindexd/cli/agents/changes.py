"""Changes to the files of agents: each is shown, made in one step, and can be undone exactly.

A copy of the file as it was before, and a record of what was written, are kept in a directory of our own. As long as
the file is what was written, undoing restores the copy; if it was changed since, only our entry is removed.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeindexd.errors import FailedError


@dataclass(frozen=True)
class Change:
    """A change of a file. ``before`` is None if it does not exist, ``after`` if it is to be removed."""

    path: Path
    before: str | None
    after: str | None

    @property
    def is_empty(self) -> bool:
        """True if nothing changes."""
        return self.before == self.after

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff."""
        before, after = ((text or "").splitlines(keepends=True) for text in (self.before, self.after))
        old, new = (str(self.path) if text is not None else os.devnull for text in (self.before, self.after))
        for line in difflib.unified_diff(before, after, old, new):
            yield line.rstrip("\n")


def read(path: Path) -> str | None:
    """Return the text of a file, None if it does not exist. Raises FailedError if it is not UTF-8, OSError."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise FailedError(f"{path} is not UTF-8", hint="correct the file first") from None


class Records:
    """The copies of files before they were changed, in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, change: Change) -> Path | None:
        """Make the change; return the path of the copy of the file before, None if there was no file.

        The copy of an earlier change is kept if the file is still what that wrote, so that undoing returns to the
        beginning. Raises FailedError if the file was changed by somebody else since it was read, OSError.
        """
        if read(change.path) != change.before:
            raise FailedError(f"{change.path} was changed in the meantime", hint="run the command again")
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        record, copy = self._files(change.path)
        made = [str(parent) for parent in change.path.parents if not parent.exists()]
        if self._is_ours(change.path, change.before):
            made = self._record(change.path).get("made", [])
        else:
            copy.unlink(missing_ok=True)
            if change.before is not None:
                _write(copy, change.before, mode=0o600)
        _write(change.path, change.after or "", mode=None)
        fields = {"path": str(change.path), "hash": _hash(change.after), "made": made}
        _write(record, json.dumps(fields), mode=0o600)
        return copy if copy.exists() else None

    def undone(self, path: Path, text: str | None) -> tuple[bool, str | None]:
        """Return whether the file is still what was written, and its text before that (None: there was none)."""
        if not self._is_ours(path, text):
            return False, None
        return True, read(self._files(path)[1])

    def undo(self, change: Change) -> None:
        """Make a change that removes our entry, and forget the copy. Raises FailedError, OSError."""
        if read(change.path) != change.before:
            raise FailedError(f"{change.path} was changed in the meantime", hint="run the command again")
        if change.after is None:
            change.path.resolve().unlink()  # as the file was made, a symlink to it stays
            for directory in self._record(change.path).get("made", []):
                with contextlib.suppress(OSError):  # not empty
                    Path(directory).rmdir()
        else:
            _write(change.path, change.after, mode=None)
        for file in self._files(change.path):
            file.unlink(missing_ok=True)

    def _is_ours(self, path: Path, text: str | None) -> bool:
        """Return True if ``text`` is what the last change wrote."""
        return bool(self._record(path).get("hash") == _hash(text))

    def _record(self, path: Path) -> dict[str, Any]:
        """Return what is known of the last change of a file: the hash of its text, and directories made for it."""
        try:
            record = json.loads(self._files(path)[0].read_text())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _files(self, path: Path) -> tuple[Path, Path]:
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return self._directory / f"{name}.json", self._directory / f"{name}.before"


def _hash(text: str | None) -> str:
    return hashlib.sha256((text or "").encode()).hexdigest()


def _write(path: Path, text: str, *, mode: int | None) -> None:
    """Replace a file in one step; a symlink stays one. ``mode`` is None for that of the old file or a usual one."""
    path = path.resolve()
    if mode is None:
        try:
            mode = path.stat().st_mode & 0o7777
        except FileNotFoundError:
            mode = 0o644
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
