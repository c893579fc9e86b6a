"""Has workers answer requests about one repository, and read its commits in batches."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from codeindexd.errors import FailedError, NoHistoryError, WorkerError
from codeindexd.indexing import history_requests as requests
from codeindexd.indexing.history_requests import ReadAnswer, ReadRequest, Refused, Repository
from codeindexd.waiting import Gate
from codeindexd.workers.jobs import HistoryJob
from codeindexd.workers.pool import WorkerPool

BATCH_COMMITS = 64
_COMMIT_COST = 8 << 10  # bytes of sources, as a file of this size: a guess
_WALK_COST = 64 << 10


class HistoryJobs:
    """The requests of one root, whose ``path`` is named in errors. While the ``gate`` is closed, no batch is begun."""

    def __init__(self, path: Path, pool: WorkerPool, gate: Gate) -> None:
        self._path = path
        self._pool = pool
        self._gate = gate

    async def ask(self, request: requests.Request) -> requests.Answer:
        """Return a worker's answer to one request. Raises NoHistoryError if the repository cannot be read."""
        job = HistoryJob(0, os.fsencode(self._path), requests.encode(request), _WALK_COST)
        async for result in self._pool.history([job]):
            if result.error:
                raise FailedError(f"reading the history of {self._path} failed: {result.error}")
            answer = requests.decode_answer(result.answer)
            if isinstance(answer, Refused):
                raise NoHistoryError(answer.message, hint=answer.hint)
            return answer
        raise WorkerError("a worker gave no answer", hint="see the log: codeindex logs")

    async def read(self, repository: Repository, ids: Sequence[bytes]) -> AsyncIterator[ReadAnswer]:
        """Yield commits as they are read. A batch that ends its worker is read commit by commit."""
        batches = [ids[start : start + BATCH_COMMITS] for start in range(0, len(ids), BATCH_COMMITS)]
        while batches:
            failed: list[Sequence[bytes]] = []
            current = batches

            async def jobs(current: Sequence[Sequence[bytes]] = current) -> AsyncIterator[HistoryJob]:
                for number, batch in enumerate(current):
                    await self._gate.wait()
                    request = requests.encode(ReadRequest(repository, b"".join(batch)))
                    name = b"commit %s" % batch[0].hex().encode()
                    yield HistoryJob(number, name, request, len(batch) * _COMMIT_COST)

            async for result in self._pool.history(jobs()):
                batch = current[result.job_id]
                if result.error:
                    if len(batch) == 1:
                        yield ReadAnswer([], {batch[0]: result.error})
                    else:
                        failed += [[one] for one in batch]
                    continue
                answer = requests.decode_answer(result.answer)
                if isinstance(answer, Refused):
                    raise NoHistoryError(answer.message, hint=answer.hint)
                if isinstance(answer, ReadAnswer):
                    yield answer
            batches = failed
