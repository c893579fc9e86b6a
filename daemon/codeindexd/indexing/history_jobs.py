"""Has workers answer requests about repositories, and read commits in batches."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, TypeVar

from codeindexd.analysis.history.packed_ids import PackedIds
from codeindexd.errors import CodeindexError, FailedError, NoHistoryError, UsageError, WorkerError
from codeindexd.indexing import history_requests as requests
from codeindexd.indexing.history_requests import ReadAnswer, ReadRequest, Refused, Repository
from codeindexd.waiting import Gate
from codeindexd.workers.jobs import HistoryJob, HistoryResult
from codeindexd.workers.pool import WorkerPool

BATCH_COMMITS = 64
_COMMIT_COST = 8 << 10  # bytes of sources, as a file of this size: a guess
_COST = 64 << 10
_REFUSALS: Final[Mapping[str, type[CodeindexError]]] = {error.name: error for error in (NoHistoryError, UsageError)}
Answered = TypeVar("Answered", bound=requests.Answer)


async def ask(
    pool: WorkerPool, request: requests.Request, wanted: type[Answered], *, about: Path, urgent: bool = False
) -> Answered:
    """Send a request to a worker, and return its answer of the type ``wanted``. Errors name the path ``about``.

    Raises what the worker refuses: NoHistoryError if the repository cannot be read, UsageError if the question makes no
    sense. Raises FailedError if answering failed, and WorkerError without an answer.
    """
    job = HistoryJob(0, os.fsencode(about), requests.encode(request), _COST)
    async with aclosing(pool.history([job], urgent=urgent)) as results:
        async for result in results:
            if result.error:
                raise FailedError(
                    f"the history of {about} cannot be read: {result.error}", hint="check the repository: git fsck"
                )
            answer = requests.decode_answer(result.answer)
            if isinstance(answer, wanted):
                return answer
            raise _refusal(answer)
    raise WorkerError("a worker gave no answer", hint="see the log: codeindex logs")


def _refusal(answer: requests.Answer) -> CodeindexError:
    """Return the error for an answer that was not asked for."""
    if isinstance(answer, Refused):
        return _REFUSALS.get(answer.name, FailedError)(answer.message, hint=answer.hint)
    return WorkerError(f"a worker answered with {type(answer).__name__}", hint="see the log: codeindex logs")


def _read_answer(result: HistoryResult) -> ReadAnswer:
    answer = requests.decode_answer(result.answer)
    if not isinstance(answer, ReadAnswer):
        raise _refusal(answer)
    return answer


class HistoryJobs:
    """The requests of one root, whose ``path`` is named in errors. While the ``gate`` is closed, no batch is begun."""

    def __init__(self, path: Path, pool: WorkerPool, gate: Gate) -> None:
        self._path = path
        self._pool = pool
        self._gate = gate

    async def ask(self, request: requests.Request, wanted: type[Answered]) -> Answered:
        """Return a worker's answer to one request, as :func:`ask` does."""
        return await ask(self._pool, request, wanted, about=self._path)

    async def read(self, repository: Repository, ids: PackedIds) -> AsyncGenerator[ReadAnswer]:
        """Yield commits as they are read. A batch that ends its worker is read commit by commit.

        Raises NoHistoryError if the repository cannot be read.
        """
        batches = [ids[start : start + BATCH_COMMITS] for start in range(0, len(ids), BATCH_COMMITS)]
        while batches:
            failed: list[PackedIds] = []
            async with aclosing(self._pool.history(self._read_jobs(repository, batches))) as results:
                async for result in results:
                    batch = batches[result.job_id]
                    if not result.error:
                        yield _read_answer(result)
                    elif len(batch) == 1:
                        yield ReadAnswer([], {batch[0]: result.error})
                    else:
                        failed += [PackedIds(commit_id) for commit_id in batch]
            batches = failed

    async def _read_jobs(self, repository: Repository, batches: Sequence[PackedIds]) -> AsyncIterator[HistoryJob]:
        """Yield a job for each batch, numbered from 0, while the gate is open."""
        for number, batch in enumerate(batches):
            await self._gate.wait()
            request = requests.encode(ReadRequest(repository, batch.joined))
            name = b"commit %s" % batch[0].hex().encode()
            yield HistoryJob(number, name, request, len(batch) * _COMMIT_COST)
