"""The entries of roots are as the client's types say."""

from __future__ import annotations

import os
from pathlib import Path

from codeindexd.client import results
from codeindexd.daemon import root_responses
from codeindexd.indexing.history_status import HistoryPhase, HistoryStatus
from codeindexd.indexing.problems import RootProblem
from codeindexd.indexing.progress import Progress
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.supervisor import FailedRoot
from codeindexd.types import Failure


def fields_of(kind: type) -> set[str]:
    return set(kind.__annotations__)


def test_a_failed_root_has_the_fields_of_the_types() -> None:
    failed = FailedRoot(RootSpec("id", Path("/one"), 1, 1), RootProblem("it is damaged", "look"))
    status, entry = root_responses.failed_status(failed), root_responses.failed_entry(failed)
    assert status.keys() <= fields_of(results.RootStatus)
    assert entry.keys() <= fields_of(results.RootEntry)
    assert status["progress"].keys() <= fields_of(results.Progress)


def test_progress_and_failures_have_the_fields_of_their_types() -> None:
    progress = root_responses.progress_entry(Progress(3, 4, 5, 6.0, is_idle=False))
    scanning = root_responses.progress_entry(Progress(3, 4, 5, 6.0, is_idle=False, is_scanning=True))
    failure = root_responses.failure_entry(Failure(os.fsencode("caf\udce9"), "read", "no", 1, 0, quarantined=False))
    history = root_responses.history_entry(HistoryStatus(HistoryPhase.COMPLETE))
    assert progress.keys() < scanning.keys() <= fields_of(results.Progress)
    assert (progress["eta_s"], scanning["eta_s"]) == (8.0, None)  # how many more there are is not known
    assert failure.keys() <= fields_of(results.Failure)
    assert history.keys() <= fields_of(results.HistoryEntry)
