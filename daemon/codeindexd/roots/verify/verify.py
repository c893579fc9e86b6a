"""``verify``: compares an index with the disk, chunk by chunk, and repairs it with the least work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from codeindexd.protocol.places import path_to_json
from codeindexd.roots import Root
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.supervisor import FailedRoot
from codeindexd.roots.verify.audit import OnProgress, audit, ignore_progress
from codeindexd.roots.verify.findings import Audit, Difference
from codeindexd.roots.verify.target import WrongEntries

__all__ = ["verify", "verify_failed"]

log = structlog.get_logger(__name__)
Rebuild = Callable[[RootSpec], Awaitable[Root]]
_AUDITS = 3
_SYNC_TIMEOUT_S = 600.0


async def verify(
    root: Root, *, repair: bool, rebuild: Rebuild, on_progress: OnProgress = ignore_progress
) -> dict[str, Any]:
    """Compare disk, tree, catalog and both projections of a root; return the protocol's document about it.

    Every file is chunked, tokenised and (with the bundled model) embedded again by the workers, and the result is
    compared with the stores. Queries and indexing go on meanwhile. A difference counts only if it remains after
    everything outstanding was committed, so edits during the check cause no alarm. With ``repair`` the differences are
    those before the repair. ``rebuild`` restarts a root with an empty index, for a catalog that cannot be trusted.

    ``on_progress`` is called for every file, and from the first one again when differences are looked at again.

    Raises what :meth:`Root.sync` does, and StoreFullError, StoreDamagedError, WorkerError.
    """
    found = await _lasting_differences(root, on_progress)
    entry = _entry(root.spec, found, failed_files=root.status().counts.failed)
    if found.differences:
        log.warning("index_differs_from_disk", root=str(root.spec.path), differences=len(found.differences))
        if repair:
            root = await _repair(root, found, rebuild)
            entry["repaired"] = not (await _lasting_differences(root, on_progress)).differences
    return entry


async def verify_failed(failed: FailedRoot, *, repair: bool, rebuild: Rebuild) -> dict[str, Any]:
    """Return the document about a root whose stores cannot be opened; the repair is to rebuild them."""
    difference = Difference(b"", "stores", f"cannot be opened: {failed.problem.message}", "cannot be opened")
    entry = _entry(failed.spec, Audit(differences=[difference]), failed_files=0)
    if repair:
        root = await rebuild(failed.spec)
        entry["repaired"] = not (await _lasting_differences(root)).differences
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


async def _lasting_differences(root: Root, on_progress: OnProgress = ignore_progress) -> Audit:
    """Audit several times, each after a sync, and return what differed every time."""
    before: list[Difference] | None = None
    for _ in range(_AUDITS):
        await root.sync(_SYNC_TIMEOUT_S)
        found = await audit(root.audit_target, on_progress)
        if before is not None:
            found.keep_lasting(before)
        before = found.differences
        if not before:
            break
    different = {(one.path, one.what, one.detail): one for one in found.differences}
    found.differences = [different[key] for key in sorted(different)]
    return found


async def _repair(root: Root, found: Audit, rebuild: Rebuild) -> Root:
    stores = {one.what for one in found.differences}
    if "catalog" in stores:
        root = await rebuild(root.spec)
    else:
        wrong = WrongEntries(
            lexical=found.lexical,
            dense=found.dense,
            embed_hashes=found.embed_hashes,
            text=found.text,
            lexical_lags="lexical index" in stores,
            dense_lags="dense index" in stores,
            text_lags="text index" in stores,
            paths={one.path for one in found.differences if one.path},
        )
        await root.repair(wrong)
    return root
