"""Upkeep of the stores in quiet times."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import cast

import anyio
import pytest

from codeindexd.errors import CodeindexError, FailedError, StoreFullError
from codeindexd.indexing.ingest import Ingest
from codeindexd.indexing.problems import RootProblems
from codeindexd.roots import maintenance
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import Counts, Failure, Transaction
from codeindexd.waiting import Broadcast
from storage.catalog.transactions import failed
from support.waiting import eventually

pytestmark = pytest.mark.anyio


class ScriptedIndex:
    """An index whose upkeep ends as ``outcome`` says for the number of the round."""

    def __init__(self, outcome: Callable[[int], bool]) -> None:
        self.current = self
        self.generation = 1
        self.rounds = 0
        self.problems: list[str] = []
        self.committed = Broadcast()
        self._outcome = outcome

    async def maintain(self, should_stop: Callable[[], bool]) -> bool:
        self.rounds += 1
        return self._outcome(self.rounds)

    async def keep_tidy(self) -> None:
        """Maintain this index as a root with nothing left to do would."""
        await maintenance.keep_stores_tidy(
            cast("IndexWriter", self),
            RootProblems(lambda _, problem: self.problems.append(problem.message if problem else "")),
            is_caught_up=lambda: True,
            should_stop=lambda: False,
            trim_memory=lambda: None,
            committed=self.committed,
        )


async def rounds_of(index: ScriptedIndex, *, then: Callable[[], None]) -> list[int]:
    """Return the number of rounds until the upkeep rests, and until it rests again after ``then``."""
    found = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(index.keep_tidy)
        for _ in range(2):
            before = -1
            while before != index.rounds:
                before = index.rounds
                await anyio.sleep(0.1)  # time for a hundred rounds: that there are no more is what is tested
            found.append(index.rounds)
            then()
        tasks.cancel_scope.cancel()
    return found


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_EVERY_S", 0.001)


async def test_stores_are_maintained_once_per_generation() -> None:
    index = ScriptedIndex(lambda _: True)

    def commit() -> None:
        index.generation += 1
        index.committed.notify_all()

    assert await rounds_of(index, then=commit) == [1, 2]


async def test_unfinished_upkeep_is_retried_a_few_times_and_again_after_a_commit() -> None:
    index = ScriptedIndex(lambda _: False)

    def commit() -> None:
        index.generation += 1
        index.committed.notify_all()

    assert await rounds_of(index, then=commit) == [6, 12]


@pytest.mark.parametrize("error", [StoreFullError("no room"), FailedError("not now")])
async def test_failed_upkeep_is_a_problem_until_a_retry_succeeds(error: CodeindexError) -> None:
    def outcome(number: int) -> bool:
        if number < 3:
            raise error
        return True

    index = ScriptedIndex(outcome)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(index.keep_tidy)
        await eventually(lambda: index.problems == [error.message, ""])
        assert index.rounds >= 3
        tasks.cancel_scope.cancel()


class ScriptedCatalog:
    """A catalog in which as many files failed as ``failed`` says."""

    path = "catalog"

    def __init__(self) -> None:
        self.failed = 0
        self.asked = 0

    def counts(self) -> Counts:
        return Counts(failed=self.failed)

    def failures_due(self, now_ns: int) -> list[Failure]:
        self.asked += 1
        return []


async def test_failed_files_are_looked_for_only_while_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_EVERY_S", 0.0)
    catalog, committed = ScriptedCatalog(), Broadcast()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            partial(
                maintenance.retry_failures,
                cast("Catalog", catalog),
                cast("Ingest", None),
                is_paused=lambda: False,
                committed=committed,
            )
        )
        await anyio.wait_all_tasks_blocked()
        committed.notify_all()
        await anyio.wait_all_tasks_blocked()
        assert catalog.asked == 0
        catalog.failed = 1
        committed.notify_all()
        await eventually(lambda: catalog.asked > 2)
        tasks.cancel_scope.cancel()


def test_a_start_tries_failed_files_again_unless_they_ended_their_worker(tmp_path: Path) -> None:
    later = (1 << 62, False)
    failures = {b"a": later, b"b": (0, False), b"c": (0, True), b"d": later}
    with closing(Catalog.open(tmp_path / "catalog.db", root_id="r")) as catalog:
        catalog.commit(
            Transaction(
                updates=[failed(path.decode()) for path in failures],
                failures=[Failure(path, "embed", "no model", 1, *how) for path, how in failures.items()],
            )
        )
        fingerprint = catalog_fingerprint(catalog)
        stale = maintenance.stale_files(catalog, lambda *_: fingerprint)
    assert [entry.path for entry in stale] == [b"a", b"d"]


def catalog_fingerprint(catalog: Catalog) -> bytes:
    """Return the fingerprint that all files of a catalog have."""
    with catalog.snapshot() as snapshot:
        (fingerprint,) = {file.fingerprint for file in snapshot.files()}
    return fingerprint
