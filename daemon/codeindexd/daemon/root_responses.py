"""Builds the JSON entries of roots in lists and in ``status``: running ones, and those that failed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from codeindexd.daemon import left_out
from codeindexd.errors import CodeindexError
from codeindexd.indexing.history_status import HistoryStatus
from codeindexd.indexing.progress import Progress
from codeindexd.protocol.places import path_to_json
from codeindexd.roots import Root, RootProblem, RootStatus
from codeindexd.roots.adoption import Adoption
from codeindexd.roots.supervisor import FailedRoot
from codeindexd.scan.relpath import ROOT
from codeindexd.types import Failure, RootState

_FAILURES_SHOWN = 20
_FILES_FOR_ETA = 20  # with fewer files done, the rate is mostly that of starting the workers
_SHARE_FOR_ETA = 0.05


def roots_entry(root: Root) -> dict[str, Any]:
    """Return the entry of a root in ``roots.list`` and ``roots.add``. Blocking: reads the catalog."""
    status = root.status()
    notes = _notes_on_rules(root, status)
    return {
        **path_to_json(root.spec.raw),
        "id": root.spec.id,
        "state": status.state.value,
        "files": status.counts.files,
        "chunks": status.counts.chunks,
        "generation": status.generation,
        "root_hash": status.root_hash.hex(),
        **_adoption_entry(status.adoption),
        **({"notes": notes} if notes else {}),
    }


def _adoption_entry(adoption: Adoption | None) -> dict[str, Any]:
    """Return the field ``adopted`` of an entry; {} if no index was adopted."""
    if adoption is None:
        return {}
    counts = {"files_same": adoption.files_same, "files_to_process": adoption.files_to_process}
    return {"adopted": {**path_to_json(os.fsencode(adoption.source)), **counts}}


def _notes_on_rules(root: Root, status: RootStatus) -> list[str]:
    """Return a note if rules leave out nearly everything; none before the root is caught up. Blocking."""
    if not root.is_caught_up or status.state is RootState.MISSING or not left_out.may_be_suspicious(status.counts):
        return []
    with root.catalog_snapshot() as snapshot:
        note = left_out.note(snapshot.summary(ROOT))
    return [note] if note else []


def root_status(root: Root) -> dict[str, Any]:
    """Return the entry of a root in ``status``; if its stores cannot be read, the entry of a failed root."""
    try:
        return _running_status(root)
    except CodeindexError as error:
        return failed_status(FailedRoot(root.spec, RootProblem.from_error(error)))


def _running_status(root: Root) -> dict[str, Any]:
    status = root.status()
    with root.catalog_snapshot() as snapshot:
        graph = snapshot.graph_counts()
    return {
        **path_to_json(root.spec.raw),
        "state": status.state.value,
        "clock": status.clock,
        "root_hash": status.root_hash.hex(),
        "files": status.counts.files,
        "chunks": status.counts.chunks,
        "definitions": graph.definitions,
        "references": graph.references,
        "pending_files": status.progress.files_left,
        "pending_vectors": status.pending_vectors,
        "failed_files": status.counts.failed,
        "skipped": dict(sorted(status.counts.skipped.items())),
        "failures": [failure_entry(failure) for failure in root.failures(_FAILURES_SHOWN)],
        "problems": [_problem_entry(problem) for problem in status.problems],
        "notes": [*status.notes, *_notes_on_rules(root, status)],
        **_adoption_entry(status.adoption),
        "busy": [{**path_to_json(path), "every_s": round(every_s, 1)} for path, every_s in status.busy],
        "progress": progress_entry(status.progress),
        "history": history_entry(status.history),
        **_nested_entry(status.nested_histories),
        "stages": _stage_entries(status),
    }


def _nested_entry(statuses: Sequence[tuple[bytes, HistoryStatus]]) -> dict[str, Any]:
    """Return the field for the repositories inside a root; {} if there are none."""
    if not statuses:
        return {}
    return {
        "nested_histories": [{**path_to_json(directory), **history_entry(status)} for directory, status in statuses]
    }


def history_entry(status: HistoryStatus) -> dict[str, Any]:
    """Return the status of a root's history, without what does not apply."""
    optional = {
        "branch": status.branch,
        "truncated": status.is_truncated,
        "shallow": status.is_shallow,
        "missing": status.missing,
        "unreadable": status.unreadable,
        "reason": status.reason,
        "hint": status.hint,
    }
    return {
        "state": status.phase.value,
        "commits": status.commits,
        "total": status.total,
        **{name: value for name, value in optional.items() if value},
    }


