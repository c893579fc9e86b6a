"""Entries of ``status`` that are kept while nothing changes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from codeindexd.daemon import root_responses
from codeindexd.daemon.status_entries import StatusEntries
from codeindexd.indexing.history_status import HistoryPhase, HistoryStatus
from codeindexd.roots import Root
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.root_status import StatusKey
from codeindexd.types import Counts, RootState

HISTORY = HistoryStatus(HistoryPhase.COMPLETE)
KEY = StatusKey(b"/one", RootState.FRESH, True, (1, 1), Counts(files=3), 0, (), 0, 5, HISTORY)


@dataclass
class ScriptedRoot:
    """A root whose status is what ``entry`` says, and how often it was asked for it."""

    spec: RootSpec
    key: StatusKey | None = KEY
    asked: int = 0
    failures: tuple[str, ...] = ()

    def status_key(self) -> StatusKey | None:
        return self.key


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> ScriptedRoot:
    def root_status(root: Any) -> dict[str, Any]:
        root.asked += 1
        return {"asked": root.asked, "failures": list(root.failures)}

    monkeypatch.setattr(root_responses, "root_status", root_status)
    return ScriptedRoot(RootSpec("id", Path("/one"), 1, 1))


def asked(entries: StatusEntries, root: ScriptedRoot) -> int:
    (entry,) = entries.entries_of([cast("Root", root)])
    return int(json.loads(bytes(entry))["asked"])


def test_a_root_at_rest_is_asked_once(root: ScriptedRoot) -> None:
    entries = StatusEntries()
    assert [asked(entries, root), asked(entries, root)] == [1, 1]
    root.key = replace(KEY, work_done=6)
    assert [asked(entries, root), asked(entries, root)] == [2, 2]


def test_a_root_that_works_is_asked_every_time(root: ScriptedRoot) -> None:
    entries = StatusEntries()
    assert asked(entries, root) == 1
    root.key = None
    assert [asked(entries, root), asked(entries, root)] == [2, 3]


@pytest.mark.parametrize("why", ["failures", "rules"])
def test_what_other_tables_decide_is_asked_for_every_time(root: ScriptedRoot, why: str) -> None:
    """Failures are tried again without a commit of files; which rule leaves all out is not in the counts."""
    if why == "failures":
        root.failures = ("a.py",)
    else:
        root.key = replace(KEY, counts=Counts(files=1, skipped={"ignored": 500}))
    entries = StatusEntries()
    assert [asked(entries, root), asked(entries, root)] == [1, 2]


def test_entries_of_removed_roots_are_forgotten(root: ScriptedRoot) -> None:
    entries = StatusEntries()
    asked(entries, root)
    entries.keep_only([cast("Root", root)])
    assert len(entries) == 1
    entries.keep_only([])
    assert len(entries) == 0
