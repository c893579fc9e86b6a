"""Explains why a path is or is not indexed: the JSON result of ``explain``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from codeindexd.analysis.chunking.encoding import is_guessed
from codeindexd.analysis.chunking.notebook import CellLine
from codeindexd.daemon.request_paths import path_below
from codeindexd.daemon.root_responses import failure_entry
from codeindexd.daemon.search_responses import cell_fields
from codeindexd.protocol.places import path_to_json
from codeindexd.roots import Root
from codeindexd.scan.relpath import ancestors
from codeindexd.search.confirm import cells_of
from codeindexd.types import Outcome, StoredChunk, StoredFile

_RULES_SHOWN = 30
_NEVER_INDEXED = frozenset({"vcs", "sensitive", "special", "unreadable"})  # not even as a root of their own


def explain(root: Root, path: Path) -> dict[str, Any]:
    """Return why ``path`` (absolute, in ``root``) is or is not indexed. Blocking: reads the catalog and the disk."""
    relative = path_below(root, path)
    failures = {failure.path: failure for failure in root.failures()}
    with root.catalog_snapshot() as snapshot:
        file = snapshot.file(relative)
        chunks = snapshot.chunks_of_file(relative)
        is_partial = file is not None and snapshot.is_partial(file.file_id)
    entry: dict[str, Any] = {
        **path_to_json(os.fsencode(path)),
        "root": str(root.spec.path),
        "indexed": False,
        "reason": "",
        "rule": "",
        "language": "",
        "chunks": [
            _chunk_entry(chunk, cell) for chunk, cell in zip(chunks, cells_of(root.spec.raw, file, chunks), strict=True)
        ],
        "failure": failure_entry(failures[relative]) if relative in failures else None,
    }
    if file is not None:
        return entry | _about_file(root, file, is_partial=is_partial)
    return entry | _about_unknown(root, path, relative, is_directory=_is_directory(path) and relative not in failures)


def _about_file(root: Root, file: StoredFile, *, is_partial: bool) -> dict[str, Any]:
    """Return the fields that differ for a file in the catalog; its syntax may be understood only in part."""
    if file.outcome is Outcome.INDEXED:
        return {
            "indexed": True,
            "reason": "indexed",
            "language": file.language,
            "encoding": file.encoding,
            **({"encoding_guessed": True} if is_guessed(file.encoding) else {}),
            **({"partly_understood": True} if is_partial else {}),
        }
    if file.outcome is Outcome.FAILED:
        return {"reason": f"failed: {file.reason}"}
    reason = file.reason or file.entry.reason
    # The text of a notebook is measured by a worker, which knows of no rules.
    rule = file.entry.rule or ("index.max_file_bytes" if reason == "oversized" else "")
    return {"reason": reason, "rule": rule, **_hint(root, file.entry.path)}


def _about_unknown(root: Root, path: Path, relative: bytes, *, is_directory: bool) -> dict[str, Any]:
    """Return the fields that differ for a path that is no file in the catalog. Blocking."""
    verdict = root.exclusion_of(relative) if relative or not is_directory else None
    if verdict is not None:
        return {"reason": verdict.reason, "rule": verdict.rule, **_hint(root, relative)}
    if is_directory:
        return {"indexed": True, "reason": "an indexed directory", "summary": _summary(root, relative)}
    if not os.path.lexists(path):
        return {"reason": "does not exist"}
    return {"reason": "not scanned yet"}


def _is_directory(path: Path | bytes) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a very long name


def _chunk_entry(chunk: StoredChunk, cell: CellLine | None = None) -> dict[str, Any]:
    """Return the entry of a chunk in ``explain``; ``cell`` is where it starts in a notebook."""
    span = chunk.span
    return {
        "id": chunk.chunk_id,
        "start_line": span.start_line,
        "end_line": span.end_line,
        "start_byte": span.start_byte,
        "end_byte": span.end_byte,
        "kind": span.kind,
        "symbol": span.symbol,
        **cell_fields(cell),
    }


def _hint(root: Root, path: bytes) -> dict[str, str]:
    """Return the ``hint`` field on how to search ``path`` in a directory that the root leaves out, or {}.

    ``path`` may be that directory. {} also if it is never indexed, such as ``.git``.
    """
    for directory in [*reversed([*ancestors(path)]), path]:
        absolute = os.path.join(root.spec.raw, directory)  # noqa: PTH118 - bytes
        if not _is_directory(absolute):
            return {}
        if directory and (verdict := root.exclusion_of(directory)) is not None:
            if verdict.reason in _NEVER_INDEXED:
                return {}
            command = f"codeindex add {shlex.quote(os.fsdecode(os.path.realpath(absolute)))}"
            return {"hint": f"to search it, index it as a root of its own: {command}"}
    return {}


def _summary(root: Root, directory: bytes) -> dict[str, Any]:
    """Return the summary of everything below a directory, for ``explain``. Blocking: reads the catalog."""
    with root.catalog_snapshot() as snapshot:
        summary = snapshot.summary(directory)
    groups = [{"reason": group.reason, "rule": group.rule, "entries": group.entries} for group in summary.left_out]
    return {
        "indexed": summary.indexed,
        "failed": summary.failed,
        "pending": summary.pending,
        "left_out": groups[:_RULES_SHOWN],
        "more_rules": max(0, len(groups) - _RULES_SHOWN),
    }
