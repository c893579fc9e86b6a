"""Paths in the parameters of requests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread

from codeindexd.errors import NotIndexedError
from codeindexd.roots import Root
from codeindexd.roots.supervisor import RootSupervisor


def path_of(raw: Any) -> Path:
    """Return the path that a parameter names, without ``..`` and double slashes."""
    return Path(os.path.normpath(os.fsdecode(raw)))


def paths_of(raw: Sequence[Any] | None) -> list[Path] | None:
    """Return the paths that a parameter names, None if it names none."""
    return [path_of(path) for path in raw] if raw else None


def real_path(path: Path) -> Path:
    """Resolve symlinks; a path with a symlink loop is returned unresolved (``Path.resolve`` would raise)."""
    return Path(os.path.realpath(path))


async def follow_links(roots: RootSupervisor, path: Path) -> Path:
    """Return the place that a link at or above ``path`` leads to if a root indexes that, else ``path``.

    Links are not indexed, but who names one means what it leads to.
    """
    target = await anyio.to_thread.run_sync(real_path, path)
    if target == path:
        return path
    try:
        await roots.spec_indexing(target)
    except NotIndexedError:
        return path
    return target


def path_below(root: Root, path: Path) -> bytes:
    """Return ``path`` relative to the root; b"" for the root. A path outside it is returned unchanged.

    Symlinks above the root are resolved, those inside it only if ``path`` is not below the root otherwise.
    """
    for candidate in (path, Path(os.path.realpath(path.parent)) / path.name, Path(os.path.realpath(path))):
        if candidate == root.spec.path:
            return b""
        if root.spec.path in candidate.parents:
            return os.fsencode(candidate.relative_to(root.spec.path))
    return os.fsencode(path)
