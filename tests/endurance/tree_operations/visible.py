"""A tiny model of what has to be found: markers of files that are indexed for certain, and those that are nowhere."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field

from endurance.tree_operations import contents
from endurance.tree_operations.world import MAX_FILE_BYTES, World, join

_RULES = (b".gitignore", b".codeindexignore", b".codeindex.toml", b".git/info/exclude")
_MARKS = (b"CACHEDIR.TAG", b"pyvenv.cfg")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")
_HIDDEN_BY_DEFAULT = (b"build", b"node_modules", b"vendor", b"dist", b"__pycache__", b"target")


@dataclass
class Visible:
    """``certain``: marker to the files that hold it and that nothing can hide; ``present``: every marker on the disk.

    A file is certain when no rule of any kind stands in a directory above it and its name and content are plain: a
    model that is too small to be wrong, and large enough to cover most files.
    """

    certain: dict[bytes, list[bytes]] = field(default_factory=dict)
    present: set[bytes] = field(default_factory=set)


def look(world: World) -> Visible:
    """What the tree holds now."""
    seen = Visible()
    ruled = ruled_directories(world)
    for top, _, names in world.walk():
        for name in names:
            path = join(top, name)
            if not stat.S_ISREG(os.lstat(world.at(path)).st_mode):
                continue
            data = world.read(path)
            seen.present |= contents.markers(data)
            if top not in ruled and _is_plain(name) and _is_plain_text(data):
                for marker in contents.whole_markers(data):
                    seen.certain.setdefault(marker, []).append(path)
    return seen


def ruled_directories(world: World) -> set[bytes]:
    """Directories that some rule may hide, or leave unwatched."""
    ruled: set[bytes] = set()
    for top, directories, names in world.walk():
        worktree = b".git" in names  # a file: another working tree, which its repository's root leaves out
        hidden = (
            worktree
            or any(_has_rules(world, join(top, name)) for name in _RULES)
            or not {*names, *directories}.isdisjoint(_MARKS)
        )
        plain = not top or _is_plain(top.rpartition(b"/")[2])
        if hidden or not plain or (top and top.rpartition(b"/")[0] in ruled):
            ruled.add(top)
    return ruled


def _has_rules(world: World, path: bytes) -> bool:
    """Whether the file of rules at ``path`` is there and says something, or is something odd."""
    if not os.path.lexists(world.at(path)):
        return False
    if os.path.islink(world.at(path)) or not os.path.isfile(world.at(path)):
        return True
    return any(line.strip() and not line.startswith(b"#") for line in world.read(path).splitlines())


def _is_plain(name: bytes) -> bool:
    if name.startswith((b".", b"id_", b"ID_")) or name.endswith(b"."):
        return False
    return name.lower() not in _HIDDEN_BY_DEFAULT and _PLAIN.issuperset(name)


def _is_plain_text(data: bytes) -> bool:
    return (
        len(data) < MAX_FILE_BYTES and data.isascii() and b"\0" not in data and max(map(len, data.split(b"\n"))) < 500
    )
