"""Explains which roots, and which of the paths that a search was given, it could not search, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from codeindexd.daemon import left_out
from codeindexd.daemon.explanation import explain
from codeindexd.daemon.left_out import NotSearched
from codeindexd.daemon.request_paths import path_below
from codeindexd.errors import UsageError
from codeindexd.roots import Root
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.search.grep import is_searched
from codeindexd.storage.catalog import CatalogSnapshot
from codeindexd.storage.catalog.skipped_texts import TEXTUAL_REASONS
from codeindexd.types import RootState


def unavailable_roots(roots: RootSupervisor, searched: Sequence[Root], *, named: bool) -> list[str]:
    """Return why nothing is found in roots: in those of ``searched`` that are missing, and in those that failed.

    Roots that failed count only if the request has not ``named`` any.
    """
    missing = [problem.message for root in searched if (problem := root.missing_problem)]
    failed = [] if named else roots.all_roots()[1]
    return missing + [root.error.message for root in failed]


def check_existence(places: Sequence[tuple[Root, Path]]) -> None:
    """Raise UsageError for a path that does not exist, unless its whole root is missing. Blocking."""
    for root, path in places:
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            if root.state is not RootState.MISSING:
                raise UsageError(f"{path} does not exist", hint="check the path") from None
        except OSError:
            continue  # it may exist; the search says what cannot be read


def places_not_searched(places: Sequence[tuple[Root, Path]]) -> list[NotSearched]:
    """Return those files that are not indexed, and those directories below which nothing is. Blocking."""
    found = [_not_searched(root, path) for root, path in dict.fromkeys(places) if root.state is not RootState.MISSING]
    return [place for place in found if place is not None]


def _not_searched(root: Root, path: Path) -> NotSearched | None:
    """Return why a file, or everything below a directory, is not searched; None if any of it is."""
    relative = path_below(root, path)
    with root.catalog_snapshot() as snapshot:
        file = snapshot.file(relative) if relative else None
        if file is not None and is_searched(file):
            return None
        if file is None and _is_directory(path):
            return _directory_not_searched(snapshot, relative, path)
    explained = explain(root, path)
    cause = left_out.cause(explained["reason"], explained["rule"])
    return NotSearched(explained["reason"], f"{path} was not searched: {cause}")


def _directory_not_searched(snapshot: CatalogSnapshot, relative: bytes, path: Path) -> NotSearched | None:
    if snapshot.has_files(relative):
        return None
    summary = snapshot.summary(relative)
    if any(group.reason in TEXTUAL_REASONS for group in summary.left_out):
        return None
    why = left_out.note(summary) if summary.left_out else "nothing in it is indexed"
    return NotSearched("", f"{path}: {why}")


def _is_directory(path: Path) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)  # noqa: PTH112, PTH114 - pathlib raises for long names
