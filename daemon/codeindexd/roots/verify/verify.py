"""The equality oracle: is the index what the disk says, chunk by chunk? And the least work that mends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from codeindexd.protocol.places import path_to_json
from codeindexd.roots import Root
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.supervisor import FailedRoot
from codeindexd.roots.verify.audit import audit
from codeindexd.roots.verify.findings import Audit, Difference
from codeindexd.roots.verify.target import WrongEntries

__all__ = ["verify", "verify_failed"]

log = structlog.get_logger(__name__)
Rebuild = Callable[[RootSpec], Awaitable[Root]]
_ROUNDS = 3
_SYNC_TIMEOUT_S = 600.0


async def verify(root: Root, *, repair: bool, rebuild: Rebuild) -> dict[str, Any]:
    """Compare disk, tree, catalog and both projections of a root; mend what differs when asked to.

    Every file is cut, tokenised and (with the bundled model) embedded anew by the workers, and the result held
    against the stores. Runs beside queries and indexing. A difference counts only if it is still there after everything
    that was known to be outstanding is in, so edits during the check are no alarm. After a repair the differences are
    those found before. ``rebuild`` starts a root over from an empty index, for a catalog that cannot be trusted.
    """
    found = await _settled(root)
    entry = _entry(root.spec, found, failed_files=root.status().counts.failed)
    if found.differences:
        log.warning("the index differs from the disk", root=str(root.spec.path), differences=len(found.differences))
        if repair:
            root = await _repair(root, found, rebuild)
            entry["repaired"] = not (await _settled(root)).differences
    return entry


async def verify_failed(failed: FailedRoot, *, repair: bool, rebuild: Rebuild) -> dict[str, Any]:
    """The same for a root whose stores cannot be opened: that is the difference, and beginning anew the repair."""
    difference = Difference(b"", "stores", f"cannot be opened: {failed.problem.message}", "cannot be opened")
    entry = _entry(failed.spec, Audit(differences=[difference]), failed_files=0)
    if repair:
        root = await rebuild(failed.spec)
        entry["repaired"] = not (await _settled(root)).differences
    return entry


def _entry(spec: RootSpec, found: Audit, *, failed_files: int) -> dict[str, Any]:
    return {
        **path_to_json(spec.raw),
        "files_checked": found.files,
        "chunks_checked": found.chunks,
        "vectors_checked": found.vectors,
        "failed_files": failed_files,
        "differences": [
            {**path_to_json(one.path), "what": one.what, "detail": one.detail} for one in found.differences
        ],
        **({"notes": found.notes} if found.notes else {}),
    }


async def _settled(root: Root) -> Audit:
    """What differs in every one of several looks, each after a sync."""
    before: list[Difference] | None = None
    for _ in range(_ROUNDS):
        await root.sync(_SYNC_TIMEOUT_S)
        found = await audit(root.audit_target)
        if before is not None:
            found.keep_lasting(before)
        before = found.differences
        if not before:
            break
    different = {(one.path, one.what, one.detail): one for one in found.differences}
    found.differences = [different[key] for key in sorted(different)]
    return found


async def _repair(root: Root, found: Audit, rebuild: Rebuild) -> Root:
    whats = {one.what for one in found.differences}
    if "catalog" in whats:
        root = await rebuild(root.spec)
    else:
        wrong = WrongEntries(
            lexical=found.lexical,
            dense=found.dense,
            embed_hashes=found.embed_hashes,
            lexical_lags="lexical index" in whats,
            dense_lags="dense index" in whats,
            paths={one.path for one in found.differences if one.path},
        )
        await root.repair(wrong)
    return root