def failed_entry(failed: FailedRoot) -> dict[str, Any]:
    """Return the entry in ``roots.list`` of a root that is not running."""
    return {
        **path_to_json(failed.spec.raw),
        "id": failed.spec.id,
        "state": RootState.DEGRADED.value,
        "files": 0,
        "chunks": 0,
        "generation": 0,
        "root_hash": "",
    }


def failed_status(failed: FailedRoot) -> dict[str, Any]:
    """Return the entry in ``status`` of a root that is not running."""
    return {
        **path_to_json(failed.spec.raw),
        "state": RootState.DEGRADED.value,
        "clock": failed.spec.clock(0),
        "root_hash": "",
        "files": 0,
        "chunks": 0,
        "definitions": 0,
        "references": 0,
        "pending_files": 0,
        "pending_vectors": 0,
        "failed_files": 0,
        "skipped": {},
        "failures": [],
        "problems": [_problem_entry(failed.problem)],
        "notes": [],
        "busy": [],
        "progress": {
            "files_done": 0,
            "files_total": 0,
            "chunks_done": 0,
            "files_per_s": 0.0,
            "chunks_per_s": 0.0,
            "eta_s": None,
        },
        "stages": {},
    }


def _problem_entry(problem: RootProblem) -> dict[str, Any]:
    return {"message": problem.message, "hint": problem.hint}


def failure_entry(failure: Failure) -> dict[str, Any]:
    """Return the entry of a failed file. ``next_retry`` is a Unix time in seconds; null: only if the file changes."""
    return {
        **path_to_json(failure.path),
        "stage": failure.stage,
        "error": failure.error,
        "attempts": failure.attempts,
        "next_retry": failure.next_retry_ns / 1e9 if failure.next_retry_ns else None,
    }


def progress_entry(progress: Progress) -> dict[str, Any]:
    """Return the progress of a run. The rates are 0 and the ETA is null if nothing is left to do.

    The ETA is also null until all files are found, and enough are done for an estimate.
    """
    done, left, seconds = progress.files_done, progress.files_left, progress.seconds
    is_running = left > 0 and seconds > 0
    files_per_s = done / seconds if is_running else 0.0
    is_enough = not progress.is_scanning and (done >= _FILES_FOR_ETA or done >= left * _SHARE_FOR_ETA)
    return {
        "files_done": done,
        "files_total": done + left,
        "chunks_done": progress.chunks_done,
        "files_per_s": round(files_per_s, 1),
        "chunks_per_s": round(progress.chunks_done / seconds, 1) if is_running else 0.0,
        "eta_s": round(left / files_per_s, 1) if files_per_s and is_enough else None,
        **({"scanning": True} if progress.is_scanning else {}),
    }


def _stage_entries(status: RootStatus) -> dict[str, Mapping[str, Any]]:
    """Return the statistics of each indexing stage since the daemon started, by its name."""
    return {
        name: {
            "items": stage.items,
            "bytes": stage.bytes,
            "seconds": round(stage.seconds, 3),
            "per_s": round(stage.items / stage.seconds, 1) if stage.seconds else 0.0,
            "p50_ms": round(stage.median_s * 1000, 3),
            "errors": stage.errors,
            "queue": status.queue_lengths.get(name, 0),
        }
        for name, stage in status.stages.items()
    }
