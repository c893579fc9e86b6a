"""Finds the git repository that a directory belongs to, as git does, without running git."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from codeindexd.errors import NoHistoryError

_MOST_POINTER_BYTES = 4096
_OTHERS = {
    ".hg": "Mercurial",
    ".svn": "Subversion",
    ".jj": "Jujutsu without a git repository beside it",
    ".bzr": "Bazaar",
    "_darcs": "Darcs",
    ".pijul": "Pijul",
    ".fslckout": "Fossil",
    "CVS": "CVS",
}


class GitLocation(Struct, frozen=True):
    """Where the repository of a directory is.

    ``git_dir`` has ``HEAD``, ``common_dir`` the objects and branches; they differ only in linked worktrees. ``top`` is
    the top of the work tree, None for a bare repository. ``prefix`` is the path of the directory below the top, with a
    slash at its end, or b"" for the top itself.
    """

    git_dir: Path
    common_dir: Path
    top: Path | None
    prefix: bytes = b""


def locate(directory: Path) -> GitLocation:
    """Return the location of the repository that contains ``directory``. Blocking; reads the disk.

    Raises NoHistoryError if there is none, and says so if another version control system is used.
    """
    start = Path(os.path.realpath(directory))
    for place in (start, *start.parents):
        if (found := _at(place, start)) is not None:
            return found
        for name, system in _OTHERS.items():
            if os.path.lexists(place / name):
                raise NoHistoryError(
                    f"{directory} is under {system}, whose history cannot be read",
                    hint="only git repositories have a searchable history",
                )
    raise NoHistoryError(
        f"{directory} is in no git repository",
        hint="ask in a root that is in one; to search the code: codeindex search QUERY",
    )


def _at(place: Path, start: Path) -> GitLocation | None:
    """Return the repository whose work tree has its top at ``place``, or that is bare and is ``place``; else None."""
    git_dir = place / ".git"
    if git_dir.is_file():
        git_dir = _pointed_to(git_dir) or git_dir
    if _is_git_dir(git_dir):
        prefix = os.fsencode(start.relative_to(place))
        return GitLocation(git_dir, _common_dir(git_dir), place, b"" if prefix == b"." else prefix + b"/")
    if _is_git_dir(place) and (place / "objects").is_dir():
        return GitLocation(place, _common_dir(place), None)
    return None


def _pointed_to(file: Path) -> Path | None:
    content = _read(file)
    if content is None or not content.startswith(b"gitdir:") or b"\0" in content:
        return None
    return file.parent / os.fsdecode(content[7:].split(b"\n", 1)[0].strip())


def _common_dir(git_dir: Path) -> Path:
    shared = _read(git_dir / "commondir")
    return Path(os.path.normpath(git_dir / os.fsdecode(shared.strip()))) if shared else git_dir


def _is_git_dir(path: Path) -> bool:
    common = _common_dir(path)
    return os.path.lexists(path / "HEAD") and (common / "objects").is_dir() and (common / "refs").is_dir()


def _read(file: Path) -> bytes | None:
    """Return the beginning of a regular file; None if it cannot be read."""
    try:
        if not file.is_file():  # opening a pipe would wait
            return None
        with file.open("rb") as stream:
            return stream.read(_MOST_POINTER_BYTES)
    except OSError:
        return None
