"""The whole history of a real repository in a store, read with all CPUs, for benchmarks that need no daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.packed_ids import packed
from codeindexd.analysis.history.record import IndexedCommit
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.analysis.tokens import Tokenizer
from codeindexd.indexing import history_requests as requests
from codeindexd.indexing.history_reader import HistoryReader
from codeindexd.indexing.history_requests import ReadAnswer, ReadRequest, Repository
from codeindexd.storage.history import HistoryStore, View
from codeindexd.workers.jobs import HistoryJob

ROOT = "measured"
_BATCH = 256
_STORED_TOGETHER = 1024
_reader: list[HistoryReader] = []


@contextmanager
def stored_history(git_directory: Path, directory: Path, *, max_commits: int = 100_000) -> Iterator[HistoryStore]:
    """Provide a store in ``directory`` with the history of a repository, for the root `ROOT`.

    What an earlier call stored there is kept, as long as it was of the same commits.
    """
    location = locate(git_directory)
    heads = read_heads(location)
    repository = Repository.of(location, heads)
    ids = GitRepository(location, heads).walk(heads.tips, limit=max_commits).ids
    store = HistoryStore.open_or_rebuild(directory, fingerprint=ROOT, dimensions=StaticModel.load().dimensions)
    try:
        wanted = packed(ids)
        lacking = wanted.at(store.are_lacking(store.numbers_in(wanted)))
        batches = [lacking[start : start + _BATCH] for start in range(0, len(lacking), _BATCH)]
        jobs = [requests.encode(ReadRequest(repository, batch.joined)) for batch in batches]
        with ProcessPoolExecutor(os.cpu_count()) as processes:
            waiting: list[IndexedCommit] = []
            for data in processes.map(_read, jobs):
                answer = requests.decode_answer(data)
                assert isinstance(answer, ReadAnswer), answer
                waiting += answer.commits
                if len(waiting) >= _STORED_TOGETHER:
                    store.add(waiting)
                    waiting = []
            store.add(waiting)
        numbers = store.numbers_in(wanted)
        order = numbers[numbers > 0]
        view = View(
            root=ROOT,
            git_dir=repository.git_dir,
            common_dir=repository.common_dir,
            top=b"",
            prefix=b"",
            signature=b"",
            base=b"",
            tips=heads.tips,
            branch=heads.branch,
            wanted=len(order),
            is_complete=True,
        )
        store.set_view(view, order)
        yield store
    finally:
        store.close()


def _read(request: bytes) -> bytes:
    if not _reader:
        _reader.append(HistoryReader(Tokenizer(), mask_secrets=True))
    return _reader[0].answer(HistoryJob(0, b"", request, 0)).answer
