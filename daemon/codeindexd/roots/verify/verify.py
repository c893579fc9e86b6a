"""``verify``: compares an index with the disk, chunk by chunk, and repairs it with as little work as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from codeindexd.errors import FailedError, NoHistoryError, StoreDamagedError, StoreFullError, WorkerError
from codeindexd.indexing.history import HistoryIndexer
from codeindexd.indexing.history_status import HistoryCheck
from codeindexd.protocol.places import path_to_json
from codeindexd.quantities import quantity
from codeindexd.roots import Root
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.supervisor import FailedRoot
from codeindexd.roots.verify.audit import OnProgress, audit, ignore_progress
from codeindexd.roots.verify.audit_result import AuditResult, Difference
from codeindexd.roots.verify.target import WrongEntries
from codeindexd.waiting import run_all

__all__ = ["verify", "verify_failed"]

log = structlog.get_logger(__name__)
Rebuild = Callable[[RootSpec], Awaitable[Root]]
_AUDITS = 3
_MOST_SHOWN = 100  # differences of a history
_SYNC_TIMEOUT_S = 600.0


async def verify(
    root: Root, *, repair: bool, rebuild: Rebuild, on_progress: OnProgress = ignore_progress
) -> dict[str, Any]:
    """Compare a root's index with the disk; return the result as a document of the protocol.

    The workers chunk, tokenise and (with the bundled model) embed every file again, and the result is compared with the
    stores. Queries and indexing continue meanwhile. A difference counts only if three audits in a row find it, each
    after a sync, so edits during the check cause no alarm. With ``repair``, the index is repaired and compared again;
    the document lists the differences before the repair. ``rebuild`` restarts a root with an empty index, for a catalog
    that cannot be trusted. ``on_progress`` is called for every file; each audit starts at the first file again.

    Raises as :meth:`Root.sync` and :func:`audit`.
    """
    found = await _lasting_differences(root, on_progress)
    history = await _check_histories(root)
    entry = _entry(root.spec, found, failed_files=root.status().counts.failed, history=history)
    remaining: list[object] = []
    if history.differences and repair:
        await run_all([history.rebuild for history in root.histories if history.is_available])
        remaining += (await _check_histories(root)).differences
    if not found.differences:
        root.mark_verified()  # nothing is left to be compared after an unclean shutdown
    else:
        log.warning("index_differs_from_disk", root=str(root.spec.path), differences=len(found.differences))
        if repair:
            root = await _repair(root, found, rebuild)
            remaining += (await _lasting_differences(root, on_progress)).differences
    if repair and (found.differences or history.differences):
        entry["repaired"] = not remaining
    return entry


async def verify_failed(failed: FailedRoot, *, repair: bool, rebuild: Rebuild) -> dict[str, Any]:
    """Return the document of :func:`verify` for a root whose stores cannot be opened; ``repair`` rebuilds them."""
    difference = Difference(b"", "stores", f"cannot be opened: {failed.problem.message}", "cannot be opened")
    entry = _entry(failed.spec, AuditResult(differences=[difference]), failed_files=0)
    if repair:
        root = await rebuild(failed.spec)
        entry["repaired"] = not (await _lasting_differences(root)).differences
    return entry


def not_verified(root: Root, why: str) -> dict[str, Any]:
    """Return the document of :func:`verify` for a root that cannot be compared now: it is paused or missing."""
    return {**_entry(root.spec, AuditResult(), failed_files=root.status().counts.failed), "not_verified": why}


async def _check_histories(root: Root) -> HistoryCheck:
    """Compare the histories of a root and of the repositories inside it with these."""
    own, *nested = [(history, await _check_history(history)) for history in root.histories]
    inside = [
        msgspec.structs.replace(check, differences=tuple(f"{history.path}: {text}" for text in check.differences))
        for history, check in nested
    ]
    notes = [own[1].note]
    for note, count in Counter(check.note for check in inside if check.note).items():
        notes.append(f"{quantity(count, 'repository inside', 'repositories inside')}: {note}")
    return HistoryCheck(
        own[1].commits + sum(check.commits for check in inside),
        own[1].differences + tuple(text for check in inside for text in check.differences),
        "; ".join(filter(None, notes)),
    )


async def _check_history(history: HistoryIndexer) -> HistoryCheck:
    """Compare a history with its repository; what prevents that is a note."""
    try:
        return await history.verify()
    except (NoHistoryError, FailedError, StoreFullError, WorkerError) as error:
        return HistoryCheck(0, (), f"the history was not compared: {error.message}")
    except StoreDamagedError as error:
        return HistoryCheck(0, (error.message,))


def _entry(
    spec: RootSpec, found: AuditResult, *, failed_files: int, history: HistoryCheck | None = None
) -> dict[str, Any]:
    """Return what was found as an entry in the result of ``verify``."""
    history = history or HistoryCheck(0, ())
    notes = [*found.notes, *([history.note] if history.note else [])]
    return {
        **path_to_json(spec.raw),
        "files_checked": found.files,
        "chunks_checked": found.chunks,
        "vectors_checked": found.vectors,
        "failed_files": failed_files,
        "differences": [
            {**path_to_json(difference.path), "what": difference.what, "detail": difference.detail}
            for difference in found.differences
        ]
        + [{**path_to_json(b""), "what": "history", "detail": detail} for detail in history.differences[:_MOST_SHOWN]],
        **({"commits_checked": history.commits} if history.commits else {}),
        **({"notes": notes} if notes else {}),
    }


async def _lasting_differences(root: Root, on_progress: OnProgress = ignore_progress) -> AuditResult:
    """Audit up to three times, each after a sync, and return the last result with the differences that all found."""
    before: list[Difference] | None = None
    for _ in range(_AUDITS):
        await root.sync(_SYNC_TIMEOUT_S)
        found = await audit(root.audit_target, on_progress)
        if before is not None:
            found.keep_lasting(before)
        before = found.differences
        if not before:
            break
    different = {(difference.path, difference.what, difference.detail): difference for difference in found.differences}
    found.differences = [different[key] for key in sorted(different)]
    return found


async def _repair(root: Root, found: AuditResult, rebuild: Rebuild) -> Root:
    """Discard what is wrong, or rebuild the root if the catalog is; return the root that runs then."""
    stores = {difference.what for difference in found.differences}
    if not stores.isdisjoint(("catalog", "files")):
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
            paths={difference.path for difference in found.differences if difference.path},
        )
        await root.repair(wrong)
    return root
