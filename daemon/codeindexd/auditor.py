"""The equality oracle: is the index what the disk says, chunk by chunk? And the least work that mends it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import numpy as np
import xxhash

from codeindexd.files import read_ranges
from codeindexd.merkle import diff
from codeindexd.model import Entry, NodeKind, Outcome
from codeindexd.protocol.places import path_to_json, text_of_path
from codeindexd.root import Root

_ROUNDS = 3
_SYNC_TIMEOUT_S = 600.0


class _Nothing:
    """A tree without anything in it, so that a scan against it hashes every file."""

    def node(self, path: bytes) -> Entry | None:
        return None

    def children(self, directory: bytes) -> Mapping[bytes, Entry]:
        return {}


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the index is not what it should be."""

    path: bytes
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What was compared and what differed."""

    files_checked: int
    chunks_checked: int
    differences: tuple[Difference, ...]


async def verify(root: Root, *, repair: bool, rebuild: Callable[[Root], Awaitable[Root]]) -> dict[str, Any]:
    """Compare disk, tree, catalog and both projections of a root; mend what differs when asked to.

    Runs beside queries and indexing. A difference counts only if it is still there after everything that was known to
    be outstanding is in, so edits during the check are no alarm. After a repair the differences are those found before.
    ``rebuild`` starts a root over from an empty index, for a catalog that cannot be trusted.
    """
    audit = await _settled_audit(root)
    if repair and audit.differences:
        root = await _repair(root, audit, rebuild)
    return {
        **path_to_json(root.spec.raw),
        "files_checked": audit.files_checked,
        "chunks_checked": audit.chunks_checked,
        "failed_files": root.indexer.catalog.counts().failed,
        "differences": [
            {**path_to_json(found.path), "what": found.what, "detail": found.detail} for found in audit.differences
        ],
        **({"repaired": not (await _settled_audit(root)).differences} if repair and audit.differences else {}),
    }


async def _settled_audit(root: Root) -> Audit:
    audit = Audit(0, 0, ())
    lasting: set[Difference] | None = None
    for _ in range(_ROUNDS):
        await root.sync(_SYNC_TIMEOUT_S)
        audit = await anyio.to_thread.run_sync(_audit, root)
        found = set(audit.differences)
        lasting = found if lasting is None else lasting & found
        if not lasting:
            return Audit(audit.files_checked, audit.chunks_checked, ())
    return Audit(
        audit.files_checked, audit.chunks_checked, tuple(sorted(lasting or (), key=lambda d: (d.path, d.what)))
    )


def _audit(root: Root) -> Audit:
    differences: list[Difference] = []
    scan = root.scanner.scan([b""], _Nothing(), now_ns=time.time_ns())
    with root.indexer.current.pin() as snapshot:
        if snapshot is None:
            return Audit(0, 0, ())
        change = diff(root.indexer.catalog.tree(), scan.tree)
        unreadable = {path for path, _ in scan.errors}
        for what, entries in (
            ("not in the index", change.added),
            ("content differs", change.modified),
            ("no longer on disk", change.removed),
        ):
            differences += [
                Difference(entry.path, what, entry.kind.name.lower())
                for entry in entries
                if entry.path not in unreadable
            ]
        differences += [
            Difference(move.entry.path, "indexed under another path", text_of_path(move.source))
            for move in change.moved
        ]
        differences += [Difference(b"", "catalog", problem) for problem in root.indexer.catalog.check()]
        files, chunks = 0, 0
        for file in snapshot.catalog.files():
            if file.outcome is Outcome.INDEXED and file.entry.kind is NodeKind.FILE:
                files += 1
                chunks += _check_chunks(root, snapshot.catalog.chunks_of_file(file.entry.path), differences)
        wanted = snapshot.catalog.all_chunk_ids()
        _compare_ids("lexical index", wanted, snapshot.lexical.chunk_ids(), differences)
        pending = np.fromiter(sorted(root.indexer.pending_vectors), np.int64)
        _compare_ids("dense index", np.setdiff1d(wanted, pending), snapshot.dense.ids(), differences)
    return Audit(files, chunks, tuple(differences))


def _check_chunks(root: Root, chunks: Any, differences: list[Difference]) -> int:
    if not chunks:
        return 0
    path = chunks[0].path
    try:
        texts = read_ranges(root.spec.raw, path, [(c.span.start_byte, c.span.end_byte) for c in chunks])
    except OSError as error:
        differences.append(Difference(path, "chunks", f"unreadable: {error.strerror}"))
        return 0
    for chunk, text in zip(chunks, texts, strict=True):
        if xxhash.xxh3_128_digest(text) != chunk.span_hash:
            place = f"lines {chunk.span.start_line}-{chunk.span.end_line}"
            differences.append(Difference(path, "chunks", f"{place} are not what was indexed"))
    return len(chunks)


def _compare_ids(what: str, wanted: Any, held: Any, differences: list[Difference]) -> None:
    lacking, superfluous = np.setdiff1d(wanted, held), np.setdiff1d(held, wanted)
    if len(lacking):
        differences.append(Difference(b"", what, f"lacks {len(lacking)} chunks, the first is {lacking[0]}"))
    if len(superfluous):
        differences.append(
            Difference(b"", what, f"has {len(superfluous)} chunks too many, the first is {superfluous[0]}")
        )
    if len(held) != len(np.unique(held)):
        differences.append(Difference(b"", what, "holds some chunks twice"))


async def _repair(root: Root, audit: Audit, rebuild: Callable[[Root], Awaitable[Root]]) -> Root:
    whats = {found.what for found in audit.differences}
    if "catalog" in whats:
        root = await rebuild(root)
    else:
        root.indexer.behind.lexical |= "lexical index" in whats
        root.indexer.behind.dense |= "dense index" in whats
        await root.replay()
        await root.redo({found.path for found in audit.differences if found.path})
    await root.sync(_SYNC_TIMEOUT_S)
    return root
